//! What is done while commands are being taken from the ring, and how much of it.
//!
//! Whoever works off the ring in its order does bulk before a heartbeat that lies behind it. So only what moves a
//! little is done at once, and of that so much in a row that a heartbeat at the end of the ring would hardly
//! notice; the rest goes into the bulk lane. A storm of heartbeats, on the other hand, never keeps bulk from being
//! started: after a burst of them the rest is left on the ring until the conductor has looked at everything else.

use std::time::Duration;

use pulsefield_backstore::{Backstore, BackstoreError, Op, OpOutput};
use pulsefield_data::Buffer;
use pulsefield_engine::{Lane, Medium, limits};
use pulsefield_units::Instant;

use crate::station::Station;

/// The most bytes that a command of the bulk lane moves at once: of all that is short the medium does some on the
/// spot, and of long commands none.
const BULK_BYTES_MAX: usize = 16 << 10;

/// The most bytes that those do together, between two looks at everything else: 13 to 33 µs of copying at 10 to 4 GB/s.
const BULK_BYTES_IN_A_ROW: usize = 128 << 10;

/// … and how long they may take after the first look: as long as one write may on average before its medium does none on the spot
/// (`backstore/shortcut.rs`).
const BULK_TIME_IN_A_ROW: Duration = Duration::from_millis(2);

/// After how many bytes one looks at the clock for that, and for answers that have waited long enough for others.
const BYTES_A_LOOK: usize = BULK_BYTES_MAX;

/// What a command counts as at least, however little it moves: it has a cost of its own.
const COMMAND_BYTES: usize = 4 << 10;

/// How many heartbeats are done together, between two looks at everything else, in each of which one command of
/// bulk is started: its share, as in lanes.
const HEARTBEATS_IN_A_ROW: u32 = limits::HEARTBEAT_BURST;

/// How much more may be done before the conductor looks at everything else.
#[derive(Debug)]
pub(super) struct Allowance {
    heartbeats: u32,
    bulk_bytes: usize,
    /// When the clock was first looked at.
    first_look: Option<Instant>,
    /// What was done of bulk since it last was.
    unlooked_bytes: usize,
}

impl Default for Allowance {
    fn default() -> Self {
        let (heartbeats, bulk_bytes) = (HEARTBEATS_IN_A_ROW, BULK_BYTES_IN_A_ROW);
        Self { heartbeats, bulk_bytes, first_look: None, unlooked_bytes: 0 }
    }
}

impl Allowance {
    /// Whether more may be taken from the ring.
    pub(super) const fn is_left(&self) -> bool {
        self.heartbeats > 0
    }

    /// Whether a command that moves so many bytes is still in it.
    fn covers(&self, lane: Lane, bytes: usize) -> bool {
        match lane {
            Lane::Heartbeat => true,
            Lane::Bulk => bytes.max(COMMAND_BYTES) <= BULK_BYTES_MAX.min(self.bulk_bytes),
        }
    }

    /// Takes note of a command that was done; says whether somebody should look at the clock.
    #[inline]
    pub(super) fn spend(&mut self, bytes: usize, lane: Option<Lane>) -> bool {
        match lane {
            Some(Lane::Heartbeat) => self.heartbeats = self.heartbeats.saturating_sub(1),
            Some(Lane::Bulk) => {
                let bytes = bytes.max(COMMAND_BYTES);
                self.bulk_bytes = self.bulk_bytes.saturating_sub(bytes);
                self.unlooked_bytes += bytes;
            }
            None => {}
        }
        self.unlooked_bytes >= BYTES_A_LOOK
    }

    /// Takes a look at the clock.
    pub(super) fn see_time(&mut self, now: Instant) {
        self.unlooked_bytes = 0;
        if now.since(*self.first_look.get_or_insert(now)) >= BULK_TIME_IN_A_ROW {
            self.bulk_bytes = 0;
        }
    }
}

/// The medium, while a command is being taken.
pub(super) struct AtOnce<'a> {
    pub(super) medium: &'a dyn Backstore,
    pub(super) station: &'a Station,
    pub(super) allowance: &'a Allowance,
    pub(super) now: Instant,
    /// Whether it has worked.
    pub(super) has_worked: bool,
}

impl Medium for AtOnce<'_> {
    #[inline]
    fn may_do(&self, lane: Lane, bytes: usize) -> bool {
        self.allowance.covers(lane, bytes)
    }

    #[inline]
    fn at_once(
        &mut self,
        op: Op,
        buffer: &mut Buffer,
        lane: Lane,
    ) -> Option<Result<OpOutput, BackstoreError>> {
        // What moves no data may go through all of the medium.
        if !matches!(op, Op::Read { .. } | Op::Write { .. } | Op::CompareAndWrite { .. }) {
            return None;
        }
        self.station.enter_medium(self.now);
        let result = self.medium.at_once(op, buffer, lane == Lane::Heartbeat);
        self.station.leave_medium();
        self.has_worked = true;
        result
    }
}
