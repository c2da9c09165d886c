//! Asking after those who have a lock: operation 8 of VMFS's list, up to taking the lock away.
//!
//! A lock names the heartbeat under which it was taken. If that is clear, or of another host or generation, the
//! owner has nothing any more. If not, it may still be that the owner is dead and nobody has noticed: then its
//! slot is watched for a lease and cleared.

use pulsefield_vmfs::{Heartbeat, LockHolder, Standing};

use super::{request, sector_read};
use crate::heartbeat::{Replay, Replayed};
use crate::operation::{Input, Operation, Step, View};

/// Who has a lock, and what is found out about them.
#[derive(Debug)]
pub(super) struct Inquiry {
    /// The last one is being asked after.
    owners: Vec<LockHolder>,
    thorough: bool,
    replay: Option<Replay>,
    dead: Vec<LockHolder>,
}

impl Inquiry {
    /// A look at the heartbeat of each of them.
    pub(super) const fn glance(owners: Vec<LockHolder>) -> Self {
        Self { owners, thorough: false, replay: None, dead: Vec::new() }
    }

    /// A look at the heartbeat of this one, for as long as it takes to know whether it is alive.
    pub(super) fn thorough(owner: LockHolder) -> Self {
        Self { owners: vec![owner], thorough: true, replay: None, dead: Vec::new() }
    }

    /// Looks at the heartbeat of who is next.
    fn look(&mut self, view: &View<'_>) -> Step<Vec<LockHolder>> {
        self.replay = None;
        match self.owners.last() {
            Some(owner) => request(view.geometry.read(owner.heartbeat_address)),
            None => Step::Finished(std::mem::take(&mut self.dead)),
        }
    }

    /// Knows enough of who is being asked after.
    fn settle(&mut self, view: &View<'_>, is_dead: bool) -> Step<Vec<LockHolder>> {
        let owner = self.owners.pop();
        self.dead.extend(owner.filter(|_| is_dead));
        self.look(view)
    }

    fn judge(
        &mut self,
        view: &mut View<'_>,
        owner: &LockHolder,
        heartbeat: Option<&Heartbeat>,
    ) -> Step<Vec<LockHolder>> {
        match Standing::of(owner, heartbeat) {
            Standing::HeartbeatCleared { .. }
            | Standing::OtherGeneration { .. }
            | Standing::OtherHost { .. } => self.settle(view, true),
            Standing::Held | Standing::Replaying { .. } if self.thorough => {
                self.replay = Some(Replay::new(owner.heartbeat_address));
                self.watch(view, Input::Begin)
            }
            // Of a slot with no heartbeat in it nobody can say whose it is: ESXi reports it as damaged.
            Standing::Held | Standing::Replaying { .. } | Standing::NoHeartbeat => {
                self.settle(view, false)
            }
        }
    }

    fn watch(&mut self, view: &mut View<'_>, input: Input) -> Step<Vec<LockHolder>> {
        let Some(replay) = &mut self.replay else {
            unreachable!("what a replay asked for is answered while it lasts");
        };
        replay.next(view, input).or_then(|end| match end {
            Replayed::Cleared => self.settle(view, true),
            Replayed::Changed => self.look(view),
            Replayed::Alive | Replayed::Failed => self.settle(view, false),
        })
    }
}

impl Operation for Inquiry {
    /// Those who are dead.
    type End = Vec<LockHolder>;

    fn next(&mut self, view: &mut View<'_>, input: Input) -> Step<Vec<LockHolder>> {
        if self.replay.is_some() {
            return self.watch(view, input);
        }
        let Input::Done(outcome) = input else { return self.look(view) };
        match (self.owners.last().copied(), sector_read(&outcome)) {
            (Some(owner), Some(sector)) => {
                let heartbeat = Heartbeat::decode(&sector)
                    .filter(|heartbeat| heartbeat.address == owner.heartbeat_address);
                self.judge(view, &owner, heartbeat.as_ref())
            }
            _ => self.settle(view, false),
        }
    }
}
