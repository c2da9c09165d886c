//! Latency accounting of one unit: how long its commands take, what that goes into, and which are
//! late.
//!
//! A command's time has three parts. *Waiting* is from when it was found on the ring until it holds its
//! blocks and a slot of its lane; *service* is from then on, with the medium; and its *answer* is from
//! when that is ready to the end of the doorbell, in which the kernel copies Data-In and answers the
//! initiator. How long it had waited on the ring before nobody tells; the unit's thread looks there
//! between any two things that it does. The clock is read once for what came in together and twice for
//! a doorbell, before and after: what the medium did at once, on the unit's own thread, counts as over
//! with the next look.
//!
//! All of it is plain data of the unit's own thread: nothing is shared or locked, and nothing is
//! allocated for a command once there have been others like it. It outlives a breakdown of the device
//! server; the commands in flight are another matter ([`InFlight`]), and go with their ring.

mod book;
mod deadlines;
mod in_flight;
mod passage;
mod slowest;

use pulsefield_engine::{Lane, Whereabouts};
use pulsefield_record::Overdue;
use pulsefield_scsi::opcode;
use pulsefield_units::Instant;

pub(crate) use book::{Book, Row};
pub(crate) use deadlines::{Deadlines, Lateness};
pub(crate) use in_flight::InFlight;
#[cfg(test)]
pub(crate) use passage::Served;
pub(crate) use passage::{Parts, Passage};
pub(crate) use slowest::Slow;

use crate::clock;
use crate::counters::Counters;
use deadlines::Teller;

/// Commands of a batch that are alike: the first of them, how many there are, and the bytes of all.
struct Run<'p> {
    first: &'p Passage,
    times: u64,
    bytes: u64,
}

/// The accounts of one unit.
#[derive(Debug)]
pub(crate) struct Latency {
    book: Book,
    deadlines: Deadlines,
    /// [`Deadlines::first_ns`].
    first_deadline_ns: u64,
    teller: Teller,
    /// Whether a heartbeat was too late when commands were counted last.
    late_heartbeat: bool,
}

impl Default for Latency {
    fn default() -> Self {
        let deadlines = Deadlines::default();
        Self {
            book: Book::new(clock::now()),
            deadlines,
            first_deadline_ns: deadlines.first_ns(),
            teller: Teller::default(),
            late_heartbeat: false,
        }
    }
}

impl Latency {
    /// From now on these are the deadlines.
    pub(crate) fn set_deadlines(&mut self, deadlines: Deadlines) {
        self.deadlines = deadlines;
        self.first_deadline_ns = deadlines.first_ns();
    }

    /// What is known.
    pub(crate) const fn book(&self) -> &Book {
        &self.book
    }

    /// Forgets what is known, and begins anew.
    pub(crate) fn clear(&mut self, now: Instant) {
        self.book = Book::new(now);
    }

    /// Counts the commands for which the doorbell has `rung`, while `faults` are armed or not. Those of a
    /// batch that are alike cost as much as one.
    pub(crate) fn settle(
        &mut self,
        commands: &mut InFlight,
        rung: Instant,
        faults: bool,
        counters: &Counters,
    ) {
        self.late_heartbeat = false;
        let mut run: Option<Run<'_>> = None;
        for passage in commands.answered() {
            run = match run {
                Some(Run { first, times, bytes }) if passage.is_like(first) => {
                    Some(Run { first, times: times + 1, bytes: bytes + passage.bytes })
                }
                other => {
                    self.count(other, rung);
                    Some(Run { first: passage, times: 1, bytes: passage.bytes })
                }
            };
            let took_ns = rung.as_nanos().saturating_sub(passage.arrived.as_nanos());
            if self.book.slowest.wants(took_ns) {
                self.book.slowest.insert(passage, rung, faults);
            }
            if took_ns >= self.first_deadline_ns {
                self.note_late(passage, rung, faults, counters);
            }
        }
        self.count(run, rung);
        commands.forget_answered();
    }

    fn count(&mut self, run: Option<Run<'_>>, rung: Instant) {
        if let Some(Run { first, times, bytes }) = run {
            self.book.count(first, times, bytes, rung);
        }
    }

    #[cold]
    fn note_late(&mut self, passage: &Passage, rung: Instant, faults: bool, counters: &Counters) {
        if let Some(lateness) = self.deadlines.missed(&passage.cdb, passage.took(rung)) {
            counters.count_late(lateness);
            self.late_heartbeat |=
                lateness == Lateness::Error && passage.lane == Some(Lane::Heartbeat);
            self.teller.ended(lateness, passage, rung, faults);
        }
    }

    /// Whether one of the commands that were counted last was a heartbeat, and later than an error is.
    pub(crate) const fn has_late_heartbeat(&self) -> bool {
        self.late_heartbeat
    }

    /// When a command that arrives now becomes late, if one ever does.
    pub(crate) fn first_deadline(&self, arrived: Instant) -> Option<Instant> {
        self.deadlines.next_after(arrived, arrived)
    }

    /// Tells of the oldest late command that is in flight; says when to look again. `place` says where
    /// the device server has a command.
    pub(crate) fn look_for_late(
        &mut self,
        commands: &InFlight,
        now: Instant,
        place: impl FnOnce(u16) -> Option<Whereabouts>,
    ) -> Option<Instant> {
        let lateness = |passage: &Passage| self.deadlines.missed(&passage.cdb, passage.took(now));
        let late =
            commands.iter().filter_map(|(tag, passage)| Some((lateness(passage)?, tag, passage)));
        if let Some((lateness, tag, passage)) = late.min_by_key(|(_, _, passage)| passage.arrived) {
            self.teller.waiting(lateness, passage, place(tag), now);
        }
        let next = |(_, passage): (_, &Passage)| self.deadlines.next_after(passage.arrived, now);
        commands.iter().filter_map(next).min()
    }

    /// A heartbeat in flight that is later than an error is and was not found so before; `place` says where
    /// the device server has a command.
    pub(crate) fn next_overdue(
        &self,
        commands: &mut InFlight,
        now: Instant,
        mut place: impl FnMut(u16) -> Option<Whereabouts>,
    ) -> Option<Overdue> {
        let is_late = |passage: &Passage| {
            let missed = self.deadlines.missed(&passage.cdb, passage.took(now));
            missed == Some(Lateness::Error) && !passage.found_late
        };
        let late = commands.iter_mut().filter(|(_, passage)| is_late(passage));
        for (command_id, passage) in late {
            let place = place(command_id);
            // Of what a fault keeps from the device server only the operation code is known.
            let is_heartbeat = match place {
                Some(place) => place.lane == Lane::Heartbeat,
                None => passage.cdb.opcode() == Some(opcode::COMPARE_AND_WRITE),
            };
            passage.found_late = true;
            if is_heartbeat {
                let stage = place.map(|place| (place.stage, place.since));
                let blocks = place.and_then(|place| place.blocks);
                let Passage { cdb, arrived, .. } = *passage;
                return Some(Overdue { command_id, cdb, arrived, stage, blocks });
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use pulsefield_engine::Stage;
    use pulsefield_units::Cdb;

    use super::*;

    const fn second(seconds: u64) -> Instant {
        Instant::from_nanos(seconds * 1_000_000_000)
    }

    /// Commands that came at these seconds, by their ids.
    fn commands(arrived: &[(u16, u64)]) -> InFlight {
        let mut commands = InFlight::default();
        for (tag, at) in arrived {
            commands.take(second(*at), *tag, &Cdb::new(&[0x28]));
        }
        commands
    }

    fn nowhere(_tag: u16) -> Option<Whereabouts> {
        None
    }

    /// Commands of one batch that came at these seconds, answered at once.
    fn batch(arrived: &[u64]) -> InFlight {
        let mut batch = InFlight::default();
        for (tag, at) in (1..).zip(arrived) {
            batch.take(second(*at), tag, &Cdb::new(&[0x28]));
            batch.answer(second(*at), tag, None, 512);
        }
        batch
    }

    #[test]
    fn late_commands_are_counted_once_when_they_are_over() {
        let (mut latency, counters) = (Latency::default(), Counters::default());
        let mut late = |took: u64| {
            latency.settle(&mut batch(&[100]), second(100 + took), false, &counters);
            (counters.late.load(), counters.too_late.load())
        };
        assert_eq!([late(0), late(1), late(7), late(8)], [(0, 0), (1, 0), (2, 0), (2, 1)]);
        latency.set_deadlines(Deadlines { warning: None, error: None });
        latency.settle(&mut batch(&[100]), second(200), false, &counters);
        assert_eq!((counters.late.load(), counters.too_late.load()), (2, 1));
        latency.clear(second(200));
        assert_eq!(latency.book().rows().count(), 0);
    }

    #[test]
    fn of_a_batch_each_is_counted_whether_alike_or_not() {
        let (mut latency, counters) = (Latency::default(), Counters::default());
        let mut commands = batch(&[1, 1, 1, 2, 2, 1, 3]);
        latency.settle(&mut commands, second(4), false, &counters);
        assert_eq!(commands.iter().count(), 0);
        let row = latency.book().rows().next().unwrap();
        assert_eq!((row.total.count(), row.total.max()), (7, Duration::from_secs(3)));
        // Of seven, the third took two seconds and the fourth took three.
        let [few, most] = [428_571, 428_572].map(|part| row.total.quantile(part).as_secs_f64());
        assert!((2.0..2.25).contains(&few) && (2.9..3.1).contains(&most), "{few} {most}");
        let took: Vec<_> = latency.book().slowest.in_order().iter().map(|slow| slow.took).collect();
        assert_eq!(took, [3, 3, 3, 3, 2, 2, 1].map(Duration::from_secs));
        assert_eq!(counters.late.load(), 7);
        // Nobody is left for the next doorbell.
        latency.settle(&mut commands, second(5), false, &counters);
        assert_eq!(counters.late.load(), 7);
    }

    #[test]
    fn a_command_is_looked_for_at_each_of_its_deadlines() {
        let mut latency = Latency::default();
        assert_eq!(latency.first_deadline(second(5)), Some(second(6)));
        let commands = commands(&[(1, 5), (2, 9)]);
        // The oldest is late, the other not yet.
        let mut asked = None;
        let place = |tag| {
            asked = Some(tag);
            let (stage, since) = (Stage::Medium, second(5));
            Some(Whereabouts { stage, since, lane: Lane::Bulk, blocks: None })
        };
        assert_eq!(latency.look_for_late(&commands, second(6), place), Some(second(10)));
        assert_eq!(asked, Some(1));
        assert_eq!(latency.look_for_late(&commands, second(10), nowhere), Some(second(13)));
        assert_eq!(latency.look_for_late(&commands, second(13), nowhere), Some(second(17)));
        // Nothing more to be told of either.
        assert_eq!(latency.look_for_late(&commands, second(17), nowhere), None);
        assert_eq!(latency.look_for_late(&InFlight::default(), second(18), nowhere), None);
    }

    #[test]
    fn a_heartbeat_in_flight_is_found_overdue_once() {
        let latency = Latency::default();
        let mut commands = commands(&[(1, 5), (2, 6), (3, 9)]);
        commands.take(second(5), 4, &Cdb::new(&[0x89]));
        let place = |tag| {
            let lane = if tag == 2 { Lane::Heartbeat } else { Lane::Bulk };
            let (stage, since) = (Stage::Medium, second(7));
            (tag < 4).then_some(Whereabouts { stage, since, lane, blocks: None })
        };
        assert_eq!(latency.next_overdue(&mut commands, second(13), place), {
            // A fault has it: the device server does not know of it.
            let (cdb, arrived) = (Cdb::new(&[0x89]), second(5));
            Some(Overdue { command_id: 4, cdb, arrived, stage: None, blocks: None })
        });
        assert_eq!(latency.next_overdue(&mut commands, second(13), nowhere), None);
        let overdue = latency.next_overdue(&mut commands, second(14), place).unwrap();
        assert_eq!((overdue.command_id, overdue.stage), (2, Some((Stage::Medium, second(7)))));
        assert_eq!(latency.next_overdue(&mut commands, second(99), place), None);
    }

    #[test]
    fn deadlines_can_be_switched_off() {
        let mut latency = Latency::default();
        latency.set_deadlines(Deadlines { warning: None, error: Some(Duration::from_secs(3)) });
        assert_eq!(latency.first_deadline(second(5)), Some(second(8)));
        latency.set_deadlines(Deadlines { warning: None, error: None });
        assert_eq!(latency.first_deadline(second(5)), None);
        let unused = |_| unreachable!("nothing is late");
        assert_eq!(latency.look_for_late(&commands(&[(1, 5)]), second(99), unused), None);
    }
}
