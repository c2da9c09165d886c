//! The parameters of a fault, each as its default unless the rule says otherwise.

use std::num::{NonZeroI64, NonZeroU32};
use std::time::Duration;

use pulsefield_scsi::{Asc, Sense, SenseKey, Status};
use pulsefield_settings::{ByteSize, DeValue, Diagnostic, Item, Problem, Section, Time, value};

use super::{natural, positive, some_time};
use crate::catalogue::{Entry, STATUSES};
use crate::fault::PAGE_BYTES_MAX;
use crate::{BitFlipSide, Delay, Fault, Phase};

type Result<T, E = Box<Diagnostic>> = std::result::Result<T, E>;

/// The fault of this entry, with the parameters in `section`.
pub(super) fn read(entry: &'static Entry, section: &mut Section<'_>) -> Result<Fault> {
    let mut p = Parameters { entry, section };
    Ok(match entry.name {
        "miscompare.spurious" => Fault::MiscompareSpurious,
        "miscompare.false-equal" => Fault::MiscompareFalseEqual,
        "miscompare.wrong-offset" => {
            Fault::MiscompareWrongOffset { shift: p.value("shift", count)? }
        }
        "miscompare.no-information" => Fault::MiscompareNoInformation,
        "miscompare.wrong-sense" => {
            let (key, asc) = p.value("sense", sense)?;
            Fault::MiscompareWrongSense { key, asc }
        }
        "caw.status-lost" => Fault::CawStatusLost { limit: p.value("limit", limit)? },
        "caw.late-apply" => Fault::CawLateApply {
            delay: p.value("delay", some_time)?.duration(),
            limit: p.value("limit", limit)?,
        },
        "caw.slow" => Fault::CawSlow { delay: p.delay("delay")?, phase: p.value("phase", phase)? },
        "caw.not-atomic" => Fault::CawNotAtomic { gap: p.delay("gap")? },
        "caw.torn" => Fault::CawTorn { bytes: p.value("bytes", bytes)? },
        "caw.write-first" => Fault::CawWriteFirst,
        "caw.twice" => Fault::CawTwice,
        "caw.page-rmw" => Fault::CawPageRmw { page: p.value("page", page)?, gap: p.delay("gap")? },
        "caw.global-mutex" => Fault::CawGlobalMutex { hold: p.delay("hold")? },
        "caw.unsupported" => Fault::CawUnsupported,
        "caw.flap" => Fault::CawFlap {
            off: p.value("off", some_time)?.duration(),
            on: p.value("on", some_time)?.duration(),
        },
        "latency" => Fault::Latency { delay: p.delay("delay")? },
        "starve" => Fault::Starve {
            step: p.value("step", some_time)?.duration(),
            free: p.value("free", small)?,
        },
        "stall" => Fault::Stall { duration: p.value("duration", some_time)?.duration() },
        "status" => {
            let (status, sense) = p.value("status", status)?;
            Fault::Status { status, sense }
        }
        "drop" => Fault::Drop { limit: p.value("limit", limit)? },
        "stale-read" => Fault::StaleRead { lasting: p.value("lasting", some_time)?.duration() },
        "lost-write" => Fault::LostWrite,
        "misdirected-write" => Fault::MisdirectedWrite { distance: p.value("distance", distance)? },
        "bit-flip" => {
            Fault::BitFlip { side: p.value("side", side)?, bits: p.value("bits", count)? }
        }
        "torn-write" => Fault::TornWrite { bytes: p.value("bytes", bytes)? },
        "write.revert" => Fault::WriteRevert { writes: p.value("writes", count)? },
        "stale-compare" => Fault::StaleCompare { age: p.value("age", count)? },
        "zero.lie-read" => Fault::ZeroLieRead,
        "zero.lie-status" => Fault::ZeroLieStatus,
        "zero.keep-data" => Fault::ZeroKeepData,
        "unmap.late" => Fault::UnmapLate { delay: p.delay("delay")? },
        "thin.full" => Fault::ThinFull,
        "thin.threshold" => Fault::ThinThreshold,
        "not-ready" => Fault::NotReady { qualifier: p.value("asc", qualifier)? },
        "alua-transition" => Fault::AluaTransition,
        "unit-attention" => Fault::UnitAttention { asc: p.value("asc", asc)? },
        "reservation.conflict" => Fault::ReservationConflict,
        "reservation.stuck" => Fault::ReservationStuck,
        "medium-error" => Fault::MediumError { asc: p.value("asc", asc)? },
        name => unreachable!("{name} is in the catalogue and cannot be read"),
    })
}

/// The parameters of one fault, in a rule.
struct Parameters<'s, 'a> {
    entry: &'static Entry,
    section: &'s mut Section<'a>,
}

impl Parameters<'_, '_> {
    fn value<T>(
        &mut self,
        name: &'static str,
        read: impl Fn(&'static str, &DeValue<'_>) -> Result<T, Problem>,
    ) -> Result<T> {
        self.read(name, |item| item.read(&read))
    }

    fn delay(&mut self, name: &'static str) -> Result<Delay> {
        self.read(name, delay)
    }

    /// What `read` makes of the parameter, or of its default.
    ///
    /// # Panics
    /// If the catalogue has no such parameter of the fault.
    fn read<T>(&mut self, name: &'static str, read: impl Fn(Item<'_>) -> Result<T>) -> Result<T> {
        if let Some(item) = self.section.item(name) {
            return read(item);
        }
        let mut parameters = self.entry.parameters.iter();
        let parameter = parameters.find(|parameter| parameter.name == name);
        let default = parameter.expect("parameters are those of the catalogue").default;
        let text = format!("{name} = {default}");
        let item = Section::parse("catalogue", &text)?.item(name);
        read(item.expect("the key that was just written"))
    }
}

fn delay(item: Item<'_>) -> Result<Delay> {
    if item.value().as_str().is_some() {
        return Ok(Delay::Fixed(item.read(Time::read)?.duration()));
    }
    let mut section = item.into_section()?;
    let delay = if let Some([from, to]) = two_times(&mut section, "uniform", true)? {
        Delay::Uniform { from, to }
    } else if let Some([mean, deviation]) = two_times(&mut section, "normal", false)? {
        Delay::Normal { mean, deviation }
    } else if let Some([minimum, maximum]) = two_times(&mut section, "pareto", true)? {
        let shape = section.required("shape", "a number above 0, as 1.5", shape)?;
        Delay::Pareto { minimum, shape, maximum }
    } else {
        section.required("uniform", "two times, or else normal or pareto", |key, value| {
            Time::read(key, value).map(|time| Delay::Fixed(time.duration()))
        })?
    };
    section.finish()?;
    Ok(delay)
}

/// The two times at `key`; the second no shorter if they are in `order`.
fn two_times(
    section: &mut Section<'_>,
    key: &'static str,
    order: bool,
) -> Result<Option<[Duration; 2]>> {
    let Some(item) = section.item(key) else {
        return Ok(None);
    };
    let times = item.read_each(Time::read)?;
    match times[..] {
        [a, b] if a <= b || !order => Ok(Some([a.duration(), b.duration()])),
        _ => Err(item.diagnostic(Problem::Value {
            key,
            expected: match order {
                true => "two times, the shorter one first",
                false => "two times: mean and deviation",
            },
            found: times.iter().map(Time::to_string).collect::<Vec<_>>().join(", "),
        })),
    }
}

fn shape(key: &'static str, value: &DeValue<'_>) -> Result<f64, Problem> {
    let float = value.as_float().and_then(|float| float.as_str().parse::<f64>().ok());
    let integer = || f64::from(u16::try_from(value::integer(key, value).ok()?).ok()?).into();
    float.or_else(integer).filter(|shape| *shape > 0.0 && shape.is_finite()).ok_or_else(|| {
        let found = value.type_str().to_owned();
        Problem::Value { key, expected: "a number above 0, as 1.5", found }
    })
}

fn count(key: &'static str, value: &DeValue<'_>) -> Result<NonZeroU32, Problem> {
    positive::<u32>(key, value).map(|count| count.try_into().unwrap_or(NonZeroU32::MIN))
}

fn small(key: &'static str, value: &DeValue<'_>) -> Result<u32, Problem> {
    let number = natural(key, value)?;
    u32::try_from(number).map_err(|_| Problem::Value {
        key,
        expected: "a number of 32 bits",
        found: number.to_string(),
    })
}

fn distance(key: &'static str, value: &DeValue<'_>) -> Result<NonZeroI64, Problem> {
    NonZeroI64::new(value::integer(key, value)?).ok_or_else(|| Problem::Value {
        key,
        expected: "a number of blocks other than 0",
        found: "0".to_owned(),
    })
}

fn bytes(key: &'static str, value: &DeValue<'_>) -> Result<u32, Problem> {
    let size = ByteSize::read(key, value)?;
    u32::try_from(size.bytes()).map_err(|_| Problem::Value {
        key,
        expected: "less than 4GiB",
        found: size.to_string(),
    })
}

fn page(key: &'static str, value: &DeValue<'_>) -> Result<u32, Problem> {
    let page = bytes(key, value)?;
    let possible = page.is_power_of_two() && (512..=PAGE_BYTES_MAX).contains(&page);
    possible.then_some(page).ok_or_else(|| Problem::Value {
        key,
        expected: "a power of two from 512 to 1MiB",
        found: ByteSize::from(u64::from(page)).to_string(),
    })
}

fn limit(key: &'static str, value: &DeValue<'_>) -> Result<Option<Duration>, Problem> {
    match value::string(key, value)? {
        "cmd_time_out" => Ok(None),
        _ => some_time(key, value).map(|time| Some(time.duration())),
    }
}

fn phase(key: &'static str, value: &DeValue<'_>) -> Result<Phase, Problem> {
    let all = [Phase::Before, Phase::After];
    let word = value::string(key, value)?;
    all.into_iter()
        .find(|phase| phase.name() == word)
        .ok_or_else(|| Problem::word(key, word, all.map(Phase::name).to_vec()))
}

fn side(key: &'static str, value: &DeValue<'_>) -> Result<BitFlipSide, Problem> {
    let all = [BitFlipSide::Read, BitFlipSide::Write];
    let word = value::string(key, value)?;
    all.into_iter()
        .find(|side| side.name() == word)
        .ok_or_else(|| Problem::word(key, word, all.map(BitFlipSide::name).to_vec()))
}

fn status(key: &'static str, value: &DeValue<'_>) -> Result<(Status, Option<Sense>), Problem> {
    let word = value::string(key, value)?;
    if word.contains('/') {
        let (sense_key, asc) = sense(key, value)?;
        return Ok((Status::CheckCondition, Some(Sense::new(sense_key, asc))));
    }
    STATUSES
        .iter()
        .find_map(|(name, status)| (*name == word).then_some((*status, None)))
        .ok_or_else(|| Problem::word(key, word, STATUSES.iter().map(|(name, _)| *name).collect()))
}

fn sense(key: &'static str, value: &DeValue<'_>) -> Result<(SenseKey, Asc), Problem> {
    let bytes = hex::<3>(key, value, "key/ASC/ASCQ in hexadecimal, as \"03/11/00\"")?;
    let [sense_key, asc, ascq] = bytes;
    let sense_key = SenseKey::from_u8(sense_key).ok_or_else(|| Problem::Value {
        key,
        expected: "a sense key up to 0f",
        found: format!("{sense_key:02x}"),
    })?;
    Ok((sense_key, Asc::new(asc, ascq)))
}

fn asc(key: &'static str, value: &DeValue<'_>) -> Result<Asc, Problem> {
    let [asc, ascq] = hex::<2>(key, value, "ASC/ASCQ in hexadecimal, as \"29/00\"")?;
    Ok(Asc::new(asc, ascq))
}

fn qualifier(key: &'static str, value: &DeValue<'_>) -> Result<u8, Problem> {
    let expected = "ASC/ASCQ in hexadecimal with ASC 04, as \"04/01\"";
    match hex::<2>(key, value, expected)? {
        [0x04, qualifier] => Ok(qualifier),
        [asc, ascq] => {
            Err(Problem::Value { key, expected, found: format!("{asc:02x}/{ascq:02x}") })
        }
    }
}

/// `N` bytes in hexadecimal with slashes between them.
fn hex<const N: usize>(
    key: &'static str,
    value: &DeValue<'_>,
    expected: &'static str,
) -> Result<[u8; N], Problem> {
    let text = value::string(key, value)?;
    let byte = |digits: &str| {
        // `from_str_radix` alone would also take a sign.
        let possible = digits.len() <= 2 && digits.bytes().all(|digit| digit.is_ascii_hexdigit());
        possible.then(|| u8::from_str_radix(digits, 16).ok()).flatten()
    };
    let bytes: Option<Vec<u8>> = text.split('/').map(byte).collect();
    bytes.and_then(|bytes| bytes.try_into().ok()).ok_or_else(|| Problem::Value {
        key,
        expected,
        found: format!("\"{text}\""),
    })
}
