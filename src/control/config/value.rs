//! The values a key can have, each a type that cannot be wrong.

use std::net::SocketAddr;
use std::num::NonZeroU8;

use pulsefield_settings::value::{integer, string};
use pulsefield_settings::{DeValue, Problem, Time};
use pulsefield_units::LbaRange;
use serde::{Serialize, Serializer};

/// The least important message that is still logged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum LogLevel {
    /// Only what went wrong.
    Error,
    /// And what may go wrong.
    Warn,
    /// And changes of state that an operator would act on.
    Info,
    /// And what a developer asks for.
    Debug,
    /// And every command.
    Trace,
}

impl LogLevel {
    const ALL: [Self; 5] = [Self::Error, Self::Warn, Self::Info, Self::Debug, Self::Trace];
    const NAMES: &[&str] = &["error", "warn", "info", "debug", "trace"];

    pub(super) fn read(key: &'static str, value: &DeValue<'_>) -> Result<Self, Problem> {
        word(key, value, Self::NAMES, Self::ALL)
    }
}

/// Whether the threads of units look for work a moment longer before they sleep.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Polling {
    /// Where commands come close together and processors are to spare.
    Auto,
    /// Never.
    Off,
}

impl Polling {
    const ALL: [Self; 2] = [Self::Auto, Self::Off];
    const NAMES: &[&str] = &["auto", "off"];

    pub(super) fn read(key: &'static str, value: &DeValue<'_>) -> Result<Self, Problem> {
        word(key, value, Self::NAMES, Self::ALL)
    }
}

/// MEDIUM ROTATION RATE: not reported, non-rotating, or rotations per minute.
///
/// Spec: SBC-4, Block Device Characteristics VPD page.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct RotationRate(u16);

impl RotationRate {
    /// A medium that does not rotate.
    pub const NON_ROTATING: Self = Self(1);

    /// The value of the field.
    pub const fn as_u16(self) -> u16 {
        self.0
    }

    pub(super) fn read(key: &'static str, value: &DeValue<'_>) -> Result<Self, Problem> {
        let rate = integer(key, value)?;
        match u16::try_from(rate) {
            // 0002h to 0400h and FFFFh are reserved.
            Ok(rate @ (0 | 1 | 0x0401..=0xfffe)) => Ok(Self(rate)),
            Ok(_) | Err(_) => Err(Problem::Value {
                key,
                expected: "0 (not reported), 1 (non-rotating) or 1025 to 65534 (rpm)",
                found: rate.to_string(),
            }),
        }
    }
}

/// The length of a physical block: 512 or 4096 bytes. A logical unit whose logical blocks are longer
/// has physical blocks like its logical ones.
///
/// Spec: SBC-4, LOGICAL BLOCKS PER PHYSICAL BLOCK EXPONENT in READ CAPACITY (16) parameter data.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct PhysicalBlock(u32);

impl PhysicalBlock {
    /// No longer than the logical blocks, whatever they are.
    pub const LIKE_LOGICAL: Self = Self(512);

    /// Its length in bytes.
    pub const fn bytes(self) -> u32 {
        self.0
    }

    pub(super) fn read(key: &'static str, value: &DeValue<'_>) -> Result<Self, Problem> {
        match integer(key, value)? {
            512 => Ok(Self(512)),
            4096 => Ok(Self(4096)),
            other => {
                Err(Problem::Value { key, expected: "512 or 4096 bytes", found: other.to_string() })
            }
        }
    }
}

/// Whether space may be given back: PROVISIONING TYPE and LBPME.
///
/// Spec: SBC-4, Logical block provisioning.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Provisioning {
    /// Wherever the medium can.
    Thin,
    /// Never: every block is mapped.
    Full,
}

impl Provisioning {
    const ALL: [Self; 2] = [Self::Thin, Self::Full];
    const NAMES: &[&str] = &["thin", "full"];

    pub(super) fn read(key: &'static str, value: &DeValue<'_>) -> Result<Self, Problem> {
        word(key, value, Self::NAMES, Self::ALL)
    }
}

pub(super) fn compare_and_write_max_blocks(
    key: &'static str,
    value: &DeValue<'_>,
) -> Result<NonZeroU8, Problem> {
    let blocks = integer(key, value)?;
    u8::try_from(blocks).ok().and_then(NonZeroU8::new).ok_or_else(|| Problem::Value {
        key,
        expected: "1 to 255 blocks",
        found: blocks.to_string(),
    })
}

/// An IP address and a port; the empty string is none.
pub(super) fn address(
    key: &'static str,
    value: &DeValue<'_>,
) -> Result<Option<SocketAddr>, Problem> {
    match string(key, value)? {
        "" => Ok(None),
        text => text.parse().map(Some).map_err(|_| Problem::Value {
            key,
            expected: "an IP address and a port, as \"127.0.0.1:9842\" or \"[::1]:9842\"",
            found: format!("\"{text}\""),
        }),
    }
}

pub(super) fn write_address<S: Serializer>(
    address: &Option<SocketAddr>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    match address {
        Some(address) => serializer.collect_str(address),
        None => serializer.serialize_str(""),
    }
}

pub(super) fn write_ranges<S: Serializer>(
    ranges: &[LbaRange],
    serializer: S,
) -> Result<S::Ok, S::Error> {
    serializer.collect_seq(ranges.iter().map(LbaRange::to_string))
}

pub(super) fn write_time<S: Serializer>(time: &Time, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(time)
}

pub(super) fn write_name<S: Serializer>(
    name: &Option<String>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(name.as_deref().unwrap_or_default())
}

/// The one of `meanings` that the word at `key` stands for; `names` are the words, in the same order.
pub(super) fn word<T, const N: usize>(
    key: &'static str,
    value: &DeValue<'_>,
    names: &'static [&'static str],
    meanings: [T; N],
) -> Result<T, Problem> {
    let word = string(key, value)?;
    let mut named = names.iter().zip(meanings);
    named
        .find_map(|(name, meaning)| (*name == word).then_some(meaning))
        .ok_or_else(|| Problem::word(key, word, names.to_vec()))
}
