//! How regularly each host pulses: the times between its heartbeats, a row a host.
//!
//! Hosts pulse every 3 seconds, and a healthy one is a mark of a tenth of a second there. What matters besides
//! are multiples of it, which are missed pulses, up to the lease. Both are seen since the time around 3 seconds
//! is drawn larger.

use pulsefield_vmfs::LEASE;

use super::plot::{Plot, Sheet};
use crate::markup::Escaped;
use crate::run::{Pulses, Run};
use crate::series::Intervals;
use crate::words::{Count, many};

/// Hosts that are shown: of more, those that are least regular.
const HOSTS_MAX: usize = 48;

const ROW: f64 = 19.0;

const LEFT: f64 = 120.0;

const RIGHT: f64 = 205.0;

/// The axis: from where on, in milliseconds, and at which part of the width. In between it is linear.
const AXIS: [(f64, f64); 4] = [(0.0, 0.0), (2_500.0, 0.12), (3_500.0, 0.52), (20_000.0, 1.0)];

/// The figure; nothing if no host pulsed twice.
pub(super) fn figure(run: &Run) -> String {
    let mut rows: Vec<(&str, &Pulses)> = run
        .setup
        .hosts
        .iter()
        .zip(&run.pulses)
        .filter(|(_, pulses)| pulses.intervals.count > 0)
        .map(|(host, pulses)| (host.name.as_str(), pulses))
        .collect();
    if rows.is_empty() {
        return String::new();
    }
    if rows.len() > HOSTS_MAX {
        rows.sort_by(|(_, a), (_, b)| regular(&a.intervals).total_cmp(&regular(&b.intervals)));
        rows.truncate(HOSTS_MAX);
    }
    let height = rows.len() as f64 * ROW;
    let sheet = Sheet {
        width: 1000.0,
        height: height + 52.0,
        left: LEFT,
        right: RIGHT,
        top: 22.0,
        bottom: 30.0,
    };
    let mut plot = Plot::new(sheet, 1);
    axis(&mut plot);
    for (nth, (name, pulses)) in rows.iter().enumerate() {
        row(&mut plot, 22.0 + nth as f64 * ROW, name, pulses);
    }
    let description = format!(
        "{}, each with the times between its heartbeats: within a tenth of a second of 3 seconds were {} %.",
        many(rows.len() as u64, "host"),
        Percent(regular_of_all(&rows))
    );
    plot.finish("fig-regularity", "Times between heartbeats, by host", &description)
}

fn regular(intervals: &Intervals) -> f64 {
    intervals.on_the_grid() as f64 / intervals.count.max(1) as f64
}

fn regular_of_all(rows: &[(&str, &Pulses)]) -> f64 {
    let sum = |of: fn(&Intervals) -> u64| -> f64 {
        rows.iter().map(|(_, pulses)| of(&pulses.intervals) as f64).sum()
    };
    sum(Intervals::on_the_grid) / sum(|intervals| intervals.count).max(1.0)
}

/// A part of one as percent, never rounded up to all.
struct Percent(f64);

impl std::fmt::Display for Percent {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let tenths = (self.0 * 1000.0).floor() / 10.0;
        if tenths >= 100.0 { f.write_str("100") } else { write!(f, "{tenths:.1}") }
    }
}

/// Where a time is from the left.
fn place(plot: &Plot, ms: f64) -> f64 {
    let piece = AXIS.windows(2).find(|piece| ms <= piece[1].0);
    let part = piece.map_or(1.0, |piece| {
        let ((from, start), (to, end)) = (piece[0], piece[1]);
        start + (ms - from) / (to - from) * (end - start)
    });
    plot.left() + part * (plot.right() - plot.left())
}

fn axis(plot: &mut Plot) {
    let (top, bottom) = (plot.y(1.0), plot.y(0.0));
    let (from, to) = (place(plot, AXIS[1].0), place(plot, AXIS[2].0));
    plot.put(format_args!(
        r#"<rect class="larger" x="{from:.1}" y="{top:.1}" width="{:.1}" height="{:.1}"/>"#,
        to - from,
        bottom - top
    ));
    plot.put(format_args!(
        r#"<text class="tick" x="{:.1}" y="{:.1}" text-anchor="middle">drawn larger</text>"#,
        f64::midpoint(from, to),
        top - 7.0
    ));
    let lease = u32::try_from(LEASE.as_millis()).map_or(0.0, f64::from);
    let marks = [
        (0.0, "0", "grid"),
        (2_500.0, "2.5 s", "grid"),
        (2_750.0, "2.75 s", "grid"),
        (3_000.0, "3 s", "axis"),
        (3_250.0, "3.25 s", "grid"),
        (3_500.0, "3.5 s", "grid"),
        (6_000.0, "6 s", "grid"),
        (9_000.0, "9 s", "grid"),
        (12_000.0, "12 s", "grid"),
        (lease, "16 s: lease", "limit bad"),
    ];
    for (ms, name, class) in marks {
        let x = place(plot, ms);
        plot.put(format_args!(r#"<path class="{class}" d="M{x:.1} {top:.1}V{bottom:.1}"/>"#));
        let class = if ms > 15_000.0 { "limit bad" } else { "tick" };
        plot.put(format_args!(
            r#"<text class="{class}" x="{x:.1}" y="{:.1}" text-anchor="middle">{name}</text>"#,
            bottom + 16.0
        ));
    }
}

fn row(plot: &mut Plot, top: f64, name: &str, pulses: &Pulses) {
    let Intervals { count, longest_ms, bins } = &pulses.intervals;
    let (middle, bottom) = (top + ROW / 2.0 + 3.5, top + ROW - 2.0);
    plot.put(format_args!(
        r#"<text class="name" x="{:.1}" y="{middle:.1}" text-anchor="end">{}</text>"#,
        LEFT - 10.0,
        Escaped(&shortened(name))
    ));
    let most = bins.iter().map(|(_, count)| *count).max().unwrap_or(1).max(1);
    for (from, times) in bins {
        let from_ms = (*from).min(20_000) as f64;
        let left = place(plot, from_ms);
        let width = place(plot, from_ms + Intervals::BIN_MS as f64) - left;
        // One among thousands must be seen.
        let part = (*times as f64).ln_1p() / (most as f64).ln_1p();
        let height = (ROW - 5.0) * part.max(0.4);
        let class = if *from >= 16_000 {
            "bar bad"
        } else if *from >= 4_500 {
            "bar warn"
        } else {
            "bar"
        };
        plot.put(format_args!(
            r#"<rect class="{class}" x="{left:.1}" y="{:.1}" width="{:.1}" height="{height:.1}"><title>{} at {:.2} s</title></rect>"#,
            bottom - height,
            width.max(2.0),
            many(*times, "time"),
            from_ms / 1000.0
        ));
    }
    let right = plot.right();
    plot.put(format_args!(
        r#"<path class="grid" d="M{LEFT:.1} {bottom:.1}H{right:.1}"/><text class="value" x="{:.1}" y="{middle:.1}">{} % of {}, longest {:.1} s</text>"#,
        right + 10.0,
        Percent(regular(&pulses.intervals)),
        Count(*count),
        *longest_ms as f64 / 1000.0
    ));
}

/// A name in as many characters as there is room for.
fn shortened(name: &str) -> String {
    const ROOM: usize = 18;
    match name.chars().nth(ROOM) {
        None => name.to_owned(),
        Some(_) => name.chars().take(ROOM - 1).chain(['…']).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing;

    #[test]
    fn percent_is_all_only_if_it_is() {
        for (part, text) in [(1.0, "100"), (0.999_9, "99.9"), (0.5, "50.0"), (0.0, "0.0")] {
            assert_eq!(Percent(part).to_string(), text);
        }
    }

    #[test]
    fn every_host_has_a_row_and_a_long_name_fits() {
        let mut run = testing::with_faults();
        run.setup.hosts[3].name = "a-host-with-a-very-long-name.example".to_owned();
        let figure = figure(&run);
        assert_eq!(figure.matches("class=\"name\"").count(), 16);
        assert!(figure.contains(">a-host-with-a-ver…<"));
    }

    #[test]
    fn of_many_hosts_the_least_regular_are_shown() {
        let mut run = testing::with_faults();
        let (host, pulses) = (run.setup.hosts[0].clone(), run.pulses[0].clone());
        run.setup.hosts = vec![host; 60];
        run.pulses = vec![pulses; 60];
        run.setup.hosts[55].name = "restless".to_owned();
        run.pulses[55].intervals.bins = vec![(6_000, 100)];
        let figure = figure(&run);
        assert_eq!(figure.matches("class=\"name\"").count(), HOSTS_MAX);
        assert!(figure.contains("restless"));
    }
}
