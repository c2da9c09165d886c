//! What befalls a unit in a run. Each has a run of its own, all at the same time.

use std::time::Duration;

use anyhow::Result;

use super::units::{Spec, Unit};
use crate::cdb;
use crate::disk::Disk;
use crate::report::Report;
use crate::sg::Data;
use crate::soak::{BROKEN, HELD, Soak, Soaked, Soaking};
use crate::wait::wait_until;

/// How long hosts may take to have their heartbeats, with an emulated processor.
const SETTING_OUT: Duration = Duration::from_secs(60);
/// How long a run goes on beyond its time, or without a path: a minute and a half, and all is read back.
const LIMIT: Duration = Duration::from_secs(240);
const HOSTS: usize = 2;
const SEED: u64 = 7;

/// Where the slots of a scratch volume on 512-byte blocks begin, how many there are and how far apart.
const SLOTS_LBA: u64 = 43_008;
const SLOTS_BYTES: u64 = 4 << 20;
const SLOT_BYTES: usize = 4096;
/// `ABCDEF02h`: a slot that its owner uses.
const IN_USE: [u8; 4] = [0x02, 0xef, 0xcd, 0xab];

/// The runs.
pub(super) struct Mishaps {
    gone: Mishap,
    path: Mishap,
    full: Mishap,
}

/// A run that something befalls.
struct Mishap {
    unit: Unit,
    soaking: Soaking,
}

impl Mishaps {
    /// Starts them, and has happen what is to happen.
    ///
    /// # Errors
    /// A unit could not be made, or hosts did not set out.
    pub(super) fn start(report: &Report) -> Result<Self> {
        report
            .step("a unit that vanishes, one that loses a path, one that fills up: each in a run");
        let two = Spec { initiators: 2, ..Spec::large("paths", 2) };
        let little = Spec { room: Some("40M"), ..Spec::large("full", 3) };
        // The unit that vanishes takes longest: nobody knows how long to wait for it.
        let gone = Mishap::start(&Spec::large("gone", 1), "vmotion", 600)?;
        let path = Mishap::start(&two, "vmotion", 60)?;
        let full = Mishap::start(&little, "bulk", 30)?;
        for mishap in [&gone, &path] {
            mishap.set_out()?;
        }
        gone.unit.disks()[0].forget()?;
        path.unit.disks()[1].forget()?;
        Ok(Self { gone, path, full })
    }

    /// Waits for their ends.
    ///
    /// # Errors
    /// A run left no report, or a unit cannot be taken away.
    pub(super) fn judge(self, report: &mut Report) -> Result<()> {
        let Self { gone, path, full } = self;
        let lost = format!("lost the path {}", path.unit.disks()[1].block.display());
        let soaked = path.end()?;
        soaked.must_end_with(report, "one of two paths lost", &[HELD]);
        let said = soaked.ended.said();
        report.check("it is said at once", soaked.ended.stderr.contains(&lost), &lost, said);
        let noted = soaked.found.incidents.iter().any(|incident| incident.what == lost);
        report.equal("and stands in the report", true, noted);
        let alive = soaked.found.pulses.iter().filter(|pulses| pulses.alive >= 10);
        report.equal("hosts that went on by the other path", HOSTS, alive.count());

        let soaked = full.end()?;
        soaked.must_end_with(report, "a unit that fills up", &[HELD]);
        let refused = soaked.found.refused("WRITE");
        report.at_least("writes that were refused for lack of space", 1, refused);

        let soaked = gone.end()?;
        soaked.must_end_with(report, "a unit that vanishes", &[BROKEN]);
        let said = soaked.ended.said();
        let right = said.contains("FAIL") && said.contains("the device is gone");
        report.check("it says why", right, "FAIL, and that the device is gone", said);
        let reasons = soaked.found.judgement.reasons.join("; ");
        let right = reasons.contains("broke off");
        report.check("so does the report", right, "that the run broke off", reasons);
        Ok(())
    }
}

impl Mishap {
    fn start(spec: &Spec, mix: &str, seconds: u64) -> Result<Self> {
        let unit = spec.make()?;
        let soak = Soak {
            name: spec.name,
            hosts: HOSTS,
            mix,
            seed: SEED,
            lasting: Duration::from_secs(seconds),
            plan: None,
        };
        let soaking = soak.start(unit.disks(), &[])?;
        Ok(Self { unit, soaking })
    }

    /// Waits until all hosts have a heartbeat.
    fn set_out(&self) -> Result<()> {
        wait_until(SETTING_OUT, "hosts to set out", || {
            Ok(heartbeats(&self.unit.disks()[0])? >= HOSTS)
        })
    }

    fn end(self) -> Result<Soaked> {
        let soaked = self.soaking.end(LIMIT)?;
        self.unit.remove()?;
        Ok(soaked)
    }
}

/// How many slots are in use. Read by SCSI command: Linux may have an old copy of what lies on a disk that somebody
/// has open.
fn heartbeats(disk: &Disk) -> Result<usize> {
    const BLOCKS: u32 = 128;
    let device = disk.open()?;
    let mut piece = vec![0; 512 * usize::try_from(BLOCKS)?];
    let mut used = 0;
    for lba in (SLOTS_LBA..SLOTS_LBA + SLOTS_BYTES / 512).step_by(usize::try_from(BLOCKS)?) {
        device.must(&cdb::read_16(lba, BLOCKS), Data::In(&mut piece))?;
        used += piece.chunks_exact(SLOT_BYTES).filter(|slot| slot.starts_with(&IN_USE)).count();
    }
    Ok(used)
}
