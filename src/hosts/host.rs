//! One host: its volumes, its clock, and what can befall it.

use std::collections::VecDeque;
use std::time::Duration;

use pulsefield_units::Instant;
use pulsefield_vmfs::HostUuid;

use crate::ledger::Ledger;
use crate::volume::{Moment, Volume};
use crate::{
    Action, HeartbeatMode, HostConfig, IoId, Locking, MountedVolume, NoAts, Notice, Order, Outcome,
    VolumeId,
};

/// An emulated ESXi host.
///
/// Whoever drives it tells it outcomes and the time, and after each call takes actions until there are none
/// and asks when to wake it. Moments never go back.
#[derive(Debug)]
pub struct Host {
    config: HostConfig,
    /// Since when it is up; `None` when it is not.
    started: Option<Instant>,
    frozen: Option<Frozen>,
    ledger: Ledger,
    volumes: Vec<Volume>,
}

/// A host that does nothing for a while.
#[derive(Debug)]
struct Frozen {
    until: Instant,
    /// What it will hear then.
    missed: VecDeque<Missed>,
}

#[derive(Debug)]
enum Missed {
    Outcome(IoId, Outcome),
    Order(Order),
    Unmount(VolumeId),
}

impl Host {
    /// A host that has not been started.
    pub const fn new(config: HostConfig) -> Self {
        let ledger = Ledger::new(config.seed);
        Self { config, started: None, frozen: None, ledger, volumes: Vec::new() }
    }

    /// Its UUID.
    pub const fn uuid(&self) -> HostUuid {
        self.config.uuid
    }

    /// Starts it, and mounts all volumes that it has been told of. Does nothing if it is up.
    pub fn start(&mut self, now: Instant) {
        if self.started.is_none() {
            self.started = Some(now);
            self.ledger.notice(now, Notice::Started);
            self.each_volume(now, Volume::mount);
        }
    }

    /// Tells it of a volume, which it mounts now, or when it is started.
    pub fn mount(&mut self, now: Instant, volume: MountedVolume) -> VolumeId {
        let nth =
            u32::try_from(self.volumes.len()).expect("a host has a few hundred volumes at most");
        let id = VolumeId(nth);
        self.volumes.push(Volume::new(id, volume, &self.config));
        if self.started.is_some() {
            self.volume(now, id, Volume::mount);
        }
        id
    }

    /// Unmounts a volume, for good: it takes no more orders, and when those under way have ended it gives its
    /// heartbeat back.
    ///
    /// # Panics
    /// If the host was not told of the volume.
    pub fn unmount(&mut self, now: Instant, volume: VolumeId) {
        if self.thaw(now) {
            self.volume(now, volume, Volume::unmount);
        } else {
            self.miss(Missed::Unmount(volume));
        }
    }

    /// Gives an order. Its end is told once; at once if the volume is not there or the host not up, and when the
    /// host crashes at the latest.
    ///
    /// # Panics
    /// If the host was not told of the volume.
    pub fn order(&mut self, now: Instant, order: Order) {
        if self.thaw(now) {
            self.carry_out(now, order);
        } else {
            self.miss(Missed::Order(order));
        }
    }

    /// Tells it what became of an I/O. Of an I/O from before a crash it knows nothing any more.
    pub fn on_done(&mut self, now: Instant, io: IoId, outcome: Outcome) {
        if self.thaw(now) {
            self.hear(now, io, outcome);
        } else {
            self.miss(Missed::Outcome(io, outcome));
        }
    }

    /// Tells it the time: does all that is due.
    pub fn on_time(&mut self, now: Instant) {
        if self.thaw(now) {
            self.each_volume(now, Volume::on_time);
        }
    }

    /// When it wants to be told the time next, if nothing else happens before.
    pub fn wake_at(&self) -> Option<Instant> {
        match &self.frozen {
            Some(frozen) => Some(frozen.until),
            None => self.volumes.iter().filter_map(Volume::wake_at).min(),
        }
    }

    /// What it wants done or told next.
    pub fn poll_action(&mut self) -> Option<Action> {
        match self.frozen {
            Some(_) => None,
            None => self.ledger.next_action(),
        }
    }

    /// It is gone, with all that it knew. What it had asked for may still be done, and its heartbeats and locks
    /// stay on the medium. Does nothing if it is not up.
    pub fn crash(&mut self, now: Instant) {
        if self.started.is_none() {
            return;
        }
        let missed = self.frozen.take().map_or_else(VecDeque::new, |frozen| frozen.missed);
        self.each_volume(now, Volume::crash);
        self.started = None;
        for missed in missed {
            match missed {
                Missed::Outcome(..) => {}
                Missed::Order(order) => self.carry_out(now, order),
                Missed::Unmount(volume) => self.volume(now, volume, Volume::unmount),
            }
        }
        self.ledger.crash(now);
    }

    /// It does nothing for so long, and hears only then what has happened meanwhile: a host whose processors are
    /// all busy elsewhere, or a virtual one that is not scheduled. Does nothing if it is not up.
    pub fn freeze(&mut self, now: Instant, duration: Duration) {
        if self.started.is_some() {
            let until = now.after(duration);
            let missed = self.frozen.take().map_or_else(VecDeque::new, |frozen| frozen.missed);
            self.frozen = Some(Frozen { until, missed });
        }
    }

    /// Pulses like that from the next pulse on, as the option `UseATSForHBOnVMFS5` does without a restart.
    pub const fn set_heartbeat_mode(&mut self, mode: HeartbeatMode) {
        self.config.heartbeat = mode;
    }

    /// Locks like that on a volume from now on (`esxcli storage vmfs lockmode set`).
    ///
    /// # Errors
    /// [`NoAts`] if ATS alone is wanted of a device without it; then it stays as it was.
    ///
    /// # Panics
    /// If the host was not told of the volume.
    pub fn set_locking(
        &mut self,
        now: Instant,
        volume: VolumeId,
        locking: Locking,
    ) -> Result<(), NoAts> {
        self.volume(now, volume, |volume, moment| volume.set_locking(moment, locking))
    }

    /// Asks whether a volume could extend to the device of `by`, which is one of the host's, too.
    /// [`Notice::Extension`] tells the answer; nothing is written.
    ///
    /// # Panics
    /// If the host was not told of the volume.
    pub fn extend(&mut self, now: Instant, volume: VolumeId, by: VolumeId) {
        self.volume(now, volume, |volume, moment| volume.extend(moment, by));
    }

    fn miss(&mut self, missed: Missed) {
        if let Some(frozen) = &mut self.frozen {
            frozen.missed.push_back(missed);
        }
    }

    /// Hears what was missed if it was frozen until now; first of all the time. `false` if it still is.
    fn thaw(&mut self, now: Instant) -> bool {
        if self.frozen.as_ref().is_some_and(|frozen| now < frozen.until) {
            return false;
        }
        if let Some(frozen) = self.frozen.take() {
            self.each_volume(now, Volume::on_time);
            for missed in frozen.missed {
                match missed {
                    Missed::Outcome(io, outcome) => self.hear(now, io, outcome),
                    Missed::Order(order) => self.carry_out(now, order),
                    Missed::Unmount(volume) => self.volume(now, volume, Volume::unmount),
                }
            }
        }
        true
    }

    fn hear(&mut self, now: Instant, io: IoId, outcome: Outcome) {
        if let Some(volume) = self.ledger.answered(io) {
            self.volume(now, volume, |volume, moment| volume.on_done(moment, io, outcome));
        }
    }

    fn carry_out(&mut self, now: Instant, order: Order) {
        self.volume(now, order.volume, |volume, moment| volume.order(moment, order));
    }

    fn each_volume(&mut self, now: Instant, act: impl Fn(&mut Volume, &mut Moment<'_>)) {
        let (volumes, mut moment) = self.at(now);
        volumes.iter_mut().for_each(|volume| act(volume, &mut moment));
    }

    fn volume<T>(
        &mut self,
        now: Instant,
        volume: VolumeId,
        act: impl FnOnce(&mut Volume, &mut Moment<'_>) -> T,
    ) -> T {
        let (volumes, mut moment) = self.at(now);
        let volume = usize::try_from(volume.0).ok().and_then(|nth| volumes.get_mut(nth));
        act(volume.expect("the host was told of the volume"), &mut moment)
    }

    fn at(&mut self, now: Instant) -> (&mut [Volume], Moment<'_>) {
        let Self { config, started, ledger, volumes, .. } = self;
        let uptime = started.map_or(Duration::ZERO, |started| now.since(started));
        (volumes, Moment { now, uptime, config, ledger })
    }
}

#[cfg(test)]
mod tests;
