//! A logical unit without a device: the conductor at work on the caller's thread, over a ring whose
//! other side is in the same process.
//!
//! Everything between the ring and the medium is what serves a device. What is missing is around it:
//! nobody is woken or rung for, since the caller says when to look, and of configfs there is only
//! that there is nothing in it.
//!
//! Time may be the caller's as well ([`EmbeddedConductor::turn_at`]). Over a medium that does what it is
//! asked for before it returns (`null/`, `ram/`), what a unit does then follows from what it was sent and told
//! alone.

use std::io;
use std::os::fd::AsFd as _;
use std::os::unix::net::UnixStream;
use std::sync::Arc;

use crossbeam_channel::bounded;
use pulsefield_backstore::{Backstore, Geometry, OpTag};
use pulsefield_control::config::Config;
use pulsefield_engine::{AccessStateChange, Identity, LuConfig, Query, SavedState};
use pulsefield_faults::{Disarm, FaultReport, Plan};
use pulsefield_kernel::UioError;
use pulsefield_record::Reason;
use pulsefield_ring::{Mapping, Ring, RingError};
use pulsefield_units::Instant;

use crate::clock::Clock;
use crate::conductor::{Conductor, End, Surroundings};
use crate::counters::Counters;
use crate::pool::{Pools, Share};
use crate::recording::RecordOrders;
use crate::station::{Mailbox, Message, Station};
use crate::uio::{MapError, Uio};

/// What plans of faults know the unit by.
const NAME: &str = "embedded";

/// A logical unit: its medium, its settings, and what a conductor needs.
pub struct EmbeddedUnit {
    station: Station,
    record: Option<RecordOrders>,
    surroundings: Solitude,
    medium: Arc<dyn Backstore>,
    counters: Arc<Counters>,
    /// What the station would wait for.
    _events: UnixStream,
}

/// A unit that serves a ring.
pub struct EmbeddedConductor<'a> {
    conductor: Conductor<'a>,
    mailbox: Mailbox,
}

/// Why a unit serves its ring no longer.
#[derive(Debug, thiserror::Error)]
pub enum EmbeddedError {
    /// The ring holds something no kernel writes.
    #[error(transparent)]
    Ring(#[from] RingError),
    /// The operating system refused something it never refuses.
    #[error(transparent)]
    Io(#[from] io::Error),
}

impl From<End> for EmbeddedError {
    fn from(end: End) -> Self {
        match end {
            End::Broken(error) => error.into(),
            End::Failed(error) => error.into(),
            End::Stopped | End::StoppedBusy { .. } | End::Gone => {
                unreachable!("nobody stops it or takes its device away")
            }
        }
    }
}

impl EmbeddedUnit {
    /// A unit that serves `medium`.
    ///
    /// # Errors
    /// If the operating system has no more descriptors.
    pub fn new(medium: Arc<dyn Backstore>, config: LuConfig) -> io::Result<Self> {
        let (device, events) = UnixStream::pair()?;
        let station = Station::new(device.as_fd(), config)?;
        let surroundings = Solitude { mailbox: station.mailbox(), pools: Pools::default() };
        let (counters, record) = (Arc::default(), None);
        Ok(Self { station, record, surroundings, medium, counters, _events: events })
    }

    /// Has it recorded as `config` says about the unit `lun`.
    pub fn record(&mut self, config: &Config, lun: &str) {
        self.record = Some(RecordOrders::of(config, lun));
    }

    /// Starts serving `ring`.
    pub fn serve(&mut self, ring: Ring) -> EmbeddedConductor<'_> {
        let clock = self.station.clock;
        let Self { station, record, surroundings, medium, counters, _events } = self;
        let mailbox = station.mailbox();
        let (counters, shape) = (counters.clone(), medium.geometry());
        let mut conductor =
            Conductor::new(station, &NoDevice, surroundings, ring, medium, counters);
        if let Some(orders) = record {
            conductor = conductor.recorded(orders.clone(), orders.open(shape, false, clock));
        }
        EmbeddedConductor { conductor, mailbox }
    }

    /// The same when it is `now`, for [`EmbeddedConductor::turn_at`]. What is recorded has that time from the
    /// first record on, also for that of the wall clock.
    pub fn serve_at(&mut self, now: Instant, ring: Ring) -> EmbeddedConductor<'_> {
        self.station.clock = Clock::Told(now);
        self.serve(ring)
    }
}

impl EmbeddedConductor<'_> {
    /// Takes in what is on the ring and what the medium has completed, and does all that follows from
    /// it. When it returns, the answers so far are published.
    ///
    /// # Errors
    /// [`EmbeddedError`]; the unit has ended.
    pub fn turn(&mut self) -> Result<(), EmbeddedError> {
        self.conductor.turn().map_err(EmbeddedError::from)
    }

    /// The same when it is `now`, never earlier than the time before. From the first time on the unit
    /// looks at no clock of the machine; one that is recorded should have begun by [`EmbeddedUnit::serve_at`].
    ///
    /// # Errors
    /// As [`Self::turn`].
    pub fn turn_at(&mut self, now: Instant) -> Result<(), EmbeddedError> {
        self.conductor.turn_at(now).map_err(EmbeddedError::from)
    }

    /// When the next turn is due even if nothing is sent before, on the clock that the unit goes by: then
    /// a fault has something to do, or a command becomes late.
    pub fn wake_at(&mut self) -> Option<Instant> {
        self.conductor.wake_at()
    }

    /// Arms those rules of a plan that are for every unit, with the next turn.
    pub fn arm(&self, plan: Plan) {
        let (done, _) = bounded(1);
        self.mailbox.send(Message::Arm { plan: Arc::new(plan), lun: NAME.to_owned(), done });
    }

    /// What is armed, and the hits from number `since` on.
    pub fn faults(&self, since: u64) -> FaultReport {
        self.conductor.faults(since)
    }

    /// Disarms all rules, with the next turn.
    pub fn disarm(&self) {
        let (done, _) = bounded(1);
        self.mailbox.send(Message::Disarm { which: Disarm::All, done });
    }
}

/// No device, so neither events nor a doorbell.
struct NoDevice;

impl Uio for NoDevice {
    fn map(&self) -> Result<Arc<Mapping>, MapError> {
        unreachable!("only the thread of a unit maps a device")
    }

    fn take_events(&self) -> Result<(), UioError> {
        Ok(())
    }

    fn ring_doorbell(&self) -> Result<(), UioError> {
        Ok(())
    }
}

/// No fabric, no other unit and nothing saved; what can be answered is answered at once.
struct Solitude {
    mailbox: Mailbox,
    pools: Pools,
}

impl Surroundings for Solitude {
    fn ask(&self, query: Query) {
        self.mailbox.send(match query {
            Query::Identity => Message::Identity(Identity::new("")),
            Query::CopyPeers => Message::CopyPeers(Vec::new()),
            Query::PortGroups => Message::PortGroups(Vec::new()),
            Query::Initiators => Message::Initiators(1),
        });
    }

    fn set_access_states(&self, request: OpTag, _changes: Vec<AccessStateChange>) {
        self.mailbox.send(Message::AccessStatesSet { request, changed: false });
    }

    fn load(&self) {
        self.mailbox.send(Message::Restored(SavedState::default()));
    }

    fn save(&self, number: u64, _state: SavedState) {
        self.mailbox.send(Message::Saved { number, on_stable_storage: false });
    }

    fn join_pool(&self, name: &str) -> Share {
        self.pools.join(name)
    }

    fn block(&self) {
        self.mailbox.send(Message::Blocked);
    }

    fn open_record(&self, orders: RecordOrders, shape: Geometry) {
        if let Some(recorder) = orders.open(shape, false, Clock::Machine) {
            self.mailbox.send(Message::Recorder { orders, recorder });
        }
    }

    fn dump_record(&self, orders: RecordOrders, reason: Reason) {
        orders.dump(reason);
    }
}
