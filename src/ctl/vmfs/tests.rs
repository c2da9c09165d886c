use std::fs::{File, OpenOptions};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Parser as _;
use pulsefield_vmfs::synthetic::SyntheticDevice;
use pulsefield_vmfs::{
    DiskLock, Heartbeat, HeartbeatState, HostUuid, LockHolder, LockKind, LockMode, Scheme, Version,
};
use tempfile::TempDir;

use super::*;
use crate::cli::{Cli, Command};

const VMFS_6: Version = Version { major: 24, minor: 82 };
const SLOT_64: u64 = 0x34_0000;

fn host(byte: u8) -> HostUuid {
    HostUuid::from_bytes([byte; 16]).unwrap()
}

fn in_use(address: u64, owner: u8) -> Heartbeat {
    Heartbeat {
        state: HeartbeatState::InUse,
        generation: 5,
        stamp: Duration::from_micros(243_300_042_824),
        owner: Some(host(owner)),
        major_version: 24,
        minor_version: 82,
        lock_implementation: 3,
        management_address: Some([10, 0, 0, 229].into()),
        ..Heartbeat::never_used(address)
    }
}

/// A volume of two hosts, one of which is gone, with a lock of each, one for both to read, and many that
/// nobody has.
fn datastore() -> SyntheticDevice {
    let gone = Heartbeat {
        state: HeartbeatState::Clear,
        generation: 8,
        owner: None,
        ..in_use(SLOT_64 + 4096, 0x22)
    };
    let exclusive = |address, slot, generation, owner| DiskLock {
        token: 4,
        mode: LockMode::Exclusive,
        heartbeat_address: slot,
        heartbeat_generation: generation,
        owner: Some(host(owner)),
        ..DiskLock::never_taken(LockKind::FileDescriptor, address)
    };
    let mut shared = DiskLock {
        token: 9,
        mode: LockMode::ReadOnly,
        ..DiskLock::never_taken(LockKind::FileDescriptor, 0x72_4000)
    };
    for (holder, slot, owner) in [(0, SLOT_64, 0x11), (1, SLOT_64 + 8192, 0x33)] {
        shared.holders[holder] = Some(LockHolder {
            heartbeat_address: slot,
            heartbeat_generation: 5,
            host: host(owner),
        });
    }
    let mut device = SyntheticDevice {
        scheme: Some(Scheme::Gpt),
        label: "ds1",
        heartbeats: vec![in_use(SLOT_64, 0x11), gone],
        locks: vec![
            exclusive(0x72_0000, SLOT_64, 5, 0x11),
            exclusive(0x72_2000, SLOT_64 + 4096, 7, 0x22),
            shared,
        ],
        ..SyntheticDevice::new(VMFS_6)
    };
    let free = |nth: u64| DiskLock::never_taken(LockKind::SubBlockCluster, 0x91_0000 + nth * 8192);
    device.locks.extend((0..16).map(free));
    device
}

struct Image {
    path: PathBuf,
    _folder: TempDir,
}

impl Image {
    fn new(device: &SyntheticDevice) -> Self {
        let folder = TempDir::new().unwrap();
        let path = folder.path().join("volume.img");
        let file = File::create(&path).unwrap();
        file.set_len(device.length()).unwrap();
        for (offset, bytes) in device.pieces() {
            file.write_all_at(&bytes, offset).unwrap();
        }
        Self { path, _folder: folder }
    }

    fn shown(&self, options: &str) -> String {
        show(&self.path, options).unwrap()
    }
}

fn show(path: &Path, options: &str) -> Result<String, String> {
    let line = format!("pulsefield vmfs {} {options}", path.display());
    let Command::Vmfs(args) = Cli::parse_from(line.split_whitespace()).command else { panic!() };
    let mut out = Vec::new();
    match execute(&args, &mut out) {
        Ok(()) => Ok(String::from_utf8(out).unwrap()),
        Err(CommandError::Vmfs(error)) => Err(error.to_string()),
        Err(error) => panic!("{error}"),
    }
}

#[test]
fn a_volume_is_shown_with_its_hosts_and_locks() {
    let image = Image::new(&datastore());
    let text = image.shown("");
    let line = |beginning: &str| {
        text.lines().find(|line| line.starts_with(beginning)).unwrap_or_else(|| panic!("{text}"))
    };
    assert!(line("volume").contains("\"ds1\""), "{text}");
    assert!(line("volume").ends_with("VMFS 6 (24.82)"), "{text}");
    assert!(line("lies").contains("in partition 1 (GPT)"), "{text}");
    assert!(line("heartbeats").contains("which is block 43008 of 512 bytes"), "{text}");
    assert!(line("64 ").contains("11111111-11111111-1111-111111111111"), "{text}");
    assert!(!text.lines().any(|line| line.starts_with("65 ")), "{text}");
    assert!(text.contains("3 of 19 locks held, in all 256 MiB"), "{text}");
    let held: Vec<_> = text.lines().filter(|line| line.starts_with("file descriptor")).collect();
    assert!(held[0].ends_with("held while its heartbeat pulses"), "{text}");
    assert!(held[1].ends_with("stale: its heartbeat is clear, generation 8"), "{text}");
    assert!(held[2].contains("read-only"), "{text}");
    assert!(held[3].ends_with("stale: its heartbeat is clear, generation 0"), "{text}");
    assert_eq!(held.len(), 4);
    let all = image.shown("--all");
    assert!(all.lines().any(|line| line.starts_with("65 ")), "{all}");
}

#[test]
fn a_search_can_be_short_or_left_out() {
    let image = Image::new(&datastore());
    let text = image.shown("--search 0");
    assert!(text.ends_with("locks were not searched for\n"), "{text}");
    let text = image.shown("--search 8MiB");
    let words = "3 of 3 locks held, in the first 8 MiB of 256 MiB; --search looks further";
    assert!(text.contains(words), "{text}");
}

#[test]
fn it_can_be_read_as_json_and_as_esxi_prints_it() {
    let image = Image::new(&datastore());
    let json: serde_json::Value = serde_json::from_str(&image.shown("--json --all")).unwrap();
    assert_eq!(json["heartbeat_region"]["device_offset"], 43_008 * 512);
    assert_eq!(json["heartbeats"][0]["slot"], 64);
    assert_eq!(json["heartbeats"][0]["stamp_us"], 243_300_042_824_u64);
    assert_eq!(json["heartbeats"][1]["state"], "clear");
    assert_eq!(json["held_locks"][2]["claims"][1]["host"], host(0x33).to_string());
    assert_eq!(json["locks_found"], 19);
    let esxi = image.shown("--esxi");
    let lines: Vec<_> = esxi.lines().collect();
    assert_eq!(lines[0], "(1): MAC address 11:11:11:11:11:11");
    assert!(lines[1].starts_with("[HB state abcdef02 offset 3407872 gen 5 "), "{esxi}");
    assert_eq!(lines[2], "Lock [type 10c00001 offset 7471104 v 4, hb offset 3407872");
    assert!(esxi.contains("\nRO Owner[1] HB Offset 3416064 33333333-"), "{esxi}");
}

#[test]
fn a_part_of_a_spanned_volume_says_which() {
    let head = Image::new(&SyntheticDevice { extent: (0, 2), ..datastore() });
    assert!(head.shown("").contains("2 devices, of which this is the head"));
    let lock = DiskLock {
        mode: LockMode::Exclusive,
        owner: Some(host(0x11)),
        ..DiskLock::never_taken(LockKind::SubBlockCluster, (256 << 20) + 8192)
    };
    let tail = SyntheticDevice {
        extent: (1, 2),
        heartbeats: Vec::new(),
        locks: vec![lock],
        ..datastore()
    };
    let text = Image::new(&tail).shown("");
    assert!(text.contains("2 devices, of which this is not the head"), "{text}");
    assert!(!text.contains("SLOT"), "{text}");
    assert!(text.contains("unknown: its heartbeat is on another device"), "{text}");
}

#[test]
fn a_damaged_slot_is_not_overlooked() {
    let device = datastore();
    let image = Image::new(&device);
    let file = OpenOptions::new().write(true).open(&image.path).unwrap();
    file.write_all_at(&[0; 512], device.data_start() + SLOT_64).unwrap();
    let text = image.shown("");
    assert!(text.lines().any(|line| line.starts_with("64 ") && line.contains("DAMAGED")), "{text}");
    assert!(text.contains("unknown: there is no heartbeat where the lock says"), "{text}");
}

#[test]
fn what_cannot_be_shown_is_said() {
    let folder = TempDir::new().unwrap();
    let error = |path: &Path| show(path, "").unwrap_err();
    assert!(error(&folder.path().join("nothing")).starts_with("cannot open"));
    assert!(error(folder.path()).ends_with("is neither a file nor a block device"));
    let text = folder.path().join("text");
    std::fs::write(&text, "not a volume").unwrap();
    assert!(error(&text).ends_with("holds no volume that can be shown"));
    let device = datastore();
    let image = Image::new(&device);
    let file = OpenOptions::new().write(true).open(&image.path).unwrap();
    file.set_len(device.data_start() + SLOT_64).unwrap();
    let message = error(&image.path);
    assert!(message.contains("is cut off: it ends at byte"), "{message}");
}

#[test]
fn without_a_daemon_a_name_is_no_logical_unit() {
    let line = ["pulsefield", "vmfs", "ds1", "--socket", "/nowhere/control.sock"];
    let Command::Vmfs(args) = Cli::parse_from(line).command else { panic!() };
    let error = execute(&args, &mut Vec::new()).unwrap_err();
    assert_eq!(error.to_string(), "there is no file ds1, and it cannot be shown as a logical unit");
}

#[test]
fn whoever_watches_sees_pulses_and_their_absence() {
    let device = datastore();
    let image = Image::new(&device);
    let mut source = Source::open(&image.path, Path::new("/nowhere")).unwrap();
    let findings = Findings::gather(&mut source, 0, None).unwrap();
    let mut watch = Watch::new(&findings).unwrap();
    let mut after = |seconds: u64, region: &[u8]| {
        let events = watch.look(Duration::from_secs(seconds), region.to_vec());
        events.iter().map(ToString::to_string).collect::<Vec<_>>()
    };
    let still = findings.region.clone();
    let mut pulsed = still.clone();
    let later =
        Heartbeat { stamp: Duration::from_micros(243_303_042_824), ..in_use(SLOT_64, 0x11) };
    pulsed[64 * 4096..64 * 4096 + 512].copy_from_slice(&later.encode());
    let of_host = "host 11111111-11111111-1111-111111111111";
    assert_eq!(after(3, &pulsed), [format!("     3.0 s  slot 64  pulse +3.000 s by {of_host}")]);
    assert_eq!(after(19, &pulsed), [""; 0], "exactly the lease is not over it");
    assert_eq!(
        after(21, &pulsed),
        [format!("    21.0 s  slot 64  no pulse for 18.0 s: {of_host} may be taken for dead")]
    );
    assert_eq!(after(24, &pulsed), [""; 0], "once is enough");
    assert_eq!(
        after(27, &still),
        [format!(
            "    27.0 s  slot 64  an older image of {of_host}, stamp -3.000 s, generation 5 → 5"
        )]
    );
}
