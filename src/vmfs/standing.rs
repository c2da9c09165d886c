//! Whether a lock's owner still is who took it.

use std::fmt;

use crate::{Heartbeat, HeartbeatState, HostUuid, LockHolder};

/// What the heartbeat of whoever has a lock says of that lock (KB 52879). A lock does not end by itself:
/// the next host that wants it looks at the heartbeat, and breaks the lock of an owner that is dead.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// The heartbeat is the one with which the lock was taken. It is held as long as the stamp moves.
    Held,
    /// The owner has let go of its heartbeat, or another host has cleared it.
    HeartbeatCleared {
        /// The generation of the heartbeat now.
        generation: u64,
    },
    /// The heartbeat was cleared and acquired again since the lock was taken.
    OtherGeneration {
        /// The generation of the heartbeat now.
        generation: u64,
    },
    /// Another host has the heartbeat slot.
    OtherHost {
        /// Who has it.
        host: Option<HostUuid>,
    },
    /// Another host replays the owner's journal: the owner is taken for dead.
    Replaying {
        /// Who replays.
        by: Option<HostUuid>,
    },
    /// Where the lock says that the heartbeat is, there is none.
    NoHeartbeat,
}

impl Standing {
    /// What `heartbeat`, which lies where `claim` says, says of it.
    pub fn of(claim: &LockHolder, heartbeat: Option<&Heartbeat>) -> Self {
        let Some(heartbeat) = heartbeat else {
            return Self::NoHeartbeat;
        };
        let generation = heartbeat.generation;
        match heartbeat.state {
            HeartbeatState::Clear => Self::HeartbeatCleared { generation },
            HeartbeatState::Replaying => Self::Replaying { by: heartbeat.replaying_host },
            HeartbeatState::InUse if heartbeat.owner != Some(claim.host) => {
                Self::OtherHost { host: heartbeat.owner }
            }
            HeartbeatState::InUse if generation != claim.heartbeat_generation => {
                Self::OtherGeneration { generation }
            }
            HeartbeatState::InUse => Self::Held,
        }
    }
}

impl fmt::Display for Standing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Held => f.write_str("held while its heartbeat pulses"),
            Self::HeartbeatCleared { generation } => {
                write!(f, "stale: its heartbeat is clear, generation {generation}")
            }
            Self::OtherGeneration { generation } => {
                write!(f, "stale: its heartbeat is of generation {generation}")
            }
            Self::OtherHost { host: Some(host) } => {
                write!(f, "stale: its heartbeat slot is host {host}'s")
            }
            Self::OtherHost { host: None } => f.write_str("stale: its heartbeat slot names nobody"),
            Self::Replaying { by: Some(by) } => {
                write!(f, "being recovered: host {by} replays the journal (inferred)")
            }
            Self::Replaying { by: None } => {
                f.write_str("being recovered: the journal is replayed (inferred)")
            }
            Self::NoHeartbeat => f.write_str("unknown: there is no heartbeat where the lock says"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lock_stands_with_the_heartbeat_that_took_it() {
        let [a, b] = [[0x11; 16], [0x22; 16]].map(HostUuid::from_bytes);
        let claim =
            LockHolder { heartbeat_address: 0x34_0000, heartbeat_generation: 5, host: a.unwrap() };
        let alive = Heartbeat {
            state: HeartbeatState::InUse,
            generation: 5,
            owner: a,
            ..Heartbeat::never_used(0x34_0000)
        };
        let standing = |heartbeat: Heartbeat| Standing::of(&claim, Some(&heartbeat));
        assert_eq!(standing(alive.clone()), Standing::Held);
        let again = Heartbeat { generation: 7, ..alive.clone() };
        assert_eq!(standing(again), Standing::OtherGeneration { generation: 7 });
        let other = Heartbeat { owner: b, ..alive.clone() };
        assert_eq!(standing(other), Standing::OtherHost { host: b });
        let clear =
            Heartbeat { state: HeartbeatState::Clear, generation: 6, owner: None, ..alive.clone() };
        assert_eq!(standing(clear), Standing::HeartbeatCleared { generation: 6 });
        let replayed = Heartbeat { state: HeartbeatState::Replaying, replaying_host: b, ..alive };
        assert_eq!(standing(replayed), Standing::Replaying { by: b });
        assert_eq!(Standing::of(&claim, None), Standing::NoHeartbeat);
    }
}
