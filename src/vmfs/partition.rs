//! Where on a disk the partition of VMFS is: MBR, or GPT (UEFI specification, 5).
//!
//! A crate for this would bring much more. All that is needed is where one partition begins, and `table`
//! writes a table that has no other.

pub(crate) mod table;

/// How much of a disk holds its partition table: enough for GPT's 128 entries, in blocks of 512 and of 4096
/// bytes. A table elsewhere is not found.
pub(crate) const TABLE_BYTES: usize = 64 << 10;

/// What MBR calls a partition of VMFS.
const MBR_VMFS: u8 = 0xfb;
/// What MBR calls the entry that keeps others off a disk with a GPT.
const MBR_PROTECTIVE: u8 = 0xee;
/// `AA31E02A-400F-11DB-9590-000C2911D1B8`, as its bytes lie on the disk.
const GPT_VMFS: [u8; 16] = [
    0x2a, 0xe0, 0x31, 0xaa, 0x0f, 0x40, 0xdb, 0x11, 0x95, 0x90, 0x00, 0x0c, 0x29, 0x11, 0xd1, 0xb8,
];
/// The block lengths there are. That of an image is written nowhere: GPT is where it is found.
const BLOCK_LENGTHS: [u64; 2] = [512, 4096];
/// The most entries of GPT that are looked at.
const GPT_ENTRIES_MAX: u32 = 128;
/// Nothing on a disk lies beyond: sums of such numbers do not overflow.
pub(crate) const DISK_BYTES_MAX: u64 = 1 << 62;

/// How a disk is partitioned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scheme {
    /// By a master boot record.
    Mbr,
    /// By a GUID partition table.
    Gpt,
}

/// A partition of VMFS.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Partition {
    /// How the disk is partitioned.
    pub scheme: Scheme,
    /// Its number, counted from 1.
    pub number: u32,
    /// Where it begins, in bytes from the start of the disk.
    pub start: u64,
    /// How long it is, in bytes.
    pub length: u64,
}

impl Partition {
    /// The first partition of VMFS in the table at the beginning of a disk, of which `head` is as much as
    /// there is.
    ///
    /// Checksums are not verified, and GPT's copy at the end of the disk is not asked: what the partition
    /// holds shows whether this is one.
    pub(crate) fn find(head: &[u8]) -> Option<Self> {
        let gpt = |block_length: &u64| Self::find_gpt(head, *block_length);
        BLOCK_LENGTHS.iter().find_map(gpt).or_else(|| Self::find_mbr(head))
    }

    /// How many partitions there are at the beginning of a disk, of VMFS or of anything else, by all tables
    /// that are there; 0 without a table.
    pub(crate) fn count(head: &[u8]) -> usize {
        let used = |entry: &&[u8]| entry.iter().take(16).any(|byte| *byte != 0);
        let gpt = BLOCK_LENGTHS.iter().filter_map(|block_length| gpt_entries(head, *block_length));
        let mbr = mbr_entries(head).filter(|entry| ![0, MBR_PROTECTIVE].contains(&entry[4]));
        gpt.flatten().filter(used).count() + mbr.count()
    }

    fn find_gpt(head: &[u8], block_length: u64) -> Option<Self> {
        (0..).zip(gpt_entries(head, block_length)?).find_map(|(nth, entry)| {
            if entry.get(..16)? != GPT_VMFS {
                return None;
            }
            let (first, last) = (number::<8>(entry, 32)?, number::<8>(entry, 40)?);
            let blocks = last.checked_sub(first)?.checked_add(1)?;
            Self::new(Scheme::Gpt, nth, first, blocks, block_length)
        })
    }

    fn find_mbr(head: &[u8]) -> Option<Self> {
        (0..).zip(mbr_entries(head)).find_map(|(nth, entry)| {
            let (first, blocks) = (number::<4>(entry, 8)?, number::<4>(entry, 12)?);
            (entry[4] == MBR_VMFS).then(|| Self::new(Scheme::Mbr, nth, first, blocks, 512))?
        })
    }

    /// `None` if there can be no such disk.
    fn new(scheme: Scheme, nth: u32, first: u64, blocks: u64, block_length: u64) -> Option<Self> {
        let start = first.checked_mul(block_length)?;
        let length = blocks.checked_mul(block_length)?;
        (start.max(length) < DISK_BYTES_MAX).then_some(Self {
            scheme,
            number: nth + 1,
            start,
            length,
        })
    }
}

/// What begins with each entry of a GPT, if there is one for blocks of this length.
fn gpt_entries(head: &[u8], block_length: u64) -> Option<impl Iterator<Item = &[u8]>> {
    let header = at(head, block_length).filter(|header| header.starts_with(b"EFI PART"))?;
    let count = u32::try_from(number::<4>(header, 80)?).ok()?.min(GPT_ENTRIES_MAX);
    let length = number::<4>(header, 84)?;
    let entries = at(head, number::<8>(header, 72)?.checked_mul(block_length)?)?;
    Some((0..count).filter_map(move |nth| at(entries, u64::from(nth).checked_mul(length)?)))
}

/// The entries of a master boot record; none without one.
fn mbr_entries(head: &[u8]) -> impl Iterator<Item = &[u8; 16]> {
    let record = head.first_chunk::<512>().filter(|record| record.ends_with(&[0x55, 0xaa]));
    record.into_iter().flat_map(|record| record[446..510].as_chunks::<16>().0)
}

fn at(bytes: &[u8], offset: u64) -> Option<&[u8]> {
    bytes.get(usize::try_from(offset).ok()?..)
}

/// The little-endian number of `N` bytes at `offset`.
fn number<const N: usize>(bytes: &[u8], offset: usize) -> Option<u64> {
    let mut number = [0; 8];
    number[..N].copy_from_slice(bytes.get(offset..)?.first_chunk::<N>()?);
    Some(u64::from_le_bytes(number))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn mbr() -> Vec<u8> {
        let mut disk = vec![0; TABLE_BYTES];
        disk[510..512].copy_from_slice(&[0x55, 0xaa]);
        disk[446 + 16 + 4] = MBR_VMFS;
        disk[446 + 16 + 8] = 128;
        disk[446 + 16 + 13] = 0x10;
        disk
    }

    fn gpt(block_length: usize) -> Vec<u8> {
        let mut disk = vec![0; TABLE_BYTES];
        disk[510..512].copy_from_slice(&[0x55, 0xaa]);
        disk[446 + 4] = 0xee;
        let header = &mut disk[block_length..];
        header[..8].copy_from_slice(b"EFI PART");
        header[72] = 2;
        header[80] = 128;
        header[84] = 128;
        let entry = &mut disk[2 * block_length + 2 * 128..];
        entry[..16].copy_from_slice(&GPT_VMFS);
        entry[32..34].copy_from_slice(&2048_u16.to_le_bytes());
        entry[40..44].copy_from_slice(&0x000f_ffff_u32.to_le_bytes());
        disk
    }

    #[test]
    fn the_partition_of_vmfs_is_found_in_either_table() {
        let found = Partition::find(&mbr()).unwrap();
        assert_eq!((found.scheme, found.number), (Scheme::Mbr, 2));
        assert_eq!((found.start, found.length), (128 * 512, 4096 * 512));
        for block_length in [512, 4096] {
            let found = Partition::find(&gpt(block_length)).unwrap();
            let block_length = block_length as u64;
            assert_eq!((found.scheme, found.number), (Scheme::Gpt, 3));
            assert_eq!((found.start, found.length), (2048 * block_length, 0xff800 * block_length));
        }
    }

    #[test]
    fn partitions_are_counted_whatever_they_are() {
        assert_eq!(Partition::count(&[]), 0);
        assert_eq!(Partition::count(&mbr()), 1);
        assert_eq!(Partition::count(&gpt(4096)), 1);
        let mut two = gpt(512);
        two[1024] = 0xaf;
        assert_eq!(Partition::count(&two), 2);
    }

    #[test]
    fn other_disks_have_none() {
        assert_eq!(Partition::find(&[]), None);
        assert_eq!(Partition::find(&vec![0; TABLE_BYTES]), None);
        let mut linux = gpt(512);
        linux[1024 + 256] = 0xaf;
        assert_eq!(Partition::find(&linux), None);
        // One that ends before it begins.
        let mut backwards = gpt(512);
        backwards[1024 + 256 + 40..1024 + 256 + 44].fill(0);
        assert_eq!(Partition::find(&backwards), None);
    }

    proptest! {
        #[test]
        fn no_table_is_too_strange(
            mut disk in proptest::collection::vec(any::<u8>(), 0..4096),
            gpt in any::<bool>(),
        ) {
            if let (true, Some(signature)) = (gpt, disk.get_mut(512..520)) {
                signature.copy_from_slice(b"EFI PART");
            }
            if let Some(found) = Partition::find(&disk) {
                prop_assert!(found.start < DISK_BYTES_MAX && found.length < DISK_BYTES_MAX);
                prop_assert!(Partition::count(&disk) > 0);
            }
        }

        #[test]
        fn a_table_may_be_cut_off_anywhere(length in 0..4096_usize) {
            let _ = Partition::find(&gpt(512)[..length]);
            let _ = Partition::find(&mbr()[..length.min(512)]);
        }
    }
}
