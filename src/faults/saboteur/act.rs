//! What plays are made of. A rule that hits a command gives it a script, a list of [`Act`]s; whatever a
//! fault does, it does with these, and so with ordinary commands to the device server.

use std::time::Duration;

use pulsefield_engine::Outcome;
use pulsefield_units::{Cdb, Instant, LbaRange};

use crate::saboteur::alteration::Alteration;
use crate::saboteur::rule::RuleId;

/// One step of what happens to a command that rules have hit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Act {
    /// Hold it up for so long.
    Wait(Duration),
    /// Hold it up until then.
    WaitUntil(Instant),
    /// Hold it up while another one has its turn with this rule.
    TakeTurn(RuleId),
    /// Hold it until it is aborted, at most for so long.
    Hold(Duration),
    /// Have the device server do it. However that ends, the script goes on.
    Original,
    /// Have the device server do something else. If that does not end with GOOD, its end is the
    /// command's.
    Send(Errand),
    /// Read these blocks and keep the image. If that fails, the command fails so.
    ReadImage(LbaRange),
    /// End with MISCOMPARE if the image differs from `test` at byte `at`.
    Compare { at: usize, test: Vec<u8> },
    /// End here unless it ended with MISCOMPARE.
    OnlyIfMiscompared,
    /// Write the image back to `range`, from where it was read, with `bytes` in it at byte `at`.
    WriteImage { range: LbaRange, at: usize, bytes: Vec<u8>, fua: bool },
    /// If the command ended with GOOD, keep the image, which these rules may restore.
    Remember(Vec<RuleId>, LbaRange),
    /// If the command ended with GOOD, lay the image over what is read of these blocks for so long.
    LayOver(RuleId, LbaRange, Duration),
    /// Lay the images there are over what a READ brought.
    ReadOverlaid,
    /// The command ends so, unless something further on decides otherwise.
    End(Outcome),
    /// Change its answer.
    Alter(Alteration),
    /// Answer it now. Whatever follows happens without an initiator.
    Answer,
    /// As [`Self::Answer`] if it was aborted; else it ends here.
    AnswerIfAborted,
}

/// A command of the saboteur's own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Errand {
    pub(crate) cdb: Cdb,
    /// Data-Out.
    pub(crate) data: Vec<u8>,
    /// Whether it has nothing to do with the command that was hit: then no abort of that ends it,
    /// and no unit attention condition.
    pub(crate) independent: bool,
}

impl Errand {
    /// A command in the place of, or on behalf of, the one that was hit.
    pub(crate) const fn new(cdb: Cdb, data: Vec<u8>) -> Self {
        Self { cdb, data, independent: false }
    }

    /// A command that happens to be sent now.
    pub(crate) const fn independent(cdb: Cdb, data: Vec<u8>) -> Self {
        Self { cdb, data, independent: true }
    }
}
