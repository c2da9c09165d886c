//! The thread that listens: checkers, and the recorder of the report.
//!
//! Whoever runs the cluster puts what happens into a queue that is bounded, in the order in which it happens;
//! should the checkers ever be slower than what they check, that waits for them and nothing is lost. The
//! memory of all of it is bounded by what checkers and recorder state.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use crossbeam_channel::{Receiver, Sender, bounded};
use pulsefield_checkers::{Ending, Event, HostId, Operation, Panel, Verdict};
use pulsefield_hosts::{Access, LockOutcome, Notice};
use pulsefield_report::{Found, Host, Recorder, View};
use pulsefield_units::Instant;

use crate::miscompare;
use crate::trouble::Trouble;
use crate::unexplained::{Told as Miscompared, Unexplained};
use crate::witness::{Explained, Explanation};

/// How much may wait to be heard. Of bulk I/O an event has all the data: a quarter of a GiB in the worst
/// case, with commands of 64 KiB.
const QUEUE: usize = 4096;

/// Something to hear.
#[derive(Debug)]
enum Told {
    Event(Event),
    /// For checkers alone.
    Checked(Event),
    /// For all but checkers.
    Counted(Operation),
    /// There is another host, or more is known of one.
    Host(Host),
    Noticed {
        host: HostId,
        at: Instant,
        notice: Notice,
    },
    OrderEnded {
        kind: &'static str,
        outcome: LockOutcome,
        took: Duration,
    },
    Incident {
        at: Instant,
        host: Option<HostId>,
        what: String,
    },
    /// From now on hosts may see trouble that faults have made.
    Armed,
    /// What the record of the unit says of MISCOMPAREs.
    Explained(Explained),
}

/// Whoever tells it. There may be clones of it on several threads.
#[derive(Clone, Debug)]
pub(crate) struct Teller(Sender<Told>);

/// The thread.
pub(crate) struct Collector {
    thread: JoinHandle<Listener>,
    counts: Arc<Counts>,
}

/// What was heard so far, for whoever shows progress.
#[derive(Debug, Default)]
pub(crate) struct Counts {
    commands: AtomicU64,
    pulses: AtomicU64,
    orders: AtomicU64,
    miscompares: AtomicU64,
    trouble: AtomicU64,
}

/// What is left when all was heard.
pub(crate) struct Heard {
    /// What the checkers say.
    pub(crate) verdicts: Vec<Verdict>,
    /// What the report is made of.
    pub(crate) recorder: Recorder,
    /// The trouble that hosts had since faults were armed, or from the beginning if none were.
    pub(crate) trouble: Trouble,
}

struct Listener {
    panel: Panel,
    recorder: Recorder,
    trouble: Trouble,
    /// `None` if the unit has no record that could explain them.
    unexplained: Option<Unexplained>,
    counts: Arc<Counts>,
}

impl Teller {
    fn tell(&self, told: Told) {
        // The thread ends only when nobody is left who could tell it something, or by a panic, which
        // `Collector::finish` passes on.
        let _ = self.0.send(told);
    }

    /// What checkers hear.
    pub(crate) fn event(&self, event: Event) {
        self.tell(Told::Event(event));
    }

    /// What checkers hear, and what the report must not count: a command as checkers have to hear of it.
    pub(crate) fn checked(&self, event: Event) {
        self.tell(Told::Checked(event));
    }

    /// A command that the report counts, and of which checkers hear nothing or something else.
    pub(crate) fn counted(&self, operation: Operation) {
        self.tell(Told::Counted(operation));
    }

    /// There is another host, or more is known of one.
    pub(crate) fn host(&self, host: Host) {
        self.tell(Told::Host(host));
    }

    /// What a host noticed.
    pub(crate) fn noticed(&self, host: HostId, at: Instant, notice: Notice) {
        self.tell(Told::Noticed { host, at, notice });
    }

    /// What became of something that a host was told to do.
    pub(crate) fn order_ended(&self, kind: &'static str, outcome: LockOutcome, took: Duration) {
        self.tell(Told::OrderEnded { kind, outcome, took });
    }

    /// Something that happened to a host, or to all.
    pub(crate) fn incident(&self, at: Instant, host: Option<HostId>, what: impl Into<String>) {
        self.tell(Told::Incident { at, host, what: what.into() });
    }

    /// That faults are armed now.
    pub(crate) fn armed(&self) {
        self.tell(Told::Armed);
    }

    /// What the record of the unit says of MISCOMPAREs.
    pub(crate) fn explained(&self, explained: Explained) {
        self.tell(Told::Explained(explained));
    }
}

impl Collector {
    /// Starts to listen.
    ///
    /// # Errors
    /// If there can be no more threads.
    pub(crate) fn start(panel: Panel, recorder: Recorder) -> io::Result<(Self, Teller)> {
        Self::begin(panel, recorder, None)
    }

    /// The same with a witness, who will explain MISCOMPAREs.
    ///
    /// # Errors
    /// As [`Self::start`].
    pub(crate) fn with_witness(panel: Panel, recorder: Recorder) -> io::Result<(Self, Teller)> {
        Self::begin(panel, recorder, Some(Unexplained::default()))
    }

    fn begin(
        panel: Panel,
        recorder: Recorder,
        unexplained: Option<Unexplained>,
    ) -> io::Result<(Self, Teller)> {
        let counts = Arc::<Counts>::default();
        let trouble = Trouble::default();
        let listener = Listener { panel, recorder, trouble, unexplained, counts: counts.clone() };
        let (sender, receiver) = bounded(QUEUE);
        let thread =
            thread::Builder::new().name("checkers".into()).spawn(|| listener.listen(receiver))?;
        Ok((Self { thread, counts }, Teller(sender)))
    }

    /// What was heard so far.
    pub(crate) fn counts(&self) -> Arc<Counts> {
        self.counts.clone()
    }

    /// Waits until all is heard, which nobody adds to any more: all [`Teller`]s are gone. Then the checkers
    /// judge.
    ///
    /// # Panics
    /// If a checker or the recorder did.
    pub(crate) fn finish(self, at: Instant) -> Heard {
        let Listener { panel, recorder, trouble, .. } = match self.thread.join() {
            Ok(listener) => listener,
            Err(panic) => std::panic::resume_unwind(panic),
        };
        Heard { verdicts: panel.finish(at), recorder, trouble }
    }
}

impl Listener {
    fn listen(mut self, receiver: Receiver<Told>) -> Self {
        for told in receiver {
            match told {
                Told::Event(event) => {
                    self.panel.observe(&event);
                    self.count(&event);
                }
                Told::Checked(event) => self.panel.observe(&event),
                Told::Counted(operation) => self.count(&Event::Operation(operation)),
                Told::Host(host) => self.recorder.host(host),
                Told::Noticed { host, at, notice } => self.notice(host, at, &notice),
                Told::OrderEnded { kind, outcome, took } => {
                    self.counts.orders.fetch_add(1, Ordering::Relaxed);
                    self.recorder.order(kind, words(outcome), took);
                }
                Told::Incident { at, host, what } => self.recorder.incident(at, host, what),
                Told::Armed => self.trouble = Trouble::default(),
                Told::Explained(explained) => {
                    if let Some(unexplained) = &mut self.unexplained {
                        unexplained.take(explained);
                    }
                    self.count_explained();
                }
            }
        }
        for left in self.unexplained.take().into_iter().flat_map(Unexplained::rest) {
            self.count_miscompare(&left, None);
        }
        self
    }

    fn count(&mut self, event: &Event) {
        self.recorder.observe(event);
        self.trouble.event(event);
        self.counts.event(event);
        if let Event::Operation(operation) = event
            && let Some(told) = Miscompared::of(operation)
        {
            match &mut self.unexplained {
                Some(unexplained) => unexplained.hear(told),
                None => self.count_miscompare(&told, None),
            }
            self.count_explained();
        }
    }

    /// Counts MISCOMPAREs of which all is known.
    fn count_explained(&mut self) {
        while let Some((told, explanation)) =
            self.unexplained.as_mut().and_then(Unexplained::settled)
        {
            self.count_miscompare(&told, explanation);
        }
    }

    /// Counts a MISCOMPARE by what the record says of it, or else by what its host can know.
    fn count_miscompare(&mut self, told: &Miscompared, explanation: Option<Explanation>) {
        match explanation {
            Some(Explanation { finding, about, text, .. }) => {
                let cause = (finding.name(), finding.advice());
                let text = || format!("{text}\ntold:     {}", miscompare::told(told.offset));
                let found = || Found { host: Some(told.host), about, text: text() };
                self.recorder.miscompare(told.at, View::Record, cause, found);
            }
            None => {
                let cause = told.cause();
                let found = || cause.explanation(told.host, told.offset);
                self.recorder.miscompare(told.at, View::Host, (cause.name, cause.advice), found);
            }
        }
    }

    fn notice(&mut self, host: HostId, at: Instant, notice: &Notice) {
        self.trouble.notice(notice);
        if let Some(what) = incident(notice) {
            self.counts.trouble.fetch_add(1, Ordering::Relaxed);
            self.recorder.incident(at, Some(host), what);
        }
    }
}

impl Counts {
    fn event(&self, event: &Event) {
        match event {
            Event::Operation(operation) => {
                self.commands.fetch_add(1, Ordering::Relaxed);
                if matches!(operation.ending, Ending::Miscompared(_)) {
                    self.miscompares.fetch_add(1, Ordering::Relaxed);
                }
            }
            Event::Pulse(_) => {
                self.pulses.fetch_add(1, Ordering::Relaxed);
            }
            Event::Begun(_)
            | Event::Taken(_)
            | Event::Left(_)
            | Event::Forgotten { .. }
            | Event::DeclaredDead { .. }
            | Event::Gap { .. }
            | Event::ReadBack { .. } => {}
        }
    }

    /// In one line.
    pub(crate) fn words(&self) -> String {
        let read = |count: &AtomicU64| count.load(Ordering::Relaxed);
        format!(
            "{} commands, {} heartbeats, {} orders, {} miscompares, {} incidents",
            read(&self.commands),
            read(&self.pulses),
            read(&self.orders),
            read(&self.miscompares),
            read(&self.trouble),
        )
    }
}

/// What a report says that happened, if it is worth a line.
fn incident(notice: &Notice) -> Option<String> {
    Some(match notice {
        Notice::Access { access, .. } => match access {
            Access::Lost => "lost access to the volume",
            Access::Resumed => "found its heartbeat as it was",
            Access::Reacquired => "took its heartbeat anew, which another host had cleared",
            Access::LocksLost => "lost its locks",
        }
        .to_owned(),
        Notice::Replayed { slot, silent, .. } => {
            format!("cleared heartbeat {slot}, which had not pulsed for {} s", silent.as_secs())
        }
        Notice::HeartbeatLeft { .. } => "left with its heartbeat as it is".to_owned(),
        Notice::Started => "started".to_owned(),
        Notice::NotMounted { error, .. } => error.to_string(),
        Notice::LockingChanged { locking, .. } => {
            format!("locks by {} from now on", locking.name())
        }
        // Checkers hear of it, and so does the recorder.
        Notice::Crashed
        | Notice::HeartbeatAcquired { .. }
        | Notice::HeartbeatCleared { .. }
        | Notice::Pulse { .. }
        | Notice::LockTaken(_)
        | Notice::LockLeft(_)
        | Notice::LockBroken { .. }
        | Notice::Extension { .. }
        | Notice::Finished { .. } => return None,
    })
}

/// How an order ended, as reports say it.
const fn words(outcome: LockOutcome) -> &'static str {
    match outcome {
        LockOutcome::Done => "done",
        LockOutcome::Contended => "contended",
        LockOutcome::Stolen => "stolen",
        LockOutcome::TooManyHolders => "too many holders",
        LockOutcome::Lost => "lost",
        LockOutcome::Failed => "failed",
        LockOutcome::Offline => "offline",
    }
}
