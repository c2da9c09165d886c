//! The logical units that are measured, one set a subject, all there at once.

use std::collections::BTreeMap;
use std::env;
use std::fs::File;
use std::time::Duration;

use anyhow::{Context, Result};

use super::process::Process;
use super::subject::Subject;
use super::target::{self, Target};
use crate::command::{Running, run};
use crate::configfs;
use crate::daemon::{self, Incumbent};
use crate::disk::Disk;
use crate::fio::{self, Work};
use crate::report::Report;

/// The size of every one.
const BYTES: u64 = 128 << 20;
/// How many a subject with files has, if the workloads want several.
const SEVERAL: usize = 4;
/// For writing one of them from end to end.
const FILL_LIMIT: Duration = Duration::from_secs(300);
/// How long the bare loop may take to end when its device is gone.
const BARE_LIMIT: Duration = Duration::from_secs(30);

/// A subject's logical units and who serves them.
#[derive(Debug)]
pub(super) struct Unit {
    /// Its disks: one, or [`SEVERAL`].
    pub(super) disks: Vec<Disk>,
    /// The daemon; none if it is the kernel.
    pub(super) process: Option<Process>,
}

/// All that is there to be measured.
#[derive(Debug)]
pub(super) struct Units {
    pub(super) by_subject: BTreeMap<Subject, Unit>,
    target: Target,
    bare: Vec<Running>,
    incumbent: Incumbent,
}

impl Units {
    /// Starts the daemons and makes and fills everything; `several` if a workload wants several units of
    /// one subject.
    ///
    /// # Errors
    /// Something could not be started or made.
    pub(super) fn new(report: &Report, several: bool) -> Result<Self> {
        // tcmu-runner first: its start ends everybody's conversations with the kernel.
        let incumbent = Incumbent::start()?;
        daemon::start()?;
        let unrecorded = format!("[lun.\"{}\"]\nrecord = \"off\"\n", Subject::Unrecorded.lun(0));
        daemon::configure(&unrecorded)?;
        let mut units = Self {
            by_subject: BTreeMap::new(),
            target: Target::new()?,
            bare: Vec::new(),
            incumbent,
        };
        for subject in Subject::ALL {
            let count = if several && Subject::ON_FILES.contains(&subject) { SEVERAL } else { 1 };
            report.step(format!("making {count} × {} MiB of {subject}", BYTES >> 20));
            let unit = units.make(subject, count).with_context(|| format!("making {subject}"))?;
            if subject.keeps_data() {
                fill(&unit.disks)?;
            }
            units.by_subject.insert(subject, unit);
        }
        // What was written is on the disk before anything is measured.
        run("sync", [] as [&str; 0]).limit(FILL_LIMIT).output()?;
        Ok(units)
    }

    fn make(&mut self, subject: Subject, count: usize) -> Result<Unit> {
        let mut disks = Vec::new();
        let mut process = if subject.is_ours() {
            Some(daemon::main_pid()?)
        } else if subject == Subject::TcmuRunner {
            Some(self.incumbent.pid()?)
        } else {
            None
        };
        for number in 0..count {
            let name = subject.lun(number);
            let image = format!("/srv/{name}.img");
            if matches!(subject, Subject::TcmuRunner | Subject::BareFile) {
                // They want a file of the right size.
                File::create(&image)?.set_len(BYTES)?;
            }
            let serial = self.target.create(&name, subject.control(&name, BYTES))?;
            if matches!(subject, Subject::Bare | Subject::BareFile) {
                let bare = start_bare(&name, &serial, subject.keeps_data().then_some(&image))?;
                process = Some(bare.id());
                self.bare.push(bare);
            }
            self.target.export()?;
            disks.push(target::disk(&serial)?);
        }
        Ok(Unit { disks, process: process.map(Process) })
    }

    /// Takes everything away again and stops tcmu-runner.
    ///
    /// # Errors
    /// Something would not go.
    pub(super) fn remove(self) -> Result<()> {
        run("udevadm", ["settle"]).output()?;
        self.target.remove()?;
        for bare in self.bare {
            let ended = bare.wait(BARE_LIMIT)?;
            anyhow::ensure!(ended.code == 0, "the bare loop: {}", ended.said());
        }
        Ok(())
    }
}

/// Starts the program that lies beside this one.
fn start_bare(name: &str, serial: &str, image: Option<&String>) -> Result<Running> {
    let program = env::current_exe()?.with_file_name("pulsefield-bare");
    let mut bare = run(program.to_string_lossy(), [] as [&str; 0])
        .arg("--uio", &configfs::uio_number(name)?.to_string())
        .arg("--blocks", &(BYTES / 512).to_string())
        .arg("--serial", serial);
    if let Some(image) = image {
        bare = bare.arg("--file", image);
    }
    bare.start()
}

/// Writes all of them: a first write finds space, a second one has it.
fn fill(disks: &[Disk]) -> Result<()> {
    let work = Work { pattern: "write", block_bytes: 1 << 20, depth: 4 };
    let ended = fio::once(work, &disks.iter().collect::<Vec<_>>()).limit(FILL_LIMIT).ended()?;
    fio::done(&ended.stdout).with_context(|| format!("filling: {}", ended.said())).map(drop)
}
