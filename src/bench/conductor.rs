//! A conductor as thin as it can be: what `daemon/conductor.rs` does with a command on its way from the
//! ring to the medium and back, in the same order, without what it does besides. There are no
//! messages, no faults, no clock, no counters and no sleep here; completions go through a plain queue.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Result, bail};
use pulsefield_backstore::{Backstore, Completion, CompletionSink, Request};
use pulsefield_engine::{Action, Answer, DeviceServer, Incoming, Lane, LuConfig, Outcome};
use pulsefield_ring::{self as ring, CommandToken, DataIn, Entry, Ring};
use pulsefield_units::Instant;

/// No time passes, so that no command is given up.
pub(crate) const NOW: Instant = Instant::from_nanos(0);

/// A unit at work.
pub(crate) struct Conductor {
    ring: Ring,
    server: DeviceServer<CommandToken, ()>,
    completions: Arc<Completions>,
    medium: Arc<dyn Backstore>,
}

/// Where the medium's ops end.
#[derive(Default)]
struct Completions(Mutex<VecDeque<Completion>>);

impl Completions {
    fn take(&self) -> Option<Completion> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).pop_front()
    }
}

impl CompletionSink for Completions {
    fn complete(&self, completion: Completion) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push_back(completion);
    }
}

impl Conductor {
    /// Serves `medium` on `ring`, with the settings a unit has if nobody says anything.
    pub(crate) fn new(ring: Ring, medium: Arc<dyn Backstore>) -> Self {
        let (geometry, capabilities) = (medium.geometry(), medium.capabilities());
        let server = DeviceServer::new(LuConfig::default(), geometry, capabilities, ());
        Self { ring, server, completions: Arc::default(), medium }
    }

    /// Takes in what is on the ring and does all that follows from it. When it returns, the answers so
    /// far are published.
    ///
    /// # Errors
    /// If the ring makes no sense, or the device server asks for what only the daemon has.
    pub(crate) fn turn(&mut self) -> Result<()> {
        loop {
            self.take_in()?;
            match self.server.poll_action(NOW) {
                Some(action) => self.perform(action)?,
                None => break,
            }
        }
        self.publish();
        Ok(())
    }

    fn take_in(&mut self) -> Result<()> {
        while let Some(Completion { tag, result, buffer }) = self.completions.take() {
            self.server.on_op_done(NOW, tag, result, buffer);
        }
        while let Some(entry) = self.ring.next_entry()? {
            let Entry::Command(command) = entry else { bail!("nobody aborts anything") };
            let tag = Some(command.token.cmd_id());
            let (token, cdb, data) = (command.token, command.cdb, command.data);
            self.server.on_command(NOW, Incoming { token, tag, cdb, data });
        }
        Ok(())
    }

    fn perform(&mut self, action: Action<CommandToken>) -> Result<()> {
        match action {
            Action::Submit { op, tag, buffer, urgent } => {
                let sink = self.completions.clone();
                self.medium.submit(Request::new(op, tag, buffer, urgent, sink));
            }
            Action::Answer(answer) => self.answer(answer),
            Action::CopyOp { .. }
            | Action::Ask(_)
            | Action::SetAccessStates { .. }
            | Action::Save(_) => bail!("nobody here does {action:?}"),
        }
        Ok(())
    }

    fn answer(&mut self, answer: Answer<CommandToken>) {
        let Answer { token, lane, status, sense, data_in, data } = answer;
        let valid = Outcome { status, sense, data_in }.valid_bytes(data.len());
        let sense = sense.map(|sense| {
            let mut bytes = [0; 96];
            sense.encode(self.server.sense_format(), &mut bytes);
            bytes
        });
        let data_in = if valid < data.len() {
            DataIn::Short(u32::try_from(valid).expect("shorter than a transfer"))
        } else {
            DataIn::All
        };
        let answer = ring::Answer { status: status.as_u8(), sense: sense.as_ref(), data_in };
        self.ring.complete(token, answer, data);
        if lane == Some(Lane::Heartbeat) {
            self.publish();
        }
    }

    /// Shows the answers to the kernel, which here looks only when it is told to.
    fn publish(&mut self) {
        let _answered = self.ring.publish();
    }
}
