//! Deadlines: commands that take too long are counted and told of, also while they are still waited
//! for.

use std::fmt;
use std::time::Duration;

use pulsefield_engine::{Lane, Whereabouts};
use pulsefield_scsi::opcode;
use pulsefield_settings::Time;
use pulsefield_units::{Cdb, Instant};
use tracing::{error, warn};

use super::passage::{Parts, Passage};
use crate::rate::Rate;

/// The least time between two lines about late commands of one unit, of either severity.
const LINE_PERIOD: Duration = Duration::from_secs(10);

/// Commands that may take as long as the medium is large: they have no deadline.
const UNBOUNDED: [u8; 4] =
    [opcode::FORMAT_UNIT, opcode::SANITIZE, opcode::SEND_DIAGNOSTIC, opcode::THIRD_PARTY_COPY_OUT];

/// Writes a line as bad as a command is late: the level of an event is fixed where it stands.
macro_rules! line {
    ($lateness:expr, $($fields:tt)+) => {
        match $lateness {
            Lateness::Warning => warn!($($fields)+),
            Lateness::Error => error!($($fields)+),
        }
    };
}

/// When a command of a unit is late.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Deadlines {
    /// After this it is worth a warning; `None`: never.
    pub(crate) warning: Option<Duration>,
    /// After this it is an error; `None`: never.
    pub(crate) error: Option<Duration>,
}

/// How late a command is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Lateness {
    Warning,
    Error,
}

impl Default for Deadlines {
    /// Those of an empty configuration.
    fn default() -> Self {
        let seconds = |seconds| Some(Duration::from_secs(seconds));
        Self { warning: seconds(1), error: seconds(8) }
    }
}

impl Deadlines {
    /// How late a command is that takes so long; `None` if it is not.
    pub(crate) fn missed(&self, cdb: &Cdb, took: Duration) -> Option<Lateness> {
        let passed = |deadline: Option<Duration>| deadline.is_some_and(|time| took >= time);
        if cdb.opcode().is_some_and(|opcode| UNBOUNDED.contains(&opcode)) {
            return None;
        }
        match (passed(self.error), passed(self.warning)) {
            (true, _) => Some(Lateness::Error),
            (false, true) => Some(Lateness::Warning),
            (false, false) => None,
        }
    }

    /// The first time, in nanoseconds, that is worth a look; the end of time if there is none.
    pub(crate) fn first_ns(&self) -> u64 {
        let first = self.warning.into_iter().chain(self.error).min();
        first.map_or(u64::MAX, |time| u64::try_from(time.as_nanos()).unwrap_or(u64::MAX))
    }

    /// When a command that arrived then becomes late, or later than it is at `now`.
    pub(crate) fn next_after(&self, arrived: Instant, now: Instant) -> Option<Instant> {
        let times = self.warning.into_iter().chain(self.error).map(|time| arrived.after(time));
        times.filter(|deadline| *deadline > now).min()
    }
}

/// Tells of late commands, but not of each of many.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Teller {
    warnings: Rate,
    errors: Rate,
}

impl Default for Teller {
    fn default() -> Self {
        Self { warnings: Rate::new(LINE_PERIOD), errors: Rate::new(LINE_PERIOD) }
    }
}

impl Teller {
    /// Whether something as late as this is to be told of now, and what was withheld before.
    fn admit(&mut self, lateness: Lateness, now: Instant) -> Option<u64> {
        match lateness {
            Lateness::Warning => self.warnings.admit(now),
            Lateness::Error => self.errors.admit(now),
        }
    }

    /// Tells of a late command that has ended.
    pub(crate) fn ended(
        &mut self,
        lateness: Lateness,
        passage: &Passage,
        now: Instant,
        faults: bool,
    ) {
        let Some(withheld) = self.admit(lateness, now) else { return };
        let parts = passage.parts(now, faults);
        let took_ms = passage.took(now).as_millis();
        let (command, cdb) = (opcode::name_of(&passage.cdb), &passage.cdb);
        let blocks = passage.served.and_then(|served| served.blocks).map(tracing::field::display);
        let (lane, went_into) = (passage.lane.map(Lane::name), WentInto(&parts));
        line!(lateness, command, ?cdb, blocks, lane, took_ms, %went_into, withheld, "a late command");
    }

    /// Tells of a late command that is still waited for; `place` is where the device server has it.
    pub(crate) fn waiting(
        &mut self,
        lateness: Lateness,
        passage: &Passage,
        place: Option<Whereabouts>,
        now: Instant,
    ) {
        let Some(withheld) = self.admit(lateness, now) else { return };
        let waiting_ms = passage.took(now).as_millis();
        let (command, cdb) = (opcode::name_of(&passage.cdb), &passage.cdb);
        let blocks = place.and_then(|place| place.blocks).map(tracing::field::display);
        let waits_for = place.map_or("a fault", |place| place.stage.name());
        let stage_ms = place.map(|place| now.since(place.since).as_millis());
        line!(
            lateness,
            command,
            ?cdb,
            blocks,
            waiting_ms,
            waits_for,
            stage_ms,
            withheld,
            "no answer yet"
        );
    }
}

/// What the time of a command went into, in words; parts below a millisecond are left out.
struct WentInto<'a>(&'a Parts);

impl fmt::Display for WentInto<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let parts = self.0.named();
        let noted = parts.iter().filter(|(_, time)| time.as_millis() > 0);
        for (nth, (name, time)) in noted.enumerate() {
            let comma = if nth == 0 { "" } else { ", " };
            let millis = Duration::from_millis(u64::try_from(time.as_millis()).unwrap_or(u64::MAX));
            write!(f, "{comma}{name} {}", Time::from(millis))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn millis(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    #[test]
    fn a_command_is_late_from_its_deadline_on() {
        let deadlines = Deadlines::default();
        let missed = |opcode, time| deadlines.missed(&Cdb::new(&[opcode]), millis(time));
        assert_eq!(missed(opcode::COMPARE_AND_WRITE, 999), None);
        assert_eq!(missed(opcode::COMPARE_AND_WRITE, 1000), Some(Lateness::Warning));
        assert_eq!(missed(opcode::COMPARE_AND_WRITE, 8000), Some(Lateness::Error));
        assert_eq!(missed(opcode::FORMAT_UNIT, 86_400_000), None);
        assert_eq!(deadlines.first_ns(), 1_000_000_000);
        let never = Deadlines { warning: None, error: None };
        assert_eq!(never.missed(&Cdb::new(&[0x89]), Duration::MAX), None);
        assert_eq!(never.first_ns(), u64::MAX);
    }

    #[test]
    fn the_next_look_is_at_the_next_deadline() {
        let at = |millis: u64| Instant::from_nanos(millis * 1_000_000);
        let next = |now| Deadlines::default().next_after(at(500), at(now));
        assert_eq!(next(500), Some(at(1500)));
        assert_eq!(next(1500), Some(at(8500)));
        assert_eq!(next(8500), None);
    }

    #[test]
    fn what_is_worse_is_not_lost_among_what_is_less_bad() {
        let mut teller = Teller::default();
        let at = |seconds: u64| Instant::from_nanos(seconds * 1_000_000_000);
        assert_eq!(teller.admit(Lateness::Warning, at(1)), Some(0));
        assert_eq!(teller.admit(Lateness::Warning, at(2)), None);
        assert_eq!(teller.admit(Lateness::Error, at(2)), Some(0));
    }

    #[test]
    fn what_it_went_into_is_said_in_words() {
        let parts = Parts { blocks: millis(8000), medium: millis(3), ..Parts::default() };
        assert_eq!(WentInto(&parts).to_string(), "blocks 8s, medium 3ms");
    }
}
