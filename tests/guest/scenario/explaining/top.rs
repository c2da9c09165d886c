//! `pulsefield top` on a terminal of 80 by 24, with keys pressed, and as JSON.

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use super::{LUN, over};
use crate::command::run as command;
use crate::disk::{Disk, Transport};
use crate::fault;
use crate::report::Report;
use crate::terminal::Terminal;
use crate::vmfs::{self, Host};

const COLUMNS: usize = 80;
const LINES: usize = 24;
/// What is armed and disarmed.
const FAULT: &str = "miscompare.spurious";
const QUESTION: &str = "Break ds1 on purpose with miscompare.spurious? Its data may be lost. y/N";

pub(super) fn run(report: &mut Report, disks: &[Disk]) -> Result<()> {
    report.step("top on a terminal");
    let terminal = Terminal::start("top", "pulsefield top", &[])?;
    report.works("top: what there is, by keys", panes(&terminal));
    report.works("top: a fault is armed after a question, and disarmed", arming(&terminal));
    report.works("top: a MISCOMPARE comes with its finding", miscompare(&terminal, disks));
    let colours = has_colours(&terminal.coloured()?);
    report.equal("top: colours", true, colours);
    let quit = terminal.press("q").and_then(|()| terminal.ends());
    report.works("top: q ends it", quit);
    let plain = Terminal::start("plain", "pulsefield top", &["NO_COLOR=1"])?;
    plain.shows(LUN)?;
    report.equal("top with NO_COLOR: colours", false, has_colours(&plain.coloured()?));
    report.works("top --once", once());
    Ok(())
}

/// Each pane, by its key, and nothing beyond the screen.
fn panes(terminal: &Terminal) -> Result<()> {
    terminal.shows(&format!("> {LUN}"))?;
    for (key, words) in [("s", "MOSTLY"), ("f", "none are armed"), ("m", "FINDING"), ("c", "P99.9")]
    {
        terminal.press(key)?;
        let screen = terminal.shows(words)?;
        let widest = screen.lines().map(|line| line.chars().count()).max().unwrap_or_default();
        ensure!(widest <= COLUMNS, "a line of {widest} columns:\n{screen}");
        ensure!(screen.lines().count() <= LINES, "{} lines", screen.lines().count());
        ensure!(screen.contains("q quit"), "no last line:\n{screen}");
    }
    Ok(())
}

/// The question first: any other key than `y` arms nothing.
fn arming(terminal: &Terminal) -> Result<()> {
    let ask = || -> Result<()> {
        terminal.press("a")?;
        terminal.shows("arm for ds1")?;
        terminal.enter(FAULT)?;
        terminal.shows(QUESTION).map(drop)
    };
    ask()?;
    terminal.press("n")?;
    terminal.shows("q quit")?;
    ensure!(fault::armed(LUN)?.is_empty(), "it was armed though nobody said yes");
    ask()?;
    terminal.press("y")?;
    terminal.shows("FAULTS ARMED: 1")?;
    let armed: Vec<_> = fault::armed(LUN)?.into_iter().map(|(rule, _)| rule).collect();
    ensure!(armed == [FAULT], "armed are {armed:?}");
    terminal.press("f")?;
    terminal.shows("HITS WHAT IT DOES")?;
    terminal.press("d")?;
    terminal.shows("Disarm all faults of ds1? y/N")?;
    terminal.press("y")?;
    terminal.shows("none are armed")?;
    ensure!(fault::armed(LUN)?.is_empty(), "it is still armed");
    Ok(())
}

/// One that has just happened, and why.
fn miscompare(terminal: &Terminal, disks: &[Disk]) -> Result<()> {
    let (host, slot) = (Host::number(0x91), 21);
    let (lba, image) = (vmfs::slot_lba(slot), |us| vmfs::pulse(host, slot, 1, us));
    let device = over(disks, Transport::Loopback)?.open()?;
    device.write_block(lba, &image(0))?;
    for _ in 0..2 {
        device.compare_and_write(lba, &image(0), &image(3_000_000))?;
    }
    terminal.press("m")?;
    let screen = terminal.shows("heartbeat at 3231744")?;
    let line = screen.lines().find(|line| line.contains("heartbeat at 3231744"));
    let line = line.context("it is gone again")?;
    ensure!(line.contains("retry of an applied ATS"), "it is shown as\n{line}");
    Ok(())
}

/// Text and JSON without a terminal.
fn once() -> Result<()> {
    let text = command("pulsefield", ["top", "--once"]).output()?;
    ensure!(text.lines().count() == LINES && text.contains(LUN), "{text}");
    let json = command("pulsefield", ["top", "--once", "--json"]).output()?;
    let sample: Value = serde_json::from_str(&json).context("its JSON")?;
    ensure!(sample["luns"][0]["name"] == LUN, "{json}");
    let latest = sample["miscompares"].as_array().and_then(|all| all.first());
    let latest = latest.context("no MISCOMPARE in its JSON")?;
    ensure!(latest["finding"] == "retry of an applied ATS", "{latest}");
    Ok(())
}

/// Whether there is a sequence that sets a colour (SGR 30 to 38 and 90 to 97).
fn has_colours(screen: &str) -> bool {
    let sequences = screen.split("\x1b[").skip(1).filter_map(|rest| rest.split_once('m'));
    let mut parameters = sequences.flat_map(|(parameters, _)| parameters.split(';'));
    parameters.any(|it| matches!(it.parse(), Ok(30..=38_u8 | 90..=97)))
}
