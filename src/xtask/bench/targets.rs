//! What must be seen: every target, the figure, and whether it is reached.

use std::fmt::Write as _;

use super::record::Record;
use super::seen::{Seen, number};

/// Something that is promised.
struct Target {
    what: &'static str,
    limit: Limit,
    figure: Figure,
}

#[derive(Clone, Copy)]
enum Limit {
    AtLeast(f64),
    AtMost(f64),
}

/// Where the figure comes from.
#[derive(Clone, Copy)]
enum Figure {
    /// One value over another of the same round: the median of the rounds' ratios.
    Ratio(Place, Place),
    /// The sum of some figures.
    Sum(&'static [Place]),
    /// A micro-benchmark.
    Native(&'static str),
}

/// Workload, subject, figure.
type Place = (&'static str, &'static str, &'static str);

use Figure::{Native, Ratio, Sum};
use Limit::{AtLeast, AtMost};

const fn target(what: &'static str, limit: Limit, figure: Figure) -> Target {
    Target { what, limit, figure }
}

/// How often `other` has the figure of ours: for what should be small.
const fn less(workload: &'static str, figure: &'static str, other: &'static str) -> Figure {
    Ratio((workload, other, figure), (workload, "file", figure))
}

/// How often `one` has the requests per second of `other`.
const fn more(workload: &'static str, one: &'static str, other: &'static str) -> Figure {
    Ratio((workload, one, "iops"), (workload, other, "iops"))
}

const TARGETS: &[Target] = &[
    target(
        "CAW under bulk, p99: tcmu-runner ÷ `file`",
        AtLeast(20.0),
        less("caw-loaded", "p99", "tcmu-runner"),
    ),
    target("the same: fileio ÷ `file`", AtLeast(2.0), less("caw-loaded", "p99", "fileio")),
    target("the same: ramdisk ÷ `file`", AtLeast(2.0), less("caw-loaded", "p99", "ramdisk")),
    target(
        "CAW idle, back to back, p50: tcmu-runner ÷ `file`",
        AtLeast(1.5),
        less("caw-idle", "p50", "tcmu-runner"),
    ),
    target(
        "CAW idle, every 5 ms, p99: tcmu-runner ÷ `file`",
        AtLeast(2.0),
        less("caw-paced", "p99", "tcmu-runner"),
    ),
    target(
        "4 KiB random read, depth 1: `file` ÷ tcmu-runner",
        AtLeast(1.5),
        more("read-1", "file", "tcmu-runner"),
    ),
    target(
        "4 KiB random write, depth 1: `file` ÷ tcmu-runner",
        AtLeast(1.5),
        more("write-1", "file", "tcmu-runner"),
    ),
    target(
        "4 KiB random read, depth 32: `file` ÷ tcmu-runner",
        AtLeast(1.25),
        more("read-32", "file", "tcmu-runner"),
    ),
    target(
        "4 KiB random write, depth 32: `file` ÷ tcmu-runner",
        AtLeast(1.25),
        more("write-32", "file", "tcmu-runner"),
    ),
    target("read, depth 1: `null` ÷ bare ring", AtLeast(0.95), more("read-1", "null", "bare")),
    target("write, depth 1: `null` ÷ bare ring", AtLeast(0.95), more("write-1", "null", "bare")),
    target("read, depth 32: `null` ÷ bare ring", AtLeast(0.95), more("read-32", "null", "bare")),
    target("write, depth 32: `null` ÷ bare ring", AtLeast(0.95), more("write-32", "null", "bare")),
    target(
        "bulk while 16 hosts pulse ÷ bulk alone, `file`",
        AtLeast(0.95),
        Ratio(("pulses", "file", "bandwidth"), ("pulses", "file", "bandwidth-alone")),
    ),
    target(
        "CAW idle, back to back, p50: not recorded ÷ recorded, `null`",
        AtLeast(0.97),
        Ratio(("caw-idle", "unrecorded", "p50"), ("caw-idle", "null", "p50")),
    ),
    target("commands/s on a core, `null` read", AtLeast(3e6), Native("null.read.speed")),
    target("commands/s on a core, `null` write", AtLeast(3e6), Native("null.write.speed")),
    target("commands/s on a core, `ram` read", AtLeast(1e6), Native("ram.read.speed")),
    target("commands/s on a core, `ram` write", AtLeast(1e6), Native("ram.write.speed")),
    target("commands/s on a core, CAW", AtLeast(1e6), Native("ram.caw.speed")),
    target("a command beside 10,000 range locks ÷ beside one", AtMost(1.3), Native("lock.growth")),
    target(
        "a COMPARE AND WRITE with 256 units ÷ with one",
        AtMost(1.3),
        Native("units.caw.time.growth"),
    ),
    target("a write of `null` with 256 units ÷ with one", AtMost(1.3), Native("units.time.growth")),
    target(
        "the same, in instructions: the rest is memory that has left the cache",
        AtMost(1.3),
        Native("units.instructions.growth"),
    ),
    target(
        "instructions after faults were armed and disarmed ÷ never armed",
        AtMost(1.03),
        Native("faults.instructions.growth"),
    ),
    target(
        "256 idle LUNs: resident memory, touched pages of the rings included, KiB",
        AtMost(65_536.0),
        Sum(&[("idle-256", "file", "anonymous"), ("idle-256", "file", "file")]),
    ),
    target(
        "256 idle LUNs: processor, %",
        AtMost(0.1),
        Sum(&[("idle-256", "file", "idle-processor")]),
    ),
];

impl Limit {
    fn holds(self, value: f64) -> bool {
        match self {
            AtLeast(limit) => value >= limit,
            AtMost(limit) => value <= limit,
        }
    }

    fn shown(self) -> String {
        match self {
            AtLeast(limit) => format!("≥ {}", number(limit)),
            AtMost(limit) => format!("≤ {}", number(limit)),
        }
    }
}

impl Figure {
    /// The same of a loop that does as little as can be done, in place of `file` or of a unit: no daemon behind the ring does
    /// better by being quicker. Beside bulk it leaves the file alone, or heartbeats would wait for it as well.
    fn seen_of_bare_ring(self, record: &Record) -> Option<Seen> {
        let bare = |(workload, subject, figure)| match (workload, subject) {
            ("caw-loaded", "file") => (workload, "bare", figure),
            (_, "file") => (workload, "bare-file", figure),
            (_, other) => (workload, other, figure),
        };
        match self {
            Ratio(over, under) if (over, under) != (bare(over), bare(under)) => {
                Ratio(bare(over), bare(under)).seen(record)
            }
            Native(name) => {
                let (group, figure) = name.split_once('.')?;
                Seen::of(record.native(&format!("{group}.bare.{figure}")))
            }
            Ratio(..) | Sum(_) => None,
        }
    }

    fn seen(self, record: &Record) -> Option<Seen> {
        let values = |(workload, subject, figure): Place| record.values(workload, subject, figure);
        match self {
            Ratio(over, under) => {
                Seen::of(values(over).iter().zip(values(under)).map(|(over, under)| over / under))
            }
            Sum(places) => {
                let measured = places.iter().all(|&place| !values(place).is_empty());
                let sum = places.iter().filter_map(|&place| values(place).first()).sum();
                measured.then(|| Seen::of([sum]))?
            }
            Native(name) => Seen::of(record.native(name)),
        }
    }
}

/// All targets whose figures were measured, as Markdown; beside ours, what the bare ring makes of the same.
pub(super) fn table(record: &Record) -> String {
    let mut text = "| what | target | seen: median (rounds) | reached | the bare ring |\n\
                    |---|--:|--:|---|--:|\n"
        .to_owned();
    for Target { what, limit, figure } in TARGETS {
        if let Some(seen) = figure.seen(record) {
            let reached = if limit.holds(seen.median) { "yes" } else { "**no**" };
            let bare = figure.seen_of_bare_ring(record);
            let bare = bare.map_or_else(|| "–".to_owned(), |seen| seen.to_string());
            writeln!(text, "| {what} | {} | {seen} | {reached} | {bare} |", limit.shown())
                .expect("a string grows");
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::record;

    #[test]
    fn ratios_are_taken_within_a_round() {
        let record = record::with(&[("a", &[10.0, 40.0, 90.0]), ("b", &[1.0, 20.0, 30.0])]);
        let ratio = Ratio(("w", "a", "f"), ("w", "b", "f")).seen(&record).unwrap();
        assert_eq!(ratio, Seen { median: 3.0, least: 2.0, most: 10.0 });
        assert!(Ratio(("w", "a", "f"), ("w", "c", "f")).seen(&record).is_none());
    }

    #[test]
    fn the_bare_ring_stands_in_for_the_file() {
        let (ours, theirs) = (("w", "file", "f"), ("w", "tcmu-runner", "f"));
        let record =
            record::with(&[("tcmu-runner", &[12.0]), ("file", &[4.0]), ("bare-file", &[3.0])]);
        let bare = Ratio(theirs, ours).seen_of_bare_ring(&record).unwrap();
        assert_eq!(bare.median, 4.0);
        assert!(Ratio(theirs, ("w", "null", "f")).seen_of_bare_ring(&record).is_none());
    }

    #[test]
    fn a_sum_needs_all_of_its_parts() {
        let record = record::with(&[("a", &[10.0]), ("b", &[1.0])]);
        let sum = |places| Sum(places).seen(&record).map(|seen| seen.median);
        assert_eq!(sum(&[("w", "a", "f"), ("w", "b", "f")]), Some(11.0));
        assert_eq!(sum(&[("w", "a", "f"), ("w", "c", "f")]), None);
    }

    #[test]
    fn limits_point_both_ways() {
        assert!(AtLeast(2.0).holds(2.0) && !AtLeast(2.0).holds(1.99));
        assert!(AtMost(0.1).holds(0.1) && !AtMost(0.1).holds(0.11));
    }
}
