//! What happened to a lock.

use std::fmt;

use super::{Host, Step};
use crate::{DiskLock, HostUuid, LockHolder, LockMode};

/// What happened to a lock. A host is `None` where the lock names nobody although it should.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LockChange {
    /// It was free and is taken.
    Taken {
        /// What for.
        mode: LockMode,
        /// By whom.
        by: Option<HostUuid>,
        /// The token.
        token: Step,
    },
    /// It was taken and is free.
    Released {
        /// What it was taken for.
        mode: LockMode,
        /// By whom.
        of: Option<HostUuid>,
        /// The token.
        token: Step,
    },
    /// One more host shares it.
    Joined {
        /// The host.
        by: HostUuid,
        /// The token.
        token: Step,
    },
    /// One host fewer shares it.
    Left {
        /// The host.
        by: HostUuid,
        /// The token.
        token: Step,
    },
    /// Another host has it, without it having been free in either image: it was released in between, or the
    /// lock of a dead host was broken.
    TakenOver {
        /// Who had it.
        from: Option<HostUuid>,
        /// Who has it.
        to: Option<HostUuid>,
        /// The token.
        token: Step,
    },
    /// It is taken for something else.
    ModeChanged {
        /// What it was taken for.
        from: LockMode,
        /// What it is taken for.
        to: LockMode,
        /// By whom.
        by: Option<HostUuid>,
        /// The token.
        token: Step,
    },
    /// It was used in between: who has it, if anybody, is the same, and the token is not.
    UsedMeanwhile {
        /// Who has it.
        by: Option<HostUuid>,
        /// The token.
        token: Step,
    },
    /// What is there now is older than what was: a lost write, a stale copy.
    Older {
        /// The token.
        token: Step,
    },
    /// Something else changed: neither mode nor token nor who has it.
    Rewritten,
}

impl LockChange {
    /// What happened between two images of one lock that differ.
    pub(super) fn between(old: &DiskLock, new: &DiskLock) -> Self {
        let token = Step { old: old.token, new: new.token };
        let (had, has) = (first_claim(old), first_claim(new));
        match (old.mode, new.mode) {
            _ if new.token < old.token => Self::Older { token },
            (LockMode::Free, mode) if mode != LockMode::Free => {
                Self::Taken { mode, by: has, token }
            }
            (mode, LockMode::Free) if mode != LockMode::Free => {
                Self::Released { mode, of: had, token }
            }
            (from, to) if from != to => Self::ModeChanged { from, to, by: has, token },
            _ => match (claimed_only_by(new, old), claimed_only_by(old, new)) {
                (Some(to), Some(from)) => Self::TakenOver { from: Some(from), to: Some(to), token },
                (Some(by), None) if had.is_some() => Self::Joined { by, token },
                (None, Some(by)) if has.is_some() => Self::Left { by, token },
                (Some(_), None) | (None, Some(_)) => Self::TakenOver { from: had, to: has, token },
                (None, None) if old.token != new.token => Self::UsedMeanwhile { by: has, token },
                (None, None) => Self::Rewritten,
            },
        }
    }
}

fn first_claim(lock: &DiskLock) -> Option<HostUuid> {
    lock.claims().next().map(|claim| claim.host)
}

/// The first host that has `lock` and not `other`.
fn claimed_only_by(lock: &DiskLock, other: &DiskLock) -> Option<HostUuid> {
    let is_new = |claim: &LockHolder| other.claims().all(|theirs| theirs.host != claim.host);
    lock.claims().find(is_new).map(|claim| claim.host)
}

impl fmt::Display for LockChange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Taken { mode, by, token } => {
                write!(f, "taken {} by {}, token {token}", purpose(mode), Host(by))
            }
            Self::Released { mode, of, token } => {
                write!(f, "released, token {token}; it was taken {} by {}", purpose(mode), Host(of))
            }
            Self::Joined { by, token } => {
                write!(f, "shared by {} as well, token {token}", Host(Some(by)))
            }
            Self::Left { by, token } => {
                write!(f, "no longer shared by {}, token {token}", Host(Some(by)))
            }
            Self::TakenOver { from, to, token } => {
                write!(f, "taken over by {} from {}, token {token}", Host(to), Host(from))
            }
            Self::ModeChanged { from, to, by, token } => write!(
                f,
                "taken {} by {} instead of {}, token {token}",
                purpose(to),
                Host(by),
                purpose(from)
            ),
            Self::UsedMeanwhile { by: Some(by), token } => {
                write!(f, "taken again by {}, token {token}", Host(Some(by)))
            }
            Self::UsedMeanwhile { by: None, token } => {
                write!(f, "free as before, used in between, token {token}")
            }
            Self::Older { token } => write!(f, "is an older image, token {token}"),
            Self::Rewritten => f.write_str("rewritten in the same mode with the same token"),
        }
    }
}

const fn purpose(mode: LockMode) -> &'static str {
    match mode {
        LockMode::Free => "for nothing",
        LockMode::Exclusive => "exclusively",
        LockMode::ReadOnly => "for reading",
        LockMode::MultiWriter => "for writing by several",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::LockKind;

    fn lock(token: u64, mode: LockMode) -> DiskLock {
        DiskLock { token, mode, ..DiskLock::never_taken(LockKind::FileDescriptor, 0x72_0000) }
    }

    fn exclusive(token: u64, host: u8) -> DiskLock {
        let owner = HostUuid::from_bytes([host; 16]);
        DiskLock { owner, ..lock(token, LockMode::Exclusive) }
    }

    fn shared(token: u64, mode: LockMode, hosts: &[u8]) -> DiskLock {
        let mut lock = lock(token, mode);
        for (holder, host) in lock.holders.iter_mut().zip(hosts) {
            *holder = HostUuid::from_bytes([*host; 16]).map(|host| LockHolder {
                heartbeat_address: 0x34_0000,
                heartbeat_generation: 5,
                host,
            });
        }
        lock
    }

    #[test]
    fn every_step_of_a_locks_life_has_a_name() {
        use LockMode::{Free, MultiWriter, ReadOnly};

        let a = "host 11111111-11111111-1111-111111111111";
        let b = "host 22222222-22222222-2222-222222222222";
        for (old, new, words) in [
            (lock(4, Free), exclusive(6, 0x11), format!("taken exclusively by {a}, token 4 → 6")),
            (
                lock(4, Free),
                shared(5, ReadOnly, &[0x11]),
                format!("taken for reading by {a}, token 4 → 5"),
            ),
            (
                exclusive(6, 0x11),
                lock(7, Free),
                format!("released, token 6 → 7; it was taken exclusively by {a}"),
            ),
            (
                shared(5, ReadOnly, &[0x11]),
                shared(6, ReadOnly, &[0x11, 0x22]),
                format!("shared by {b} as well, token 5 → 6"),
            ),
            (
                shared(6, MultiWriter, &[0x11, 0x22]),
                shared(7, MultiWriter, &[0x22]),
                format!("no longer shared by {a}, token 6 → 7"),
            ),
            (
                exclusive(6, 0x11),
                exclusive(8, 0x22),
                format!("taken over by {b} from {a}, token 6 → 8"),
            ),
            (
                exclusive(6, 0x11),
                shared(7, MultiWriter, &[0x11]),
                format!("taken for writing by several by {a} instead of exclusively, token 6 → 7"),
            ),
            (exclusive(6, 0x11), exclusive(8, 0x11), format!("taken again by {a}, token 6 → 8")),
            (
                lock(4, Free),
                lock(6, Free),
                "free as before, used in between, token 4 → 6".to_owned(),
            ),
            (exclusive(6, 0x11), lock(5, Free), "is an older image, token 6 → 5".to_owned()),
            (
                exclusive(6, 0x11),
                DiskLock { modification_time: 9, ..exclusive(6, 0x11) },
                "rewritten in the same mode with the same token".to_owned(),
            ),
        ] {
            assert_eq!(LockChange::between(&old, &new).to_string(), words);
        }
    }
}
