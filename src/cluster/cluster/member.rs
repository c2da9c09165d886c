//! One host of a cluster, and how it is.

use std::collections::BTreeMap;
use std::time::Duration;

use pulsefield_hosts::{
    Access, Action, HeartbeatMode, Host, HostConfig, IoId, Locking, MountedVolume, Notice, Order,
    OrderId, OrderKind, Outcome, VolumeId,
};
use pulsefield_units::Instant;
use pulsefield_vmfs::HostUuid;

use crate::work::Presence;

/// The only volume of a cluster.
const VOLUME: VolumeId = VolumeId(0);

/// The end of time.
const NEVER: Instant = Instant::from_nanos(u64::MAX);

/// A host.
pub(super) struct Member {
    host: Host,
    uuid: HostUuid,
    heartbeat: HeartbeatMode,
    /// How it pulses while its administrator has switched that.
    switched: bool,
    locking: Locking,
    /// Whether its administrator has turned ATS off.
    without_ats: bool,
    state: State,
    /// Its last freeze, from when to when.
    freeze: (Instant, Instant),
    /// Whether it has a heartbeat, by what it said.
    has_heartbeat: bool,
    /// Bulk commands in flight.
    pub(super) bulk_in_flight: u32,
    /// Orders whose end it has not told, and what they are for.
    pub(super) orders: BTreeMap<OrderId, &'static str>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Up,
    Frozen {
        until: Instant,
    },
    Crashed {
        until: Instant,
    },
    /// It has left the volume for good.
    Leaving,
}

impl Member {
    /// A host that starts and mounts the volume.
    pub(super) fn new(config: HostConfig, volume: &MountedVolume, now: Instant) -> Self {
        let (uuid, heartbeat, locking) = (config.uuid, config.heartbeat, volume.locking);
        let mut host = Host::new(config);
        host.mount(now, *volume);
        host.start(now);
        Self {
            host,
            uuid,
            heartbeat,
            switched: false,
            locking,
            without_ats: false,
            state: State::Up,
            freeze: Default::default(),
            has_heartbeat: false,
            bulk_in_flight: 0,
            orders: BTreeMap::new(),
        }
    }

    pub(super) const fn uuid(&self) -> HostUuid {
        self.uuid
    }

    pub(super) const fn presence(&self) -> Presence {
        match self.state {
            State::Up => Presence::Up { bulk_in_flight: self.bulk_in_flight },
            State::Frozen { .. } | State::Crashed { .. } | State::Leaving => Presence::Away,
        }
    }

    pub(super) const fn is_up(&self) -> bool {
        matches!(self.state, State::Up | State::Leaving)
    }

    /// Whether it has nothing on the volume any more: it gave all back, or it is dead.
    pub(super) const fn has_left(&self) -> bool {
        match self.state {
            State::Leaving => !self.has_heartbeat,
            State::Crashed { .. } => true,
            State::Up | State::Frozen { .. } => false,
        }
    }

    pub(super) fn wake_at(&self) -> Option<Instant> {
        let state = match self.state {
            State::Frozen { until } | State::Crashed { until } => Some(until),
            State::Up | State::Leaving => None,
        };
        self.host.wake_at().into_iter().chain(state).min()
    }

    pub(super) fn on_time(&mut self, now: Instant) {
        match self.state {
            State::Crashed { until } if until <= now => {
                self.state = State::Up;
                self.host.start(now);
            }
            State::Frozen { until } if until <= now => self.state = State::Up,
            State::Up | State::Frozen { .. } | State::Crashed { .. } | State::Leaving => {}
        }
        self.host.on_time(now);
    }

    pub(super) fn on_done(&mut self, now: Instant, io: IoId, outcome: Outcome) {
        self.host.on_done(now, io, outcome);
    }

    pub(super) fn order(&mut self, now: Instant, id: OrderId, kind: OrderKind) {
        self.orders.insert(id, name(&kind));
        self.host.order(now, Order { id, volume: VOLUME, kind });
    }

    pub(super) fn crash(&mut self, now: Instant, down: Duration) {
        self.state = State::Crashed { until: now.after(down) };
        self.host.crash(now);
    }

    pub(super) fn freeze(&mut self, now: Instant, lasting: Duration) {
        let until = now.after(lasting);
        (self.state, self.freeze) = (State::Frozen { until }, (now, until));
        self.host.freeze(now, lasting);
    }

    /// For how long it was frozen between these moments, by its last freeze: for so long it is its own fault if
    /// it heard of something late.
    pub(super) fn frozen_between(&self, from: Instant, until: Instant) -> Duration {
        let (begin, end) = self.freeze;
        end.min(until).since(begin.max(from))
    }

    pub(super) fn switch_pulses(&mut self) {
        self.switched = !self.switched;
        self.set_heartbeat_mode();
    }

    /// It takes locks by reservations and pulses by plain writes, or as before. On a volume that is locked by ATS
    /// and nothing else the option is without effect before the next mount (article 319797).
    pub(super) fn switch_locking(&mut self, now: Instant) {
        if !self.locking.may_reserve() {
            return;
        }
        self.without_ats = !self.without_ats;
        let locking = if self.without_ats { Locking::Reservations } else { self.locking };
        let set = self.host.set_locking(now, VOLUME, locking);
        set.expect("what may reserve goes with every device");
        self.set_heartbeat_mode();
    }

    fn set_heartbeat_mode(&mut self) {
        let mode = match (self.switched, self.heartbeat) {
            _ if self.without_ats => HeartbeatMode::ReadWrite,
            (false, mode) => mode,
            (true, HeartbeatMode::Ats | HeartbeatMode::AtsReadBack) => HeartbeatMode::ReadWrite,
            (true, HeartbeatMode::ReadWrite) => HeartbeatMode::AtsReadBack,
        };
        self.host.set_heartbeat_mode(mode);
    }

    /// When it goes on at the latest, if it is frozen.
    pub(super) const fn thaws_at(&self) -> Instant {
        self.freeze.1
    }

    /// It gives back what it has and clears its heartbeat. One that is crashed stays so; one that is frozen
    /// does it when it goes on.
    pub(super) fn leave(&mut self, now: Instant) {
        match self.state {
            State::Crashed { .. } => self.state = State::Crashed { until: NEVER },
            State::Up | State::Frozen { .. } | State::Leaving => {
                self.state = State::Leaving;
                self.host.unmount(now, VOLUME);
            }
        }
    }

    /// What the host wants next.
    pub(super) fn poll_action(&mut self) -> Option<Action> {
        let action = self.host.poll_action()?;
        if let Action::Notice { notice, .. } = &action {
            self.listen(notice);
        }
        Some(action)
    }

    fn listen(&mut self, notice: &Notice) {
        match notice {
            Notice::HeartbeatAcquired { .. }
            | Notice::Access { access: Access::Reacquired, .. } => self.has_heartbeat = true,
            Notice::HeartbeatCleared { .. }
            | Notice::HeartbeatLeft { .. }
            | Notice::Access { access: Access::LocksLost, .. } => self.has_heartbeat = false,
            Notice::Crashed => {
                self.has_heartbeat = false;
                self.orders.clear();
            }
            Notice::NotMounted { .. }
            | Notice::LockingChanged { .. }
            | Notice::Extension { .. }
            | Notice::Pulse { .. }
            | Notice::Access { access: Access::Lost | Access::Resumed, .. }
            | Notice::Replayed { .. }
            | Notice::LockTaken(_)
            | Notice::LockLeft(_)
            | Notice::LockBroken { .. }
            | Notice::Finished { .. }
            | Notice::Started => {}
        }
    }
}

/// What an order is for, as reports call it.
const fn name(kind: &OrderKind) -> &'static str {
    match kind {
        OrderKind::Exclusive { .. } => "exclusive",
        OrderKind::ReadOnly { .. } => "read-only",
        OrderKind::MultiWriter { .. } => "multi-writer",
        OrderKind::Transaction { .. } => "transaction",
    }
}
