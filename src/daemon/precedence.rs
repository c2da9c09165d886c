//! Whether a unit's thread goes before everybody else on the machine.
//!
//! It does for as long as it sleeps in between, as the thread of a unit usually does: it takes a command in, has
//! the medium do it, and waits for the next. One that hardly sleeps moves bulk, or waits for its processor behind others like it,
//! and competes like everybody until it sleeps again: real-time threads that are always awake keep everybody else, some of the
//! kernel's threads among them, from the processor, until the kernel stops them for a twentieth
//! of a second each second (sched(7), `sched_rt_runtime_us`), with every heartbeat that they were to serve. Time is passed in.

use std::io;
use std::sync::Once;
use std::time::Duration;

use pulsefield_backstore::set_precedence;
use pulsefield_units::Instant;
use tracing::{debug, info};

/// How often a thread is judged: after many times what a command takes, and soon enough for whoever else is there.
const WINDOW: Duration = Duration::from_millis(20);

/// One part in so many of its time a thread that goes first has to sleep.
const ASLEEP_PART: u32 = 4;

/// Sets it for the calling thread.
type Set = fn(bool) -> io::Result<()>;

/// The judgement on one thread.
#[derive(Debug, Default)]
pub(crate) struct Precedence {
    /// `None` if the thread is like everybody.
    set: Option<Set>,
    /// Whether it goes first now.
    first: bool,
    /// Since when the time that it sleeps is added up.
    since: Instant,
    asleep: Duration,
    asleep_since: Option<Instant>,
}

impl Precedence {
    /// Has the calling thread, whose work is to be judged, go first from now on, if it may.
    pub(crate) fn take(now: Instant) -> Self {
        Self::by(set_precedence, now)
    }

    fn by(set: Set, now: Instant) -> Self {
        static TOLD: Once = Once::new();
        match set(true) {
            Ok(()) => Self { set: Some(set), first: true, since: now, ..Self::default() },
            Err(error) => {
                TOLD.call_once(|| {
                    info!(%error, "without real-time priority heartbeats wait for the processor like everybody");
                });
                Self::default()
            }
        }
    }

    /// The thread goes to sleep, and it is `now`.
    pub(crate) const fn sleep(&mut self, now: Instant) {
        self.asleep_since = Some(now);
    }

    /// The thread has something to do, and it is `now`.
    #[inline]
    pub(crate) fn work(&mut self, now: Instant) {
        if let Some(since) = self.asleep_since.take() {
            self.asleep += now.since(since);
        }
        if now.since(self.since) >= WINDOW {
            self.judge(now);
        }
    }

    #[cold]
    fn judge(&mut self, now: Instant) {
        let first = self.asleep * ASLEEP_PART >= now.since(self.since);
        (self.since, self.asleep) = (now, Duration::ZERO);
        let Some(set) = self.set.filter(|_| first != self.first) else { return };
        match set(first) {
            Ok(()) => self.first = first,
            Err(error) => debug!(%error, first, "the thread's priority stays as it is"),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use super::*;

    thread_local! {
        static SET: RefCell<Vec<bool>> = const { RefCell::new(Vec::new()) };
    }

    /// A thread and the time.
    struct Story {
        precedence: Precedence,
        now: Instant,
    }

    impl Story {
        fn begin() -> Self {
            let note = |first| {
                SET.with_borrow_mut(|set| set.push(first));
                Ok(())
            };
            let now = Instant::from_nanos(1 << 40);
            Self { precedence: Precedence::by(note, now), now }
        }

        /// Something comes in, and takes so long; then it sleeps for so long.
        fn turn(&mut self, works: Duration, sleeps: Duration) {
            self.precedence.work(self.now);
            self.now = self.now.after(works);
            self.precedence.sleep(self.now);
            self.now = self.now.after(sleeps);
        }
    }

    fn set() -> Vec<bool> {
        SET.with_borrow(Vec::clone)
    }

    const COMMAND: Duration = Duration::from_micros(10);

    #[test]
    fn who_sleeps_in_between_stays_first() {
        let mut story = Story::begin();
        for _ in 0..100_000 {
            story.turn(COMMAND, COMMAND);
        }
        assert_eq!(set(), [true]);
    }

    #[test]
    fn who_hardly_sleeps_goes_last_until_he_sleeps_again() {
        let mut story = Story::begin();
        for _ in 0..10_000 {
            story.turn(COMMAND, COMMAND / 10);
        }
        assert_eq!(set(), [true, false], "said once");
        for _ in 0..10_000 {
            story.turn(COMMAND, COMMAND);
        }
        assert_eq!(set(), [true, false, true]);
    }

    #[test]
    fn one_look_for_work_in_vain_is_no_sleep() {
        let mut story = Story::begin();
        for _ in 0..10_000 {
            story.precedence.work(story.now);
            story.now = story.now.after(COMMAND);
        }
        assert_eq!(set(), [true, false]);
    }

    #[test]
    fn a_long_sleep_makes_up_for_the_work_before() {
        let mut story = Story::begin();
        story.turn(WINDOW * 4, Duration::ZERO);
        story.turn(COMMAND, Duration::from_secs(1));
        assert_eq!(set(), [true, false]);
        story.turn(COMMAND, COMMAND);
        assert_eq!(set(), [true, false, true], "as soon as it wakes");
    }

    #[test]
    fn who_may_not_go_first_does_not_try_again() {
        let refuse = |first| {
            SET.with_borrow_mut(|set| set.push(first));
            Err(io::ErrorKind::PermissionDenied.into())
        };
        let mut precedence = Precedence::by(refuse, Instant::default());
        for at in 0..10 {
            precedence.work(Instant::from_nanos(at << 32));
        }
        assert_eq!(set(), [true]);
    }
}
