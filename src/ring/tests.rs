//! The ring against bytes laid out by hand: golden entries, and hostile ones.

use std::sync::Arc;

use pulsefield_data::Buffer;

use crate::abi::{MAILBOX_SIZE, OP_CMD, OP_PAD, OP_TMR, UFLAG_READ_LEN, UFLAG_UNKNOWN_OP};
use crate::mailbox::Mailbox;
use crate::{
    Answer, AttachError, DataIn, Entry, Features, Malformed, Mapping, Ring, RingCommand, RingError,
    Tmr, TmrKind,
};

const OOOC: u16 = 0x1;
const READ_LEN: u16 = 0x2;

const RING_BYTES: u32 = 1024;
const DATA_START: usize = MAILBOX_SIZE + RING_BYTES as usize;
const REGION_BYTES: usize = DATA_START + 4 * 4096;

const GOOD: Answer<'_> = Answer { status: 0, sense: None, data_in: DataIn::All };

/// A region whose every byte is the test's to choose.
struct Region {
    mapping: Arc<Mapping>,
    mailbox: Mailbox,
}

impl Region {
    fn new(flags: u16) -> Self {
        let mapping = Mapping::anonymous(REGION_BYTES).unwrap();
        let mailbox = Mailbox::new(Arc::clone(&mapping));
        let region = Self { mapping, mailbox };
        region.put(0, &2u16.to_ne_bytes());
        region.put(2, &flags.to_ne_bytes());
        region.put(4, &128u32.to_ne_bytes());
        region.put(8, &RING_BYTES.to_ne_bytes());
        region
    }

    fn put(&self, offset: usize, bytes: &[u8]) {
        self.mapping.copy_in(offset, bytes);
    }

    fn bytes<const N: usize>(&self, offset: usize) -> [u8; N] {
        let mut bytes = [0; N];
        self.mapping.copy_out(offset, &mut bytes);
        bytes
    }

    fn put_words(&self, offset: usize, words: &[u64]) {
        for (nth, word) in words.iter().enumerate() {
            self.put(offset + 8 * nth, &word.to_ne_bytes());
        }
    }

    fn header(&self, offset: u32, opcode: u32, len: u32, cmd_id: u16) {
        let start = MAILBOX_SIZE + offset as usize;
        self.put(start, &(len | opcode).to_ne_bytes());
        self.put(start + 4, &cmd_id.to_ne_bytes());
        self.put(start + 6, &[0, 0]);
    }

    /// A command entry of 128 bytes with a 16-byte CDB and the given vectors; moves no head.
    fn command(&self, offset: u32, cmd_id: u16, iovs: &[(u64, u64)], bidi: usize) {
        let start = MAILBOX_SIZE + offset as usize;
        self.header(offset, OP_CMD, 128, cmd_id);
        let out = u32::try_from(iovs.len() - bidi).unwrap();
        self.put(start + 8, &out.to_ne_bytes());
        self.put(start + 12, &u32::try_from(bidi).unwrap().to_ne_bytes());
        self.put(start + 16, &[0; 8]);
        self.put_words(start + 24, &[start as u64 + 112, 0, 0]);
        for (nth, (base, len)) in iovs.iter().enumerate() {
            self.put_words(start + 48 + 16 * nth, &[*base, *len]);
        }
        self.put(start + 112, &[0x89, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15]);
    }

    fn attach(&self) -> Ring {
        Ring::attach(Arc::clone(&self.mapping)).unwrap()
    }
}

fn command(ring: &mut Ring) -> RingCommand {
    match ring.next_entry().unwrap() {
        Some(Entry::Command(command)) => command,
        other => panic!("not a command: {other:?}"),
    }
}

fn read(buffer: &Buffer) -> Vec<u8> {
    let mut bytes = vec![0; buffer.len()];
    buffer.read_at(0, &mut bytes);
    bytes
}

#[test]
fn a_command_is_read_and_answered_byte_by_byte() {
    let region = Region::new(OOOC | READ_LEN);
    region.put(DATA_START, &[0x11; 512]);
    region.put(DATA_START + 8192, &[0x22; 512]);
    let (first, second) = (DATA_START as u64, DATA_START as u64 + 8192);
    region.command(0, 7, &[(first, 512), (second, 512)], 0);
    region.mailbox.publish_head(128);

    let mut ring = region.attach();
    let all_off = Features {
        out_of_order: true,
        read_length: true,
        task_management: false,
        keep_buffer: false,
    };
    assert_eq!(ring.features(), all_off);
    let got = command(&mut ring);
    assert!(ring.next_entry().unwrap().is_none());
    assert_eq!(got.malformed, None);
    assert_eq!(got.token.cmd_id(), 7);
    assert_eq!(got.cdb.as_bytes(), [0x89, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15]);
    assert_eq!(read(&got.data), [[0x11; 512], [0x22; 512]].concat());
    assert!(got.data_in.is_empty());
    assert_eq!(ring.in_flight(), 1);

    let sense: [u8; 96] = std::array::from_fn(|at| u8::try_from(at).unwrap() + 1);
    let answer = Answer { status: 2, sense: Some(&sense), data_in: DataIn::All };
    ring.complete(got.token, answer, got.data);
    assert_eq!(ring.in_flight(), 0);
    assert_eq!(region.mailbox.answered_tail(), 0, "the tail moves with the batch only");
    assert!(ring.publish());
    assert_eq!(region.mailbox.answered_tail(), 128);
    assert!(!ring.publish(), "nothing new, no doorbell");

    assert_eq!(region.bytes(128), (128u32 | OP_CMD).to_ne_bytes(), "len_op stays");
    assert_eq!(region.bytes(132), 7u16.to_ne_bytes());
    assert_eq!(region.bytes(134), [0, 0], "kflags and uflags");
    assert_eq!(region.bytes(136), [2], "scsi_status");
    assert_eq!(region.bytes(144), sense);
    assert_eq!(region.bytes(240), [0x89], "the CDB behind the response stays");
}

#[test]
fn sense_data_is_never_left_over_from_the_request() {
    let region = Region::new(OOOC);
    region.command(0, 1, &[(DATA_START as u64, 4096)], 0);
    region.mailbox.publish_head(128);
    let mut ring = region.attach();
    let got = command(&mut ring);
    let answer = Answer { status: 2, sense: None, data_in: DataIn::All };
    ring.complete(got.token, answer, got.data);
    assert_eq!(region.bytes(144), [0u8; 96]);
}

#[test]
fn a_short_answer_states_its_length_and_leaves_no_byte_of_others() {
    for (flags, sent, stated) in
        [(READ_LEN, 700, true), (READ_LEN, 0, false), (READ_LEN, 1024, false), (0, 700, false)]
    {
        let region = Region::new(OOOC | flags);
        region.put(DATA_START, &[0xa5; 4 * 4096]);
        let start = DATA_START as u64;
        region.command(0, 1, &[(start, 512), (start + 4096, 512)], 0);
        region.mailbox.publish_head(128);
        let mut ring = region.attach();
        let mut got = command(&mut ring);
        got.data.fill(0, sent as usize, 0x33);
        let answer = Answer { status: 0, sense: None, data_in: DataIn::Short(sent) };
        ring.complete(got.token, answer, got.data);
        let data = [region.bytes::<512>(DATA_START), region.bytes(DATA_START + 4096)].concat();
        let (written, rest) = data.split_at(sent as usize);
        assert!(written.iter().all(|byte| *byte == 0x33));
        assert!(rest.iter().all(|byte| *byte == 0), "{sent} of 1024 with flags {flags:#x}");
        assert_eq!(region.bytes(135), [if stated { UFLAG_READ_LEN } else { 0 }]);
        if stated {
            assert_eq!(region.bytes(140), sent.to_ne_bytes());
        }
        assert_eq!(region.bytes(DATA_START + 512), [0xa5; 4096 - 512], "nor anything beyond");
    }
}

#[test]
fn data_in_of_a_bidirectional_command_is_zeroed_before_anybody_sees_it() {
    let region = Region::new(OOOC);
    region.put(DATA_START, &[0xa5; 4 * 4096]);
    let start = DATA_START as u64;
    region.command(0, 1, &[(start, 100), (start + 4096, 200)], 1);
    region.mailbox.publish_head(128);
    let mut ring = region.attach();
    let got = command(&mut ring);
    assert_eq!(read(&got.data), [0xa5; 100]);
    assert_eq!(read(&got.data_in), [0; 200]);
    drop(got.data_in);
    ring.complete(got.token, GOOD, got.data);
    assert_eq!(ring.in_flight(), 0);
}

#[test]
fn padding_is_passed_over_at_the_end_of_the_ring() {
    let region = Region::new(OOOC);
    region.mailbox.publish_tail(896);
    region.command(896, 1, &[], 0);
    region.mailbox.publish_head(0);
    let mut ring = region.attach();
    let got = command(&mut ring);
    ring.complete(got.token, GOOD, got.data);
    assert!(ring.publish());
    assert_eq!(region.mailbox.answered_tail(), 0, "an entry may end where the ring does");

    region.mailbox.publish_tail(1016);
    region.header(1016, OP_PAD, 8, 0);
    region.command(0, 2, &[], 0);
    region.mailbox.publish_head(128);
    let mut ring = region.attach();
    let got = command(&mut ring);
    assert_eq!(got.token.cmd_id(), 2);
    assert!(ring.publish(), "the padding itself can be given back");
    assert_eq!(region.mailbox.answered_tail(), 0);
    ring.complete(got.token, GOOD, got.data);
    assert!(ring.publish());
    assert_eq!(region.mailbox.answered_tail(), 128);
}

#[test]
fn an_unknown_opcode_is_marked_and_passed_over() {
    let region = Region::new(OOOC);
    region.command(0, 1, &[], 0);
    region.header(128, 5, 64, 9);
    region.command(192, 2, &[], 0);
    region.mailbox.publish_head(320);
    let mut ring = region.attach();
    let (one, two) = (command(&mut ring), command(&mut ring));
    assert_eq!(region.bytes(MAILBOX_SIZE + 128 + 7), [UFLAG_UNKNOWN_OP]);
    ring.complete(two.token, GOOD, two.data);
    assert!(ring.publish());
    assert_eq!(region.mailbox.answered_tail(), 192, "its slot holds nobody else's answer");
    assert_eq!(region.bytes(MAILBOX_SIZE + 128 + 4), 9u16.to_ne_bytes());
    ring.complete(one.token, GOOD, one.data);
    assert!(ring.publish());
    assert_eq!(region.mailbox.answered_tail(), 320);
}

#[test]
fn notifications_name_their_commands() {
    let region = Region::new(OOOC);
    region.header(0, OP_TMR, 40, 0);
    region.put(MAILBOX_SIZE + 8, &[128, 0, 0, 0]);
    region.put(MAILBOX_SIZE + 12, &3u32.to_ne_bytes());
    for (nth, id) in [5u16, 65_535, 1].iter().enumerate() {
        region.put(MAILBOX_SIZE + 32 + 2 * nth, &id.to_ne_bytes());
    }
    region.header(40, OP_TMR, 32, 0);
    region.put(MAILBOX_SIZE + 48, &[5, 0, 0, 0]);
    region.mailbox.publish_head(72);
    let mut ring = region.attach();
    for expected in [
        Tmr { kind: TmrKind::LunResetPro, command_ids: vec![5, 65_535, 1] },
        Tmr { kind: TmrKind::LunReset, command_ids: vec![] },
    ] {
        match ring.next_entry().unwrap() {
            Some(Entry::Tmr(tmr)) => assert_eq!(tmr, expected),
            other => panic!("not a notification: {other:?}"),
        }
    }
    assert!(ring.publish(), "its room is given back without an answer");
    assert_eq!(region.mailbox.answered_tail(), 72);
}

/// Answers in the given order of three commands, and the tails seen after each.
fn tails(flags: u16, order: [usize; 3]) -> Vec<(u32, [u16; 3])> {
    let region = Region::new(flags);
    for nth in 0..3u16 {
        region.command(u32::from(nth) * 128, nth + 1, &[(DATA_START as u64, 8)], 0);
    }
    region.mailbox.publish_head(384);
    let mut ring = region.attach();
    let mut commands: Vec<_> = (0..3).map(|_| Some(command(&mut ring))).collect();
    order
        .map(|nth| {
            let RingCommand { token, data, .. } = commands[nth].take().unwrap();
            ring.complete(token, GOOD, data);
            let _ = ring.publish();
            let ids = [0, 128, 256].map(|slot| u16::from_ne_bytes(region.bytes(132 + slot)));
            (region.mailbox.answered_tail(), ids)
        })
        .to_vec()
}

#[test]
fn out_of_order_answers_go_to_the_slot_at_the_tail() {
    let seen = tails(OOOC, [2, 0, 1]);
    assert_eq!(seen, [(128, [3, 2, 3]), (256, [3, 1, 3]), (384, [3, 1, 2])]);
}

#[test]
fn without_the_feature_answers_wait_for_their_turn() {
    let seen = tails(0, [2, 0, 1]);
    assert_eq!(seen, [(0, [1, 2, 3]), (128, [1, 2, 3]), (384, [1, 2, 3])]);
}

#[test]
fn a_mailbox_that_makes_no_sense_is_refused() {
    let short = Mapping::anonymous(127).unwrap();
    assert_eq!(Ring::attach(short).err(), Some(AttachError::NoMailbox { len: 127 }));

    let attach = |offset: usize, bytes: &[u8]| {
        let region = Region::new(OOOC);
        region.put(offset, bytes);
        Ring::attach(region.mapping).err().unwrap()
    };
    assert_eq!(attach(0, &1u16.to_ne_bytes()), AttachError::Version { version: 1 });
    for (offset, size) in [(120, 1024), (132, 1024), (128, 1020), (128, 104), (128, !7), (!7, 1024)]
    {
        let mut bytes = u32::to_ne_bytes(offset).to_vec();
        bytes.extend(u32::to_ne_bytes(size));
        assert_eq!(attach(4, &bytes), AttachError::Ring { offset, size, len: REGION_BYTES });
    }
    for (head, tail) in [(1024, 0), (4, 0), (0, 1024), (0, 12)] {
        let region = Region::new(OOOC);
        region.mailbox.publish_head(head);
        region.mailbox.publish_tail(tail);
        let error = Ring::attach(region.mapping).err();
        assert_eq!(error, Some(AttachError::Cursors { head, tail, size: RING_BYTES }));
    }
}

#[test]
fn a_head_that_jumps_breaks_the_ring() {
    let region = Region::new(OOOC);
    let mut ring = region.attach();
    for head in [4, 1024, u32::MAX] {
        region.mailbox.publish_head(head);
        let error = RingError::Head { head, cursor: 0, tail: 0 };
        assert_eq!(ring.next_entry().unwrap_err(), error);
        assert_eq!(ring.next_entry().unwrap_err(), error, "and stays broken");
    }
    region.command(0, 1, &[], 0);
    region.command(128, 2, &[], 0);
    region.mailbox.publish_head(256);
    let (one, two) = (command(&mut ring), command(&mut ring));
    for head in [128, 0] {
        region.mailbox.publish_head(head);
        let error = RingError::Head { head, cursor: 256, tail: 0 };
        assert_eq!(ring.next_entry().unwrap_err(), error, "never over slots in use");
    }
    ring.complete(one.token, GOOD, one.data);
    ring.complete(two.token, GOOD, two.data);
    assert!(ring.publish(), "what is in flight can still be answered");
}

#[test]
fn an_entry_that_cannot_be_passed_over_breaks_the_ring() {
    let broken = |opcode, len, head| {
        let region = Region::new(OOOC);
        region.header(0, opcode, len, 1);
        region.mailbox.publish_head(head);
        region.attach().next_entry().unwrap_err()
    };
    for (len, head) in [(0, 128), (136, 128), (RING_BYTES + 8, 128), (!7, 1016)] {
        for opcode in [OP_PAD, OP_CMD, OP_TMR, 6] {
            let error = RingError::EntryLength { offset: 0, len, available: head };
            assert_eq!(broken(opcode, len, head), error);
        }
    }
    let short = |len, needed| RingError::EntryTooShort { offset: 0, len, needed };
    assert_eq!(broken(OP_CMD, 104, 128), short(104, 112));
    assert_eq!(broken(OP_TMR, 24, 128), short(24, 32));

    let region = Region::new(OOOC);
    region.mailbox.publish_tail(1016);
    region.header(1016, OP_CMD, 128, 1);
    region.mailbox.publish_head(120);
    let error = RingError::EntryLength { offset: 1016, len: 128, available: 8 };
    assert_eq!(region.attach().next_entry().unwrap_err(), error, "entries never wrap");

    for count in [1, 5, u32::MAX] {
        let region = Region::new(OOOC);
        region.header(0, OP_TMR, 32, 0);
        region.put(MAILBOX_SIZE + 12, &count.to_ne_bytes());
        region.mailbox.publish_head(128);
        let error = region.attach().next_entry().unwrap_err();
        assert_eq!(error, short(32, 32 + 2 * u64::from(count)));
    }
}

#[test]
fn an_id_that_cannot_be_answered_breaks_the_ring() {
    let region = Region::new(OOOC);
    region.command(0, 3, &[], 0);
    region.command(128, 3, &[], 0);
    region.mailbox.publish_head(256);
    let mut ring = region.attach();
    let first = command(&mut ring);
    let error = RingError::CommandId { offset: 128, cmd_id: 3 };
    assert_eq!(ring.next_entry().unwrap_err(), error);
    ring.complete(first.token, GOOD, first.data);
    let second = command(&mut ring);
    assert_eq!(second.token.cmd_id(), 3, "the id is free again");
    ring.complete(second.token, GOOD, second.data);

    region.command(256, 0, &[], 0);
    region.mailbox.publish_head(384);
    let error = RingError::CommandId { offset: 256, cmd_id: 0 };
    assert_eq!(ring.next_entry().unwrap_err(), error);
}

/// What the ring says of a command after `spoil` had its way with the entry, which starts at
/// [`MAILBOX_SIZE`]. Also checks that the command can be answered.
fn malformed(spoil: impl FnOnce(&Region)) -> Option<Malformed> {
    let region = Region::new(OOOC);
    region.command(0, 1, &[(DATA_START as u64, 4096), (DATA_START as u64 + 8192, 8)], 0);
    spoil(&region);
    region.mailbox.publish_head(128);
    let mut ring = region.attach();
    let got = command(&mut ring);
    if got.malformed.is_some() {
        assert!(got.data.is_empty() && got.data_in.is_empty());
    }
    ring.complete(got.token, GOOD, got.data);
    assert!(ring.publish());
    assert_eq!(region.mailbox.answered_tail(), 128);
    got.malformed
}

#[test]
fn a_cdb_outside_its_entry_is_malformed() {
    let at = |cdb_off: u64| malformed(|region| region.put_words(MAILBOX_SIZE + 24, &[cdb_off]));
    let start = MAILBOX_SIZE as u64;
    for outside in [0, start - 1, start, start + 79, start + 128, DATA_START as u64, u64::MAX] {
        assert_eq!(at(outside), Some(Malformed::CdbOutsideEntry { cdb_off: outside }));
    }
    for inside in [start + 80, start + 112, start + 127] {
        assert_eq!(at(inside), None);
    }
}

#[test]
fn vectors_outside_the_data_area_are_malformed() {
    let at =
        |base: u64, len: u64| malformed(|region| region.put_words(MAILBOX_SIZE + 64, &[base, len]));
    let (start, end) = (DATA_START as u64, REGION_BYTES as u64);
    for (base, len) in [
        (start - 1, 8),
        (0, 8),
        (start - 8, 0),
        (end, 1),
        (end - 8, 9),
        (end + 8, 0),
        (u64::MAX, 1),
        (start, u64::MAX),
        (u64::MAX - 4, 8),
    ] {
        assert_eq!(at(base, len), Some(Malformed::VectorOutsideDataArea { base, len }));
    }
    assert_eq!(at(end - 8, 8), None);
    assert_eq!(at(end, 0), None);
    assert_eq!(at(start, end - start), Some(Malformed::DataTooLong));
}

#[test]
fn counts_that_the_entry_cannot_hold_are_malformed() {
    for (out, bidi) in [(6, 0), (3, 3), (u32::MAX, 0), (u32::MAX, u32::MAX)] {
        let seen = malformed(|region| {
            region.put(MAILBOX_SIZE + 8, &u32::to_ne_bytes(out));
            region.put(MAILBOX_SIZE + 12, &u32::to_ne_bytes(bidi));
        });
        let count = u64::from(out) + u64::from(bidi);
        assert_eq!(seen, Some(Malformed::TooManyVectors { count }));
    }
    let seen = malformed(|region| region.put(MAILBOX_SIZE + 16, &1u32.to_ne_bytes()));
    assert_eq!(seen, Some(Malformed::ProtectionInformation { count: 1 }));
}

#[test]
fn a_long_cdb_is_kept_as_far_as_it_can_be() {
    let region = Region::new(OOOC);
    region.header(0, OP_CMD, 384, 1);
    region.put_words(MAILBOX_SIZE + 24, &[MAILBOX_SIZE as u64 + 112]);
    region.put(MAILBOX_SIZE + 112, &[0x7f; 272]);
    region.mailbox.publish_head(384);
    let mut ring = region.attach();
    let got = command(&mut ring);
    assert_eq!(got.cdb.as_bytes(), [0x7f; 32]);
    ring.complete(got.token, GOOD, got.data);
}

mod tokens {
    use std::panic::{AssertUnwindSafe, catch_unwind};
    use std::sync::mpsc;
    use std::thread;

    use super::*;

    fn one_command() -> (Region, Ring, RingCommand) {
        let region = Region::new(OOOC);
        region.command(0, 9, &[(DATA_START as u64, 4096)], 0);
        region.mailbox.publish_head(128);
        let mut ring = region.attach();
        let got = command(&mut ring);
        (region, ring, got)
    }

    fn assert_answered_as_lost(region: &Region, ring: &Ring) {
        assert_eq!(ring.lost(), 1);
        assert_eq!(ring.in_flight(), 0);
        assert_eq!(region.mailbox.answered_tail(), 128);
        assert_eq!(region.bytes(132), 9u16.to_ne_bytes());
        assert_eq!(region.bytes(136), [2]);
        let sense: [u8; 96] = region.bytes(144);
        assert_eq!((sense[0], sense[2], sense[7], sense[12], sense[13]), (0x70, 4, 10, 0x44, 0));
    }

    #[test]
    fn a_dropped_token_is_a_bug_and_the_command_is_answered_all_the_same() {
        let (region, mut ring, got) = one_command();
        drop(got.data);
        let dropped = catch_unwind(AssertUnwindSafe(|| drop(got.token)));
        assert_eq!(dropped.is_err(), cfg!(debug_assertions));
        assert_eq!(ring.in_flight(), 1);
        assert!(ring.publish());
        assert_answered_as_lost(&region, &ring);
    }

    #[test]
    fn a_panic_on_another_thread_loses_no_command() {
        let (region, mut ring, got) = one_command();
        let died = thread::spawn(move || {
            let _command = got;
            panic!("a bug in the engine, on purpose");
        });
        assert!(died.join().is_err());
        assert!(ring.publish());
        assert_answered_as_lost(&region, &ring);
    }

    #[test]
    fn no_answer_overtakes_the_data() {
        let (region, mut ring, got) = one_command();
        let (stop, stopped) = mpsc::channel::<()>();
        let mut data = got.data;
        let worker = thread::spawn(move || {
            stopped.recv().unwrap();
            data.fill(0, 4096, 0x44);
        });
        ring.complete(got.token, GOOD, Buffer::empty());
        assert!(!ring.publish(), "somebody still writes to the blocks");
        assert_eq!(ring.in_flight(), 1);
        stop.send(()).unwrap();
        worker.join().unwrap();
        assert!(ring.publish());
        assert_eq!(ring.in_flight(), 0);
        assert_eq!(region.bytes(DATA_START), [0x44; 4096]);
        assert_eq!(region.mailbox.answered_tail(), 128);
    }

    #[test]
    fn a_token_that_outlives_its_ring_is_void() {
        let (_region, ring, got) = one_command();
        drop(ring);
        drop(got.token);
        assert_eq!(got.data.len(), 4096, "and the memory is still there");
        read(&got.data);
    }

    #[test]
    fn a_wrong_call_of_complete_loses_no_command() {
        let (region, mut ring, got) = one_command();
        let mut other = Region::new(OOOC).attach();
        let wrong = catch_unwind(AssertUnwindSafe(|| other.complete(got.token, GOOD, got.data)));
        assert!(wrong.is_err(), "a token of another ring");
        assert!(ring.publish());
        assert_answered_as_lost(&region, &ring);

        let (region, mut ring, got) = one_command();
        drop(got.data);
        let wrong = catch_unwind(AssertUnwindSafe(|| {
            let answer = Answer { status: 0, sense: None, data_in: DataIn::Short(8) };
            ring.complete(got.token, answer, Buffer::empty());
        }));
        assert!(wrong.is_err(), "a short answer without the data");
        assert!(ring.publish());
        assert_answered_as_lost(&region, &ring);
    }
}
