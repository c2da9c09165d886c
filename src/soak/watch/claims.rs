//! What hosts have, as far as the locks tell that they wrote.
//!
//! A host believes to have a lock once it has written itself into it, and no longer once it has written itself out or
//! taken a new heartbeat: then it knows that its locks are lost. That another host has written it out it does not
//! know. Where it cannot be known what a host believes, it is taken to believe nothing.

use std::collections::BTreeMap;

use pulsefield_checkers::{Claim, ClaimMode, Event, HostId, UnitId};
use pulsefield_units::{Instant, Lba};
use pulsefield_vmfs::{DiskLock, HostUuid, LockMode};

/// The claims of a unit, by the blocks of their locks.
#[derive(Debug, Default)]
pub(super) struct Claims(BTreeMap<Lba, Vec<Claim>>);

/// A lock that was changed.
#[derive(Clone, Copy, Debug)]
pub(super) struct Changed<'c> {
    pub(super) unit: UnitId,
    pub(super) lba: Lba,
    pub(super) at: Instant,
    /// What was there, and what is.
    pub(super) from: &'c DiskLock,
    pub(super) to: &'c DiskLock,
    /// Who did it.
    pub(super) by: HostId,
    /// Whether it is certain that it was done, and that its initiator heard of it.
    pub(super) is_certain: bool,
}

impl Claims {
    /// What follows from the change of a lock.
    pub(super) fn change(
        &mut self,
        changed: Changed<'_>,
        mut id_of: impl FnMut(HostUuid) -> HostId,
        mut tell: impl FnMut(Event),
    ) {
        let Changed { unit, lba, at, from, to, by, is_certain } = changed;
        let has = |lock: &DiskLock, host| {
            mode(lock).is_some() && lock.claims().any(|claim| claim.host == host)
        };
        let is_same_mode = from.mode == to.mode;
        let claims = self.0.entry(lba).or_default();
        for gone in from.claims().filter(|it| !is_same_mode || !has(to, it.host)) {
            let host = id_of(gone.host);
            // One that another host writes out does not hear of it.
            if host == by || has(to, gone.host) {
                take(claims, host).for_each(|claim| tell(Event::Left(Claim { at, ..claim })));
            }
        }
        let Some(mode) = mode(to).filter(|_| is_certain) else { return };
        for came in to.claims().filter(|it| !is_same_mode || !has(from, it.host)) {
            let host = id_of(came.host);
            let claim = Claim { host, unit, at, lock: to.address, mode, token: to.token };
            claims.push(claim);
            tell(Event::Taken(claim));
        }
    }

    /// Nobody knows who has the lock in this block any more.
    pub(super) fn blur(&mut self, lba: Lba, at: Instant, mut tell: impl FnMut(Event)) {
        let claims = self.0.remove(&lba).into_iter().flatten();
        claims.for_each(|claim| tell(Event::Left(Claim { at, ..claim })));
    }

    /// A host has taken a heartbeat anew.
    pub(super) fn restart(&mut self, host: HostId, at: Instant, mut tell: impl FnMut(Event)) {
        for claims in self.0.values_mut() {
            take(claims, host).for_each(|claim| tell(Event::Left(Claim { at, ..claim })));
        }
        self.0.retain(|_, claims| !claims.is_empty());
    }

    /// Nothing is known any more.
    pub(super) fn forget(&mut self) {
        self.0.clear();
    }
}

/// The claims of a host, taken out.
fn take(claims: &mut Vec<Claim>, host: HostId) -> impl Iterator<Item = Claim> {
    claims.extract_if(.., move |claim| claim.host == host)
}

const fn mode(lock: &DiskLock) -> Option<ClaimMode> {
    match lock.mode {
        LockMode::Free => None,
        LockMode::Exclusive => Some(ClaimMode::Exclusive),
        LockMode::ReadOnly => Some(ClaimMode::ReadOnly),
        LockMode::MultiWriter => Some(ClaimMode::MultiWriter),
    }
}
