//! What heartbeats and locks that go by mean: pulses, takeovers, and who has what.

use std::collections::BTreeMap;
use std::sync::Arc;

use pulsefield_checkers::{Ending, Event, HostId, Pulse, UnitId};
use pulsefield_units::{Instant, Lba};
use pulsefield_vmfs::{Heartbeat, HeartbeatState, HostUuid, Object};

use super::Telling;
use super::claims::{Changed, Claims};
use super::command::{Deed, Seen, Swap};

/// The heartbeats and locks of a unit.
#[derive(Debug)]
pub(super) struct Volume {
    unit: UnitId,
    /// Whose heartbeat was last written where, in which generation.
    slots: BTreeMap<Lba, (HostId, u64)>,
    claims: Claims,
}

impl Volume {
    pub(super) fn new(unit: UnitId) -> Self {
        Self { unit, slots: BTreeMap::new(), claims: Claims::default() }
    }

    /// Nothing is known any more.
    pub(super) fn forget(&mut self) {
        self.slots.clear();
        self.claims.forget();
    }

    /// A heartbeat that was asked for and is not answered, although it is late.
    pub(super) fn tell_unanswered(&self, lba: Lba, [asked, now]: [Instant; 2], to: &Telling<'_>) {
        if let Some((host, _)) = self.slots.get(&lba) {
            let (host, unit) = (*host, self.unit);
            let pulse = Pulse { host, unit, invoked: asked, returned: now, alive: false };
            to.teller.event(Event::Pulse(pulse));
        }
    }

    /// A command has ended that `host` has sent, and that wrote these blocks, or wanted to.
    pub(super) fn hear(
        &mut self,
        seen: &Seen,
        host: HostId,
        written: &[(Lba, Arc<[u8]>)],
        to: &mut Telling<'_>,
    ) {
        if let Deed::Swap(Swap { test, set, .. }) = &seen.deed {
            let lba = seen.blocks.start();
            match (Object::decode(test), Object::decode(set)) {
                (before, Some(Object::Heartbeat(set))) => {
                    let before = before.and_then(heartbeat);
                    self.hear_heartbeat(seen, lba, before.as_ref(), &set, to);
                }
                (Some(Object::Lock(from)), Some(Object::Lock(set)))
                    if from.address == set.address =>
                {
                    self.hear_lock(seen, Pair { lba, from: &from, to: &set, by: host }, to);
                }
                _ if may_have_written(seen) => {
                    self.claims.blur(lba, seen.answered, |event| to.teller.event(event));
                }
                _ => {}
            }
            return;
        }
        for (lba, bytes) in written {
            self.claims.blur(*lba, seen.answered, |event| to.teller.event(event));
            if let Some(set) = Object::decode(bytes).and_then(heartbeat) {
                self.hear_heartbeat(seen, *lba, None, &set, to);
            }
        }
    }

    fn hear_heartbeat(
        &mut self,
        seen: &Seen,
        lba: Lba,
        before: Option<&Heartbeat>,
        set: &Heartbeat,
        to: &mut Telling<'_>,
    ) {
        let (unit, at, is_done) = (self.unit, seen.answered, seen.ending == Ending::Done);
        if let (HeartbeatState::InUse, Some(owner)) = (set.state, set.owner) {
            let by_ats = matches!(seen.deed, Deed::Swap(_));
            let host = to.hosts.pulse(owner, set, by_ats, to.teller);
            if is_done
                && self.slots.insert(lba, (host, set.generation)) != Some((host, set.generation))
            {
                self.claims.restart(host, at, |event| to.teller.event(event));
            }
            let alive = is_done && !seen.aborted;
            let pulse = Pulse { host, unit, invoked: seen.arrived, returned: at, alive };
            to.teller.event(Event::Pulse(pulse));
        }
        if let Some((dead, by)) = taken_for_dead(before, set).filter(|_| is_done) {
            let (host, by) = (to.id(Some(dead)), to.id(Some(by)));
            to.teller.event(Event::DeclaredDead { host, unit, by, at });
        }
    }

    fn hear_lock(&mut self, seen: &Seen, pair: Pair<'_>, to: &mut Telling<'_>) {
        if !may_have_written(seen) {
            return;
        }
        let Pair { lba, from, to: set, by } = pair;
        let is_certain = seen.ending == Ending::Done && !seen.aborted;
        let (unit, at) = (self.unit, seen.answered);
        let changed = Changed { unit, lba, at, from, to: set, by, is_certain };
        let (teller, hosts) = (to.teller, &mut *to.hosts);
        let id_of = |uuid| hosts.id(Some(uuid), teller);
        self.claims.change(changed, id_of, |event| teller.event(event));
    }
}

/// A lock before and after.
struct Pair<'p> {
    lba: Lba,
    from: &'p pulsefield_vmfs::DiskLock,
    to: &'p pulsefield_vmfs::DiskLock,
    by: HostId,
}

const fn may_have_written(seen: &Seen) -> bool {
    matches!(seen.ending, Ending::Done | Ending::Maybe)
}

fn heartbeat(object: Object) -> Option<Heartbeat> {
    match object {
        Object::Heartbeat(heartbeat) => Some(heartbeat),
        Object::Lock(_) => None,
    }
}

/// Whom a host takes for dead that turns one heartbeat into another, and who does. Not one that just clears a
/// slot: that may be its owner.
fn taken_for_dead(before: Option<&Heartbeat>, set: &Heartbeat) -> Option<(HostUuid, HostUuid)> {
    let owner = before.filter(|before| before.state == HeartbeatState::InUse)?.owner?;
    let by = match set.state {
        HeartbeatState::Replaying => set.replaying_host?,
        HeartbeatState::InUse => set.owner?,
        HeartbeatState::Clear => return None,
    };
    (by != owner).then_some((owner, by))
}
