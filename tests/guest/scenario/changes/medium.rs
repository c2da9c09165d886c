//! A unit that may not be written, and one whose medium can be taken out.

use anyhow::Result;

use super::{BLOCK, ready};
use crate::backstore::{Backstore, Kind};
use crate::cdb;
use crate::command::run as command;
use crate::fabric;
use crate::reply::Answer;
use crate::report::Report;
use crate::sg::{Data, Device};

/// 07h/27h/00h WRITE PROTECTED.
const WRITE_PROTECTED: Answer = Answer::Check(0x07, 0x27, 0x00);
/// 02h/3Ah: MEDIUM NOT PRESENT.
const NO_MEDIUM: (u8, u8) = (0x02, 0x3a);

pub(super) fn run(report: &mut Report) -> Result<()> {
    read_only(report)?;
    removable(report)
}

fn read_only(report: &mut Report) -> Result<()> {
    report.step("a unit that is configured to be read only");
    let unit = Backstore::new(Kind::Pulsefield, "protected", "64M");
    let device = fabric::over_loopback(&unit)?.open()?;
    report.works("READ", device.read_block(0, 512));
    let mut page = [0; 64];
    device.must(&cdb::mode_sense_6(0x3f, 64), Data::In(&mut page))?;
    report.equal("MODE SENSE: WP", true, page[2] & 0x80 != 0);
    let block = [1; BLOCK];
    let both = [0; 2 * BLOCK];
    for (name, cdb, data) in [
        ("WRITE", cdb::write_16(0, 1).to_vec(), Data::Out(&block)),
        ("COMPARE AND WRITE", cdb::compare_and_write(0, 1).to_vec(), Data::Out(&both)),
        ("WRITE SAME", cdb::write_same_16(0, 1).to_vec(), Data::Out(&block)),
        ("UNMAP", cdb::unmap(24).to_vec(), Data::Out(&cdb::unmap_list(0, 1))),
        ("FORMAT UNIT", vec![0x04, 0, 0, 0, 0, 0], Data::None),
        ("SANITIZE, BLOCK ERASE", vec![0x48, 2, 0, 0, 0, 0, 0, 0, 0, 0], Data::None),
    ] {
        report.equal(name, WRITE_PROTECTED, device.send(&cdb, data)?.answer());
    }
    drop(device);
    unit.delete()
}

fn removable(report: &mut Report) -> Result<()> {
    report.step("a medium that can be taken out");
    let unit = Backstore::new(Kind::Pulsefield, "disc", "64M");
    let device = fabric::over_loopback(&unit)?.open()?;
    device.write_block(5, &[5; BLOCK])?;
    sg("sg_prevent", &["--prevent=1"], &device)?;
    let held = command("sg_start", ["--eject", &*device.path().to_string_lossy()]).ended()?;
    report.equal("sg_start --eject of a medium that is held fails", true, held.code != 0);
    report.equal("TEST UNIT READY then", Answer::Good, ready(&device)?);
    sg("sg_prevent", &["--allow"], &device)?;
    report.works("sg_start --eject", sg("sg_start", &["--eject"], &device));
    let out = ready(&device)?;
    let absent = matches!(out, Answer::Check(key, asc, _) if (key, asc) == NO_MEDIUM);
    report.check("TEST UNIT READY without a medium", absent, "02h/3Ah", out);
    report.works("sg_start --load", sg("sg_start", &["--load"], &device));
    let kept = device.read_block(5, 512)? == [5; BLOCK];
    report.equal("what is on it then", true, kept);
    drop(device);
    unit.delete()
}

fn sg(program: &str, words: &[&str], device: &Device) -> Result<String> {
    let path = device.path().to_string_lossy();
    command(program, words.iter().copied().chain([&*path])).output()
}
