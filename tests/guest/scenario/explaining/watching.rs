//! `pulsefield soak --watch` beside hosts that others emulate: a unit that lies to one is caught, also after the fact.

use std::time::Duration;

use anyhow::{Context, Result, ensure};

use super::injected::with_rule;
use super::script::Pulsing;
use super::{LUN, over};
use crate::clock::monotonic_ns;
use crate::command::{Ended, Running, run as command};
use crate::disk::{Disk, Transport};
use crate::report::Report;
use crate::soak::{BROKEN, Found};
use crate::vmfs::Host;
use crate::wait::wait_until;

/// The record of all that was played on the unit.
const RECORD: &str = "/run/pulsefield/record/ds1.pulserec";
/// How long the unit is watched, and when it lies: the watch has begun by then, and others follow.
const WATCHED: Duration = Duration::from_secs(30);
const HONEST: Duration = Duration::from_secs(15);
/// Between two pulses.
const PERIOD: Duration = Duration::from_millis(500);
/// Beyond the time that is watched.
const PATIENCE: Duration = Duration::from_secs(60);

/// What was concluded.
pub(super) struct Seen {
    /// What the program ended with.
    pub(super) code: i32,
    /// Its report.
    pub(super) found: Found,
}

/// Watches the unit `lun` for so long.
pub(super) fn start(lun: &str, duration: Duration) -> Result<Running> {
    let seconds = format!("{}s", duration.as_secs());
    command("pulsefield", ["soak", "--watch", lun, "--json", "--duration", &seconds]).start()
}

/// Waits for what a watch of this length concludes.
pub(super) fn end(watch: Running, duration: Duration) -> Result<Seen> {
    seen(watch.wait(duration + PATIENCE)?)
}

fn seen(ended: Ended) -> Result<Seen> {
    let found = serde_json::from_str(&ended.stdout).with_context(|| ended.said())?;
    Ok(Seen { code: ended.code, found })
}

pub(super) fn run(report: &mut Report, disks: &[Disk]) -> Result<()> {
    report.step("a unit that lies while it is watched");
    let watch = start(LUN, WATCHED)?;
    let lied = lie(disks);
    report.works("watch: the scene runs to its end", lied);
    let Seen { code, found } = end(watch, WATCHED)?;
    report.equal("watch: it fails", BROKEN, code);
    report.equal("watch: what is broken", "linearizable", &*found.standing("broken").join(", "));
    report.equal("watch: hosts that were seen", 1, found.setup.hosts.len());
    report.step("the record of all scenes, judged after the fact");
    let watch = command("pulsefield", ["soak", "--watch", RECORD, "--json"]).ended()?;
    let Seen { code, found } = seen(watch)?;
    report.equal("watch: of the record", BROKEN, code);
    let broken = found.standing("broken");
    // Media that changed behind the target's back, and a slot that was taken from a living host.
    for promise in ["linearizable", "no-early-takeover"] {
        let caught = broken.contains(&promise);
        report.check(
            &format!("watch: {promise} in the record"),
            caught,
            "broken",
            broken.join(", "),
        );
    }
    let ended = command("pulsefield", ["soak", "--watch", "nobody"]).ended()?;
    let refused = ended.code == 1 && ended.stderr.contains("nobody cannot be watched");
    report.check("watch: a unit that there is none of", refused, "1", ended.said());
    Ok(())
}

/// A host pulses; then an ATS of it that expects what is long gone is GOOD, and it goes on from there.
fn lie(disks: &[Disk]) -> Result<()> {
    let mut pulsing = Pulsing::start(over(disks, Transport::Loopback)?, Host::number(0x81), 20)?;
    let began = monotonic_ns()?;
    let until = began + u64::try_from(HONEST.as_nanos())?;
    while monotonic_ns()? < until {
        pulsing.pulse()?;
        let next = monotonic_ns()? + u64::try_from(PERIOD.as_nanos())?;
        wait_until(PATIENCE, "the next pulse", || Ok(monotonic_ns()? >= next))?;
    }
    let (old, new) = (pulsing.image(0), pulsing.image(1000));
    let fault = "fault = \"miscompare.false-equal\"";
    with_rule(&mut pulsing, "lie", fault, |pulsing| {
        pulsing.writer.wins(pulsing.lba(), &old, &new).map(drop)
    })?;
    let took = Duration::from_nanos(monotonic_ns()?.saturating_sub(began));
    ensure!(took < WATCHED, "it took {} s, longer than it was watched", took.as_secs());
    Ok(())
}
