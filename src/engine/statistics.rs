//! What the General Statistics and Performance log page counts.

use pulsefield_scsi::Status;
use pulsefield_units::{Instant, LbaRange};

use crate::event::Observer;
use crate::exec::Exec;
use crate::server::DeviceServer;

impl<T, O: Observer> DeviceServer<T, O> {
    /// Counts the time without commands that ends now, when one comes in.
    pub(crate) fn count_idle(&mut self, now: Instant) {
        if self.tasks.len() == 0
            && let Some(since) = self.idle_since
        {
            self.unit.statistics.idle_us += micros(since, now);
        }
        self.idle_since = Some(now);
    }

    /// Counts a command that `arrived` then, was carried out on these `blocks`, and is over.
    #[inline]
    pub(crate) fn count(
        &mut self,
        now: Instant,
        arrived: Instant,
        exec: &Exec,
        blocks: Option<LbaRange>,
        status: Status,
    ) {
        self.idle_since = Some(now);
        let Some(range) = blocks.filter(|_| status == Status::Good) else { return };
        let (blocks, took) = (range.blocks().as_u64(), micros(arrived, now));
        let statistics = &mut self.unit.statistics;
        if matches!(exec, Exec::Read(_)) {
            statistics.reads += 1;
            statistics.blocks_transmitted += blocks;
            statistics.read_us += took;
        } else if matches!(exec, Exec::Write(_) | Exec::CompareAndWrite(_)) {
            statistics.writes += 1;
            statistics.blocks_received += blocks;
            statistics.write_us += took;
        }
    }
}

/// Whole microseconds from `start` to `end`.
const fn micros(start: Instant, end: Instant) -> u64 {
    end.as_nanos().saturating_sub(start.as_nanos()) / 1000
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{World, cdb, filled, none, out, room};

    /// The first eight numbers of the General Statistics and Performance page.
    fn counts(world: &mut World) -> [u64; 8] {
        let log_sense = [0x4d, 0, 0x40 | 0x19, 0, 0, 0, 0, 2, 0, 0];
        let reply = world.execute_at_once(&log_sense, room(512));
        reply.good();
        assert_eq!(reply.data_in, Some(96));
        let (numbers, _) = reply.bytes[8..72].as_chunks();
        std::array::from_fn(|nth| u64::from_be_bytes(numbers[nth]))
    }

    #[test]
    fn reads_and_writes_that_were_carried_out_are_counted_with_their_blocks() {
        let mut world = World::default();
        assert_eq!(counts(&mut world), [0; 8]);
        world.execute(&cdb::read(0, 3), room(3 * 512)).good();
        world.execute(&cdb::write(8, 2), out(&filled(b'A', 2))).good();
        world.execute(&cdb::compare_and_write(0, 1), out(&filled(0, 2))).good();
        world.execute(&cdb::compare_and_write(8, 1), out(&filled(0, 2))).miscompare(0);
        world.execute(&cdb::read(64, 1), room(512));
        world.execute(&cdb::synchronize_cache(0, 0), none()).good();
        assert_eq!(counts(&mut world), [1, 2, 3, 3, 0, 0, 0, 0]);
    }

    #[test]
    fn time_is_counted_in_microseconds() {
        assert_eq!(micros(Instant::from_nanos(1_500), Instant::from_nanos(4_999)), 3);
    }
}
