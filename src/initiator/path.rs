//! One path to a logical unit, and the threads that send requests by it.
//!
//! A request occupies a thread until it has ended, since the pass-through waits. Each lane has threads and a queue of
//! its own, so bulk never keeps a heartbeat waiting in this process; resets have one, too. Nothing is sent twice.

use std::io;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, TrySendError, bounded, unbounded};
use nix::sys::signal::SigSet;
use pulsefield_hosts::Outcome;
use pulsefield_units::Instant;

use crate::clock;
use crate::command::{Command, Request};
use crate::device::Device;
use crate::outcome::is_unit_attention;

/// How many requests may wait in a lane for a thread; then it is full, and whoever submits has to wait.
const QUEUE_MAX: usize = 64;
/// How long a path that is probed may take for an answer.
const PROBE_TIMEOUT: Duration = Duration::from_secs(8);
/// How many unit attentions a path may have to tell before it answers a probe.
const UNIT_ATTENTIONS_MAX: usize = 8;
/// The stack of a thread: an ioctl and a message take a tenth of it.
const STACK_BYTES: usize = 256 << 10;

/// Whose turn a request is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Lane {
    /// Pulses: one thread, and nobody else in its queue.
    Heartbeat,
    /// Locks and other metadata.
    Metadata,
    /// Everything else.
    Bulk,
}

impl Lane {
    const ALL: [Self; 3] = [Self::Heartbeat, Self::Metadata, Self::Bulk];

    const fn name(self) -> &'static str {
        match self {
            Self::Heartbeat => "pulse",
            Self::Metadata => "meta",
            Self::Bulk => "bulk",
        }
    }
}

/// How paths are used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settings {
    /// How many requests of metadata go by one path at a time.
    pub metadata: NonZeroUsize,
    /// How many of bulk.
    pub bulk: NonZeroUsize,
    /// How often a path that is lost is asked whether it is back.
    pub probe_interval: Duration,
}

impl Default for Settings {
    /// Four of metadata, eight of bulk, and a question every second, as hosts ask a volume that they have lost
    /// (KB 2136081).
    fn default() -> Self {
        const FOUR: NonZeroUsize = NonZeroUsize::new(4).unwrap();
        const EIGHT: NonZeroUsize = NonZeroUsize::new(8).unwrap();
        Self { metadata: FOUR, bulk: EIGHT, probe_interval: Duration::from_secs(1) }
    }
}

/// A request that is to be carried out.
#[derive(Debug)]
pub struct Submission<T> {
    /// What its end is told with.
    pub tag: T,
    /// What to do.
    pub request: Request,
    /// After how long it is aborted.
    pub timeout: Duration,
}

/// The end of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Completion<T> {
    /// What it was submitted with.
    pub tag: T,
    /// By which path it went, counted from 0.
    pub path: usize,
    /// The last moment before it was sent.
    pub invoked: Instant,
    /// The first moment after it had ended.
    pub returned: Instant,
    /// What became of it.
    pub outcome: Outcome,
}

/// What there is to hear.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event<T> {
    /// A request has ended. Each does, exactly once, unless the path is dropped before.
    Done(Completion<T>),
    /// A request was lost on a path, and so was the question whether the unit is there. It is not used until it
    /// answers again.
    PathLost {
        /// Which path, counted from 0.
        path: usize,
        /// When.
        at: Instant,
    },
    /// It answers.
    PathBack {
        /// Which path, counted from 0.
        path: usize,
        /// When.
        at: Instant,
    },
}

/// A path, and its threads. Dropping it forgets what is queued, and waits for what has been sent: as long as the
/// kernel takes to abort it, in the worst case.
pub(crate) struct Path<T> {
    lanes: Vec<Sender<Submission<T>>>,
    shared: Arc<Shared<T>>,
    threads: Vec<JoinHandle<()>>,
}

/// What the threads of a path have in common.
struct Shared<T> {
    device: Arc<dyn Device>,
    number: usize,
    /// Whether requests are sent: it was not lost, or it has answered since.
    usable: AtomicBool,
    /// Whether it is asked, or going to be, whether it answers: a request was lost. That happens also when somebody
    /// resets the unit, so until it is known requests are sent.
    suspect: AtomicBool,
    closing: AtomicBool,
    events: Sender<Event<T>>,
    control: Sender<Control<T>>,
}

enum Control<T> {
    Reset(Submission<T>),
    Probe,
    End,
}

impl<T: Send + 'static> Path<T> {
    /// Starts the threads of path `number`, which are called after `name`.
    pub(crate) fn start(
        name: &str,
        number: usize,
        device: Arc<dyn Device>,
        settings: Settings,
        events: Sender<Event<T>>,
    ) -> io::Result<Self> {
        let (control, controls) = unbounded();
        let shared = Arc::new(Shared {
            device,
            number,
            usable: AtomicBool::new(true),
            suspect: AtomicBool::new(false),
            closing: AtomicBool::new(false),
            events,
            control,
        });
        let mut path = Self { lanes: Vec::new(), shared, threads: Vec::new() };
        path.spawn(format!("{name}/{number}"), move |shared| {
            shared.control(&controls, settings.probe_interval);
        })?;
        for lane in Lane::ALL {
            let (sender, queue) = bounded(QUEUE_MAX);
            path.lanes.push(sender);
            let threads = match lane {
                Lane::Heartbeat => 1,
                Lane::Metadata => settings.metadata.get(),
                Lane::Bulk => settings.bulk.get(),
            };
            for nth in 0..threads {
                let queue = queue.clone();
                let name = format!("{name}/{number} {}{nth}", lane.name());
                path.spawn(name, move |shared| shared.work(&queue))?;
            }
        }
        Ok(path)
    }

    /// No signal interrupts these threads: a command in flight would be forgotten, or sent again.
    fn spawn(
        &mut self,
        name: String,
        run: impl FnOnce(&Shared<T>) + Send + 'static,
    ) -> io::Result<()> {
        let shared = Arc::clone(&self.shared);
        let thread = thread::Builder::new().name(name).stack_size(STACK_BYTES);
        self.threads.push(thread.spawn(move || {
            SigSet::all().thread_block().expect("every signal set can be blocked");
            run(&shared);
        })?);
        Ok(())
    }

    /// Whether it was not lost, or has come back.
    pub(crate) fn is_usable(&self) -> bool {
        self.shared.usable.load(Ordering::Relaxed)
    }

    /// Queues a request. A reset goes by no lane.
    ///
    /// # Errors
    /// The submission, if the lane is full.
    pub(crate) fn submit(
        &self,
        lane: Lane,
        submission: Submission<T>,
    ) -> Result<(), Submission<T>> {
        if submission.request == Request::LogicalUnitReset {
            return self.shared.control.send(Control::Reset(submission)).map_err(|error| {
                let Control::Reset(submission) = error.0 else { unreachable!("it was one") };
                submission
            });
        }
        self.lanes[lane as usize].try_send(submission).map_err(|error| match error {
            TrySendError::Full(submission) | TrySendError::Disconnected(submission) => submission,
        })
    }
}

impl<T> Drop for Path<T> {
    fn drop(&mut self) {
        self.shared.closing.store(true, Ordering::Relaxed);
        self.lanes.clear();
        // It may have ended already, of a panic.
        let _ = self.shared.control.send(Control::End);
        for thread in self.threads.drain(..) {
            // A panic has been reported by the thread.
            let _ = thread.join();
        }
    }
}

impl<T> Shared<T> {
    fn work(&self, queue: &Receiver<Submission<T>>) {
        while let Ok(submission) = queue.recv() {
            if self.closing.load(Ordering::Relaxed) {
                return;
            }
            self.carry_out(submission);
        }
    }

    fn carry_out(&self, Submission { tag, request, timeout }: Submission<T>) {
        let invoked = clock::now();
        let outcome = match self.usable.load(Ordering::Relaxed) {
            true => self.device.execute(&request, timeout),
            // It was queued when the path was lost. It was not sent; its host may send it by another.
            false => Outcome::Lost,
        };
        let returned = clock::now();
        let path = self.number;
        let is_lost = outcome == Outcome::Lost;
        self.tell(Event::Done(Completion { tag, path, invoked, returned, outcome }));
        if is_lost && !self.suspect.swap(true, Ordering::Relaxed) {
            let _ = self.control.send(Control::Probe);
        }
    }

    /// Resets the unit, and asks a path where something was lost whether it answers.
    fn control(&self, controls: &Receiver<Control<T>>, probe_interval: Duration) {
        loop {
            let usable = self.usable.load(Ordering::Relaxed);
            let control = match usable {
                true => controls.recv().map_err(|_| RecvTimeoutError::Disconnected),
                false => controls.recv_timeout(probe_interval),
            };
            match control {
                Ok(Control::Reset(submission)) => self.carry_out(submission),
                Ok(Control::Probe) | Err(RecvTimeoutError::Timeout) => self.probe(usable),
                Ok(Control::End) | Err(RecvTimeoutError::Disconnected) => return,
            }
        }
    }

    /// Asks the path whether it answers; `was_usable` until now.
    fn probe(&self, was_usable: bool) {
        let (path, at) = (self.number, clock::now());
        let usable = self.answers();
        self.usable.store(usable, Ordering::Relaxed);
        if usable {
            self.suspect.store(false, Ordering::Relaxed);
        }
        match (was_usable, usable) {
            (true, false) => self.tell(Event::PathLost { path, at }),
            (false, true) => self.tell(Event::PathBack { path, at: clock::now() }),
            (true, true) | (false, false) => {}
        }
    }

    /// Whether the unit answers TEST UNIT READY by this path. That somebody else has reserved it is an answer, too.
    fn answers(&self) -> bool {
        let request = Request::Command(Command::test_unit_ready());
        let outcomes = std::iter::repeat_with(|| self.device.execute(&request, PROBE_TIMEOUT));
        let mut outcomes = outcomes.take(UNIT_ATTENTIONS_MAX + 1);
        let outcome = outcomes.find(|outcome| !is_unit_attention(outcome));
        matches!(outcome, Some(Outcome::Good(_) | Outcome::ReservationConflict | Outcome::Busy))
    }

    /// Whoever has stopped listening wants to hear nothing.
    fn tell(&self, event: Event<T>) {
        let _ = self.events.send(event);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Longer than anything here takes on a busy machine.
    const SOON: Duration = Duration::from_secs(30);

    /// A device that has begun when it says so, and ends when nobody holds it any more.
    struct Held {
        began: Sender<()>,
        held: Receiver<()>,
    }

    impl Device for Held {
        fn execute(&self, _: &Request, _: Duration) -> Outcome {
            self.began.send(()).unwrap();
            let _ = self.held.recv();
            Outcome::Good(Vec::new())
        }
    }

    #[test]
    fn what_is_queued_when_a_path_ends_is_never_sent() {
        let ((began, begins), (release, held)) = (unbounded(), unbounded());
        let (events, heard) = unbounded();
        let settings = Settings { bulk: NonZeroUsize::MIN, ..Settings::default() };
        let device = Arc::new(Held { began, held });
        let path = Path::start("test", 0, device, settings, events).unwrap();
        // Dropped before the path, also where an assertion fails: who is held could never be joined.
        let hold = release;
        for tag in 0..10 {
            let request = Request::Command(Command::test_unit_ready());
            path.submit(Lane::Bulk, Submission { tag, request, timeout: SOON }).unwrap();
        }
        begins.recv_timeout(SOON).unwrap();
        path.shared.closing.store(true, Ordering::Relaxed);
        drop(hold);
        drop(path);
        let ended: Vec<_> = heard.iter().collect();
        assert!(matches!(ended[..], [Event::Done(Completion { tag: 0, .. })]), "{ended:?}");
    }
}
