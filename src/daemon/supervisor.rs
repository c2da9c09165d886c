//! The supervisor: hears of devices and signals, keeps the table, and feeds the watchdog.
//!
//! It never opens, reads or waits for anything that belongs to one unit: that is done on the unit's
//! own thread (`lun.rs`) or as an errand. So it always answers the kernel, whatever a medium does.

use std::error::Error;
use std::io;
use std::iter::successors;
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender};
use nix::errno::Errno;
use pulsefield_control::protocol::LunState;
use pulsefield_kernel::{Change, EventKind, NetlinkError, UioDevice, UioName};
use pulsefield_units::LuId;
use tracing::{error, warn};

use crate::change_medium::change_medium;
use crate::closing;
use crate::counters::Counters;
use crate::lun::{Arrival, Commons, Lun, LunError, Report};
use crate::notice::Notice;
use crate::recording::RecordOrders;
use crate::resize;
use crate::station::Message;
use crate::table::{Service, SharedTable, Unit};
use crate::watchdog::Watchdog;

/// How long the units found at the start may take to be opened before the daemon goes on without
/// those that are not; well within the time systemd gives to start.
const ADOPTION_PATIENCE: Duration = Duration::from_secs(45);

/// How long a medium may take to write its cache out when that is switched off; whoever did it waits
/// as long.
const FLUSH_PATIENCE: Duration = Duration::from_secs(20);

/// How long the units may take to close when the daemon stops.
const STOP_PATIENCE: Duration = Duration::from_secs(20);

/// The stack of a unit's thread. Opening a medium, the log and the backtrace of a panic take a tenth of it.
/// Far below 2 MiB, the default, which the kernel may back with a huge page all of whose memory then
/// counts.
const UNIT_STACK_BYTES: usize = 512 << 10;

/// What the supervisor hears.
pub(crate) enum News {
    /// From the kernel.
    Kernel(Notice),
    /// Nothing more can be heard from the kernel.
    Deaf(NetlinkError),
    /// From a unit's thread.
    Unit(LuId, Report),
    /// The daemon shall stop.
    Stop,
}

/// Starts the thread of a unit, which reports how it fares.
pub(crate) type Launch = Box<dyn Fn(Lun, Sender<News>) -> io::Result<JoinHandle<()>>>;

/// Starts the thread of a unit.
///
/// # Errors
/// If there can be no more threads.
pub(crate) fn launch(lun: Lun, supervisor: Sender<News>) -> io::Result<JoinHandle<()>> {
    let id = lun.id;
    let report = move |report| {
        // The supervisor is gone only when the process ends.
        let _ = supervisor.send(News::Unit(id, report));
    };
    unit_thread(id).spawn(move || lun.live(report))
}

/// A thread for a unit, not started.
pub(crate) fn unit_thread(id: LuId) -> thread::Builder {
    thread::Builder::new().name(format!("lu{}", id.as_u32())).stack_size(UNIT_STACK_BYTES)
}

pub(crate) struct Supervisor {
    pub(crate) table: SharedTable,
    pub(crate) commons: Commons,
    pub(crate) launch: Launch,
    pub(crate) watchdog: Watchdog,
    pub(crate) sender: Sender<News>,
    pub(crate) news: Receiver<News>,
    pub(crate) stopping: bool,
    /// Why the kernel is not heard any more.
    pub(crate) deaf: Option<NetlinkError>,
}

impl Supervisor {
    /// Takes over the devices that are there already, and waits until each serves or has failed.
    pub(crate) fn adopt(&mut self, devices: Vec<UioDevice>) {
        for device in devices {
            self.start(device.id, device.name, Arrival::LeftBehind, None);
        }
        let deadline = Instant::now() + ADOPTION_PATIENCE;
        while !self.stopping && self.any_unit(|unit| unit.state == LunState::Opening) {
            match self.news.recv_deadline(deadline) {
                Ok(news) => self.hear(news),
                Err(_) => {
                    warn!("not every logical unit could be opened in time");
                    return;
                }
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
        self.stopping = true;
        for unit in self.table.lock().units.values() {
            if let Some(service) = &unit.service {
                service.mailbox.send(Message::Stop);
            }
        }
        let deadline = Instant::now() + STOP_PATIENCE;
        while self.any_unit(|unit| unit.thread.is_some()) {
            match self.news.recv_deadline(deadline) {
                Ok(news) => self.hear(news),
                Err(_) => {
                    error!("not every logical unit was closed in time");
                    break;
                }
            }
        }
        // Whoever still waits for one of them is answered by that.
        self.table.lock().units.clear();
    }

    fn any_unit(&self, matches: impl Fn(&Unit) -> bool) -> bool {
        self.table.lock().units.values().any(matches)
    }

    fn hear(&mut self, news: News) {
        match news {
            News::Kernel(notice) => match notice.kind.clone() {
                EventKind::Added => self.add(notice),
                EventKind::Removed => self.remove(notice),
                EventKind::Reconfigured(change) => self.reconfigure(notice, change),
            },
            News::Deaf(error) => {
                self.deaf = Some(error);
                self.stopping = true;
            }
            News::Unit(id, Report::Serving { service, failure }) => {
                let reason = failure.map(|error| chain(&error));
                self.serving(id, service, reason);
            }
            News::Unit(id, Report::Ended(result)) => self.ended(id, result),
            News::Stop => self.stopping = true,
        }
    }

    /// A device was enabled. Ids are used again, and a thread may not have noticed yet that its
    /// device is gone: then the announcement waits for its end.
    fn add(&mut self, notice: Notice) {
        if self.stopping {
            notice.answer(Err(Errno::EAGAIN));
            return;
        }
        let mut table = self.table.lock();
        let living = table.units.get_mut(&notice.id).filter(|unit| unit.thread.is_some());
        let Some(unit) = living else {
            drop(table);
            self.start(notice.id, notice.name.clone(), Arrival::Announced, Some(notice));
            return;
        };
        // The scan at the start and the first announcement may both name a device.
        let same = unit.arrival == Arrival::LeftBehind && unit.name == notice.name && !unit.doomed;
        match &unit.service {
            Some(_) if same => {
                unit.arrival = Arrival::Announced;
                drop(table);
                notice.answer(Ok(()));
                return;
            }
            Some(service) => service.mailbox.remove(),
            None => {}
        }
        unit.doomed |= !same;
        unit.unanswered = Some(notice);
    }

    /// Starts the thread of a unit; `unanswered` is its announcement.
    fn start(&self, id: LuId, name: UioName, arrival: Arrival, unanswered: Option<Notice>) {
        let counters = Arc::new(Counters::default());
        let lun = Lun {
            id,
            name: name.clone(),
            arrival,
            config: self.table.lock().settings(name.device()),
            counters: counters.clone(),
            commons: self.commons.clone(),
        };
        let mut unit = Unit {
            name,
            arrival,
            counters,
            state: LunState::Opening,
            thread: None,
            service: None,
            unanswered,
            doomed: false,
        };
        match (self.launch)(lun, self.sender.clone()) {
            Ok(thread) => unit.thread = Some(thread),
            Err(error) => {
                unit.state = LunState::Failed { reason: format!("no thread: {error}") };
                if let Some(notice) = unit.unanswered.take() {
                    notice.answer(Err(Errno::EAGAIN));
                    return;
                }
            }
        }
        self.table.lock().units.insert(id, unit);
    }

    /// A unit serves, if with a `failure` by answering every access to its medium NOT READY.
    fn serving(&self, id: LuId, service: Service, failure: Option<String>) {
        let mut table = self.table.lock();
        // What was reloaded while it was opened.
        let Some(name) = table.units.get(&id).map(|unit| unit.name.device()) else { return };
        service.mailbox.send(Message::Reconfigure(table.settings(name)));
        service.mailbox.send(Message::SetDeadlines(table.deadlines(name)));
        service.mailbox.send(Message::SetPolling(table.polling()));
        service.mailbox.send(Message::Record(RecordOrders::of(&table.config, name)));
        service.mailbox.send(Message::ConfigureFaults(table.fault_orders(name)));
        if self.stopping {
            service.mailbox.send(Message::Stop);
        }
        let Some(unit) = table.units.get_mut(&id) else { return };
        let mut announcement = None;
        if unit.doomed {
            service.mailbox.remove();
        } else {
            announcement = unit.unanswered.take();
            unit.arrival = if announcement.is_some() { Arrival::Announced } else { unit.arrival };
        }
        unit.service = Some(service);
        unit.state = match failure {
            None => LunState::Serving,
            Some(reason) => LunState::Failed { reason },
        };
        drop(table);
        if let Some(notice) = announcement {
            notice.answer(Ok(()));
        }
    }

    /// The thread of a unit has closed everything and ended.
    fn ended(&self, id: LuId, result: Result<(), LunError>) {
        let mut table = self.table.lock();
        let Some(unit) = table.units.get_mut(&id) else { return };
        unit.service = None;
        if let Some(thread) = unit.thread.take() {
            // It has reported its end, so this does not wait.
            let _ = thread.join();
        }
        let (arrival, doomed) = (unit.arrival, unit.doomed);
        let unanswered = unit.unanswered.take();
        if unanswered.is_some() || doomed {
            table.units.remove(&id);
            drop(table);
        } else {
            unit.state = match result {
                Ok(()) => LunState::Stopped,
                Err(error) => LunState::Failed { reason: chain(&error) },
            };
            return;
        }
        match unanswered {
            None => {}
            Some(notice) if notice.kind != EventKind::Added => notice.answer(Ok(())),
            // Announced for another device with the same id, or to a thread that took the device
            // for one left behind, which cannot be had before the kernel is answered.
            Some(notice) if doomed || arrival == Arrival::LeftBehind => {
                self.start(id, notice.name.clone(), Arrival::Announced, Some(notice));
            }
            Some(notice) => {
                notice.answer(Err(result.err().map_or(Errno::ENODEV, |error| error.errno())));
            }
        }
    }

    /// A unit the kernel removes: its thread ends, then the kernel hears that it may go on.
    fn remove(&self, notice: Notice) {
        let mut table = self.table.lock();
        let unit = table.units.get_mut(&notice.id);
        let Some(unit) = unit.filter(|unit| unit.thread.is_some()) else {
            // It has ended before.
            table.units.remove(&notice.id);
            drop(table);
            notice.answer(Ok(()));
            return;
        };
        unit.doomed = true;
        let announcement = unit.unanswered.take();
        let at_once = match &unit.service {
            Some(service) => {
                service.mailbox.remove();
                unit.unanswered = Some(notice);
                None
            }
            // Its thread may be waiting for configfs, which waits for this answer. It will find the
            // device gone.
            None => Some(notice),
        };
        drop(table);
        if let Some(notice) = announcement {
            notice.answer(Err(Errno::ENODEV));
        }
        if let Some(notice) = at_once {
            notice.answer(Ok(()));
        }
    }

    fn reconfigure(&self, notice: Notice, change: Change) {
        let id = notice.id;
        let service = self.table.lock().units.get(&id).and_then(|unit| unit.service.clone());
        let Some(service) = service else {
            notice.answer(Err(Errno::ENODEV));
            return;
        };
        match change {
            // rtslib sends what is there already whenever it restores a configuration.
            Change::Config(config) if notice.name.config() == Some(&config) => {
                notice.answer(Ok(()));
            }
            Change::Config(config) => {
                let name = notice.name.with_config(config);
                let (table, media) = (self.table.clone(), self.commons.media.clone());
                let job = move || match change_medium(&media, &service, &name) {
                    Ok(medium) => {
                        table.lock().change_medium(id, name, medium);
                        notice.answer(Ok(()));
                    }
                    Err(error) => {
                        error!(lu = %id, error = &error as &dyn Error, "the unit keeps its medium");
                        notice.answer(Err(error.errno()));
                    }
                };
                spawn_or_log("change-medium", job);
            }
            Change::Size(size_bytes) => {
                let table = self.table.clone();
                let job = move || {
                    let result = resize::resize(&service, size_bytes);
                    let change = |service: &mut Service, geometry| service.geometry = geometry;
                    notice.answer(result.map(|geometry| {
                        table.lock().change_service(id, |service| change(service, geometry));
                    }));
                };
                spawn_or_log("resize", job);
            }
            // The same again: it must not undo what the cfgstring or MODE SELECT says.
            Change::WriteCache(enabled) if enabled == service.emulate_write_cache => {
                notice.answer(Ok(()));
            }
            Change::WriteCache(enabled) => {
                service.mailbox.send(Message::SetWriteCache(enabled));
                let change = |service: &mut Service| service.emulate_write_cache = enabled;
                self.table.lock().change_service(id, change);
                let medium = service.medium.upgrade().filter(|_| !enabled);
                let job = move || {
                    // What was answered out of the cache becomes as safe as what comes after.
                    if let Some(medium) = medium {
                        closing::flush(&*medium, FLUSH_PATIENCE);
                    }
                    notice.answer(Ok(()));
                };
                spawn_or_log("write-cache", job);
            }
        }
    }
}

/// An error with its causes, on one line.
fn chain(error: &dyn Error) -> String {
    let causes = successors(error.source(), |cause| (*cause).source());
    causes.fold(error.to_string(), |text, cause| format!("{text}: {cause}"))
}

/// Runs something that may wait long on a thread of its own; a notice in it that is dropped because
/// there is no thread answers for itself.
fn spawn_or_log(name: &str, job: impl FnOnce() + Send + 'static) {
    let spawned: io::Result<_> = thread::Builder::new().name(name.to_owned()).spawn(job);
    if let Err(error) = spawned {
        error!(%error, name, "no thread");
    }
}

#[cfg(test)]
mod tests;
