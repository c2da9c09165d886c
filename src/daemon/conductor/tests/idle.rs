//! What many units cost while nobody uses them.

use std::process::Command;
use std::time::Duration;
use std::{env, fs};

use nix::time::{ClockId, clock_gettime};
use pulsefield_units::LuId;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use super::*;
use crate::supervisor::unit_thread;

const UNITS: u32 = 256;

/// What all of them may take of memory: 256 KiB each.
const MEMORY_BYTES_MAX: u64 = 64 << 20;

/// How often each is probed: a third of `WatchdogSec=` of the systemd unit. Nothing else wakes a unit
/// that nobody uses.
const PROBE_INTERVAL: Duration = Duration::from_secs(10);

/// In the environment of the process that measures: other tests have memory and threads too.
const MEASURING: &str = "PULSEFIELD_TEST_IDLE_UNITS";

/// Memory of this process that is no file's, in bytes.
fn anonymous_memory() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("RssAnon:")).unwrap();
    line.trim().strip_suffix(" kB").unwrap().parse::<u64>().unwrap() << 10
}

/// Time that processors have spent on this process.
fn processor_time() -> Duration {
    let time = clock_gettime(ClockId::CLOCK_PROCESS_CPUTIME_ID).unwrap();
    Duration::new(time.tv_sec().try_into().unwrap(), time.tv_nsec().try_into().unwrap())
}

/// A unit with a `file` medium that a host has used.
fn used_unit(id: u32, folder: &str, uio: Arc<SimulatedUio>) -> Lu {
    let cfgstring = format!("file/{folder}/{id}.img");
    let medium = Media::new().open("test", &cfgstring, geometry(64), None).unwrap();
    let lu = Lu::on_thread(unit_thread(LuId::new(id)), medium, uio);
    lu.execute(&[0; 6], Data::None);
    for lba in 0..2 {
        lu.write(lba, b'A');
        lu.read(lba);
    }
    let data = [block(b'A'), block(b'B')].concat();
    assert_eq!(lu.execute(&compare_and_write(0), Data::Out(data)).status, GOOD);
    lu
}

#[test]
fn many_idle_units_take_little_memory_and_no_time() {
    if env::var_os(MEASURING).is_none() {
        let test = "conductor::tests::idle::many_idle_units_take_little_memory_and_no_time";
        let mut alone = Command::new(env::current_exe().unwrap());
        alone.args(["--exact", test, "--nocapture"]).env(MEASURING, "1");
        assert!(alone.status().unwrap().success());
        return;
    }
    let Rlimit { maximum, .. } = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum }).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path().to_str().unwrap();
    let options = Options { ring_bytes: 1 << 16, data_blocks: 64, ..Options::default() };
    let devices: Vec<_> = (0..UNITS).map(|_| SimulatedUio::new(options.clone())).collect();

    let before = anonymous_memory();
    let units: Vec<_> =
        (0..).zip(devices).map(|(id, device)| used_unit(id, folder, device)).collect();
    let memory = anonymous_memory() - before;
    assert!(memory <= MEMORY_BYTES_MAX, "{UNITS} units take {memory} bytes");

    // The first probes allocate.
    units.iter().for_each(|unit| unit.probe(1));
    let (before, rounds) = (processor_time(), 20);
    for round in 2..2 + rounds {
        units.iter().for_each(|unit| unit.mailbox.send(Message::Probe(round)));
        let passed = |unit: &Lu| unit.mailbox.probe_passed() == round;
        units.iter().for_each(|unit| wait_until(|| passed(unit)));
    }
    let round = (processor_time() - before) / u32::try_from(rounds).unwrap();
    let share = round.as_secs_f64() / PROBE_INTERVAL.as_secs_f64();
    println!(
        "{UNITS} idle units: {} KiB each, {share:.5} of a processor",
        memory / u64::from(UNITS) / 1024
    );
    // A tenth of a percent, as it ships; without optimisation it takes several times as long.
    let share_max = if cfg!(debug_assertions) { 0.01 } else { 0.001 };
    assert!(share <= share_max, "{UNITS} idle units take {share} of a processor");
}
