//! What happened to a sector between two images of it: in words, field by field, and at which byte.
//!
//! The images are what a COMPARE AND WRITE compared and what it found, what it compared and what it wrote,
//! or what lay there at two times. One change is told, the one that matters most: [`Difference::fields`] has
//! the rest. What is inferred and was never seen on a medium or in VMware's own words says so.

mod heartbeat;
mod lock;

use std::fmt;

pub use heartbeat::HeartbeatChange;
pub use lock::LockChange;

use crate::fields::{differing, fields_of};
use crate::{FieldDiff, HostUuid, LockKind, Object, SECTOR};

/// What differs between two images of a sector.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// What happened.
    pub change: Change,
    /// The fields that differ, in the order in which they lie in the sector: those of the object that was
    /// there, or else of the one that is. Empty if there is none, and for less than 512 bytes.
    pub fields: Vec<FieldDiff>,
    /// Where the first byte is that differs. For a COMPARE AND WRITE that found `new` where it expected
    /// `old`, that is the INFORMATION of its sense data (SBC-4, 5.3). `None` if there is none.
    pub first_byte: Option<usize>,
}

impl Difference {
    /// What differs between two images of one sector, or of a longer logical block: the object is at its
    /// beginning.
    pub fn between(old: &[u8], new: &[u8]) -> Self {
        let fields = Object::decode(old).or_else(|| Object::decode(new)).map(|it| fields_of(&it));
        let sectors = old.first_chunk::<SECTOR>().zip(new.first_chunk::<SECTOR>());
        Self {
            change: Change::between(old, new),
            fields: fields
                .zip(sectors)
                .map_or_else(Vec::new, |(fields, (old, new))| differing(fields, old, new)),
            first_byte: first_difference(old, new),
        }
    }
}

/// Where two images begin to differ; where the shorter ends, if it is the beginning of the other.
fn first_difference(old: &[u8], new: &[u8]) -> Option<usize> {
    let differs = old.iter().zip(new).position(|(old, new)| old != new);
    differs.or_else(|| (old.len() != new.len()).then(|| old.len().min(new.len())))
}

/// What happened to a sector.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// Nothing: all bytes are the same.
    Nothing,
    /// A heartbeat changed.
    Heartbeat(HeartbeatChange),
    /// A lock changed.
    Lock {
        /// What it protects.
        kind: LockKind,
        /// Where it lies, in bytes from the start of the volume.
        address: u64,
        /// How.
        change: LockChange,
    },
    /// There was no heartbeat and no lock, now there is one.
    Appeared {
        /// What is there now.
        is: ObjectName,
        /// Whether there were only zeros before, as on a volume that is being formatted.
        over_zeros: bool,
    },
    /// There was a heartbeat or a lock, now there are zeros: discarded, or blanked.
    Zeroed {
        /// What was there.
        was: ObjectName,
    },
    /// There was a heartbeat or a lock, now there is neither: corruption, or a write of somebody who does
    /// not know VMFS.
    Overwritten {
        /// What was there.
        was: ObjectName,
    },
    /// Another heartbeat or lock is in its place: at least one of them does not belong there.
    Replaced {
        /// What was there.
        was: ObjectName,
        /// What is there.
        is: ObjectName,
    },
    /// Bytes changed that are neither heartbeat nor lock.
    Foreign,
}

impl Change {
    /// What happened between two images, as [`Difference::between`]; does not allocate.
    pub fn between(old: &[u8], new: &[u8]) -> Self {
        if old == new {
            return Self::Nothing;
        }
        match (Object::decode(old), Object::decode(new)) {
            (Some(old), Some(new)) if old.name() != new.name() => {
                Self::Replaced { was: old.name(), is: new.name() }
            }
            (Some(Object::Heartbeat(old)), Some(Object::Heartbeat(new))) => {
                Self::Heartbeat(HeartbeatChange::between(&old, &new))
            }
            (Some(Object::Lock(old)), Some(Object::Lock(new))) => Self::Lock {
                kind: new.kind,
                address: new.address,
                change: LockChange::between(&old, &new),
            },
            // A heartbeat and a lock never have the same name.
            (Some(was), Some(is)) => Self::Replaced { was: was.name(), is: is.name() },
            (None, Some(is)) => Self::Appeared { is: is.name(), over_zeros: is_zero(old) },
            (Some(was), None) if is_zero(new) => Self::Zeroed { was: was.name() },
            (Some(was), None) => Self::Overwritten { was: was.name() },
            (None, None) => Self::Foreign,
        }
    }

    /// Whether that this happened is inferred from how the fields changed, with no source for what hosts
    /// write then. [`fmt::Display`] says so, too.
    pub const fn is_inferred(&self) -> bool {
        match self {
            Self::Heartbeat(change) => change.is_inferred(),
            Self::Nothing
            | Self::Lock { .. }
            | Self::Appeared { .. }
            | Self::Zeroed { .. }
            | Self::Overwritten { .. }
            | Self::Replaced { .. }
            | Self::Foreign => false,
        }
    }
}

fn is_zero(bytes: &[u8]) -> bool {
    bytes.iter().all(|byte| *byte == 0)
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Nothing => f.write_str("nothing changed"),
            Self::Heartbeat(change) => write!(f, "{change}"),
            Self::Lock { kind, address, change } => {
                write!(f, "{} {change}", ObjectName::Lock { kind: *kind, address: *address })
            }
            Self::Appeared { is, over_zeros: true } => write!(f, "{is} where there were zeros"),
            Self::Appeared { is, over_zeros: false } => write!(f, "{is} over foreign bytes"),
            Self::Zeroed { was } => write!(f, "{was} is all zeros now"),
            Self::Overwritten { was } => write!(f, "{was} overwritten with foreign bytes"),
            Self::Replaced { was, is } => write!(f, "{is} lies where {was} was"),
            Self::Foreign => f.write_str("foreign bytes changed"),
        }
    }
}

/// Which object of a volume it is: what no host may change.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ObjectName {
    /// A heartbeat slot.
    Heartbeat {
        /// Where it lies, in bytes from the start of the volume.
        address: u64,
    },
    /// A lock.
    Lock {
        /// What it protects.
        kind: LockKind,
        /// Where it lies, in bytes from the start of the volume.
        address: u64,
    },
}

impl fmt::Display for ObjectName {
    /// With the address in decimal, as in ESXi's logs.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Heartbeat { address } => write!(f, "heartbeat at {address}"),
            Self::Lock { kind, address } => write!(f, "{} lock at {address}", kind.name()),
        }
    }
}

/// A counter before and after.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Step {
    /// Before.
    pub old: u64,
    /// After.
    pub new: u64,
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} → {}", self.old, self.new)
    }
}

/// A host that may not have been named, in a sentence.
struct Host(Option<HostUuid>);

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(host) => write!(f, "host {host}"),
            None => f.write_str("a host without a name"),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::prelude::*;

    use super::*;
    use crate::{DiskLock, Heartbeat, HeartbeatState};

    fn slot(address: u64) -> Heartbeat {
        Heartbeat {
            generation: 5,
            stamp: Duration::from_secs(3),
            state: HeartbeatState::InUse,
            owner: HostUuid::from_bytes([0x11; 16]),
            ..Heartbeat::never_used(address)
        }
    }

    #[test]
    fn a_difference_has_words_fields_and_the_first_byte() {
        let old = slot(0x34_0000);
        let new = Heartbeat { stamp: old.stamp + Duration::from_secs(3), ..old.clone() };
        let difference = Difference::between(&old.encode(), &new.encode());
        assert_eq!(
            difference.change.to_string(),
            "pulse +3.000 s by host 11111111-11111111-1111-111111111111"
        );
        let fields: Vec<_> = difference.fields.iter().map(ToString::to_string).collect();
        assert_eq!(fields, ["stamp: 3.000000 s → 6.000000 s"]);
        // 3 s are 2DC6C0h microseconds, 6 s are 5B8D80h.
        assert_eq!(difference.first_byte, Some(0x14));
        let same = Difference::between(&old.encode(), &old.encode());
        assert_eq!((same.change, same.first_byte, same.fields.len()), (Change::Nothing, None, 0));
    }

    #[test]
    fn what_does_not_belong_there_is_named() {
        let zeros = [0; SECTOR];
        let noise = [0x5a; SECTOR];
        let heartbeat = slot(0x34_0000).encode();
        let neighbour = slot(0x34_1000).encode();
        let lock = DiskLock::never_taken(LockKind::FileDescriptor, 0x72_0000).encode();
        for (old, new, words) in [
            (&heartbeat, &zeros, "heartbeat at 3407872 is all zeros now"),
            (&heartbeat, &noise, "heartbeat at 3407872 overwritten with foreign bytes"),
            (&heartbeat, &neighbour, "heartbeat at 3411968 lies where heartbeat at 3407872 was"),
            (
                &heartbeat,
                &lock,
                "file descriptor lock at 7471104 lies where heartbeat at 3407872 was",
            ),
            (&zeros, &lock, "file descriptor lock at 7471104 where there were zeros"),
            (&noise, &heartbeat, "heartbeat at 3407872 over foreign bytes"),
            (&noise, &zeros, "foreign bytes changed"),
        ] {
            assert_eq!(Change::between(old, new).to_string(), words);
        }
        assert!(Difference::between(&noise, &zeros).fields.is_empty());
        let named = Difference::between(&heartbeat, &zeros).fields;
        assert_eq!(named[0].to_string(), "state: in use → 00000000");
    }

    #[test]
    fn images_of_different_length_differ_where_the_shorter_ends() {
        let heartbeat = slot(0x34_0000).encode();
        let cut = Difference::between(&heartbeat, &heartbeat[..100]);
        assert_eq!((cut.first_byte, cut.fields.len()), (Some(100), 0));
        assert!(matches!(cut.change, Change::Overwritten { .. }));
    }

    /// Heartbeats and locks of few values, so that two of them often have something in common.
    fn any_image() -> impl Strategy<Value = Vec<u8>> {
        let heartbeat = (1..4_u8, 0..3_u8, 0..3_u8, 0..60_u8, 0..3_u8, 0..2_u8).prop_map(|parts| {
            let (state, address, generation, stamp, owner, journal) = parts;
            let mut sector = vec![0; SECTOR];
            sector[..8].copy_from_slice(&[state, 0xef, 0xcd, 0xab, 0, address * 2, 0x34, 0]);
            sector[0x0c] = generation;
            sector[0x17] = stamp;
            sector[0x1c] = owner;
            sector[0x2c] = journal;
            sector
        });
        let lock = (1..3_u8, 0..2_u8, 0..3_u8, 0..4_u8, 0..3_u8, 0..3_u8, 0..3_u8).prop_map(
            |(kind, address, token, mode, owner, holders, holder)| {
                let mut sector = vec![0; SECTOR];
                sector[..8].copy_from_slice(&[kind, 0, 0xc0, 0x10, 0, address, 0x72, 0]);
                sector[0x1c] = token;
                sector[0x24] = mode;
                sector[0x28] = owner;
                sector[0x40] = holders;
                sector[0x54] = holder;
                sector[0x74] = 2 - holder;
                sector
            },
        );
        let noise = proptest::collection::vec(any::<u8>(), 0..600);
        prop_oneof![4 => heartbeat, 4 => lock, 1 => noise, 1 => Just(vec![0; SECTOR])]
    }

    proptest! {
        /// Whatever two images are: no panic, and words exactly when a byte differs.
        #[test]
        fn any_two_images_have_a_difference(old in any_image(), new in any_image()) {
            let difference = Difference::between(&old, &new);
            prop_assert_eq!(difference.change == Change::Nothing, old == new);
            prop_assert_eq!(difference.first_byte.is_none(), old == new);
            prop_assert!(!difference.change.to_string().is_empty());
            prop_assert_eq!(
                difference.change.is_inferred(),
                difference.change.to_string().contains("inferred")
            );
            for diff in &difference.fields {
                prop_assert_ne!(&diff.old, &diff.new, "{}", diff);
            }
        }
    }
}
