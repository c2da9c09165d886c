//! Which commands a rule is for.

use pulsefield_engine::Lane;
use pulsefield_scsi::Command;
use pulsefield_units::LbaRange;
use pulsefield_vmfs::{HostUuid, LockMode, Object};

/// Which commands a rule is for: those that fulfil every condition that is set.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Where {
    /// Commands to these logical units; empty: to every one that the plan is armed for.
    pub luns: Vec<LunPattern>,
    /// Commands of this lane.
    pub lane: Option<Lane>,
    /// These commands; empty: all that the fault can happen to.
    pub commands: Vec<CommandSelector>,
    /// Commands that touch one of these blocks; empty: any, or none at all.
    pub blocks: Vec<LbaRange>,
    /// Commands that bring a block of VMFS like this one.
    pub vmfs: Option<VmfsSelector>,
}

impl Where {
    /// Whether commands to the logical unit `name` can be meant.
    pub fn is_for_lun(&self, name: &str) -> bool {
        self.luns.is_empty() || self.luns.iter().any(|pattern| pattern.matches(name))
    }

    /// Whether a command with this meaning and operation code can be meant.
    pub fn is_for_command(&self, command: &Command, opcode: u8) -> bool {
        self.commands.is_empty()
            || self.commands.iter().any(|selector| selector.matches(command, opcode))
    }

    /// Whether a command that touches these blocks can be meant.
    pub fn is_for_blocks(&self, touched: Option<LbaRange>) -> bool {
        self.blocks.is_empty()
            || touched.is_some_and(|touched| self.blocks.iter().any(|own| own.overlaps(touched)))
    }
}

/// The name of a logical unit, in which `*` stands for any characters, and none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LunPattern(String);

impl LunPattern {
    /// The pattern as it is written.
    pub fn new(pattern: &str) -> Self {
        Self(pattern.to_owned())
    }

    /// As it is written.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether the logical unit `name` is meant.
    pub fn matches(&self, name: &str) -> bool {
        let Some((first, rest)) = self.0.split_once('*') else {
            return self.0 == name;
        };
        let Some(name) = name.strip_prefix(first) else {
            return false;
        };
        let (middle, last) = rest.rsplit_once('*').unwrap_or(("", rest));
        let Some(mut name) = name.strip_suffix(last) else {
            return false;
        };
        // What stands between two asterisks is taken where it first occurs: that leaves the most to
        // those that follow.
        middle.split('*').all(|part| match name.find(part) {
            Some(at) => {
                name = &name[at + part.len()..];
                true
            }
            None => false,
        })
    }
}

/// Which commands are meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum CommandSelector {
    /// All of a family.
    Family(Family),
    /// Those with this operation code.
    Opcode(u8),
}

impl CommandSelector {
    /// Whether a command with this meaning and operation code is meant.
    pub fn matches(self, command: &Command, opcode: u8) -> bool {
        match self {
            Self::Family(family) => Family::of(command) == Some(family),
            Self::Opcode(own) => own == opcode,
        }
    }
}

/// Commands that do the same, whatever the length of their CDB. Every command that reaches the
/// medium is of one of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Family {
    /// READ.
    Read,
    /// WRITE, WRITE AND VERIFY, WRITE ATOMIC and ORWRITE.
    Write,
    /// COMPARE AND WRITE.
    CompareAndWrite,
    /// VERIFY.
    Verify,
    /// WRITE SAME, with and without the UNMAP bit.
    WriteSame,
    /// UNMAP.
    Unmap,
    /// SYNCHRONIZE CACHE.
    SynchronizeCache,
    /// GET LBA STATUS.
    GetLbaStatus,
    /// EXTENDED COPY.
    ExtendedCopy,
    /// INQUIRY.
    Inquiry,
    /// TEST UNIT READY.
    TestUnitReady,
}

impl Family {
    /// All families.
    pub const ALL: [Self; 11] = [
        Self::Read,
        Self::Write,
        Self::CompareAndWrite,
        Self::Verify,
        Self::WriteSame,
        Self::Unmap,
        Self::SynchronizeCache,
        Self::GetLbaStatus,
        Self::ExtendedCopy,
        Self::Inquiry,
        Self::TestUnitReady,
    ];

    /// The name of the family in plans and logs.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Write => "write",
            Self::CompareAndWrite => "caw",
            Self::Verify => "verify",
            Self::WriteSame => "write-same",
            Self::Unmap => "unmap",
            Self::SynchronizeCache => "synchronize-cache",
            Self::GetLbaStatus => "get-lba-status",
            Self::ExtendedCopy => "extended-copy",
            Self::Inquiry => "inquiry",
            Self::TestUnitReady => "test-unit-ready",
        }
    }

    /// The family of a command; `None` of one that only tells or sets what the unit is like.
    // Most commands are of no family, and a new one is not until somebody wants to break it.
    #[allow(clippy::wildcard_enum_match_arm)]
    pub const fn of(command: &Command) -> Option<Self> {
        match command {
            Command::Read(_) => Some(Self::Read),
            Command::Write(_)
            | Command::WriteAndVerify(_)
            | Command::WriteAtomic(_)
            | Command::OrWrite(_) => Some(Self::Write),
            Command::CompareAndWrite(_) => Some(Self::CompareAndWrite),
            Command::Verify(_) => Some(Self::Verify),
            Command::WriteSame(_) => Some(Self::WriteSame),
            Command::Unmap(_) => Some(Self::Unmap),
            Command::SynchronizeCache(_) => Some(Self::SynchronizeCache),
            Command::GetLbaStatus(_) => Some(Self::GetLbaStatus),
            Command::ExtendedCopy(_) => Some(Self::ExtendedCopy),
            Command::Inquiry(_) => Some(Self::Inquiry),
            Command::TestUnitReady => Some(Self::TestUnitReady),
            _ => None,
        }
    }
}

/// A block of VMFS, recognised by its content: in what COMPARE AND WRITE (either half) and WRITE
/// bring. Other commands bring none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum VmfsSelector {
    /// A heartbeat, or a lock.
    Any {
        /// Of this host: see the others.
        host: Option<HostUuid>,
    },
    /// A heartbeat.
    Heartbeat {
        /// The one with this number.
        slot: Option<u64>,
        /// One whose owner is this host.
        host: Option<HostUuid>,
    },
    /// A lock.
    Lock {
        /// The one at this byte of the volume.
        address: Option<u64>,
        /// One in this mode. Who takes a lock brings its mode before and the one after.
        mode: Option<LockMode>,
        /// One that this host owns or shares.
        host: Option<HostUuid>,
    },
}

impl VmfsSelector {
    /// Whether `object`, in a block that a command brings, is meant.
    pub fn matches(&self, object: &Object) -> bool {
        match (self, object) {
            (Self::Any { host }, _) => is_of(object, *host),
            (Self::Heartbeat { slot, host }, Object::Heartbeat(heartbeat)) => {
                slot.is_none_or(|slot| slot == heartbeat.slot()) && is_of(object, *host)
            }
            (Self::Lock { address, mode, host }, Object::Lock(lock)) => {
                address.is_none_or(|address| address == lock.address)
                    && mode.is_none_or(|mode| mode == lock.mode)
                    && is_of(object, *host)
            }
            (Self::Heartbeat { .. }, Object::Lock(_))
            | (Self::Lock { .. }, Object::Heartbeat(_)) => false,
        }
    }
}

fn is_of(object: &Object, host: Option<HostUuid>) -> bool {
    let Some(host) = host else {
        return true;
    };
    let shares = || match object {
        Object::Lock(lock) => lock.holders.iter().flatten().any(|holder| holder.host == host),
        Object::Heartbeat(_) => false,
    };
    object.owner() == Some(host) || shares()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_asterisk_stands_for_anything() {
        for (pattern, names, others) in [
            ("ds1", &["ds1"][..], &["ds", "ds10", "ads1", ""][..]),
            ("ds*", &["ds", "ds1", "ds-gold"], &["d", "ads"]),
            ("*", &["", "ds1"], &[]),
            ("*-gold", &["-gold", "ds-gold"], &["ds-gold2", "gold"]),
            ("a*b*a", &["aba", "aabba", "a-b-b-a"], &["ab", "aba-", "aa"]),
            ("a*a", &["aa", "aba"], &["a"]),
        ] {
            let pattern = LunPattern::new(pattern);
            names.iter().for_each(|name| assert!(pattern.matches(name), "{pattern:?} {name}"));
            others.iter().for_each(|name| assert!(!pattern.matches(name), "{pattern:?} {name}"));
        }
    }
}
