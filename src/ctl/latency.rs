//! `pulsefield latency`: how long commands take, and what the slowest spent their time on.

use std::io::{self, Write};
use std::time::Duration;

use pulsefield_control::protocol::{CommandLatency, LunLatency, Quantiles, SlowCommand, TimeParts};
use pulsefield_settings::Time;
use pulsefield_units::Micros;

use crate::print::{duration, table};

/// Parts of a time that are smaller than a hundredth of it are left out.
const NOTED: u64 = 100;

pub(crate) fn latency(luns: &[LunLatency], out: &mut dyn Write) -> io::Result<()> {
    if luns.is_empty() {
        return writeln!(out, "no logical unit serves");
    }
    for (nth, lun) in luns.iter().enumerate() {
        if nth > 0 {
            writeln!(out)?;
        }
        let LunLatency { lun: name, counted_ms, late, too_late, .. } = lun;
        write!(out, "{name}: counted for {}", duration(*counted_ms))?;
        for (count, deadline_ms) in
            [(*late, lun.deadline_warning_ms), (*too_late, lun.deadline_error_ms)]
        {
            if deadline_ms > 0 {
                write!(out, ", {count} over {}", Time::from(Duration::from_millis(deadline_ms)))?;
            }
        }
        writeln!(out)?;
        if !lun.commands.is_empty() {
            commands(&lun.commands, out)?;
        }
        if !lun.slowest.is_empty() {
            writeln!(out)?;
            slowest(&lun.slowest, out)?;
        }
    }
    Ok(())
}

fn commands(commands: &[CommandLatency], out: &mut dyn Write) -> io::Result<()> {
    let header = [
        "LANE",
        "COMMAND",
        "COUNT",
        "P50",
        "P99",
        "P99.9",
        "MAX",
        "WAITING P99",
        "SERVICE P99",
        "ANSWER P99",
    ];
    let mut rows = vec![header.map(str::to_owned)];
    rows.extend(commands.iter().map(|command| {
        let Quantiles { p50_us, p99_us, p999_us, max_us } = command.total;
        let touches_medium = command.lane.is_some();
        let if_medium =
            |us: u64| if touches_medium { Micros(us).to_string() } else { "-".to_owned() };
        [
            command.lane.clone().unwrap_or_else(|| "-".to_owned()),
            command.command.clone(),
            command.count.to_string(),
            Micros(p50_us).to_string(),
            Micros(p99_us).to_string(),
            Micros(p999_us).to_string(),
            Micros(max_us).to_string(),
            if_medium(command.waiting.p99_us),
            if_medium(command.service.p99_us),
            Micros(command.answer.p99_us).to_string(),
        ]
    }));
    table(out, &rows)
}

fn slowest(slowest: &[SlowCommand], out: &mut dyn Write) -> io::Result<()> {
    let header = ["TIME", "TOOK", "LANE", "COMMAND", "BLOCKS", "OF WHICH"];
    let mut rows = vec![header.map(str::to_owned)];
    rows.extend(slowest.iter().map(|slow| {
        let blocks = slow.lba.zip(slow.blocks).map(|(lba, blocks)| format!("{lba}+{blocks}"));
        let none = || "-".to_owned();
        [
            format!("{}.{:06}", slow.at_us / 1_000_000, slow.at_us % 1_000_000),
            Micros(slow.took_us).to_string(),
            slow.lane.clone().unwrap_or_else(none),
            slow.command.clone(),
            blocks.unwrap_or_else(none),
            of_which(slow),
        ]
    }));
    table(out, &rows)
}

/// What the time of a command went into, the largest part first.
fn of_which(slow: &SlowCommand) -> String {
    let TimeParts { blocks_us, slot_us, pool_us, medium_us, fault_us, answer_us, elsewhere_us } =
        slow.parts;
    let mut parts = [
        ("waiting for its blocks", blocks_us),
        ("waiting for a slot", slot_us),
        ("waiting for the pool", pool_us),
        ("medium", medium_us),
        ("fault", fault_us),
        ("answer", answer_us),
        ("elsewhere", elsewhere_us),
    ];
    parts.sort_by_key(|(_, us)| std::cmp::Reverse(*us));
    let noted = parts.iter().filter(|(_, us)| *us > slow.took_us / NOTED);
    let words: Vec<String> = noted.map(|(name, us)| format!("{name} {}", Micros(*us))).collect();
    words.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_hardly_matters_is_left_out() {
        let parts = TimeParts {
            blocks_us: 42_000,
            medium_us: 3_000,
            answer_us: 40,
            ..TimeParts::default()
        };
        let slow = SlowCommand { took_us: 45_040, parts, ..SlowCommand::default() };
        assert_eq!(of_which(&slow), "waiting for its blocks 42.0 ms, medium 3.00 ms");
    }
}
