//! One writer of the shared sector: reads it, increments it by COMPARE AND WRITE, and logs what
//! happened when. Runs as a process of its own, one per fabric; the logs are judged by `race`.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::Result;
use serde::{Deserialize, Serialize};

use crate::cdb;
use crate::clock::monotonic_ns;
use crate::reply::Answer;
use crate::sg::{Data, Device};
use crate::tally::{Reader, SECTOR, Tally};
use crate::wait::wait_for;

/// How many complaints a log keeps; a broken target would fill the disk.
const COMPLAINTS_MAX: usize = 100;
/// How long a READ may be answered BUSY and the like, as while the daemon restarts.
const READ_LIMIT: Duration = Duration::from_secs(120);

/// What one writer saw. Times are of the monotonic clock that all processes share.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Log {
    /// The writer's number.
    pub writer: usize,
    /// Increments that were applied.
    pub successes: Vec<Success>,
    /// Comparisons that failed.
    pub miscompares: Vec<Miscompare>,
    /// Answers that leave open whether the command was applied, and how often each came.
    pub unclear: BTreeMap<String, u64>,
    /// What must never be seen.
    pub complaints: Vec<String>,
}

/// An increment that was applied.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct Success {
    /// The total it made.
    pub total: u64,
    /// When the command was sent, in ns.
    pub sent_ns: u64,
    /// When it was known to be applied, in ns.
    pub known_ns: u64,
    /// Whether the target said GOOD; if not, the sector itself showed it later.
    pub acknowledged: bool,
}

/// A comparison that failed.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct Miscompare {
    /// The total the writer believed in.
    pub expected: u64,
    /// When the command was sent, in ns.
    pub sent_ns: u64,
    /// When the answer came, in ns.
    pub answered_ns: u64,
    /// The INFORMATION field, if it was valid.
    pub offset: Option<u64>,
}

/// Increments block `lba` of `device` as `writer` until all writers together reached `total`, or
/// `stop` says so.
///
/// # Errors
/// A command could not be sent, or the sector could not be read for good.
pub fn increment(
    device: &Device,
    lba: u64,
    writer: usize,
    total: u64,
    stop: &dyn Fn() -> bool,
) -> Result<Log> {
    let mut log = Log { writer, ..Log::default() };
    let mut reader = Reader::new();
    let mut own = read_tally(device, lba, &mut reader, &mut log)?.count_of(writer);
    let mut open: Option<Attempt> = None;
    loop {
        let current = read_tally(device, lba, &mut reader, &mut log)?;
        let count = current.count_of(writer);
        // Nobody else changes a writer's own count: it settles what became of the last command if
        // the answer was not GOOD, and shows an acknowledged increment that was lost.
        if let Some(attempt) = open.take_if(|_| count == own + 1) {
            own += 1;
            log.successes.push(attempt.applied(false)?);
        } else if count != own {
            log.complain(format!("made {own} increments, but the sector counts {count}"));
            return Ok(log);
        }
        if let Some(miscompare) = open.as_mut().and_then(|attempt| attempt.miscompare.take()) {
            log.miscompares.push(miscompare);
        }
        if current.total() >= total || stop() || log.is_full() {
            return Ok(log);
        }
        let next = current.incremented_by(writer);
        let mut attempt = Attempt::after(open.take(), next.total())?;
        let reply = device.compare_and_write(lba, current.as_bytes(), next.as_bytes())?;
        let answer = reply.answer();
        if answer == Answer::Good {
            own += 1;
            log.successes.push(attempt.applied(true)?);
            continue;
        }
        if answer == Answer::MISCOMPARE {
            attempt.miscompare = Some(Miscompare {
                expected: current.total(),
                sent_ns: attempt.sent_ns,
                answered_ns: monotonic_ns()?,
                offset: reply.information(),
            });
        } else {
            log.note(answer);
        }
        open = Some(attempt);
    }
}

/// A COMPARE AND WRITE that has been sent.
struct Attempt {
    total: u64,
    sent_ns: u64,
    /// What was answered, if it was that. A driver repeats a command by itself after BUSY: if it had been
    /// applied before, the MISCOMPARE is the second's, and the first was a success.
    miscompare: Option<Miscompare>,
}

impl Attempt {
    /// An attempt at `total`. One before it at the same total, without a clear answer, is still about:
    /// which of the two is applied cannot be told, so the time of the first counts.
    fn after(earlier: Option<Self>, total: u64) -> Result<Self> {
        let sent_ns = match earlier {
            Some(earlier) if earlier.total == total => earlier.sent_ns,
            _ => monotonic_ns()?,
        };
        Ok(Self { total, sent_ns, miscompare: None })
    }

    fn applied(self, acknowledged: bool) -> Result<Success> {
        let Self { total, sent_ns, .. } = self;
        Ok(Success { total, sent_ns, known_ns: monotonic_ns()?, acknowledged })
    }
}

impl Log {
    fn complain(&mut self, complaint: String) {
        self.complaints.push(complaint);
    }

    fn is_full(&self) -> bool {
        self.complaints.len() >= COMPLAINTS_MAX
    }

    /// Counts an answer that leaves open what happened. Anything that a disk driver would not try again
    /// after is an I/O error to its user.
    fn note(&mut self, answer: Answer) {
        *self.unclear.entry(answer.to_string()).or_default() += 1;
        if !answer.is_tried_again() {
            self.complain(format!("a command was answered {answer}"));
        }
    }
}

/// Reads the shared sector, however often it takes; what went wrong on the way is in the log.
///
/// # Errors
/// It could not be read for two minutes.
pub fn read_tally(device: &Device, lba: u64, reader: &mut Reader, log: &mut Log) -> Result<Tally> {
    wait_for(READ_LIMIT, "a READ of the shared sector that succeeds", || {
        let mut sector = [0; SECTOR];
        let reply = device.send(&cdb::read_16(lba, 1), Data::In(&mut sector))?;
        if !reply.is_good() {
            log.note(reply.answer());
            return Ok(None);
        }
        // A READ that catches a COMPARE AND WRITE half done returns a sector that never was.
        reader.read(sector).map(Some).or_else(|malformed| {
            log.complain(format!("a READ returned {malformed}"));
            Ok(None)
        })
    })
}
