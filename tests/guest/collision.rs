//! Is COMPARE AND WRITE atomic against a plain WRITE of the same sector?
//!
//! The sector holds A. Then, at the same time, one thread sends COMPARE AND WRITE (A → B) and another
//! WRITE (C), each after a small random delay. If both are answered GOOD, the compare saw A, so the WRITE
//! came later and the sector must hold C. If it holds B, the WRITE fell between compare and write:
//! the COMPARE AND WRITE overwrote data it had never compared.

use std::hint;
use std::sync::Barrier;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, ensure};
use serde::Serialize;

use crate::disk::Disk;
use crate::random::Random;
use crate::reply::{Answer, Reply};
use crate::sg::Device;

/// What the collisions of one backstore came to.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Collisions {
    /// How many there were.
    pub rounds: u64,
    /// In how many both commands were in flight at the same time.
    pub overlapping: u64,
    /// Both GOOD and the sector ends as C: the COMPARE AND WRITE came first.
    pub compare_first: u64,
    /// MISCOMPARE and the sector ends as C: the WRITE came first.
    pub write_first: u64,
    /// Both GOOD and the sector ends as B: not atomic.
    pub violations: u64,
    /// MISCOMPAREs whose INFORMATION field is not the first byte in which A and C differ.
    pub wrong_offsets: u64,
    /// Anything else, which has no explanation at all.
    pub other: u64,
}

/// The longest delay before either command, in ns: less than a quick command takes in the guest.
const DELAY_MAX_NS: u64 = 60_000;
/// A and C differ first here, not at byte 0: a constant offset would be caught.
const DIFFERENCE_AT: u64 = 200;

/// Makes `rounds` collisions on block `lba`.
///
/// # Errors
/// A command could not be sent, or the sector not be reset.
pub fn collide(disk: &Disk, lba: u64, rounds: u64, seed: u64) -> Result<Collisions> {
    let (comparer, writer) = (disk.open()?, disk.open()?);
    let block_bytes = comparer.capacity()?.block_bytes;
    let length = usize::try_from(block_bytes)?;
    let [a, b] = [b'A', b'B'].map(|letter| vec![letter; length]);
    let mut c = a.clone();
    c[usize::try_from(DIFFERENCE_AT)?..].fill(b'C');

    let (start, end) = (Start::new(), Barrier::new(2));
    thread::scope(|scope| {
        let compares = thread::Builder::new().spawn_scoped(scope, || {
            let mut delays = Random::new(seed);
            (1..=rounds)
                .map(|round| {
                    start.together(round);
                    let sent = timed(&mut delays, || comparer.compare_and_write(lba, &a, &b));
                    end.wait();
                    sent
                })
                .collect::<Vec<_>>()
        })?;
        let mut delays = Random::new(!seed);
        let mut writes = Vec::new();
        for round in 1..=rounds {
            let ready = writer.write_block(lba, &a);
            start.together(round);
            let sent = timed(&mut delays, || send_write(&writer, lba, &c));
            end.wait();
            let found = writer.read_block(lba, block_bytes);
            writes.push(ready.and(found).map(|found| (sent, found)));
        }
        let compares = compares.join().map_err(|_| anyhow!("the comparing thread panicked"))?;
        let mut collisions = Collisions::default();
        for (compare, write) in compares.into_iter().zip(writes) {
            let (write, found) = write.context("resetting or reading the sector")?;
            collisions.count(&compare, &write, &found, [&b, &c])?;
        }
        ensure!(collisions.rounds == rounds, "only {} rounds", collisions.rounds);
        Ok(collisions)
    })
}

/// Lets both threads go at the same moment: a barrier alone wakes one of them later, by more than a
/// command takes.
struct Start {
    barrier: Barrier,
    awake: AtomicU64,
}

impl Start {
    fn new() -> Self {
        Self { barrier: Barrier::new(2), awake: AtomicU64::new(0) }
    }

    /// Waits for the other thread, then until both truly run. Rounds count from 1.
    fn together(&self, round: u64) {
        self.barrier.wait();
        // Relaxed: only the count itself matters; the barriers order everything else.
        self.awake.fetch_add(1, Ordering::Relaxed);
        while self.awake.load(Ordering::Relaxed) < 2 * round {
            hint::spin_loop();
        }
    }
}

/// A command and when it was in flight.
struct Timed {
    reply: Result<Reply>,
    sent: Instant,
    answered: Instant,
}

fn timed(delays: &mut Random, send: impl FnOnce() -> Result<Reply>) -> Timed {
    let until = Instant::now() + Duration::from_nanos(delays.below(DELAY_MAX_NS));
    while Instant::now() < until {
        hint::spin_loop();
    }
    let sent = Instant::now();
    let reply = send();
    Timed { reply, sent, answered: Instant::now() }
}

fn send_write(device: &Device, lba: u64, block: &[u8]) -> Result<Reply> {
    device.send(&crate::cdb::write_16(lba, 1), crate::sg::Data::Out(block))
}

impl Collisions {
    fn count(
        &mut self,
        compare: &Timed,
        write: &Timed,
        found: &[u8],
        [b, c]: [&[u8]; 2],
    ) -> Result<()> {
        let reply = |timed: &Timed| match &timed.reply {
            Ok(reply) => Ok(*reply),
            Err(error) => Err(anyhow!("{error:#}")),
        };
        let (compared, written) = (reply(compare)?, reply(write)?);
        self.rounds += 1;
        if compare.sent < write.answered && write.sent < compare.answered {
            self.overlapping += 1;
        }
        match (compared.answer(), written.answer()) {
            (Answer::Good, Answer::Good) if found == c => self.compare_first += 1,
            (Answer::Good, Answer::Good) if found == b => self.violations += 1,
            (Answer::MISCOMPARE, Answer::Good) if found == c => {
                self.write_first += 1;
                if compared.information() != Some(DIFFERENCE_AT) {
                    self.wrong_offsets += 1;
                }
            }
            _ => self.other += 1,
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sense::Sense;

    fn at(reply: Reply, sent: Instant) -> Timed {
        Timed { reply: Ok(reply), sent, answered: sent + Duration::from_micros(9) }
    }

    #[test]
    fn each_round_is_counted_once() {
        let good = Reply { status: 0, host_status: 0, sense: None, residual: 0 };
        let information = Some(DIFFERENCE_AT);
        let sense = Some(Sense { key: 0x0e, asc: 0x1d, ascq: 0, information, field: None });
        let miscompare = Reply { status: 2, sense, ..good };
        let now = Instant::now();
        let mut seen = Collisions::default();
        let ends = [b"b".as_slice(), b"c"];
        seen.count(&at(good, now), &at(good, now), b"c", ends).unwrap();
        seen.count(&at(good, now), &at(good, now), b"b", ends).unwrap();
        seen.count(&at(miscompare, now), &at(good, now), b"c", ends).unwrap();
        seen.count(&at(miscompare, now), &at(good, now), b"b", ends).unwrap();
        let later = now + Duration::from_secs(1);
        seen.count(&at(good, now), &at(good, later), b"c", ends).unwrap();
        assert_eq!((seen.rounds, seen.overlapping), (5, 4));
        assert_eq!((seen.compare_first, seen.violations, seen.write_first), (2, 1, 1));
        assert_eq!((seen.wrong_offsets, seen.other), (0, 1));
    }
}
