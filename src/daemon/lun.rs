//! The life of one logical unit, on a thread of its own: open the medium, take the device, serve,
//! start again after a panic, close.
//!
//! Everything that may wait for this unit's medium or for its part of the kernel waits here, so that
//! one unit in trouble is in trouble alone.

use std::any::Any;
use std::error::Error;
use std::os::fd::AsFd as _;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::{Duration, Instant};

use crossbeam_channel::select;
use nix::errno::Errno;
use pulsefield_backstore::Backstore;
use pulsefield_engine::LuConfig;
use pulsefield_kernel::{
    AdoptError, AttributeError, Blocked, Device, OpenUioError, RingReset, Roots, UioFile, UioName,
    adopt,
};
use pulsefield_record::Reason;
use pulsefield_ring::{AttachError, Ring};
use pulsefield_units::LuId;
use tracing::{error, info, warn};

use crate::absent::Absent;
use crate::closing;
use crate::conductor::{Conductor, End, Surroundings};
use crate::counters::Counters;
use crate::errand::Errands;
use crate::media::{self, Media, MediumError};
use crate::pool::Pools;
use crate::precedence::Precedence;
use crate::recording::RecordOrders;
use crate::saved_state::StateFolder;
use crate::station::Station;
use crate::surroundings::Configfs;
use crate::table::{Service, SharedTable};
use crate::uio::{self, KernelUio, MapError, Uio};

/// How long a device node may take to appear.
const NODE_PATIENCE: Duration = Duration::from_secs(10);

/// How long the medium may take to finish what was begun, before a ring can be used again; to flush
/// at the end; and to close.
const MEDIUM_PATIENCE: Duration = Duration::from_secs(60);

/// How often a unit may break down before it is given up.
const BREAKDOWNS_MAX: u32 = 5;

/// How long a unit must have served for its earlier breakdowns to be forgotten.
const RELIABLE_AFTER: Duration = Duration::from_secs(600);

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
    #[error(transparent)]
    Map(#[from] MapError),
    #[error("attach to the ring")]
    Attach(#[from] AttachError),
    #[error("watch the device")]
    Watch(#[source] std::io::Error),
    #[error("{in_flight} commands were not answered in time")]
    Busy { in_flight: usize },
    #[error("the medium still holds {outstanding} requests after a breakdown")]
    Stuck { outstanding: usize },
    #[error("it broke down {BREAKDOWNS_MAX} times, last: {0}")]
    GivenUp(String),
    #[error("{0}")]
    Panic(String),
}

impl LunError {
    /// What the kernel tells whoever wanted the unit, who sees nothing but this.
    pub(crate) fn errno(&self) -> Errno {
        match self {
            _ if self.is_gone() => Errno::ENODEV,
            Self::Medium(error) => error.errno(),
            Self::Uio(OpenUioError::Owned(_)) | Self::Adopt(AdoptError::Owned { .. }) => {
                Errno::EBUSY
            }
            Self::Map(MapError::Map(source)) | Self::Watch(source) => {
                source.raw_os_error().map_or(Errno::EIO, Errno::from_raw)
            }
            Self::Attribute(_)
            | Self::Adopt(_)
            | Self::Uio(_)
            | Self::Map(_)
            | Self::Attach(_)
            | Self::Busy { .. }
            | Self::Stuck { .. }
            | Self::GivenUp(_)
            | Self::Panic(_) => Errno::EIO,
        }
    }

    /// Whether it is only that the device was removed.
    pub(crate) fn is_gone(&self) -> bool {
        match self {
            Self::Attribute(error)
            | Self::Adopt(AdoptError::Attribute(error))
            | Self::Map(MapError::Length(error)) => matches!(error, AttributeError::Gone(_)),
            Self::Uio(error) | Self::Adopt(AdoptError::Open(error)) => {
                matches!(error, OpenUioError::Gone(_))
            }
            Self::Adopt(_)
            | Self::Medium(_)
            | Self::Map(MapError::Map(_))
            | Self::Attach(_)
            | Self::Watch(_)
            | Self::Busy { .. }
            | Self::Stuck { .. }
            | Self::GivenUp(_)
            | Self::Panic(_) => false,
        }
    }
}

/// What all units have in common.
#[derive(Clone)]
pub(crate) struct Commons {
    pub(crate) roots: Roots,
    pub(crate) media: Arc<Media>,
    pub(crate) errands: Errands,
    pub(crate) states: StateFolder,
    pub(crate) table: SharedTable,
    pub(crate) pools: Pools,
}

/// All a unit's thread needs to know.
pub(crate) struct Lun {
    pub(crate) id: LuId,
    pub(crate) name: UioName,
    pub(crate) arrival: Arrival,
    pub(crate) config: LuConfig,
    pub(crate) counters: Arc<Counters>,
    pub(crate) commons: Commons,
}

impl Lun {
    /// Lives from opening to closing. `report` hears of it; the last report, whatever happens, is
    /// [`Report::Ended`].
    #[tracing::instrument(name = "lu", skip_all, fields(lu = %self.id, name = self.name.device()))]
    pub(crate) fn live(self, report: impl Fn(Report)) {
        // Unwind safety: what a panic left half done belongs to this unit, which ends.
        let result = catch_unwind(AssertUnwindSafe(|| self.open_and_serve(&report)))
            .unwrap_or_else(|panic| Err(LunError::Panic(describe(&*panic))));
        match &result {
            Ok(()) => info!("closed"),
            Err(error) => error!(error = error as &dyn Error, "not served"),
        }
        report(Report::Ended(result));
    }

    fn device(&self) -> Device {
        Device::new(&self.commons.roots, &self.name)
    }

    fn open_and_serve(&self, report: &impl Fn(Report)) -> Result<(), LunError> {
        let (mut medium, failure) = self.open_medium()?;
        let end = self.take_device_and_serve(&mut medium, failure, report);
        // Closed before anybody hears that the unit has ended, and here, where it may wait.
        closing::close(medium, MEDIUM_PATIENCE);
        end
    }

    /// The medium, or one that is never ready where the unit exists already: its initiators then
    /// learn at once that it is not ready, instead of waiting for nothing.
    fn open_medium(&self) -> Result<(Arc<dyn Backstore>, Option<MediumError>), LunError> {
        let device = self.device();
        let geometry = media::geometry(device.size()?, device.block_size()?)?;
        let cfgstring = self.name.cfgstring().unwrap_or_default();
        match self.commons.media.open(self.name.device(), cfgstring, geometry, None) {
            Ok(medium) => Ok((medium, None)),
            Err(error) if self.arrival == Arrival::LeftBehind => {
                Ok((Arc::new(Absent(geometry)), Some(error)))
            }
            Err(error) => Err(error.into()),
        }
    }

    fn take_device_and_serve(
        &self,
        medium: &mut Arc<dyn Backstore>,
        failure: Option<MediumError>,
        report: &impl Fn(Report),
    ) -> Result<(), LunError> {
        let emulate_write_cache = self.device().write_cache()?;
        let (uio, ring, mut station) = self.take_device()?;
        station.precedence = Precedence::take(station.clock.now());
        self.notify_of_task_management();
        let geometry = medium.geometry();
        let blocks = geometry.blocks.as_u64();
        match &failure {
            None => info!(medium = self.name.cfgstring(), blocks, "serving"),
            Some(error) => error!(error = error as &dyn Error, "served without its medium"),
        }
        let mailbox = station.mailbox();
        let commons = self.commons.clone();
        let configfs = Configfs::new(self.device(), self.id, commons, mailbox.clone());
        report(Report::Serving {
            service: Service {
                mailbox,
                medium: Arc::downgrade(medium),
                geometry,
                emulate_write_cache,
                probed: 0,
                heard: 0,
            },
            failure,
        });
        let end = self.serve(&uio, ring, &mut station, &configfs, medium);
        closing::flush(&**medium, MEDIUM_PATIENCE);
        drop(uio);
        // Unblocked last, if it was blocked to stop: initiators wait for the next daemon rather
        // than hear BUSY until there is one.
        drop(configfs);
        end
    }

    fn take_device(&self) -> Result<(KernelUio<'_>, Ring, Station), LunError> {
        let roots = &self.commons.roots;
        let prepare = |file: &UioFile| {
            let ring = Ring::attach(uio::map(roots, file)?)?;
            let station = Station::new(file.as_fd(), self.config.clone());
            Ok::<_, LunError>((ring, station.map_err(LunError::Watch)?))
        };
        let (file, (ring, station)) = match self.arrival {
            Arrival::Announced => {
                let file = UioFile::open(roots, self.id, NODE_PATIENCE)?;
                let prepared = prepare(&file)?;
                (file, prepared)
            }
            Arrival::LeftBehind => {
                let adoption = adopt(roots, self.id, &self.device(), NODE_PATIENCE)?;
                let prepared = prepare(adoption.uio())?;
                (adoption.finish()?, prepared)
            }
        };
        Ok((KernelUio { roots, file }, ring, station))
    }

    /// Without it aborted commands are not dropped early; they are answered all the same.
    fn notify_of_task_management(&self) {
        if let Err(error) = self.device().set_tmr_notification(true) {
            warn!(%error, "the kernel does not notify of task management functions");
        }
    }

    /// Serves until the unit is stopped or removed; breakdowns in between cost the commands in
    /// flight a BUSY. `medium` is the one it has at any time.
    fn serve(
        &self,
        uio: &dyn Uio,
        mut ring: Ring,
        station: &mut Station,
        surroundings: &dyn Surroundings,
        medium: &mut Arc<dyn Backstore>,
    ) -> Result<(), LunError> {
        let mut breakdowns = 0;
        loop {
            let started = Instant::now();
            station.watch_medium(&**medium).map_err(LunError::Watch)?;
            station.set_conducting(true);
            let orders = RecordOrders::of(&self.commons.table.lock().config, self.name.device());
            let recorder = orders.open(medium.geometry(), breakdowns > 0, station.clock);
            let record = orders.clone();
            let conduct = || {
                let counters = self.counters.clone();
                let conductor = Conductor::new(station, uio, surroundings, ring, medium, counters)
                    .recorded(orders, recorder);
                match breakdowns {
                    0 => conductor.run(),
                    _ => conductor.after_breakdown().run(),
                }
            };
            // Unwind safety: whatever a panic left half done is dropped with the conductor; the
            // station holds queues and orders only, and completions are discarded below.
            let end = catch_unwind(AssertUnwindSafe(conduct));
            station.set_conducting(false);
            let breakdown = match end {
                Ok(End::Stopped | End::Gone) => return Ok(()),
                Ok(End::StoppedBusy { in_flight }) => return Err(LunError::Busy { in_flight }),
                Ok(End::Broken(error)) => error.to_string(),
                Ok(End::Failed(error)) => error.to_string(),
                Err(panic) => describe(&*panic),
            };
            error!(breakdown, "the device server broke down");
            record.dump(Reason::Breakdown);
            self.counters.count_restart();
            if started.elapsed() >= RELIABLE_AFTER {
                breakdowns = 0;
            }
            breakdowns += 1;
            ring = match self.recover(uio, station, &**medium) {
                Ok(Some(ring)) => ring,
                Ok(None) => return Ok(()),
                Err(error) if error.is_gone() => return Ok(()),
                Err(error) => return Err(error),
            };
            info!("the commands in flight were answered BUSY");
            if station.orders.stop {
                return Ok(());
            }
            if breakdowns == BREAKDOWNS_MAX {
                return Err(LunError::GivenUp(breakdown));
            }
        }
    }

    /// A fresh ring after a breakdown; `None` if the kernel removes the device meanwhile.
    fn recover(
        &self,
        uio: &dyn Uio,
        station: &Station,
        medium: &dyn Backstore,
    ) -> Result<Option<Ring>, LunError> {
        let Some(blocked) = self.on_errand(station, Blocked::new)? else { return Ok(None) };
        // The kernel gives the pages of reset commands to new ones at once, so nobody may still be
        // writing into them.
        let outstanding = station.completions().discard_all(medium, MEDIUM_PATIENCE);
        if outstanding > 0 {
            return Err(LunError::Stuck { outstanding });
        }
        let reset = |device: &Device| device.reset_ring(RingReset::Busy);
        let Some(()) = self.on_errand(station, reset)? else { return Ok(None) };
        let ring = Ring::attach(uio.map()?)?;
        blocked.lift()?;
        Ok(Some(ring))
    }

    /// Does something in configfs and waits for it, but not if the kernel removes the device: that
    /// waits for us, and whoever touches configfs may wait for that.
    fn on_errand<T: Send + 'static>(
        &self,
        station: &Station,
        errand: impl FnOnce(&Device) -> Result<T, AttributeError> + Send + 'static,
    ) -> Result<Option<T>, LunError> {
        let (sender, done) = crossbeam_channel::bounded(1);
        let device = self.device();
        // Nobody listens any more if the device is being removed.
        self.commons.errands.run(move || drop(sender.send(errand(&device))));
        select! {
            recv(done) -> result => match result {
                Ok(result) => Ok(Some(result?)),
                Err(_) => Err(LunError::Panic("the errand panicked".to_owned())),
            },
            recv(station.removed()) -> _ => Ok(None),
        }
    }
}

fn describe(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    let text = text.or_else(|| panic.downcast_ref::<&str>().copied());
    format!("panic: {}", text.unwrap_or("without a message"))
}

#[cfg(test)]
mod tests;
