//! What there is no run of: each is said in a sentence, with exit code 1, before anything is written.

use std::env;
use std::fs;

use anyhow::Result;

use super::units::Spec;
use crate::command::run as command;
use crate::report::Report;
use crate::soak::NO_RUN;

/// Enough for whatever does not need a volume.
const SMALL_MEBIBYTES: u64 = 64;

pub(super) fn run(report: &mut Report) -> Result<()> {
    report.step("what there is no run of");
    on_a_good_unit(report)?;
    too_small(report)?;
    somebody_elses(report)?;
    read_only(report)?;
    full(report)
}

/// Has a soak refuse this, with these words.
fn refused(report: &mut Report, what: &str, line: &[&str], words: &[&str]) -> Result<()> {
    let ended =
        command("pulsefield", [&["soak", "--duration", "5s"][..], line].concat()).ended()?;
    let said = ended.said();
    let right = ended.code == NO_RUN && words.iter().all(|word| said.contains(word));
    let expected = format!("{NO_RUN}, saying {}", words.join(" and "));
    report.check(what, right, expected, format_args!("{}: {said}", ended.code));
    Ok(())
}

/// What is wrong is not the unit. It holds nothing, and still does afterwards.
fn on_a_good_unit(report: &mut Report) -> Result<()> {
    let (unit, other) = (Spec::large("good", 11).make()?, Spec::large("other", 12).make()?);
    let (node, other_node) = (unit.node(), other.node());
    refused(
        report,
        "an unknown mix",
        &[&node, "--mix", "mixd"],
        &["no mix \"mixd\"", "\"mixed\"?"],
    )?;
    let missing = [&*node, "--mix", "./missing.toml"];
    refused(report, "a mix that is no file", &missing, &["cannot read ./missing.toml"])?;

    // Not even root makes a file there.
    for folder in ["/proc", "/proc/report"] {
        let line = [&*node, "--report", folder];
        refused(report, "a report that cannot be written", &line, &[folder, "cannot be written"])?;
    }

    refused(report, "what is no disk", &["/dev/null"], &["/dev/null is no SCSI disk"])?;
    refused(report, "what is not there", &["/dev/sdzz"], &["there is no /dev/sdzz"])?;
    refused(report, "one path twice", &[&node, &node], &[&node, "is named twice"])?;
    let words = ["are not known to be one logical unit", "naa."];
    refused(report, "two units", &[&node, &other_node], &words)?;
    let line = [&*node, "--locking", "scsi", "--hosts", "2"];
    refused(report, "hosts that reserve by one path", &line, &["2 hosts", "take a path each"])?;

    let first = unit.disks()[0].open()?.read_block(0, 512)?;
    report.equal("a unit of which there was no run is as it was", true, first == [0; 512]);
    unit.remove()?;
    other.remove()
}

fn too_small(report: &mut Report) -> Result<()> {
    let unit = Spec { mebibytes: SMALL_MEBIBYTES, ..Spec::large("tiny", 13) }.make()?;
    refused(report, "a unit that is too small", &[&unit.node()], &["67108864 bytes are too few"])?;
    unit.remove()
}

/// A file system: mounted, and not mounted any more.
fn somebody_elses(report: &mut Report) -> Result<()> {
    let unit = Spec { mebibytes: SMALL_MEBIBYTES, ..Spec::large("foreign", 14) }.make()?;
    let (node, folder) = (unit.node(), env::temp_dir().join("foreign"));
    fs::create_dir_all(&folder)?;
    let folder = folder.to_string_lossy();
    command("mkfs.ext4", ["-q", &node]).output()?;
    command("mount", [&*node, &folder]).output()?;
    let line = [&*node, "--destroy", "--destroy"];
    refused(
        report,
        "a unit that is mounted",
        &line,
        &["is in use", &format!("the mount at {folder}")],
    )?;
    command("umount", [&*folder]).output()?;
    for (what, more) in [("holds a file system", None), ("holds one, said once", Some("--destroy"))]
    {
        let line: Vec<_> = [&*node].into_iter().chain(more).collect();
        let words = ["is not touched", "ext4 file system", "said twice"];
        refused(report, &format!("a unit that {what}"), &line, &words)?;
    }
    let checked = command("fsck.ext4", ["-f", "-n", &node]).ended()?;
    report.equal("the file system is as it was", 0, checked.code);
    unit.remove()
}

fn read_only(report: &mut Report) -> Result<()> {
    let large = Spec::large("read-only", 15);
    let unit = Spec { read_only: true, mebibytes: SMALL_MEBIBYTES, ..large }.make()?;
    refused(report, "a unit that is read-only", &[&unit.node()], &["is write-protected"])?;
    unit.remove()
}

/// Less room than a volume takes.
fn full(report: &mut Report) -> Result<()> {
    let unit = Spec { room: Some("8M"), ..Spec::large("brim", 16) }.make()?;
    let words = ["cannot be written", "SPACE ALLOCATION FAILED"];
    refused(report, "a unit that is full", &[&unit.node()], &words)?;
    unit.remove()
}
