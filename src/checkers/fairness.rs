//! [`Promise::Fairness`]: no host starves.
//!
//! A host starves at a unit in one of two ways:
//!
//! - *It is not served.* For [`STARVED_AFTER`] it asked without being answered, while others were answered
//!   [`OTHERS_ANSWERED`] times there. A host that pauses for longer than [`PAUSE`] with nothing in flight did not
//!   ask. An aborted command is none that was answered, so a unit that answers one host only after its abort
//!   starves it.
//! - *It never wins.* It lost [`RACES_MAX`] compare-and-writes of a block in a row, each to another host. With
//!   sixteen hosts that race fairly, that happens once in 2·10^14 times.
//!
//! Memory: a few words for each host and unit, and for each block that a host lost last.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::time::Duration;

use pulsefield_units::Instant;
use pulsefield_vmfs::LEASE;

use crate::digest::{Place, PlaceMap};
use crate::ledger::Ledger;
use crate::words::Moment;
use crate::{
    Begun, Breach, Checker, Ending, Figure, HostId, Operation, OperationKind, Promise, UnitId,
    Verdict,
};

/// For so long a host must have asked in vain: a lease.
pub const STARVED_AFTER: Duration = LEASE;

/// So many answers others must have got meanwhile.
pub const OTHERS_ANSWERED: u64 = 64;

/// So many races in a row a host may lose.
pub const RACES_MAX: u32 = 512;

/// A host that had nothing in flight for longer began to ask anew; one that did not try for a block for longer
/// gave it up. A pulse is due every 3 s.
const PAUSE: Duration = Duration::from_secs(4);

/// When so many races are known, those that were given up are forgotten.
const RACES_KEPT: usize = 1 << 16;

/// Whether every host gets its share.
#[derive(Debug)]
pub struct Fairness {
    ledger: Ledger,
    queues: BTreeMap<(UnitId, HostId), Queue>,
    /// How many commands each unit answered.
    answered: BTreeMap<UnitId, u64>,
    /// How often each block was won.
    wins: PlaceMap<u64>,
    races: BTreeMap<(Place, HostId), Race>,
    longest_wait: Duration,
    longest_race: u32,
}

/// What a host waits for at a unit.
#[derive(Clone, Copy, Debug)]
struct Queue {
    in_flight: u64,
    /// Since when it has asked without an answer.
    since: Instant,
    /// When it last had something in flight, if it has not.
    until: Instant,
    /// What others had been answered at `since`.
    others: u64,
    /// What it was answered itself.
    own: u64,
}

/// Compare-and-writes that a host lost in a row.
#[derive(Clone, Copy, Debug)]
struct Race {
    lost: u32,
    /// How often the block had been won when it last tried.
    wins: u64,
    /// When that was.
    at: Instant,
}

impl Default for Fairness {
    fn default() -> Self {
        Self {
            ledger: Ledger::new(Promise::Fairness),
            queues: BTreeMap::new(),
            answered: BTreeMap::new(),
            wins: PlaceMap::default(),
            races: BTreeMap::new(),
            longest_wait: Duration::ZERO,
            longest_race: 0,
        }
    }
}

impl Checker for Fairness {
    fn ledger(&self) -> &Ledger {
        &self.ledger
    }

    fn begun(&mut self, begun: &Begun) {
        if begun.host == HostId::SOMEBODY {
            return;
        }
        let answered = self.answered.get(&begun.unit).copied().unwrap_or(0);
        let fresh = |own| {
            let (since, others) = (begun.at, answered - own);
            Queue { in_flight: 0, since, until: begun.at, others, own }
        };
        let queue = self.queues.entry((begun.unit, begun.host)).or_insert_with(|| fresh(0));
        if queue.in_flight == 0 && begun.at.since(queue.until) > PAUSE {
            *queue = fresh(queue.own);
        }
        queue.in_flight += 1;
    }

    fn ended(&mut self, operation: &Operation) {
        if operation.host == HostId::SOMEBODY {
            return;
        }
        self.ledger.count();
        self.end(operation);
        if let OperationKind::CompareAndWrite { .. } = operation.kind {
            self.race(operation);
        }
    }

    fn forgotten(&mut self, host: HostId) {
        self.queues.retain(|(_, owner), _| *owner != host);
        self.races.retain(|(_, owner), _| *owner != host);
    }

    fn missed(&mut self, unit: UnitId) {
        self.queues.retain(|(of, _), _| *of != unit);
        self.races.retain(|(place, _), _| place.unit != unit);
    }

    fn finish(mut self: Box<Self>, at: Instant) -> Verdict {
        for ((unit, host), queue) in std::mem::take(&mut self.queues) {
            if queue.in_flight > 0 {
                self.judge_wait(unit, host, &queue, at);
            }
        }
        let longest_us = u64::try_from(self.longest_wait.as_micros()).unwrap_or(u64::MAX);
        let figure = |name, value| Figure { name, value };
        let figures = vec![
            figure("longest_wait_us", longest_us),
            figure("races_lost_in_a_row", self.longest_race.into()),
        ];
        self.ledger.verdict(figures)
    }
}

impl Fairness {
    fn end(&mut self, operation: &Operation) {
        let Operation { host, unit, invoked, returned, ending, .. } = operation;
        let at = returned.unwrap_or(*invoked);
        let Some(queue) = self.queues.get_mut(&(*unit, *host)) else { return };
        queue.in_flight = queue.in_flight.saturating_sub(1);
        queue.until = queue.until.max(at);
        if *ending == Ending::Maybe {
            return;
        }
        let answered = self.answered.entry(*unit).or_default();
        *answered += 1;
        queue.own += 1;
        let waited = *queue;
        (queue.since, queue.others) = (at, *answered - queue.own);
        self.judge_wait(*unit, *host, &waited, at);
    }

    /// A host's waiting comes to its end.
    fn judge_wait(&mut self, unit: UnitId, host: HostId, queue: &Queue, at: Instant) {
        let waited = at.since(queue.since);
        self.longest_wait = self.longest_wait.max(waited);
        let answered = self.answered.get(&unit).copied().unwrap_or(0);
        let others = answered - queue.own - queue.others;
        if waited >= STARVED_AFTER && others >= OTHERS_ANSWERED {
            self.ledger.breach(|| {
                let what = format!(
                    "host {} asked in vain for {:.3} s, from {} on, while others were answered {others} times",
                    host.0,
                    waited.as_secs_f64(),
                    Moment(queue.since)
                );
                Breach { at, unit: Some(unit), hosts: vec![host], what }
            });
        }
    }

    fn race(&mut self, operation: &Operation) {
        let place = Place { unit: operation.unit, lba: operation.blocks.start() };
        let at = operation.returned.unwrap_or(operation.invoked);
        match operation.ending {
            Ending::Done => {
                *self.wins.entry(place).or_default() += 1;
                self.races.remove(&(place, operation.host));
            }
            Ending::Miscompared(_) => self.lose(place, operation.host, at),
            Ending::Refused | Ending::Maybe => {}
        }
    }

    fn lose(&mut self, place: Place, host: HostId, at: Instant) {
        if self.races.len() >= RACES_KEPT {
            self.races.retain(|_, race| at.since(race.at) <= PAUSE);
        }
        let wins = self.wins.get(&place).copied().unwrap_or(0);
        let first = Race { lost: 1, wins, at };
        let race = match self.races.entry((place, host)) {
            Entry::Vacant(race) => race.insert(first),
            Entry::Occupied(race) => {
                let race = race.into_mut();
                let is_lost = race.wins != wins;
                *race = match at.since(race.at) > PAUSE {
                    true => first,
                    false => Race { lost: race.lost + u32::from(is_lost), wins, at },
                };
                if !is_lost {
                    return;
                }
                race
            }
        };
        self.longest_race = self.longest_race.max(race.lost);
        if race.lost == RACES_MAX {
            self.ledger.breach(|| {
                let what = format!(
                    "host {} lost {RACES_MAX} compare-and-writes of {place} in a row, up to {}",
                    host.0,
                    Moment(at)
                );
                Breach { at, unit: Some(place.unit), hosts: vec![host], what }
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Standing;
    use crate::history::{at, breach, done, history, judge, operation, read, swap};

    fn verdict(operations: impl IntoIterator<Item = Operation>) -> Verdict {
        judge(Fairness::default(), &history(operations))
    }

    fn busy(count: u64, every: u64) -> impl Iterator<Item = Operation> {
        (0..count).map(move |nth| done(2, (nth * every, nth * every + 5), read(1)))
    }

    #[test]
    fn a_host_that_is_not_served_while_others_are_starves() {
        let starved = [done(1, (0, 16_000), read(1))];
        let verdict = verdict(busy(100, 100).chain(starved));
        let breach = breach(&verdict);
        assert_eq!(breach.hosts, [HostId(1)]);
        assert_eq!(
            breach.what,
            "host 1 asked in vain for 16.000 s, from 0.000000 s on, while others were answered 100 times"
        );
    }

    #[test]
    fn aborts_are_no_answers() {
        let aborted = |from| operation(1, (from, from + 8000), read(1), Ending::Maybe);
        let starved = [aborted(0), aborted(8500), done(1, (17_000, 17_005), read(1))];
        assert_eq!(verdict(busy(100, 100).chain(starved)).standing, Standing::Broken);
    }

    #[test]
    fn a_unit_that_serves_nobody_starves_nobody() {
        assert_eq!(
            verdict(busy(63, 100).chain([done(1, (0, 30_000), read(1))])).standing,
            Standing::Held
        );
    }

    #[test]
    fn a_host_that_does_not_ask_does_not_starve() {
        let lost = operation(1, (0, 8000), read(1), Ending::Maybe);
        let later = done(1, (20_000, 20_005), read(1));
        assert_eq!(verdict(busy(300, 100).chain([lost, later])).standing, Standing::Held);
    }

    #[test]
    fn one_that_is_never_told_to_end_has_waited_to_the_end() {
        let mut checker = Fairness::default();
        let events = history(busy(100, 100).chain([done(1, (0, 90_000), read(1))]));
        events[..events.len() - 1].iter().for_each(|event| checker.observe(event));
        assert_eq!(Box::new(checker).finish(at(50_000)).standing, Standing::Broken);
    }

    /// Host 2 wins a block so often, and host 1 loses it each time.
    fn races(count: u64) -> impl Iterator<Item = Operation> {
        (0..count).flat_map(|nth| {
            let times = (nth * 10, nth * 10 + 5);
            let lost = operation(1, times, swap(nth, 1 << 40), Ending::Miscompared(Some(0)));
            [done(2, times, swap(nth, nth + 1)), lost]
        })
    }

    #[test]
    fn a_host_that_never_wins_starves_and_one_that_sometimes_does_not() {
        let verdict_of_all = verdict(races(u64::from(RACES_MAX) + 100));
        assert!(
            breach(&verdict_of_all)
                .what
                .starts_with("host 1 lost 512 compare-and-writes of block 7 in a row")
        );
        let won = done(1, (3001, 3002), swap(1, 2));
        assert_eq!(verdict(races(600).chain([won])).standing, Standing::Held);
    }

    #[test]
    fn a_miscompare_that_nobody_won_meanwhile_is_no_lost_race() {
        let alone = (0..600).map(|nth| {
            operation(1, (nth * 10, nth * 10 + 5), swap(nth, 1), Ending::Miscompared(Some(0)))
        });
        assert_eq!(verdict(alone).standing, Standing::Held);
    }
}
