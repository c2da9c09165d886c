use std::convert::Infallible;

use super::*;
use crate::{Object, REGION_OFFSET, Volume};

const DEVICE_BYTES: u64 = (1 << 30) + 4096;

/// The device as formatting leaves it, which held something else everywhere.
struct Device(Vec<Piece>);

impl Device {
    fn new(format: &Format) -> Self {
        Self(format.pieces().unwrap().collect())
    }

    fn read(&self, offset: u64, buffer: &mut [u8]) -> usize {
        buffer.fill(0xa5);
        let range = offset..(offset + buffer.len() as u64).min(DEVICE_BYTES);
        for Piece { offset, bytes } in &self.0 {
            let end = offset + bytes.len() as u64;
            let (from, to) = (range.start.max(*offset), range.end.min(end));
            if from < to {
                let at = |byte: u64, origin: u64| usize::try_from(byte - origin).unwrap();
                let there = &bytes[at(from, *offset)..at(to, *offset)];
                buffer[at(from, range.start)..at(to, range.start)].copy_from_slice(there);
            }
        }
        usize::try_from(range.end - range.start).unwrap()
    }

    fn volume(&self) -> Volume {
        Volume::locate(|offset, buffer| Ok::<_, Infallible>(self.read(offset, buffer))).unwrap()
    }

    /// So many bytes of the volume.
    fn bytes(&self, volume: &Volume, range: Range<u64>) -> Vec<u8> {
        let mut bytes = vec![0; usize::try_from(range.end - range.start).unwrap()];
        self.read(volume.device_offset(range.start).unwrap(), &mut bytes);
        bytes
    }
}

fn formats() -> Vec<Format> {
    let uuid = VolumeUuid::scratch(0x0102_0304_0506_0708);
    let mut formats = Vec::new();
    for (version, block_length) in [
        (Version::VMFS_3, 512),
        (Version::VMFS_5, 512),
        (Version::VMFS_6, 512),
        (Version::VMFS_6, 4096),
    ] {
        let whole = Format::new(version, DEVICE_BYTES, block_length, uuid);
        formats.push(Format { scheme: None, ..whole.clone() });
        formats.push(Format { scheme: None, lvm: false, ..whole.clone() });
        formats.push(whole);
    }
    formats
}

#[test]
fn what_is_formatted_is_found_where_vmfs_has_it() {
    for format in formats() {
        let device = Device::new(&format);
        let volume = device.volume();
        assert_eq!(volume.partition.map(|partition| partition.scheme), format.scheme);
        assert_eq!(volume.lvm.is_some(), format.lvm);
        if let Some(lvm) = &volume.lvm {
            assert_eq!((lvm.extent.devices, lvm.extent.length), (1, 3 * PHYSICAL_EXTENT_BYTES));
            assert_eq!(lvm.header.device_bytes, DEVICE_BYTES);
        }
        let file_system = volume.file_system.clone().unwrap();
        assert_eq!(file_system, format.file_system());
        if format.lvm && format.scheme.is_some() {
            assert_eq!(volume.device_offset(REGION_OFFSET), Some(43_008 * 512));
        }
    }
}

#[test]
fn every_slot_is_clear_and_every_lock_is_free() {
    for format in formats() {
        let device = Device::new(&format);
        let volume = device.volume();
        let region = format.file_system().heartbeats;
        assert_eq!(region.stride, if format.version == Version::VMFS_6 { 4096 } else { 512 });
        for slot in 0..region.slots {
            let address = region.address(slot).unwrap();
            let sector = device.bytes(&volume, address..address + 512);
            assert_eq!(Heartbeat::decode(&sector), Some(Heartbeat::never_used(address)));
        }
        let metadata = device.bytes(&volume, 0..METADATA_END);
        let found: Vec<_> = Object::locks_in(&metadata, 0).collect();
        let areas = LockArea::of(format.version).iter();
        let locks = areas.flat_map(|area| {
            area.addresses().map(move |address| DiskLock::never_taken(area.kind, address))
        });
        assert_eq!(found, locks.collect::<Vec<_>>());
    }
}

#[test]
fn lock_areas_do_not_meet() {
    for version in [Version::VMFS_3, Version::VMFS_5, Version::VMFS_6] {
        let areas = LockArea::of(version);
        assert!(areas.windows(2).all(|two| two[0].range().end <= two[1].range().start));
        assert!(heartbeats(version).range().end <= areas[0].start);
        assert!(areas.last().unwrap().range().end <= METADATA_END);
    }
}

/// What makes a volume of the device comes last, so that one formatted half holds none.
#[test]
fn half_a_volume_is_none() {
    let format = formats().pop().unwrap();
    let mut pieces: Vec<_> = format.pieces().unwrap().collect();
    let last = pieces.pop().unwrap();
    assert_eq!(last.offset, 0);
    let half = Device(pieces);
    let found = Volume::locate(|offset, buffer| Ok::<_, Infallible>(half.read(offset, buffer)));
    assert!(found.is_err(), "{found:?}");
}

#[test]
fn pieces_are_whole_blocks_without_gaps() {
    for format in formats() {
        let mut pieces: Vec<_> = format.pieces().unwrap().collect();
        for piece in &pieces {
            assert!(piece.bytes.len() as u64 <= PIECE_BYTES);
            assert!(piece.offset.is_multiple_of(format.block_length));
            assert!((piece.bytes.len() as u64).is_multiple_of(format.block_length));
        }
        let tail = pieces.remove(0);
        assert_eq!(tail.offset + tail.bytes.len() as u64, DEVICE_BYTES);
        pieces.reverse();
        let mut at = 0;
        for piece in pieces {
            assert_eq!(piece.offset, at);
            at += piece.bytes.len() as u64;
        }
        assert!(at < tail.offset);
    }
}

#[test]
fn what_cannot_be_formatted_is_refused() {
    let uuid = VolumeUuid::scratch(1);
    let refused = |format: Format| format.pieces().map(|_| ()).unwrap_err();
    let whole = Format::new(Version::VMFS_6, DEVICE_BYTES, 512, uuid);
    let FormatError::TooSmall { needed, .. } =
        refused(Format { device_bytes: 1 << 20, ..whole.clone() })
    else {
        panic!()
    };
    assert!(Format { device_bytes: needed, ..whole.clone() }.pieces().is_ok());
    let message = refused(Format { device_bytes: needed - 512, ..whole.clone() }).to_string();
    assert!(message.ends_with("which takes 287375360 at least"), "{message}");
    for device_bytes in [0, 512, 64 << 10] {
        let error = refused(Format { device_bytes, ..whole.clone() });
        assert!(matches!(error, FormatError::TooSmall { .. }), "{error}");
    }
    let four_kn = Format::new(Version::VMFS_5, DEVICE_BYTES, 4096, uuid);
    let words = "VMFS 5 (14.81) does not go with logical blocks of 4096 bytes";
    assert_eq!(refused(four_kn).to_string(), words);
    let odd = Format { block_length: 520, ..whole.clone() };
    assert!(matches!(refused(odd), FormatError::BlockLength { .. }));
    let long = Format { label: "x".repeat(128), ..whole.clone() };
    assert_eq!(refused(long), FormatError::Label { length: 128 });
    let datastore = VolumeUuid::from_bytes([0x11; 16]);
    let refused = refused(Format { uuid: datastore, ..whole });
    assert_eq!(refused, FormatError::NotScratch { uuid: datastore });
}
