//! What a seed stands for: how large the cluster is, how its hosts work, what the fabric does to them, when
//! the daemon is killed, and what is wrong with the unit.
//!
//! Everything that makes trouble is left out of some runs and frequent in others, since what always happens
//! hides what follows from its absence (Groce et al., "Swarm testing", ISSTA 2012).

use std::fmt;
use std::time::Duration;

use pulsefield_hosts::{HeartbeatMode, Locking};
use pulsefield_units::{BlockLength, Random, mix};

use crate::fabric::Weather;
use crate::faults::{FAULTS, Fault};

/// Kills of the daemon.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Kills {
    /// From one start to the kill that follows, at least and at most.
    pub(crate) after: (Duration, Duration),
    /// For how long before it nothing that is written is answered.
    pub(crate) dying: (Duration, Duration),
    /// How long there is none then.
    pub(crate) down: (Duration, Duration),
}

/// What a run is made of.
#[derive(Debug)]
pub(crate) struct Swarm {
    pub(crate) hosts: u32,
    pub(crate) block_length: BlockLength,
    pub(crate) heartbeat: HeartbeatMode,
    pub(crate) locking: Locking,
    /// What hosts do, as a mix in TOML.
    pub(crate) mix: String,
    pub(crate) weather: Weather,
    pub(crate) kills: Option<Kills>,
    pub(crate) fault: Option<&'static Fault>,
    /// What everything else is drawn from.
    pub(crate) random: Random,
}

const fn micros(shortest: u64, longest: u64) -> (Duration, Duration) {
    (Duration::from_micros(shortest), Duration::from_micros(longest))
}

const fn millis(shortest: u64, longest: u64) -> (Duration, Duration) {
    (Duration::from_millis(shortest), Duration::from_millis(longest))
}

const fn seconds(shortest: u64, longest: u64) -> (Duration, Duration) {
    (Duration::from_secs(shortest), Duration::from_secs(longest))
}

impl Swarm {
    /// What this seed stands for.
    pub(crate) fn of(seed: u64) -> Self {
        let mut random = Random::new(mix(seed));
        let hosts = random.pick(&[2, 3, 4, 6, 8]);
        let block_length = random.pick(&[BlockLength::B512, BlockLength::B4096]);
        let heartbeat = random.pick(&HeartbeatMode::ALL);
        let locking = random.pick(&[Locking::AtsOnly, Locking::AtsOnly, Locking::AtsAndScsi]);
        let weather = Weather {
            delay: random.pick(&[micros(5, 50), micros(100, 2_000), millis(1, 40)]),
            lost: random.pick(&[0, 0, 0, 100_000, 5_000]),
            late: random.pick(&[0, 0, 1_000, 50_000]),
            lateness: random.pick(&[millis(50, 500), seconds(1, 5), seconds(5, 30)]),
        };
        let kills = random.one_in(3).then(|| Kills {
            after: random.pick(&[seconds(20, 120), seconds(200, 900)]),
            dying: random.pick(&[micros(0, 0), millis(1, 50), millis(50, 3_000)]),
            down: random.pick(&[millis(100, 900), seconds(1, 6), seconds(5, 45)]),
        });
        let fault = random.one_in(3).then(|| &FAULTS[random.index(FAULTS.len())]);
        let mix = work(&mut random);
        Self { hosts, block_length, heartbeat, locking, mix, weather, kills, fault, random }
    }

    /// Whether heartbeats may be late without anybody being to blame: on the way, or while there is no daemon.
    pub(crate) const fn delays_heartbeats(&self) -> bool {
        self.weather.lost > 0 || self.weather.late > 0 || self.kills.is_some()
    }
}

/// What hosts do: each kind of work that there is, or not, and how often.
fn work(random: &mut Random) -> String {
    let mut mix = String::new();
    let mut table = |often: u64, name: &str, lines: &[String]| {
        if random.one_in(often) {
            mix += &format!("[{name}]\n{}\n", lines.join("\n"));
        }
    };
    let every = |time: &str| format!("every = \"{time}\"");
    table(1, "growth", &[every("2s"), "locks = 3".to_owned()]);
    table(2, "vmotion", &[every("2s"), "machines = 6".to_owned()]);
    table(2, "sharing", &[every("5s")]);
    table(3, "power-on", &[every("5min"), "machines = 40".to_owned()]);
    table(2, "crash", &[every("3min"), "down = \"10s..60s\"".to_owned()]);
    table(2, "freeze", &[every("3min"), "lasting = \"5s..40s\"".to_owned()]);
    table(3, "pulses", &[every("1min")]);
    table(3, "bulk", &[every("1s"), "length = \"16KiB\"".to_owned()]);
    table(4, "offload", &[every("10s"), "length = \"64KiB\"".to_owned()]);
    mix
}

impl fmt::Display for Swarm {
    /// In one line, for whoever looks into a seed.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { hosts, block_length, heartbeat, locking, weather, kills, fault, .. } = self;
        let bytes = block_length.bytes();
        write!(f, "{hosts} hosts, blocks of {bytes}, {}, {}", heartbeat.name(), locking.name())?;
        let kinds = self.mix.lines().filter(|line| line.starts_with('['));
        write!(f, ", {}", kinds.collect::<String>())?;
        let Weather { delay: (_, slowest), lost, late, lateness: (_, latest) } = weather;
        write!(f, ", frames within {slowest:?}")?;
        if *lost > 0 {
            write!(f, ", one in {lost} lost")?;
        }
        if *late > 0 {
            write!(f, ", one in {late} within {latest:?}")?;
        }
        if let Some(Kills { after, down, .. }) = kills {
            write!(f, ", daemon killed within {:?} for up to {:?}", after.1, down.1)?;
        }
        match fault {
            Some(fault) => write!(f, ", {}", fault.name),
            None => write!(f, ", no fault"),
        }
    }
}
