//! The one clock that all processes of a guest share, the daemon and its recorder among them.

use std::fmt;

use nix::time::{ClockId, clock_gettime};

/// Nanoseconds of `CLOCK_MONOTONIC`: comparable between processes, unlike an `Instant` that one of
/// them wrote down.
///
/// # Errors
/// The kernel has no such clock.
pub fn monotonic_ns() -> anyhow::Result<u64> {
    let now = clock_gettime(ClockId::CLOCK_MONOTONIC)?;
    Ok(u64::try_from(now.tv_sec())? * 1_000_000_000 + u64::try_from(now.tv_nsec())?)
}

/// While something was under way, in nanoseconds of that clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    /// Before it began.
    pub from_ns: u64,
    /// After it had ended.
    pub to_ns: u64,
}

impl Window {
    /// Does something, and says when.
    ///
    /// # Errors
    /// Those of `act`.
    pub fn around<T>(act: impl FnOnce() -> anyhow::Result<T>) -> anyhow::Result<(T, Self)> {
        let from_ns = monotonic_ns()?;
        let done = act()?;
        Ok((done, Self { from_ns, to_ns: monotonic_ns()? }))
    }

    /// Whether a moment lies in it.
    pub const fn contains(&self, at_ns: u64) -> bool {
        self.from_ns <= at_ns && at_ns <= self.to_ns
    }
}

impl fmt::Display for Window {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} to {} ns", self.from_ns, self.to_ns)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_happens_within_lies_in_the_window() {
        let (inside, window) = Window::around(monotonic_ns).unwrap();
        assert!(window.contains(inside));
        assert!(!window.contains(window.from_ns - 1) && !window.contains(window.to_ns + 1));
    }
}
