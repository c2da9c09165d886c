//! The name of a fault, and the values of its parameters.

use std::fmt;
use std::time::Duration;

use pulsefield_scsi::{Asc, Sense, SenseKey, Status};
use pulsefield_settings::{ByteSize, Time};

use super::Entry;
use crate::{BitFlipSide, Delay, Fault, Phase};

impl Fault {
    /// Its name in the catalogue.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::MiscompareSpurious => "miscompare.spurious",
            Self::MiscompareFalseEqual => "miscompare.false-equal",
            Self::MiscompareWrongOffset { .. } => "miscompare.wrong-offset",
            Self::MiscompareNoInformation => "miscompare.no-information",
            Self::MiscompareWrongSense { .. } => "miscompare.wrong-sense",
            Self::CawStatusLost { .. } => "caw.status-lost",
            Self::CawLateApply { .. } => "caw.late-apply",
            Self::CawSlow { .. } => "caw.slow",
            Self::CawNotAtomic { .. } => "caw.not-atomic",
            Self::CawTorn { .. } => "caw.torn",
            Self::CawWriteFirst => "caw.write-first",
            Self::CawTwice => "caw.twice",
            Self::CawPageRmw { .. } => "caw.page-rmw",
            Self::CawGlobalMutex { .. } => "caw.global-mutex",
            Self::CawUnsupported => "caw.unsupported",
            Self::CawFlap { .. } => "caw.flap",
            Self::Latency { .. } => "latency",
            Self::Starve { .. } => "starve",
            Self::Stall { .. } => "stall",
            Self::Status { .. } => "status",
            Self::Drop { .. } => "drop",
            Self::StaleRead { .. } => "stale-read",
            Self::LostWrite => "lost-write",
            Self::MisdirectedWrite { .. } => "misdirected-write",
            Self::BitFlip { .. } => "bit-flip",
            Self::TornWrite { .. } => "torn-write",
            Self::WriteRevert { .. } => "write.revert",
            Self::StaleCompare { .. } => "stale-compare",
            Self::ZeroLieRead => "zero.lie-read",
            Self::ZeroLieStatus => "zero.lie-status",
            Self::ZeroKeepData => "zero.keep-data",
            Self::UnmapLate { .. } => "unmap.late",
            Self::ThinFull => "thin.full",
            Self::ThinThreshold => "thin.threshold",
            Self::NotReady { .. } => "not-ready",
            Self::AluaTransition => "alua-transition",
            Self::UnitAttention { .. } => "unit-attention",
            Self::ReservationConflict => "reservation.conflict",
            Self::ReservationStuck => "reservation.stuck",
            Self::MediumError { .. } => "medium-error",
        }
    }

    /// What happens to a command that it hits, in words.
    pub fn happening(&self) -> String {
        let values = self.values();
        Entry::of(self).happening(|name| {
            let value = values.iter().find(|(own, _)| *own == name);
            value.map(|(_, value)| value.words()).unwrap_or_default()
        })
    }

    /// The values of its parameters, by name.
    pub(crate) fn values(&self) -> Vec<(&'static str, Value)> {
        match *self {
            Self::MiscompareSpurious
            | Self::MiscompareFalseEqual
            | Self::MiscompareNoInformation
            | Self::CawWriteFirst
            | Self::CawTwice
            | Self::CawUnsupported
            | Self::LostWrite
            | Self::ZeroLieRead
            | Self::ZeroLieStatus
            | Self::ZeroKeepData
            | Self::ThinFull
            | Self::ThinThreshold
            | Self::AluaTransition
            | Self::ReservationConflict
            | Self::ReservationStuck => Vec::new(),
            Self::MiscompareWrongOffset { shift } => {
                vec![("shift", Value::Number(shift.get().into()))]
            }
            Self::MiscompareWrongSense { key, asc } => vec![("sense", Value::Sense(key, asc))],
            Self::CawStatusLost { limit } | Self::Drop { limit } => {
                vec![("limit", Value::Limit(limit))]
            }
            Self::CawLateApply { delay, limit } => {
                vec![("delay", Value::Time(delay)), ("limit", Value::Limit(limit))]
            }
            Self::CawSlow { delay, phase } => {
                vec![("delay", Value::Delay(delay)), ("phase", Value::Word(phase.name()))]
            }
            Self::CawNotAtomic { gap } => vec![("gap", Value::Delay(gap))],
            Self::CawTorn { bytes } | Self::TornWrite { bytes } => {
                vec![("bytes", Value::Bytes(bytes))]
            }
            Self::CawPageRmw { page, gap } => {
                vec![("page", Value::Bytes(page)), ("gap", Value::Delay(gap))]
            }
            Self::CawGlobalMutex { hold } => vec![("hold", Value::Delay(hold))],
            Self::CawFlap { off, on } => {
                vec![("off", Value::Time(off)), ("on", Value::Time(on))]
            }
            Self::Latency { delay } | Self::UnmapLate { delay } => {
                vec![("delay", Value::Delay(delay))]
            }
            Self::Starve { step, free } => {
                vec![("step", Value::Time(step)), ("free", Value::Number(free.into()))]
            }
            Self::Stall { duration } => vec![("duration", Value::Time(duration))],
            Self::Status { status, sense } => vec![("status", Value::Status(status, sense))],
            Self::StaleRead { lasting } => vec![("lasting", Value::Time(lasting))],
            Self::MisdirectedWrite { distance } => {
                vec![("distance", Value::Number(distance.get()))]
            }
            Self::BitFlip { side, bits } => {
                vec![("bits", Value::Number(bits.get().into())), ("side", Value::Word(side.name()))]
            }
            Self::WriteRevert { writes } => {
                vec![("writes", Value::Number(writes.get().into()))]
            }
            Self::StaleCompare { age } => vec![("age", Value::Number(age.get().into()))],
            Self::NotReady { qualifier } => vec![("asc", Value::Asc(Asc::new(0x04, qualifier)))],
            Self::UnitAttention { asc } | Self::MediumError { asc } => {
                vec![("asc", Value::Asc(asc))]
            }
        }
    }
}

impl Phase {
    /// Its name in plans.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Before => "before",
            Self::After => "after",
        }
    }
}

impl BitFlipSide {
    /// Its name in plans.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Write => "write",
        }
    }
}

/// The statuses that can be had by name, and those names.
pub(crate) const STATUSES: &[(&str, Status)] = &[
    ("busy", Status::Busy),
    ("task-set-full", Status::TaskSetFull),
    ("reservation-conflict", Status::ReservationConflict),
    ("task-aborted", Status::TaskAborted),
];

/// The value of a parameter.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Value {
    Time(Duration),
    Limit(Option<Duration>),
    Delay(Delay),
    Bytes(u32),
    Number(i64),
    Word(&'static str),
    Sense(SenseKey, Asc),
    Asc(Asc),
    Status(Status, Option<Sense>),
}

impl Value {
    /// As it is written in a plan.
    pub(crate) fn toml(self) -> String {
        match self {
            Self::Number(number) => number.to_string(),
            Self::Delay(
                delay @ (Delay::Uniform { .. } | Delay::Normal { .. } | Delay::Pareto { .. }),
            ) => delay_table(delay),
            Self::Sense(key, asc) => quoted(triple(key, asc)),
            Self::Asc(asc) => quoted(pair(asc)),
            Self::Status(_, Some(sense)) => quoted(triple(sense.key, sense.asc)),
            Self::Status(status, None) => quoted(status_name(status)),
            Self::Time(_)
            | Self::Limit(_)
            | Self::Delay(Delay::Fixed(_))
            | Self::Bytes(_)
            | Self::Word(_) => quoted(self.words()),
        }
    }

    /// As it is said.
    pub(crate) fn words(self) -> String {
        match self {
            Self::Time(time) | Self::Delay(Delay::Fixed(time)) | Self::Limit(Some(time)) => {
                Time::from(time).to_string()
            }
            Self::Limit(None) => "cmd_time_out".to_owned(),
            Self::Delay(Delay::Uniform { from, to }) => {
                format!("{} to {}", Time::from(from), Time::from(to))
            }
            Self::Delay(Delay::Normal { mean, deviation }) => {
                format!("about {} (±{})", Time::from(mean), Time::from(deviation))
            }
            Self::Delay(Delay::Pareto { minimum, maximum, .. }) => {
                format!("{} and seldom up to {}", Time::from(minimum), Time::from(maximum))
            }
            Self::Bytes(bytes) => ByteSize::from(u64::from(bytes)).to_string(),
            Self::Number(number) => number.to_string(),
            Self::Word(word) => word.to_owned(),
            Self::Sense(key, asc) => format!("{key}, {asc}"),
            Self::Asc(asc) => asc.to_string(),
            Self::Status(_, Some(sense)) => Self::Sense(sense.key, sense.asc).words(),
            Self::Status(status, None) => status.to_string(),
        }
    }
}

fn delay_table(delay: Delay) -> String {
    let pair = |name, a: Duration, b: Duration, rest: &dyn fmt::Display| {
        format!("{{ {name} = [\"{}\", \"{}\"]{rest} }}", Time::from(a), Time::from(b))
    };
    match delay {
        Delay::Fixed(time) => quoted(Time::from(time)),
        Delay::Uniform { from, to } => pair("uniform", from, to, &""),
        Delay::Normal { mean, deviation } => pair("normal", mean, deviation, &""),
        Delay::Pareto { minimum, shape, maximum } => {
            pair("pareto", minimum, maximum, &format_args!(", shape = {shape:?}"))
        }
    }
}

fn status_name(status: Status) -> &'static str {
    STATUSES.iter().find_map(|(name, own)| (*own == status).then_some(*name)).unwrap_or("busy")
}

fn triple(key: SenseKey, asc: Asc) -> String {
    format!("{:02x}/{}", key.as_u8(), pair(asc))
}

fn pair(asc: Asc) -> String {
    format!("{:02x}/{:02x}", asc.asc(), asc.ascq())
}

fn quoted(text: impl fmt::Display) -> String {
    format!("\"{text}\"")
}
