use std::convert::Infallible;
use std::io;

use proptest::prelude::*;

use super::*;
use crate::synthetic::SyntheticDevice;
use crate::{Scheme, Version};

const VMFS_5: Version = Version::VMFS_5;
const VMFS_6: Version = Version::VMFS_6;

fn locate(device: &SyntheticDevice) -> Result<Volume, LocateError<Infallible>> {
    locate_in(&device.pieces(), device.length())
}

fn locate_in(pieces: &[(u64, Vec<u8>)], length: u64) -> Result<Volume, LocateError<Infallible>> {
    Volume::locate(|offset, buffer| Ok(SyntheticDevice::read(pieces, length, offset, buffer)))
}

/// All ways in which a volume lies on a device, with the block at which its heartbeats begin.
#[test]
fn the_heartbeats_are_found_however_the_volume_lies_there() {
    for version in [VMFS_5, VMFS_6] {
        for (scheme, lvm, lba) in [
            (Some(Scheme::Gpt), true, 43_008),
            (Some(Scheme::Mbr), true, 43_008),
            (None, true, 40_960),
            (None, false, 6_144),
            (Some(Scheme::Gpt), false, 8_192),
        ] {
            let device = SyntheticDevice { scheme, lvm, ..SyntheticDevice::new(version) };
            let volume = locate(&device).unwrap();
            assert_eq!(volume.partition.map(|partition| partition.scheme), scheme);
            assert_eq!(volume.lvm.is_some(), lvm);
            let region = volume.file_system.as_ref().unwrap().heartbeats;
            let start = region.range().start;
            assert_eq!(volume.device_offset(start), Some(lba * 512), "{scheme:?} {lvm}");
            assert_eq!(volume.volume_offset(lba * 512), Some(start));
        }
    }
}

#[test]
fn a_file_system_says_what_it_is() {
    let file_system = locate(&SyntheticDevice::new(VMFS_6)).unwrap().file_system.unwrap();
    assert_eq!(file_system.version.to_string(), "VMFS 6 (24.82)");
    assert_eq!((file_system.label.as_str(), file_system.local), ("synthetic", false));
    assert_eq!(file_system.lease, Some(crate::LEASE));
    assert_eq!(file_system.reclaim_window, Some(std::time::Duration::from_secs(4)));
    assert_eq!(file_system.heartbeats, crate::HeartbeatRegion { slots: 1024, stride: 4096 });
    let file_system = locate(&SyntheticDevice::new(VMFS_5)).unwrap().file_system.unwrap();
    assert_eq!(file_system.version.to_string(), "VMFS 5 (14.81)");
    assert_eq!(file_system.lease, None);
    assert_eq!(file_system.heartbeats, crate::HeartbeatRegion { slots: 2048, stride: 512 });
}

#[test]
fn places_have_names() {
    let device = SyntheticDevice { scheme: Some(Scheme::Gpt), ..SyntheticDevice::new(VMFS_6) };
    let volume = locate(&device).unwrap();
    for (lba, name) in [
        (0, "outside of the volume"),
        (36_863, "outside of the volume"),
        (36_864, "byte 0 of the volume"),
        (40_960, "the descriptor of the file system"),
        (43_007, "byte 3145216 of the volume"),
        (43_008 + 8 * 64, "heartbeat slot 64"),
        (43_008 + 8 * 1024 - 1, "heartbeat slot 1023"),
        (43_008 + 8 * 1024, "byte 7340032 of the volume"),
        (36_864 + (256 << 20) / 512, "outside of the volume"),
        (u64::MAX / 512, "outside of the volume"),
    ] {
        assert_eq!(volume.place(lba * 512).to_string(), name, "{lba}");
    }
}

#[test]
fn only_the_head_of_a_spanned_volume_has_heartbeats() {
    let head = SyntheticDevice { extent: (0, 2), ..SyntheticDevice::new(VMFS_6) };
    let volume = locate(&head).unwrap();
    assert!(volume.file_system.is_some());
    assert_eq!(volume.lvm.as_ref().unwrap().extent.devices, 2);
    assert_eq!(volume.device_offset(256 << 20), None, "it is on the other");
    let tail = SyntheticDevice { extent: (1, 2), ..SyntheticDevice::new(VMFS_6) };
    let volume = locate(&tail).unwrap();
    assert_eq!(volume.file_system, None);
    assert!(!volume.lvm.as_ref().unwrap().extent.is_head());
    assert_eq!(volume.volume_offset(volume.data_start()), Some(256 << 20));
    assert_eq!(volume.place(volume.data_start()), Place::Volume { offset: 256 << 20 });
}

#[test]
fn what_is_wrong_is_said() {
    let error = |pieces: &[(u64, Vec<u8>)], length| locate_in(pieces, length).unwrap_err();
    assert!(matches!(error(&[], 0), LocateError::NotVmfs));
    assert!(matches!(error(&[], 1 << 30), LocateError::NotVmfs));

    let disk = SyntheticDevice { scheme: Some(Scheme::Mbr), ..SyntheticDevice::new(VMFS_6) };
    let table = &disk.pieces()[..1];
    assert!(matches!(error(table, disk.length()), LocateError::Unformatted { .. }));
    let message = error(&disk.pieces(), 1 << 20).to_string();
    assert_eq!(
        message,
        "it is cut off: it ends before a volume manager's header at byte 2097152 does"
    );
    let message = error(&disk.pieces(), disk.data_start()).to_string();
    assert!(message.contains("a file system's descriptor"), "{message}");

    let image = SyntheticDevice::new(VMFS_6);
    let mut pieces = image.pieces();
    pieces.truncate(2);
    assert!(matches!(error(&pieces, image.length()), LocateError::NoFileSystem { .. }));
    // The last extent before the first.
    pieces[1].1[0x78] = 1;
    assert!(matches!(error(&pieces, image.length()), LocateError::Descriptor { .. }));
    pieces[0].1[0x66] = 0;
    assert!(matches!(error(&pieces, image.length()), LocateError::NoVolume));

    let broken = Volume::locate(|_, _| Err(io::Error::other("broken"))).unwrap_err();
    assert!(matches!(broken, LocateError::Read { offset: 0x10_0000, .. }), "{broken}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Bytes changed anywhere in what is looked at: no panic, and addresses that can be used.
    #[test]
    fn no_volume_is_too_strange(
        scheme in prop_oneof![Just(None), Just(Some(Scheme::Gpt)), Just(Some(Scheme::Mbr))],
        lvm in any::<bool>(),
        changes in proptest::collection::vec((0..9_usize, 0..SECTOR, any::<u8>()), 0..24),
        length in 0..(320_u64 << 20),
        asked in any::<u64>(),
    ) {
        let device = SyntheticDevice { scheme, lvm, ..SyntheticDevice::new(VMFS_6) };
        let mut pieces = device.pieces();
        for (piece, at, byte) in changes {
            if let Some((_, bytes)) = pieces.get_mut(piece) {
                bytes[at] = byte;
            }
        }
        if let Ok(volume) = locate_in(&pieces, length) {
            let _ = volume.place(asked);
            for offset in [asked, 0, volume.part().start] {
                if let Some(at) = volume.device_offset(offset) {
                    prop_assert_eq!(volume.volume_offset(at), Some(offset));
                }
            }
        }
    }
}
