//! The only public door of the device server: what goes in, what comes out.

use std::collections::VecDeque;

use pulsefield_backstore::{BackstoreError, Capabilities, Geometry, Op, OpOutput, OpTag};
use pulsefield_data::Buffer;
use pulsefield_scsi::log_page::Statistics;
use pulsefield_scsi::{Sense, SenseFormat, Status};
use pulsefield_units::{BlockCount, Cdb, Instant, TaskId};

use crate::admit::{Admission, admit};
use crate::at_once::{Elsewhere, Medium};
use crate::background;
use crate::config::{AccessStateChange, Identity, LuConfig, PortGroup, target_port_group_support};
use crate::copies::Copies;
use crate::event::{Event, Observer};
use crate::exec::copy_op::CopyOp;
use crate::exec::extended_copy::CopyParty;
use crate::exec::{Context, Exec, Input, Step, set_target_port_groups};
use crate::lane::{Lane, Lanes};
use crate::logical_unit::LogicalUnit;
use crate::marked_blocks::{MarkedBlocks, heed};
use crate::outcome::Outcome;
use crate::range_lock::{Access, Holder, RangeLock};
use crate::readiness::Readiness;
use crate::retire::{Unfiled, Work};
use crate::saved_state::SavedState;
use crate::scratch::Scratch;
use crate::seen_metadata::SeenMetadata;
use crate::space::Space;
use crate::task::{Phase, Task, Tasks};
use crate::unit_attention::{UnitAttention, UnitAttentions};
use crate::waiting::Waited;

/// A command as the transport brings it.
#[derive(Debug)]
pub struct Incoming<T> {
    /// What the transport knows the command by; comes back with the [`Answer`].
    pub token: T,
    /// What a task management function will name it by; `None` for a command of the target's own. No
    /// function ends such a one, and no unit attention condition, since no initiator would hear of it.
    pub tag: Option<u16>,
    /// The CDB.
    pub cdb: Cdb,
    /// Data-Out as it came, or room for Data-In; its length is the expected data transfer length.
    pub data: Buffer,
}

/// The answer to a command, exactly one for each [`Incoming`].
#[derive(Debug)]
pub struct Answer<T> {
    /// From the [`Incoming`].
    pub token: T,
    /// The lane the command took, if it touched the medium.
    pub lane: Option<Lane>,
    /// SCSI status.
    pub status: Status,
    /// Sense data of a CHECK CONDITION.
    pub sense: Option<Sense>,
    /// How many bytes of `data` are valid Data-In, from its start; `None` if it is Data-Out, or goes
    /// nowhere because the command failed.
    pub data_in: Option<usize>,
    /// The buffer of the [`Incoming`], given back.
    pub data: Buffer,
}

/// Something only the world outside knows, answered later.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Query {
    /// The unit serial number: [`DeviceServer::on_identity`].
    Identity,
    /// The logical units that copies of this one may read and write besides itself:
    /// [`DeviceServer::on_copy_peers`].
    CopyPeers,
    /// The target port groups and their ALUA states: [`DeviceServer::on_port_groups`].
    PortGroups,
    /// How many initiators there may be: [`DeviceServer::on_initiators`].
    Initiators,
}

/// What a command may do to the space of the medium.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SpaceNeeds {
    /// Nothing.
    None,
    /// Allocate space for these blocks.
    Allocates(pulsefield_units::LbaRange),
    /// Give some back.
    Relieves,
}

/// What the conductor must do.
#[derive(Debug)]
pub enum Action<T> {
    /// Send this op to the medium; its end comes back through [`DeviceServer::on_op_done`].
    Submit {
        /// What to do.
        op: Op,
        /// The op's name.
        tag: OpTag,
        /// Its data. May be longer than the op needs: only the first bytes count.
        buffer: Buffer,
        /// Whether it belongs to the heartbeat lane.
        urgent: bool,
    },
    /// Answer this command.
    Answer(Answer<T>),
    /// Hand this part of a copy to the unit it concerns ([`DeviceServer::on_copy_op`]), and its
    /// answer to [`DeviceServer::on_copy_op_done`] of this one. There is an answer in any case: if
    /// that unit is gone, 02h/04h/03h.
    CopyOp {
        /// Whom it concerns.
        party: CopyParty,
        /// What to do.
        op: CopyOp,
        /// The part's name.
        tag: OpTag,
        /// Its data.
        buffer: Buffer,
    },
    /// Find this out.
    Ask(Query),
    /// Change the states of target port groups; how that went comes back through
    /// [`DeviceServer::on_access_states_set`].
    SetAccessStates {
        /// The request's name.
        request: OpTag,
        /// What shall change.
        changes: Vec<AccessStateChange>,
    },
    /// Put this on stable storage, in place of what was saved before; how that went comes back
    /// through [`DeviceServer::on_saved`], in order.
    Save(SavedState),
}

/// The device server of one logical unit. `T` is the transport's token for a command, `O` watches.
#[derive(Debug)]
pub struct DeviceServer<T, O> {
    pub(crate) unit: LogicalUnit,
    pub(crate) tasks: Tasks<T>,
    pub(crate) locks: RangeLock,
    pub(crate) lanes: Lanes,
    pub(crate) answers: VecDeque<Answer<T>>,
    pub(crate) observer: O,
    /// When the unit was last busy, once it has been.
    pub(crate) idle_since: Option<Instant>,
    /// Ops that are to be sent to the medium, those of heartbeats first.
    pub(crate) submissions: VecDeque<(Holder, Op, Buffer)>,
    access_states: VecDeque<(Holder, Vec<AccessStateChange>)>,
    /// Parts of copies that are to be handed on.
    pub(crate) copy_ops: VecDeque<(OpTag, CopyParty, CopyOp, Buffer)>,
    pub(crate) queries: Vec<Query>,
    /// What is to be saved.
    pub(crate) saves: VecDeque<SavedState>,
    /// What is being saved, and for whom.
    pub(crate) saving: VecDeque<(Holder, SavedState)>,
    /// Queries answered since the last poll: whoever asked goes on then.
    pub(crate) answered: Vec<Query>,
    pub(crate) scratch: Scratch,
    next_task: TaskId,
}

impl<T, O: Observer> DeviceServer<T, O> {
    /// The device server of a medium with this shape.
    pub fn new(
        config: LuConfig,
        geometry: Geometry,
        capabilities: Capabilities,
        observer: O,
    ) -> Self {
        let mut attentions = UnitAttentions::default();
        attentions.set_tells_others(config.tell_others);
        Self {
            unit: LogicalUnit {
                space: Space::new(config.pool.clone()),
                config,
                geometry,
                capabilities,
                modes: LogicalUnit::default_modes(capabilities),
                identity: None,
                port_groups: None,
                attentions,
                saved: SavedState::default(),
                to_save: SavedState::default(),
                readiness: Readiness::new(),
                statistics: Statistics::default(),
                background: None,
                failed: None,
                marked: MarkedBlocks::default(),
                seen_metadata: SeenMetadata::default(),
                copies: Copies::default(),
                copy_peers: Vec::new(),
            },
            tasks: Tasks::new(),
            locks: RangeLock::default(),
            lanes: Lanes::new(),
            // These grow to what was ever needed: filled in turn, all of them would be touched.
            answers: VecDeque::new(),
            observer,
            idle_since: None,
            submissions: VecDeque::new(),
            access_states: VecDeque::new(),
            copy_ops: VecDeque::new(),
            queries: Vec::new(),
            saves: VecDeque::new(),
            saving: VecDeque::new(),
            answered: Vec::new(),
            scratch: Scratch::default(),
            next_task: TaskId::FIRST,
        }
    }

    /// Takes a command. It is answered, now or later, through [`Self::poll_action`].
    pub fn on_command(&mut self, now: Instant, incoming: Incoming<T>) {
        let answer = self.on_command_before(now, incoming, &mut Elsewhere);
        self.answers.extend(answer);
    }

    /// Takes a command before `medium`, and answers it if it is over with that; else later, through
    /// [`Self::poll_action`].
    // Inlined, the command and its answer are made where they are needed.
    #[inline(always)]
    pub fn on_command_before(
        &mut self,
        now: Instant,
        incoming: Incoming<T>,
        medium: &mut impl Medium,
    ) -> Option<Answer<T>> {
        let id = self.take_task_id();
        self.unit.copies.forget_old(now);
        let Incoming { token, tag, cdb, mut data } = incoming;
        self.count_idle(now);
        let opcode = cdb.opcode().unwrap_or_default();
        self.observer.observe(now, &Event::Arrived { task: id, cdb: &cdb });
        self.unit.attentions.advance(now);
        let admission = if self.tasks.is_full() {
            Admission::End(Outcome::status(Status::TaskSetFull))
        } else {
            admit(&mut self.unit, &cdb, &mut data, tag.is_some())
        };
        let (mut exec, phase, claim, lane) = match admission {
            Admission::Run { exec, claim, lane } => (exec, Phase::Parked, claim, lane),
            Admission::Ask(query, command) => {
                self.queries.push(query);
                (Exec::Ask(query, command), Phase::Asking, None, Lane::Bulk)
            }
            Admission::Await(outcome) => {
                self.claim_for_background();
                (Exec::AwaitBackground(Box::new(outcome)), Phase::Asking, None, Lane::Bulk)
            }
            Admission::StartAndEnd(outcome) => {
                self.claim_for_background();
                let unfiled = Unfiled { id, opcode, token, data };
                return Some(self.end_at_once(now, unfiled, None, outcome));
            }
            Admission::Copy(copy) => (Exec::ExtendedCopy(copy), Phase::Copying, None, Lane::Bulk),
            Admission::End(outcome) => {
                let unfiled = Unfiled { id, opcode, token, data };
                return Some(self.end_at_once(now, unfiled, None, outcome));
            }
        };
        let clear = claim.filter(|(range, access)| {
            medium.may_do(lane, data.len()) && self.is_clear(*range, *access, lane)
        });
        let mut begun = None;
        if let Some((blocks, _)) = clear
            && self.unit.marked.is_empty()
            && let Some(only) = exec.only_op(&self.unit, &data)
        {
            if let Some(outcome) = self.carry_out_op(now, id, lane, &only, &mut data, medium) {
                self.count(now, now, &exec, Some(blocks), outcome.status);
                let work = Work { lane, blocks, tag };
                let unfiled = Unfiled { id, opcode, token, data };
                return Some(self.end_at_once(now, unfiled, Some(work), outcome));
            }
            begun = Some(only.op);
        }
        let mut task = Task {
            id,
            token: Some(token),
            tag,
            opcode,
            lane,
            phase,
            claim,
            exec,
            data,
            gate: None,
            reserved: 0,
            aborted: false,
            arrived: now,
            started: None,
            since: now,
            waited: Waited::default(),
        };
        if let Some(op) = begun {
            self.file_begun(now, task, op);
            return None;
        }
        if clear.is_some() {
            return match self.carry_out(now, &mut task, medium) {
                Ok(answer) => Some(answer),
                Err(step) => {
                    self.file_running(now, task, step);
                    None
                }
            };
        }
        if phase == Phase::Parked {
            let range = claim.map(|(range, _)| range);
            self.observer.observe(now, &Event::Admitted { task: id, lane, range });
        }
        let at = self.tasks.insert(task);
        match claim {
            Some((range, access)) => self.claim(now, at, range, access),
            None if phase == Phase::Asking => {}
            None if phase == Phase::Copying => self.start_copy(now, at),
            None => self.make_ready(now, at),
        }
        None
    }

    pub(crate) fn take_task_id(&mut self) -> TaskId {
        let id = self.next_task;
        self.next_task = id.next();
        id
    }

    /// Takes the end of an op that [`Action::Submit`] asked for.
    ///
    /// # Panics
    /// If no such op is in flight: the medium answered twice.
    pub fn on_op_done(
        &mut self,
        now: Instant,
        tag: OpTag,
        result: Result<OpOutput, BackstoreError>,
        buffer: Buffer,
    ) {
        if tag == background::OP_TAG {
            self.background_op_done(now, result, buffer);
            return;
        }
        let at = self.tasks.by_op_tag(tag);
        let task = self.tasks.task(at);
        self.observer.observe(now, &Event::OpDone { task: task.id, result });
        if let Some(gate) = task.gate {
            self.look_on_at_gate(now, at, gate, result);
            return;
        }
        self.step(now, at, Input::Done(result, buffer));
    }

    /// Takes the answer to [`Query::Identity`].
    pub fn on_identity(&mut self, identity: Identity) {
        self.unit.identity = Some(identity);
        self.answered.push(Query::Identity);
    }

    /// Takes the answer to [`Query::PortGroups`]. If INQUIRY data differ from now on, an initiator is
    /// told.
    pub fn on_port_groups(&mut self, groups: Vec<PortGroup>) {
        let support = target_port_group_support(&groups);
        let before = self.unit.port_groups.replace(groups);
        if before.is_some_and(|before| target_port_group_support(&before) != support) {
            self.raise(UnitAttention::InquiryDataHasChanged);
        }
        self.answered.push(Query::PortGroups);
    }

    /// Takes the end of what [`Action::SetAccessStates`] asked for. Nobody may wait for it any more:
    /// it was asked for by a device server before this one.
    pub fn on_access_states_set(&mut self, now: Instant, request: OpTag, changed: bool) {
        for at in self.tasks.find(|task| matches!(task.exec, Exec::SetTargetPortGroups)) {
            if self.tasks.op_tag(at) == request {
                self.retire(now, at, set_target_port_groups::outcome(changed));
            }
        }
    }

    /// Takes the answer to [`Query::Initiators`]. Nobody waits for it.
    pub fn on_initiators(&mut self, initiators: u32) {
        self.unit.attentions.set_initiators(initiators);
    }

    /// Raises a unit attention condition: reported once, or several times if there are several
    /// initiators.
    pub fn raise(&mut self, condition: UnitAttention) {
        self.unit.attentions.raise(condition);
    }

    /// Takes new settings; commands already admitted keep theirs. If VPD pages differ from now on,
    /// an initiator is told.
    pub fn reconfigure(&mut self, config: LuConfig) {
        // All but what only decides about lanes or about CDBs, and what has words of its own; of a
        // pool, that there is one.
        let told = |config: &LuConfig| {
            let physical_block_bytes = 512;
            let settings = LuConfig {
                metadata: Vec::new(),
                read_only: false,
                long_cdbs: false,
                tell_others: false,
                physical_block_bytes,
                pool: None,
                ..config.clone()
            };
            (settings, config.pool.is_some())
        };
        if told(&config) != told(&self.unit.config) {
            self.raise(UnitAttention::InquiryDataHasChanged);
        }
        let capacity_data =
            |config: &LuConfig| (config.physical_block_bytes, config.fully_provisioned);
        if capacity_data(&config) != capacity_data(&self.unit.config) {
            // LOGICAL BLOCKS PER PHYSICAL BLOCK EXPONENT and LBPME.
            self.raise(UnitAttention::CapacityDataHasChanged);
        }
        if config.read_only != self.unit.config.read_only {
            // WP of the mode parameter header.
            self.raise(UnitAttention::ModeParametersChanged);
        }
        if !config.removable {
            self.unit.readiness.put_back();
        }
        let thresholds = self.unit.provisioning_thresholds();
        self.unit.attentions.set_tells_others(config.tell_others);
        self.unit.space.set_pool(config.pool.clone());
        if thresholds != self.unit.provisioning_thresholds() {
            // The Logical Block Provisioning mode page.
            self.raise(UnitAttention::ModeParametersChanged);
        }
        self.unit.config = config;
        // Whom copies may reach is a setting too.
        self.unit.copy_peers.clear();
    }

    /// Takes a new number of blocks, and tells an initiator.
    pub fn resize(&mut self, blocks: BlockCount) {
        if self.unit.geometry.blocks != blocks {
            self.unit.geometry.blocks = blocks;
            self.unit.marked.cut_off(blocks);
            self.raise(UnitAttention::CapacityDataHasChanged);
        }
    }

    /// Takes a reset of the logical unit; the commands it aborts come through [`Self::on_abort`].
    pub fn on_reset(&mut self) {
        self.unit.reset();
    }

    /// Switches the volatile write cache of a medium that has one, and tells an initiator.
    pub fn set_write_cache(&mut self, enabled: bool) {
        let enabled = enabled && self.unit.capabilities.write_cache;
        if self.unit.modes.write_cache_enabled != enabled {
            self.unit.modes.write_cache_enabled = enabled;
            self.raise(UnitAttention::ModeParametersChanged);
        }
    }

    /// The form autosense takes (D_SENSE of the Control mode page).
    pub fn sense_format(&self) -> SenseFormat {
        if self.unit.modes.descriptor_sense { SenseFormat::Descriptor } else { SenseFormat::Fixed }
    }

    /// The shape of the medium as initiators see it.
    pub fn geometry(&self) -> Geometry {
        self.unit.geometry
    }

    /// Tasks in flight, waiting ones included.
    pub fn in_flight(&self) -> usize {
        self.tasks.len()
    }

    /// Whether a task still claims blocks that a medium of this size does not have.
    pub fn touches_beyond(&self, blocks: BlockCount) -> bool {
        self.locks.any_beyond(blocks)
    }

    /// Whoever watches.
    pub fn observer(&self) -> &O {
        &self.observer
    }

    /// The same, to be told what no event tells.
    pub fn observer_mut(&mut self) -> &mut O {
        &mut self.observer
    }

    /// The next of the answers that are ready: what [`Self::poll_action`] begins with, for whoever has more to take in
    /// first. As long as one is there nothing is carried out before a medium ([`Self::on_command_before`]).
    pub fn next_answer(&mut self) -> Option<Answer<T>> {
        self.answers.pop_front()
    }

    /// What to do next; `None` until something comes in. Answers first: a batch of them costs the
    /// transport one doorbell.
    pub fn poll_action(&mut self, now: Instant) -> Option<Action<T>> {
        loop {
            if let Some(answer) = self.next_answer() {
                return Some(Action::Answer(answer));
            }
            if let Some((at, op, buffer)) = self.submissions.pop_front() {
                if at == background::HOLDER {
                    let (tag, urgent) = (background::OP_TAG, false);
                    return Some(Action::Submit { op, tag, buffer, urgent });
                }
                let tag = self.tasks.op_tag(at);
                let task = self.tasks.task(at);
                self.observer.observe(now, &Event::OpSubmitted { task: task.id, op });
                let urgent = task.lane == Lane::Heartbeat;
                return Some(Action::Submit { op, tag, buffer, urgent });
            }
            if let Some((tag, party, op, buffer)) = self.copy_ops.pop_front() {
                return Some(Action::CopyOp { party, op, tag, buffer });
            }
            if let Some((at, changes)) = self.access_states.pop_front() {
                let request = self.tasks.op_tag(at);
                return Some(Action::SetAccessStates { request, changes });
            }
            if let Some(state) = self.saves.pop_front() {
                return Some(Action::Save(state));
            }
            if let Some(query) = self.queries.pop() {
                return Some(Action::Ask(query));
            }
            if self.unit.attentions.wants_initiators() {
                for condition in self.unit.attentions.newly_raised() {
                    self.observer.observe(now, &Event::AttentionRaised { condition });
                }
                return Some(Action::Ask(Query::Initiators));
            }
            if let Some(query) = self.answered.pop() {
                self.resume_asking(now, query);
                continue;
            }
            let at = self.lanes.start_next()?;
            if at == background::HOLDER {
                self.step_background(now);
                continue;
            }
            let task = self.tasks.task(at);
            task.enter(Phase::Running, now);
            if task.started.is_none() {
                task.started = Some(now);
                self.observer.observe(now, &Event::Started { task: task.id, lane: task.lane });
            }
            if !self.stops_at_gate(at) {
                self.go(now, at);
            }
        }
    }

    /// Claims a range for a task that has none, and starts or parks it.
    pub(crate) fn claim(
        &mut self,
        now: Instant,
        at: Holder,
        range: pulsefield_units::LbaRange,
        access: Access,
    ) {
        self.tasks.task(at).claim = Some((range, access));
        let granted = self.locks.claim(at, range, access);
        self.start_or_park(now, at, granted);
    }

    /// The same for a task that copies from `source` to `range`.
    pub(crate) fn claim_copy(
        &mut self,
        now: Instant,
        at: Holder,
        source: pulsefield_units::LbaRange,
        range: pulsefield_units::LbaRange,
    ) {
        self.tasks.task(at).claim = Some((range, Access::Exclusive));
        let granted = self.locks.claim_copy(at, source, range);
        self.start_or_park(now, at, granted);
    }

    fn start_or_park(&mut self, now: Instant, at: Holder, granted: bool) {
        if granted {
            self.make_ready(now, at);
        } else {
            let task = self.tasks.task(at);
            task.enter(Phase::Parked, now);
            let parked = Event::Parked { task: task.id, lane: task.lane };
            self.observer.observe(now, &parked);
        }
    }

    /// Puts a task that holds what it needs into its lane.
    pub(crate) fn make_ready(&mut self, now: Instant, at: Holder) {
        let task = self.tasks.task(at);
        task.enter(Phase::Ready, now);
        let lane = task.lane;
        self.lanes.enqueue(lane, at);
    }

    /// Gives up a task's range, and lets those in who waited for it.
    pub(crate) fn release(&mut self, now: Instant, at: Holder) {
        if self.tasks.task(at).claim.take().is_some() {
            self.release_claim(now, at);
        }
    }

    /// Gives up the claim of `holder`, and lets those in who waited for it.
    pub(crate) fn release_claim(&mut self, now: Instant, holder: Holder) {
        let Self { locks, tasks, lanes, observer, .. } = self;
        locks.release(holder, |granted| {
            if granted == background::HOLDER {
                lanes.enqueue(Lane::Bulk, granted);
                return;
            }
            let task = tasks.task(granted);
            observer.observe(now, &Event::Granted { task: task.id });
            task.enter(Phase::Ready, now);
            lanes.enqueue(task.lane, granted);
        });
    }

    /// Starts a task that holds its range and its slot, or goes on with one that holds its next range.
    pub(crate) fn go(&mut self, now: Instant, at: Holder) {
        self.step(now, at, Input::Go);
    }

    /// Carries a running task one step further.
    fn step(&mut self, now: Instant, at: Holder, input: Input) {
        let Self { unit, tasks, scratch, .. } = self;
        let task = tasks.task(at);
        // What an abort may still drop. Asked before the step: the step itself may decide to write.
        let droppable = task.aborted && !task.exec.has_written();
        let step = advance(unit, scratch, task, input);
        if droppable {
            self.retire(now, at, Outcome::status(Status::TaskAborted));
            return;
        }
        self.follow(now, at, step);
    }

    /// Has an op of the task at `at` sent to the medium.
    pub(crate) fn send(&mut self, at: Holder, op: Op, buffer: Buffer) {
        match self.tasks.task(at).lane {
            Lane::Heartbeat => self.submissions.push_front((at, op, buffer)),
            Lane::Bulk => self.submissions.push_back((at, op, buffer)),
        }
    }

    /// Does what the task at `at` wants next.
    pub(crate) fn follow(&mut self, now: Instant, at: Holder, step: Step) {
        match step {
            Step::Op(op, buffer) => self.send(at, op, buffer),
            Step::End(outcome) => self.retire(now, at, outcome),
            Step::Ask(query) => self.queries.push(query),
            Step::SetAccessStates(changes) => self.access_states.push_back((at, changes)),
            Step::Save(state) => self.save(at, state),
            Step::Claim(range) => {
                if let Some(background) = &self.unit.background {
                    // It has the medium next, and nothing of before may be done to it after that.
                    let outcome = Outcome::check(background.sense());
                    self.retire(now, at, outcome);
                    return;
                }
                // The slot goes back too: whoever holds the range may be waiting for one.
                let lane = self.tasks.task(at).lane;
                self.lanes.finish(lane);
                self.release(now, at);
                self.claim(now, at, range, Access::Exclusive);
            }
        }
    }

    /// Ends the commands that waited for the answer to `answered`. They need no slot: a path checker
    /// is told the truth even while the medium hangs.
    fn resume_asking(&mut self, now: Instant, answered: Query) {
        let waits = |task: &Task<T>| {
            task.phase == Phase::Asking
                && matches!(task.exec, Exec::Ask(query, _) if query == answered)
        };
        for at in self.tasks.find(waits) {
            self.step(now, at, Input::Go);
        }
        self.resume_copies(now, answered);
    }
}

/// Has a task that runs say what it wants next.
#[inline]
pub(crate) fn advance<T>(
    unit: &mut LogicalUnit,
    scratch: &mut Scratch,
    task: &mut Task<T>,
    input: Input,
) -> Step {
    let mut cx = Context { unit, scratch, data: &mut task.data };
    let step = task.exec.step(&mut cx, input);
    if cx.unit.marked.is_empty() { step } else { heed(&mut task.exec, &mut cx, step) }
}

#[cfg(test)]
mod tests;
