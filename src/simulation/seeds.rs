//! Many seeds: those that are kept, those that are drawn, on all processors, and what they came to.

use std::fmt;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::Result;

use crate::run::{self, Ended};
use crate::swarm::Swarm;

/// The seeds that have shown a bug, and some others.
const KEPT: &str = include_str!("seeds.txt");

/// How often it says how far it is.
const PROGRESS: Duration = Duration::from_secs(10);

/// A seed that is to be run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Kept {
    pub(crate) seed: u64,
    /// For how long, in virtual time.
    pub(crate) lasting: Duration,
}

impl Kept {
    /// Those of `seeds.txt`.
    pub(crate) fn all() -> Vec<Self> {
        let lines = KEPT.lines().filter(|line| !line.starts_with('#'));
        lines.map(|line| Self::parse(line).unwrap_or_else(|| panic!("seeds.txt: {line}"))).collect()
    }

    fn parse(line: &str) -> Option<Self> {
        let mut words = line.split_whitespace();
        let seed = words.next()?.parse().ok()?;
        let minutes: u64 = words.next()?.parse().ok()?;
        Some(Self { seed, lasting: Duration::from_secs(60 * minutes) })
    }

    /// What repeats it.
    fn command(self) -> String {
        let hours = self.lasting.as_secs_f64() / 3600.0;
        format!("cargo xtask sim --seed {} --hours {hours}", self.seed)
    }
}

/// What many runs came to.
pub(crate) struct Tally {
    pub(crate) failed: u64,
    runs: u64,
    commands: u64,
    /// Runs with a fault that a checker had to catch, and did.
    caught: u64,
    kills: u64,
    /// Virtual time, each run once.
    lasted: Duration,
    started: Instant,
    told: Instant,
    took: Duration,
}

impl Tally {
    /// Runs these on so many threads, and says what is wrong as it comes.
    pub(crate) fn of(seeds: &[Kept], threads: usize) -> Self {
        let now = Instant::now();
        let tally = Mutex::new(Self {
            failed: 0,
            runs: 0,
            commands: 0,
            caught: 0,
            kills: 0,
            lasted: Duration::ZERO,
            started: now,
            told: now,
            took: Duration::ZERO,
        });
        let next = AtomicUsize::new(0);
        let work = || {
            while let Some(kept) = seeds.get(next.fetch_add(1, Ordering::Relaxed)) {
                let result = run::twice(kept.seed, kept.lasting);
                tally.lock().expect("nobody panics with it").add(*kept, result, seeds.len());
            }
        };
        thread::scope(|scope| {
            for _ in 0..threads.min(seeds.len()) {
                scope.spawn(work);
            }
        });
        let mut tally = tally.into_inner().expect("nobody panics with it");
        tally.took = tally.started.elapsed();
        tally
    }

    fn add(&mut self, kept: Kept, result: Result<Ended>, of: usize) {
        self.runs += 1;
        match result {
            Ok(Ended { lasted, commands, effects, kills, .. }) => {
                self.lasted += lasted;
                self.commands += commands;
                self.kills += kills;
                let fault = Swarm::of(kept.seed).fault;
                self.caught += u64::from(fault.is_some_and(|fault| fault.must_show(effects)));
            }
            Err(error) => {
                self.failed += 1;
                println!("FAILED: {} ({}): {error:#}", kept.command(), Swarm::of(kept.seed));
            }
        }
        if self.told.elapsed() >= PROGRESS {
            self.told = Instant::now();
            println!("{} of {of} seeds, {} failed", self.runs, self.failed);
        }
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { failed, runs, commands, caught, kills, lasted, took, .. } = self;
        let hours = lasted.as_secs_f64() / 3600.0;
        let seconds = took.as_secs_f64();
        let rate = hours / (seconds / 3600.0);
        writeln!(f, "{runs} seeds, each run twice: {failed} failed")?;
        writeln!(f, "{commands} commands, {kills} kills of the daemon, {caught} faults caught")?;
        write!(f, "{hours:.1} cluster-hours in {seconds:.1} s: {rate:.0} in an hour")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_seeds_that_are_kept_can_be_read() {
        assert!(!Kept::all().is_empty());
    }
}
