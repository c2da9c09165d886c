//! How many guests this machine carries at once.

use std::fs;
use std::thread;

use clap::Args;

/// How many guests run side by side.
#[derive(Args)]
pub(crate) struct Abreast {
    /// How many guests run side by side; by default one with `vm`, and otherwise one for each two
    /// processors, as far as memory goes.
    #[arg(long = "jobs", short = 'j', value_name = "N")]
    wanted: Option<usize>,
}

impl Abreast {
    /// What was asked for, or else `default`.
    pub(crate) fn or(&self, default: usize) -> usize {
        self.wanted.unwrap_or(default)
    }

    /// What was asked for, or else as many as this machine carries: one for each two processors, since
    /// a guest has two and keeps them busy (two guests on two processors took as long as one after the
    /// other); but no more than fit into memory.
    pub(crate) fn or_what_fits(&self) -> usize {
        self.wanted.unwrap_or_else(|| {
            let processors = thread::available_parallelism().map_or(1, usize::from);
            let memory = fs::read_to_string("/proc/meminfo").unwrap_or_default();
            (processors / 2).min(guests_in(&memory)).max(1)
        })
    }
}

/// How many guests of 4 GiB fit into what `/proc/meminfo` says is available. They seldom touch half of
/// that; hence half is what is reckoned with.
fn guests_in(meminfo: &str) -> usize {
    const GUEST_KIB: usize = 2 << 20;
    let available = meminfo.lines().find_map(|line| line.strip_prefix("MemAvailable:"));
    let kib = available.and_then(|rest| rest.trim().strip_suffix(" kB")?.parse::<usize>().ok());
    kib.map_or(1, |kib| kib / GUEST_KIB)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn guests_need_memory() {
        let with = |kib: usize| format!("MemTotal: 9 kB\nMemAvailable:   {kib} kB\n");
        assert_eq!(guests_in(&with(3 << 20)), 1);
        assert_eq!(guests_in(&with(8 << 20)), 4);
        assert_eq!(guests_in("no such line"), 1);
    }
}
