//! What else is read of a record, and what is no record, or not the right one.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use super::LUN;
use crate::command::run as command;
use crate::report::Report;

/// Where the daemon records.
const RECORDS: &str = "/run/pulsefield/record";
/// Where records are spoilt.
const WORKSHOP: &str = "/srv/records";
/// Where the number of a file's version is.
const VERSION_AT: usize = 8;

pub(super) fn run(report: &mut Report) -> Result<()> {
    report.step("a record's unit attentions and aborts, and its frames");
    let trace = command("pulsefield", ["trace", LUN]).output()?;
    for words in ["ABORT TASK of #", "ABORT TASK is over after ", "is NOT ANSWERED after "] {
        report.check(&format!("trace: {words}"), trace.contains(words), "a line", trace.len());
    }
    // Left with the results, for whoever has Wireshark: first of all `cargo xtask`, which has tshark look at it.
    command("pulsefield", ["trace", LUN, "--pcapng", "ds1.pcapng"]).output()?;
    report.at_least("trace --pcapng: bytes", 10_000, fs::metadata("ds1.pcapng")?.len());
    report.step("records that are cut off, spoilt, or another unit's");
    spoilt(report)
}

/// A unit attention condition that the unit raises is in its record. Initiators hear of it for some time.
pub(super) fn raised(report: &mut Report) -> Result<()> {
    let folder = crate::configfs::Folder::of(LUN)?;
    folder.write("attrib/dev_size", &(96_u64 << 20).to_string())?;
    let words = "unit attention raised: CAPACITY DATA HAS CHANGED";
    let trace = command("pulsefield", ["trace", LUN]).output()?;
    report.equal("trace: a new size", 1, trace.matches(words).count());
    Ok(())
}

/// What `pulsefield explain` and `pulsefield trace` say of files that they cannot read, and of one that has
/// lost its end.
fn spoilt(report: &mut Report) -> Result<()> {
    let file = format!("{LUN}.pulserec");
    let whole = fs::read(Path::new(RECORDS).join(&file)).context("the record")?;
    fs::create_dir_all(WORKSHOP)?;
    let put = |name: &str, bytes: &[u8]| -> Result<PathBuf> {
        let path = Path::new(WORKSHOP).join(name);
        fs::write(&path, bytes)?;
        Ok(path)
    };
    let mut newer = whole.clone();
    newer[VERSION_AT] = 99;
    let mut damaged = whole.clone();
    damaged[40] ^= 1;
    for (name, bytes, reason) in [
        ("empty", &whole[..0], "is cut off after 0 bytes"),
        ("short", &whole[..100], "is cut off after 100 bytes"),
        ("newer", &newer[..], "is a record of version 99"),
        ("damaged", &damaged[..], "is damaged"),
        ("noise", &whole[512 + 1..], "is no record of Pulsefield's"),
    ] {
        let path = put(&format!("{name}.pulserec"), bytes)?;
        refused(report, name, &[&path.to_string_lossy()], reason)?;
    }
    put("ds9.pulserec", &whole)?;
    refused(report, "another unit's", &["ds9", "--directory", WORKSHOP], "is a record of ds1")?;
    let half = put("half.pulserec", &whole[..whole.len() / 2])?;
    for what in ["explain", "trace"] {
        let ended = command("pulsefield", [what, &*half.to_string_lossy()]).ended()?;
        let name = format!("{what}: a record without its second half");
        report.check(&name, ended.code == 0, "read as far as it goes", ended.stderr.trim());
    }
    fs::remove_dir_all(WORKSHOP).context(WORKSHOP)
}

fn refused(report: &mut Report, name: &str, words: &[&str], reason: &str) -> Result<()> {
    for what in ["explain", "trace"] {
        let ended = command("pulsefield", [what].iter().chain(words)).ended()?;
        let (said, right) = (ended.said(), ended.code == 1 && ended.stderr.contains(reason));
        report.check(&format!("{what}: a record that is {name}"), right, reason, said);
    }
    Ok(())
}
