//! What is known of the latencies of one unit: histograms by lane and operation code, and the slowest
//! commands.
//!
//! Memory is bounded: [`ROWS_MAX`] rows of 8 KiB, each made when its first command has ended. After
//! that nothing is allocated.

use pulsefield_engine::Lane;
use pulsefield_scsi::opcode;
use pulsefield_units::{Cdb, Histogram, Instant};

use super::passage::{Passage, Served};
use super::slowest::Slowest;

/// Rows of histograms; commands for which there is none left are counted with those that do not
/// touch the medium. More than ESXi and Linux have use for.
const ROWS_MAX: usize = 16;

/// The row of commands that do not touch the medium.
const OTHERS: u8 = 0;

/// In the index: no row yet.
const NO_ROW: u8 = u8::MAX;

/// Times of the commands of one operation code in one lane.
#[derive(Clone, Debug)]
pub(crate) struct Row {
    /// What they are called; of the others, nothing.
    pub(crate) command: Option<RowName>,
    /// From the ring to the end of the doorbell.
    pub(crate) total: Histogram,
    /// From the ring until it was started.
    pub(crate) waiting: Histogram,
    /// From then on, with the medium.
    pub(crate) service: Histogram,
    /// From the answer to the end of the doorbell.
    pub(crate) answer: Histogram,
    /// What was exchanged with initiators.
    pub(crate) bytes: u64,
}

/// What a row is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct RowName {
    /// `None`: a copy, whose parts are in a lane and not itself.
    pub(crate) lane: Option<Lane>,
    pub(crate) opcode: u8,
    /// T10's name.
    pub(crate) name: &'static str,
}

/// The histograms and the slowest commands, since the unit was taken over or since they were cleared.
#[derive(Clone, Debug)]
pub(crate) struct Book {
    pub(crate) since: Instant,
    rows: Vec<Box<Row>>,
    /// The row of each operation code, by lane, and of those without a lane.
    index: [[u8; 256]; 3],
    pub(crate) slowest: Slowest,
}

impl Book {
    /// An empty one.
    pub(crate) fn new(now: Instant) -> Self {
        let index = [[NO_ROW; 256]; 3];
        Self { since: now, rows: vec![Row::empty(None)], index, slowest: Slowest::default() }
    }

    /// The rows with something in them.
    pub(crate) fn rows(&self) -> impl Iterator<Item = &Row> {
        self.rows.iter().map(|row| &**row).filter(|row| row.total.count() > 0)
    }

    /// Counts so many commands like this one, for which the doorbell has `rung`, and their `bytes`.
    pub(crate) fn count(&mut self, passage: &Passage, times: u64, bytes: u64, rung: Instant) {
        let row = self.row_of(passage);
        row.bytes += bytes;
        row.total.record(nanos(passage.arrived, rung), times);
        row.answer.record(nanos(passage.answered, rung), times);
        if let Some(Served { started: Some(started), ended, .. }) = passage.served {
            row.waiting.record(nanos(passage.arrived, started), times);
            row.service.record(nanos(started, ended), times);
        }
    }

    fn row_of(&mut self, passage: &Passage) -> &mut Row {
        let opcode = passage.cdb.opcode().unwrap_or_default();
        let lane = match passage.lane {
            Some(Lane::Heartbeat) => 0,
            Some(Lane::Bulk) => 1,
            None => 2,
        };
        let mut at = self.index[lane][usize::from(opcode)];
        if at == NO_ROW {
            at = self.new_row(passage.lane, opcode, &passage.cdb);
            self.index[lane][usize::from(opcode)] = at;
        }
        &mut self.rows[usize::from(at)]
    }

    /// Begins a row, if there is to be one.
    #[cold]
    fn new_row(&mut self, lane: Option<Lane>, opcode: u8, cdb: &Cdb) -> u8 {
        let of_its_own = lane.is_some() || opcode == opcode::THIRD_PARTY_COPY_OUT;
        if !of_its_own || self.rows.len() == ROWS_MAX {
            return OTHERS;
        }
        let name = match opcode {
            // Several in one row.
            opcode::VARIABLE_LENGTH => "CDBs of 32 bytes",
            _ => opcode::name_of(cdb).unwrap_or("unknown"),
        };
        self.rows.push(Row::empty(Some(RowName { lane, opcode, name })));
        u8::try_from(self.rows.len() - 1).expect("fewer than ROWS_MAX")
    }
}

const fn nanos(from: Instant, to: Instant) -> u64 {
    to.as_nanos().saturating_sub(from.as_nanos())
}

impl Row {
    fn empty(command: Option<RowName>) -> Box<Self> {
        let none = Histogram::default;
        let (total, waiting, service, answer) = (none(), none(), none(), none());
        Box::new(Self { command, total, waiting, service, answer, bytes: 0 })
    }
}

#[cfg(test)]
mod tests {
    use pulsefield_engine::Waited;

    use super::*;

    const fn micros(micros: u64) -> Instant {
        Instant::from_nanos(micros * 1000)
    }

    /// A command that came at 10 µs, was started at 30, over at 70, and answered at 80.
    fn passage(opcode: u8, lane: Option<Lane>) -> Passage {
        let served = Served {
            arrived: micros(10),
            started: lane.map(|_| micros(30)),
            ended: micros(70),
            waited: Waited::default(),
            blocks: None,
        };
        Passage {
            lane,
            served: Some(served),
            answered: micros(80),
            ..Passage::new(Cdb::new(&[opcode]), micros(10))
        }
    }

    fn max_us(histogram: &Histogram) -> u128 {
        histogram.max().as_micros()
    }

    #[test]
    fn times_are_kept_by_lane_and_operation_code() {
        let mut book = Book::new(Instant::default());
        book.count(&passage(0x28, Some(Lane::Bulk)), 3, 1536, micros(100));
        book.count(&passage(0x28, Some(Lane::Heartbeat)), 1, 512, micros(90));
        book.count(&passage(0x12, None), 1, 36, micros(90));
        book.count(&passage(0x00, None), 1, 0, micros(90));
        let rows: Vec<_> = book.rows().collect();
        let counts: Vec<_> = rows.iter().map(|row| row.total.count()).collect();
        assert_eq!(counts, [2, 3, 1]);
        assert_eq!(rows.iter().map(|row| row.bytes).collect::<Vec<_>>(), [36, 1536, 512]);
        assert_eq!(rows[0].command, None);
        let name = RowName { lane: Some(Lane::Bulk), opcode: 0x28, name: "READ(10)" };
        assert_eq!(rows[1].command, Some(name));
        let Row { total, waiting, service, answer, .. } = rows[1];
        assert_eq!([total, waiting, service, answer].map(max_us), [90, 20, 40, 20]);
        assert_eq!((rows[0].service.count(), rows[0].answer.count()), (0, 2));
    }

    #[test]
    fn rows_are_bounded_whatever_is_sent() {
        let mut book = Book::new(Instant::default());
        for opcode in 0..=u8::MAX {
            for lane in [None, Some(Lane::Heartbeat), Some(Lane::Bulk)] {
                book.count(&passage(opcode, lane), 1, 0, micros(100));
            }
        }
        assert_eq!(book.rows().count(), ROWS_MAX);
        assert_eq!(book.rows().map(|row| row.total.count()).sum::<u64>(), 3 * 256);
        assert!(size_of::<Row>() <= 8 << 10);
    }
}
