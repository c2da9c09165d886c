//! Which task management functions LIO told of.

use pulsefield_ring::TmrKind;

use super::Counter;

/// The functions that the kernel has names for, and what SAM calls them; the kernel's own for one that a
/// PERSISTENT RESERVE OUT implies.
const FUNCTIONS: [(TmrKind, &str); 8] = [
    (TmrKind::AbortTask, "ABORT TASK"),
    (TmrKind::AbortTaskSet, "ABORT TASK SET"),
    (TmrKind::ClearAca, "CLEAR ACA"),
    (TmrKind::ClearTaskSet, "CLEAR TASK SET"),
    (TmrKind::LunReset, "LOGICAL UNIT RESET"),
    (TmrKind::TargetWarmReset, "TARGET WARM RESET"),
    (TmrKind::TargetColdReset, "TARGET COLD RESET"),
    (TmrKind::LunResetPro, "PREEMPT AND ABORT"),
];

/// Task management functions, each counted.
#[derive(Debug, Default)]
pub(crate) struct TaskManagement {
    known: [Counter; FUNCTIONS.len()],
    unknown: Counter,
}

impl TaskManagement {
    /// Counts one.
    pub(crate) fn count(&self, kind: TmrKind) {
        match FUNCTIONS.iter().position(|(of, _)| *of == kind) {
            Some(place) => self.known[place].increment(),
            None => self.unknown.increment(),
        }
    }

    /// How many there were of each kind there were any of, by name.
    pub(crate) fn counts(&self) -> impl Iterator<Item = (&'static str, u64)> {
        let known = FUNCTIONS.iter().zip(&self.known).map(|((_, name), count)| (*name, count));
        let all = known.chain([("unknown", &self.unknown)]);
        all.map(|(name, count)| (name, count.load())).filter(|(_, count)| *count > 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_function_has_a_name_and_a_count() {
        let functions = TaskManagement::default();
        for code in [1, 1, 5, 128, 0, 200] {
            functions.count(TmrKind::from_code(code));
        }
        let counts: Vec<_> = functions.counts().collect();
        let wanted = [
            ("ABORT TASK", 2),
            ("LOGICAL UNIT RESET", 1),
            ("PREEMPT AND ABORT", 1),
            ("unknown", 2),
        ];
        assert_eq!(counts, wanted);
    }
}
