//! The daemon as a process: what the operating system says of it.
//!
//! Source: proc(5). What cannot be read is zero.

use std::fs;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use nix::time::{ClockId, clock_gettime};

/// The daemon as a process.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Process {
    /// When it started, since 1970.
    pub(super) started: Duration,
    /// Processor time of all its threads.
    pub(super) cpu: Duration,
    pub(super) resident_bytes: u64,
    pub(super) threads: u64,
    pub(super) open_fds: u64,
}

impl Process {
    pub(super) fn look(started: SystemTime) -> Self {
        let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
        let cpu = clock_gettime(ClockId::CLOCK_PROCESS_CPUTIME_ID).map(Duration::from);
        Self {
            started: started.duration_since(UNIX_EPOCH).unwrap_or_default(),
            cpu: cpu.unwrap_or_default(),
            resident_bytes: field(&status, "VmRSS:") * 1024,
            threads: field(&status, "Threads:"),
            // The descriptor that reads the folder is one of them, and soon none any more.
            open_fds: fs::read_dir("/proc/self/fd")
                .map_or(0, |fds| fds.count() as u64)
                .saturating_sub(1),
        }
    }
}

/// The number in the line of `/proc/PID/status` that begins with `name`.
fn field(status: &str, name: &str) -> u64 {
    let line = status.lines().find_map(|line| line.strip_prefix(name));
    line.and_then(|line| line.split_whitespace().next()?.parse().ok()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_is_something() {
        let before = SystemTime::now();
        let Process { started, cpu, resident_bytes, threads, open_fds } = Process::look(before);
        assert_eq!(UNIX_EPOCH + started, before);
        assert!(!cpu.is_zero() && resident_bytes > 1 << 20, "{cpu:?} {resident_bytes}");
        assert!(threads > 0 && open_fds >= 3, "{threads} {open_fds}");
    }

    #[test]
    fn numbers_stand_after_their_names() {
        let status = "Name:\tx\nVmRSS:\t    1234 kB\nThreads:\t7\n";
        assert_eq!([field(status, "VmRSS:"), field(status, "Threads:")], [1234, 7]);
        assert_eq!(field(status, "VmHWM:"), 0);
    }
}
