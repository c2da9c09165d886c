//! Tables with one partition of VMFS, which takes all of the disk from its first MiB on.

use super::{GPT_VMFS, MBR_PROTECTIVE, MBR_VMFS, Partition, Scheme};
use crate::VolumeUuid;

/// Where the partition begins, in bytes: where VMware's tools have it.
pub(crate) const START: u64 = 1 << 20;
/// GPT's 128 entries of 128 bytes, the least that the standard allows.
const ENTRIES_BYTES: usize = 16 << 10;
const ENTRY_BYTES: u32 = 128;
const HEADER_BYTES: usize = 92;

/// A table that is to be written.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Table {
    pub(crate) scheme: Scheme,
    /// A multiple of `block_length`.
    pub(crate) device_bytes: u64,
    /// 512 or 4096; by MBR, 512.
    pub(crate) block_length: u64,
    /// What disk and partition are named by.
    pub(crate) id: VolumeUuid,
}

impl Table {
    /// Where the partition will be; `None` if there is no room for one.
    pub(crate) fn partition(&self) -> Option<Partition> {
        let first = START / self.block_length;
        let blocks = match self.scheme {
            Scheme::Mbr => {
                let blocks = (self.device_bytes / self.block_length).checked_sub(first)?;
                blocks.min(u32::MAX.into())
            }
            Scheme::Gpt => {
                let last_usable = self.last_block().checked_sub(self.entries_blocks() + 1)?;
                (last_usable + 1).checked_sub(first)?
            }
        };
        Partition::new(self.scheme, 0, first, blocks, self.block_length).filter(|it| it.length > 0)
    }

    /// What lies on the disk, with the byte at which it begins, if `partition` is the one that
    /// [`Self::partition`] tells.
    pub(crate) fn encode(&self, partition: Partition) -> Vec<(u64, Vec<u8>)> {
        let first = partition.start / self.block_length;
        let last = first + partition.length / self.block_length - 1;
        match self.scheme {
            Scheme::Mbr => vec![(0, self.boot_record(MBR_VMFS, first, last))],
            Scheme::Gpt => self.gpt(first, last),
        }
    }

    fn last_block(&self) -> u64 {
        (self.device_bytes / self.block_length).saturating_sub(1)
    }

    fn entries_blocks(&self) -> u64 {
        ENTRIES_BYTES as u64 / self.block_length
    }

    /// A master boot record with one entry. Addresses by cylinder, head and sector say that only the others
    /// count.
    fn boot_record(&self, kind: u8, first: u64, last: u64) -> Vec<u8> {
        let mut record = self.block();
        record[440..444].copy_from_slice(&self.id.as_bytes()[..4]);
        let entry = &mut record[446..462];
        entry[1..4].copy_from_slice(&[0xfe, 0xff, 0xff]);
        entry[4] = kind;
        entry[5..8].copy_from_slice(&[0xfe, 0xff, 0xff]);
        entry[8..12].copy_from_slice(&word(first));
        entry[12..16].copy_from_slice(&word(last - first + 1));
        record[510..512].copy_from_slice(&[0x55, 0xaa]);
        record
    }

    /// The protective boot record, the table, and its copy at the end of the disk.
    fn gpt(&self, first: u64, last: u64) -> Vec<(u64, Vec<u8>)> {
        let mut entries = vec![0; ENTRIES_BYTES];
        let mut unique = *self.id.as_bytes();
        entries[..16].copy_from_slice(&GPT_VMFS);
        // The partition's name differs from the disk's in one bit.
        unique[0] ^= 1;
        entries[16..32].copy_from_slice(&unique);
        entries[32..40].copy_from_slice(&first.to_le_bytes());
        entries[40..48].copy_from_slice(&last.to_le_bytes());
        let checksum = crc32(&entries);
        let end = self.last_block();
        let copy = end - self.entries_blocks();
        [
            (0, self.boot_record(MBR_PROTECTIVE, 1, end.min(u32::MAX.into()))),
            (1, self.gpt_header(1, end, 2, checksum)),
            (2, entries.clone()),
            (copy, entries),
            (end, self.gpt_header(end, 1, copy, checksum)),
        ]
        .map(|(block, bytes)| (block * self.block_length, bytes))
        .into()
    }

    /// The header in block `own`, whose copy is in block `other` (UEFI specification, table 5-5).
    fn gpt_header(&self, own: u64, other: u64, entries: u64, entries_checksum: u32) -> Vec<u8> {
        let usable = 2 + self.entries_blocks()..=self.last_block() - self.entries_blocks() - 1;
        let mut block = self.block();
        let header = &mut block[..HEADER_BYTES];
        header[..8].copy_from_slice(b"EFI PART");
        header[8..12].copy_from_slice(&0x0001_0000_u32.to_le_bytes());
        header[12..16].copy_from_slice(&word(HEADER_BYTES as u64));
        header[24..32].copy_from_slice(&own.to_le_bytes());
        header[32..40].copy_from_slice(&other.to_le_bytes());
        header[40..48].copy_from_slice(&usable.start().to_le_bytes());
        header[48..56].copy_from_slice(&usable.end().to_le_bytes());
        header[56..72].copy_from_slice(self.id.as_bytes());
        header[72..80].copy_from_slice(&entries.to_le_bytes());
        header[80..84].copy_from_slice(&word(ENTRIES_BYTES as u64 / u64::from(ENTRY_BYTES)));
        header[84..88].copy_from_slice(&ENTRY_BYTES.to_le_bytes());
        header[88..92].copy_from_slice(&entries_checksum.to_le_bytes());
        let checksum = crc32(header);
        header[16..20].copy_from_slice(&checksum.to_le_bytes());
        block
    }

    fn block(&self) -> Vec<u8> {
        vec![0; usize::try_from(self.block_length).unwrap_or(4096)]
    }
}

/// The lower four bytes of a number.
fn word(number: u64) -> [u8; 4] {
    let [a, b, c, d, ..] = number.to_le_bytes();
    [a, b, c, d]
}

/// CRC-32 as of IEEE 802.3, which is the one of GPT.
fn crc32(bytes: &[u8]) -> u32 {
    let bit = |crc: u32| (crc >> 1) ^ (0xedb8_8320 & (crc & 1).wrapping_neg());
    !bytes.iter().fold(!0, |crc, byte| (0..8).fold(crc ^ u32::from(*byte), |crc, _| bit(crc)))
}

#[cfg(test)]
mod tests {
    use super::*;

    const TABLE: Table = Table {
        scheme: Scheme::Gpt,
        device_bytes: 300 << 20,
        block_length: 512,
        id: VolumeUuid::from_bytes([7; 16]),
    };

    /// The beginning of the disk.
    fn head(table: Table) -> Vec<u8> {
        let mut head = vec![0; super::super::TABLE_BYTES];
        for (offset, bytes) in table.encode(table.partition().unwrap()) {
            if let Some(place) = head.get_mut(usize::try_from(offset).unwrap()..) {
                place[..bytes.len()].copy_from_slice(&bytes);
            }
        }
        head
    }

    #[test]
    fn the_partition_is_found_again() {
        for (scheme, block_length) in [(Scheme::Mbr, 512), (Scheme::Gpt, 512), (Scheme::Gpt, 4096)]
        {
            let table = Table { scheme, block_length, ..TABLE };
            let partition = table.partition();
            assert_eq!(Partition::find(&head(table)), partition);
            assert_eq!(Partition::count(&head(table)), 1);
            assert_eq!(partition.unwrap().start, 1 << 20);
        }
    }

    #[test]
    fn the_copy_of_a_gpt_ends_with_the_disk() {
        let pieces = TABLE.encode(TABLE.partition().unwrap());
        let (offset, header) = pieces.last().unwrap();
        assert_eq!(offset + header.len() as u64, TABLE.device_bytes);
        let first = &pieces[1].1;
        assert_eq!((&header[24..32], &header[32..40]), (&first[32..40], &first[24..32]));
        assert_eq!(pieces[2].1, pieces[3].1);
    }

    #[test]
    fn a_disk_of_one_mebibyte_has_no_room() {
        assert_eq!(Table { device_bytes: 1 << 20, ..TABLE }.partition(), None);
        assert_eq!(Table { device_bytes: 0, ..TABLE }.partition(), None);
        assert_eq!(Table { device_bytes: 1 << 20, scheme: Scheme::Mbr, ..TABLE }.partition(), None);
    }

    #[test]
    fn the_checksum_is_the_one_of_the_standard() {
        assert_eq!(crc32(b"123456789"), 0xcbf4_3926);
        assert_eq!(crc32(b""), 0);
    }
}
