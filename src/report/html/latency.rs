//! Latencies over time: how they are spread, on a logarithmic scale.

use std::time::Duration;

use pulsefield_units::Micros;
use pulsefield_vmfs::{LEASE, PULSE_PERIOD};

use super::plot::{Plot, Sheet};
use super::scale::Logarithmic;
use crate::run::{Fault, Pulses, Run};
use crate::series::{Latencies, Spread};
use crate::words::{Clock, Count};

/// ESXi aborts a heartbeat that takes longer.
const TIME_OUT: Duration = Duration::from_secs(8);

/// A time that heartbeats should not reach.
struct Limit {
    time: Duration,
    class: &'static str,
    name: &'static str,
}

/// What is decisive for a heartbeat, in ascending order.
const LIMITS: [Limit; 3] = [
    Limit { time: PULSE_PERIOD, class: "warn", name: "3 s: next one due" },
    Limit { time: TIME_OUT, class: "bad", name: "8 s: host aborts" },
    Limit { time: LEASE, class: "bad", name: "16 s: lease ends" },
];

const SHEET: Sheet =
    Sheet { width: 1000.0, height: 330.0, left: 60.0, right: 112.0, top: 12.0, bottom: 26.0 };

/// A scale for heartbeats ends a little above the lease.
const HEARTBEATS_MOST_US: u64 = 20_000_000;

const fn micros(time: Duration) -> u64 {
    // The limits are seconds.
    time.as_secs() * 1_000_000
}

/// Heartbeats of all hosts, with the limits.
pub(super) fn heartbeats(run: &Run) -> String {
    let least = run.heartbeats.all.map_or(100, |all| all.min_us);
    let most = run.heartbeats.all.map_or(0, |all| all.max_us).max(HEARTBEATS_MOST_US);
    let scale = Logarithmic::over(least, most);
    let mut plot = spread(run, &run.heartbeats, scale, &run.faults);
    for Limit { time, class, name } in LIMITS {
        plot.limit(scale.part(micros(time)), class, name);
    }
    for (at, bucket) in run.heartbeats.over_time.iter() {
        let Some(Spread { max_us, .. }) = bucket else { continue };
        let crossed = LIMITS.iter().rev().find(|limit| *max_us >= micros(limit.time));
        let Some(Limit { class, .. }) = crossed else { continue };
        let middle = at.saturating_add(run.heartbeats.over_time.bucket_ms / 2);
        let (x, y) = (plot.x(middle), plot.y(scale.part(*max_us)));
        plot.put(format_args!(
            r#"<circle class="{class}" cx="{x:.1}" cy="{y:.1}" r="3"><title>{} at {}</title></circle>"#,
            Micros(*max_us),
            Clock { ms: at, tenths: false }
        ));
    }
    plot.finish("fig-heartbeats", "Heartbeat latency over time", &describe(&run.heartbeats))
}

/// How long locks were nobody's between two hosts.
pub(super) fn handovers(run: &Run) -> String {
    let Some(all) = run.handovers.all else { return String::new() };
    let scale = Logarithmic::over(all.min_us, all.max_us);
    let sheet = Sheet { height: 230.0, ..SHEET };
    let mut plot = Plot::new(sheet, run.lasted_ms);
    plot.fault_bands(&run.faults);
    draw(&mut plot, &run.handovers, scale);
    plot.finish("fig-handovers", "Lock hand-over times over time", &describe(&run.handovers))
}

fn spread(run: &Run, latencies: &Latencies, scale: Logarithmic, faults: &[Fault]) -> Plot {
    let mut plot = Plot::with_faults(SHEET, run.lasted_ms, faults);
    draw(&mut plot, latencies, scale);
    plot
}

/// From the shortest to the longest, from half of all to nearly all, and half of all.
fn draw(plot: &mut Plot, latencies: &Latencies, scale: Logarithmic) {
    for (us, name) in scale.decades() {
        plot.mark(scale.part(us), &name);
    }
    let series = &latencies.over_time;
    let part = |us: u64| scale.part(us);
    plot.area(series, "band", |it| it.map(|it| (part(it.min_us), part(it.max_us))));
    plot.area(series, "band dense", |it| it.map(|it| (part(it.p50_us), part(it.p99_us))));
    plot.line(series, "line", |it| it.map(|it| part(it.p50_us)));
    plot.time_axis();
}

/// What can be seen, for whoever does not see it.
pub(super) fn describe(latencies: &Latencies) -> String {
    let Some(all) = latencies.all else { return "There was none.".to_owned() };
    let buckets = latencies.over_time.iter();
    let worst = buckets.filter_map(|(at, bucket)| Some((at, bucket.as_ref()?.max_us)));
    let at = worst.max_by_key(|(_, max_us)| *max_us).map_or(0, |(at, _)| at);
    format!(
        "Of {}, half took {} or less, 99\u{a0}% took {} or less; the longest took {}, about {} after the beginning.",
        Count(all.count),
        Micros(all.p50_us),
        Micros(all.p99_us),
        Micros(all.max_us),
        Clock { ms: at, tenths: false }
    )
}

/// What the shades of such a figure mean.
pub(super) const LEGEND: &str = "<span class=\"key line\"></span>half took no longer \
    <span class=\"key dense\"></span>from there to 99&nbsp;% \
    <span class=\"key band\"></span>shortest to longest \
    <span class=\"key fault\"></span>a fault is armed";

/// The longest heartbeats of one host, in a line of a table; the numbers stand beside it.
pub(super) fn spark(run: &Run, pulses: &Pulses) -> String {
    const SMALL: Sheet =
        Sheet { width: 170.0, height: 26.0, left: 0.0, right: 0.0, top: 2.0, bottom: 2.0 };
    let least = run.heartbeats.all.map_or(100, |all| all.min_us);
    let scale = Logarithmic::over(least, HEARTBEATS_MOST_US);
    let mut plot = Plot::new(SMALL, run.lasted_ms);
    plot.fault_bands(&run.faults);
    let series = &pulses.took.over_time;
    plot.line(series, "grid", |_| Some(scale.part(micros(TIME_OUT))));
    plot.line(series, "line", |it| it.map(|it| scale.part(it.max_us)));
    plot.spark()
}
