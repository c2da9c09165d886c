//! What the control plane tells of latencies: the units are asked for their books, which are put into
//! words and numbers here, on the thread of whoever asked.

use std::cmp::Reverse;
use std::time::Duration;

use pulsefield_control::UnitError;
use pulsefield_control::protocol::{CommandLatency, LunLatency, Quantiles, SlowCommand, TimeParts};
use pulsefield_engine::Lane;
use pulsefield_scsi::opcode;
use pulsefield_units::{Histogram, Instant};

use crate::asking::{Promise, Reached, reach};
use crate::clock;
use crate::counters::Counters;
use crate::latency::{Book, Deadlines, Parts, Row, Slow};
use crate::station::Message;
use crate::table::SharedTable;

/// How long the commands of the unit `lun`, or of all that serve, take; `clear` has them forget it. Of
/// all, those that do not answer are left out: they have other troubles.
pub(crate) fn report(
    table: &SharedTable,
    lun: Option<&str>,
    clear: bool,
) -> Result<Vec<LunLatency>, UnitError> {
    let units = reach(table, lun)?;
    let ask = |unit: &Reached| unit.ask(|reply| Message::ReportLatency { clear, reply });
    let promises: Vec<Promise<Book>> = units.iter().map(ask).collect();
    let mut luns = Vec::new();
    for promise in promises {
        match promise.wait() {
            Ok((name, book)) => luns.extend(of_unit(table, name, &book)),
            Err(error) if lun.is_some() => return Err(error),
            Err(_) => {}
        }
    }
    luns.sort_by(|a, b| a.lun.cmp(&b.lun));
    Ok(luns)
}

/// `None` if the unit has gone meanwhile.
fn of_unit(table: &SharedTable, lun: String, book: &Book) -> Option<LunLatency> {
    let table = table.lock();
    let unit = table.units.values().find(|unit| unit.name.device() == lun)?;
    let (counters, deadlines) = (unit.counters.clone(), table.deadlines(&lun));
    drop(table);
    Some(in_words(lun, book, deadlines, &counters))
}

fn in_words(lun: String, book: &Book, deadlines: Deadlines, counters: &Counters) -> LunLatency {
    let lane = |row: &Row| row.command.and_then(|command| command.lane);
    let place = |row: &Row| Lane::ALL.iter().position(|of| lane(row) == Some(*of));
    let mut rows: Vec<_> = book.rows().collect();
    rows.sort_by_key(|row| (place(row).unwrap_or(Lane::ALL.len()), Reverse(row.total.count())));
    LunLatency {
        lun,
        counted_ms: millis(clock::now().since(book.since)),
        deadline_warning_ms: deadlines.warning.map_or(0, millis),
        deadline_error_ms: deadlines.error.map_or(0, millis),
        late: counters.late.load(),
        too_late: counters.too_late.load(),
        commands: rows.into_iter().map(command_latency).collect(),
        slowest: book.slowest.in_order().iter().map(slow_command).collect(),
    }
}

fn command_latency(row: &Row) -> CommandLatency {
    let Row { command, total, waiting, service, answer, bytes: _ } = row;
    let lane = command.and_then(|command| command.lane).map(|lane| lane.name().to_owned());
    CommandLatency {
        lane,
        opcode: command.map(|command| command.opcode),
        command: command.map_or("all others", |command| command.name).to_owned(),
        count: total.count(),
        sum_us: micros(total.sum()),
        total: quantiles(total),
        waiting: quantiles(waiting),
        service: quantiles(service),
        answer: quantiles(answer),
    }
}

fn quantiles(histogram: &Histogram) -> Quantiles {
    Quantiles {
        p50_us: micros(histogram.quantile(500_000)),
        p99_us: micros(histogram.quantile(990_000)),
        p999_us: micros(histogram.quantile(999_000)),
        max_us: micros(histogram.max()),
    }
}

fn slow_command(slow: &Slow) -> SlowCommand {
    let Slow { passage, took, parts } = slow;
    let blocks = passage.served.and_then(|served| served.blocks);
    let bytes = passage.cdb.as_bytes();
    // TCMU pads a CDB to a multiple of eight bytes.
    let length = passage.cdb.opcode().and_then(opcode::cdb_length).unwrap_or(bytes.len());
    SlowCommand {
        at_us: micros(passage.arrived.since(Instant::default())),
        took_us: micros(*took),
        lane: passage.lane.map(|lane: Lane| lane.name().to_owned()),
        opcode: passage.cdb.opcode().unwrap_or_default(),
        command: opcode::name_of(&passage.cdb).unwrap_or("unknown").to_owned(),
        cdb: bytes.iter().take(length).map(|byte| format!("{byte:02x}")).collect(),
        lba: blocks.map(|blocks| blocks.start().as_u64()),
        blocks: blocks.map(|blocks| blocks.blocks().as_u64()),
        reason: parts.reason().to_owned(),
        parts: time_parts(parts),
    }
}

fn time_parts(parts: &Parts) -> TimeParts {
    let Parts { blocks, slot, pool, medium, fault, answer, elsewhere } = *parts;
    TimeParts {
        blocks_us: micros(blocks),
        slot_us: micros(slot),
        pool_us: micros(pool),
        medium_us: micros(medium),
        fault_us: micros(fault),
        answer_us: micros(answer),
        elsewhere_us: micros(elsewhere),
    }
}

/// Rounded up: what took some time never shows as none.
fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_nanos().div_ceil(1000)).unwrap_or(u64::MAX)
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::thread;

    use pulsefield_backstore::Backstore;
    use pulsefield_control::config::Config;
    use pulsefield_engine::Waited;
    use pulsefield_units::{BlockCount, Cdb, Lba, LbaRange, LuId};

    use super::*;
    use crate::latency::{InFlight, Passage, Served};
    use crate::plans::Plans;
    use crate::testing::{held_medium, joined, serving_unit, station};

    const fn micros_after(micros: u64) -> Instant {
        Instant::from_nanos(micros * 1000)
    }

    /// A command on block 8 that came at 10 µs and was with the medium until 70.
    fn passage(opcode: u8, lane: Option<Lane>) -> Passage {
        let served = Served {
            arrived: micros_after(10),
            started: lane.map(|_| micros_after(10)),
            ended: micros_after(70),
            waited: Waited::default(),
            blocks: LbaRange::new(Lba::new(8), BlockCount::new(1)),
        };
        Passage {
            lane,
            served: Some(served),
            answered: micros_after(70),
            ..Passage::new(Cdb::new(&[opcode, 0, 0, 0, 0, 8, 0, 0, 1, 0, 0, 0]), micros_after(10))
        }
    }

    #[test]
    fn heartbeats_come_first_and_times_are_in_microseconds() {
        let mut book = Book::new(Instant::default());
        for (opcode, lane, rung) in
            [(0x12, None, 80), (0x28, Some(Lane::Bulk), 80), (0x89, Some(Lane::Heartbeat), 90)]
        {
            book.count(&passage(opcode, lane), 1, 512, micros_after(rung));
            book.slowest.insert(&passage(opcode, lane), micros_after(rung), false);
        }
        let deadlines = Deadlines { error: None, ..Deadlines::default() };
        let lun = in_words("ds1".to_owned(), &book, deadlines, &Counters::default());
        assert_eq!((lun.deadline_warning_ms, lun.deadline_error_ms), (1000, 0));
        let names: Vec<_> = lun.commands.iter().map(|command| &*command.command).collect();
        assert_eq!(names, ["COMPARE AND WRITE", "READ(10)", "all others"]);
        assert_eq!(lun.commands[0].total.max_us, 80);
        assert_eq!((lun.commands[0].sum_us, lun.commands[0].answer.max_us), (80, 20));
        let slowest = &lun.slowest[0];
        assert_eq!((slowest.at_us, slowest.took_us, &*slowest.reason), (10, 80, "medium"));
        assert_eq!((slowest.lba, slowest.blocks), (Some(8), Some(1)));
        let read = lun.slowest.iter().find(|slow| slow.opcode == 0x28).unwrap();
        assert_eq!(read.cdb, "28000000000800000100");
    }

    #[test]
    fn a_unit_is_asked_and_tells_what_it_knows() {
        let table = SharedTable::new(Config::default(), Plans::default());
        let (medium, mut station) = (held_medium(64).0 as Arc<dyn Backstore>, station());
        table.lock().units.insert(LuId::new(0), serving_unit("ds1", &station, &medium));
        assert_eq!(report(&table, Some("ds2"), false), Err(UnitError::NoSuchLun("ds2".to_owned())));
        let unit = thread::spawn(move || {
            let mut commands = InFlight::default();
            commands.take(micros_after(10), 1, &Cdb::new(&[0x28]));
            commands.answer(micros_after(70), 1, None, 0);
            let counters = Counters::default();
            station.latency.settle(&mut commands, micros_after(80), false, &counters);
            loop {
                match station.message() {
                    Some(Message::ReportLatency { reply, .. }) => {
                        return reply.send(station.latency.book().clone()).unwrap();
                    }
                    Some(_) => panic!("it is asked for nothing else"),
                    None => thread::yield_now(),
                }
            }
        });
        let luns = report(&table, None, false).unwrap();
        joined(unit);
        assert_eq!((luns.len(), &*luns[0].lun, luns[0].commands[0].count), (1, "ds1", 1));
    }
}
