//! `pulsefield latency`: how long commands take, and what the slowest spent their time on.

use std::io::{self, Write};
use std::time::Duration;

use pulsefield_control::protocol::{CommandLatency, LunLatency, Quantiles, SlowCommand, TimeParts};
use pulsefield_settings::Time;

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
        let if_medium = |us: u64| if touches_medium { time(us) } else { "-".to_owned() };
        [
            command.lane.clone().unwrap_or_else(|| "-".to_owned()),
            command.command.clone(),
            command.count.to_string(),
            time(p50_us),
            time(p99_us),
            time(p999_us),
            time(max_us),
            if_medium(command.waiting.p99_us),
            if_medium(command.service.p99_us),
            time(command.answer.p99_us),
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
            time(slow.took_us),
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
    let words: Vec<String> = noted.map(|(name, us)| format!("{name} {}", time(*us))).collect();
    words.join(", ")
}

/// Three digits and a unit; a time without one is zero.
fn time(us: u64) -> String {
    let with = |value: u64, thousandths: u64, unit: &str| match value {
        0..10 => format!("{value}.{:02} {unit}", thousandths / 10),
        10..100 => format!("{value}.{} {unit}", thousandths / 100),
        _ => format!("{value} {unit}"),
    };
    match us {
        0..1_000 => format!("{us} µs"),
        1_000..1_000_000 => with(us / 1_000, us % 1_000, "ms"),
        _ => with(us / 1_000_000, us / 1_000 % 1_000, "s"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_have_three_digits() {
        for (us, words) in [
            (0, "0 µs"),
            (999, "999 µs"),
            (1_000, "1.00 ms"),
            (12_345, "12.3 ms"),
            (999_999, "999 ms"),
            (8_003_000, "8.00 s"),
            (61_000_000, "61.0 s"),
            (3_600_000_000, "3600 s"),
        ] {
            assert_eq!(time(us), words);
        }
    }

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
