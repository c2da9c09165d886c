//! A plan: a seed, and rules in order.

use std::time::Duration;

use crate::{Fault, Select, When, Where};

/// What to break. The same plan, over the same commands in the same order, breaks the same things:
/// nothing but the commands, their order, the seed and the time that is passed in decides.
#[derive(Clone, Debug, PartialEq)]
pub struct Plan {
    /// Where all that is drawn comes from. A rule draws from streams of its own, which follow from
    /// this and from its position: one stream decides whether the rule hits, another what a hit
    /// does, so a plan that lists its hits ([`Select::Commands`]) draws
    /// the same for each of them.
    pub seed: u64,
    /// The plan is disarmed so long after it was armed.
    pub lasting: Option<Duration>,
    /// The plan is disarmed after so many hits of all its rules together.
    pub hits: Option<u64>,
    /// Of the rules that would hit a command, the first does; the others do not count it.
    pub rules: Vec<Rule>,
}

/// One thing to break.
#[derive(Clone, Debug, PartialEq)]
pub struct Rule {
    /// What the log, the counters and the recorder call it; unique in its plan.
    pub name: String,
    /// Which commands it is for.
    pub place: Where,
    /// Which of those it hits.
    pub when: When,
    /// What happens to a command that it hits.
    pub fault: Fault,
    /// What must follow.
    pub verdict: Verdict,
}

/// What must follow from a fault, so that a run with it can be judged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Verdict {
    /// The initiator is told, by status, sense or the lack of an answer in time.
    InitiatorSees,
    /// The initiator tries again, and whoever uses it notices at most that it took longer.
    RetryHides,
    /// Nobody is told: a promise is broken, and a checker that watches must notice.
    CheckerCatches,
}

impl Plan {
    /// The plan that repeats what the rules of this one did: each hits those of its commands that
    /// `hits` lists, by the rule's name and the command's number, and no other.
    #[must_use]
    pub fn replay<'h>(&self, hits: impl Iterator<Item = (&'h str, u64)>) -> Self {
        let mut replay = Self { lasting: None, hits: None, ..self.clone() };
        for rule in &mut replay.rules {
            rule.when = When { select: Select::Commands(Vec::new()), ..When::default() };
        }
        for (name, command) in hits {
            let rule = replay.rules.iter_mut().find(|rule| rule.name == name);
            if let Some(Select::Commands(commands)) = rule.map(|rule| &mut rule.when.select) {
                commands.push(command);
            }
        }
        replay
    }

    /// The plan without the rules that are not for the logical unit `name`. The others draw as they
    /// would have.
    pub fn rules_for<'p>(&'p self, name: &'p str) -> impl Iterator<Item = (usize, &'p Rule)> {
        self.rules.iter().enumerate().filter(move |(_, rule)| rule.place.is_for_lun(name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_replay_lists_what_was_hit_and_can_be_written() {
        let text = "seed = 9\nfor = \"1s\"\nat-most = 2\n[[rule]]\nfault = \"drop\"\n\
            when = { chance = \"1%\", at-most = 3 }\n[[rule]]\nfault = \"caw.twice\"\n\
            where = { slot = 3 }\n";
        let plan = Plan::parse("p", text);
        let plan = plan.unwrap();
        let replay = plan.replay([("caw.twice", 7), ("gone", 8), ("caw.twice", 9)].into_iter());
        assert_eq!((replay.seed, replay.lasting, replay.hits), (9, None, None));
        assert_eq!(replay.rules[0].when.select, Select::Commands(vec![]));
        assert_eq!(replay.rules[1].when.select, Select::Commands(vec![7, 9]));
        assert_eq!(replay.rules[1].place, plan.rules[1].place);
        assert_eq!(Plan::parse("p", &replay.to_toml()), Ok(replay));
    }
}
