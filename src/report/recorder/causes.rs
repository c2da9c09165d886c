//! Why COMPARE AND WRITE commands miscompared.

use std::cmp::Reverse;
use std::time::Duration;

use super::timeline::Timeline;
use crate::run::{CAUSES_MAX, Cause, EXPLANATIONS_MAX, Explanation, View};

/// Causes in the order in which they were seen first.
#[derive(Debug, Default)]
pub(super) struct Causes {
    seen: Vec<Seen>,
    explained: u64,
}

#[derive(Debug)]
struct Seen {
    name: String,
    advice: String,
    view: View,
    total: u64,
    over_time: Timeline<u64>,
    explanations: Vec<Explanation>,
}

impl Causes {
    /// Counts one; `explain` is asked only if the explanation is to be kept, with the number that it has then.
    pub(super) fn count(
        &mut self,
        at: Duration,
        view: View,
        (name, advice): (&str, &str),
        explain: impl FnOnce(u64) -> Explanation,
    ) {
        let is_it = |cause: &Seen| cause.name == name && cause.view == view;
        let known = self.seen.iter().position(is_it);
        let nth = known.unwrap_or_else(|| {
            if self.seen.len() < CAUSES_MAX {
                self.seen.push(Seen::new(name, advice, view));
            }
            self.seen.len() - 1
        });
        let cause = &mut self.seen[nth];
        cause.total += 1;
        *cause.over_time.at(at) += 1;
        if cause.explanations.len() < EXPLANATIONS_MAX {
            self.explained += 1;
            cause.explanations.push(explain(self.explained));
        }
    }

    pub(super) fn finish(self, lasted: Duration) -> Vec<Cause> {
        let cause = |seen: Seen| Cause {
            name: seen.name,
            advice: seen.advice,
            view: seen.view,
            total: seen.total,
            over_time: seen.over_time.finish(lasted, |count| count),
            explanations: seen.explanations,
        };
        let mut causes: Vec<Cause> = self.seen.into_iter().map(cause).collect();
        causes.sort_by_key(|cause| Reverse(cause.total));
        causes
    }
}

impl Seen {
    fn new(name: &str, advice: &str, view: View) -> Self {
        Self {
            name: name.to_owned(),
            advice: advice.to_owned(),
            view,
            total: 0,
            over_time: Timeline::default(),
            explanations: Vec::new(),
        }
    }
}
