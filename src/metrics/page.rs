//! The text that Prometheus reads.
//!
//! Source: the Prometheus documentation, *Exposition formats*, text-based format, version 0.0.4.

use std::fmt::Write as _;

use crate::{Kind, Metric};

/// What all metrics say at one moment, as text.
#[derive(Debug, Default)]
pub struct Page(String);

impl Page {
    /// Begins a metric; all its values follow.
    pub fn family(&mut self, metric: &Metric) -> Family<'_> {
        let Metric { name, kind, help, labels } = *metric;
        let help = escaped(help, false);
        // Writing to a string never fails.
        let _ = writeln!(self.0, "# HELP {name} {help}\n# TYPE {name} {}", kind.name());
        Family { text: &mut self.0, name, kind, labels }
    }

    /// The text.
    pub fn into_text(self) -> String {
        self.0
    }
}

/// One metric of a [`Page`], while its values are written. No two of them may have the same labels.
#[derive(Debug)]
pub struct Family<'p> {
    text: &'p mut String,
    name: &'static str,
    kind: Kind,
    labels: &'static [&'static str],
}

impl Family<'_> {
    /// The value of a counter or a gauge with these labels, in the order of the catalogue.
    ///
    /// # Panics
    /// If there are more or fewer labels than the metric has, or it is a histogram.
    pub fn sample(&mut self, labels: &[&str], value: f64) {
        assert_ne!(self.kind, Kind::Histogram, "{} has more than a value", self.name);
        self.line("", labels, None, value);
    }

    /// A histogram with these labels: how many were not above each bound, in ascending order, how many
    /// there were, and their sum.
    ///
    /// # Panics
    /// If there are more or fewer labels than the metric has, or it is no histogram.
    pub fn histogram(&mut self, labels: &[&str], upto: &[(f64, u64)], count: u64, sum: f64) {
        assert_eq!(self.kind, Kind::Histogram, "{} has values", self.name);
        for (bound, counted) in upto {
            self.line("_bucket", labels, Some(&bound.to_string()), *counted as f64);
        }
        self.line("_bucket", labels, Some("+Inf"), count as f64);
        self.line("_sum", labels, None, sum);
        self.line("_count", labels, None, count as f64);
    }

    fn line(&mut self, suffix: &str, labels: &[&str], bound: Option<&str>, value: f64) {
        assert_eq!(labels.len(), self.labels.len(), "labels of {}", self.name);
        self.text.push_str(self.name);
        self.text.push_str(suffix);
        let named = self.labels.iter().copied().zip(labels.iter().copied());
        for (nth, (label, value)) in named.chain(bound.map(|bound| ("le", bound))).enumerate() {
            let before = if nth == 0 { '{' } else { ',' };
            let _ = write!(self.text, "{before}{label}=\"{}\"", escaped(value, true));
        }
        if !labels.is_empty() || bound.is_some() {
            self.text.push('}');
        }
        let _ = writeln!(self.text, " {value}");
    }
}

/// A text with what would end it escaped: line feeds and backslashes, and quotes where it is `quoted`.
fn escaped(text: &str, quoted: bool) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '\\' => escaped.push_str("\\\\"),
            '\n' => escaped.push_str("\\n"),
            '"' if quoted => escaped.push_str("\\\""),
            other => escaped.push(other),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLAIN: Metric = Metric {
        name: "pulsefield_things_total",
        kind: Kind::Counter,
        help: "Things \\ of\n\"both\" kinds.",
        labels: &[],
    };
    const LABELLED: Metric = Metric { labels: &["lun", "lane"], ..PLAIN };
    const TIMES: Metric = Metric {
        name: "pulsefield_times_seconds",
        kind: Kind::Histogram,
        help: "Times.",
        labels: &["lun"],
    };

    fn page(metric: &Metric, write: impl FnOnce(&mut Family<'_>)) -> String {
        let mut page = Page::default();
        write(&mut page.family(metric));
        page.into_text()
    }

    #[test]
    fn a_name_has_its_help_and_its_kind_first() {
        let text = page(&PLAIN, |family| family.sample(&[], 3.0));
        assert_eq!(
            text,
            "# HELP pulsefield_things_total Things \\\\ of\\n\"both\" kinds.\n\
             # TYPE pulsefield_things_total counter\n\
             pulsefield_things_total 3\n"
        );
    }

    #[test]
    fn labels_say_exactly_what_was_given() {
        let text = page(&LABELLED, |family| family.sample(&["a\"b\\c\nd é", "bulk"], 0.000_25));
        let line = "pulsefield_things_total{lun=\"a\\\"b\\\\c\\nd é\",lane=\"bulk\"} 0.00025";
        assert_eq!(text.lines().last(), Some(line));
    }

    #[test]
    fn a_histogram_is_cumulative_and_ends_with_all() {
        let text = page(&TIMES, |family| {
            family.histogram(&["ds1"], &[(0.001, 3), (8.0, 4)], 5, 20.5);
        });
        let values: Vec<&str> = text.lines().skip(2).collect();
        assert_eq!(
            values,
            [
                "pulsefield_times_seconds_bucket{lun=\"ds1\",le=\"0.001\"} 3",
                "pulsefield_times_seconds_bucket{lun=\"ds1\",le=\"8\"} 4",
                "pulsefield_times_seconds_bucket{lun=\"ds1\",le=\"+Inf\"} 5",
                "pulsefield_times_seconds_sum{lun=\"ds1\"} 20.5",
                "pulsefield_times_seconds_count{lun=\"ds1\"} 5",
            ]
        );
    }

    #[test]
    fn numbers_are_written_out() {
        let value = |value| page(&PLAIN, |family| family.sample(&[], value));
        assert!(value(1e21).ends_with(" 1000000000000000000000\n"));
        assert!(value(1.5e-7).ends_with(" 0.00000015\n"));
    }
}
