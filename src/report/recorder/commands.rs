//! What is asked of devices.

use std::collections::BTreeMap;
use std::time::Duration;

use pulsefield_checkers::{Ending, Operation, OperationKind, UnitId};

use super::timeline::{Timeline, Times};
use crate::run::{Commands, Outcomes};
use crate::series::Traffic;

/// The kinds of commands, in the order in which they are shown.
const KINDS: [&str; 5] =
    ["COMPARE AND WRITE", "READ", "WRITE", "UNMAP, WRITE SAME", "EXTENDED COPY"];

/// All commands, by kind.
#[derive(Debug, Default)]
pub(super) struct AllCommands {
    kinds: [Kind; KINDS.len()],
    /// Of each unit.
    block_bytes: BTreeMap<UnitId, u32>,
}

#[derive(Debug, Default)]
struct Kind {
    outcomes: Outcomes,
    took: Times,
    over_time: Timeline<Traffic>,
}

impl AllCommands {
    /// So long is a block of this unit.
    pub(super) fn block_bytes(&mut self, unit: UnitId, bytes: u32) {
        self.block_bytes.insert(unit, bytes);
    }

    /// Takes one that ended so long after the run's beginning.
    pub(super) fn take(&mut self, at: Duration, operation: &Operation) {
        let block_bytes = self.block_bytes.get(&operation.unit).copied().unwrap_or_default();
        let bytes = operation.blocks.blocks().as_u64().saturating_mul(block_bytes.into());
        let kind = match &operation.kind {
            OperationKind::CompareAndWrite { .. } => 0,
            OperationKind::Read { .. } => 1,
            OperationKind::Write { .. } => 2,
            OperationKind::Zero => 3,
            OperationKind::Copy { .. } => 4,
        };
        let Kind { outcomes, took, over_time } = &mut self.kinds[kind];
        let traffic = over_time.at(at);
        traffic.commands += 1;
        match operation.ending {
            Ending::Done => {
                traffic.bytes += bytes;
                outcomes.done += 1;
            }
            Ending::Miscompared(_) => outcomes.miscompared += 1,
            Ending::Refused => outcomes.refused += 1,
            Ending::Maybe => outcomes.unknown += 1,
        }
        if let Some(returned) = operation.returned {
            took.add(returned.since(operation.invoked));
        }
    }

    /// Those kinds of which there was one.
    pub(super) fn finish(self, lasted: Duration) -> Vec<Commands> {
        let named = KINDS.into_iter().zip(self.kinds);
        let used = named.filter(|(_, kind)| kind.outcomes != Outcomes::default());
        used.map(|(name, kind)| Commands {
            kind: name.to_owned(),
            outcomes: kind.outcomes,
            took: kind.took.spread(),
            over_time: kind.over_time.finish(lasted, |traffic| traffic),
        })
        .collect()
    }
}
