//! What a run ran on.

use std::fs;

use nix::sys::utsname::uname;
use pulsefield_report::Environment;

/// This machine. What cannot be found out is left empty.
pub(crate) fn environment() -> Environment {
    let text = |text: &std::ffi::OsStr| text.to_string_lossy().into_owned();
    let (machine, kernel) = uname().map_or_else(
        |_| Default::default(),
        |name| {
            let kernel = format!("{} {}", text(name.sysname()), text(name.release()));
            (text(name.nodename()), kernel)
        },
    );
    let cpus = std::thread::available_parallelism().map_or(0, |count| count.get());
    Environment {
        machine,
        kernel,
        cpu: value_of("/proc/cpuinfo", "model name").unwrap_or_default(),
        cpus: u32::try_from(cpus).unwrap_or(u32::MAX),
        memory_bytes: memory_bytes().unwrap_or(0),
    }
}

fn memory_bytes() -> Option<u64> {
    let total = value_of("/proc/meminfo", "MemTotal")?;
    let kib: u64 = total.strip_suffix(" kB")?.trim().parse().ok()?;
    kib.checked_mul(1024)
}

/// The value of the first line `key: value` of a file.
fn value_of(file: &str, key: &str) -> Option<String> {
    let text = fs::read_to_string(file).ok()?;
    let mut lines = text.lines().filter_map(|line| line.split_once(':'));
    let (_, value) = lines.find(|(name, _)| name.trim() == key)?;
    Some(value.trim().to_owned())
}
