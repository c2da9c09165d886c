//! What the record of the unit says of one MISCOMPARE.

use pulsefield_explain::{FindingKind, Miscompare};
use pulsefield_units::{Instant, Lba, LbaRange};

/// Why one COMPARE AND WRITE miscompared, and by what it is recognised.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Explanation {
    /// The finding.
    pub(crate) finding: FindingKind,
    /// What it was about, and the command.
    pub(crate) about: String,
    /// The finding with its evidence, on several lines.
    pub(crate) text: String,
    /// When its answer was ready.
    pub(crate) answered: Instant,
    arrived: Instant,
    blocks: Option<LbaRange>,
    lba: Lba,
    /// What it wanted to write to the block `lba`, if that is kept.
    wanted: Option<Vec<u8>>,
}

impl Explanation {
    pub(crate) fn of(miscompare: &Miscompare<'_>) -> Self {
        let told = miscompare.told();
        let about = match miscompare.object() {
            Some(object) => format!("{object}, {told}"),
            None => told.to_string(),
        };
        Self {
            finding: miscompare.finding.kind(),
            about,
            text: miscompare.to_string(),
            answered: told.command.answered,
            arrived: told.command.arrived,
            blocks: told.blocks(),
            lba: miscompare.lba(),
            wanted: miscompare.wanted().map(<[u8]>::to_vec),
        }
    }

    /// Whether it is of the command that a host sent for these blocks to write `set` there, and that was under way
    /// from `invoked` to `returned`: both sides go by the same clock.
    pub(crate) fn is_of(
        &self,
        blocks: LbaRange,
        set: &[u8],
        (invoked, returned): (Instant, Instant),
    ) -> bool {
        self.blocks == Some(blocks)
            && invoked <= self.arrived
            && self.answered <= returned
            && self.wanted.as_deref().is_none_or(|wanted| {
                let before = self.lba.checked_sub(blocks.start());
                let before = before.and_then(|count| usize::try_from(count.as_u64()).ok());
                let block = before.and_then(|nth| set.chunks(wanted.len().max(1)).nth(nth));
                block == Some(wanted)
            })
    }
}
