//! What happened to a heartbeat.

use std::fmt;
use std::time::Duration;

use super::{Host, Step};
use crate::{Heartbeat, HeartbeatState, HostUuid, JournalAddress, LEASE};

/// What happened to a heartbeat. A host is `None` where the slot names nobody although it should.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HeartbeatChange {
    /// A host took a clear slot.
    Acquired {
        /// The host.
        by: Option<HostUuid>,
        /// The generation.
        generation: Step,
    },
    /// The owner showed that it lives.
    Pulse {
        /// The owner.
        by: Option<HostUuid>,
        /// How much later its stamp is: three seconds, or a multiple of that.
        advance: Duration,
    },
    /// The owner wrote again, after longer than the lease: it reclaimed its heartbeat. Inferred: that a
    /// reclaimed heartbeat keeps its generation is from logs, but nothing else tells it from a late pulse.
    Reclaimed {
        /// The owner.
        by: Option<HostUuid>,
        /// How much later its stamp is.
        advance: Duration,
    },
    /// The owner has a journal now.
    JournalAttached {
        /// The owner.
        by: Option<HostUuid>,
        /// The journal.
        journal: JournalAddress,
    },
    /// The owner has no journal any more.
    JournalDetached {
        /// The owner.
        by: Option<HostUuid>,
        /// The journal that it had.
        journal: JournalAddress,
    },
    /// The slot was cleared, by its owner or by whoever replayed the owner's journal.
    Cleared {
        /// Whose it was.
        of: Option<HostUuid>,
        /// The generation.
        generation: Step,
    },
    /// The owner let go of the slot and took it again.
    Reacquired {
        /// The owner.
        by: Option<HostUuid>,
        /// The generation.
        generation: Step,
    },
    /// Another host has the slot now, without it having been clear in either image.
    TakenOver {
        /// Who had it.
        from: Option<HostUuid>,
        /// Who has it.
        to: Option<HostUuid>,
        /// The generation.
        generation: Step,
    },
    /// A clear slot was in use in between.
    UsedMeanwhile {
        /// The generation.
        generation: Step,
    },
    /// Another host replays the journal of the owner. Inferred: no such slot was ever seen.
    ReplayBegun {
        /// The owner.
        of: Option<HostUuid>,
        /// Who replays.
        by: Option<HostUuid>,
    },
    /// The journal was replayed, and the slot cleared. Inferred, as its beginning.
    ReplayEnded {
        /// The owner.
        of: Option<HostUuid>,
        /// Who replayed.
        by: Option<HostUuid>,
        /// The generation.
        generation: Step,
    },
    /// What is there now is older than what was: a lost write, a stale copy.
    Older {
        /// The owner, of what is there now.
        of: Option<HostUuid>,
        /// The generation.
        generation: Step,
        /// How much earlier the stamp is; zero if another host's.
        behind: Duration,
    },
    /// Something else changed: neither state nor owner, generation, stamp or journal, or all of that in a
    /// way that no host is known to write.
    Rewritten,
}

impl HeartbeatChange {
    /// What happened between two images of one slot that differ.
    pub(super) fn between(old: &Heartbeat, new: &Heartbeat) -> Self {
        use HeartbeatState::{Clear, InUse, Replaying};

        let generation = Step { old: old.generation, new: new.generation };
        let same_owner = old.owner == new.owner;
        if new.generation < old.generation {
            let behind =
                if same_owner { old.stamp.saturating_sub(new.stamp) } else { Duration::ZERO };
            return Self::Older { of: new.owner, generation, behind };
        }
        let same_generation = old.generation == new.generation;
        match (old.state, new.state) {
            (InUse, InUse) if !same_owner => {
                Self::TakenOver { from: old.owner, to: new.owner, generation }
            }
            (InUse, InUse) if !same_generation => Self::Reacquired { by: new.owner, generation },
            (InUse, InUse) => Self::by_owner(old, new),
            (Clear, InUse) => Self::Acquired { by: new.owner, generation },
            (InUse, Clear) => Self::Cleared { of: old.owner, generation },
            (Clear, Clear) if !same_generation => Self::UsedMeanwhile { generation },
            (InUse | Clear, Replaying) => {
                Self::ReplayBegun { of: new.owner.or(old.owner), by: new.replaying_host }
            }
            (Replaying, Clear) => {
                Self::ReplayEnded { of: old.owner, by: old.replaying_host, generation }
            }
            (Replaying, InUse) if !same_owner || !same_generation => {
                Self::Acquired { by: new.owner, generation }
            }
            (Clear, Clear) | (Replaying, InUse | Replaying) => Self::Rewritten,
        }
    }

    /// What the owner did, who is the same in the same generation.
    fn by_owner(old: &Heartbeat, new: &Heartbeat) -> Self {
        let by = new.owner;
        let generation = Step { old: old.generation, new: new.generation };
        match (old.journal, new.journal) {
            _ if new.stamp < old.stamp => {
                Self::Older { of: by, generation, behind: old.stamp.saturating_sub(new.stamp) }
            }
            (None, Some(journal)) => Self::JournalAttached { by, journal },
            (Some(journal), None) => Self::JournalDetached { by, journal },
            _ if new.stamp == old.stamp => Self::Rewritten,
            _ => {
                let advance = new.stamp.saturating_sub(old.stamp);
                match advance > LEASE {
                    true => Self::Reclaimed { by, advance },
                    false => Self::Pulse { by, advance },
                }
            }
        }
    }

    pub(super) const fn is_inferred(&self) -> bool {
        match self {
            Self::Reclaimed { .. } | Self::ReplayBegun { .. } | Self::ReplayEnded { .. } => true,
            Self::Acquired { .. }
            | Self::Pulse { .. }
            | Self::JournalAttached { .. }
            | Self::JournalDetached { .. }
            | Self::Cleared { .. }
            | Self::Reacquired { .. }
            | Self::TakenOver { .. }
            | Self::UsedMeanwhile { .. }
            | Self::Older { .. }
            | Self::Rewritten => false,
        }
    }
}

impl fmt::Display for HeartbeatChange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Acquired { by, generation } => {
                write!(f, "acquired by {}, generation {generation}", Host(by))
            }
            Self::Pulse { by, advance } => {
                write!(f, "pulse +{:.3} s by {}", advance.as_secs_f64(), Host(by))
            }
            Self::Reclaimed { by, advance } => {
                let advance = advance.as_secs_f64();
                write!(f, "reclaimed by {} after {advance:.3} s (inferred)", Host(by))
            }
            Self::JournalAttached { by, journal } => {
                write!(f, "journal {journal} attached by {}", Host(by))
            }
            Self::JournalDetached { by, journal } => {
                write!(f, "journal {journal} detached by {}", Host(by))
            }
            Self::Cleared { of, generation } => {
                write!(f, "clear, generation {generation}; it was of {}", Host(of))
            }
            Self::Reacquired { by, generation } => {
                write!(f, "cleared and acquired again by {}, generation {generation}", Host(by))
            }
            Self::TakenOver { from, to, generation } => {
                write!(f, "taken over by {}, generation {generation}", Host(to))?;
                write!(f, "; it was of {}", Host(from))?;
                let machine = |host: Option<HostUuid>| host.map(|host| host.mac_address());
                // A host has another UUID after it was installed anew, and the same ports.
                f.write_str(if machine(from) == machine(to) { ", the same machine" } else { "" })
            }
            Self::UsedMeanwhile { generation } => {
                write!(f, "clear as before, used in between, generation {generation}")
            }
            Self::ReplayBegun { of, by } => {
                write!(f, "replay of the journal of {} begun by {} (inferred)", Host(of), Host(by))
            }
            Self::ReplayEnded { of, by, generation } => write!(
                f,
                "clear, generation {generation}, after {} replayed the journal of {} (inferred)",
                Host(by),
                Host(of)
            ),
            Self::Older { of, generation, behind } => {
                write!(f, "an older image of {}", Host(of))?;
                match behind.is_zero() {
                    true => write!(f, ", generation {generation}"),
                    false => {
                        write!(f, ", stamp -{:.3} s, generation {generation}", behind.as_secs_f64())
                    }
                }
            }
            Self::Rewritten => f.write_str("rewritten with the same owner and generation"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: [u8; 16] = [0x11; 16];
    const B: [u8; 16] = [0x22; 16];

    fn in_use(generation: u64, seconds: u64) -> Heartbeat {
        Heartbeat {
            state: HeartbeatState::InUse,
            generation,
            stamp: Duration::from_secs(seconds),
            owner: HostUuid::from_bytes(A),
            ..Heartbeat::never_used(0x34_0000)
        }
    }

    fn clear(generation: u64) -> Heartbeat {
        Heartbeat { generation, ..Heartbeat::never_used(0x34_0000) }
    }

    #[test]
    fn every_step_of_a_heartbeats_life_has_a_name() {
        let a = "host 11111111-11111111-1111-111111111111";
        let b = "host 22222222-22222222-2222-222222222222";
        let with_journal =
            |heartbeat| Heartbeat { journal: JournalAddress::from_raw(0x16), ..heartbeat };
        let of_b = |heartbeat| Heartbeat { owner: HostUuid::from_bytes(B), ..heartbeat };
        let replayed = Heartbeat {
            state: HeartbeatState::Replaying,
            replaying_host: HostUuid::from_bytes(B),
            ..in_use(5, 100)
        };
        for (old, new, words) in [
            (clear(4), in_use(5, 100), format!("acquired by {a}, generation 4 → 5")),
            (in_use(5, 100), in_use(5, 103), format!("pulse +3.000 s by {a}")),
            // Exactly the lease is not after it.
            (in_use(5, 100), in_use(5, 116), format!("pulse +16.000 s by {a}")),
            (in_use(5, 100), in_use(5, 147), format!("reclaimed by {a} after 47.000 s (inferred)")),
            (
                in_use(5, 100),
                with_journal(in_use(5, 100)),
                format!("journal <JB c2 r0> attached by {a}"),
            ),
            (
                with_journal(in_use(5, 100)),
                in_use(5, 103),
                format!("journal <JB c2 r0> detached by {a}"),
            ),
            (in_use(5, 100), clear(6), format!("clear, generation 5 → 6; it was of {a}")),
            (
                in_use(5, 100),
                in_use(7, 9),
                format!("cleared and acquired again by {a}, generation 5 → 7"),
            ),
            (
                in_use(5, 100),
                of_b(in_use(7, 9)),
                format!("taken over by {b}, generation 5 → 7; it was of {a}"),
            ),
            (clear(4), clear(6), "clear as before, used in between, generation 4 → 6".to_owned()),
            (
                in_use(5, 100),
                replayed.clone(),
                format!("replay of the journal of {a} begun by {b} (inferred)"),
            ),
            (
                replayed,
                clear(6),
                format!(
                    "clear, generation 5 → 6, after {b} replayed the journal of {a} (inferred)"
                ),
            ),
            (
                in_use(5, 103),
                in_use(5, 100),
                format!("an older image of {a}, stamp -3.000 s, generation 5 → 5"),
            ),
            (
                of_b(in_use(7, 9)),
                in_use(5, 100),
                format!("an older image of {a}, generation 7 → 5"),
            ),
            (
                in_use(5, 100),
                Heartbeat { lock_implementation: 3, ..in_use(5, 100) },
                "rewritten with the same owner and generation".to_owned(),
            ),
        ] {
            let change = HeartbeatChange::between(&old, &new);
            assert_eq!(change.to_string(), words);
            assert_eq!(change.is_inferred(), words.contains("inferred"), "{words}");
        }
    }

    #[test]
    fn a_host_that_was_installed_anew_is_the_same_machine() {
        let mut other = A;
        other[0] = 0x33;
        let new = Heartbeat { owner: HostUuid::from_bytes(other), ..in_use(7, 9) };
        let change = HeartbeatChange::between(&in_use(5, 100), &new).to_string();
        assert!(change.ends_with(", the same machine"), "{change}");
    }
}
