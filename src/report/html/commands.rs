//! What was asked of devices over time: a small figure for each kind, since their numbers have little in
//! common.

use super::plot::{Plot, Sheet};
use super::scale::{round_end, short};
use crate::run::{Commands, Run};
use crate::series::Traffic;
use crate::words::Count;

const SHEET: Sheet =
    Sheet { width: 490.0, height: 150.0, left: 46.0, right: 20.0, top: 10.0, bottom: 24.0 };

/// The figure of one kind; `nth` makes its id.
pub(super) fn figure(run: &Run, nth: usize, commands: &Commands) -> String {
    let series = &commands.over_time;
    let seconds = |at: u64| {
        // The last bucket ends with the run.
        let end = at.saturating_add(series.bucket_ms).min(run.lasted_ms.max(1));
        end.saturating_sub(at).max(1) as f64 / 1000.0
    };
    let rates = series.iter().map(|(at, traffic)| traffic.commands as f64 / seconds(at)).collect();
    let rates = crate::Series::<f64> { bucket_ms: series.bucket_ms, buckets: rates };
    let most = rates.buckets.iter().copied().fold(0.0, f64::max);
    let end = round_end(most);
    let mut plot = Plot::new(SHEET, run.lasted_ms);
    plot.fault_bands(&run.faults);
    for part in [0.5, 1.0] {
        plot.mark(part, &format!("{}/s", short(end * part)));
    }
    plot.area(&rates, "band", |rate| Some((0.0, rate / end)));
    plot.line(&rates, "line", |rate| Some(rate / end));
    plot.time_axis();
    let total: f64 = series.buckets.iter().map(|Traffic { commands, .. }| *commands as f64).sum();
    let description = format!(
        "{} a second on average, {} at most.",
        short(total / (run.lasted_ms.max(1) as f64 / 1000.0)),
        short(most)
    );
    let title = format!("{} commands over time", commands.kind);
    plot.finish(&format!("fig-commands-{nth}"), &title, &description)
}

/// How many there were and how much they moved, in a line.
pub(super) fn summary(run: &Run, commands: &Commands) -> String {
    let bytes: f64 = commands.over_time.buckets.iter().map(|traffic| traffic.bytes as f64).sum();
    let count =
        commands.over_time.buckets.iter().fold(0_u64, |sum, it| sum.saturating_add(it.commands));
    let mib_per_second = bytes / f64::from(1 << 20) / (run.lasted_ms.max(1) as f64 / 1000.0);
    match mib_per_second {
        ..0.05 => Count(count).to_string(),
        _ => format!("{}, {} MiB/s", Count(count), short(mib_per_second)),
    }
}
