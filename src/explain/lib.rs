//! Why an ATS miscompared, and where the time of a late heartbeat went: findings from the record of a
//! logical unit, each with the evidence in it.
//!
//! Floor 4: what the recorder tells, in the words of SCSI and of VMFS. No I/O and no clock: records in,
//! findings out; all times are those of the records. Whatever the records are, nothing panics.
//!
//! [`Account::of`] looks at all there is before it says anything, since the command that wrote what another
//! has found may be recorded after it. Evidence is asked for in a fixed order (`finding.rs`), the first that
//! there is decides, and where it is missing the finding is [`Finding::Unknown`], with what is missing.

mod account;
mod case;
mod finding;
mod host;
mod late;
mod summary;
#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;
mod told;
mod traffic;
mod unanswered;
mod words;

pub use account::{Account, Miscompare};
pub use finding::{
    Abort, Contention, Corruption, Finding, FindingKind, ForeignWrite, Injected, Missing, Retry,
    StaleView, Takeover, Victim,
};
pub use host::Host;
pub use late::{Deadlines, LateHeartbeat, Share, Shares};
pub use summary::{Summary, WORST_MAX};
pub use told::Told;
pub use unanswered::Unanswered;
