//! systemd's watchdog, fed with proof that commands get through.
//!
//! Each round a probe is sent through every unit that serves: a command through its thread and its
//! device server. systemd hears from us only if the probes of the round before came through. A
//! probe does not touch the medium; a unit that waits for its medium to start again or to close is not
//! asked, and one whose thread is inside its medium is excused: restarting the daemon would not cure a
//! medium that hangs (a file system that a backup has frozen), and would hurt the others. A unit that sleeps
//! and has had no commands is asked now and then only.

use std::time::{Duration, Instant};

use tracing::{error, warn};

use crate::clock;
use crate::station::Message;
use crate::table::SharedTable;

/// Rounds between two deadlines of systemd.
const ROUNDS: u32 = 3;

/// In one of how many rounds a unit is probed that sleeps and to which nothing has come since the last time: it
/// could only be deaf. Of hundreds most are idle, and each probe wakes a thread: of 256, that was most of what an idle
/// daemon took.
const IDLE_ROUNDS: u64 = 360;

/// How often units are probed if systemd does not watch.
const UNWATCHED: Duration = Duration::from_secs(10);

pub(crate) struct Watchdog {
    watched: bool,
    interval: Duration,
    next: Instant,
    round: u64,
}

impl Watchdog {
    /// The watchdog that systemd asked for (`WATCHDOG_USEC`), if it did.
    pub(crate) fn new() -> Self {
        let asked = sd_notify::watchdog_enabled();
        let interval = asked.map_or(UNWATCHED, |deadline| deadline / ROUNDS);
        Self { watched: asked.is_some(), interval, next: Instant::now(), round: 0 }
    }

    /// How long the supervisor may sleep.
    pub(crate) const fn interval(&self) -> Duration {
        self.interval
    }

    /// Ends a round and begins the next, if it is time.
    pub(crate) fn tend(&mut self, table: &SharedTable) {
        let now = Instant::now();
        if now < self.next {
            return;
        }
        self.next = now + self.interval;
        if self.end_round(table) && self.watched {
            notify(&[sd_notify::NotifyState::Watchdog]);
        }
    }

    /// Begins the next round, and says whether all have passed the last.
    fn end_round(&mut self, table: &SharedTable) -> bool {
        self.round += 1;
        let mut alive = true;
        for (id, unit) in &mut table.lock().units {
            let Some(service) = &mut unit.service else { continue };
            let passed = service.probed == service.mailbox.probe_passed();
            let heard = unit.counters.commands.load();
            // Not all in the same round.
            let turn = (self.round + u64::from(id.as_u32())).is_multiple_of(IDLE_ROUNDS);
            let idle = heard == service.heard && service.mailbox.is_asleep();
            if service.probed > 0 && passed && idle && !turn {
                continue;
            }
            service.heard = heard;
            if service.mailbox.is_conducting() && !passed {
                let name = unit.name.device();
                if let Some(since) = service.mailbox.in_medium_since() {
                    let waited_s = clock::coarse().since(since).as_secs();
                    warn!(lu = %id, name, waited_s, "the logical unit waits for its medium");
                } else {
                    warn!(lu = %id, name, "the logical unit does not answer its probe");
                    alive = false;
                }
            }
            // Each round anew: one may have been lost in a breakdown.
            service.probed = self.round;
            service.mailbox.send(Message::Probe(self.round));
        }
        alive
    }
}

/// Tells systemd something.
pub(crate) fn notify(states: &[sd_notify::NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(states) {
        error!(%error, "systemd was not notified");
    }
}

#[cfg(test)]
mod tests;
