//! Counts of what a logical unit did, for `pulsefield lun show` and for metrics.
//!
//! Written by the unit's own thread alone and read by anybody, so relaxed and without a lock.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use pulsefield_engine::{Event, Lane, Observer};
use pulsefield_scsi::{Sense, SenseKey, Status, opcode};
use pulsefield_units::Instant;

use crate::latency::Lateness;

mod answers;
mod task_management;

use answers::Answers;
use task_management::TaskManagement;

/// One number. Only its owner changes it, so that a load and a store do: an atomic addition would have
/// the processor wait for both.
#[derive(Debug, Default)]
pub(crate) struct Counter(AtomicU64);

impl Counter {
    fn increment(&self) {
        self.set(self.load().wrapping_add(1));
    }

    fn decrement(&self) {
        self.set(self.load().wrapping_sub(1));
    }

    fn raise_to(&self, value: u64) {
        if value > self.load() {
            self.set(value);
        }
    }

    fn set(&self, value: u64) {
        self.0.store(value, Ordering::Relaxed);
    }

    fn clear(&self) {
        self.0.store(0, Ordering::Relaxed);
    }

    pub(crate) fn load(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// One lane.
#[derive(Debug, Default)]
pub(crate) struct LaneCounters {
    /// Tasks that wait to be started.
    pub(crate) waiting: Counter,
    /// Tasks started and not ended.
    pub(crate) running: Counter,
    /// The longest that a task has waited before it was started, in nanoseconds.
    pub(crate) wait_max_ns: Counter,
}

/// One logical unit, since the daemon took it over.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    pub(crate) commands: Counter,
    pub(crate) compare_and_write_good: Counter,
    pub(crate) compare_and_write_miscompare: Counter,
    pub(crate) aborted: Counter,
    pub(crate) errors: Counter,
    pub(crate) restarts: Counter,
    /// Rules of faults that are armed.
    pub(crate) faults_armed: Counter,
    /// Commands that took longer than `deadline_warning` and not longer than `deadline_error`.
    pub(crate) late: Counter,
    /// Commands that took longer than `deadline_error`.
    pub(crate) too_late: Counter,
    /// The length of the data area.
    pub(crate) data_area_bytes: Counter,
    /// The most of the data area that was in use, in percent.
    pub(crate) data_area_peak_percent: Counter,
    /// The most of the command ring that was in use, in percent.
    pub(crate) ring_peak_percent: Counter,
    /// How often there was hardly any room left in either when a doorbell had rung.
    pub(crate) room_shortages: Counter,
    /// Answers as initiators got them.
    pub(crate) answers: Answers,
    /// Task management functions.
    pub(crate) task_management: TaskManagement,
    heartbeat: LaneCounters,
    bulk: LaneCounters,
}

impl Counters {
    pub(crate) const fn lane(&self, lane: Lane) -> &LaneCounters {
        match lane {
            Lane::Heartbeat => &self.heartbeat,
            Lane::Bulk => &self.bulk,
        }
    }

    /// Notes how many rules of faults are armed.
    pub(crate) fn set_faults_armed(&self, rules: u64) {
        self.faults_armed.set(rules);
    }

    /// Notes how long the data area is.
    pub(crate) fn set_data_area(&self, bytes: u64) {
        self.data_area_bytes.set(bytes);
    }

    /// Notes how full the data area and the ring were, in percent.
    pub(crate) fn note_room(&self, data_area: u8, ring: u8) {
        self.data_area_peak_percent.raise_to(data_area.into());
        self.ring_peak_percent.raise_to(ring.into());
    }

    /// Counts a doorbell after which there was hardly any room left.
    pub(crate) fn count_shortage(&self) {
        self.room_shortages.increment();
    }

    /// Counts a command from the ring.
    pub(crate) fn count_command(&self) {
        self.commands.increment();
    }

    /// Counts a ring entry that made no sense and was answered with an error.
    pub(crate) fn count_malformed(&self) {
        self.errors.increment();
    }

    /// Counts a command that missed a deadline.
    pub(crate) fn count_late(&self, lateness: Lateness) {
        match lateness {
            Lateness::Warning => self.late.increment(),
            Lateness::Error => self.too_late.increment(),
        }
    }

    /// Counts a breakdown of the device server: its tasks are gone.
    pub(crate) fn count_restart(&self) {
        self.restarts.increment();
        for lane in Lane::ALL {
            self.lane(lane).waiting.clear();
            self.lane(lane).running.clear();
        }
    }

    fn count_end(&self, opcode: u8, status: Status, sense: Option<Sense>) {
        let key = sense.map(|sense| sense.key);
        if matches!(key, Some(SenseKey::MediumError | SenseKey::HardwareError)) {
            self.errors.increment();
        }
        if opcode == opcode::COMPARE_AND_WRITE {
            if status == Status::Good {
                self.compare_and_write_good.increment();
            } else if key == Some(SenseKey::Miscompare) {
                self.compare_and_write_miscompare.increment();
            }
        }
    }
}

/// The device server's observer.
#[derive(Debug)]
pub(crate) struct CountingObserver(pub(crate) Arc<Counters>);

impl Observer for CountingObserver {
    // Inlined, of each event only what is counted of it is left: most are not even made.
    #[inline(always)]
    fn observe(&mut self, now: Instant, event: &Event<'_>) {
        let counters = &*self.0;
        match event {
            Event::Admitted { lane, .. } => counters.lane(*lane).waiting.increment(),
            Event::Started { lane, .. } => {
                counters.lane(*lane).waiting.decrement();
                counters.lane(*lane).running.increment();
            }
            Event::Aborted { .. } => counters.aborted.increment(),
            Event::Retired { lane, opcode, status, sense, arrived, started, at_once, .. } => {
                counters.count_end(*opcode, *status, *sense);
                if let Some(lane) = lane.filter(|_| !at_once).map(|lane| counters.lane(lane)) {
                    match started {
                        Some(_) => lane.running.decrement(),
                        None => lane.waiting.decrement(),
                    }
                    let waited = started.unwrap_or(now).as_nanos();
                    lane.wait_max_ns.raise_to(waited.saturating_sub(arrived.as_nanos()));
                }
            }
            // Commands are counted where they come from: the daemon's own probes are none.
            Event::Arrived { .. }
            | Event::Parked { .. }
            | Event::Granted { .. }
            | Event::OpSubmitted { .. }
            | Event::OpDone { .. }
            | Event::Miscompared { .. }
            | Event::AttentionRaised { .. } => {}
        }
    }
}
