//! The same soak on units of others: LIO's own and tcmu-runner's. They are SCSI devices like any, and what is found
//! is told, whatever it is; only ours must hold every promise.

use std::time::Duration;

use anyhow::{Context, Result};

use crate::backstore::{Backstore, Kind};
use crate::daemon::Incumbent;
use crate::disk::Disk;
use crate::nexuses::Nexuses;
use crate::report::Report;
use crate::soak::{BROKEN, HELD, Soak, Soaked};
use crate::table::table;

/// Ours first: while tcmu-runner has the bus name, our daemon is not there.
const KINDS: [Kind; 4] = [Kind::Pulsefield, Kind::Fileio, Kind::Ramdisk, Kind::TcmuRunner];
/// How many initiators there are: hosts that reserve take one each.
const INITIATORS: u8 = 4;
const SEED: u64 = 2026;

/// What hosts do on each of them.
struct Run {
    mix: &'static str,
    locking: &'static str,
    hosts: usize,
    lasting: Duration,
}

/// As hosts are today, as they are where some of them have no ATS, and as none of them is.
const RUNS: [Run; 3] = [
    Run { mix: "mixed", locking: "ats-only", hosts: 8, lasting: Duration::from_secs(45) },
    Run { mix: "plain-writes", locking: "ats+scsi", hosts: 4, lasting: Duration::from_secs(45) },
    Run { mix: "collisions", locking: "ats-only", hosts: 4, lasting: Duration::from_secs(45) },
];

pub(super) fn run(report: &mut Report) -> Result<()> {
    let mut rows = Vec::new();
    for kind in KINDS {
        let incumbent = (kind == Kind::TcmuRunner).then(Incumbent::start).transpose()?;
        let unit = Backstore::new(kind, "peer", "512M");
        unit.create().with_context(|| format!("a unit of {kind}"))?;
        let nexuses = Nexuses::export(&unit.folder()?, 1, INITIATORS)?;
        for run in &RUNS {
            rows.extend(run.soak(report, kind, &nexuses.disks)?);
        }
        nexuses.withdraw()?;
        unit.delete()?;
        drop(incumbent);
    }
    println!("{}", table(&["backstore", "mix", "ends with", "promise", "broken", "of"], &rows));
    Ok(())
}

impl Run {
    /// Soaks, and says what was broken.
    fn soak(&self, report: &mut Report, kind: Kind, disks: &[Disk]) -> Result<Vec<Vec<String>>> {
        let Self { mix, locking, hosts, lasting } = *self;
        report.step(format!("{hosts} hosts on {kind}, {mix}, {} s", lasting.as_secs()));
        let name = format!("{kind} {mix}").replace(' ', "-");
        let soak = Soak { name: &name, hosts, mix, seed: SEED, lasting, plan: None };
        let soaked = soak.with(disks, &["--locking", locking])?;
        let allowed: &[i32] = if kind == Kind::Pulsefield { &[HELD] } else { &[HELD, BROKEN] };
        soaked.must_end_with(report, &name, allowed);
        let Soaked { ended, found, .. } = &soaked;
        for promise in &found.promises {
            let figure = |what: &str| format!("{name}.{}.{what}", promise.name);
            report.figure(&figure("checked"), promise.checked);
            report.figure(&figure("broken"), promise.breaches_total);
            report.figure(&figure("first"), promise.breaches.first().map(|first| &first.what));
        }
        let broken = found.promises.iter().filter(|promise| promise.breaches_total > 0);
        let mut rows: Vec<_> = broken
            .map(|it| [it.name.clone(), it.breaches_total.to_string(), it.checked.to_string()])
            .collect();
        if rows.is_empty() {
            rows.push(["all held".to_owned(), "0".to_owned(), String::new()]);
        }
        let head = [kind.to_string(), mix.to_owned(), ended.code.to_string()];
        Ok(rows.into_iter().map(|row| head.iter().cloned().chain(row).collect()).collect())
    }
}
