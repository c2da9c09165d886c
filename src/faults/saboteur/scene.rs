//! A command that rules have hit, from its arrival to its answer, and beyond if something of it is
//! applied later.

use std::collections::VecDeque;

use pulsefield_data::Buffer;
use pulsefield_engine::Outcome;
use pulsefield_scsi::{Asc, Sense, SenseKey, Status};
use pulsefield_units::{Cdb, Instant};

use crate::saboteur::act::Act;
use crate::saboteur::facts::Facts;
use crate::saboteur::rule::RuleId;

/// Names a scene among those of one saboteur; what it sends to the device server comes back with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SceneId(pub(crate) u64);

/// What a scene waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Waits {
    /// Nothing.
    No,
    /// The device server: its own command's end, or an errand's.
    Server(Sent),
    /// A moment.
    Until(Instant),
    /// Its abort; at most until then.
    Abort(Instant),
    /// Its turn with a rule.
    Turn(RuleId),
}

/// What a scene has sent to the device server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sent {
    /// The command itself, with its own data.
    Original,
    /// Something in its place or on its behalf, whose end counts if it is not GOOD.
    Errand,
    /// The same of something that has nothing to do with the command.
    Aside,
    /// A READ, whose data is the scene's image.
    Image,
}

impl Sent {
    /// Whether this end of it says how the command ended, or would have: reading an image first does only if it fails.
    pub(crate) fn may_end_command(self, outcome: &Outcome) -> bool {
        match self {
            Self::Original | Self::Errand => true,
            Self::Image => outcome.status != Status::Good,
            Self::Aside => false,
        }
    }
}

/// A command that rules have hit.
#[derive(Debug)]
pub(crate) struct Scene<T> {
    /// What the transport knows the command by; `None` once it is answered.
    pub(crate) token: Option<T>,
    pub(crate) tag: u16,
    pub(crate) cdb: Cdb,
    pub(crate) facts: Facts,
    /// The command's own data, unless the device server has it.
    pub(crate) data: Buffer,
    /// What is still to happen.
    pub(crate) script: VecDeque<Act>,
    pub(crate) waits: Waits,
    /// What was last read for the script.
    pub(crate) image: Vec<u8>,
    /// How the command ends, as far as that is decided.
    pub(crate) outcome: Option<Outcome>,
    pub(crate) aborted: bool,
    /// The rule that hit it, and the log's entry about that; `None` if it is only watched.
    pub(crate) hit: Option<(RuleId, u64)>,
    /// The rule that it has its turn with.
    pub(crate) turn: Option<RuleId>,
}

impl<T> Scene<T> {
    /// How the command ends now that nothing more happens to it.
    ///
    /// Aborted before anything was done, it is a task that was aborted; otherwise LIO does not look at
    /// the status. Never aborted and never answered, it ends as it would if the kernel's own timer had
    /// run out first: NOT READY, LOGICAL UNIT COMMUNICATION FAILURE.
    ///
    /// Source: `drivers/target/target_core_user.c`, `tcmu_check_expired_ring_cmd`.
    pub(crate) const fn end(&self) -> Outcome {
        match self.outcome {
            Some(outcome) => outcome,
            None if self.aborted => Outcome::status(Status::TaskAborted),
            None => EXPIRED,
        }
    }

    /// Whether the command was done.
    pub(crate) fn is_good(&self) -> bool {
        self.outcome.is_some_and(|outcome| outcome.status == Status::Good)
    }
}

/// How a command ends that was held until it expired.
pub(crate) const EXPIRED: Outcome =
    Outcome::check(Sense::new(SenseKey::NotReady, Asc::LOGICAL_UNIT_COMMUNICATION_FAILURE));
