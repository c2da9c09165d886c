//! The workloads: which commands go to how many units on which medium, and past which faults.

/// What a unit serves; or that there is none ([`crate::bare`]).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Medium {
    /// `null/`.
    Null,
    /// `ram/`.
    Ram,
    /// `null/`, but bulk is never completed.
    Holding,
    /// Nothing, by a loop that answers.
    BareNull,
    /// Memory, by a loop that copies and answers.
    BareRam,
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
    /// The same, which writes as many bytes as a heartbeat has that are not zero.
    Pulse,
}

impl Kind {
    /// The operation code.
    pub(crate) const fn opcode(self) -> u8 {
        match self {
            Self::Read => 0x88,
            Self::Write => 0x8a,
            Self::CompareAndWrite | Self::Pulse => 0x89,
        }
    }
}

/// What was armed for the units, none of which hits a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Faults {
    /// Nothing, ever.
    Never,
    /// A rule for other blocks, which is disarmed.
    Disarmed,
    /// A rule for other blocks.
    Elsewhere,
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
    pub(crate) faults: Faults,
    /// Whether the units are recorded, every ATS whole.
    pub(crate) recorded: bool,
    /// Commands a second that one core must manage.
    pub(crate) target: Option<f64>,
}

/// Workloads that are measured in turns.
#[derive(Debug)]
pub(crate) struct Group {
    /// What their names begin with.
    pub(crate) name: &'static str,
    pub(crate) workloads: &'static [Workload],
    /// How many times what a command of the first costs one of the last may cost.
    pub(crate) growth_max: Option<f64>,
}

/// How much more a command may cost beside many than beside one.
pub(crate) const GROWTH_MAX: f64 = 1.3;

/// The same for what should cost nothing at all: less than what two runs differ by.
const NOTHING_MAX: f64 = 1.03;

const fn workload(name: &'static str, medium: Medium, kind: Kind) -> Workload {
    let (faults, recorded, target) = (Faults::Never, false, None);
    Workload { name, medium, kind, units: 1, held: 0, faults, recorded, target }
}

const fn reaching(target: f64, workload: Workload) -> Workload {
    Workload { target: Some(target), ..workload }
}

const fn past(faults: Faults, name: &'static str) -> Workload {
    Workload { faults, ..workload(name, Medium::Null, Kind::Write) }
}

/// All workloads.
pub(crate) static GROUPS: &[Group] = &[
    Group {
        name: "null",
        workloads: &[
            reaching(3e6, workload("null.read", Medium::Null, Kind::Read)),
            reaching(3e6, workload("null.write", Medium::Null, Kind::Write)),
            reaching(1e6, workload("null.caw", Medium::Null, Kind::CompareAndWrite)),
            workload("null.bare.read", Medium::BareNull, Kind::Read),
            workload("null.bare.write", Medium::BareNull, Kind::Write),
            workload("null.bare.caw", Medium::BareNull, Kind::CompareAndWrite),
        ],
        growth_max: None,
    },
    Group {
        name: "ram",
        workloads: &[
            reaching(1e6, workload("ram.read", Medium::Ram, Kind::Read)),
            reaching(1e6, workload("ram.write", Medium::Ram, Kind::Write)),
            reaching(1e6, workload("ram.caw", Medium::Ram, Kind::CompareAndWrite)),
            workload("ram.bare.read", Medium::BareRam, Kind::Read),
            workload("ram.bare.write", Medium::BareRam, Kind::Write),
            workload("ram.bare.caw", Medium::BareRam, Kind::CompareAndWrite),
        ],
        growth_max: None,
    },
    Group {
        name: "held",
        workloads: &[
            Workload { held: 1, ..workload("held.1", Medium::Holding, Kind::CompareAndWrite) },
            Workload { held: 100, ..workload("held.100", Medium::Holding, Kind::CompareAndWrite) },
            Workload {
                held: 4000,
                ..workload("held.4000", Medium::Holding, Kind::CompareAndWrite)
            },
        ],
        growth_max: Some(GROWTH_MAX),
    },
    Group {
        name: "units",
        workloads: &[
            Workload { units: 1, ..workload("units.1", Medium::Null, Kind::Write) },
            Workload { units: 16, ..workload("units.16", Medium::Null, Kind::Write) },
            Workload { units: 256, ..workload("units.256", Medium::Null, Kind::Write) },
        ],
        growth_max: Some(GROWTH_MAX),
    },
    Group {
        name: "units.caw",
        workloads: &[
            workload("units.caw.1", Medium::Ram, Kind::CompareAndWrite),
            Workload {
                units: 256,
                ..workload("units.caw.256", Medium::Ram, Kind::CompareAndWrite)
            },
        ],
        growth_max: Some(GROWTH_MAX),
    },
    Group {
        name: "units.bare",
        workloads: &[
            workload("units.bare.1", Medium::BareNull, Kind::Write),
            Workload { units: 256, ..workload("units.bare.256", Medium::BareNull, Kind::Write) },
        ],
        growth_max: Some(GROWTH_MAX),
    },
    Group {
        name: "faults",
        workloads: &[
            past(Faults::Never, "faults.never"),
            past(Faults::Elsewhere, "faults.elsewhere"),
            past(Faults::Disarmed, "faults.disarmed"),
        ],
        growth_max: Some(NOTHING_MAX),
    },
    Group {
        name: "record",
        workloads: &[
            workload("record.off", Medium::Null, Kind::Pulse),
            Workload { recorded: true, ..workload("record.on", Medium::Null, Kind::Pulse) },
        ],
        growth_max: None,
    },
];

impl Workload {
    /// The workload of this name.
    pub(crate) fn called(name: &str) -> Option<&'static Self> {
        let mut all = GROUPS.iter().flat_map(|group| group.workloads);
        all.find(|workload| workload.name == name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn workloads_are_called_by_their_groups_and_one_each() {
        for group in GROUPS {
            for workload in group.workloads {
                assert!(workload.name.starts_with(&format!("{}.", group.name)));
                let called = Workload::called(workload.name).unwrap();
                assert!(std::ptr::eq(called, workload), "{}", workload.name);
            }
        }
    }
}
