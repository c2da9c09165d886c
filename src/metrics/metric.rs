//! What a metric is.

/// A metric: a name for values that differ in their labels.
///
/// Named as Prometheus wants it (its documentation, *Metric and label naming*): the product first, the
/// base unit (seconds, bytes, a ratio of 1) last but for the `_total` of a counter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Metric {
    /// Its name.
    pub name: &'static str,
    /// What its values are.
    pub kind: Kind,
    /// What it is, in a sentence or two.
    pub help: &'static str,
    /// The names of its labels, in the order in which values are given.
    pub labels: &'static [&'static str],
}

/// What the values of a metric are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// They grow, and begin at zero again when the daemon does.
    Counter,
    /// They go up and down.
    Gauge,
    /// How many of something were not above each of some bounds, how many there were, and their sum.
    Histogram,
}

impl Kind {
    /// What the text format calls it.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Histogram => "histogram",
        }
    }
}
