//! The same over dm-multipath, by `mpathpersist`: two iSCSI portals, one map. Once with both portals in
//! one target, once with a target for each, since the kernel tells the sessions of one initiator apart
//! only where they lead to different targets.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, ensure};

use super::{Initiator, Initiators};
use crate::backstore::{Backstore, Kind};
use crate::command::run as command;
use crate::disk::{Disk, Transport};
use crate::examples::Example;
use crate::fabric::{self, PORTALS};
use crate::persist::{Type, parse_keys, parse_type};
use crate::reply::Answer;
use crate::report::Report;
use crate::targetcli::targetcli;
use crate::wait::wait_for;

const CONFIGURATION: &str = "/etc/multipath.conf";
/// Only iSCSI, so that the paths over other fabrics stay strangers.
const ONLY_ISCSI: &str = "defaults {
    find_multipaths yes
    user_friendly_names no
    reservation_key file
}
blacklist {
    protocol \".*\"
}
blacklist_exceptions {
    protocol \"scsi:iscsi\"
}
";
const LIMIT: Duration = Duration::from_secs(60);
const KEY: u64 = 0xb2;
const CONFLICT: Answer = Answer::RESERVATION_CONFLICT;
/// A target for each portal.
const TARGETS: [&str; 2] = ["iqn.2026-01.io.pulsefield:one", "iqn.2026-01.io.pulsefield:two"];

/// A multipath device and what it is made of.
struct Map {
    node: PathBuf,
    paths: [Initiator; 2],
}

pub(super) fn run(report: &mut Report, initiators: &Initiators) -> Result<()> {
    report.step("mpathpersist on two portals of one target");
    fs::write(CONFIGURATION, ONLY_ISCSI).context("configuring multipath")?;
    command("systemctl", ["start", "multipathd.service"]).output()?;
    let paths = [&initiators.each[1], &initiators.second_path].map(|one| one.disk.clone());
    let map = Map::over(paths)?;
    // Under types 1h and 3h one session alone should hold; the kernel takes both for one (`persistent`).
    each_type(report, &map, &initiators.each[0], |_| 2)?;
    map.flush()?;

    report.step("mpathpersist on two targets of one portal each");
    let ds2 = Backstore::new(Kind::Pulsefield, "ds2", "64M");
    let stranger = Initiator::new(fabric::over_loopback(&ds2)?)?;
    let map = Map::over(two_targets(&ds2)?)?;
    each_type(report, &map, &stranger, |kind| if kind.admits_registrants() { 2 } else { 1 })?;
    map.flush()?;
    command("systemctl", ["stop", "multipathd.socket", "multipathd.service"]).output()?;
    drop(stranger);
    for target in TARGETS {
        command("iscsiadm", ["--mode", "node", "--targetname", target, "--logout"]).output()?;
        targetcli(&["/iscsi", "delete", target])?;
    }
    ds2.delete()
}

/// Exports over a target for each portal and logs in to both.
fn two_targets(backstore: &Backstore) -> Result<[Disk; 2]> {
    for (target, portal) in TARGETS.into_iter().zip(PORTALS) {
        Example::Iscsi.run(&[
            ("NAME", &backstore.name),
            ("TARGET", target),
            ("PORTALS", portal),
        ])?;
        let discover = ["--mode", "discovery", "--type", "sendtargets", "--portal", portal];
        command("iscsiadm", discover).output()?;
        let node = ["--mode", "node", "--targetname", target, "--portal", portal, "--login"];
        command("iscsiadm", node).output()?;
    }
    let serial = backstore.serial()?;
    wait_for(LIMIT, "the paths over two targets", || {
        Ok(Disk::find(Transport::Iscsi, &serial)?.try_into().ok())
    })
}

/// Registers, and under each type: what is told, who may write, and that a stranger may not.
fn each_type(
    report: &mut Report,
    map: &Map,
    stranger: &Initiator,
    writers: fn(Type) -> usize,
) -> Result<()> {
    let key = format!("{KEY:x}");
    let own = format!("--param-rk={key}");
    map.must(&["--out", "--register", &format!("--param-sark={key}")])?;
    let keys = parse_keys(&map.must(&["--in", "--read-keys"])?);
    report.equal("keys, one a path", true, keys == [KEY; 2]);
    for kind in Type::ALL {
        let of = format!("--prout-type={}", kind.code());
        map.must(&["--out", "--reserve", &own, &of])?;
        let told = parse_type(&map.must(&["--in", "--read-reservation"])?);
        report.equal(&format!("mpathpersist sees {kind}"), true, told == Some(kind));
        let mut passed = 0;
        for path in &map.paths {
            let answer = path.write(kind.code())?;
            ensure!([Answer::Good, CONFLICT].contains(&answer), "WRITE: {answer}");
            passed += usize::from(answer == Answer::Good);
        }
        report.equal(&format!("{kind}: paths that may write"), writers(kind), passed);
        let readable = if kind.is_write_exclusive() { Answer::Good } else { CONFLICT };
        report.equal(&format!("{kind}: a stranger's READ"), readable, stranger.read()?);
        report.equal(&format!("{kind}: a stranger's WRITE"), CONFLICT, stranger.write(0)?);
        map.must(&["--out", "--release", &own, &of])?;
        let left = parse_type(&map.must(&["--in", "--read-reservation"])?);
        report.equal(&format!("{kind}: released"), true, left.is_none());
    }
    map.must(&["--out", "--clear", &own])?;
    let keys = parse_keys(&map.must(&["--in", "--read-keys"])?);
    report.equal("keys after CLEAR", 0, keys.len());
    stranger.write(0).map(drop)
}

impl Map {
    /// Has multipathd make one of these paths.
    fn over(paths: [Disk; 2]) -> Result<Self> {
        let paths = paths.map(Initiator::new);
        let [first, second] = paths;
        let paths = [first?, second?];
        let wwid = format!("3{}", paths[0].device.naa()?);
        let node = Path::new("/dev/mapper").join(&wwid);
        command("multipath", ["-v2"]).ended()?;
        wait_for(LIMIT, "a multipath device of two paths", || {
            let Ok(device) = fs::canonicalize(&node) else { return Ok(None) };
            let name = device.file_name().context("a device without a name")?;
            let slaves = Path::new("/sys/block").join(name).join("slaves");
            Ok((fs::read_dir(slaves)?.count() == paths.len()).then_some(()))
        })?;
        Ok(Self { node, paths })
    }

    /// `mpathpersist` with these words, which must succeed.
    fn must(&self, words: &[&str]) -> Result<String> {
        let node = self.node.to_string_lossy();
        command("mpathpersist", words.iter().copied().chain([&*node])).output()
    }

    /// Takes the map away again.
    fn flush(self) -> Result<()> {
        let node = self.node.to_string_lossy();
        command("multipath", ["-f", &*node]).output().map(drop)
    }
}
