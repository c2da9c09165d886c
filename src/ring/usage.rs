//! How full the ring and its data area are.
//!
//! What finds no room in either waits in a queue of the kernel's (`qfull_queue` of
//! `drivers/target/target_core_user.c`), which is in order of arrival: a heartbeat then waits behind
//! bulk, and nobody here can see it. What can be seen is how much room is left.

use crate::Ring;

/// The smallest piece of the data area that the kernel gives out: `data_pages_per_blk` of one page, its
/// default. Where it is set to more, more is in use than is counted here.
const BLOCK_BYTES: usize = 4096;

/// Bytes of something that is bounded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// How many there are.
    pub size: usize,
    /// The most that were in use at a time, since this was last asked.
    pub peak: usize,
}

impl Usage {
    /// The peak as a part of the size, in percent and rounded up.
    pub fn percent(&self) -> u8 {
        let percent = self.peak.saturating_mul(100).div_ceil(self.size.max(1));
        u8::try_from(percent.min(100)).unwrap_or(100)
    }
}

/// What is in use now, and the most that was.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Level {
    now: usize,
    peak: usize,
}

impl Level {
    pub(crate) fn add(&mut self, bytes: usize) {
        self.set(self.now.saturating_add(bytes));
    }

    pub(crate) fn subtract(&mut self, bytes: usize) {
        self.now = self.now.saturating_sub(bytes);
    }

    pub(crate) fn set(&mut self, bytes: usize) {
        self.now = bytes;
        self.peak = self.peak.max(bytes);
    }

    fn take_peak(&mut self) -> usize {
        std::mem::replace(&mut self.peak, self.now)
    }
}

/// What `bytes` of data take of the data area.
pub(crate) const fn area_bytes(bytes: usize) -> usize {
    bytes.next_multiple_of(BLOCK_BYTES)
}

impl Ring {
    /// How full the data area was, with the data of commands that are in flight.
    pub fn take_data_area_usage(&mut self) -> Usage {
        Usage { size: self.data_area.len(), peak: self.data_in_use.take_peak() }
    }

    /// How full the ring itself was, with entries that the kernel has not got back.
    pub fn take_ring_usage(&mut self) -> Usage {
        Usage { size: self.circle.size() as usize, peak: self.ring_in_use.take_peak() }
    }

    /// The length of the data area in bytes: `max_data_area_mb`.
    pub fn data_area_bytes(&self) -> usize {
        self.data_area.len()
    }
}

#[cfg(test)]
mod tests {
    use crate::simulated_kernel::{Data, Options, SimulatedKernel};
    use crate::{Answer, DataIn, Entry, RingCommand};

    use super::*;

    const GOOD: Answer<'_> = Answer { status: 0, sense: None, data_in: DataIn::All };

    #[test]
    fn percents_are_rounded_up() {
        let percent = |size, peak| Usage { size, peak }.percent();
        assert_eq!([percent(1000, 0), percent(1000, 1), percent(1000, 1000)], [0, 1, 100]);
        assert_eq!([percent(0, 0), percent(10, 99)], [0, 100]);
    }

    #[test]
    fn the_area_is_in_use_while_its_commands_are_in_flight() {
        let options = Options { data_blocks: 16, ..Options::default() };
        let mut kernel = SimulatedKernel::new(options).unwrap();
        let mut ring = Ring::attach(kernel.mapping()).unwrap();
        let now = pulsefield_units::Instant::default();
        let read = [0x28, 0, 0, 0, 0, 0, 0, 0, 1, 0];
        for bytes in [4096, 4097, 512] {
            kernel.submit(now, &read, Data::In(bytes)).unwrap();
        }
        let mut commands: Vec<RingCommand> =
            std::iter::from_fn(|| match ring.next_entry().unwrap()? {
                Entry::Command(command) => Some(command),
                Entry::Tmr(_) => unreachable!("none was sent"),
            })
            .collect();
        let size = 16 * BLOCK_BYTES;
        assert_eq!(ring.take_data_area_usage(), Usage { size, peak: 4 * BLOCK_BYTES });
        assert_eq!(ring.take_ring_usage().peak, 3 * 128);
        for RingCommand { token, data, .. } in commands.drain(..2) {
            ring.complete(token, GOOD, data);
        }
        assert!(ring.publish());
        // It was as full in between, and is not since.
        for peak in [4, 1, 1] {
            assert_eq!(ring.take_data_area_usage().peak, peak * BLOCK_BYTES);
        }
        for peak in [3, 1, 1] {
            assert_eq!(ring.take_ring_usage().peak, peak * 128);
        }
        let RingCommand { token, data, .. } = commands.remove(0);
        ring.complete(token, GOOD, data);
        assert!(ring.publish());
        for peak in [1, 0] {
            assert_eq!(ring.take_data_area_usage().peak, peak * BLOCK_BYTES);
        }
    }
}
