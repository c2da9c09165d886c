//! Where on a device a volume is, and which of its bytes are what.
//!
//! No I/O: whoever asks brings a way to read.

use std::error::Error;
use std::fmt;

use thiserror::Error;

use crate::file_system::DESCRIPTOR_OFFSET;
use crate::lvm::LVM_HEADER_OFFSET;
use crate::partition::TABLE_BYTES;
use crate::{Extent, FileSystem, LvmHeader, Partition, SECTOR};

/// What of a device VMFS has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Volume {
    /// The partition; `None` of a device or image that is one itself.
    pub partition: Option<Partition>,
    /// What the volume manager says; `None` of a file system without one.
    pub lvm: Option<Lvm>,
    /// What the file system says; `None` of an extent that is not the head of its volume.
    pub file_system: Option<FileSystem>,
}

/// What the volume manager says of a device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lvm {
    /// Of the device.
    pub header: LvmHeader,
    /// Of the part of the volume that lies there.
    pub extent: Extent,
}

/// Why a volume cannot be told.
#[derive(Debug, Error)]
pub enum LocateError<E: Error + 'static> {
    /// A byte that is needed cannot be read.
    #[error("cannot read {what} at byte {offset}")]
    Read {
        /// What would be there.
        what: &'static str,
        /// Where, in bytes from the start of the device.
        offset: u64,
        /// Why.
        source: E,
    },
    /// The device ends too soon.
    #[error("it is cut off: it ends before {what} at byte {offset} does")]
    Truncated {
        /// What would be there.
        what: &'static str,
        /// Where, in bytes from the start of the device.
        offset: u64,
    },
    /// Nothing is of VMFS.
    #[error(
        "it is not VMFS: no partition of type FBh or GUID AA31E02A-400F-11DB-9590-000C2911D1B8, no \
         volume manager's header at byte {LVM_HEADER_OFFSET}, and no file system at byte {DESCRIPTOR_OFFSET}"
    )]
    NotVmfs,
    /// There is a partition of VMFS with nothing in it.
    #[error("partition {} is one of VMFS, but there is no volume in it", partition.number)]
    Unformatted {
        /// The partition.
        partition: Partition,
    },
    /// There is a volume manager's header, and what follows cannot be a volume.
    #[error("the descriptor of the volume at byte {offset} is damaged")]
    Descriptor {
        /// Where, in bytes from the start of the device.
        offset: u64,
    },
    /// There is a device of the volume manager, and no volume on it.
    #[error("it is a device of VMFS's volume manager without a volume on it")]
    NoVolume,
    /// There is a volume, and no file system on it.
    #[error("there is a volume of VMFS's volume manager, but no file system at byte {offset}")]
    NoFileSystem {
        /// Where, in bytes from the start of the device.
        offset: u64,
    },
}

impl Volume {
    /// Finds the volume on a device: in a partition, or in an image of one, with a volume manager or
    /// without.
    ///
    /// `read` fills a buffer from a byte of the device on and says how much of it it could: less than all
    /// only where the device ends.
    ///
    /// # Errors
    /// [`LocateError`]: if there is none, and what `read` fails with.
    pub fn locate<E: Error + 'static>(
        read: impl FnMut(u64, &mut [u8]) -> Result<usize, E>,
    ) -> Result<Self, LocateError<E>> {
        let mut device = Device(read);
        // A disk has nothing of VMFS where the image of a partition has its volume.
        if let Some(volume) = device.volume(None)? {
            return Ok(volume);
        }
        let mut table = vec![0; TABLE_BYTES];
        let length = device.read("a partition table", 0, &mut table)?;
        let partition = Partition::find(&table[..length]).ok_or(LocateError::NotVmfs)?;
        device.volume(Some(partition))?.ok_or(LocateError::Unformatted { partition })
    }

    /// Where on the device the volume's part begins, in bytes.
    pub fn data_start(&self) -> u64 {
        let partition = self.partition.map_or(0, |partition| partition.start);
        partition + self.lvm.as_ref().map_or(0, |lvm| lvm.header.data_offset)
    }

    /// Which part of the volume lies on this device, in bytes from the start of the volume. Without a volume
    /// manager nothing says where it ends.
    pub fn part(&self) -> std::ops::Range<u64> {
        match &self.lvm {
            Some(Lvm { extent, .. }) => extent.start..extent.start + extent.length,
            None => 0..u64::MAX,
        }
    }

    /// Where on the device a byte of the volume is; `None` if it is on another.
    ///
    /// The pieces of a part are taken to lie one behind the other, as they do on every volume seen. Beyond
    /// 16 TiB there may be more of the volume manager's metadata between them.
    pub fn device_offset(&self, offset: u64) -> Option<u64> {
        let part = self.part();
        let within = part.contains(&offset).then(|| offset - part.start)?;
        self.data_start().checked_add(within)
    }

    /// Which byte of the volume lies at a byte of the device, if one does.
    pub fn volume_offset(&self, device_offset: u64) -> Option<u64> {
        let part = self.part();
        let offset = device_offset.checked_sub(self.data_start())?.checked_add(part.start)?;
        part.contains(&offset).then_some(offset)
    }

    /// What lies at a byte of the device, as far as its place tells. For a logical block, ask for its
    /// first byte.
    pub fn place(&self, device_offset: u64) -> Place {
        let Some(offset) = self.volume_offset(device_offset) else {
            return Place::Outside;
        };
        let Some(file_system) = &self.file_system else {
            return Place::Volume { offset };
        };
        match file_system.heartbeats.slot_at(offset) {
            Some(slot) => Place::HeartbeatSlot { slot },
            None if offset == DESCRIPTOR_OFFSET => Place::FileSystemDescriptor,
            None => Place::Volume { offset },
        }
    }
}

/// What lies at an address, as far as the geometry of a volume tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// Nothing of the volume: the partition table, the volume manager's metadata, another partition.
    Outside,
    /// The descriptor of the file system.
    FileSystemDescriptor,
    /// A heartbeat.
    HeartbeatSlot {
        /// The number of the slot, counted from 0.
        slot: u64,
    },
    /// Anything else of the volume: a lock, other metadata, the data of a file.
    /// [`Object::decode`](crate::Object::decode) tells from the bytes.
    Volume {
        /// Where, in bytes from the start of the volume.
        offset: u64,
    },
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Outside => f.write_str("outside of the volume"),
            Self::FileSystemDescriptor => f.write_str("the descriptor of the file system"),
            Self::HeartbeatSlot { slot } => write!(f, "heartbeat slot {slot}"),
            Self::Volume { offset } => write!(f, "byte {offset} of the volume"),
        }
    }
}

const FILE_SYSTEM: &str = "a file system's descriptor";

/// A device, by a way to read it.
struct Device<R>(R);

impl<R, E> Device<R>
where
    R: FnMut(u64, &mut [u8]) -> Result<usize, E>,
    E: Error + 'static,
{
    /// The volume in a partition, or on the device itself. `None` if nothing there is of VMFS.
    fn volume(&mut self, partition: Option<Partition>) -> Result<Option<Volume>, LocateError<E>> {
        let start = partition.map_or(0, |partition| partition.start);
        let (what, offset) = ("a volume manager's header", start + LVM_HEADER_OFFSET);
        let header = match partition {
            None => self.sector_if_there(what, offset)?,
            Some(_) => Some(self.sector(what, offset)?),
        };
        let Some(header) = header.and_then(|sector| LvmHeader::decode(&sector)) else {
            let sector = self.sector_if_there(FILE_SYSTEM, start + DESCRIPTOR_OFFSET)?;
            let file_system = sector.and_then(|sector| FileSystem::decode(&sector));
            let volume = |it| Volume { partition, lvm: None, file_system: Some(it) };
            return Ok(file_system.map(volume));
        };
        if header.volumes == 0 {
            return Err(LocateError::NoVolume);
        }
        let offset = start + header.descriptor_offset();
        let sector = self.sector("the descriptor of the volume", offset)?;
        let extent = Extent::decode(&sector).ok_or(LocateError::Descriptor { offset })?;
        let offset = start + header.data_offset + DESCRIPTOR_OFFSET;
        let file_system = match extent.is_head() {
            false => None,
            true => {
                let found = FileSystem::decode(&self.sector(FILE_SYSTEM, offset)?);
                Some(found.ok_or(LocateError::NoFileSystem { offset })?)
            }
        };
        Ok(Some(Volume { partition, lvm: Some(Lvm { header, extent }), file_system }))
    }

    fn sector(&mut self, what: &'static str, offset: u64) -> Result<[u8; SECTOR], LocateError<E>> {
        self.sector_if_there(what, offset)?.ok_or(LocateError::Truncated { what, offset })
    }

    /// `None` where the device ends before the sector does.
    fn sector_if_there(
        &mut self,
        what: &'static str,
        offset: u64,
    ) -> Result<Option<[u8; SECTOR]>, LocateError<E>> {
        let mut sector = [0; SECTOR];
        let length = self.read(what, offset, &mut sector)?;
        Ok((length == SECTOR).then_some(sector))
    }

    fn read(
        &mut self,
        what: &'static str,
        offset: u64,
        buffer: &mut [u8],
    ) -> Result<usize, LocateError<E>> {
        (self.0)(offset, buffer).map_err(|source| LocateError::Read { what, offset, source })
    }
}

#[cfg(test)]
mod tests;
