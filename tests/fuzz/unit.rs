//! A logical unit from end to end: the kernel's side of a ring, the ring, the device server and a
//! medium, conducted on one thread so that a seed decides everything.

use anyhow::{Context, Result, bail};
use pulsefield_backstore::{BackstoreError, Op, OpTag};
use pulsefield_data::Buffer;
use pulsefield_engine::{
    Action, Answer, DeviceServer, Identity, Incoming, LuConfig, Outcome, PortGroup, Query,
    UnitAttention,
};
use pulsefield_ring::simulated_kernel::{
    Data, Finished, Options, Refused, SimulatedKernel, Submitted,
};
use pulsefield_ring::{CommandToken, DataIn, Entry, Ring, TmrKind};
use pulsefield_scsi::parameter::{AccessState, AccessStates};
use pulsefield_units::{Instant, Random};

use crate::medium::Medium;
use crate::shape::Shape;

/// What Data-In blocks hold before anybody writes into them: what another command left there. No
/// command writes this byte, so wherever it is seen, it leaked.
pub(crate) const STALE: u8 = 0xa5;

/// An op that is with the medium.
struct AtMedium {
    op: Op,
    tag: OpTag,
    buffer: Buffer,
}

/// Where a command came from.
#[derive(Debug)]
enum Origin {
    /// The ring; it must be answered there.
    Ring(CommandToken),
    /// A copy of this unit, of which it is a part.
    Part(OpTag),
}

/// A logical unit.
pub(crate) struct Unit {
    kernel: SimulatedKernel,
    ring: Ring,
    server: DeviceServer<Origin, ()>,
    medium: Medium,
    at_medium: Vec<AtMedium>,
    /// One op in so many fails; none if 0.
    pub(crate) failures: u64,
}

/// No time passes: nothing here is slow enough to be given up.
const NOW: Instant = Instant::from_nanos(0);

impl Unit {
    /// A unit of `shape`, its medium all zeros.
    pub(crate) fn new(shape: &Shape, random: &mut Random) -> Result<Self> {
        let options = Options {
            // Both wrap often, and both run full.
            ring_bytes: 8 << 10,
            data_blocks: 512,
            tmr_notification: true,
            scatter: random.one_in(2),
            dirt: Some(STALE),
            ..Options::default()
        };
        let kernel = SimulatedKernel::new(options).context("cannot map a ring")?;
        let config = LuConfig {
            compare_and_write_blocks_max: shape
                .compare_and_write_blocks_max
                .try_into()
                .context("a unit takes COMPARE AND WRITE of a block at least")?,
            fully_provisioned: shape.fully_provisioned,
            long_cdbs: shape.long_cdbs,
            tell_others: true,
            ..LuConfig::default()
        };
        let ring = Ring::attach(kernel.mapping()).context("cannot attach to the ring")?;
        let server = DeviceServer::new(config, shape.geometry, shape.capabilities, ());
        let medium = Medium::new(shape);
        Ok(Self { kernel, ring, server, medium, at_medium: Vec::new(), failures: 0 })
    }

    /// What the medium holds; nothing if it forgets.
    pub(crate) fn medium(&self) -> &[u8] {
        self.medium.bytes()
    }

    /// Raises a unit attention condition.
    pub(crate) fn raise(&mut self, condition: UnitAttention) {
        self.server.raise(condition);
    }

    /// Sends a command as an initiator would.
    pub(crate) fn submit(&mut self, cdb: &[u8], data: Data) -> Result<Submitted, Refused> {
        self.kernel.submit(NOW, cdb, data)
    }

    /// Aborts commands, as LIO would.
    pub(crate) fn abort(&mut self, commands: &[Submitted]) -> Vec<Finished> {
        self.kernel.task_management(TmrKind::AbortTask, commands)
    }

    /// Has the device server see what was sent, and start it; nothing is finished by that.
    pub(crate) fn look(&mut self) -> Result<()> {
        self.take_in()?;
        while let Some(action) = self.server.poll_action(NOW) {
            self.perform(action);
        }
        Ok(())
    }

    /// Works until every command is answered, the medium's ops ending in any order.
    ///
    /// # Errors
    /// If a command stays unanswered or the ring breaks.
    pub(crate) fn finish(&mut self, random: &mut Random) -> Result<Vec<Finished>> {
        let mut finished = Vec::new();
        loop {
            self.look()?;
            if self.ring.publish() {
                finished.extend(self.kernel.doorbell(NOW));
            }
            if self.kernel.is_broken() {
                bail!("an answer broke the ring");
            }
            if self.kernel.posted() == 0 && self.kernel.waiting() == 0 {
                break;
            } else if !self.at_medium.is_empty() {
                self.finish_op(random);
            } else if self.server.in_flight() > 0 {
                bail!("{} commands wait for nothing", self.server.in_flight());
            }
        }
        Ok(finished)
    }

    fn take_in(&mut self) -> Result<()> {
        while let Some(entry) = self.ring.next_entry()? {
            match entry {
                Entry::Command(command) => {
                    if let Some(malformed) = command.malformed {
                        bail!("the simulated kernel posted a malformed entry: {malformed}");
                    }
                    let tag = command.token.cmd_id();
                    let (cdb, data) = (command.cdb, command.data);
                    let token = Origin::Ring(command.token);
                    self.server.on_command(NOW, Incoming { token, tag: Some(tag), cdb, data });
                }
                Entry::Tmr(tmr) => self.server.on_abort(NOW, &tmr.command_ids),
            }
        }
        Ok(())
    }

    fn perform(&mut self, action: Action<Origin>) {
        match action {
            Action::Submit { op, tag, buffer, urgent: _ } => {
                self.at_medium.push(AtMedium { op, tag, buffer });
            }
            Action::Answer(answer) => self.answer(answer),
            Action::Ask(Query::Identity) => {
                self.server.on_identity(Identity::new("0ab8b6e1-1c4a-4d0a-9f0e-c2b1b1b8d8f7"));
            }
            Action::Ask(Query::PortGroups) => self.server.on_port_groups(vec![PortGroup {
                id: 0,
                preferred: false,
                state: AccessState::ActiveOptimized,
                supported: AccessStates::NONE.with(AccessState::ActiveOptimized),
                implicit: true,
                explicit: true,
                status_code: 0,
                ports: vec![1, 2],
            }]),
            // Copies stay within the unit.
            Action::CopyOp { party: _, op, tag, buffer } => {
                self.server.on_copy_op(NOW, Origin::Part(tag), op, buffer);
            }
            Action::Ask(Query::CopyPeers) => self.server.on_copy_peers(vec![]),
            Action::Ask(Query::Initiators) => self.server.on_initiators(2),
            Action::SetAccessStates { request, changes: _ } => {
                self.server.on_access_states_set(NOW, request, true);
            }
            Action::Save(_) => self.server.on_saved(NOW, true),
        }
    }

    fn finish_op(&mut self, random: &mut Random) {
        let nth = random.index(self.at_medium.len());
        let AtMedium { op, tag, mut buffer } = self.at_medium.swap_remove(nth);
        let result = if self.failures > 0 && random.one_in(self.failures) {
            Err(random.pick(&[
                BackstoreError::Medium,
                BackstoreError::NoSpace,
                BackstoreError::ReadOnly,
                BackstoreError::Transient,
                BackstoreError::Gone,
                BackstoreError::Dropped,
            ]))
        } else {
            Ok(self.medium.perform(op, &mut buffer))
        };
        self.server.on_op_done(NOW, tag, result, buffer);
    }

    /// Puts an answer on the ring as the daemon's conductor does.
    fn answer(&mut self, answer: Answer<Origin>) {
        let Answer { token, lane: _, status, sense, data_in, data } = answer;
        let outcome = Outcome { status, sense, data_in };
        let token = match token {
            Origin::Ring(token) => token,
            Origin::Part(tag) => {
                self.server.on_copy_op_done(NOW, tag, outcome, data);
                return;
            }
        };
        let mut bytes = [0; 96];
        if let Some(sense) = &sense {
            sense.encode(self.server.sense_format(), &mut bytes);
        }
        let valid = outcome.valid_bytes(data.len());
        let data_in = match valid < data.len() {
            true => DataIn::Short(u32::try_from(valid).expect("shorter than a transfer")),
            false => DataIn::All,
        };
        let sense = sense.map(|_| &bytes);
        let status = status.as_u8();
        self.ring.complete(token, pulsefield_ring::Answer { status, sense, data_in }, data);
    }
}
