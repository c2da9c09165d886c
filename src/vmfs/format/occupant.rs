//! What a device holds already, and whether that may be written over.
//!
//! Recognised are the labels of whatever is commonly put on a whole disk; each from its own documentation, as
//! `libblkid` has them, too. What is not recognised is not taken for nothing.

use std::error::Error;
use std::fmt;

use thiserror::Error;

use super::{METADATA_END, TAIL_BYTES, VOLUME_OFFSET};
use crate::partition::table::START;
use crate::partition::{Partition, TABLE_BYTES};
use crate::{LocateError, Version, Volume};

/// How much is read at once, in bytes; all labels but one lie in the first piece.
const PIECE_BYTES: usize = 256 << 10;
/// As far as formatting writes, in bytes from the start of the device.
const FORMATTED_BYTES: u64 = START + VOLUME_OFFSET + METADATA_END;

/// What a device holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Occupant {
    /// Zeros wherever formatting would write.
    Nothing,
    /// A scratch volume, and nothing beside it.
    Scratch {
        /// Its label.
        label: String,
        /// Its version.
        version: Version,
    },
    /// A datastore, or what is left of one.
    Vmfs {
        /// Its label, if it has one still.
        label: Option<String>,
    },
    /// The label of something else.
    Labelled(&'static str),
    /// A partition table, with partitions of which none is of VMFS, or with several.
    Partitions {
        /// How many.
        count: usize,
    },
    /// Something that is not known.
    Unknown {
        /// The first byte that is not zero, from the start of the device.
        offset: u64,
    },
}

/// Formatting would destroy something, and it has not been said twice that it may.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error(
    "it holds {occupant}, which would be lost: that must be said twice to be wanted, and was said {} time{}",
    told, if *told == 1 { "" } else { "s" }
)]
pub struct Destructive {
    /// What would be lost.
    pub occupant: Occupant,
    /// How often it was said.
    pub told: u8,
}

/// A label: what it is of, where it lies, and what it is.
struct Label(&'static str, usize, &'static [u8]);

const LABELS: &[Label] = &[
    Label("an ext2, ext3 or ext4 file system", 0x438, &[0x53, 0xef]),
    Label("an XFS file system", 0, b"XFSB"),
    Label("a Btrfs file system", 0x1_0040, b"_BHRfS_M"),
    Label("a physical volume of Linux' LVM", 0, b"LABELONE"),
    Label("a physical volume of Linux' LVM", 512, b"LABELONE"),
    Label("a physical volume of Linux' LVM", 1024, b"LABELONE"),
    Label("a physical volume of Linux' LVM", 1536, b"LABELONE"),
    Label("swap space", 4096 - 10, b"SWAPSPACE2"),
    Label("swap space", 4096 - 10, b"SWAP-SPACE"),
    Label("swap space", (16 << 10) - 10, b"SWAPSPACE2"),
    Label("swap space", (64 << 10) - 10, b"SWAPSPACE2"),
    Label("an encrypted volume (LUKS)", 0, b"LUKS\xba\xbe"),
    Label("a member of a Linux RAID", 0, &[0xfc, 0x4e, 0x2b, 0xa9]),
    Label("a member of a Linux RAID", 4096, &[0xfc, 0x4e, 0x2b, 0xa9]),
    Label("a store of Ceph", 0, b"bluestore block device"),
    Label("an NTFS file system", 3, b"NTFS    "),
    Label("an exFAT file system", 3, b"EXFAT   "),
    Label("a FAT file system", 54, b"FAT"),
    Label("a FAT file system", 82, b"FAT32"),
    Label("a ReFS file system", 3, b"ReFS"),
];

/// Where the first label of ZFS has its uberblocks, one each KiB, and what each begins with in either byte
/// order.
const ZFS_UBERBLOCKS: std::ops::Range<usize> = 128 << 10..256 << 10;
const ZFS_MAGIC: u64 = 0x00ba_b10c;

impl Occupant {
    /// Looks what a device of `device_bytes` holds. `read` fills a buffer from a byte of the device on and says
    /// how much of it it could; it is asked for multiples of 512 bytes, at multiples of 512.
    ///
    /// # Errors
    /// What `read` fails with.
    pub fn recognise<E: Error + 'static>(
        device_bytes: u64,
        mut read: impl FnMut(u64, &mut [u8]) -> Result<usize, E>,
    ) -> Result<Self, E> {
        let mut head = vec![0; PIECE_BYTES];
        let length = read(0, &mut head)?;
        head.truncate(length);
        let table = &head[..head.len().min(TABLE_BYTES)];
        let partitions = Partition::count(table);
        let label = label_in(&head);
        let vmfs = match Volume::locate(&mut read) {
            Ok(volume) => Some(Self::of(&volume, partitions, label)),
            Err(LocateError::Read { source, .. }) => return Err(source),
            Err(LocateError::NotVmfs) => None,
            Err(
                LocateError::Truncated { .. }
                | LocateError::Unformatted { .. }
                | LocateError::Descriptor { .. }
                | LocateError::NoVolume
                | LocateError::NoFileSystem { .. },
            ) => Some(Self::Vmfs { label: None }),
        };
        if let Some(occupant) = vmfs.or(label.map(Self::Labelled)) {
            return Ok(occupant);
        }
        if partitions > 0 {
            return Ok(Self::Partitions { count: partitions });
        }
        let tail = device_bytes.saturating_sub(TAIL_BYTES);
        for range in [0..FORMATTED_BYTES.min(device_bytes), tail..device_bytes] {
            if let Some(offset) = first_written(range, &mut read)? {
                return Ok(Self::Unknown { offset });
            }
        }
        Ok(Self::Nothing)
    }

    fn of(volume: &Volume, partitions: usize, label: Option<&'static str>) -> Self {
        let Some(file_system) = &volume.file_system else {
            return Self::Vmfs { label: volume.lvm.as_ref().map(|lvm| lvm.extent.name.clone()) };
        };
        let name = file_system.label.clone();
        if !file_system.uuid.is_scratch() {
            return Self::Vmfs { label: Some(name) };
        }
        // What formatting writes has no other label, and no other partition.
        match (label, partitions > usize::from(volume.partition.is_some())) {
            (Some(label), _) => Self::Labelled(label),
            (None, true) => Self::Partitions { count: partitions },
            (None, false) => Self::Scratch { label: name, version: file_system.version },
        }
    }

    /// Whether a device that holds this may be formatted by somebody who has said `told` times that it may be
    /// destroyed.
    ///
    /// # Errors
    /// [`Destructive`], unless there is nothing to destroy but a scratch volume, or it was said twice.
    pub fn may_be_destroyed(&self, told: u8) -> Result<(), Destructive> {
        let worthless = matches!(self, Self::Nothing | Self::Scratch { .. });
        match worthless || told >= 2 {
            true => Ok(()),
            false => Err(Destructive { occupant: self.clone(), told }),
        }
    }
}

impl fmt::Display for Occupant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Nothing => f.write_str("nothing"),
            Self::Scratch { label, version } => {
                write!(f, "the scratch volume {label:?}, {version}")
            }
            Self::Vmfs { label: Some(label) } => write!(f, "the VMFS datastore {label:?}"),
            Self::Vmfs { label: None } => f.write_str("a damaged VMFS datastore"),
            Self::Labelled(label) => f.write_str(label),
            Self::Partitions { count: 1 } => f.write_str("a partition table with a partition"),
            Self::Partitions { count } => {
                write!(f, "a partition table with {count} partitions")
            }
            Self::Unknown { offset } => write!(f, "unknown data (at byte {offset})"),
        }
    }
}

fn label_in(head: &[u8]) -> Option<&'static str> {
    let has = |Label(_, at, bytes): &&Label| {
        head.get(*at..).is_some_and(|there| there.starts_with(bytes))
    };
    let zfs = || {
        let uberblocks = head.get(ZFS_UBERBLOCKS)?.chunks_exact(1024);
        let mut magics = uberblocks.filter_map(|it| it.first_chunk::<8>());
        let magic = [ZFS_MAGIC.to_le_bytes(), ZFS_MAGIC.to_be_bytes()];
        magics.any(|found| magic.contains(found)).then_some("a ZFS pool")
    };
    LABELS.iter().find(has).map(|Label(name, ..)| *name).or_else(zfs)
}

/// The first byte of `range` that is not zero.
fn first_written<E>(
    range: std::ops::Range<u64>,
    read: &mut impl FnMut(u64, &mut [u8]) -> Result<usize, E>,
) -> Result<Option<u64>, E> {
    let zeros = vec![0; PIECE_BYTES];
    let mut piece = zeros.clone();
    let mut offset = range.start;
    while offset < range.end {
        let wanted = usize::try_from(range.end - offset).unwrap_or(PIECE_BYTES).min(PIECE_BYTES);
        let length = read(offset, &mut piece[..wanted])?;
        if piece[..length] != zeros[..length] {
            let at = piece.iter().take_while(|byte| **byte == 0).count();
            return Ok(Some(offset + at as u64));
        }
        if length < wanted {
            break;
        }
        offset += wanted as u64;
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use super::super::Format;
    use super::*;
    use crate::synthetic::SyntheticDevice;
    use crate::{Scheme, VolumeUuid};

    const DEVICE_BYTES: u64 = 300 << 20;

    fn recognised(pieces: &[(u64, Vec<u8>)]) -> Occupant {
        let byte = |offset| usize::try_from(offset).unwrap();
        let mut device = vec![0; byte(DEVICE_BYTES)];
        for (offset, bytes) in pieces {
            device[byte(*offset)..][..bytes.len()].copy_from_slice(bytes);
        }
        let read = |offset, buffer: &mut [u8]| {
            let there = &device[byte(offset)..];
            let length = buffer.len().min(there.len());
            buffer[..length].copy_from_slice(&there[..length]);
            Ok::<_, Infallible>(length)
        };
        Occupant::recognise(DEVICE_BYTES, read).unwrap()
    }

    fn formatted(format: &Format) -> Vec<(u64, Vec<u8>)> {
        format.pieces().unwrap().map(|piece| (piece.offset, piece.bytes)).collect()
    }

    fn scratch() -> Format {
        Format::new(Version::VMFS_6, DEVICE_BYTES, 512, VolumeUuid::scratch(1))
    }

    #[test]
    fn an_empty_device_and_a_scratch_volume_may_be_formatted() {
        let empty = recognised(&[]);
        assert_eq!(empty, Occupant::Nothing);
        let own = recognised(&formatted(&scratch()));
        assert_eq!(own.to_string(), "the scratch volume \"pulsefield-scratch\", VMFS 6 (24.82)");
        for occupant in [empty, own] {
            assert_eq!(occupant.may_be_destroyed(0), Ok(()));
        }
    }

    #[test]
    fn whatever_else_is_there_must_be_given_up_twice() {
        for Label(name, at, bytes) in LABELS {
            let occupant = recognised(&[(*at as u64, bytes.to_vec())]);
            assert_eq!(occupant, Occupant::Labelled(name), "{at:#x}");
            assert!(occupant.may_be_destroyed(0).is_err());
            assert!(occupant.may_be_destroyed(1).is_err());
            assert_eq!(occupant.may_be_destroyed(2), Ok(()));
        }
        let zfs = recognised(&[((128 << 10) + 5 * 1024, ZFS_MAGIC.to_be_bytes().to_vec())]);
        assert_eq!(zfs, Occupant::Labelled("a ZFS pool"));
        let refusal = zfs.may_be_destroyed(1).unwrap_err().to_string();
        let words = "it holds a ZFS pool, which would be lost: that must be said twice to be \
                     wanted, and was said 1 time";
        assert_eq!(refusal, words);
    }

    #[test]
    fn a_datastore_is_no_scratch_volume() {
        let device =
            SyntheticDevice { scheme: Some(Scheme::Gpt), ..SyntheticDevice::new(Version::VMFS_6) };
        let mut pieces = device.pieces();
        let occupant = recognised(&pieces);
        assert_eq!(occupant, Occupant::Vmfs { label: Some("synthetic".to_owned()) });
        assert!(occupant.may_be_destroyed(1).is_err());
        // Only the table is left, as of a device of which the rest was lost.
        pieces.retain(|(offset, _)| *offset < START);
        assert_eq!(recognised(&pieces), Occupant::Vmfs { label: None });
    }

    #[test]
    fn a_scratch_volume_beside_something_else_is_not_ours_alone() {
        let mut pieces = formatted(&scratch());
        // A second entry in the partition table.
        let (_, table) = pieces.iter_mut().find(|(offset, _)| *offset == 0).unwrap();
        table[1024 + 128] = 0xaf;
        assert_eq!(recognised(&pieces), Occupant::Partitions { count: 2 });
    }

    #[test]
    fn other_partitions_and_unknown_bytes_are_something() {
        let mut record = vec![0; 512];
        record[446 + 4] = 0x83;
        record[510..].copy_from_slice(&[0x55, 0xaa]);
        assert_eq!(recognised(&[(0, record)]), Occupant::Partitions { count: 1 });
        for offset in [0, 700_000, 20 << 20, DEVICE_BYTES - 1] {
            assert_eq!(recognised(&[(offset, vec![1])]), Occupant::Unknown { offset });
        }
        // Beyond what formatting writes.
        assert_eq!(recognised(&[(100 << 20, vec![1])]), Occupant::Nothing);
    }

    #[test]
    fn what_cannot_be_read_is_said() {
        let broken = Occupant::recognise(DEVICE_BYTES, |_, _| Err(std::io::Error::other("broken")));
        assert_eq!(broken.unwrap_err().to_string(), "broken");
    }
}
