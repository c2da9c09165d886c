//! A figure with the time of a run along it: axes, bands of faults, and series as steps.
//!
//! SVG is written by hand: what a figure has to show are steps, bands and a few lines, all of which are
//! one path each, and colours that follow the page's, in the dark and on paper, are classes of its style.
//! A plotting library draws neither steps nor such colours, and is larger than all of this room.

use std::fmt::{self, Write as _};

use crate::markup::Escaped;
use crate::run::Fault;
use crate::series::Series;
use crate::words::{Clock, many, when};

use super::scale::moments;

/// Faults that have a row of their own above a figure; the others are bands only.
const FAULT_ROWS_MAX: usize = 6;

/// The height of such a row: a bar and its name.
const FAULT_ROW: f64 = 21.0;

/// The size of a figure, and what is left free around the data.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sheet {
    pub(super) width: f64,
    pub(super) height: f64,
    pub(super) left: f64,
    pub(super) right: f64,
    pub(super) top: f64,
    pub(super) bottom: f64,
}

/// A figure that is being drawn.
#[derive(Debug)]
pub(super) struct Plot {
    sheet: Sheet,
    lasted_ms: u64,
    body: String,
}

/// Values of buckets that follow one another: from where to where each is, and what.
type Steps<V> = Vec<(f64, f64, V)>;

impl Plot {
    /// An empty one, for a run that lasted so long.
    pub(super) const fn new(sheet: Sheet, lasted_ms: u64) -> Self {
        Self { sheet, lasted_ms, body: String::new() }
    }

    /// The same with room for the names of faults above it, which are drawn.
    pub(super) fn with_faults(mut sheet: Sheet, lasted_ms: u64, faults: &[Fault]) -> Self {
        let rows = faults.len().min(FAULT_ROWS_MAX) as f64 * FAULT_ROW;
        sheet.top += rows;
        sheet.height += rows;
        let mut plot = Self::new(sheet, lasted_ms);
        plot.fault_bands(faults);
        plot.fault_rows(faults);
        plot
    }

    /// Where the data begins from the left.
    pub(super) const fn left(&self) -> f64 {
        self.sheet.left
    }

    /// Where the data ends.
    pub(super) fn right(&self) -> f64 {
        self.sheet.width - self.sheet.right
    }

    /// Where a moment is from the left.
    pub(super) fn x(&self, ms: u64) -> f64 {
        let part = ms.min(self.lasted_ms) as f64 / self.lasted_ms.max(1) as f64;
        self.left() + part * (self.right() - self.left())
    }

    /// Where a part of the scale, from 0 to 1, is from the top.
    pub(super) fn y(&self, part: f64) -> f64 {
        let Sheet { height, top, bottom, .. } = self.sheet;
        height - bottom - part * (height - bottom - top)
    }

    /// Draws something.
    pub(super) fn put(&mut self, what: fmt::Arguments<'_>) {
        // A string grows.
        let _ = writeln!(self.body, "{what}");
    }

    /// A line across, with its name on the left.
    pub(super) fn mark(&mut self, part: f64, name: &str) {
        let (left, right, y) = (self.left(), self.right(), self.y(part));
        self.put(format_args!(r#"<path class="grid" d="M{left:.1} {y:.1}H{right:.1}"/>"#));
        self.put(format_args!(
            r#"<text class="tick" x="{:.1}" y="{:.1}" text-anchor="end">{}</text>"#,
            left - 7.0,
            y + 3.5,
            Escaped(name)
        ));
    }

    /// A line that must not be crossed, with its name on the right.
    pub(super) fn limit(&mut self, part: f64, class: &str, name: &str) {
        let (left, right, y) = (self.left(), self.right(), self.y(part));
        self.put(format_args!(r#"<path class="limit {class}" d="M{left:.1} {y:.1}H{right:.1}"/>"#));
        self.put(format_args!(
            r#"<text class="limit {class}" x="{:.1}" y="{:.1}">{}</text>"#,
            right + 6.0,
            y + 3.5,
            Escaped(name)
        ));
    }

    /// The axis of time, below all.
    pub(super) fn time_axis(&mut self) {
        let (left, right, y) = (self.left(), self.right(), self.y(0.0));
        self.put(format_args!(r#"<path class="axis" d="M{left:.1} {y:.1}H{right:.1}"/>"#));
        for (ms, name) in moments(self.lasted_ms) {
            let x = self.x(ms);
            self.put(format_args!(r#"<path class="axis" d="M{x:.1} {y:.1}v4"/>"#));
            self.put(format_args!(
                r#"<text class="tick" x="{x:.1}" y="{:.1}" text-anchor="middle">{name}</text>"#,
                y + 16.0
            ));
        }
    }

    /// While a fault was armed, from the top of the data to its bottom.
    pub(super) fn fault_bands(&mut self, faults: &[Fault]) {
        let (top, height) = (self.y(1.0), self.y(0.0) - self.y(1.0));
        for fault in faults {
            let (from, to) = self.armed(fault);
            self.put(format_args!(
                r#"<rect class="fault" x="{from:.1}" y="{top:.1}" width="{:.1}" height="{height:.1}"><title>{}</title></rect>"#,
                to - from,
                FaultTitle(fault)
            ));
        }
    }

    fn fault_rows(&mut self, faults: &[Fault]) {
        let first = self.y(1.0) - faults.len().min(FAULT_ROWS_MAX) as f64 * FAULT_ROW;
        for (row, fault) in faults.iter().take(FAULT_ROWS_MAX).enumerate() {
            let (from, to) = self.armed(fault);
            let y = first + row as f64 * FAULT_ROW;
            self.put(format_args!(
                r#"<rect class="armed" x="{from:.1}" y="{y:.1}" width="{:.1}" height="4"><title>{}</title></rect>"#,
                to - from,
                FaultTitle(fault)
            ));
            // A name begins with its bar, or ends with it where the page ends.
            let (x, anchor) =
                if from > self.sheet.width * 0.66 { (to, "end") } else { (from, "start") };
            self.put(format_args!(
                r#"<text class="armed" x="{x:.1}" y="{:.1}" text-anchor="{anchor}">{} ({}), {}</text>"#,
                y + 14.0,
                Escaped(&fault.rule),
                Escaped(&fault.fault),
                many(fault.hits, "hit")
            ));
        }
    }

    /// From where to where a fault was armed; what was armed for a moment is seen as well.
    fn armed(&self, fault: &Fault) -> (f64, f64) {
        let from = self.x(fault.from_ms);
        let to = self.x(fault.until_ms.unwrap_or(self.lasted_ms));
        (from, to.max(from + 2.0))
    }

    /// A line through the buckets that have a value, a part of the scale.
    pub(super) fn line<T>(
        &mut self,
        series: &Series<T>,
        class: &str,
        value: impl Fn(&T) -> Option<f64>,
    ) {
        let mut path = String::new();
        for run in self.runs(series, value) {
            for (nth, (from, to, part)) in run.into_iter().enumerate() {
                let y = self.y(part);
                let start =
                    if nth == 0 { format!("M{from:.1} {y:.1}") } else { format!("V{y:.1}") };
                let _ = write!(path, "{start}H{to:.1}");
            }
        }
        self.put(format_args!(r#"<path class="{class}" d="{path}"/>"#));
    }

    /// The area between two values, each a part of the scale.
    pub(super) fn area<T>(
        &mut self,
        series: &Series<T>,
        class: &str,
        values: impl Fn(&T) -> Option<(f64, f64)>,
    ) {
        let mut path = String::new();
        for run in self.runs(series, values) {
            let Some(&(first, ..)) = run.first() else { continue };
            let _ = write!(path, "M{first:.1} {:.1}", self.y(run[0].2.1));
            for (_, to, (_, upper)) in &run {
                let _ = write!(path, "V{:.1}H{to:.1}", self.y(*upper));
            }
            for (from, _, (lower, _)) in run.iter().rev() {
                let _ = write!(path, "V{:.1}H{from:.1}", self.y(*lower));
            }
            path.push('Z');
        }
        self.put(format_args!(r#"<path class="{class}" d="{path}"/>"#));
    }

    /// Buckets without a gap between them.
    fn runs<T, V>(&self, series: &Series<T>, value: impl Fn(&T) -> Option<V>) -> Vec<Steps<V>> {
        let (mut runs, mut run) = (Vec::new(), Vec::new());
        for (at, bucket) in series.iter().take_while(|(at, _)| *at < self.lasted_ms.max(1)) {
            let to = self.x(at.saturating_add(series.bucket_ms));
            match value(bucket) {
                Some(value) => run.push((self.x(at), to, value)),
                None => runs.push(std::mem::take(&mut run)),
            }
        }
        runs.push(run);
        runs
    }

    /// The figure as a word among others, which say what it shows.
    pub(super) fn spark(self) -> String {
        let Sheet { width, height, .. } = self.sheet;
        let body = self.body;
        format!(
            "<svg class=\"spark\" viewBox=\"0 0 {width} {height}\" aria-hidden=\"true\">\n{body}</svg>"
        )
    }

    /// The figure. `id` is its own on the page; `title` says what it shows, `description` what can be seen.
    pub(super) fn finish(self, id: &str, title: &str, description: &str) -> String {
        let Sheet { width, height, .. } = self.sheet;
        format!(
            "<svg viewBox=\"0 0 {width} {height}\" role=\"img\" aria-labelledby=\"{id}-title {id}-desc\">\n\
             <title id=\"{id}-title\">{}</title>\n<desc id=\"{id}-desc\">{}</desc>\n{}</svg>\n",
            Escaped(title),
            Escaped(description),
            self.body
        )
    }
}

/// What is said of a fault where a pointer rests on it.
struct FaultTitle<'f>(&'f Fault);

impl fmt::Display for FaultTitle<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Fault { rule, fault, from_ms, until_ms, hits, .. } = self.0;
        write!(f, "{} ({}): ", Escaped(rule), Escaped(fault))?;
        write!(f, "armed from {} ", Clock { ms: *from_ms, tenths: true })?;
        match until_ms {
            Some(until) => write!(f, "to {}", when(*until))?,
            None => f.write_str("to the end")?,
        }
        write!(f, ", {}", many(*hits, "hit"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHEET: Sheet =
        Sheet { width: 120.0, height: 60.0, left: 10.0, right: 10.0, top: 5.0, bottom: 5.0 };

    fn series(buckets: &[Option<f64>]) -> Series<Option<f64>> {
        Series { bucket_ms: 25, buckets: buckets.to_vec() }
    }

    #[test]
    fn a_series_is_steps_with_gaps() {
        let mut plot = Plot::new(SHEET, 100);
        let series = series(&[Some(0.0), Some(1.0), None, Some(0.5)]);
        plot.line(&series, "line", |value| *value);
        assert_eq!(
            plot.body,
            "<path class=\"line\" d=\"M10.0 55.0H35.0V5.0H60.0M85.0 30.0H110.0\"/>\n"
        );
        let mut plot = Plot::new(SHEET, 100);
        plot.area(&series, "band", |value| value.map(|value| (0.0, value)));
        assert!(plot.body.contains("M10.0 55.0V55.0H35.0V5.0H60.0V55.0H35.0V55.0H10.0Z"));
    }

    #[test]
    fn the_last_bucket_ends_with_the_run() {
        let mut plot = Plot::new(SHEET, 60);
        plot.line(&series(&[Some(0.0); 4]), "line", |value| *value);
        assert!(plot.body.contains("H110.0\""), "{}", plot.body);
        assert_eq!(plot.body.matches('H').count(), 3);
    }

    #[test]
    fn nothing_is_a_figure_as_well() {
        let mut plot = Plot::new(SHEET, 0);
        plot.time_axis();
        plot.line(&series(&[]), "line", |value| *value);
        let svg = plot.finish("f", "a < b", "\"c\"");
        assert!(svg.contains("a &lt; b") && svg.contains("&quot;c&quot;") && !svg.contains("NaN"));
    }
}
