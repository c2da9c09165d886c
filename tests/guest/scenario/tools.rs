//! What administrators run on a disk: every query of sg3_utils, file systems with discard, and a copy from
//! one logical unit to another by the target itself.

use std::env;
use std::fs;
use std::time::Instant;

use anyhow::{Context, Result};

use crate::backstore::{Backstore, Kind};
use crate::command::run as command;
use crate::daemon;
use crate::disk::Disk;
use crate::fabric::{self, Loopback};
use crate::report::Report;

/// Words with which sg3_utils complain of what they were sent.
const COMPLAINTS: [&str; 9] = [
    "malformed",
    "unexpected",
    "too short",
    "truncated",
    "can't decode",
    "unable to",
    "Illegal request",
    "bad field",
    "<<<",
];

/// A command line without the device, which comes last, and words its output must contain.
type Query = (&'static str, &'static [&'static str]);

/// Questions that change nothing.
#[rustfmt::skip]
const QUERIES: [Query; 25] = [
    ("sg_inq", &["PULSEFLD", "PULSEFIELD LUN", "3PC=1"]),
    ("sg_inq --page=di", &["NAA", "0x6001405"]),
    ("sg_vpd --all", &["Block limits", "Logical block provisioning"]),
    ("sg_vpd --page=bl", &["Maximum compare and write length: 1 block"]),
    ("sg_vpd --page=lbpv", &["LBPU", "LBPRZ"]),
    ("sg_modes --all", &["Caching", "Control"]),
    ("sg_modes --all --control=1", &["Caching"]),
    ("sg_modes --all --control=2", &["Caching"]),
    ("sg_logs --all", &["Supported log pages"]),
    ("sg_opcodes", &["Compare and write", "Extended copy", "Write same(16)"]),
    ("sg_opcodes --rctd", &["Compare and write"]),
    ("sg_opcodes --opcode=0x89 --rctd", &["Compare and write"]),
    ("sg_opcodes --tmf", &["Abort task", "Logical unit reset"]),
    ("sg_readcap", &["Device size"]),
    ("sg_readcap --16", &["lbpme=1", "lbprz=1"]),
    ("sg_get_lba_status --lba=0", &["deallocated"]),
    ("sg_rtpg --decode", &["active/optimized"]),
    ("sg_persist --in --report-capabilities", &["Report capabilities response"]),
    ("sg_persist --in --read-keys", &["NO registered reservation keys"]),
    ("sg_ident", &[]),
    ("sg_requests", &[]),
    ("sg_turs", &[]),
    ("sg_luns", &["Lun list length"]),
    ("sg_verify --lba=0 --count=128", &[]),
    ("sg_senddiag --test", &[]),
];

/// Commands that change the unit; each must end with 0.
#[rustfmt::skip]
const CHANGES: [Query; 14] = [
    ("sg_unmap --lba=2048 --num=8", &[]),
    ("sg_write_same --lba=4096 --num=64 --xferlen=512 --in=/dev/zero", &[]),
    ("sg_write_same --16 --unmap --lba=4096 --num=64 --xferlen=512 --in=/dev/zero", &[]),
    ("sg_write_same --16 --ndob --lba=4096 --num=64", &[]),
    ("sg_compare_and_write --lba=300000 --num=1 --xferlen=1024 --in=/dev/zero", &[]),
    ("sg_sync", &[]),
    ("sg_wr_mode --page=0x0a --contents=0a,0a,04,00,00,00,00,00,00,00,00,00 --mask=00,00,04,00,00,00,00,00,00,00,00,00", &[]),
    ("sg_start --stop", &[]),
    ("sg_start --start", &[]),
    ("sg_start --pc=3", &[]),
    ("sg_start --pc=1", &[]),
    ("sg_sanitize --overwrite --zero --quick --wait", &[]),
    ("sg_sanitize --crypto --quick --wait", &[]),
    ("sg_format --format --quick --wait --size=512", &[]),
];

const COPIED_BYTES: u64 = 64 << 20;

pub(super) fn run(report: &mut Report) -> Result<()> {
    let tables = ["source", "target"].map(|name| format!("[lun.{name}]\ncopy_group = \"lab\"\n"));
    daemon::configure(&tables.concat())?;
    let [source, target] =
        ["source", "target"].map(|name| Backstore::new(Kind::Pulsefield, name, "512M"));
    let [from, to] = [fabric::over_loopback(&source)?, fabric::over_loopback(&target)?];
    // Takes the kernel's unit attention: there is a LUN more than when the first path came up.
    from.open()?.capacity()?;
    report.step("sg3_utils: queries");
    ask(report, &from, &QUERIES);
    copy(report, &from, &to)?;
    copy_by_ddpt(report, &from, &to)?;
    copy_out_of_the_group(report, &from)?;
    file_systems(report, &to)?;
    report.step("sg3_utils: commands that change the unit");
    ask(report, &from, &CHANGES);
    fabric::unexport(&Loopback)?;
    source.delete()?;
    target.delete()
}

fn ask(report: &mut Report, disk: &Disk, queries: &[Query]) {
    for (line, words) in queries {
        let mut arguments = line.split_whitespace();
        let program = arguments.next().unwrap_or_default();
        let device = disk.generic.to_string_lossy();
        let ended = match command(program, arguments.chain([&*device])).ended() {
            Ok(ended) => ended,
            Err(error) => {
                report.check(line, false, "an answer", format_args!("{error:#}"));
                continue;
            }
        };
        let said = ended.said();
        let missing = words.iter().filter(|word| !said.contains(**word));
        let complaints = COMPLAINTS.iter().filter(|word| said.contains(**word));
        let mut wrong: Vec<_> = missing.map(|word| format!("does not say {word:?}")).collect();
        wrong.extend(complaints.map(|word| format!("says {word:?}")));
        if ended.code != 0 {
            wrong.push(format!("ends with {}", ended.code));
        }
        if !wrong.is_empty() {
            wrong.push(said);
        }
        report.none(&format!("complaints of {line}"), &wrong);
    }
}

/// 64 MiB from one unit to another by EXTENDED COPY, against reading and writing them.
fn copy(report: &mut Report, from: &Disk, to: &Disk) -> Result<()> {
    report.step("EXTENDED COPY of 64 MiB from one unit to another");
    let blocks = (COPIED_BYTES / 512).to_string();
    let [source, target] = [from, to].map(|disk| disk.block.to_string_lossy().into_owned());
    // Data that does not repeat itself, written as any program would.
    let fill = ["if=/dev/urandom", &format!("of={source}"), "bs=1M", "count=64", "oflag=direct"];
    command("dd", fill).output()?;
    let sum = |path: &str| {
        let bytes = COPIED_BYTES.to_string();
        let line = format!("head -c {bytes} {path} | sha256sum");
        command("sh", ["-c", &line]).output()
    };
    let wanted = sum(&source)?;

    let started = Instant::now();
    let arguments = [
        format!("if={}", from.generic.display()),
        format!("of={}", to.generic.display()),
        "bs=512".to_owned(),
        format!("count={blocks}"),
    ];
    let copied = command("sg_xcopy", arguments).output();
    let by_target = started.elapsed();
    report.works("sg_xcopy", copied);
    drop_caches()?;
    report.equal("the copy's checksum", wanted.clone(), sum(&target)?);

    let started = Instant::now();
    let moved = [
        &format!("if={source}"),
        &format!("of={target}"),
        "bs=1M",
        "count=64",
        "iflag=direct",
        "oflag=direct",
    ];
    command("dd", moved).output()?;
    let by_initiator = started.elapsed();
    report.figure("copy_ms.extended_copy", u64::try_from(by_target.as_millis())?);
    report.figure("copy_ms.read_and_write", u64::try_from(by_initiator.as_millis())?);
    report.step(format!(
        "EXTENDED COPY {} ms; reading and writing {} ms",
        by_target.as_millis(),
        by_initiator.as_millis()
    ));
    Ok(())
}

/// What ddpt copies with one command, the longest the unit takes. After that ddpt 0.97 has lost its place:
/// `do_xcopy_lid1` clears the iterators it has just set up.
const DDPT_BYTES: u64 = 16 << 20;

/// The same by ddpt, which asks the unit what it takes and sends that much at once.
fn copy_by_ddpt(report: &mut Report, from: &Disk, to: &Disk) -> Result<()> {
    report.step("EXTENDED COPY of 16 MiB by ddpt");
    let [source, target] = [from, to].map(|disk| disk.block.to_string_lossy().into_owned());
    command("blkdiscard", ["-f", &target]).output()?;
    let arguments = [
        "--xcopy".to_owned(),
        format!("if={}", from.generic.display()),
        format!("of={}", to.generic.display()),
        "bs=512".to_owned(),
        format!("count={}", DDPT_BYTES / 512),
    ];
    report.works("ddpt --xcopy", command("ddpt", arguments).output());
    drop_caches()?;
    let line = format!("cmp --bytes={DDPT_BYTES} {source} {target}");
    report.works("the copy is the same", command("sh", ["-c", &line]).output());
    Ok(())
}

/// Neither into a unit of another group nor out of one (CVE-2020-28374: whoever reached one unit of a
/// target could read and write all of them).
fn copy_out_of_the_group(report: &mut Report, member: &Disk) -> Result<()> {
    report.step("EXTENDED COPY from group to group");
    let outsider = Backstore::new(Kind::Pulsefield, "outsider", "64M");
    let outside = fabric::over_loopback(&outsider)?;
    for (name, from, to) in
        [("into another group", member, &outside), ("out of another group", &outside, member)]
    {
        // Takes the kernel's unit attention, here and below: there is a LUN more.
        from.open()?.capacity()?;
        let device = to.open()?;
        device.write_block(0, &[0x0d; 512])?;
        // Sent to the one and to the other: either could be asked.
        for receiver in ["--on_src", "--on_dst"] {
            let arguments = [
                receiver.to_owned(),
                format!("if={}", from.generic.display()),
                format!("of={}", to.generic.display()),
                "bs=512".to_owned(),
                "count=8".to_owned(),
            ];
            let ended = command("sg_xcopy", arguments).ended()?;
            let kept = device.read_block(0, 512)? == [0x0d; 512];
            let right = ended.code != 0 && kept;
            let name = format!("a copy {name}, {receiver}");
            report.check(&name, right, "refused, nothing written", ended.said());
        }
    }
    outsider.delete()?;
    // And one less.
    member.open()?.capacity().map(drop)
}

/// What was read before a copy is not what lies there now.
fn drop_caches() -> Result<()> {
    fs::write("/proc/sys/vm/drop_caches", "1").context("dropping caches")
}

/// mkfs with discard, fstrim, blkdiscard.
fn file_systems(report: &mut Report, disk: &Disk) -> Result<()> {
    report.step("file systems with discard");
    let folder = env::temp_dir().join("tools");
    fs::create_dir_all(&folder)?;
    let (device, folder) = (disk.block.to_string_lossy(), folder.to_string_lossy().into_owned());
    for (program, options) in
        [("mkfs.ext4", ["-q", "-F", "-E", "discard"].as_slice()), ("mkfs.xfs", &["-q", "-f"])]
    {
        let arguments = options.iter().copied().chain([&*device]);
        report.works(program, command(program, arguments).output());
        command("mount", ["-o", "discard", &device, &folder]).output()?;
        let line = format!("head -c 8M /dev/urandom >{folder}/file && sync && rm {folder}/file");
        command("sh", ["-c", &line]).output()?;
        let trimmed = command("fstrim", ["--verbose", &folder]).output();
        report.works(&format!("fstrim on {program}"), trimmed);
        command("umount", [&folder]).output()?;
    }
    report.works(
        "blkdiscard --zeroout",
        command("blkdiscard", ["-f", "--zeroout", &device]).output(),
    );
    report.works("blkdiscard", command("blkdiscard", ["-f", &device]).output());
    let line = format!("cmp --bytes={COPIED_BYTES} {device} /dev/zero");
    report.works("it reads as zeros", command("sh", ["-c", &line]).output());
    Ok(())
}
