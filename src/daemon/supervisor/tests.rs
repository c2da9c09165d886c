//! Stories of the supervisor, in which the test is the kernel and every unit's thread.

use std::num::NonZeroU8;

use crossbeam_channel::unbounded;
use pulsefield_backstore::Backstore;
use pulsefield_control::config::Config;
use pulsefield_kernel::Roots;

use super::*;
use crate::errand::Errands;
use crate::media::{Media, MediumError};
use crate::plans::Plans;
use crate::saved_state::StateFolder;
use crate::station::Station;
use crate::testing::{PATIENCE, geometry, held_medium, service, station};

const NAME: &str = "tcm-user/0/ds1/pulsefield/ram/";
const ID: LuId = LuId::new(3);

/// What the kernel was answered.
type Answers = Receiver<Result<(), Errno>>;

struct Bench {
    supervisor: Supervisor,
    started: Receiver<Lun>,
}

impl Bench {
    fn new() -> Self {
        let (sender, news) = unbounded();
        let (starting, started) = unbounded();
        let table = SharedTable::new(Config::default(), Plans::default());
        let supervisor = Supervisor {
            table: table.clone(),
            commons: Commons {
                roots: Roots::under(std::path::Path::new("/nonexistent")),
                media: Arc::new(Media::new()),
                errands: Errands::start().unwrap(),
                states: StateFolder::new("/nonexistent"),
                table,
                pools: crate::pool::Pools::default(),
            },
            launch: Box::new(move |lun, _| {
                starting.send(lun).unwrap();
                thread::Builder::new().spawn(|| {})
            }),
            watchdog: Watchdog::new(),
            sender,
            news,
            stopping: false,
            deaf: None,
        };
        Self { supervisor, started }
    }

    /// The kernel says something.
    fn notice(&mut self, kind: EventKind) -> Answers {
        let (answer, answers) = unbounded();
        let reply = Box::new(move |result| {
            // Not every test looks.
            let _ = answer.send(result);
        });
        let notice = Notice::new(ID, NAME.parse().unwrap(), kind, reply);
        self.supervisor.hear(News::Kernel(notice));
        answers
    }

    fn add(&mut self) -> Answers {
        self.notice(EventKind::Added)
    }

    fn remove(&mut self) -> Answers {
        self.notice(EventKind::Removed)
    }

    fn reconfigure(&mut self, change: Change) -> Answers {
        self.notice(EventKind::Reconfigured(change))
    }

    /// The unit that was started last.
    fn started(&self) -> Lun {
        self.started.try_recv().expect("a unit was started")
    }

    fn ended(&mut self, result: Result<(), LunError>) {
        self.supervisor.hear(News::Unit(ID, Report::Ended(result)));
    }

    /// The unit's thread says that it serves.
    fn serving(&mut self) -> Thread {
        let (medium, _) = held_medium(64);
        let medium: Arc<dyn Backstore> = medium;
        let station = station();
        let service = service(&station, &medium);
        self.supervisor.hear(News::Unit(ID, Report::Serving { service, failure: None }));
        let thread = Thread { station, medium };
        assert!(matches!(thread.message(), Some(Message::Reconfigure(_))), "what is in force now");
        assert!(matches!(thread.message(), Some(Message::SetDeadlines(_))), "of deadlines, too");
        assert!(matches!(thread.message(), Some(Message::SetPolling(_))), "and of polling");
        assert!(matches!(thread.message(), Some(Message::Record(_))), "of what is recorded");
        assert!(matches!(thread.message(), Some(Message::ConfigureFaults(_))), "and of faults");
        thread
    }

    fn state(&self) -> Option<LunState> {
        self.supervisor.table.lock().units.get(&ID).map(|unit| unit.state.clone())
    }
}

/// A unit's thread, played by the test.
struct Thread {
    station: Station,
    medium: Arc<dyn Backstore>,
}

impl Thread {
    fn message(&self) -> Option<Message> {
        self.station.message()
    }

    fn is_told_to_end(&self) -> bool {
        self.station.removed().try_recv().is_ok()
    }
}

fn failed() -> LunError {
    LunError::Medium(MediumError::Size { size: 1, block_length: 512 })
}

#[test]
fn an_announcement_is_answered_once_the_unit_serves() {
    let mut bench = Bench::new();
    let answers = bench.add();
    assert_eq!(bench.started().arrival, Arrival::Announced);
    assert_eq!(bench.state(), Some(LunState::Opening));
    assert!(answers.is_empty());
    bench.serving();
    assert_eq!(answers.try_recv(), Ok(Ok(())));
    assert_eq!(bench.state(), Some(LunState::Serving));
}

#[test]
fn a_unit_that_cannot_serve_is_refused_and_forgotten() {
    let mut bench = Bench::new();
    let answers = bench.add();
    bench.ended(Err(failed()));
    assert_eq!(answers.try_recv(), Ok(Err(Errno::EINVAL)));
    assert_eq!(bench.state(), None);
}

#[test]
fn a_removal_is_answered_once_the_thread_has_ended() {
    let mut bench = Bench::new();
    bench.add();
    let thread = bench.serving();
    let answers = bench.remove();
    assert!(thread.is_told_to_end());
    assert!(answers.is_empty());
    bench.ended(Ok(()));
    assert_eq!(answers.try_recv(), Ok(Ok(())));
    assert_eq!(bench.state(), None);
}

#[test]
fn a_removal_while_the_unit_is_opened_is_answered_at_once() {
    let mut bench = Bench::new();
    let added = bench.add();
    let answers = bench.remove();
    assert_eq!(answers.try_recv(), Ok(Ok(())), "the thread may be waiting for that, in configfs");
    // It finds the device gone, or serves before it does.
    let thread = bench.serving();
    assert!(thread.is_told_to_end());
    bench.ended(Ok(()));
    assert_eq!(bench.state(), None);
    assert_eq!(added.try_recv(), Ok(Err(Errno::ENODEV)));
}

#[test]
fn a_unit_that_ended_before_is_removed_at_once() {
    let mut bench = Bench::new();
    bench.add();
    bench.serving();
    bench.ended(Err(LunError::Busy { in_flight: 1 }));
    let reason = "1 commands were not answered in time".to_owned();
    assert_eq!(bench.state(), Some(LunState::Failed { reason }));
    assert_eq!(bench.remove().try_recv(), Ok(Ok(())));
    assert_eq!(bench.state(), None);
    assert_eq!(bench.remove().try_recv(), Ok(Ok(())), "never heard of it");
}

#[test]
fn an_id_that_is_used_again_waits_for_the_old_thread() {
    let mut bench = Bench::new();
    bench.add();
    bench.started();
    let old = bench.serving();
    // The old device went without a word; its thread has not noticed yet.
    let answers = bench.add();
    assert!(old.is_told_to_end());
    assert!(answers.is_empty() && bench.started.is_empty());
    bench.ended(Ok(()));
    assert_eq!(bench.started().arrival, Arrival::Announced);
    assert!(answers.is_empty());
    let new = bench.serving();
    assert_eq!(answers.try_recv(), Ok(Ok(())));
    assert!(!new.is_told_to_end());
    assert_eq!(bench.state(), Some(LunState::Serving));
}

#[test]
fn an_id_whose_unit_has_ended_is_used_again_at_once() {
    let mut bench = Bench::new();
    bench.add();
    bench.started();
    bench.serving();
    bench.ended(Ok(()));
    assert_eq!(bench.state(), Some(LunState::Stopped));
    let answers = bench.add();
    bench.started();
    bench.serving();
    assert_eq!(answers.try_recv(), Ok(Ok(())));
}

fn left_behind(bench: &Bench) {
    bench.supervisor.start(ID, NAME.parse().unwrap(), Arrival::LeftBehind, None);
    assert_eq!(bench.started().arrival, Arrival::LeftBehind);
}

#[test]
fn a_device_that_was_scanned_and_announced_is_one_device() {
    let mut bench = Bench::new();
    left_behind(&bench);
    let thread = bench.serving();
    assert_eq!(bench.add().try_recv(), Ok(Ok(())));
    assert!(!thread.is_told_to_end());

    // Or it is announced while it is being opened.
    let mut bench = Bench::new();
    left_behind(&bench);
    let answers = bench.add();
    assert!(answers.is_empty());
    let thread = bench.serving();
    assert_eq!(answers.try_recv(), Ok(Ok(())));
    assert!(!thread.is_told_to_end());
}

#[test]
fn a_device_that_was_scanned_before_it_was_ready_is_started_again() {
    let mut bench = Bench::new();
    left_behind(&bench);
    let answers = bench.add();
    // It cannot be blocked and reset before the announcement is answered.
    bench.ended(Err(failed()));
    assert_eq!(bench.started().arrival, Arrival::Announced);
    bench.serving();
    assert_eq!(answers.try_recv(), Ok(Ok(())));
}

#[test]
fn restored_settings_are_confirmed_and_change_nothing() {
    let mut bench = Bench::new();
    bench.add();
    let thread = bench.serving();
    for change in [Change::Config("pulsefield/ram/".to_owned()), Change::WriteCache(false)] {
        assert_eq!(bench.reconfigure(change).try_recv(), Ok(Ok(())));
    }
    let same_size = bench.reconfigure(Change::Size(64 * 512));
    assert_eq!(same_size.recv_timeout(PATIENCE), Ok(Ok(())));
    assert!(thread.message().is_none());
}

#[test]
fn changes_reach_the_unit_or_are_refused() {
    let mut bench = Bench::new();
    assert_eq!(bench.reconfigure(Change::Size(512)).try_recv(), Ok(Err(Errno::ENODEV)));
    bench.add();
    let thread = bench.serving();

    let answers = bench.reconfigure(Change::WriteCache(true));
    assert_eq!(answers.recv_timeout(PATIENCE), Ok(Ok(())));
    assert!(matches!(thread.message(), Some(Message::SetWriteCache(true))));
    assert_eq!(bench.reconfigure(Change::WriteCache(true)).try_recv(), Ok(Ok(())));
    assert!(thread.message().is_none());

    let answers = bench.reconfigure(Change::Size(128 * 512));
    let deadline = Instant::now() + PATIENCE;
    let done = loop {
        match thread.message() {
            Some(Message::Resize { done, .. }) => break done,
            _ => assert!(Instant::now() < deadline, "the unit does not hear of its size"),
        }
        thread::yield_now();
    };
    assert!(answers.is_empty());
    done.send(()).unwrap();
    assert_eq!(answers.recv_timeout(PATIENCE), Ok(Ok(())));
    let table = bench.supervisor.table.lock();
    assert_eq!(table.units[&ID].geometry(), Some(geometry(128)));
}

#[test]
fn another_medium_is_what_everybody_sees_once_the_unit_serves_it() {
    let mut bench = Bench::new();
    bench.add();
    let thread = bench.serving();
    bench.supervisor.table.lock().units.get_mut(&ID).unwrap().state =
        LunState::Failed { reason: "served without its medium".to_owned() };
    for (wrong, errno) in [
        ("tcmu/file//x", Errno::EINVAL),
        ("pulsefield/raam/", Errno::EINVAL),
        ("pulsefield/file//no/such/folder/x.img", Errno::ENOENT),
    ] {
        let answers = bench.reconfigure(Change::Config(wrong.to_owned()));
        assert_eq!(answers.recv_timeout(PATIENCE), Ok(Err(errno)), "{wrong}");
        assert_eq!(bench.supervisor.table.lock().units[&ID].cfgstring(), "ram/");
    }
    let answers = bench.reconfigure(Change::Config("pulsefield/null/".to_owned()));
    let deadline = Instant::now() + PATIENCE;
    let change = loop {
        match thread.message() {
            Some(Message::ChangeMedium(change)) => break change,
            // The old one is flushed first, which nobody answers here.
            _ => assert!(Instant::now() < deadline, "the unit does not hear of its medium"),
        }
        thread::yield_now();
    };
    assert!(answers.is_empty());
    change.done.send(Ok(thread.medium.clone())).unwrap();
    assert_eq!(answers.recv_timeout(PATIENCE), Ok(Ok(())));
    let table = bench.supervisor.table.lock();
    let unit = &table.units[&ID];
    assert_eq!((unit.cfgstring(), unit.handler()), ("null/", "null"));
    assert_eq!(unit.state, LunState::Serving);
    let medium = unit.service.as_ref().unwrap().medium.upgrade().unwrap();
    assert!(Arc::ptr_eq(&medium, &change.medium));
}

#[test]
fn a_configuration_reaches_units_that_serve_and_those_that_will() {
    let mut bench = Bench::new();
    let blocks_max =
        |bench: &Bench| bench.supervisor.table.lock().settings("ds1").compare_and_write_blocks_max;
    bench.add();
    let thread = bench.serving();
    let config = Config::parse("test", "[lun.ds1]\ncompare_and_write_max_blocks = 4").unwrap();
    bench.supervisor.table.lock().apply(config, Plans::default());
    let four = NonZeroU8::new(4).unwrap();
    assert_eq!(blocks_max(&bench), four);
    match thread.message() {
        Some(Message::Reconfigure(config)) => assert_eq!(config.compare_and_write_blocks_max, four),
        _ => panic!("it is told"),
    }
}

#[test]
fn stopping_ends_every_unit_and_starts_none() {
    let mut bench = Bench::new();
    bench.add();
    bench.started();
    let thread = bench.serving();
    let sender = bench.supervisor.sender.clone();
    bench.supervisor.hear(News::Stop);
    assert_eq!(bench.add().try_recv(), Ok(Err(Errno::EAGAIN)));
    assert!(bench.started.is_empty());
    sender.send(News::Unit(ID, Report::Ended(Ok(())))).unwrap();
    bench.supervisor.stop();
    assert!(matches!(thread.message(), Some(Message::Stop)));
    assert_eq!(bench.state(), None);
}

#[test]
fn a_unit_that_is_opened_while_the_daemon_stops_is_stopped_too() {
    let mut bench = Bench::new();
    bench.add();
    bench.supervisor.hear(News::Stop);
    let thread = bench.serving();
    assert!(matches!(thread.message(), Some(Message::Stop)));
}

#[test]
fn a_failure_is_told_with_its_causes() {
    let mut bench = Bench::new();
    left_behind(&bench);
    bench.ended(Err(LunError::Watch(Errno::EMFILE.into())));
    let reason = format!("watch the device: {}", io::Error::from(Errno::EMFILE));
    assert_eq!(bench.state(), Some(LunState::Failed { reason }));
}
