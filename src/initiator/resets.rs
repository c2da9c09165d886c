//! Which commands a reset may have ended.
//!
//! `tcm_loop` tells its initiator that a command is done when LIO frees it (`tcm_loop_release_cmd` of
//! `drivers/target/loopback/tcm_loop.c`, Linux 6.1). Of a command that a LOGICAL UNIT RESET of the same initiator has
//! ended nobody has said how: SAM has such commands go without a status. So the result is what it was set to at
//! first, and the initiator hears GOOD where nothing was done, nothing written and nothing read.

use std::sync::atomic::{AtomicU64, Ordering};

/// The resets by one path, which may overlap.
#[derive(Debug, Default)]
pub(crate) struct Resets {
    begun: AtomicU64,
    ended: AtomicU64,
}

impl Resets {
    /// Carries out a reset.
    pub(crate) fn reset<T>(&self, reset: impl FnOnce() -> T) -> T {
        self.begun.fetch_add(1, Ordering::SeqCst);
        let outcome = reset();
        self.ended.fetch_add(1, Ordering::SeqCst);
        outcome
    }

    /// Carries out a command, and says whether a reset was under way meanwhile.
    pub(crate) fn beside<T>(&self, command: impl FnOnce() -> T) -> (T, bool) {
        // In this order: one that begins or ends in between makes them differ.
        let ended = self.ended.load(Ordering::SeqCst);
        let outcome = command();
        (outcome, self.begun.load(Ordering::SeqCst) != ended)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_in_flight_with_a_reset_is_known() {
        let resets = Resets::default();
        let is_beside_one = |command: &dyn Fn()| resets.beside(command).1;
        assert!(!is_beside_one(&|| ()));
        assert!(is_beside_one(&|| resets.reset(|| ())), "it began and ended meanwhile");
        assert!(resets.reset(|| is_beside_one(&|| ())), "it began before and ended afterwards");
        assert!(!is_beside_one(&|| ()), "they are over");
    }
}
