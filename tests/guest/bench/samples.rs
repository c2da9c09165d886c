//! What was measured: a value a round for every figure of every workload on every subject.

use std::collections::BTreeMap;

use serde::Serialize;
use serde::ser::{SerializeSeq as _, Serializer};

use super::subject::Subject;
use super::workload::Workload;
use crate::table::table;

/// A measured quantity and its unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Metric {
    pub(super) name: &'static str,
    pub(super) unit: &'static str,
}

impl Metric {
    pub(super) const IOPS: Self = Self { name: "iops", unit: "1/s" };
    pub(super) const BANDWIDTH: Self = Self { name: "bandwidth", unit: "MiB/s" };
    /// With nothing else going on, to compare [`Self::BANDWIDTH`] with.
    pub(super) const BANDWIDTH_ALONE: Self = Self { name: "bandwidth-alone", unit: "MiB/s" };
    pub(super) const PROCESSOR: Self = Self { name: "processor", unit: "µs/command" };
    pub(super) const P50: Self = Self { name: "p50", unit: "µs" };
    pub(super) const P99: Self = Self { name: "p99", unit: "µs" };
    /// Of that, what our daemon takes between the ring and the ring.
    pub(super) const DAEMON_P99: Self = Self { name: "daemon-p99", unit: "µs" };
    pub(super) const MAX: Self = Self { name: "max", unit: "µs" };
    pub(super) const ANONYMOUS: Self = Self { name: "anonymous", unit: "KiB" };
    pub(super) const FILE: Self = Self { name: "file", unit: "KiB" };
    pub(super) const SHARED: Self = Self { name: "shared", unit: "KiB" };
    pub(super) const THREADS: Self = Self { name: "threads", unit: "" };
    pub(super) const IDLE: Self = Self { name: "idle-processor", unit: "%" };
}

/// Everything that was measured.
#[derive(Debug, Default)]
pub(super) struct Samples(BTreeMap<(Workload, Subject, Metric), Vec<f64>>);

impl Samples {
    /// Keeps one more value.
    pub(super) fn add(&mut self, workload: Workload, subject: Subject, metric: Metric, value: f64) {
        self.0.entry((workload, subject, metric)).or_default().push(value);
    }

    /// Everything as a table of medians, for whoever watches.
    pub(super) fn table(&self) -> String {
        let rows: Vec<_> = self
            .0
            .iter()
            .map(|((workload, subject, metric), values)| {
                vec![
                    workload.name(),
                    subject.to_string(),
                    metric.name.to_owned(),
                    format!("{:.1}", median(values)),
                    metric.unit.to_owned(),
                ]
            })
            .collect();
        table(&["workload", "subject", "figure", "median", "unit"], &rows)
    }
}

fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted.get(sorted.len() / 2).copied().unwrap_or(f64::NAN)
}

#[derive(Serialize)]
struct Sample<'a> {
    workload: String,
    subject: Subject,
    figure: &'static str,
    unit: &'static str,
    values: &'a [f64],
}

impl Serialize for Samples {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut list = serializer.serialize_seq(Some(self.0.len()))?;
        for (&(workload, subject, Metric { name, unit }), values) in &self.0 {
            let workload = workload.name();
            list.serialize_element(&Sample { workload, subject, figure: name, unit, values })?;
        }
        list.end()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_a_round() {
        let mut samples = Samples::default();
        for value in [3.0, 1.0, 2.0] {
            samples.add(Workload::Read1, Subject::File, Metric::IOPS, value);
        }
        let json = serde_json::to_value(&samples).unwrap();
        let expected = serde_json::json!([{
            "workload": "read-1", "subject": "file", "figure": "iops", "unit": "1/s",
            "values": [3.0, 1.0, 2.0],
        }]);
        assert_eq!(json, expected);
        assert_eq!(median(&[3.0, 1.0, 2.0]), 2.0);
    }
}
