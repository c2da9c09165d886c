//! Checksums: CRC-32C, which processors have an instruction for.

use crate::format::FileHeader;
use zerocopy::IntoBytes as _;

/// What the checksums of one file begin with, so that a record that somebody has written into a block,
/// and that is recorded as such, is never taken for one of the file's own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Seed(u32);

impl Seed {
    /// That of the file with this identity.
    pub(crate) fn new(identity: u64) -> Self {
        Self(crc32c::crc32c(identity.as_bytes()))
    }
}

/// The checksum of a record that stands at `offset`: of all of it but the field for the checksum.
pub(crate) fn of_record(Seed(seed): Seed, offset: u64, record: &[u8]) -> u32 {
    // Offsets are multiples of eight, and those of a file fit into the other bits.
    let place = u32::try_from(offset >> 3 & u64::from(u32::MAX)).expect("masked");
    crc32c::crc32c_append(seed ^ place, &record[size_of::<u32>()..])
}

/// The checksum of a file's header, whatever its field for the checksum holds.
pub(crate) fn of_header(header: &FileHeader) -> u32 {
    let header = FileHeader { checksum: 0.into(), ..header.clone() };
    crc32c::crc32c(header.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 3720, B.4.
    #[test]
    fn it_is_the_crc_of_iscsi() {
        assert_eq!(crc32c::crc32c(&[0; 32]), 0x8a91_36aa);
        assert_eq!(crc32c::crc32c(b"123456789"), 0xe306_9283);
    }

    #[test]
    fn the_same_record_elsewhere_has_another_checksum() {
        let record = [7; 48];
        let seed = Seed::new(1);
        let here = of_record(seed, 4096, &record);
        assert_ne!(here, of_record(seed, 4104, &record));
        assert_ne!(here, of_record(Seed::new(2), 4096, &record));
    }
}
