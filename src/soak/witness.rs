//! The witness: a thread that follows the record of the unit while hosts work on it, and explains why their
//! COMPARE AND WRITE commands miscompared.
//!
//! ```text
//!   Run ─ Looks ─► Witness ─ Window ─► explain
//!                     └─ Told::Explained ─► Collector, which has heard the hosts
//! ```
//!
//! A host can know what it expected, and what it was told. Who had written what lay there, and when, only the
//! unit knows. The run says when to look, by its own time and commands: what is explained does then not depend
//! on how threads are scheduled.

mod explanation;
#[cfg(test)]
pub(crate) mod testing;
mod unit_record;
mod window;

use std::io;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use crossbeam_channel::{Receiver, Sender, bounded};
use pulsefield_record::Source;
use pulsefield_units::Instant;

use crate::collector::Teller;

pub(crate) use explanation::Explanation;
pub(crate) use unit_record::UnitRecord;
pub(crate) use window::{Explained, RECORDS_MAX, Window};

/// After so many commands it is time to look again. What comes while one look is under way and another one is asked
/// for is three times as many at most, of which an ATS on blocks of 512 bytes takes 1.7 KiB: 10 MiB, and a record
/// has room for 48 MiB of them unless it is told to be shorter.
const COMMANDS: u32 = 2048;

/// After so long it is time to look again, however little there was.
const PERIOD: Duration = Duration::from_secs(1);

/// The thread.
pub(crate) struct Witness(JoinHandle<()>);

/// Says when to look.
pub(crate) struct Looks {
    ask: Sender<()>,
    waits: bool,
    commands: u32,
    due: Instant,
}

struct Following {
    source: Source,
    window: Window,
    teller: Teller,
}

impl Witness {
    /// Starts to follow a record at the moment `began` of the run. If it `waits`, the run does when the witness is
    /// too far behind; else the witness looks the less often, and what is overwritten meanwhile is not explained.
    ///
    /// # Errors
    /// If there can be no more threads.
    pub(crate) fn start(
        source: Source,
        waits: bool,
        began: Instant,
        teller: Teller,
    ) -> io::Result<(Self, Looks)> {
        let following = Following { source, window: Window::default(), teller };
        // One look that is asked for while another one is under way.
        let (ask, asked) = bounded(1);
        let follow = move || following.follow(&asked);
        let thread = thread::Builder::new().name("witness".into()).spawn(follow)?;
        Ok((Self(thread), Looks { ask, waits, commands: 0, due: began.after(PERIOD) }))
    }

    /// Waits until all is explained that is recorded. Nobody asks for looks any more: [`Looks`] are gone.
    ///
    /// # Panics
    /// If the thread did.
    pub(crate) fn finish(self) {
        if let Err(panic) = self.0.join() {
            std::panic::resume_unwind(panic);
        }
    }
}

impl Looks {
    /// A command was sent.
    pub(crate) fn command(&mut self) {
        self.commands += 1;
        if self.commands >= COMMANDS {
            self.look();
        }
    }

    /// It is `now`.
    pub(crate) fn at(&mut self, now: Instant) {
        if self.due <= now {
            self.due = now.after(PERIOD);
            self.look();
        }
    }

    fn look(&mut self) {
        self.commands = 0;
        // The witness ends early only if there is nothing to look at any more, which it has told.
        if self.waits {
            let _ = self.ask.send(());
        } else {
            let _ = self.ask.try_send(());
        }
    }
}

impl Following {
    fn follow(mut self, asked: &Receiver<()>) {
        loop {
            let goes_on = asked.recv().is_ok();
            match self.source.poll() {
                Ok(records) => records.into_iter().for_each(|record| {
                    if let Some(explained) = self.window.take(record) {
                        self.teller.explained(explained);
                    }
                }),
                Err(error) => {
                    let what = format!("the record of the unit is followed no longer: {error}");
                    self.teller.incident(self.window.newest(), None, what);
                    break;
                }
            }
            if !goes_on {
                break;
            }
        }
        self.teller.explained(self.window.rest());
    }
}
