//! Rings laid out by hand in a file that is mapped: what no kernel writes, and what none shows.

use std::fs::File;
use std::os::fd::AsFd as _;
use std::os::unix::fs::FileExt as _;
use std::os::unix::net::UnixStream;

use pulsefield_ring::Mapping;

use super::*;
use crate::uio::MapError;

const RING_START: u64 = 128;
const RING_BYTES: u32 = 1024;
const DATA_START: u64 = 4096;
const REGION_BYTES: usize = 8192;

/// `struct tcmu_mailbox` and one entry after it.
struct HandmadeUio {
    file: File,
}

impl HandmadeUio {
    /// With an entry of 128 bytes whose request is all zeros, so that its CDB lies outside of it.
    fn new(cmd_id: u16) -> Self {
        let uio = Self { file: tempfile::tempfile().unwrap() };
        uio.file.set_len(REGION_BYTES as u64).unwrap();
        // Version 2, out of order, where the ring is, and a head behind the entry.
        uio.put(0, &2_u16.to_ne_bytes());
        uio.put(2, &1_u16.to_ne_bytes());
        uio.put(4, &128_u32.to_ne_bytes());
        uio.put(8, &RING_BYTES.to_ne_bytes());
        uio.put(12, &128_u32.to_ne_bytes());
        // TCMU_OP_CMD.
        uio.put(RING_START, &(128_u32 | 1).to_ne_bytes());
        uio.put(RING_START + 4, &cmd_id.to_ne_bytes());
        uio
    }

    /// Makes the entry a READ of one block into blocks that another command has used.
    fn read_one_block(self) -> Self {
        self.put(RING_START + 8, &1_u32.to_ne_bytes());
        self.put(RING_START + 24, &(RING_START + 112).to_ne_bytes());
        self.put(RING_START + 48, &DATA_START.to_ne_bytes());
        self.put(RING_START + 56, &512_u64.to_ne_bytes());
        self.put(RING_START + 112, &read(0, 1));
        self.put(DATA_START, &[STALE; 512]);
        self
    }

    fn put(&self, offset: u64, bytes: &[u8]) {
        self.file.write_all_at(bytes, offset).unwrap();
    }

    fn get<const N: usize>(&self, offset: u64) -> [u8; N] {
        let mut bytes = [0; N];
        self.file.read_exact_at(&mut bytes, offset).unwrap();
        bytes
    }

    fn conduct(&self, mut medium: Arc<dyn Backstore>, stop: bool) -> End {
        let (poll, _keep) = UnixStream::pair().unwrap();
        let mut station = Station::new(poll.as_fd(), LuConfig::default()).unwrap();
        if stop {
            station.mailbox().send(Message::Stop);
            station.mailbox().send(Message::Blocked);
        }
        let ring = Ring::attach(self.map().unwrap()).unwrap();
        let (asked, _) = unbounded();
        let surroundings = Listening::new(asked, station.mailbox());
        let medium = &mut medium;
        Conductor::new(&mut station, self, &surroundings, ring, medium, Arc::default()).run()
    }
}

impl Uio for HandmadeUio {
    fn map(&self) -> Result<Arc<Mapping>, MapError> {
        Mapping::of_device(self.file.as_fd(), REGION_BYTES).map_err(MapError::Map)
    }

    fn take_events(&self) -> Result<(), UioError> {
        Ok(())
    }

    fn ring_doorbell(&self) -> Result<(), UioError> {
        Ok(())
    }
}

fn memory() -> Arc<dyn Backstore> {
    Media::new().open("test", "ram/", geometry(64), None).unwrap()
}

#[test]
fn an_entry_that_makes_no_sense_is_answered_hardware_error() {
    let uio = HandmadeUio::new(7);
    assert!(matches!(uio.conduct(memory(), true), End::Stopped));
    assert_eq!(u32::from_ne_bytes(uio.get(64)), 128, "the tail has passed it");
    // scsi_status, then read_len, then the sense data.
    let answer: [u8; 32] = uio.get(RING_START + 8);
    assert_eq!(answer[0], CHECK_CONDITION);
    let sense = &answer[8..];
    assert_eq!((sense[2], sense[12]), (0x04, 0x44), "INTERNAL TARGET FAILURE");
}

#[test]
fn a_ring_that_makes_no_sense_ends_the_conductor() {
    // The id 0 belongs to no command.
    let end = HandmadeUio::new(0).conduct(memory(), false);
    assert!(matches!(end, End::Broken(RingError::CommandId { cmd_id: 0, .. })));
}

#[test]
fn what_another_command_left_is_wiped_also_when_the_answer_is_busy() {
    let uio = HandmadeUio::new(7).read_one_block();
    let busy = FnMedium(|request: Request| request.complete(Err(BackstoreError::Transient)));
    assert!(matches!(uio.conduct(Arc::new(busy), true), End::Stopped));
    assert_eq!(uio.get(RING_START + 8), [BUSY]);
    assert_eq!(uio.get(DATA_START), [0; 512]);
}
