//! What a host keeps beside its volumes: which locks it believes to have, its counter of modifications, its
//! chance, and what it has to say.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use pulsefield_units::{Instant, Random, mix};
use pulsefield_vmfs::HostUuid;

use crate::{Action, Claim, Io, IoId, Notice, VolumeId};

/// A host's memory and voice.
#[derive(Debug)]
pub(crate) struct Ledger {
    claims: Vec<Claim>,
    modification_time: u64,
    random: Random,
    next_io: IoId,
    in_flight: BTreeMap<IoId, VolumeId>,
    actions: VecDeque<Action>,
}

impl Ledger {
    /// Of a host that has just started; `seed` decides what is left to chance.
    pub(crate) const fn new(seed: u64) -> Self {
        Self {
            claims: Vec::new(),
            modification_time: 0,
            random: Random::new(mix(seed)),
            next_io: IoId(0),
            in_flight: BTreeMap::new(),
            actions: VecDeque::new(),
        }
    }

    /// The host believes from now on that it has a lock.
    pub(crate) fn take(&mut self, now: Instant, claim: Claim) {
        self.claims.push(claim);
        self.notice(now, Notice::LockTaken(claim));
    }

    /// The host believes so no longer. To be said before the I/O that lets go.
    ///
    /// # Panics
    /// If it did not believe so before.
    pub(crate) fn leave(&mut self, now: Instant, claim: &Claim) {
        let position = self.claims.iter().position(|own| own == claim);
        let claim = self.claims.swap_remove(position.expect("only what was taken is left"));
        self.notice(now, Notice::LockLeft(claim));
    }

    /// The host has lost all its locks on a volume.
    pub(crate) fn leave_all(&mut self, now: Instant, volume: VolumeId) {
        for claim in self.claims.extract_if(.., |claim| claim.volume == volume) {
            self.actions.push_back(Action::Notice { at: now, notice: Notice::LockLeft(claim) });
        }
    }

    /// The host took the lock at `lock`, in bytes from the start of the volume, from a dead owner.
    pub(crate) fn broke(
        &mut self,
        now: Instant,
        volume: VolumeId,
        lock: u64,
        owner: Option<HostUuid>,
    ) {
        self.notice(now, Notice::LockBroken { volume, lock, owner });
    }

    /// Asks the device of a volume for something.
    pub(crate) fn submit(&mut self, volume: VolumeId, io: Io, timeout: Duration) -> IoId {
        self.submit_to(volume, volume, io, timeout)
    }

    /// Asks the device of a volume for something that another volume wants to know.
    pub(crate) fn submit_to(
        &mut self,
        device: VolumeId,
        asking: VolumeId,
        io: Io,
        timeout: Duration,
    ) -> IoId {
        let id = self.next_io;
        self.next_io = IoId(id.0 + 1);
        self.in_flight.insert(id, asking);
        self.actions.push_back(Action::Submit { id, volume: device, io, timeout });
        id
    }

    /// Which volume asked for this, unless it was answered already or asked for before a crash.
    pub(crate) fn answered(&mut self, io: IoId) -> Option<VolumeId> {
        self.in_flight.remove(&io)
    }

    /// What is to be done or told next.
    pub(crate) fn next_action(&mut self) -> Option<Action> {
        self.actions.pop_front()
    }

    /// The host is gone: what it had noticed before was still said, what it wanted is not asked for any more.
    /// Its counters go on: no I/O has a name again.
    pub(crate) fn crash(&mut self, now: Instant) {
        self.claims.clear();
        self.in_flight.clear();
        self.actions.retain(|action| matches!(action, Action::Notice { .. }));
        self.notice(now, Notice::Crashed);
    }

    /// Says something.
    pub(crate) fn notice(&mut self, at: Instant, notice: Notice) {
        self.actions.push_back(Action::Notice { at, notice });
    }

    /// The next value of the counter that locks bear as the time of their modification. All volumes share it.
    pub(crate) const fn next_modification_time(&mut self) -> u64 {
        self.modification_time += 1;
        self.modification_time
    }

    /// A time between half of `duration` and all of it: how long to stay away from what another host wants,
    /// too, so that both do not come back at once.
    pub(crate) fn back_off(&mut self, duration: Duration) -> Duration {
        self.random.between(duration / 2, duration)
    }
}
