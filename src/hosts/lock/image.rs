//! What a host makes of the image of a lock: pure, no I/O.
//!
//! The fields are those seen on media and in the output of vmkfstools: each change raises the token; an
//! owner writes where its heartbeat is and under which generation it took the lock, and that stays there
//! as history when the lock is free again; those who share a lock are holders, and it has no owner.

use pulsefield_vmfs::{DiskLock, LockHolder, LockMode};

/// What a host wants to have a lock for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Aim {
    /// For itself alone.
    Exclusive,
    /// To read, with others who read.
    ReadOnly,
    /// To write, with others who write.
    MultiWriter,
}

/// Why a lock cannot be had as it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum InTheWay {
    /// This one has it, for something that goes with nothing else.
    Held {
        /// Who.
        by: LockHolder,
        /// The token of the lock: as long as it stays, nobody has let go in between.
        token: u64,
    },
    /// These share it, and it can name no more.
    Full(Vec<LockHolder>),
}

impl Aim {
    /// What the lock is taken for then.
    pub(crate) const fn mode(self) -> LockMode {
        match self {
            Self::Exclusive => LockMode::Exclusive,
            Self::ReadOnly => LockMode::ReadOnly,
            Self::MultiWriter => LockMode::MultiWriter,
        }
    }
}

/// The image with which `me` takes `lock` at `modification_time`. What one of the `dead` had of it counts
/// for nothing. What `me` has of it already, and failed to let go, is given up for what it wants now.
///
/// # Errors
/// Who is in the way.
pub(crate) fn take(
    lock: &DiskLock,
    aim: Aim,
    me: LockHolder,
    modification_time: u64,
    dead: &[LockHolder],
) -> Result<DiskLock, InTheWay> {
    let mut taken = without(lock, |claim| *claim == me || dead.contains(claim));
    let goes_with_others = aim != Aim::Exclusive && taken.mode == aim.mode();
    if let Some(by) = taken.claims().next().filter(|_| !goes_with_others) {
        return Err(InTheWay::Held { by, token: lock.token });
    }
    if aim == Aim::Exclusive {
        taken.heartbeat_address = me.heartbeat_address;
        taken.heartbeat_generation = me.heartbeat_generation;
        taken.owner = Some(me.host);
    } else {
        let Some(place) = taken.holders.iter_mut().find(|place| place.is_none()) else {
            return Err(InTheWay::Full(taken.claims().collect()));
        };
        *place = Some(me);
    }
    taken.mode = aim.mode();
    taken.modification_time = modification_time;
    Ok(changed(taken))
}

/// The image with which `me` lets go of `lock`; `None` if it has nothing of it.
pub(crate) fn leave(lock: &DiskLock, me: LockHolder) -> Option<DiskLock> {
    let mine = lock.claims().any(|claim| claim == me);
    mine.then(|| changed(without(lock, |claim| *claim == me)))
}

/// `lock` as the next change leaves it: with each of them the token grows by one.
fn changed(lock: DiskLock) -> DiskLock {
    DiskLock { token: lock.token.saturating_add(1), ..lock }
}

/// `lock` as if those who are `gone` had nothing of it; free if nobody else has. The token is not touched.
fn without(lock: &DiskLock, gone: impl Fn(&LockHolder) -> bool) -> DiskLock {
    let mut left = lock.clone();
    if lock.claims().all(|claim| !gone(&claim)) {
        return left;
    }
    left.owner = None;
    left.holders = Default::default();
    // The holders keep their order and leave no gap: their number says how many places are read.
    let staying = lock.claims().filter(|claim| !gone(claim));
    for (place, holder) in left.holders.iter_mut().zip(staying) {
        *place = Some(holder);
    }
    if left.holders.iter().all(Option::is_none) {
        left.mode = LockMode::Free;
    }
    left
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use pulsefield_vmfs::{HostUuid, LockKind};

    use super::*;

    const AIMS: [Aim; 3] = [Aim::Exclusive, Aim::ReadOnly, Aim::MultiWriter];

    fn host(number: u8) -> LockHolder {
        LockHolder {
            heartbeat_address: 0x30_0000 + u64::from(number) * 512,
            heartbeat_generation: 3,
            host: HostUuid::from_bytes([number; 16]).unwrap(),
        }
    }

    fn file() -> DiskLock {
        DiskLock::never_taken(LockKind::FileDescriptor, 0x72_0000)
    }

    /// The bytes of the lock of a journal cluster of a VMFS 6 volume, held, as it lay on the medium:
    /// they are what a host makes of that lock when it is free.
    #[test]
    fn an_exclusive_lock_is_what_esxi_writes() {
        let me = LockHolder {
            heartbeat_address: 0x34_0000,
            heartbeat_generation: 3,
            host: "685eb8eb-7f3e3890-4544-bc2411b17e28".parse().unwrap(),
        };
        let free =
            DiskLock { token: 3, ..DiskLock::never_taken(LockKind::JournalCluster, 0x1dd1_4000) };
        let held = take(&free, Aim::Exclusive, me, 0x2_fc8e, &[]).unwrap();
        let mut sector = [0; 512];
        let head = [
            0x07, 0x00, 0xc0, 0x10, 0x00, 0x40, 0xd1, 0x1d, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
            0x34, 0x00, 0x00, 0x00, 0x00, 0x00, 0x03, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
            0x04, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x01, 0x00, 0x00, 0x00, 0xeb, 0xb8,
            0x5e, 0x68, 0x90, 0x38, 0x3e, 0x7f, 0x44, 0x45, 0xbc, 0x24, 0x11, 0xb1, 0x7e, 0x28,
            0x8e, 0xfc, 0x02,
        ];
        sector[..head.len()].copy_from_slice(&head);
        assert_eq!(held.encode(), sector);

        // Let go, it keeps where the heartbeat was, its generation and the time; not mode and owner.
        sector[0x1c] = 5;
        sector[0x24] = 0;
        sector[0x28..0x38].fill(0);
        assert_eq!(leave(&held, me).unwrap().encode(), sector);
    }

    #[test]
    fn a_lock_of_readers_names_them_as_esxi_does() {
        let one = take(&file(), Aim::ReadOnly, host(1), 7, &[]).unwrap();
        let two = take(&one, Aim::ReadOnly, host(2), 8, &[]).unwrap();
        let sector = two.encode();
        assert_eq!((sector[0x24], sector[0x40]), (2, 2), "mode and number");
        assert_eq!(sector[0x28..0x38], [0; 16], "no owner");
        assert_eq!(
            sector[0x44..0x48],
            [0x00, 0x02, 0x30, 0x00],
            "where the first one's heartbeat is"
        );
        assert_eq!((&sector[0x54..0x64], &sector[0x74..0x84]), (&[1; 16][..], &[2; 16][..]));
        // The first leaves, and the second moves up.
        let sector = leave(&two, host(1)).unwrap().encode();
        assert_eq!((sector[0x24], sector[0x40]), (2, 1));
        assert_eq!((&sector[0x54..0x64], &sector[0x64..0x84]), (&[2; 16][..], &[0; 32][..]));
    }

    #[test]
    fn it_is_free_when_the_last_one_leaves() {
        let shared = take(&file(), Aim::MultiWriter, host(1), 7, &[]).unwrap();
        assert_eq!(shared.mode, LockMode::MultiWriter);
        let left = leave(&shared, host(1)).unwrap();
        assert_eq!((left.mode, left.token, left.holders_count()), (LockMode::Free, 3, 0));
        assert_eq!(leave(&left, host(1)), None);
    }

    #[test]
    fn who_is_in_the_way_is_named_and_the_dead_are_not() {
        let held = take(&file(), Aim::Exclusive, host(1), 7, &[]).unwrap();
        for aim in AIMS {
            assert_eq!(
                take(&held, aim, host(2), 8, &[]),
                Err(InTheWay::Held { by: host(1), token: 2 })
            );
            let taken = take(&held, aim, host(2), 8, &[host(1)]).unwrap();
            assert_eq!(taken.claims().collect::<Vec<_>>(), [host(2)]);
            assert_eq!(taken.token, 3, "one change, one token");
        }
        let shared = take(&file(), Aim::ReadOnly, host(1), 7, &[]).unwrap();
        for aim in [Aim::Exclusive, Aim::MultiWriter] {
            assert_eq!(
                take(&shared, aim, host(2), 8, &[]),
                Err(InTheWay::Held { by: host(1), token: 2 })
            );
        }
        // The same host under a heartbeat that it has no longer is another one.
        let later = LockHolder { heartbeat_generation: 5, ..host(1) };
        assert_eq!(
            take(&held, Aim::Exclusive, later, 8, &[]),
            Err(InTheWay::Held { by: host(1), token: 2 })
        );
    }

    #[test]
    fn eight_share_a_lock_and_no_more() {
        let join = |lock: &DiskLock, number, dead: &[LockHolder]| {
            take(lock, Aim::ReadOnly, host(number), 7, dead)
        };
        let full = (1..=8).fold(file(), |lock, number| join(&lock, number, &[]).unwrap());
        assert_eq!(join(&full, 9, &[]), Err(InTheWay::Full((1..=8).map(host).collect())));
        let again = join(&full, 3, &[]).unwrap();
        assert_eq!(again.holders_count(), 8, "who has a place takes no second one");
        let ninth = join(&full, 9, &[host(4)]).unwrap();
        assert!(ninth.claims().any(|claim| claim == host(9)));
        assert!(!ninth.claims().any(|claim| claim == host(4)));
    }

    proptest! {
        /// Whatever hosts do one after another: who has the lock is who took it and did not leave it, as
        /// a list on paper says; and it outlives the way to the medium and back.
        #[test]
        fn a_lock_is_had_by_who_took_it(
            steps in proptest::collection::vec((1..11_u8, proptest::option::of(0..3_usize)), 0..60)
        ) {
            let mut lock = file();
            let mut having: Vec<LockHolder> = Vec::new();
            for (number, aim) in steps {
                let me = host(number);
                let others = having.iter().filter(|holder| **holder != me).count();
                let (next, allowed) = match aim.map(|aim| AIMS[aim]) {
                    None => (leave(&lock, me), having.contains(&me)),
                    Some(aim) => (
                        take(&lock, aim, me, 1, &[]).ok(),
                        others == 0 || aim != Aim::Exclusive && lock.mode == aim.mode() && others < 8,
                    ),
                };
                prop_assert_eq!(next.is_some(), allowed);
                let Some(next) = next else { continue };
                prop_assert_eq!(next.token, lock.token + 1);
                lock = DiskLock::decode(&next.encode()).unwrap();
                prop_assert_eq!(&lock, &next);
                having.retain(|holder| *holder != me);
                having.extend(aim.map(|_| me));
                let mut claims: Vec<_> = lock.claims().collect();
                claims.sort_by_key(|claim| claim.heartbeat_address);
                having.sort_by_key(|claim| claim.heartbeat_address);
                prop_assert_eq!(&claims, &having);
                prop_assert_eq!(lock.mode == LockMode::Free, having.is_empty());
            }
        }
    }
}
