//! Faults that one command shows: the same probe before, while and after a fault is armed, and a public
//! tool that notices it too. Rows take the fabrics in turn.

use std::env;
use std::fs;

use anyhow::{Context, Result};

use super::probe::{self, Probe};
use super::{LBA, LUN, Path, conclude, lifted_objection, log_objection, settle, title};
use crate::command::run as command;
use crate::fault;
use crate::report::Report;

/// A fault and what shows it.
struct Row {
    fault: &'static str,
    /// Its settings, as they are typed. Operation code 8Ah is the probe's WRITE.
    settings: &'static str,
    probe: Probe,
    /// What the probe says without the fault.
    sound: &'static str,
    /// What it says with it.
    broken: &'static str,
    /// What lies on the medium then, once the fault is disarmed.
    medium: &'static str,
    /// A line for the shell that ends with 0 with the fault, and with something else without; none if
    /// empty. `Tools` has its words.
    tool: &'static str,
}

const fn row(
    fault: &'static str,
    settings: &'static str,
    probe: Probe,
    sound: &'static str,
    broken: &'static str,
    medium: &'static str,
    tool: &'static str,
) -> Row {
    Row { fault, settings, probe, sound, broken, medium, tool }
}

const DIFFERS: &str = "CHECK CONDITION 0Eh/1Dh/00h INFORMATION 17; old";

#[rustfmt::skip]
const ROWS: [Row; 35] = [
    row("miscompare.spurious", "", probe::compare_equal, "GOOD; new", "CHECK CONDITION 0Eh/1Dh/00h; old", "old", "$CAW; test $? = 14"),
    row("miscompare.false-equal", "", probe::compare_unequal, DIFFERS, "GOOD; new", "new", "$CAW_UNEQUAL"),
    row("miscompare.wrong-offset", "shift=8", probe::compare_unequal, DIFFERS, "CHECK CONDITION 0Eh/1Dh/00h INFORMATION 25; old", "old", "$CAW_UNEQUAL 2>&1 | grep -q 'offset: 25'"),
    row("miscompare.no-information", "", probe::compare_unequal, DIFFERS, "CHECK CONDITION 0Eh/1Dh/00h; old", "old", "! $CAW_UNEQUAL 2>&1 | grep -q 'offset: 17'"),
    row("miscompare.wrong-sense", "", probe::compare_unequal, DIFFERS, "CHECK CONDITION 03h/11h/00h; old", "old", "$CAW_UNEQUAL; test $? != 14"),
    row("caw.torn", "bytes=256", probe::compare_equal, "GOOD; new", "GOOD; new to byte 256, then old", "new to byte 256, then old", "$CAW && ! $READ | cmp -s - $NEW"),
    row("caw.write-first", "", probe::compare_unequal, DIFFERS, "CHECK CONDITION 0Eh/1Dh/00h INFORMATION 17; new", "new", "$CAW_UNEQUAL; $READ | cmp -s - $NEW"),
    row("caw.twice", "", probe::compare_equal, "GOOD; new", "CHECK CONDITION 0Eh/1Dh/00h; new", "new", "$CAW; test $? = 14"),
    row("caw.unsupported", "", probe::support, "GOOD; 1 blocks at most", "CHECK CONDITION 05h/20h/00h; 0 blocks at most", "old", "sg_vpd --page=bl $SG | grep -q 'compare and write length: 0 blocks'"),
    row("stale-compare", "age=1", probe::compare_twice, "GOOD, GOOD; old", "GOOD, CHECK CONDITION 0Eh/1Dh/00h; new", "new", "$CAW && ! $CAW_BACK"),
    row("lost-write", "command=0x8a", probe::write, "GOOD; new", "GOOD; old", "old", "$WRITE && ! $READ | cmp -s - $NEW"),
    row("lost-write", "command=caw", probe::compare_equal, "GOOD; new", "GOOD; old", "old", "$CAW && ! $READ | cmp -s - $NEW"),
    row("misdirected-write", "distance=8 command=0x8a", probe::write_and_look_away, "GOOD; new, old away", "GOOD; old, new away", "old", "$WRITE && ! $READ | cmp -s - $NEW"),
    row("bit-flip", "bits=3 command=0x8a", probe::write, "GOOD; new", "GOOD; new but for 3 bits", "new but for 3 bits", "$WRITE && ! $READ | cmp -s - $NEW"),
    row("bit-flip", "side=read bits=3 lba=1000", probe::read, "GOOD; old", "GOOD; old but for 3 bits", "old", "! $READ | cmp -s - $OLD"),
    row("torn-write", "bytes=128 command=0x8a", probe::write, "GOOD; new", "GOOD; new to byte 128, then old", "new to byte 128, then old", "$WRITE && ! $READ | cmp -s - $NEW"),
    row("write.revert", "writes=1 command=0x8a", probe::write_twice, "GOOD, GOOD; new", "GOOD, GOOD; old", "old", "$WRITE && $WRITE_AWAY && ! $READ | cmp -s - $NEW"),
    row("stale-read", "lasting=1h command=0x8a", probe::write, "GOOD; new", "GOOD; old", "new", "$WRITE && ! $READ | cmp -s - $NEW"),
    row("zero.lie-read", "lba=1000", probe::read, "GOOD; old", "GOOD; zeros", "old", "$READ | cmp -s - $ZEROS"),
    row("zero.lie-status", "", probe::lba_status, "GOOD; mapped", "GOOD; deallocated", "old", "sg_get_lba_status --lba=$LBA $SG | grep -q deallocated"),
    row("zero.keep-data", "command=unmap", probe::unmap, "GOOD; zeros", "GOOD; old", "old", "sg_unmap --force --lba=$LBA --num=8 $SG && ! $READ | cmp -s - $ZEROS"),
    row("zero.keep-data", "command=write-same", probe::write_same, "GOOD; zeros", "GOOD; old", "old", "sg_write_same --16 --lba=$LBA --num=1 --xferlen=512 --in=/dev/zero $SG && ! $READ | cmp -s - $ZEROS"),
    row("thin.full", "command=0x8a", probe::write, "GOOD; new", "CHECK CONDITION 07h/27h/07h; old", "old", "! $WRITE"),
    row("thin.full", "command=caw", probe::compare_equal, "GOOD; new", "CHECK CONDITION 07h/27h/07h; old", "old", "! $CAW"),
    row("thin.threshold", "command=0x8a", probe::write, "GOOD; new", "CHECK CONDITION 06h/38h/07h; old", "old", "! $WRITE"),
    row("status", "status=05/21/00 lba=1000 command=read", probe::read, "GOOD; old", "CHECK CONDITION 05h/21h/00h", "old", "! $READ > /dev/null"),
    row("status", "status=task-aborted lba=1000 command=read", probe::read, "GOOD; old", "TASK ABORTED", "old", ""),
    // The initiator's kernel sends it again, whoever sent it: only the log shows these.
    row("status", "status=busy lba=1000 command=read at-most=3", probe::read, "GOOD; old", "GOOD; old", "old", ""),
    row("status", "status=task-set-full lba=1000 command=read at-most=3", probe::read, "GOOD; old", "GOOD; old", "old", ""),
    row("not-ready", "asc=04/03 lba=1000 command=read", probe::read, "GOOD; old", "CHECK CONDITION 02h/04h/03h", "old", "! $READ > /dev/null"),
    row("alua-transition", "lba=1000 command=read", probe::read, "GOOD; old", "CHECK CONDITION 02h/04h/0Ah", "old", "! $READ > /dev/null"),
    row("unit-attention", "asc=2f/00 lba=1000 command=read", probe::read, "GOOD; old", "CHECK CONDITION 06h/2Fh/00h", "old", "! $READ > /dev/null"),
    row("reservation.conflict", "lba=1000 command=read", probe::read, "GOOD; old", "RESERVATION CONFLICT", "old", "! $READ > /dev/null"),
    row("reservation.stuck", "nth=1 lba=1000 command=read", probe::read, "GOOD; old", "RESERVATION CONFLICT", "old", "! $READ > /dev/null; ! $READ > /dev/null"),
    row("medium-error", "lba=1000 command=read", probe::read, "GOOD; old", "CHECK CONDITION 03h/11h/00h INFORMATION 1000", "old", "! $READ > /dev/null"),
];

pub(super) fn names() -> Vec<&'static str> {
    ROWS.iter().map(|row| row.fault).collect()
}

pub(super) fn run(report: &mut Report, paths: &[Path]) -> Result<()> {
    report.step("faults that one command shows");
    let tools = Tools::new()?;
    for (row, path) in ROWS.iter().zip(paths.iter().cycle()) {
        let name = title(row.fault, row.settings, path.disk.transport);
        conclude(report, &name, row.objections(path, &tools))?;
        settle(paths)?;
    }
    Ok(())
}

impl Row {
    fn objections(&self, path: &Path, tools: &Tools) -> Result<Vec<String>> {
        let Self { fault, settings, probe, sound, broken, medium, .. } = *self;
        let device = &path.device;
        let mut wrong = Vec::new();
        let mut expect = |what: &str, expected: &str, seen: String| {
            if seen != expected {
                wrong.push(format!("{what}: expected {expected}; seen {seen}"));
            }
        };
        expect("before", sound, probe(device)?);

        let from = fault::next_hit(LUN)?;
        fault::arm(LUN, fault, settings)?;
        expect("armed", broken, probe(device)?);
        let logged = log_objection(fault, from, 1)?;
        fault::disarm(LUN)?;
        expect("on the medium", medium, probe::look(device, LBA)?);

        let from = fault::next_hit(LUN)?;
        settle(std::slice::from_ref(path))?;
        expect("disarmed", sound, probe(device)?);
        wrong.extend(logged.into_iter().chain(lifted_objection(from)?));
        if !self.tool.is_empty() {
            wrong.extend(self.tool_objections(path, tools)?);
        }
        Ok(wrong)
    }

    /// The tool must notice the fault, and nothing without it.
    fn tool_objections(&self, path: &Path, tools: &Tools) -> Result<Vec<String>> {
        let mut wrong = Vec::new();
        let (code, said) = tools.run(path, self.tool)?;
        if code == 0 {
            wrong.push(format!("`{}` notices something without the fault: {said}", self.tool));
        }
        fault::arm(LUN, self.fault, self.settings)?;
        let (code, said) = tools.run(path, self.tool)?;
        if code != 0 {
            wrong.push(format!("`{}` does not notice it: {code}: {said}", self.tool));
        }
        Ok(wrong)
    }
}

/// What the shell lines are made of: variables with commands, and files with blocks.
struct Tools {
    folder: String,
}

impl Tools {
    fn new() -> Result<Self> {
        let folder = env::temp_dir().join("blocks");
        fs::create_dir_all(&folder).context("creating a folder for blocks")?;
        for (name, bytes) in [
            ("old", probe::OLD.to_vec()),
            ("new", probe::NEW.to_vec()),
            ("zeros", vec![0; probe::BLOCK]),
            ("equal", [probe::OLD, probe::NEW].concat()),
            ("unequal", [probe::UNEQUAL, probe::NEW].concat()),
            ("back", [probe::NEW, probe::OLD].concat()),
        ] {
            fs::write(folder.join(name), bytes).with_context(|| format!("writing {name}"))?;
        }
        Ok(Self { folder: folder.to_string_lossy().into_owned() })
    }

    /// Runs a line on old data; says how it ended and what it said.
    fn run(&self, path: &Path, line: &str) -> Result<(i32, String)> {
        probe::put(&path.device, LBA)?;
        let sg = path.disk.generic.to_string_lossy();
        let file = |name: &str| format!("{}/{name}", self.folder);
        let compare = |halves: &str| {
            let halves = file(halves);
            format!("sg_compare_and_write --in={halves} --lba={LBA} --num=1 --xferlen=1024 {sg}")
        };
        let write = |lba: u64| {
            format!("sg_dd if={} of={sg} seek={lba} bs=512 count=1 cdbsz=16", file("new"))
        };
        let ended = command("sh", ["-c", line])
            .env("SG", &sg)
            .env("LBA", &LBA.to_string())
            .env("OLD", &file("old"))
            .env("NEW", &file("new"))
            .env("ZEROS", &file("zeros"))
            .env("CAW", &compare("equal"))
            .env("CAW_UNEQUAL", &compare("unequal"))
            .env("CAW_BACK", &compare("back"))
            .env("WRITE", &write(LBA))
            .env("WRITE_AWAY", &write(LBA + u64::from(probe::PAGE_BLOCKS)))
            .env("READ", &format!("sg_dd if={sg} skip={LBA} bs=512 count=1 cdbsz=16 of=-"))
            .ended()?;
        Ok((ended.code, ended.said()))
    }
}
