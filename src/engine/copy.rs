//! The device server's part in third-party copies: it carries copies on, and does parts of them for
//! others.
//!
//! Every part of a copy, also one that concerns this very unit, goes out as [`Action::CopyOp`] and
//! comes to the unit it concerns through [`DeviceServer::on_copy_op`], where it is a task like a
//! READ or a WRITE of the bulk lane. Its answer finds the way back to
//! [`DeviceServer::on_copy_op_done`].
//!
//! [`Action::CopyOp`]: crate::Action::CopyOp

use pulsefield_backstore::OpTag;
use pulsefield_data::Buffer;
use pulsefield_scsi::{Sense, Status};
use pulsefield_units::{Instant, LbaRange};

use crate::event::{Event, Observer};
use crate::exec::Exec;
use crate::exec::copy_op::{CopyOp, CopyPart};
use crate::exec::extended_copy::{CopyPeer, Input, Step};
use crate::lane::Lane;
use crate::outcome::Outcome;
use crate::range_lock::{Access, Holder};
use crate::retire::Unfiled;
use crate::server::{DeviceServer, Query};
use crate::task::{Phase, Task};
use crate::waiting::Waited;

impl<T, O: Observer> DeviceServer<T, O> {
    /// Takes a part of a copy that concerns this unit. It is answered like a command, with `token`,
    /// through [`Self::poll_action`]; no unit attention condition ends it, since no
    /// initiator would hear of that.
    pub fn on_copy_op(&mut self, now: Instant, token: T, op: CopyOp, data: Buffer) {
        let id = self.take_task_id();
        let cdb = op.cdb();
        let opcode = cdb.opcode().unwrap_or_default();
        self.observer.observe(now, &Event::Arrived { task: id, cdb: &cdb });
        if let Err(outcome) = self.admit_copy_op(op) {
            let unfiled = Unfiled { id, opcode, token, data };
            let answer = self.end_at_once(now, unfiled, None, outcome);
            self.answers.push_back(answer);
            return;
        }
        let (range, lane) = (op.range(), Lane::Bulk);
        self.observer.observe(now, &Event::Admitted { task: id, lane, range: Some(range) });
        let at = self.tasks.insert(Task {
            id,
            token: Some(token),
            // No task management function names it: whoever copies is told, and asks for no more.
            tag: None,
            opcode,
            lane,
            phase: Phase::Parked,
            claim: None,
            exec: Exec::CopyPart(CopyPart::new(op)),
            data,
            gate: None,
            reserved: 0,
            aborted: false,
            arrived: now,
            started: None,
            since: now,
            waited: Waited::default(),
        });
        match op.source() {
            Some(source) => self.claim_copy(now, at, source, range),
            None if op.writes() => self.claim(now, at, range, Access::Exclusive),
            None => self.claim(now, at, range, Access::Shared),
        }
    }

    fn admit_copy_op(&mut self, op: CopyOp) -> Result<(), Outcome> {
        if self.tasks.is_full() {
            return Err(Outcome::status(Status::TaskSetFull));
        }
        self.unit.require_ready_for_part()?;
        let fits = |range: LbaRange| range.fits(self.unit.geometry.blocks);
        if !fits(op.range()) || !op.source().is_none_or(fits) {
            return Err(Sense::lba_out_of_range().into());
        }
        if op.writes() {
            self.unit.require_writable()?;
        }
        Ok(())
    }

    /// Takes the end of a part that [`Action::CopyOp`](crate::Action::CopyOp) asked for, and the
    /// buffer it went with. The end of one whose copy was aborted meanwhile is ignored.
    pub fn on_copy_op_done(&mut self, now: Instant, tag: OpTag, outcome: Outcome, buffer: Buffer) {
        if let Some(at) = self.tasks.find_op_tag(tag) {
            self.carry_on(now, at, Input::Done(outcome, buffer));
        }
    }

    /// Takes the answer to [`Query::CopyPeers`]: the other units that copies of this one may read
    /// and write. They are remembered until settings change or one of them does not answer.
    pub fn on_copy_peers(&mut self, peers: Vec<CopyPeer>) {
        self.unit.copy_peers = peers;
        self.answered.push(Query::CopyPeers);
    }

    /// Carries a copy on for the first time.
    pub(crate) fn start_copy(&mut self, now: Instant, at: Holder) {
        self.carry_on(now, at, Input::Go);
    }

    /// Carries on the copies that waited for the answer to `answered`.
    pub(crate) fn resume_copies(&mut self, now: Instant, answered: Query) {
        let waits = |task: &Task<T>| matches!(&task.exec, Exec::ExtendedCopy(copy) if copy.asks() == Some(answered));
        for at in self.tasks.find(waits) {
            self.carry_on(now, at, Input::Go);
        }
    }

    fn carry_on(&mut self, now: Instant, at: Holder, input: Input) {
        let task = self.tasks.task(at);
        let Exec::ExtendedCopy(copy) = &mut task.exec else {
            unreachable!("only copies wait for parts of copies");
        };
        let step = copy.step(&mut self.unit, input);
        // Whatever was being written when the abort came is written now, and nothing else will be.
        if task.aborted {
            self.retire(now, at, Outcome::status(Status::TaskAborted));
            return;
        }
        match step {
            Step::Ask(query) => self.queries.push(query),
            Step::Op(party, op, buffer) => {
                // Named now: an abort may end the copy before this goes out.
                self.copy_ops.push_back((self.tasks.op_tag(at), party, op, buffer));
            }
            Step::End(outcome) => self.retire(now, at, outcome),
        }
    }
}
