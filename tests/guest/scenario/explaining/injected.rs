//! Causes that are rules of a plan of faults.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::json;

use super::scenes::Play;
use super::script::{Pulsing, Script, Scripted, ScriptedLate};
use super::{LUN, over};
use crate::disk::{Disk, Transport};
use crate::explain;
use crate::fault;
use crate::reply::Answer;
use crate::vmfs::Host;
use crate::wait::wait_for;

/// Where copies of records are kept.
const DUMPS: &str = "/var/lib/pulsefield/record";
/// Longer than `deadline_error`, after which the daemon tells of a heartbeat that is not answered.
const PATIENCE: Duration = Duration::from_secs(10);
const DUMP_LIMIT: Duration = Duration::from_secs(30);

pub(super) const ALL: [(&str, Play); 4] = [
    ("a rule that makes an ATS miscompare", spurious),
    ("a rule that loses a pulse", lost),
    ("a rule that loses the status", status_lost),
    ("a rule that holds a pulse up", slow),
];

/// Arms one rule for the next ATS of a host's slot, lets the host do something, and disarms it.
pub(super) fn with_rule<T>(
    host: &mut Pulsing,
    name: &str,
    fault: &str,
    act: impl FnOnce(&mut Pulsing) -> Result<T>,
) -> Result<T> {
    let lba = host.lba();
    let rule = format!(
        "[[rule]]\nname = \"{name}\"\n{fault}\nwhere = {{ command = \"caw\", lba = {lba} }}\n\
         when = {{ nth = 1 }}\n"
    );
    fault::arm_text(LUN, &rule)?;
    let done = act(host);
    fault::disarm(LUN)?;
    done
}

/// What lies there is what is expected, and MISCOMPARE is answered.
fn spurious(disks: &[Disk], script: &mut Script) -> Result<()> {
    let mut host = Pulsing::start(over(disks, Transport::Fc)?, Host::number(0x71), 11)?;
    host.pulse()?;
    let sent = with_rule(&mut host, "spurious", "fault = \"miscompare.spurious\"", |host| {
        host.miscompares()
    })?;
    script.miscompares.push(Scripted {
        scene: "a rule that makes an ATS miscompare",
        finding: "injected",
        host: host.writer.host,
        sent,
        moments: vec![],
        facts: vec![("/rule", json!("spurious")), ("/besides", json!("unknown"))],
    });
    Ok(())
}

/// A pulse is answered GOOD and not written: to the host its medium goes back.
fn lost(disks: &[Disk], script: &mut Script) -> Result<()> {
    let mut host = Pulsing::start(over(disks, Transport::Srp)?, Host::number(0x72), 12)?;
    host.pulse()?;
    with_rule(&mut host, "lost pulse", "fault = \"lost-write\"", Pulsing::pulse)?;
    let sent = host.miscompares()?;
    script.miscompares.push(Scripted {
        scene: "a rule that loses a pulse",
        finding: "injected",
        host: host.writer.host,
        sent,
        moments: vec![],
        facts: vec![("/rule", json!("lost pulse"))],
    });
    Ok(())
}

/// A pulse is applied and never answered. Its host gives it up and tries again; meanwhile the daemon keeps a
/// copy of the record, in which it is the one heartbeat without an answer.
fn status_lost(disks: &[Disk], script: &mut Script) -> Result<()> {
    let mut pulsing = Pulsing::start(over(disks, Transport::Loopback)?, Host::number(0x73), 13)?;
    pulsing.pulse()?;
    let before = copies()?;
    let rule = "fault = \"caw.status-lost\"";
    let first = with_rule(&mut pulsing, "status lost", rule, |pulsing| {
        let (answer, first) = pulsing.try_to_pulse(PATIENCE)?;
        ensure!(matches!(answer, Answer::Host(_)), "it was answered {answer}");
        Ok(first)
    })?;
    let (old, next) = (pulsing.image(1), pulsing.image(3));
    let sent = pulsing.writer.loses(pulsing.lba(), &old, &next)?;
    let (scene, host) = ("a rule that loses the status", pulsing.writer.host);
    script.miscompares.push(Scripted {
        scene,
        finding: "injected",
        host,
        sent,
        moments: vec![
            ("/besides_evidence/first/at_ns", first),
            ("/besides_evidence/aborted_ns", first),
        ],
        facts: vec![
            ("/rule", json!("status lost")),
            ("/besides", json!("retry-of-an-applied-ats")),
            ("/besides_evidence/same_data", json!(false)),
        ],
    });
    script.late.push(ScriptedLate {
        scene,
        host,
        sent: first,
        longest: "after the device server",
        behind: None,
        rule: Some("status lost"),
    });
    let copy = wait_for(DUMP_LIMIT, "a copy of the record", || {
        Ok(copies()?.into_iter().find(|path| !before.contains(path)))
    })?;
    is_open_in(&copy, host)
}

/// The copies that are there because of heartbeats without an answer.
fn copies() -> Result<Vec<PathBuf>> {
    let Ok(folder) = std::fs::read_dir(DUMPS) else { return Ok(Vec::new()) };
    let is_one =
        |path: &PathBuf| path.to_string_lossy().ends_with(".unanswered-heartbeat.pulserec");
    let paths = folder.map(|file| file.map(|file| file.path())).collect::<Result<Vec<_>, _>>()?;
    Ok(paths.into_iter().filter(is_one).collect())
}

/// Checks that the heartbeat of `host` has no answer in this copy, and no other has none.
fn is_open_in(copy: &Path, host: Host) -> Result<()> {
    let account = explain::explain(copy.to_str().context("a path of ASCII")?)?;
    let hosts: Vec<_> = account.unanswered_heartbeats.iter().map(|it| &it["host"]).collect();
    ensure!(hosts == [&json!(host.to_string())], "no answer have those of {hosts:?}");
    Ok(())
}

/// A pulse that is answered after 4 s.
fn slow(disks: &[Disk], script: &mut Script) -> Result<()> {
    let mut host = Pulsing::start(over(disks, Transport::Iscsi)?, Host::number(0x74), 14)?;
    let rule = "fault = \"caw.slow\"\ndelay = \"4s\"";
    let sent = with_rule(&mut host, "slow pulse", rule, Pulsing::pulse)?;
    script.late.push(ScriptedLate {
        scene: "a rule that holds a pulse up",
        host: host.writer.host,
        sent,
        longest: "after the device server",
        behind: None,
        rule: Some("slow pulse"),
    });
    Ok(())
}
