//! The passage of one command through a unit, and what its time went into.

use std::time::Duration;

use pulsefield_engine::{Lane, Waited};
use pulsefield_units::{Cdb, Instant, LbaRange};

/// A command of the ring: when it came by where.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Passage {
    pub(crate) cdb: Cdb,
    /// When it was found on the ring: the kernel does not say when it put it there.
    pub(crate) arrived: Instant,
    /// What the device server did with it, once that is over; of several that a fault had it do, the
    /// last.
    pub(crate) served: Option<Served>,
    /// The lane it took, once it is answered, if it touched the medium.
    pub(crate) lane: Option<Lane>,
    /// When its answer was ready; when it arrived, as long as there is none.
    pub(crate) answered: Instant,
    /// Data-In and Data-Out that initiator and unit have exchanged, if it ended GOOD.
    pub(crate) bytes: u64,
    /// Whether it was found later than an error is while it was in flight.
    pub(crate) found_late: bool,
}

/// A command in the device server.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Served {
    /// When it came in.
    pub(crate) arrived: Instant,
    /// When it was started, if it was to touch the medium.
    pub(crate) started: Option<Instant>,
    /// When it was over.
    pub(crate) ended: Instant,
    pub(crate) waited: Waited,
    /// The blocks it claimed last.
    pub(crate) blocks: Option<LbaRange>,
}

/// What the time of a command went into; all together are its time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Parts {
    /// Waiting for commands that came before it and use the same blocks.
    pub(crate) blocks: Duration,
    /// Waiting for a slot of its lane.
    pub(crate) slot: Duration,
    /// Waiting at the gate of a pool of space.
    pub(crate) pool: Duration,
    /// With the medium.
    pub(crate) medium: Duration,
    /// Held up by a fault on purpose.
    pub(crate) fault: Duration,
    /// From its answer to the end of the doorbell, in which the kernel takes Data-In and answers.
    pub(crate) answer: Duration,
    /// Waiting for the unit's thread, for what only the kernel knows, or for a copy.
    pub(crate) elsewhere: Duration,
}

impl Passage {
    pub(crate) fn new(cdb: Cdb, now: Instant) -> Self {
        Self {
            cdb,
            arrived: now,
            served: None,
            lane: None,
            answered: now,
            bytes: 0,
            found_late: false,
        }
    }

    /// Whether another command was everywhere when this one was: so are many of a batch, since time is
    /// read once a turn.
    pub(crate) fn is_like(&self, other: &Self) -> bool {
        let stamps = |served: Option<Served>| served.map(|served| (served.started, served.ended));
        self.cdb.opcode() == other.cdb.opcode()
            && self.lane == other.lane
            && self.arrived == other.arrived
            && self.answered == other.answered
            && stamps(self.served) == stamps(other.served)
    }

    /// How long it took until the doorbell had `rung` for it.
    pub(crate) const fn took(&self, rung: Instant) -> Duration {
        rung.since(self.arrived)
    }

    /// What that went into. Whatever was not the device server's doing was a fault's, if `faults` were
    /// armed.
    pub(crate) fn parts(&self, rung: Instant, faults: bool) -> Parts {
        let mut parts = Parts { answer: rung.since(self.answered), ..Parts::default() };
        let mut outside = self.answered.since(self.arrived);
        if let Some(Served { arrived, started, ended, waited, .. }) = self.served {
            let inside = ended.since(arrived);
            outside = outside.saturating_sub(inside);
            (parts.blocks, parts.slot, parts.pool) = (waited.blocks, waited.slot, waited.pool);
            let rest = inside.saturating_sub(waited.blocks + waited.slot + waited.pool);
            match started {
                Some(_) => parts.medium = rest,
                None => parts.elsewhere = rest,
            }
        }
        match faults {
            true => parts.fault = outside,
            false => parts.elsewhere += outside,
        }
        parts
    }
}

impl Parts {
    /// Each with its name, as whoever reads it knows it.
    pub(crate) const fn named(&self) -> [(&'static str, Duration); 7] {
        [
            ("blocks", self.blocks),
            ("slot", self.slot),
            ("pool", self.pool),
            ("medium", self.medium),
            ("fault", self.fault),
            ("answer", self.answer),
            ("elsewhere", self.elsewhere),
        ]
    }

    /// The name of the largest: the reason.
    pub(crate) fn reason(&self) -> &'static str {
        let [first, others @ ..] = self.named();
        let larger = |a: (_, Duration), b: (_, Duration)| if b.1 > a.1 { b } else { a };
        others.into_iter().fold(first, larger).0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn second(seconds: u64) -> Instant {
        Instant::from_nanos(seconds * 1_000_000_000)
    }

    const fn seconds(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn all_of_the_time_went_into_something() {
        let waited = Waited { blocks: seconds(3), slot: seconds(1), pool: seconds(2) };
        let served = Served {
            arrived: second(12),
            started: Some(second(16)),
            ended: second(28),
            waited,
            blocks: None,
        };
        let passage = Passage {
            served: Some(served),
            answered: second(29),
            ..Passage::new(Cdb::new(&[0x28]), second(10))
        };
        let parts = Parts {
            blocks: seconds(3),
            slot: seconds(1),
            pool: seconds(2),
            medium: seconds(10),
            fault: seconds(3),
            answer: seconds(2),
            elsewhere: Duration::ZERO,
        };
        assert_eq!(passage.took(second(31)), seconds(21));
        assert_eq!(passage.parts(second(31), true), parts);
        assert_eq!(parts.reason(), "medium");
        assert_eq!(parts.named().map(|(_, time)| time).iter().sum::<Duration>(), seconds(21));
        let without_faults = Parts { fault: Duration::ZERO, elsewhere: seconds(3), ..parts };
        assert_eq!(passage.parts(second(31), false), without_faults);
    }

    #[test]
    fn what_never_reached_the_device_server_was_held_up_before() {
        let passage = Passage { answered: second(9), ..Passage::new(Cdb::new(&[0x89]), second(1)) };
        assert_eq!(passage.parts(second(9), true).reason(), "fault");
        assert_eq!(passage.parts(second(9), false).reason(), "elsewhere");
    }
}
