//! The one place where the daemon reads clocks for the device server and the recorder.

use nix::time::{ClockId, clock_gettime};
use pulsefield_record::WallTime;
use pulsefield_units::Instant;

/// What time it is for one unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Clock {
    /// What the machine's clocks say.
    Machine,
    /// What the unit was told, so that nothing of what it does depends on the machine.
    #[cfg(any(test, feature = "embedded"))]
    Told(Instant),
}

impl Clock {
    /// [`now`] of the machine, or what the unit was told.
    #[inline]
    pub(crate) fn now(self) -> Instant {
        match self {
            Self::Machine => now(),
            #[cfg(any(test, feature = "embedded"))]
            Self::Told(now) => now,
        }
    }

    /// [`coarse`] of the machine, or what the unit was told.
    #[inline]
    pub(crate) fn coarse(self) -> Instant {
        match self {
            Self::Machine => coarse(),
            #[cfg(any(test, feature = "embedded"))]
            Self::Told(now) => now,
        }
    }

    /// [`wall`] of the machine; of a unit that is told the time just that, as if it had begun with 1970.
    pub(crate) fn wall(self) -> WallTime {
        match self {
            Self::Machine => wall(),
            #[cfg(any(test, feature = "embedded"))]
            Self::Told(now) => WallTime::from_nanos(now.as_nanos()),
        }
    }
}

/// Now, in nanoseconds of CLOCK_MONOTONIC: the clock the kernel's own traces use.
pub(crate) fn now() -> Instant {
    Instant::from_nanos(read(ClockId::CLOCK_MONOTONIC))
}

/// The same clock as of the kernel's last tick, a few milliseconds ago at most. To read it is a matter of
/// nanoseconds, whatever the clock source.
pub(crate) fn coarse() -> Instant {
    Instant::from_nanos(read(ClockId::CLOCK_MONOTONIC_COARSE))
}

/// Now, on the wall clock, which somebody may set.
pub(crate) fn wall() -> WallTime {
    WallTime::from_nanos(read(ClockId::CLOCK_REALTIME))
}

/// Nanoseconds.
fn read(clock: ClockId) -> u64 {
    match clock_gettime(clock) {
        Ok(time) => {
            let seconds = u64::try_from(time.tv_sec()).unwrap_or_default();
            let nanos = u64::try_from(time.tv_nsec()).unwrap_or_default();
            seconds.saturating_mul(1_000_000_000).saturating_add(nanos)
        }
        Err(error) => unreachable!("every Linux has {clock}: {error}"),
    }
}
