//! The hot path allocates nothing: READ, WRITE and COMPARE AND WRITE, once everything that is reused
//! has been used.
//!
//! A process of its own, since it has an allocator of its own. The one invariant: that allocator
//! hands every call on to the system's, unchanged.

#![allow(unsafe_code)]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

use pulsefield_backstore::{BackstoreError, Capabilities, Geometry, Op, OpOutput};
use pulsefield_data::Buffer;
use pulsefield_engine::{Action, DeviceServer, Incoming, Lane, LuConfig, Medium};
use pulsefield_scsi::Status;
use pulsefield_units::{BlockCount, BlockLength, Cdb, Instant};

struct Counting;

thread_local! {
    /// Allocations of this thread; the test harness has one as well.
    static ALLOCATIONS: Cell<usize> = const { Cell::new(0) };
}

// SAFETY: both calls are the system allocator's, with the arguments as they came.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.set(ALLOCATIONS.get() + 1);
        // SAFETY: the caller keeps `alloc`'s contract.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, start: *mut u8, layout: Layout) {
        // SAFETY: the caller keeps `dealloc`'s contract, and `start` came from `System`.
        unsafe { System.dealloc(start, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

const READ: u8 = 0x88;
const WRITE: u8 = 0x8a;
const COMPARE_AND_WRITE: u8 = 0x89;

/// A command on one block, which byte 13 of all three CDBs says.
fn cdb(opcode: u8, lba: u8) -> Cdb {
    Cdb::new(&[opcode, 0, 0, 0, 0, 0, 0, 0, 0, lba, 0, 0, 0, 1, 0, 0])
}

/// A medium of zeros, which does no op at once, or every one.
struct Zeros {
    at_once: bool,
}

impl Medium for Zeros {
    fn may_do(&self, _lane: Lane, _bytes: usize) -> bool {
        self.at_once
    }

    fn at_once(
        &mut self,
        _op: Op,
        buffer: &mut Buffer,
        _lane: Lane,
    ) -> Option<Result<OpOutput, BackstoreError>> {
        buffer.fill(0, buffer.len(), 0);
        Some(Ok(OpOutput::Done))
    }
}

/// Sends one command of each kind to each of 32 blocks, and has the medium (all zeros) do all the
/// ops, at once or in between; gives back the buffers.
fn round(
    server: &mut DeviceServer<usize, ()>,
    buffers: &mut [Option<Buffer>],
    now: Instant,
    at_once: bool,
) {
    for token in 0..buffers.len() {
        let lba = u8::try_from(token / 3).expect("32 blocks");
        let opcode = [READ, WRITE, COMPARE_AND_WRITE][token % 3];
        let data = buffers[token].take().expect("it came back");
        let incoming = Incoming { token, tag: Some(0), cdb: cdb(opcode, lba), data };
        let answer = server.on_command_before(now, incoming, &mut Zeros { at_once });
        assert_eq!(answer.is_some(), at_once);
        if let Some(answer) = answer {
            assert_eq!(answer.status, Status::Good);
            buffers[token] = Some(answer.data);
        }
    }
    while let Some(action) = server.poll_action(now) {
        match action {
            Action::Submit { tag, mut buffer, .. } => {
                buffer.fill(0, buffer.len(), 0);
                server.on_op_done(now, tag, Ok(OpOutput::Done), buffer);
            }
            Action::Answer(answer) => {
                assert_eq!(answer.status, Status::Good);
                buffers[answer.token] = Some(answer.data);
            }
            Action::CopyOp { op, .. } => unreachable!("{op:?}"),
            Action::Ask(_) | Action::SetAccessStates { .. } | Action::Save(_) => {
                unreachable!("{action:?}")
            }
        }
    }
}

#[test]
fn the_hot_path_allocates_nothing() {
    for block_length in [BlockLength::B512, BlockLength::B4096] {
        let geometry = Geometry { block_length, blocks: BlockCount::new(64) };
        let mut server =
            DeviceServer::new(LuConfig::default(), geometry, Capabilities::default(), ());
        let block = block_length.bytes() as usize;
        let mut buffers: Vec<_> =
            (0..96).map(|nth| Some(Buffer::heap([block, block, 2 * block][nth % 3]))).collect();
        let now = Instant::default();
        for at_once in [false, true] {
            round(&mut server, &mut buffers, now, at_once);
            let before = ALLOCATIONS.get();
            for _ in 0..10 {
                round(&mut server, &mut buffers, now, at_once);
            }
            assert_eq!(ALLOCATIONS.get(), before);
        }
    }
}
