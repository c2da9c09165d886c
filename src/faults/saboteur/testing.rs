//! The test bench: a saboteur in front of a real device server on a medium of memory, and a clock that
//! the test moves.
//!
//! A test reads as a timeline: `arm` a fault, `send` a command, `pass` some time, take the `answer`.
//! The [`World`] itself watches what must hold at any time: every command is answered once, with the
//! buffer it came with, and so that SCSI can express it.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use pulsefield_backstore::{Capabilities, Extent, Geometry, Mapping, Op, OpOutput, OpTag};
use pulsefield_data::Buffer;
use pulsefield_engine::{Action, Answer, DeviceServer, Incoming, LuConfig, Outcome};
use pulsefield_scsi::{Asc, Sense, SenseKey, Status};
use pulsefield_units::{BlockCount, BlockLength, Cdb, Instant, Lba, LbaRange};

use crate::{Deed, Fault, Plan, PlanId, Rule, Saboteur, SceneId, Unit, Verdict, When, Where};

/// Blocks of the medium, 512 bytes each.
pub(crate) const BLOCKS: u64 = 64;

/// For how long the kernel is said to wait.
pub(crate) const TIME_OUT: Duration = Duration::from_secs(30);

pub(crate) const MS: Duration = Duration::from_millis(1);

/// What the device server knows a command by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Token {
    /// One of the test's, with this tag.
    Command(u16),
    /// One of the saboteur's.
    Scene(SceneId),
}

impl From<SceneId> for Token {
    fn from(id: SceneId) -> Self {
        Self::Scene(id)
    }
}

/// How a command ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Reply {
    pub(crate) outcome: Outcome,
    /// Its buffer.
    pub(crate) bytes: Vec<u8>,
}

impl Reply {
    #[track_caller]
    pub(crate) fn good(&self) {
        assert_eq!((self.outcome.status, self.outcome.sense), (Status::Good, None));
    }

    #[track_caller]
    pub(crate) fn good_with(&self, data: &[u8]) {
        self.good();
        assert_eq!(self.outcome.data_in, Some(data.len()));
        assert!(self.bytes[..data.len()] == *data, "Data-In is {:02x?}", self.bytes);
    }

    #[track_caller]
    pub(crate) fn status(&self, status: Status) {
        assert_eq!(self.outcome, Outcome::status(status));
    }

    #[track_caller]
    pub(crate) fn sense(&self, sense: Sense) {
        assert_eq!(self.outcome, Outcome::check(sense));
    }

    #[track_caller]
    pub(crate) fn codes(&self, key: SenseKey, asc: u8, ascq: u8) {
        self.sense(Sense::new(key, Asc::new(asc, ascq)));
    }

    #[track_caller]
    pub(crate) fn miscompare(&self, offset: u64) {
        self.sense(Sense::miscompare(offset));
    }
}

/// A saboteur, its device server, the medium, and whoever sends commands.
pub(crate) struct World {
    pub(crate) saboteur: Saboteur<Token>,
    pub(crate) server: DeviceServer<Token, ()>,
    pub(crate) medium: Vec<u8>,
    pub(crate) now: Instant,
    /// Whether ops wait at the medium until [`Self::finish`].
    pub(crate) holds_ops: bool,
    at_medium: VecDeque<(Op, OpTag, Buffer)>,
    brought: BTreeMap<u16, usize>,
    replies: BTreeMap<u16, Reply>,
    next_tag: u16,
}

impl Default for World {
    fn default() -> Self {
        let block_length = BlockLength::B512;
        let geometry = Geometry { block_length, blocks: BlockCount::new(BLOCKS) };
        let capabilities =
            Capabilities { thin: true, atomic_write: true, ..Capabilities::default() };
        let config = LuConfig::default();
        let metadata = Vec::new();
        Self {
            saboteur: Saboteur::new(Unit {
                geometry,
                metadata,
                compare_and_write_blocks_max: config.compare_and_write_blocks_max,
                command_time_out: TIME_OUT,
            }),
            server: DeviceServer::new(config, geometry, capabilities, ()),
            medium: vec![0; 512 * usize::try_from(BLOCKS).unwrap()],
            now: Instant::from_nanos(1),
            holds_ops: false,
            at_medium: VecDeque::new(),
            brought: BTreeMap::new(),
            replies: BTreeMap::new(),
            next_tag: 0,
        }
    }
}

/// A rule named `r` that hits every command that its fault can happen to.
pub(crate) fn rule(fault: Fault) -> Rule {
    Rule {
        name: "r".to_owned(),
        place: Where::default(),
        when: When::default(),
        fault,
        verdict: Verdict::InitiatorSees,
    }
}

pub(crate) fn plan(rules: Vec<Rule>) -> Plan {
    Plan { seed: 1, lasting: None, hits: None, rules }
}

impl World {
    /// A world with this fault for every command that it can happen to.
    pub(crate) fn with(fault: Fault) -> Self {
        let mut world = Self::default();
        world.arm(fault);
        world
    }

    pub(crate) fn arm(&mut self, fault: Fault) -> PlanId {
        self.arm_rules(vec![rule(fault)])
    }

    pub(crate) fn arm_rules(&mut self, rules: Vec<Rule>) -> PlanId {
        self.arm_plan(plan(rules))
    }

    pub(crate) fn arm_plan(&mut self, plan: Plan) -> PlanId {
        self.saboteur.arm(self.now, Arc::new(plan), "lun")
    }

    /// Sends a command; returns its tag.
    pub(crate) fn send(&mut self, cdb: &[u8], data: &[u8]) -> u16 {
        let tag = self.next_tag;
        self.next_tag = self.next_tag.wrapping_add(1);
        let mut buffer = Buffer::heap(data.len());
        buffer.write_at(0, data);
        self.brought.insert(tag, data.len());
        let incoming = Incoming {
            token: Token::Command(tag),
            tag: Some(tag),
            cdb: Cdb::new(cdb),
            data: buffer,
        };
        let in_flight = self.brought.len();
        if let Some(incoming) = self.saboteur.on_command(self.now, incoming, in_flight) {
            self.server.on_command(self.now, incoming);
        }
        self.pump();
        tag
    }

    /// Sends a command and takes its answer, which is there at once.
    #[track_caller]
    pub(crate) fn execute(&mut self, cdb: &[u8], data: &[u8]) -> Reply {
        let tag = self.send(cdb, data);
        self.answer(tag)
    }

    #[track_caller]
    pub(crate) fn answer(&mut self, tag: u16) -> Reply {
        self.replies.remove(&tag).unwrap_or_else(|| panic!("command {tag} is not answered"))
    }

    /// Takes all answers that there are.
    pub(crate) fn take_replies(&mut self) -> BTreeMap<u16, Reply> {
        std::mem::take(&mut self.replies)
    }

    pub(crate) fn waits(&self, tag: u16) -> bool {
        self.brought.contains_key(&tag)
    }

    pub(crate) fn abort(&mut self, tag: u16) {
        self.saboteur.on_abort(self.now, &[tag]);
        self.server.on_abort(self.now, &[tag]);
        self.pump();
    }

    /// Lets so much time pass, deadline by deadline.
    pub(crate) fn pass(&mut self, duration: Duration) {
        let end = self.now.after(duration);
        while let Some(due) = self.saboteur.next_deadline().filter(|due| *due <= end) {
            self.now = self.now.max(due);
            self.pump();
        }
        self.now = end;
        self.pump();
    }

    pub(crate) fn stop(&mut self) {
        self.saboteur.stop(self.now);
        self.pump();
    }

    pub(crate) fn pump(&mut self) {
        loop {
            if let Some(deed) = self.saboteur.poll(self.now) {
                match deed {
                    Deed::Send(incoming) => self.server.on_command(self.now, incoming),
                    Deed::Answer(answer) => self.keep(answer),
                    Deed::Raise(condition) => self.server.raise(condition),
                }
            } else if let Some(action) = self.server.poll_action(self.now) {
                self.act(action);
            } else if self.holds_ops || self.at_medium.is_empty() {
                return;
            } else {
                self.finish_one();
            }
        }
    }

    fn act(&mut self, action: Action<Token>) {
        match action {
            Action::Answer(answer) => match answer.token {
                Token::Command(_) => self.keep(answer),
                Token::Scene(id) => {
                    let Answer { status, sense, data_in, data, .. } = answer;
                    let outcome = Outcome { status, sense, data_in };
                    self.saboteur.on_answer(self.now, id, outcome, data);
                }
            },
            Action::Submit { op, tag, buffer, .. } => self.at_medium.push_back((op, tag, buffer)),
            Action::Ask(_) => {}
            Action::CopyOp { .. } | Action::SetAccessStates { .. } | Action::Save(_) => {
                panic!("no test sends what leads to this")
            }
        }
    }

    /// The medium does all ops that wait.
    pub(crate) fn finish(&mut self) {
        while !self.at_medium.is_empty() {
            self.finish_next();
        }
    }

    /// The medium does the first op that waits.
    pub(crate) fn finish_next(&mut self) {
        self.finish_one();
        self.pump();
    }

    fn finish_one(&mut self) {
        let Some((op, tag, mut buffer)) = self.at_medium.pop_front() else { return };
        let bytes = |range: LbaRange| {
            let at = |lba: Lba| usize::try_from(lba.as_u64()).unwrap() * 512;
            at(range.start())..at(range.end())
        };
        let mut output = OpOutput::Done;
        match op {
            Op::Read { range } => buffer.write_at(0, &self.medium[bytes(range)]),
            Op::Write { range, .. } | Op::WriteAtomic { range, .. } => {
                buffer.read_at(0, &mut self.medium[bytes(range)]);
            }
            Op::WriteZeroes { range, .. } | Op::Unmap { range } => {
                self.medium[bytes(range)].fill(0);
            }
            Op::Provisioning { range } => {
                let blocks = range.blocks();
                output = OpOutput::Extent(Extent { mapping: Mapping::Mapped, blocks });
            }
            Op::Flush => {}
            Op::CompareAndWrite { .. } | Op::Copy { .. } => panic!("this medium cannot"),
        }
        self.server.on_op_done(self.now, tag, Ok(output), buffer);
    }

    fn keep(&mut self, answer: Answer<Token>) {
        let Answer { token, status, sense, data_in, data, .. } = answer;
        let Token::Command(tag) = token else { panic!("a scene is no command") };
        let brought = self.brought.remove(&tag).expect("answered once");
        assert_eq!(data.len(), brought, "an answer brings its command's own buffer back");
        assert!(data_in.is_none_or(|valid| valid <= brought));
        assert_eq!(sense.is_some(), status == Status::CheckCondition);
        assert!(data_in.is_none() || status == Status::Good);
        let mut bytes = vec![0; data.len()];
        data.read_at(0, &mut bytes);
        let outcome = Outcome { status, sense, data_in };
        self.replies.insert(tag, Reply { outcome, bytes });
    }

    /// One block of the medium.
    pub(crate) fn block(&self, lba: usize) -> &[u8] {
        &self.medium[lba * 512..(lba + 1) * 512]
    }

    pub(crate) fn put(&mut self, lba: usize, bytes: &[u8]) {
        self.medium[lba * 512..lba * 512 + bytes.len()].copy_from_slice(bytes);
    }

    pub(crate) fn write(&mut self, lba: u8, fill: u8) -> Reply {
        self.execute(&write(lba, 1), &block(fill))
    }

    pub(crate) fn read(&mut self, lba: u8) -> Vec<u8> {
        let reply = self.execute(&read(lba, 1), &[0xa5; 512]);
        reply.good();
        reply.bytes
    }

    /// COMPARE AND WRITE of one block, from one fill to another.
    pub(crate) fn caw(&mut self, lba: u8, test: u8, set: u8) -> Reply {
        self.execute(&compare_and_write(lba), &pair(test, set))
    }

    /// Nothing is left over.
    #[track_caller]
    pub(crate) fn assert_idle(&self) {
        assert!(self.saboteur.is_idle() && self.brought.is_empty() && self.at_medium.is_empty());
        assert_eq!((self.saboteur.unanswered(), self.saboteur.sent()), (0, 0));
        assert_eq!(self.server.in_flight(), 0);
    }
}

pub(crate) fn range(start: u64, blocks: u64) -> LbaRange {
    LbaRange::new(Lba::new(start), BlockCount::new(blocks)).unwrap()
}

pub(crate) fn block(fill: u8) -> Vec<u8> {
    vec![fill; 512]
}

pub(crate) fn pair(test: u8, set: u8) -> Vec<u8> {
    [block(test), block(set)].concat()
}

pub(crate) fn read(lba: u8, blocks: u8) -> [u8; 10] {
    [0x28, 0, 0, 0, 0, lba, 0, 0, blocks, 0]
}

pub(crate) fn write(lba: u8, blocks: u8) -> [u8; 10] {
    [0x2a, 0, 0, 0, 0, lba, 0, 0, blocks, 0]
}

pub(crate) fn compare_and_write(lba: u8) -> [u8; 16] {
    [0x89, 0, 0, 0, 0, 0, 0, 0, 0, lba, 0, 0, 0, 1, 0, 0]
}

/// UNMAP of one run, and its parameter list.
pub(crate) fn unmap(lba: u8, blocks: u8) -> ([u8; 10], [u8; 24]) {
    let mut list = [0; 24];
    (list[1], list[3], list[15], list[19]) = (22, 16, lba, blocks);
    ([0x42, 0, 0, 0, 0, 0, 0, 0, 24, 0], list)
}

pub(crate) const TEST_UNIT_READY: [u8; 6] = [0; 6];

/// INQUIRY of the Block Limits page.
pub(crate) const BLOCK_LIMITS: [u8; 6] = [0x12, 1, 0xb0, 0, 64, 0];
