//! Miscompares over time, stacked by cause.

use super::plot::{Plot, Sheet};
use super::scale::{round_end, short};
use crate::run::Run;
use crate::series::Series;
use crate::words::{Count, many};

const SHEET: Sheet =
    Sheet { width: 1000.0, height: 210.0, left: 60.0, right: 112.0, top: 12.0, bottom: 26.0 };

/// Colours that the page's style has; causes beyond share the last one.
const COLOURS: usize = 8;

/// The class of the n-th cause's colour.
pub(super) fn colour(nth: usize) -> String {
    format!("cause-{}", nth.min(COLOURS - 1))
}

/// The figure; nothing if there was no miscompare.
pub(super) fn figure(run: &Run) -> String {
    let length = run.causes.iter().map(|cause| cause.over_time.buckets.len()).max().unwrap_or(0);
    let bucket_ms = run.causes.first().map_or(0, |cause| cause.over_time.bucket_ms);
    let of = |nth: usize, bucket: usize| {
        run.causes[nth].over_time.buckets.get(bucket).copied().unwrap_or(0) as f64
    };
    let sum = |causes: usize, bucket: usize| (0..causes).map(|nth| of(nth, bucket)).sum::<f64>();
    let most = (0..length).map(|bucket| sum(run.causes.len(), bucket)).fold(0.0, f64::max);
    if most <= 0.0 {
        return String::new();
    }
    let end = round_end(most);
    let mut plot = Plot::new(SHEET, run.lasted_ms);
    plot.fault_bands(&run.faults);
    for part in [0.5, 1.0] {
        plot.mark(part, &short(end * part));
    }
    for nth in 0..run.causes.len() {
        let below_and_above = |bucket| (sum(nth, bucket) / end, sum(nth + 1, bucket) / end);
        let buckets = (0..length).map(below_and_above).collect();
        let series = Series { bucket_ms, buckets };
        plot.area(&series, &format!("cause {}", colour(nth)), |(below, above)| {
            (above > below).then_some((*below, *above))
        });
    }
    plot.time_axis();
    let named: Vec<String> =
        run.causes.iter().map(|cause| format!("{} {}", Count(cause.total), cause.name)).collect();
    let total = run.causes.iter().fold(0_u64, |sum, cause| sum.saturating_add(cause.total));
    let description = format!("{}: {}.", many(total, "miscompare"), named.join(", "));
    plot.finish("fig-causes", "Miscompares over time, by cause", &description)
}
