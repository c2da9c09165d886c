//! Persistent reservations as an administrator or a cluster handles them: `sg_persist` on one path.

use std::fmt;

use anyhow::{Result, bail};

use crate::command::{Ended, run};
use crate::disk::Disk;

/// What sg3_utils' programs end with when all they met was a unit attention (`sg3_utils(8)`).
const UNIT_ATTENTION: i32 = 6;
/// What they end with on RESERVATION CONFLICT.
const CONFLICT: i32 = 24;
/// How often a command is sent again that only met a unit attention: a registration preempted, a
/// reservation released and a reset can be pending at once.
const UNIT_ATTENTIONS_MAX: usize = 8;

/// The TYPE field of a persistent reservation (SPC-5, PERSISTENT RESERVE IN, type codes).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Type {
    /// 1h
    WriteExclusive,
    /// 3h
    ExclusiveAccess,
    /// 5h
    WriteExclusiveRegistrantsOnly,
    /// 6h
    ExclusiveAccessRegistrantsOnly,
    /// 7h
    WriteExclusiveAllRegistrants,
    /// 8h
    ExclusiveAccessAllRegistrants,
}

impl Type {
    /// All of them; 0h, 2h and 4h are obsolete.
    pub const ALL: [Self; 6] = [
        Self::WriteExclusive,
        Self::ExclusiveAccess,
        Self::WriteExclusiveRegistrantsOnly,
        Self::ExclusiveAccessRegistrantsOnly,
        Self::WriteExclusiveAllRegistrants,
        Self::ExclusiveAccessAllRegistrants,
    ];

    /// Its code.
    pub const fn code(self) -> u8 {
        match self {
            Self::WriteExclusive => 1,
            Self::ExclusiveAccess => 3,
            Self::WriteExclusiveRegistrantsOnly => 5,
            Self::ExclusiveAccessRegistrantsOnly => 6,
            Self::WriteExclusiveAllRegistrants => 7,
            Self::ExclusiveAccessAllRegistrants => 8,
        }
    }

    /// Whether others may read.
    pub const fn is_write_exclusive(self) -> bool {
        matches!(
            self,
            Self::WriteExclusive
                | Self::WriteExclusiveRegistrantsOnly
                | Self::WriteExclusiveAllRegistrants
        )
    }

    /// Whether whoever is registered may do what the holder may.
    pub const fn admits_registrants(self) -> bool {
        !matches!(self, Self::WriteExclusive | Self::ExclusiveAccess)
    }

    /// Whether whoever is registered holds it.
    pub const fn is_held_by_all(self) -> bool {
        matches!(self, Self::WriteExclusiveAllRegistrants | Self::ExclusiveAccessAllRegistrants)
    }

    /// What `sg_persist` and `mpathpersist` call it.
    const fn name(self) -> &'static str {
        match self {
            Self::WriteExclusive => "Write Exclusive",
            Self::ExclusiveAccess => "Exclusive Access",
            Self::WriteExclusiveRegistrantsOnly => "Write Exclusive, registrants only",
            Self::ExclusiveAccessRegistrantsOnly => "Exclusive Access, registrants only",
            Self::WriteExclusiveAllRegistrants => "Write Exclusive, all registrants",
            Self::ExclusiveAccessAllRegistrants => "Exclusive Access, all registrants",
        }
    }
}

impl fmt::Display for Type {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "type {}h, {}", self.code(), self.name())
    }
}

/// How a PERSISTENT RESERVE OUT ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// GOOD.
    Done,
    /// RESERVATION CONFLICT.
    Conflict,
    /// Anything else, in the program's words.
    Refused(String),
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Done => f.write_str("done"),
            Self::Conflict => f.write_str("RESERVATION CONFLICT"),
            Self::Refused(said) => f.write_str(said),
        }
    }
}

/// What everybody may read about a unit's reservation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Standing {
    /// The keys that are registered, in ascending order.
    pub keys: Vec<u64>,
    /// The type of the reservation, if there is one.
    pub reserved: Option<Type>,
    /// How many registrants hold it.
    pub holders: usize,
}

impl fmt::Display for Standing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "keys {:x?}, ", self.keys)?;
        match self.reserved {
            Some(kind) => write!(f, "{kind}, holders {}", self.holders),
            None => f.write_str("no reservation"),
        }
    }
}

/// Asks for keys, reservation and full status.
///
/// # Errors
/// `sg_persist` failed, or the three contradict one another.
pub fn standing(disk: &Disk) -> Result<Standing> {
    let keys = parse_keys(&ask(disk, "--read-keys")?);
    let reserved = parse_type(&ask(disk, "--read-reservation")?);
    let status = ask(disk, "--read-full-status")?;
    let described = status.lines().filter(|line| line.trim().starts_with("Key=0x")).count();
    if described != keys.len() {
        bail!("{} keys, but {described} in the full status: {status}", keys.len());
    }
    let holders = status.matches("<< Reservation holder >>").count();
    Ok(Standing { keys, reserved, holders })
}

/// An initiator that takes part in reservations over one path, under one key.
#[derive(Debug)]
pub struct Registrant<'a> {
    disk: &'a Disk,
    key: u64,
}

impl<'a> Registrant<'a> {
    /// Whoever comes over `disk`, not registered yet.
    pub const fn new(disk: &'a Disk, key: u64) -> Self {
        Self { disk, key }
    }

    /// REGISTER of its key; `aptpl` has the unit remember all keys over a loss of power.
    ///
    /// # Errors
    /// `sg_persist` could not be run.
    pub fn register(&self, aptpl: bool) -> Result<Verdict> {
        let key = format!("--param-sark={:#x}", self.key);
        let words = ["--register", &key, "--param-aptpl"];
        self.change(if aptpl { &words } else { &words[..2] })
    }

    /// REGISTER of no key.
    ///
    /// # Errors
    /// As [`Self::register`].
    pub fn unregister(&self) -> Result<Verdict> {
        self.change(&["--register", &self.own(), "--param-sark=0"])
    }

    /// RESERVE.
    ///
    /// # Errors
    /// As [`Self::register`].
    pub fn reserve(&self, kind: Type) -> Result<Verdict> {
        self.change(&["--reserve", &self.own(), &of(kind)])
    }

    /// RELEASE.
    ///
    /// # Errors
    /// As [`Self::register`].
    pub fn release(&self, kind: Type) -> Result<Verdict> {
        self.change(&["--release", &self.own(), &of(kind)])
    }

    /// PREEMPT of whoever has the key `victim`.
    ///
    /// # Errors
    /// As [`Self::register`].
    pub fn preempt(&self, victim: u64, kind: Type) -> Result<Verdict> {
        self.change(&["--preempt", &self.own(), &format!("--param-sark={victim:#x}"), &of(kind)])
    }

    /// PREEMPT AND ABORT of whoever has the key `victim`.
    ///
    /// # Errors
    /// As [`Self::register`].
    pub fn preempt_and_abort(&self, victim: u64, kind: Type) -> Result<Verdict> {
        let victim = format!("--param-sark={victim:#x}");
        self.change(&["--preempt-abort", &self.own(), &victim, &of(kind)])
    }

    /// CLEAR.
    ///
    /// # Errors
    /// As [`Self::register`].
    pub fn clear(&self) -> Result<Verdict> {
        self.change(&["--clear", &self.own()])
    }

    fn own(&self) -> String {
        format!("--param-rk={:#x}", self.key)
    }

    fn change(&self, words: &[&str]) -> Result<Verdict> {
        let ended = sg_persist(self.disk, "--out", words)?;
        Ok(match ended.code {
            0 => Verdict::Done,
            CONFLICT => Verdict::Conflict,
            _ => Verdict::Refused(ended.said()),
        })
    }
}

fn of(kind: Type) -> String {
    format!("--prout-type={}", kind.code())
}

fn ask(disk: &Disk, question: &str) -> Result<String> {
    let ended = sg_persist(disk, "--in", &[question])?;
    if ended.code != 0 {
        bail!("sg_persist {question} over {}: {}", disk.transport, ended.said());
    }
    Ok(ended.stdout)
}

fn sg_persist(disk: &Disk, direction: &str, words: &[&str]) -> Result<Ended> {
    let device = disk.generic.to_string_lossy();
    let words = [&["--no-inquiry", direction], words, &[&*device]].concat();
    for _ in 0..UNIT_ATTENTIONS_MAX {
        let ended = run("sg_persist", &words).ended()?;
        if ended.code != UNIT_ATTENTION {
            return Ok(ended);
        }
    }
    bail!("nothing but unit attentions over {}", disk.transport)
}

/// The lines that hold nothing but a key; `mpathpersist` prints the same.
pub fn parse_keys(said: &str) -> Vec<u64> {
    let digits = |line: &str| line.trim().strip_prefix("0x").map(str::to_owned);
    let keys = said.lines().filter_map(digits);
    let mut keys: Vec<_> = keys.filter_map(|key| u64::from_str_radix(&key, 16).ok()).collect();
    keys.sort_unstable();
    keys
}

/// The type at the end of a line: after `type: ` (`sg_persist`) or `type = ` (`mpathpersist`).
pub fn parse_type(said: &str) -> Option<Type> {
    let after = |mark| said.lines().find_map(|line: &str| line.split_once(mark));
    let name = after("type: ").or_else(|| after("type = "))?.1.trim();
    Type::ALL.into_iter().find(|kind| kind.name() == name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_sg_persist_prints() {
        let keys =
            "  PR generation=0x4, 2 registered reservation keys follow:\n    0xb2\n    0xa1\n";
        assert_eq!(parse_keys(keys), [0xa1, 0xb2]);
        let none = "  PR generation=0x0, there are NO registered reservation keys\n";
        assert_eq!(parse_keys(none), [0; 0]);
        let held = "  PR generation=0x4, Reservation follows:\n    Key=0xa1\n    \
                    scope: LU_SCOPE,  type: Write Exclusive, registrants only\n";
        assert_eq!(parse_type(held), Some(Type::WriteExclusiveRegistrantsOnly));
        let by_multipath = "   Key = 0xa1\n  scope = LU_SCOPE, type = Exclusive Access\n";
        assert_eq!(parse_type(by_multipath), Some(Type::ExclusiveAccess));
        assert_eq!(parse_type("  PR generation=0x4, there is NO reservation held\n"), None);
    }

    #[test]
    fn what_each_type_means() {
        let codes = Type::ALL.map(Type::code);
        assert_eq!(codes, [1, 3, 5, 6, 7, 8]);
        let readable = Type::ALL.map(Type::is_write_exclusive);
        assert_eq!(readable, [true, false, true, false, true, false]);
        let shared = Type::ALL.map(Type::admits_registrants);
        assert_eq!(shared, [false, false, true, true, true, true]);
    }
}
