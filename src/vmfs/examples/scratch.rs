//! Formats an image as a scratch volume of VMFS 3, 5 or 6, and puts on it what a host that is up would:
//! `scratch 3|5|6 FILE`. For `cargo xtask vmfs-images`, and for whoever wants to see what is written.

use std::error::Error;
use std::fs::File;
use std::os::unix::fs::FileExt as _;
use std::time::Duration;

use pulsefield_vmfs::format::{Format, LockArea, Piece};
use pulsefield_vmfs::{
    DiskLock, Heartbeat, HeartbeatState, HostUuid, LockHolder, LockMode, Version, Volume,
    VolumeUuid,
};

const DEVICE_BYTES: u64 = 1 << 30;
const SLOT: u64 = 64;

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<_> = std::env::args().skip(1).collect();
    let (version, path) = match &arguments[..] {
        [version, path] if version == "3" => (Version::VMFS_3, path),
        [version, path] if version == "5" => (Version::VMFS_5, path),
        [version, path] if version == "6" => (Version::VMFS_6, path),
        _ => return Err("scratch 3|5|6 FILE".into()),
    };
    let file = File::options().read(true).write(true).create(true).truncate(true).open(path)?;
    file.set_len(DEVICE_BYTES)?;
    let format = Format {
        scheme: None,
        label: "scratch".to_owned(),
        created_s: 1_750_000_000,
        ..Format::new(version, DEVICE_BYTES, 512, VolumeUuid::scratch(1))
    };
    for Piece { offset, bytes } in format.pieces()? {
        file.write_all_at(&bytes, offset)?;
    }

    let volume = Volume::locate(|offset, buffer| file.read_at(buffer, offset))?;
    let region = volume.file_system.as_ref().ok_or("no file system")?.heartbeats;
    let address = region.address(SLOT).ok_or("no such slot")?;
    let host: HostUuid = "685eb8eb-7f3e3890-4544-bc2411b17e28".parse()?;
    let heartbeat = Heartbeat {
        state: HeartbeatState::InUse,
        generation: 5,
        stamp: Duration::from_micros(243_300_042_824),
        owner: Some(host),
        major_version: version.major,
        minor_version: version.minor,
        management_address: Some([10, 0, 0, 229].into()),
        ..Heartbeat::never_used(address)
    };
    let write = |at, sector: [u8; 512]| {
        file.write_all_at(&sector, volume.device_offset(at).ok_or("beyond the volume")?)?;
        Ok::<_, Box<dyn Error>>(())
    };
    write(address, heartbeat.encode())?;
    let holder = LockHolder { heartbeat_address: address, heartbeat_generation: 5, host };
    // One lock of each kind, taken for one thing after the other.
    let modes = [LockMode::Exclusive, LockMode::ReadOnly, LockMode::MultiWriter];
    for (area, mode) in LockArea::of(version).iter().zip(modes.into_iter().cycle()) {
        let at = area.addresses().last().ok_or("no lock")?;
        let mut lock = DiskLock {
            token: 2,
            mode,
            heartbeat_address: address,
            heartbeat_generation: 5,
            ..DiskLock::never_taken(area.kind, at)
        };
        match mode {
            LockMode::Free | LockMode::Exclusive => lock.owner = Some(host),
            LockMode::ReadOnly | LockMode::MultiWriter => lock.holders[0] = Some(holder),
        }
        write(at, lock.encode())?;
    }
    Ok(())
}
