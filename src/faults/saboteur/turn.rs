//! One at a time: whose turn it is with a rule, and who waits for it.

use std::collections::VecDeque;

use crate::saboteur::scene::SceneId;

/// The turns of one rule, in order of arrival.
#[derive(Debug, Default)]
pub(crate) struct Turns {
    holder: Option<SceneId>,
    waiting: VecDeque<SceneId>,
}

impl Turns {
    /// Asks for a turn; says whether it is there already.
    pub(crate) fn take(&mut self, scene: SceneId) -> bool {
        if self.holder.is_none() {
            self.holder = Some(scene);
            return true;
        }
        self.waiting.push_back(scene);
        false
    }

    /// Waits no longer.
    pub(crate) fn leave(&mut self, scene: SceneId) {
        self.waiting.retain(|waiting| *waiting != scene);
    }

    /// Ends the turn that there is, and says whose the next one is.
    pub(crate) fn pass_on(&mut self) -> Option<SceneId> {
        self.holder = self.waiting.pop_front();
        self.holder
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn turns_are_in_order_of_arrival() {
        let [a, b, c] = [0, 1, 2].map(SceneId);
        let mut turns = Turns::default();
        assert!(turns.take(a));
        assert!(!turns.take(b) && !turns.take(c));
        turns.leave(b);
        assert_eq!(turns.pass_on(), Some(c));
        assert_eq!(turns.pass_on(), None);
        assert!(turns.take(b));
    }
}
