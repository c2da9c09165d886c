//! A medium on the bench: opened by its handler, driven op by op, compared with the model.

use std::path::Path;
use std::sync::{Arc, mpsc};
use std::time::Duration;

use pulsefield_data::Buffer;
use pulsefield_units::{BlockCount, BlockLength, Lba, LbaRange};
use tempfile::TempDir;

use super::model::Model;
use super::scattered::scattered;
use super::{Origin, Retains, Subject};
use crate::{
    Backstore, BackstoreError, Cfgstring, Completion, CompletionSink, Extent, Geometry, Mapping,
    Op, OpOutput, OpTag, OpenSpec, Request, wait_for_answer,
};

/// How long a request may take before the kit calls it lost: far longer than any medium needs, so
/// that a slow machine fails no test.
const LOST_AFTER: Duration = Duration::from_secs(60);

/// An open medium, what it ought to hold, and where its answers arrive.
pub(super) struct Bench {
    subject: Subject,
    // Closed before its folder is removed: fields are dropped in order.
    medium: Arc<dyn Backstore>,
    folder: TempDir,
    model: Model,
    blocks: u64,
    inbox: Arc<Inbox>,
    answers: mpsc::Receiver<Completion>,
    tags: u64,
}

struct Inbox(mpsc::Sender<Completion>);

impl CompletionSink for Inbox {
    fn complete(&self, completion: Completion) {
        // A test that has failed no longer listens.
        drop(self.0.send(completion));
    }
}

/// Has `medium` carry out one op, with nothing beside it, and waits for the answer.
///
/// # Panics
/// If none comes within a minute.
pub fn execute(medium: &dyn Backstore, op: Op, buffer: Buffer) -> Result<OpOutput, BackstoreError> {
    let (sender, answers) = mpsc::channel();
    medium.submit(Request::new(op, OpTag(0), buffer, false, Arc::new(Inbox(sender))));
    let receive = |step| answers.recv_timeout(step).ok();
    wait_for_answer(medium, LOST_AFTER, receive).expect("an answer").result
}

/// `blocks` blocks from `start` on.
pub(super) fn range(start: u64, blocks: u64) -> LbaRange {
    LbaRange::new(Lba::new(start), BlockCount::new(blocks)).expect("not empty")
}

/// Bytes that differ from those of every other seed, and from zeros.
pub(super) fn pattern(seed: u64, len: usize) -> Vec<u8> {
    // The step of SplitMix64: an odd constant walks through all 64-bit numbers.
    let mut state = seed;
    let words = std::iter::repeat_with(|| {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        (state ^ (state >> 31)).wrapping_mul(0xbf58_476d_1ce4_e5b9) | 1
    });
    words.flat_map(u64::to_le_bytes).take(len).collect()
}

/// All bytes of `buffer`.
pub(super) fn bytes_of(buffer: &Buffer) -> Vec<u8> {
    let mut bytes = vec![0; buffer.len()];
    buffer.read_at(0, &mut bytes);
    bytes
}

impl Bench {
    /// A fresh medium of `blocks` blocks.
    pub(super) fn open(subject: &Subject, block_length: BlockLength, blocks: u64) -> Self {
        let folder = tempfile::tempdir().expect("a folder for the test");
        let geometry = Geometry { block_length, blocks: BlockCount::new(blocks) };
        let medium = open(subject, subject.cfgstring, &folder, geometry);
        let (sender, answers) = mpsc::channel();
        let mut model = Model::new(block_length, subject.retains);
        model.resize(blocks);
        Self {
            subject: *subject,
            medium,
            folder,
            model,
            blocks,
            inbox: Arc::new(Inbox(sender)),
            answers,
            tags: 0,
        }
    }

    /// Closes the medium and opens it by another cfgstring.
    pub(super) fn reopen_by(self, cfgstring: fn(&Path) -> String) -> Self {
        let geometry = self.medium.geometry();
        drop(self.medium);
        let medium = open(&self.subject, cfgstring, &self.folder, geometry);
        Self { medium, ..self }
    }

    /// Closes the medium; what was answered by then can still be [`collect`](Self::collect)ed from
    /// what is returned.
    pub(super) fn close(self) -> Vec<Completion> {
        drop(self.medium);
        self.answers.try_iter().collect()
    }

    pub(super) fn medium(&self) -> &dyn Backstore {
        &*self.medium
    }

    pub(super) const fn blocks(&self) -> u64 {
        self.blocks
    }

    pub(super) const fn model(&self) -> &Model {
        &self.model
    }

    pub(super) const fn model_mut(&mut self) -> &mut Model {
        &mut self.model
    }

    /// Whether the medium tells where it has no space.
    pub(super) fn knows_its_holes(&self) -> bool {
        self.subject.origin == Origin::Made && self.medium.capabilities().thin
    }

    pub(super) fn retains(&self) -> bool {
        self.subject.retains == Retains::Yes
    }

    /// Sends a request; every third one is urgent, and the medium may do every other one at once, which must not
    /// change its outcome.
    pub(super) fn start(&mut self, op: Op, mut buffer: Buffer) -> OpTag {
        self.tags += 1;
        let tag = OpTag(self.tags);
        let (urgent, may_be_at_once) = (self.tags.is_multiple_of(3), self.tags.is_multiple_of(2));
        if may_be_at_once && let Some(result) = self.medium.at_once(op, &mut buffer, urgent) {
            self.inbox.complete(Completion { tag, result, buffer });
            return tag;
        }
        let inbox = Arc::clone(&self.inbox);
        self.medium.submit(Request::new(op, tag, buffer, urgent, inbox));
        tag
    }

    /// Waits for `count` answers.
    pub(super) fn collect(&self, count: usize) -> Vec<Completion> {
        (0..count).map(|_| self.next().expect("every request is answered")).collect()
    }

    /// The next answer.
    fn next(&self) -> Option<Completion> {
        let receive = |step| self.answers.recv_timeout(step).ok();
        wait_for_answer(&*self.medium, LOST_AFTER, receive)
    }

    /// Sends one request and waits for its answer.
    pub(super) fn run(&mut self, op: Op, buffer: Buffer) -> Completion {
        let len = buffer.len();
        let tag = self.start(op, buffer);
        let answer = self.next().unwrap_or_else(|| panic!("{op:?} was not answered"));
        assert_eq!(answer.tag, tag, "the answer names another request");
        assert_eq!(answer.buffer.len(), len, "the answer brings another buffer");
        answer
    }

    /// Sends one request that must succeed.
    pub(super) fn succeed(&mut self, op: Op, buffer: Buffer) -> Completion {
        let answer = self.run(op, buffer);
        if let Err(error) = answer.result {
            panic!("{op:?} failed: {error}");
        }
        answer
    }

    /// Sends one request and says how it failed.
    pub(super) fn fail(&mut self, op: Op, buffer: Buffer) -> BackstoreError {
        match self.run(op, buffer).result {
            Ok(output) => panic!("{op:?} did not fail: {output:?}"),
            Err(error) => error,
        }
    }

    /// Writes a pattern, in both the medium and the model.
    pub(super) fn write(&mut self, range: LbaRange, durable: bool) {
        let bytes = pattern(self.tags, self.model.len_of(range));
        let mut buffer = scattered(bytes.len(), 0);
        buffer.write_at(0, &bytes);
        let answer = self.succeed(Op::Write { range, durable }, buffer);
        assert_eq!(bytes_of(&answer.buffer), bytes, "a write changes no buffer");
        self.model.write(range, &bytes);
    }

    pub(super) fn write_zeroes(&mut self, range: LbaRange, durable: bool, may_unmap: bool) {
        self.succeed(Op::WriteZeroes { range, durable, may_unmap }, Buffer::empty());
        self.model.zero(range);
    }

    pub(super) fn unmap(&mut self, range: LbaRange) {
        self.succeed(Op::Unmap { range }, Buffer::empty());
        self.model.zero(range);
    }

    /// Copies `source` to `range`, in both the medium and the model.
    pub(super) fn copy(&mut self, source: LbaRange, range: LbaRange, durable: bool) {
        self.succeed(Op::Copy { source, range, durable }, Buffer::empty());
        let bytes = self.model.read(source).to_vec();
        self.model.write(range, &bytes);
    }

    pub(super) fn resize(&mut self, blocks: u64) {
        if let Err(error) = self.medium.resize(BlockCount::new(blocks)) {
            panic!("{} blocks cannot become {blocks}: {error}", self.blocks);
        }
        let before = std::mem::replace(&mut self.blocks, blocks);
        self.model.resize(blocks);
        assert_eq!(self.medium.geometry().blocks, BlockCount::new(blocks));
        if blocks > before && self.subject.origin == Origin::Found {
            self.write_zeroes(range(before, blocks - before), false, true);
        }
    }

    /// Reads `range` and compares it with the model.
    pub(super) fn verify(&mut self, range: LbaRange) {
        // Filled beforehand: a byte that the medium forgot to fill shows.
        let buffer = scattered(self.model.len_of(range), 0xa5);
        let answer = self.succeed(Op::Read { range }, buffer);
        let difference = answer.buffer.first_difference(0, self.model.read(range));
        assert_eq!(difference, None, "blocks {range} differ from what was written, at this byte");
    }

    /// Compares every block with the model.
    pub(super) fn verify_all(&mut self) {
        self.verify(range(0, self.blocks));
    }

    /// The first run of `range`, checked to be neither empty nor longer than the range.
    pub(super) fn first_extent(&mut self, range: LbaRange) -> Extent {
        match self.run(Op::Provisioning { range }, Buffer::empty()).result {
            Ok(OpOutput::Extent(extent)) => {
                assert!(!extent.blocks.is_zero(), "an empty run at {range}: no end is in sight");
                assert!(extent.blocks <= range.blocks(), "{extent:?} is more than {range}");
                extent
            }
            other => panic!("{range} has no provisioning: {other:?}"),
        }
    }

    /// The provisioning of every block from `start` to the end, by as many ops as it takes.
    pub(super) fn provisioning(&mut self, start: u64) -> Vec<Mapping> {
        let mut blocks = Vec::new();
        let mut at = start;
        while at < self.blocks {
            let extent = self.first_extent(range(at, self.blocks - at));
            at += extent.blocks.as_u64();
            blocks.resize(usize::try_from(at - start).expect("small media"), extent.mapping);
        }
        blocks
    }
}

fn open(
    subject: &Subject,
    cfgstring: fn(&Path) -> String,
    folder: &TempDir,
    geometry: Geometry,
) -> Arc<dyn Backstore> {
    let text = cfgstring(folder.path());
    let config: Cfgstring = text.parse().unwrap_or_else(|error| panic!("{text}: {error}"));
    let files = || folder.path().read_dir().expect("the test's folder").count();
    let before = files();
    if let Err(error) = subject.handler.check(&config) {
        panic!("{text} is refused: {error}");
    }
    assert_eq!(files(), before, "checking {text} changed something");
    let spec = OpenSpec { name: "conformance".to_owned(), config, geometry, claim: None };
    let medium = subject.handler.open(&spec).unwrap_or_else(|error| panic!("{text}: {error}"));
    assert_eq!(medium.geometry(), geometry);
    medium
}
