//! The workloads: which commands go to how many units on which medium.

/// What a unit serves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Medium {
    /// `null/`.
    Null,
    /// `ram/`.
    Ram,
    /// `null/`, but bulk is never completed.
    Holding,
}

/// The commands of a workload, all alike, to places that do not overlap.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// READ (16) of 4 KiB.
    Read,
    /// WRITE (16) of 4 KiB.
    Write,
    /// COMPARE AND WRITE of a block of 512 bytes, which matches.
    CompareAndWrite,
}

/// One workload.
#[derive(Debug)]
pub(crate) struct Workload {
    pub(crate) name: &'static str,
    pub(crate) medium: Medium,
    pub(crate) kind: Kind,
    /// How many units take turns.
    pub(crate) units: usize,
    /// How many WRITEs hold their blocks all the while.
    pub(crate) held: usize,
    /// Commands a second that one core must manage.
    pub(crate) target: Option<f64>,
}

const fn workload(name: &'static str, medium: Medium, kind: Kind) -> Workload {
    Workload { name, medium, kind, units: 1, held: 0, target: None }
}

const fn reaching(target: f64, workload: Workload) -> Workload {
    Workload { target: Some(target), ..workload }
}

/// All workloads; those of a group stand together.
pub(crate) const WORKLOADS: &[Workload] = &[
    reaching(3e6, workload("null.read", Medium::Null, Kind::Read)),
    reaching(3e6, workload("null.write", Medium::Null, Kind::Write)),
    reaching(1e6, workload("null.caw", Medium::Null, Kind::CompareAndWrite)),
    reaching(1e6, workload("ram.read", Medium::Ram, Kind::Read)),
    reaching(1e6, workload("ram.write", Medium::Ram, Kind::Write)),
    reaching(1e6, workload("ram.caw", Medium::Ram, Kind::CompareAndWrite)),
    Workload { held: 1, ..workload("held.1", Medium::Holding, Kind::CompareAndWrite) },
    Workload { held: 100, ..workload("held.100", Medium::Holding, Kind::CompareAndWrite) },
    Workload { held: 4000, ..workload("held.4000", Medium::Holding, Kind::CompareAndWrite) },
    Workload { units: 1, ..workload("units.1", Medium::Null, Kind::Write) },
    Workload { units: 16, ..workload("units.16", Medium::Null, Kind::Write) },
    Workload { units: 256, ..workload("units.256", Medium::Null, Kind::Write) },
];

impl Workload {
    /// The workload of this name.
    pub(crate) fn called(name: &str) -> Option<&'static Self> {
        WORKLOADS.iter().find(|workload| workload.name == name)
    }

    /// The first part of its name. What is in one group is compared, and measured in turns.
    pub(crate) fn group(&self) -> &'static str {
        self.name.split('.').next().unwrap_or(self.name)
    }
}

/// The groups of [`WORKLOADS`].
pub(crate) fn groups() -> impl Iterator<Item = &'static [Workload]> {
    WORKLOADS.chunk_by(|one, next| one.group() == next.group())
}
