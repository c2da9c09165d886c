//! Stories of a unit's thread: a fake configfs tree and, where a ring is needed, a simulated
//! kernel that resets it when that tree says so.

use std::fs;
use std::path::PathBuf;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use crossbeam_channel::{Receiver, unbounded};
use pulsefield_backstore::{OpOutput, Request};
use pulsefield_control::config::Config;
use pulsefield_record::{Event, Reader, Record, is_record};
use pulsefield_ring::simulated_kernel::{Data, Options};
use tempfile::TempDir;

use super::*;
use crate::change_medium::MediumChange;
use crate::plans::Plans;
use crate::station::{Mailbox, Message};
use crate::testing::{
    Asked, BuggyHandler, FnMedium, Listening, PATIENCE, SimulatedUio, block, held_medium,
    is_closed, joined, wait_until,
};

const GOOD: u8 = 0x00;
const BUSY: u8 = 0x08;
const WRITE: [u8; 10] = [0x2a, 0, 0, 0, 0, 0, 0, 0, 1, 0];
const UNIT_SIZE: &str = "32768\n";

/// A machine with one device, as files.
struct Machine {
    directory: TempDir,
}

impl Machine {
    fn new() -> Self {
        let machine = Self { directory: tempfile::tempdir().unwrap() };
        for group in ["attrib", "action", "wwn"] {
            fs::create_dir_all(machine.device(group)).unwrap();
        }
        for (attribute, text) in [
            ("attrib/dev_size", UNIT_SIZE),
            ("attrib/hw_block_size", "512\n"),
            ("attrib/emulate_write_cache", "0\n"),
            ("attrib/tmr_notification", "0\n"),
            ("action/block_dev", "unblocked\n"),
            ("action/reset_ring", ""),
        ] {
            fs::write(machine.device(attribute), text).unwrap();
        }
        machine
    }

    fn device(&self, attribute: &str) -> PathBuf {
        let device = "sys/kernel/config/target/core/user_0/ds1";
        self.directory.path().join(device).join(attribute)
    }

    /// Units are recorded on this machine, and nowhere else.
    fn config(&self) -> Config {
        let folder = self.directory.path().display();
        let record = format!("directory = \"{folder}/record\"\ndumps = \"{folder}/dumps\"\n");
        Config::parse("p", &format!("[record]\n{record}")).unwrap()
    }

    fn text(&self, attribute: &str) -> String {
        fs::read_to_string(self.device(attribute)).unwrap()
    }

    fn lun(&self, cfgstring: &str, arrival: Arrival) -> Lun {
        Lun {
            id: LuId::new(0),
            name: format!("tcm-user/0/ds1/pulsefield/{cfgstring}").parse().unwrap(),
            arrival,
            config: LuConfig::default(),
            counters: Arc::default(),
            commons: Commons {
                roots: Roots::under(self.directory.path()),
                media: Arc::new(Media::new()),
                errands: Errands::start().unwrap(),
                states: StateFolder::new(self.directory.path().join("units")),
                table: SharedTable::new(self.config(), Plans::default()),
                pools: Pools::default(),
            },
        }
    }

    /// A simulated kernel whose ring is reset when the file says so, before it is mapped again.
    fn uio(&self) -> Arc<SimulatedUio> {
        let reset_ring = self.device("action/reset_ring");
        SimulatedUio::with_reset(Options::default(), move |uio, kernel| {
            if fs::read_to_string(&reset_ring).unwrap() == "1" {
                fs::write(&reset_ring, "").unwrap();
                uio.reset(kernel);
            }
        })
    }
}

/// A unit that serves, with everything below configfs simulated.
struct Serving {
    uio: Arc<SimulatedUio>,
    mailbox: Mailbox,
    counters: Arc<Counters>,
    asked: Receiver<Asked>,
    thread: thread::JoinHandle<Result<(), LunError>>,
}

impl Serving {
    fn new(machine: &Machine, mut medium: Arc<dyn Backstore>) -> Self {
        let lun = machine.lun("ram/", Arrival::LeftBehind);
        let uio = machine.uio();
        let mut station = Station::new(uio.events(), LuConfig::default()).unwrap();
        let (mailbox, counters) = (station.mailbox(), lun.counters.clone());
        let (asked_for, asked) = unbounded();
        let thread = thread::spawn({
            let (uio, ring) = (uio.clone(), uio.attach());
            let surroundings = Listening::new(asked_for, mailbox.clone());
            move || lun.serve(&uio, ring, &mut station, &surroundings, &mut medium)
        });
        Self { uio, mailbox, counters, asked, thread }
    }

    fn end(self) -> Result<(), LunError> {
        joined(self.thread)
    }
}

/// A medium that panics in `submit`, so many times.
fn panicking(times: usize) -> Arc<dyn Backstore> {
    let panics = AtomicUsize::new(0);
    Arc::new(FnMedium(move |request: Request| {
        assert!(panics.fetch_add(1, Ordering::Relaxed) >= times, "a bug of the medium");
        request.complete(Ok(OpOutput::Done));
    }))
}

#[test]
fn a_breakdown_costs_the_commands_in_flight_a_busy_and_nothing_else() {
    let machine = Machine::new();
    let unit = Serving::new(&machine, panicking(1));
    assert_eq!(unit.uio.execute(&WRITE, Data::Out(block(1))).status, BUSY);
    // What MODE SELECT may have set is lost, so there is a unit attention first.
    let told = unit.uio.execute(&[0; 6], Data::None).sense.unwrap();
    assert_eq!((told[2], told[12], told[13]), (0x06, 0x2a, 0x01), "MODE PARAMETERS CHANGED");
    assert_eq!(unit.uio.execute(&WRITE, Data::Out(block(1))).status, GOOD);
    assert_eq!(unit.counters.restarts.load(), 1);
    assert_eq!(machine.text("action/block_dev"), "0", "blocked meanwhile, and unblocked");
    unit.mailbox.remove();
    unit.end().unwrap();
}

#[test]
fn a_breakdown_is_recorded_and_the_record_copied() {
    let machine = Machine::new();
    let unit = Serving::new(&machine, panicking(1));
    assert_eq!(unit.uio.execute(&WRITE, Data::Out(block(1))).status, BUSY);
    unit.uio.execute(&[0; 6], Data::None);
    let reader = Reader::open(&machine.directory.path().join("record/ds1.pulserec")).unwrap();
    let again =
        |record: &Record| matches!(record.event, Event::Start(start) if start.after_breakdown);
    let starts: Vec<_> =
        reader.records().filter(again).map(|record| (record.sequence > 1, record.epoch)).collect();
    assert_eq!(starts, [(true, 2)]);
    let copied = || -> Option<PathBuf> {
        let mut files = fs::read_dir(machine.directory.path().join("dumps")).ok()?;
        files.find_map(|file| Some(file.ok()?.path()).filter(|path| is_record(path)))
    };
    let deadline = Instant::now() + PATIENCE;
    let copy = loop {
        assert!(Instant::now() < deadline, "the record is not copied");
        match copied() {
            Some(copy) => break copy,
            None => thread::yield_now(),
        }
    };
    assert!(copy.to_str().unwrap().ends_with(".breakdown.pulserec"), "{}", copy.display());
    assert_eq!(Reader::open(&copy).unwrap().lun(), "ds1");
    unit.mailbox.remove();
    unit.end().unwrap();
}

#[test]
fn orders_outlive_a_breakdown() {
    let machine = Machine::new();
    let unit = Serving::new(&machine, panicking(1));
    let config = LuConfig {
        compare_and_write_blocks_max: std::num::NonZeroU8::new(9).unwrap(),
        ..LuConfig::default()
    };
    unit.mailbox.send(Message::Reconfigure(config));
    let blocks = pulsefield_units::BlockCount::new(32);
    let (done, settled) = unbounded();
    unit.mailbox.send(Message::Resize { blocks, done });
    settled.recv_timeout(PATIENCE).unwrap();
    while unit.uio.execute(&[0; 6], Data::None).status != GOOD {}
    assert_eq!(unit.uio.execute(&WRITE, Data::Out(block(1))).status, BUSY);
    unit.uio.execute(&[0; 6], Data::None);
    let limits = unit.uio.execute(&[0x12, 1, 0xb0, 0, 64, 0], Data::In(64)).data_in;
    assert_eq!(limits[5], 9);
    let capacity = unit.uio.execute(&[0x25, 0, 0, 0, 0, 0, 0, 0, 0, 0], Data::In(8)).data_in;
    assert_eq!(capacity[..4], [0, 0, 0, 31]);
    unit.mailbox.remove();
    unit.end().unwrap();
}

#[test]
fn a_unit_that_breaks_down_after_a_change_has_its_new_medium() {
    let machine = Machine::new();
    let (old, requests) = held_medium(64);
    let unit = Serving::new(&machine, old);
    let (done, changed) = unbounded();
    unit.mailbox.send(Message::ChangeMedium(MediumChange { medium: panicking(1), done }));
    requests.recv_timeout(PATIENCE).unwrap().complete(Ok(OpOutput::Done));
    drop(changed.recv_timeout(PATIENCE).unwrap().unwrap());
    while unit.uio.execute(&[0; 6], Data::None).status != GOOD {}
    assert_eq!(unit.uio.execute(&WRITE, Data::Out(block(1))).status, BUSY);
    while unit.uio.execute(&[0; 6], Data::None).status != GOOD {}
    assert_eq!(unit.uio.execute(&WRITE, Data::Out(block(1))).status, GOOD);
    assert!(is_closed(&requests), "the old one is closed");
    unit.mailbox.remove();
    unit.end().unwrap();
}

#[test]
fn a_unit_that_breaks_down_again_and_again_is_given_up() {
    let machine = Machine::new();
    let unit = Serving::new(&machine, panicking(usize::MAX));
    for nth in 0..BREAKDOWNS_MAX {
        if nth > 0 {
            unit.uio.execute(&[0; 6], Data::None);
        }
        assert_eq!(unit.uio.execute(&WRITE, Data::Out(block(1))).status, BUSY);
    }
    let counters = unit.counters.clone();
    let error = unit.end().unwrap_err();
    assert_eq!(error.to_string(), "it broke down 5 times, last: panic: a bug of the medium");
    assert_eq!(counters.restarts.load(), u64::from(BREAKDOWNS_MAX));
    assert_eq!(machine.text("action/block_dev"), "0");
}

#[test]
fn a_breakdown_waits_for_what_the_medium_still_holds() {
    let machine = Machine::new();
    let held: Arc<Mutex<Option<Request>>> = Arc::default();
    let medium = FnMedium({
        let held = held.clone();
        move |request: Request| {
            let mut held = held.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
            assert!(held.is_none() || !request.op().writes(), "a second write");
            if request.op().writes() {
                *held = Some(request);
            } else {
                request.complete(Ok(OpOutput::Done));
            }
        }
    });
    let unit = Serving::new(&machine, Arc::new(medium));
    let first = unit.uio.submit(&WRITE, Data::Out(block(1)));
    wait_until(|| unit.counters.commands.load() == 1);
    let elsewhere = [0x2a, 0, 0, 0, 0, 9, 0, 0, 1, 0];
    let second = unit.uio.submit(&elsewhere, Data::Out(block(2)));
    wait_until(|| unit.counters.restarts.load() == 1 && machine.text("action/block_dev") == "1");
    assert!(!unit.uio.has_answer(), "the medium may still read the first write's pages");
    assert_eq!(machine.text("action/reset_ring"), "");
    let request = held.lock().unwrap_or_else(std::sync::PoisonError::into_inner).take();
    request.unwrap().complete(Ok(OpOutput::Done));
    let mut answered = [unit.uio.next_answer(), unit.uio.next_answer()];
    answered.sort_by_key(|answer| answer.handle);
    assert_eq!(
        answered.map(|answer| (answer.handle, answer.status)),
        [(first, BUSY), (second, BUSY)]
    );
    unit.mailbox.remove();
    unit.end().unwrap();
}

#[test]
fn a_unit_that_breaks_down_while_it_stops_stops() {
    let machine = Machine::new();
    let (medium, requests) = held_medium(64);
    let unit = Serving::new(
        &machine,
        Arc::new(FnMedium({
            let panicking = panicking(1);
            move |request: Request| match request
                .op()
                .range()
                .is_some_and(|r| r.start().as_u64() == 9)
            {
                true => panicking.submit(request),
                false => medium.submit(request),
            }
        })),
    );
    let first = unit.uio.submit(&WRITE, Data::Out(block(1)));
    let request = requests.recv_timeout(PATIENCE).unwrap();
    unit.mailbox.send(Message::Stop);
    assert_eq!(unit.asked.recv_timeout(PATIENCE).unwrap(), Asked::Block);
    let second = unit.uio.submit(&[0x2a, 0, 0, 0, 0, 9, 0, 0, 1, 0], Data::Out(block(2)));
    request.complete(Ok(OpOutput::Done));
    let mut statuses = [unit.uio.next_answer(), unit.uio.next_answer()];
    statuses.sort_by_key(|answer| answer.handle);
    assert_eq!(statuses[0].handle, first);
    assert_eq!((statuses[1].handle, statuses[1].status), (second, BUSY));
    unit.end().unwrap();
}

#[test]
fn a_device_that_is_removed_during_a_breakdown_is_not_waited_for() {
    let machine = Machine::new();
    let lun = machine.lun("ram/", Arrival::LeftBehind);
    let station = Station::new(machine.uio().events(), LuConfig::default()).unwrap();
    // Somebody waits in configfs for the answer that this thread owes the kernel.
    let (release, released) = crossbeam_channel::bounded::<()>(0);
    lun.commons.errands.run(move || {
        let _ = released.recv();
    });
    station.mailbox().remove();
    let (medium, _) = held_medium(8);
    assert!(lun.recover(&machine.uio(), &station, &*medium).unwrap().is_none());
    drop(release);
}

#[test]
fn a_kernel_that_cannot_reset_the_ring_ends_the_unit_unblocked() {
    let machine = Machine::new();
    fs::remove_file(machine.device("action/reset_ring")).unwrap();
    let unit = Serving::new(&machine, panicking(1));
    unit.uio.submit(&WRITE, Data::Out(block(1)));
    let error = unit.end().unwrap_err();
    assert!(matches!(error, LunError::Attribute(AttributeError::Unsupported { .. })));
    assert_eq!(machine.text("action/block_dev"), "0");
}

#[test]
fn a_device_that_is_gone_during_a_breakdown_is_no_failure() {
    let machine = Machine::new();
    let unit = Serving::new(&machine, panicking(1));
    fs::remove_dir_all(machine.device("")).unwrap();
    unit.uio.submit(&WRITE, Data::Out(block(1)));
    unit.end().unwrap();
}

/// What the last report of a unit says that cannot be opened.
fn failure(lun: Lun) -> LunError {
    let reports = Mutex::new(Vec::new());
    lun.live(|report| reports.lock().unwrap().push(report));
    let reports = reports.into_inner().unwrap();
    match <[Report; 1]>::try_from(reports) {
        Ok([Report::Ended(Err(error))]) => error,
        _ => panic!("one report, of the end"),
    }
}

#[test]
fn a_unit_that_cannot_be_opened_ends_with_a_reason_and_an_errno() {
    let machine = Machine::new();
    let announced = |cfgstring| machine.lun(cfgstring, Arrival::Announced);
    let error = failure(announced("raam/"));
    assert_eq!(error.errno(), Errno::EINVAL);
    let error = failure(announced("file//no/such/folder/x.img"));
    assert_eq!(error.errno(), Errno::ENOENT);

    // No UIO device in that tree.
    let error = failure(announced("ram/"));
    assert!(error.is_gone(), "{error}");
    assert_eq!(error.errno(), Errno::ENODEV);

    fs::write(machine.device("attrib/dev_size"), "1000\n").unwrap();
    let error = failure(announced("ram/"));
    assert_eq!(error.to_string(), "1000 bytes are not a whole number of blocks of 512 bytes");
    assert_eq!(error.errno(), Errno::EINVAL);

    fs::remove_dir_all(machine.device("")).unwrap();
    assert_eq!(failure(announced("ram/")).errno(), Errno::ENODEV);
}

#[test]
fn a_panic_anywhere_is_reported_like_any_other_end() {
    let machine = Machine::new();
    let mut lun = machine.lun("buggy/", Arrival::Announced);
    lun.commons.media = Arc::new(Media::of(vec![Box::new(BuggyHandler)]));
    let error = failure(lun);
    assert_eq!(error.to_string(), "panic: a bug of the handler");
    assert_eq!(error.errno(), Errno::EIO);
}
