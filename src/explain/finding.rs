//! What can be found about a MISCOMPARE, and the order in which evidence decides.
//!
//! | asked | finding | evidence |
//! |---|---|---|
//! | 1 | [`Finding::Injected`] | a rule hit this command, the one that wrote what was found, or the last that was to write the block; what follows is decided besides |
//! | 2 | [`Finding::Corruption`] | what was found is not what the last recorded writer left, and the record has no gap since |
//! | 3 | [`Finding::ForeignWrite`] | no COMPARE AND WRITE, and nothing that belongs at this place |
//! | 4 | [`Finding::Retry`] | what was found was put there by an earlier command that expected the same, of the same host or aborted |
//! | 5 | [`Finding::Takeover`], [`Finding::Seized`] | another host changed a heartbeat slot in use; the owner's last pulse was a lease before, or not |
//! | 6 | [`Finding::StaleView`] | what was expected was there, several writes ago and not just now |
//! | 7 | [`Finding::Contention`] | what was expected was there until just now, or until the last write |
//! | – | [`Finding::Unknown`] | with what is missing |
//!
//! What is closer to the bytes is asked first: who wrote them, then what they are, then when. Contention comes
//! last since it is what remains if everybody did as he should.

mod contention;
mod corruption;
mod foreign;
mod injected;
mod retry;
mod stale;
mod takeover;

use std::fmt;
use std::time::Duration;

use pulsefield_units::{Instant, Span};

pub use contention::Contention;
pub use corruption::Corruption;
pub use foreign::ForeignWrite;
pub use injected::{Injected, Victim};
pub use retry::{Abort, Retry};
pub use stale::StaleView;
pub use takeover::Takeover;

use crate::case::{Case, Compared, Source};
use crate::told::Told;
use crate::traffic::{Gap, Traffic};

/// How long it may take a host to read a block, decide, and send its ATS. That takes milliseconds; who is
/// so much later has not looked.
pub(crate) const LOOK_MAX: Duration = Duration::from_secs(1);

/// Why a COMPARE AND WRITE miscompared.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Finding<'r> {
    /// A rule of a plan of faults did it.
    Injected(Injected<'r>),
    /// Nobody wrote what was found: an acknowledged write is lost, or the medium changed by itself.
    Corruption(Corruption<'r>),
    /// Somebody wrote there who does not know VMFS.
    ForeignWrite(ForeignWrite<'r>),
    /// The host sent an ATS again that had been applied.
    Retry(Retry<'r>),
    /// Another host took the slot of a host that had not pulsed for the lease.
    Takeover(Takeover<'r>),
    /// Another host took the slot of a host that had pulsed within the lease.
    Seized(Takeover<'r>),
    /// The host expected what had been there several writes ago.
    StaleView(StaleView<'r>),
    /// Another command came first.
    Contention(Contention<'r>),
    /// The record does not tell.
    Unknown(Missing<'r>),
}

/// What is missing to tell more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Missing<'r> {
    /// The bytes: the unit is recorded in brief, or the medium itself compares.
    Bytes,
    /// Any difference between what is kept of both images, and a rule that would explain that.
    Difference,
    /// Any writer of the block: the record begins later.
    Writer,
    /// The data of this command, which wrote last.
    Data(Told<'r>),
    /// What was in flight when the unit began again. This command wrote last before.
    Restart(Told<'r>),
    /// Records that are overwritten or damaged.
    Records {
        /// How many.
        lost: u64,
        /// The last command before them of which it is recorded that it wrote the block.
        since: Told<'r>,
    },
    /// When what was expected was there; this command wrote what was found.
    Expected(Told<'r>),
    /// The owner's last pulse. This command changed the slot.
    Pulse(Told<'r>),
}

/// Which finding it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum FindingKind {
    /// [`Finding::Injected`].
    Injected,
    /// [`Finding::Corruption`].
    Corruption,
    /// [`Finding::ForeignWrite`].
    ForeignWrite,
    /// [`Finding::Retry`].
    Retry,
    /// [`Finding::Takeover`].
    Takeover,
    /// [`Finding::Seized`].
    Seized,
    /// [`Finding::StaleView`].
    StaleView,
    /// [`Finding::Contention`].
    Contention,
    /// [`Finding::Unknown`].
    Unknown,
}

impl<'r> Finding<'r> {
    /// Decides what `compared` is due to. `writers` are the commands that may have changed its block, in
    /// the order in which they did.
    pub(crate) fn of(traffic: &Traffic<'r>, compared: &Compared<'r>, writers: &[Told<'r>]) -> Self {
        let case = Case::of(traffic, compared, writers);
        let natural = case.as_ref().map_or(Self::Unknown(Missing::Bytes), Self::without_faults);
        match Injected::look(traffic, compared.told, case.as_ref()) {
            Some((rule, victim)) => {
                Self::Injected(Injected { rule, victim, besides: Box::new(natural) })
            }
            None => natural,
        }
    }

    /// What it would be if no rule had hit anything.
    fn without_faults(case: &Case<'_, 'r>) -> Self {
        if case.expected == case.found {
            return Self::Unknown(Missing::Difference);
        }
        let writer = match case.source {
            Source::Written(writer) => writer,
            Source::WrittenUnseen(writer) => {
                return ForeignWrite::unseen(case, writer)
                    .map_or(Self::Unknown(Missing::Data(writer)), Self::ForeignWrite);
            }
            Source::Other(last) => {
                return match case.gap_since(last) {
                    None => Self::Corruption(Corruption::of(case, last)),
                    Some(Gap::Restart) => Self::Unknown(Missing::Restart(last)),
                    Some(Gap::Lost(lost)) => Self::Unknown(Missing::Records { lost, since: last }),
                };
            }
            Source::Unrecorded => return Self::Unknown(Missing::Writer),
        };
        let foreign = || ForeignWrite::look(case, writer).map(Self::ForeignWrite);
        let retry = || Retry::look(case, writer).map(Self::Retry);
        let takeover = || takeover::look(case);
        let stale = || StaleView::look(case).map(Self::StaleView);
        let contention = || Contention::look(case, writer).map(Self::Contention);
        foreign()
            .or_else(retry)
            .or_else(takeover)
            .or_else(stale)
            .or_else(contention)
            .unwrap_or(Self::Unknown(Missing::Expected(writer)))
    }

    /// Which finding it is.
    pub const fn kind(&self) -> FindingKind {
        match self {
            Self::Injected(_) => FindingKind::Injected,
            Self::Corruption(_) => FindingKind::Corruption,
            Self::ForeignWrite(_) => FindingKind::ForeignWrite,
            Self::Retry(_) => FindingKind::Retry,
            Self::Takeover(_) => FindingKind::Takeover,
            Self::Seized(_) => FindingKind::Seized,
            Self::StaleView(_) => FindingKind::StaleView,
            Self::Contention(_) => FindingKind::Contention,
            Self::Unknown(_) => FindingKind::Unknown,
        }
    }
}

impl FindingKind {
    /// All of them, in the order in which they are asked for.
    pub const ALL: [Self; 9] = [
        Self::Injected,
        Self::Corruption,
        Self::ForeignWrite,
        Self::Retry,
        Self::Takeover,
        Self::Seized,
        Self::StaleView,
        Self::Contention,
        Self::Unknown,
    ];

    /// What it is called.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Injected => "injected",
            Self::Corruption => "corruption",
            Self::ForeignWrite => "foreign write",
            Self::Retry => "retry of an applied ATS",
            Self::Takeover => "takeover after a missed lease",
            Self::Seized => "slot taken from a living host",
            Self::StaleView => "stale view",
            Self::Contention => "contention",
            Self::Unknown => "unknown",
        }
    }

    /// What an administrator should do about it.
    pub const fn advice(self) -> &'static str {
        match self {
            Self::Injected => {
                "Nothing: a fault did this, as ordered. `pulsefield fault ls` shows what is armed, \
                 `pulsefield fault disarm` ends it."
            }
            Self::Corruption => {
                "Take this seriously: stop writing to the datastore, keep a copy of the record \
                 (`pulsefield trace --save`), look for errors of the medium and for anybody who writes to it \
                 past this target, and check the datastore with VOMA before it is used again."
            }
            Self::ForeignWrite => {
                "Find who sent that command: a host or a tool that has the LUN and is not ESXi. Take the \
                 LUN from it (mask it), then check the datastore with VOMA."
            }
            Self::Retry => {
                "The datastore is sound; the host recovers by itself. Find out why the first answer did not \
                 reach it: look in the fabric for errors and lost frames, and here for commands that took \
                 longer than ESXi waits (8 s). Hosts before ESXi 6.5 should be updated."
            }
            Self::Takeover => {
                "Find out why the owner was silent: look in its vmkernel.log for lost paths and at the \
                 host itself (hung, paused, cut off). Its virtual machines may run elsewhere by now; it \
                 must not go on as before."
            }
            Self::Seized => {
                "Two hosts disagree about who lives. Look for one that cannot read what the other writes \
                 (paths to other storage, a stale mirror), for hosts with the same UUID, and for clocks \
                 of virtual machines that were paused. Then check the datastore with VOMA."
            }
            Self::StaleView => {
                "The host compares with an old image: it was suspended, was cloned, or reads stale data \
                 (another path to another copy, a cache), or its adapter sends an old buffer. Compare its \
                 paths, and update the driver of its adapter."
            }
            Self::Contention => {
                "Nothing: hosts compete for a lock, one wins, the others try again. If there are very many \
                 on one lock, spread virtual machines over datastores."
            }
            Self::Unknown => {
                "Nothing can be concluded. Let the record reach back further (`record_size`), and look at \
                 the next one sooner."
            }
        }
    }
}

impl fmt::Display for FindingKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl fmt::Display for Finding<'_> {
    /// The finding and its evidence, in a few clauses.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Injected(it) => it.fmt(f),
            Self::Corruption(it) => it.fmt(f),
            Self::ForeignWrite(it) => it.fmt(f),
            Self::Retry(it) => it.fmt(f),
            Self::Takeover(it) | Self::Seized(it) => it.fmt(f),
            Self::StaleView(it) => it.fmt(f),
            Self::Contention(it) => it.fmt(f),
            Self::Unknown(it) => it.fmt(f),
        }
    }
}

impl fmt::Display for Missing<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bytes => f.write_str("what it compared is not recorded"),
            Self::Difference => {
                f.write_str("what is recorded of what it expected and of what it found is the same")
            }
            Self::Writer => {
                f.write_str("the record does not reach back to whoever wrote what was found")
            }
            Self::Data(writer) => {
                write!(f, "{writer} wrote the block last, and what it wrote is not recorded")
            }
            Self::Restart(last) => write!(
                f,
                "the unit ended and began again after {last}, the last recorded writer; what was in flight, \
                 or written meanwhile, is not recorded"
            ),
            Self::Records { lost, since } => write!(
                f,
                "{lost} records since {since}, the last recorded writer, are overwritten or damaged; \
                 a write of this block may be among them"
            ),
            Self::Expected(writer) => write!(
                f,
                "{writer} wrote what was found, but the record does not tell when what was expected was there"
            ),
            Self::Pulse(by) => write!(
                f,
                "{by} changed the slot, but the record does not reach back to the owner's last pulse"
            ),
        }
    }
}

/// How long one thing was before another.
pub(crate) fn before(earlier: Instant, later: Instant) -> Span {
    Span(later.since(earlier))
}
