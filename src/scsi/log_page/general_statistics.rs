//! General Statistics and Performance (19h).

use super::Parameters;

const GENERAL: u16 = 0x0001;
const IDLE_TIME: u16 = 0x0002;
pub(super) const TIME_INTERVAL: u16 = 0x0003;

/// EXPONENT and INTEGER of the time interval descriptor: an interval is 1 × 10^-6 seconds.
const INTERVAL_EXPONENT: u32 = 6;
const INTERVAL_INTEGER: u32 = 1;

/// What a logical unit has done since it was made or since LOG SELECT last reset this.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Statistics {
    /// READ commands that were carried out.
    pub reads: u64,
    /// Commands that were carried out and write what they bring.
    pub writes: u64,
    /// Logical blocks that came with writes.
    pub blocks_received: u64,
    /// Logical blocks that were read.
    pub blocks_transmitted: u64,
    /// Microseconds from the arrival to the answer of reads, added up.
    pub read_us: u64,
    /// Microseconds from the arrival to the answer of writes, added up.
    pub write_us: u64,
    /// Microseconds without any command.
    pub idle_us: u64,
}

impl Parameters<'_> {
    pub(super) fn general_statistics(&mut self, statistics: &Statistics) {
        let numbers = [
            statistics.reads,
            statistics.writes,
            statistics.blocks_received,
            statistics.blocks_transmitted,
            statistics.read_us,
            statistics.write_us,
            // The two weighted sums: commands have no weights.
            0,
            0,
        ];
        self.push(GENERAL, |out| out.extend(numbers.into_iter().flat_map(u64::to_be_bytes)));
        self.push(IDLE_TIME, |out| out.extend(statistics.idle_us.to_be_bytes()));
        self.push(TIME_INTERVAL, |out| {
            out.extend(
                [INTERVAL_EXPONENT, INTERVAL_INTEGER].into_iter().flat_map(u32::to_be_bytes),
            );
        });
    }
}
