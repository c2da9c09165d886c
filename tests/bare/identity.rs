//! What an initiator asks before it takes something for a disk (SPC-4, SBC-3), and nothing else.

/// The answer to a CDB.
pub(crate) enum Reply {
    /// Whatever becomes of it on the medium; GOOD without one.
    Medium,
    /// GOOD, with this Data-In.
    Data(Vec<u8>),
    /// CHECK CONDITION with [`UNKNOWN`].
    Unknown,
}

/// ILLEGAL REQUEST, INVALID COMMAND OPERATION CODE.
pub(crate) const UNKNOWN: [u8; 96] = sense(0x05, 0x20);

/// MISCOMPARE, MISCOMPARE DURING VERIFY OPERATION; where, it does not say.
pub(crate) const MISCOMPARE: [u8; 96] = sense(0x0e, 0x1d);

/// In fixed format, as long as TCMU's sense buffer.
const fn sense(key: u8, asc: u8) -> [u8; 96] {
    let mut sense = [0; 96];
    sense[0] = 0x70;
    sense[2] = key;
    sense[7] = 10;
    sense[12] = asc;
    sense
}

/// Block length in bytes.
pub(crate) const BLOCK: u32 = 512;

/// What the device says it is.
pub(crate) struct Identity {
    /// Its size in blocks.
    pub(crate) blocks: u64,
    /// Its unit serial number.
    pub(crate) serial: String,
}

impl Identity {
    pub(crate) fn reply(&self, cdb: &[u8]) -> Reply {
        match *cdb {
            // TEST UNIT READY, READ, WRITE, COMPARE AND WRITE, SYNCHRONIZE CACHE
            [0x00 | 0x08 | 0x28 | 0x88 | 0x2a | 0x8a | 0x89 | 0x35 | 0x91, ..] => Reply::Medium,
            // INQUIRY
            [0x12, 0, ..] => Reply::Data(self.inquiry()),
            [0x12, 1, 0x00, ..] => Reply::Data(vec![0, 0x00, 0, 2, 0x00, 0x80]),
            [0x12, 1, 0x80, ..] => Reply::Data(self.unit_serial_number()),
            // READ CAPACITY (10) and (16)
            [0x25, ..] => Reply::Data(self.capacity_10()),
            [0x9e, action, ..] if action & 0x1f == 0x10 => Reply::Data(self.capacity_16()),
            _ => Reply::Unknown,
        }
    }

    /// SPC-4, a disk that queues commands.
    fn inquiry(&self) -> Vec<u8> {
        let head = [0x00, 0, 0x06, 0x02, 31, 0, 0, 0x02];
        [head.as_slice(), b"PULSEFLDBARE RING       0001"].concat()
    }

    fn unit_serial_number(&self) -> Vec<u8> {
        let length = u8::try_from(self.serial.len()).unwrap_or(u8::MAX);
        let serial = &self.serial.as_bytes()[..usize::from(length)];
        [&[0, 0x80, 0, length], serial].concat()
    }

    fn capacity_10(&self) -> Vec<u8> {
        let last = u32::try_from(self.blocks.saturating_sub(1)).unwrap_or(u32::MAX);
        [last.to_be_bytes(), BLOCK.to_be_bytes()].concat()
    }

    fn capacity_16(&self) -> Vec<u8> {
        let mut data = vec![0; 32];
        data[..8].copy_from_slice(&self.blocks.saturating_sub(1).to_be_bytes());
        data[8..12].copy_from_slice(&BLOCK.to_be_bytes());
        data
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn data(cdb: &[u8]) -> Vec<u8> {
        match (Identity { blocks: 1 << 18, serial: "bare".to_owned() }).reply(cdb) {
            Reply::Data(bytes) => bytes,
            Reply::Medium | Reply::Unknown => panic!("no data"),
        }
    }

    #[test]
    fn a_disk_by_its_size_and_serial_number() {
        assert_eq!(data(&[0x25]), [0, 3, 255, 255, 0, 0, 2, 0]);
        assert_eq!(data(&[0x9e, 0x10])[..12], [0, 0, 0, 0, 0, 3, 255, 255, 0, 0, 2, 0]);
        assert_eq!(data(&[0x12, 1, 0x80]), *b"\0\x80\0\x04bare");
        assert_eq!(data(&[0x12, 0]).len(), 36);
    }

    #[test]
    fn what_it_does_not_know_it_does_not_pretend_to_do() {
        let bare = Identity { blocks: 8, serial: String::new() };
        assert!(matches!(bare.reply(&[0x42]), Reply::Unknown));
        assert!(matches!(bare.reply(&[]), Reply::Unknown));
        assert!(matches!(bare.reply(&[0x28, 0]), Reply::Medium));
    }
}
