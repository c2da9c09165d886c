//! The life of one logical unit, on a thread of its own: open the medium, take the device, serve,
//! start again after a panic, close.
//!
//! Everything that may wait for this unit's medium or for its part of the kernel waits here, so that
//! one unit in trouble is in trouble alone.

use std::any::Any;
use std::cell::OnceCell;
use std::error::Error;
use std::os::fd::AsFd as _;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use crossbeam_channel::{Receiver, Sender};
use nix::errno::Errno;
use pulsefield_backstore::{Backstore, Completion, CompletionSink, Op, OpTag, Request};
use pulsefield_data::Buffer;
use pulsefield_engine::{Identity, LuConfig, Query};
use pulsefield_kernel::{
    AdoptError, AttributeError, Blocked, Device, OpenUioError, RingReset, Roots, UioFile, UioName,
    adopt, region_len,
};
use pulsefield_ring::{Mapping, Ring};
use pulsefield_units::LuId;
use tracing::{error, info, warn};

use crate::absent::Absent;
use crate::conductor::{Conductor, End, Mailbox, Message, Station, Surroundings};
use crate::counters::Counters;
use crate::errand::Errands;
use crate::media::{self, Media, MediumError};
use crate::port_groups;
use crate::table::Service;

/// How long a device node may take to appear.
const NODE_PATIENCE: Duration = Duration::from_secs(10);

/// How long the medium may take to finish what was begun, before a ring can be used again, and to
/// flush before it is closed.
const MEDIUM_PATIENCE: Duration = Duration::from_secs(60);

/// How often a unit may break down before it is given up.
const BREAKDOWNS_MAX: u32 = 5;

/// How the unit came to us.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Arrival {
    /// The kernel has just announced it and waits to hear whether we can serve it.
    Announced,
    /// It was there when we started: a process before us may have left commands on its ring.
    LeftBehind,
}

/// What a unit's thread reports.
pub(crate) enum Report {
    /// It serves; if its medium could not be opened, by answering every access to it NOT READY.
    Serving { service: Service, failure: Option<MediumError> },
    /// It does not serve: it could not start, or it ended.
    Ended(Result<(), LunError>),
}

/// Why a unit does not serve.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LunError {
    #[error(transparent)]
    Medium(#[from] MediumError),
    #[error(transparent)]
    Attribute(#[from] AttributeError),
    #[error(transparent)]
    Adopt(#[from] AdoptError),
    #[error(transparent)]
    Uio(#[from] OpenUioError),
    #[error("map the ring: {0}")]
    Map(#[source] std::io::Error),
    #[error("attach to the ring: {0}")]
    Attach(#[from] pulsefield_ring::AttachError),
    #[error("watch the device: {0}")]
    Watch(#[source] std::io::Error),
    #[error("{in_flight} commands were not answered in time")]
    Busy { in_flight: usize },
    #[error("the medium still holds {outstanding} requests after a breakdown")]
    Stuck { outstanding: usize },
    #[error("it broke down {BREAKDOWNS_MAX} times, last: {0}")]
    GivenUp(String),
}

impl LunError {
    /// What the kernel tells whoever wanted the unit, who sees nothing but this.
    pub(crate) fn errno(&self) -> Errno {
        match self {
            Self::Medium(error) => error.errno(),
            Self::Uio(OpenUioError::Owned(_)) | Self::Adopt(AdoptError::Owned { .. }) => {
                Errno::EBUSY
            }
            Self::Map(source) | Self::Watch(source) => {
                source.raw_os_error().map_or(Errno::EIO, Errno::from_raw)
            }
            Self::Attribute(_)
            | Self::Adopt(_)
            | Self::Uio(_)
            | Self::Attach(_)
            | Self::Busy { .. }
            | Self::Stuck { .. }
            | Self::GivenUp(_) => Errno::EIO,
        }
    }
}

/// All a unit's thread needs to know.
pub(crate) struct Lun {
    pub(crate) id: LuId,
    pub(crate) name: UioName,
    pub(crate) arrival: Arrival,
    pub(crate) roots: Roots,
    pub(crate) media: Arc<Media>,
    pub(crate) config: LuConfig,
    pub(crate) counters: Arc<Counters>,
    pub(crate) errands: Errands,
}

impl Lun {
    /// Lives from opening to closing. `report` hears of it; the last report is [`Report::Ended`].
    #[tracing::instrument(name = "lu", skip_all, fields(lu = %self.id, name = self.name.device()))]
    pub(crate) fn live(self, report: impl Fn(Report)) {
        let result = self.open_and_serve(&report);
        match &result {
            Ok(()) => info!("closed"),
            Err(error) => error!(error = error as &dyn Error, "not served"),
        }
        report(Report::Ended(result));
    }

    fn device(&self) -> Device {
        Device::new(&self.roots, &self.name)
    }

    fn open_and_serve(&self, report: &impl Fn(Report)) -> Result<(), LunError> {
        let (medium, failure) = self.open_medium()?;
        let emulate_write_cache = self.device().write_cache()?;
        let (uio, ring, mut station) = match self.arrival {
            Arrival::Announced => {
                let uio = UioFile::open(&self.roots, self.id, NODE_PATIENCE)?;
                let ring = self.attach(&uio)?;
                let station = Station::new(&uio).map_err(LunError::Watch)?;
                (uio, ring, station)
            }
            Arrival::LeftBehind => {
                let adoption = adopt(&self.roots, self.id, &self.device(), NODE_PATIENCE)?;
                let ring = self.attach(adoption.uio())?;
                let station = Station::new(adoption.uio()).map_err(LunError::Watch)?;
                (adoption.finish()?, ring, station)
            }
        };
        self.notify_of_task_management();
        let blocks = medium.geometry().blocks.as_u64();
        match &failure {
            None => info!(medium = self.name.cfgstring(), blocks, "serving"),
            Some(error) => error!(error = error as &dyn Error, "served without its medium"),
        }
        report(Report::Serving {
            service: Service {
                mailbox: station.mailbox(),
                medium: medium.clone(),
                emulate_write_cache,
                probed: 0,
            },
            failure,
        });
        let end = self.serve(&uio, ring, &mut station, &medium);
        flush(&medium);
        drop(uio);
        end
    }

    /// The medium, or one that is never ready where the unit exists already: its initiators then
    /// learn at once that it is not ready, instead of waiting for nothing.
    fn open_medium(&self) -> Result<(Arc<dyn Backstore>, Option<MediumError>), LunError> {
        let device = self.device();
        let geometry = media::geometry(device.size()?, device.block_size()?)?;
        let cfgstring = self.name.cfgstring().unwrap_or_default();
        match self.media.open(self.name.device(), cfgstring, geometry) {
            Ok(medium) => Ok((medium, None)),
            Err(error) if self.arrival == Arrival::LeftBehind => {
                Ok((Arc::new(Absent(geometry)), Some(error)))
            }
            Err(error) => Err(error.into()),
        }
    }

    fn attach(&self, uio: &UioFile) -> Result<Ring, LunError> {
        let len = usize::try_from(region_len(&self.roots, self.id)?).expect("a 64-bit machine");
        let mapping = Mapping::of_device(uio.as_fd(), len).map_err(LunError::Map)?;
        Ok(Ring::attach(mapping)?)
    }

    /// Without it aborted commands are not dropped early; they are answered all the same.
    fn notify_of_task_management(&self) {
        if let Err(error) = self.device().set_tmr_notification(true) {
            warn!(%error, "the kernel does not notify of task management functions");
        }
    }

    /// Serves until the unit is stopped or removed; breakdowns in between cost the commands in
    /// flight a BUSY.
    fn serve(
        &self,
        uio: &UioFile,
        mut ring: Ring,
        station: &mut Station,
        medium: &Arc<dyn Backstore>,
    ) -> Result<(), LunError> {
        let mailbox = station.mailbox();
        let outside = Outside { lun: self, mailbox, blocked: OnceCell::new() };
        let mut breakdowns = 0;
        loop {
            let conduct = || {
                let medium = medium.clone();
                let (config, counters) = (self.config.clone(), self.counters.clone());
                Conductor::new(station, uio, &outside, ring, medium, config, counters).run()
            };
            // Unwind safety: whatever a panic left half done is dropped with the conductor; the
            // station holds queues only, and they are emptied below.
            let breakdown = match catch_unwind(AssertUnwindSafe(conduct)) {
                Ok(End::Stopped) => return Ok(()),
                Ok(End::Gone) => return Ok(()),
                Ok(End::StoppedBusy { in_flight }) => return Err(LunError::Busy { in_flight }),
                Ok(End::Broken(error)) => error.to_string(),
                Ok(End::Failed(error)) => error.to_string(),
                Err(panic) => describe(&*panic),
            };
            error!(breakdown, "the device server broke down; commands in flight are answered BUSY");
            self.counters.count_restart();
            breakdowns += 1;
            if breakdowns == BREAKDOWNS_MAX {
                return Err(LunError::GivenUp(breakdown));
            }
            ring = self.recover(uio, station)?;
        }
    }

    /// A fresh ring after a breakdown.
    fn recover(&self, uio: &UioFile, station: &Station) -> Result<Ring, LunError> {
        let blocked = Blocked::new(&self.device())?;
        // The kernel gives the pages of reset commands to new ones at once, so nobody may still be
        // writing into them.
        let outstanding = station.completions().discard_all(MEDIUM_PATIENCE);
        if outstanding > 0 {
            return Err(LunError::Stuck { outstanding });
        }
        self.device().reset_ring(RingReset::Busy)?;
        let ring = self.attach(uio)?;
        blocked.lift()?;
        Ok(ring)
    }
}

fn describe(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    let text = text.or_else(|| panic.downcast_ref::<&str>().copied());
    format!("panic: {}", text.unwrap_or("without a message"))
}

/// The kernel's configfs as a conductor sees it.
struct Outside<'a> {
    lun: &'a Lun,
    mailbox: Mailbox,
    /// Held from the moment the unit stops until its thread is done with the device.
    blocked: OnceCell<Blocked>,
}

impl Surroundings for Outside<'_> {
    fn ask(&self, query: Query) {
        // On another thread: reading configfs may wait for whoever is removing the device, and
        // that waits for us.
        let (device, mailbox) = (self.lun.device(), self.mailbox.clone());
        self.lun.errands.run(move || {
            mailbox.send(match query {
                Query::Identity => Message::Identity(identity(&device)),
                Query::PortGroups => Message::PortGroups(port_groups::read(&device)),
            });
        });
    }

    fn block(&self) {
        match Blocked::new(&self.lun.device()) {
            // Asked to stop twice: the second handle lifts the block a moment early.
            Ok(blocked) => drop(self.blocked.set(blocked)),
            Err(error) => warn!(%error, "the device cannot be blocked while it drains"),
        }
    }
}

/// The unit's names, from LIO's serial number. Without one the unit is nameless, never mistaken for
/// another.
fn identity(device: &Device) -> Identity {
    let serial = device.unit_serial().unwrap_or_else(|error| {
        warn!(%error, "the unit serial number cannot be read");
        None
    });
    Identity::new(serial.unwrap_or_default())
}

/// Puts everything on stable storage.
fn flush(medium: &Arc<dyn Backstore>) {
    struct Last(Sender<Completion>);
    impl CompletionSink for Last {
        fn complete(&self, completion: Completion) {
            // Nobody listens any more if it took too long.
            let _ = self.0.send(completion);
        }
    }
    let (sender, receiver): (_, Receiver<Completion>) = crossbeam_channel::bounded(1);
    let sink = Arc::new(Last(sender));
    medium.submit(Request::new(Op::Flush, OpTag(0), Buffer::empty(), false, sink));
    match receiver.recv_timeout(MEDIUM_PATIENCE) {
        Ok(Completion { result: Ok(_), .. }) => {}
        Ok(Completion { result: Err(error), .. }) => error!(%error, "the last flush failed"),
        Err(_) => error!("the last flush did not end in time"),
    }
}
