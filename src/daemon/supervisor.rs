//! The supervisor: hears of devices and signals, keeps the table, and feeds the watchdog.
//!
//! It never opens, reads or waits for anything that belongs to one unit: that is done on the unit's
//! own thread (`lun.rs`) or as an errand. So it always answers the kernel, whatever a medium does.

use std::io;
use std::thread;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender};
use nix::errno::Errno;
use pulsefield_control::protocol::LunState;
use pulsefield_kernel::{Change, Event, EventKind, Roots, UioDevice, UioName};
use pulsefield_units::LuId;
use std::sync::Arc;
use tracing::{error, info, warn};

use crate::conductor::Message;
use crate::counters::Counters;
use crate::errand::Errands;
use crate::lun::{Arrival, Lun, LunError, Report};
use crate::media::Media;
use crate::resize;
use crate::table::{Service, SharedTable, Unit};
use crate::watchdog::Watchdog;

/// How long the units may take to close when the daemon stops.
const STOP_PATIENCE: Duration = Duration::from_secs(20);

/// What the supervisor hears.
pub(crate) enum News {
    /// From the kernel.
    Kernel(Event),
    /// From a unit's thread.
    Unit(LuId, Report),
    /// The daemon shall stop.
    Stop,
}

pub(crate) struct Supervisor {
    pub(crate) table: SharedTable,
    pub(crate) roots: Roots,
    pub(crate) media: Arc<Media>,
    pub(crate) errands: Errands,
    pub(crate) watchdog: Watchdog,
    pub(crate) sender: Sender<News>,
    pub(crate) news: Receiver<News>,
    pub(crate) stopping: bool,
}

impl Supervisor {
    /// Takes over the devices that are there already, and waits until each serves or has failed.
    pub(crate) fn adopt(&mut self, devices: Vec<UioDevice>) {
        for device in devices {
            self.start(device.id, device.name, Arrival::LeftBehind, None);
        }
        while !self.stopping && self.any_unit(|unit| unit.state == LunState::Opening) {
            match self.news.recv() {
                Ok(news) => self.hear(news),
                Err(_) => return,
            }
        }
    }

    /// Supervises until told to stop.
    pub(crate) fn run(&mut self) {
        while !self.stopping {
            match self.news.recv_timeout(self.watchdog.interval()) {
                Ok(news) => self.hear(news),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return,
            }
            self.watchdog.tend(&self.table);
        }
    }

    /// Ends every unit: drained, flushed, its device left unblocked for the next daemon. Goes on
    /// answering the kernel meanwhile, since a unit that is removed just now waits for that.
    pub(crate) fn stop(&mut self) {
        for unit in self.table.lock().units.values() {
            if let Some(service) = &unit.service {
                service.mailbox.send(Message::Stop);
            }
        }
        let deadline = Instant::now() + STOP_PATIENCE;
        while self.any_unit(|unit| unit.thread.is_some()) {
            let left = deadline.saturating_duration_since(Instant::now());
            match self.news.recv_timeout(left) {
                Ok(news) => self.hear(news),
                Err(_) => {
                    error!("not every logical unit was closed in time");
                    return;
                }
            }
        }
    }

    fn any_unit(&self, matches: impl Fn(&Unit) -> bool) -> bool {
        self.table.lock().units.values().any(matches)
    }

    fn hear(&mut self, news: News) {
        match news {
            News::Kernel(event) => self.hear_kernel(event),
            News::Unit(id, report) => self.hear_unit(id, report),
            News::Stop => self.stopping = true,
        }
    }

    fn hear_kernel(&mut self, event: Event) {
        let id = event.id();
        match event.kind().clone() {
            EventKind::Added => {
                let name = event.name().clone();
                self.start(id, name, Arrival::Announced, Some(event));
            }
            EventKind::Removed => self.remove(event),
            EventKind::Reconfigured(change) => self.reconfigure(event, change),
        }
    }

    /// Starts the thread of a unit.
    fn start(&mut self, id: LuId, name: UioName, arrival: Arrival, unanswered: Option<Event>) {
        if self.table.lock().units.contains_key(&id) {
            // The scan at the start and the first announcement may both name a device.
            if let Some(event) = unanswered {
                answer(event, Ok(()));
            }
            return;
        }
        let counters = Arc::new(Counters::default());
        let lun = Lun {
            id,
            name: name.clone(),
            arrival,
            roots: self.roots.clone(),
            media: self.media.clone(),
            config: self.table.lock().settings(name.device()),
            counters: counters.clone(),
            errands: self.errands.clone(),
        };
        let sender = self.sender.clone();
        let report = move |report| {
            // The supervisor is gone only when the process ends.
            let _ = sender.send(News::Unit(id, report));
        };
        let thread = thread::Builder::new().name(format!("lu{id}"));
        let (thread, state) = match thread.spawn(move || lun.live(report)) {
            Ok(thread) => (Some(thread), LunState::Opening),
            Err(error) => (None, LunState::Failed { reason: format!("no thread: {error}") }),
        };
        let mut unit = Unit { name, counters, state, thread, service: None, unanswered };
        if let Some(event) = unit.unanswered.take_if(|_| unit.thread.is_none()) {
            answer(event, Err(Errno::EAGAIN));
        }
        self.table.lock().units.insert(id, unit);
    }

    fn hear_unit(&mut self, id: LuId, report: Report) {
        let mut table = self.table.lock();
        let Some(unit) = table.units.get_mut(&id) else { return };
        match report {
            Report::Serving { service, failure } => {
                unit.service = Some(service);
                unit.state = match failure {
                    None => LunState::Serving,
                    Some(error) => LunState::Failed { reason: error.to_string() },
                };
                if let Some(event) = unit.unanswered.take() {
                    answer(event, Ok(()));
                }
            }
            Report::Ended(result) => {
                unit.service = None;
                if let Some(thread) = unit.thread.take() {
                    // It has reported its end, so this does not wait.
                    let _ = thread.join();
                }
                let removed =
                    matches!(&unit.unanswered, Some(event) if *event.kind() == EventKind::Removed);
                let refused =
                    matches!(&unit.unanswered, Some(event) if *event.kind() == EventKind::Added);
                if let Some(event) = unit.unanswered.take() {
                    let errno = result.as_ref().err().filter(|_| refused).map(LunError::errno);
                    answer(event, errno.map_or(Ok(()), Err));
                }
                match result {
                    _ if removed || refused => {
                        table.units.remove(&id);
                    }
                    Ok(()) => unit.state = LunState::Stopped,
                    Err(error) => unit.state = LunState::Failed { reason: error.to_string() },
                }
            }
        }
    }

    /// A unit the kernel removes: its thread ends, then the kernel hears that it may go on.
    fn remove(&mut self, event: Event) {
        let mut table = self.table.lock();
        let Some(unit) = table.units.get_mut(&event.id()) else {
            answer(event, Ok(()));
            return;
        };
        match &unit.service {
            Some(service) => {
                service.mailbox.send(Message::Removed);
                unit.unanswered = Some(event);
            }
            None => {
                // It has ended before, or never served: nobody holds the device.
                table.units.remove(&event.id());
                answer(event, Ok(()));
            }
        }
    }

    fn reconfigure(&self, event: Event, change: Change) {
        let id = event.id();
        let service = self.table.lock().units.get(&id).and_then(|unit| unit.service.clone());
        let Some(service) = service else {
            answer(event, Err(Errno::ENODEV));
            return;
        };
        match change {
            // rtslib sends what is there already whenever it restores a configuration.
            Change::Config(config) if event.name().config() == Some(&config) => {
                answer(event, Ok(()));
            }
            Change::Config(config) => {
                warn!(%id, config, "another medium needs another logical unit: refused");
                answer(event, Err(Errno::EOPNOTSUPP));
            }
            Change::Size(bytes) => {
                let result = move || answer(event, resize::resize(&service, bytes));
                spawn_or_log("resize", result);
            }
            // The same again: it must not undo what the cfgstring or MODE SELECT says.
            Change::WriteCache(enabled) if enabled == service.emulate_write_cache => {
                answer(event, Ok(()));
            }
            Change::WriteCache(enabled) => {
                service.mailbox.send(Message::SetWriteCache(enabled));
                if let Some(unit) = self.table.lock().units.get_mut(&id) {
                    unit.service = Some(Service { emulate_write_cache: enabled, ..service });
                }
                answer(event, Ok(()));
            }
        }
    }
}

/// Answers the kernel.
pub(crate) fn answer(event: Event, result: Result<(), Errno>) {
    let (id, kind) = (event.id(), event.kind().clone());
    if let Err(errno) = result {
        info!(%id, ?kind, %errno, "refused");
    }
    if let Err(error) = event.reply(result) {
        error!(%id, ?kind, error = &error as &dyn std::error::Error, "the kernel was not answered");
    }
}

/// Runs something that may wait long on a thread of its own; an event in it that is dropped because
/// there is no thread answers for itself.
fn spawn_or_log(name: &str, job: impl FnOnce() + Send + 'static) {
    let spawned: io::Result<_> = thread::Builder::new().name(name.to_owned()).spawn(job);
    if let Err(error) = spawned {
        error!(%error, name, "no thread");
    }
}
