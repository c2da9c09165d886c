//! Hosts on one device, in memory and in virtual time: for the tests of this room.

// Each question is about one thing that hosts do and say.
#![allow(clippy::wildcard_enum_match_arm)]

mod medium;

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use pulsefield_units::Instant;
use pulsefield_vmfs::{HeartbeatRegion, HostUuid, Version};

pub(crate) use medium::Medium;

use crate::{
    Access, Action, Geometry, HeartbeatMode, Host, HostConfig, Io, IoId, Locking, MountedVolume,
    Notice, Outcome, VolumeId,
};

/// How long a command takes of which nothing else is said.
pub(crate) const LATENCY: Duration = Duration::from_millis(2);

/// VMFS 6 on the whole of a device with blocks of 512 bytes.
pub(crate) const VMFS_6: Geometry = Geometry {
    block_length: pulsefield_units::BlockLength::B512,
    start: 0,
    version: Version { major: 24, minor: 82 },
    heartbeats: HeartbeatRegion { slots: 1024, stride: 4096 },
};

/// What happens to a command.
#[derive(Clone, Debug)]
pub(crate) enum Fate {
    /// What it asks for.
    Done,
    /// The same, after so long; if it is aborted before, nothing.
    Slow(Duration),
    /// What it asks for, but nobody hears of it.
    Unanswered,
    /// Nothing, and nobody hears of that.
    Dropped,
    /// Nothing, and this is told.
    Refused(Outcome),
}

/// What happens to each command of each host.
pub(crate) type Fates = Box<dyn FnMut(usize, &Io) -> Fate>;

/// Hosts, their device, and the time.
pub(crate) struct Cluster {
    pub(crate) now: Instant,
    pub(crate) hosts: Vec<Host>,
    pub(crate) medium: Medium,
    /// What each host said.
    pub(crate) said: Vec<(Instant, usize, Notice)>,
    /// What each host asked for.
    pub(crate) asked: Vec<(Instant, usize, IoId, Io)>,
    /// When each of these was answered.
    pub(crate) answered: BTreeMap<(usize, IoId), Instant>,
    /// What happens to a host's commands.
    pub(crate) fate: Fates,
    events: Vec<Event>,
}

/// Something that will happen to a host's command.
#[derive(Debug)]
struct Event {
    at: Instant,
    host: usize,
    id: IoId,
    what: What,
}

#[derive(Debug)]
enum What {
    Execute { io: Io, answered: bool },
    Answer(Outcome),
}

impl Cluster {
    /// Hosts that are up, each of which has mounted the same volume.
    pub(crate) fn new(hosts: usize, heartbeat: HeartbeatMode, locking: Locking) -> Self {
        let mut cluster = Self {
            now: Instant::from_nanos(1_000_000_000),
            hosts: Vec::new(),
            medium: Medium::formatted(VMFS_6),
            said: Vec::new(),
            asked: Vec::new(),
            answered: BTreeMap::new(),
            fate: Box::new(|_, _| Fate::Done),
            events: Vec::new(),
        };
        for nth in 0..hosts {
            let mut host = Host::new(config(nth, heartbeat));
            host.mount(cluster.now, MountedVolume { geometry: VMFS_6, locking });
            host.start(cluster.now);
            cluster.hosts.push(host);
            cluster.pump();
        }
        cluster
    }

    /// Lets so much time go by.
    pub(crate) fn run(&mut self, duration: Duration) {
        let end = self.now.after(duration);
        self.pump();
        while let Some(at) = self.next_at().filter(|at| *at <= end) {
            self.now = self.now.max(at);
            let due = self.events.iter().position(|event| event.at <= self.now);
            match due {
                Some(due) => self.happen(due),
                None => self.wake(),
            }
            self.pump();
        }
        self.now = end;
    }

    /// Lets time go by until `seen` holds.
    ///
    /// # Panics
    /// If it does not within two minutes.
    pub(crate) fn run_until(&mut self, mut seen: impl FnMut(&Self) -> bool) {
        let end = self.now.after(Duration::from_secs(120));
        while !seen(self) {
            assert!(self.now < end, "{:#?}", self.said);
            self.run(Duration::from_millis(1));
        }
    }

    /// Does as the host wants.
    pub(crate) fn pump(&mut self) {
        for nth in 0..self.hosts.len() {
            while let Some(action) = self.hosts[nth].poll_action() {
                match action {
                    Action::Submit { id, io, timeout, volume: _ } => {
                        self.submit(nth, id, io, timeout);
                    }
                    Action::Notice { at, notice } => self.said.push((at, nth, notice)),
                }
            }
        }
    }

    /// The volume's notices about access to it, of one host.
    pub(crate) fn accesses(&self, host: usize) -> Vec<Access> {
        let access = |notice: &Notice| match notice {
            Notice::Access { access, .. } => Some(*access),
            _ => None,
        };
        self.notices(host).filter_map(access).collect()
    }

    /// What one host said.
    pub(crate) fn notices(&self, host: usize) -> impl Iterator<Item = &Notice> {
        self.said.iter().filter(move |(_, nth, _)| *nth == host).map(|(_, _, notice)| notice)
    }

    /// The slot and the generation that a host acquired last.
    pub(crate) fn acquired(&self, host: usize) -> Option<(u64, u64)> {
        let acquired = |notice: &Notice| match notice {
            Notice::HeartbeatAcquired { slot, generation, .. } => Some((*slot, *generation)),
            _ => None,
        };
        self.notices(host).filter_map(acquired).last()
    }

    /// How many commands there were of this kind.
    pub(crate) fn count(&self, kind: impl Fn(&Io) -> bool) -> usize {
        self.asked.iter().filter(|(_, _, _, io)| kind(io)).count()
    }

    fn next_at(&self) -> Option<Instant> {
        let events = self.events.iter().map(|event| event.at);
        events.chain(self.hosts.iter().filter_map(Host::wake_at)).min()
    }

    fn wake(&mut self) {
        let now = self.now;
        for host in &mut self.hosts {
            if host.wake_at().is_some_and(|at| at <= now) {
                host.on_time(now);
            }
        }
    }

    fn submit(&mut self, host: usize, id: IoId, io: Io, timeout: Duration) {
        let fate = (self.fate)(host, &io);
        self.asked.push((self.now, host, id, io.clone()));
        let mut event = |after, what| {
            self.events.push(Event { at: self.now.after(after), host, id, what });
        };
        match fate {
            Fate::Done => event(LATENCY, What::Execute { io, answered: true }),
            Fate::Slow(duration) if duration < timeout => {
                event(duration, What::Execute { io, answered: true });
            }
            Fate::Unanswered => {
                event(LATENCY, What::Execute { io, answered: false });
                event(timeout, What::Answer(Outcome::TimedOut));
            }
            Fate::Slow(_) | Fate::Dropped => event(timeout, What::Answer(Outcome::TimedOut)),
            Fate::Refused(outcome) => event(LATENCY, What::Answer(outcome)),
        }
        // In the order in which they happen; what happens at once in the order in which it was asked for.
        self.events.sort_by_key(|event| event.at);
    }

    fn happen(&mut self, nth: usize) {
        let Event { host, id, what, .. } = self.events.remove(nth);
        let outcome = match what {
            What::Answer(outcome) => outcome,
            What::Execute { io: Io::LogicalUnitReset, .. } => {
                self.reset();
                Outcome::Good(Vec::new())
            }
            What::Execute { io, answered } => {
                let outcome = self.medium.execute(host, &io);
                if !answered {
                    return;
                }
                outcome
            }
        };
        self.answered.insert((host, id), self.now);
        self.hosts[host].on_done(self.now, id, outcome);
    }

    /// Aborts all that is in flight, and tells so.
    fn reset(&mut self) {
        self.medium.release_all();
        let aborted: VecDeque<Event> = std::mem::take(&mut self.events).into();
        for event in aborted {
            if !matches!(event.what, What::Execute { answered: false, .. }) {
                let what = What::Answer(Outcome::Lost);
                self.events.push(Event { at: self.now, what, ..event });
            }
        }
    }
}

/// A host, by its number.
pub(crate) fn config(nth: usize, heartbeat: HeartbeatMode) -> HostConfig {
    let mut bytes = [0x11; 16];
    bytes[15] = u8::try_from(nth).expect("few hosts");
    HostConfig {
        uuid: HostUuid::from_bytes(bytes).expect("not zero"),
        management_address: None,
        heartbeat,
        seed: nth as u64,
    }
}

/// The volume that all have mounted.
pub(crate) const VOLUME: VolumeId = VolumeId(0);
