//! Rings that no kernel writes, laid out by hand in a file that is mapped.

use std::fs::File;
use std::os::fd::AsFd as _;
use std::os::unix::fs::FileExt as _;
use std::os::unix::net::UnixStream;

use pulsefield_ring::Mapping;

use super::*;
use crate::uio::MapError;

const RING_START: u64 = 128;
const RING_BYTES: u32 = 1024;
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

    fn put(&self, offset: u64, bytes: &[u8]) {
        self.file.write_all_at(bytes, offset).unwrap();
    }

    fn conduct(&self, stop: bool) -> End {
        let (poll, _keep) = UnixStream::pair().unwrap();
        let mut station = Station::new(poll.as_fd(), LuConfig::default()).unwrap();
        if stop {
            station.mailbox().send(Message::Stop);
            station.mailbox().send(Message::Blocked);
        }
        let ring = Ring::attach(self.map().unwrap()).unwrap();
        let medium = Media::new().open("test", "ram/", geometry(64)).unwrap();
        let (asked, _) = unbounded();
        let surroundings = Listening(asked);
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

#[test]
fn an_entry_that_makes_no_sense_is_answered_hardware_error() {
    let uio = HandmadeUio::new(7);
    assert!(matches!(uio.conduct(true), End::Stopped));
    let mut tail = [0; 4];
    uio.file.read_exact_at(&mut tail, 64).unwrap();
    assert_eq!(u32::from_ne_bytes(tail), 128, "it was answered");
    // scsi_status, then read_len, then the sense data.
    let mut answer = [0; 32];
    uio.file.read_exact_at(&mut answer, RING_START + 8).unwrap();
    assert_eq!(answer[0], CHECK_CONDITION);
    let sense = &answer[8..];
    assert_eq!((sense[2], sense[12]), (0x04, 0x44), "INTERNAL TARGET FAILURE");
}

#[test]
fn a_ring_that_makes_no_sense_ends_the_conductor() {
    // The id 0 belongs to no command.
    let uio = HandmadeUio::new(0);
    assert!(matches!(uio.conduct(false), End::Broken(RingError::CommandId { cmd_id: 0, .. })));
}
