//! The conductor's part in latency accounting: what it tells of commands, and when it looks for those
//! that are late.

use std::time::Duration;

use crossbeam_channel::Sender;
use pulsefield_engine::{Event, Observer};
use pulsefield_record::{Reason, Recorder};
use pulsefield_units::Instant;

use super::Conductor;
use super::recording::record_event;
use crate::counters::CountingObserver;
use crate::latency::{Book, InFlight};

/// The device server's observer.
#[derive(Debug)]
pub(super) struct Watch {
    pub(super) counting: CountingObserver,
    pub(super) commands: InFlight,
    pub(super) recorder: Option<Box<Recorder>>,
}

impl Observer for Watch {
    #[inline(always)]
    fn observe(&mut self, now: Instant, event: &Event<'_>) {
        self.counting.observe(now, event);
        self.commands.observe(now, event);
        // Asked before anything is done about it, so that most events never ask for the recorder.
        let wanted = matches!(
            event,
            Event::Miscompared { .. }
                | Event::Retired { tag: None, .. }
                | Event::AttentionRaised { .. }
        );
        if wanted && let Some(recorder) = &mut self.recorder {
            // A copy, so that none of them need lie in memory.
            record_event(recorder, now, *event);
        }
    }
}

impl Conductor<'_> {
    /// Looks at the clock.
    pub(super) fn look_at_clock(&mut self) {
        self.now = self.station.clock.now();
        self.server.observer_mut().commands.see_time(self.now);
    }

    /// Takes note that the medium was at work on this thread: it took time, and nobody knows how long.
    pub(super) fn lose_sight_of_time(&mut self) {
        self.just_looked = false;
        self.server.observer_mut().commands.lose_sight_of_time();
    }

    /// Looks at the clock if nobody knows when the answers were ready: before the doorbell rings for them,
    /// or before one of a heartbeat is recorded.
    pub(super) fn look_if_out_of_time(&mut self) {
        if self.server.observer().commands.is_out_of_time() {
            self.look_at_clock();
        }
    }

    /// Counts the commands for which the doorbell has just rung.
    pub(super) fn settle_latencies(&mut self) {
        self.look_at_clock();
        self.just_looked = true;
        let faults = self.station.saboteur.is_some();
        let commands = &mut self.server.observer_mut().commands;
        self.station.latency.settle(commands, self.now, faults, &self.counters);
    }

    /// How long until a command in flight may become late.
    pub(super) fn until_late(&self) -> Option<Duration> {
        self.late_due.map(|due| due.since(self.now))
    }

    /// Looks for commands that are late and in flight.
    pub(super) fn look_for_late(&mut self) {
        let Self { server, station, now, .. } = self;
        // The commands are with the observer, who is with the server that is to be asked.
        let mut commands = std::mem::take(&mut server.observer_mut().commands);
        let place = |tag| server.whereabouts(tag);
        self.late_due = station.latency.look_for_late(&commands, *now, place);
        let mut any_overdue = false;
        while let Some(overdue) =
            station.latency.next_overdue(&mut commands, *now, |tag| server.whereabouts(tag))
        {
            any_overdue = true;
            if let Some(recorder) = &mut server.observer_mut().recorder {
                recorder.overdue(*now, &overdue);
            }
        }
        server.observer_mut().commands = commands;
        if any_overdue {
            self.keep_record(Reason::UnansweredHeartbeat);
        }
    }

    /// Tells what is known of latencies, and forgets it if asked to.
    pub(super) fn report_latency(&mut self, clear: bool, reply: &Sender<Book>) {
        // Whoever gave up waiting does not need to know.
        let _ = reply.send(self.station.latency.book().clone());
        if clear {
            self.station.latency.clear(self.station.clock.now());
        }
    }
}
