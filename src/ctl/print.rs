//! Answers as people read them.

use std::io::{self, Write};

use pulsefield_control::protocol::{Change, Effect, Fullest, LunDetail, LunSummary, Status};
use pulsefield_units::Size;

/// How the daemon is.
pub(crate) fn status(status: &Status, out: &mut dyn Write) -> io::Result<()> {
    fields(
        out,
        &[
            ("version", status.daemon_version.clone()),
            ("process", status.pid.to_string()),
            ("up for", duration(status.uptime_ms)),
            ("configuration", status.config.clone()),
            ("handlers", status.handlers.join(", ")),
            ("logical units", format!("{} of {} serving", status.luns_serving, status.luns_total)),
            ("faults", armed(status.faults_armed)),
            ("late commands", late(status.late, status.too_late)),
            ("fullest", fullest(status.fullest.as_ref())),
            ("D-Bus", status.dbus.to_string()),
        ],
    )
}

/// All logical units.
pub(crate) fn luns(luns: &[LunSummary], out: &mut dyn Write) -> io::Result<()> {
    let mut rows = vec![
        ["NAME", "DEVICE", "SIZE", "BLOCK", "CONFIGURATION", "FAULTS", "STATE"].map(str::to_owned),
    ];
    rows.extend(luns.iter().map(|lun| {
        [
            lun.name.clone(),
            format!("uio{}", lun.id),
            Size(lun.size_bytes).to_string(),
            lun.block_length_bytes.to_string(),
            lun.cfgstring.clone(),
            match lun.faults_armed {
                0 => "-".to_owned(),
                rules => rules.to_string(),
            },
            lun.state.to_string(),
        ]
    }));
    table(out, &rows)
}

/// One logical unit.
pub(crate) fn lun(lun: &LunDetail, out: &mut dyn Write) -> io::Result<()> {
    let LunDetail { summary, counters, lanes, kernel, in_medium_ms } = lun;
    fields(
        out,
        &[
            ("name", summary.name.clone()),
            ("device", format!("/dev/uio{}", summary.id)),
            ("state", format!("{}{}", summary.state, waiting(*in_medium_ms))),
            ("faults", armed(summary.faults_armed)),
            ("handler", summary.handler.clone()),
            ("configuration", summary.cfgstring.clone()),
            ("size", format!("{} ({} bytes)", Size(summary.size_bytes), summary.size_bytes)),
            ("block length", format!("{} bytes", summary.block_length_bytes)),
            ("commands", format!("{}, {} in flight", counters.commands, counters.in_flight)),
            (
                "compare and write",
                format!(
                    "{} good, {} miscompared",
                    counters.compare_and_write_good, counters.compare_and_write_miscompare
                ),
            ),
            ("aborted", counters.aborted.to_string()),
            ("errors", counters.errors.to_string()),
            ("restarts", counters.restarts.to_string()),
            ("late", late(counters.late, counters.too_late)),
            ("cmd_time_out", seconds(kernel.cmd_time_out_s.into(), "never")),
            ("qfull_time_out", seconds(kernel.qfull_time_out_s.into(), "at once")),
            (
                "data area",
                format!(
                    "{}, {} % in use at most; of the ring {} %",
                    Size(kernel.max_data_area_bytes),
                    summary.data_area_peak_percent,
                    summary.ring_peak_percent
                ),
            ),
        ],
    )?;
    writeln!(out)?;
    let mut rows = vec![["LANE", "QUEUED", "IN FLIGHT", "LONGEST WAIT"].map(str::to_owned)];
    rows.extend(lanes.iter().map(|lane| {
        [
            lane.lane.clone(),
            lane.queued.to_string(),
            lane.in_flight.to_string(),
            format!("{} µs", lane.wait_max_us),
        ]
    }));
    table(out, &rows)
}

/// What a reload changed.
pub(crate) fn changes(changes: &[Change], out: &mut dyn Write) -> io::Result<()> {
    if changes.is_empty() {
        writeln!(out, "nothing has changed")?;
    }
    for change in changes {
        let when = match change.effect {
            Effect::Now => "",
            Effect::AtRestart => ", from the daemon's next start on",
        };
        writeln!(out, "{}: {} → {}{when}", change.key, change.from, change.to)?;
    }
    Ok(())
}

/// How many rules of faults are armed: whoever looks for trouble shall not overlook them.
fn armed(rules: u64) -> String {
    match rules {
        0 => "none armed".to_owned(),
        1 => "1 rule ARMED".to_owned(),
        rules => format!("{rules} rules ARMED"),
    }
}

/// Whether the unit's thread waits for its medium. Less than a second is a command in passing.
fn waiting(in_medium_ms: u64) -> String {
    match in_medium_ms / 1000 {
        0 => String::new(),
        seconds => format!(", waits for its medium since {seconds} s"),
    }
}

/// How near a unit was to having commands wait in the kernel.
fn fullest(fullest: Option<&Fullest>) -> String {
    match fullest {
        None => "no data area was in use".to_owned(),
        Some(Fullest { lun, percent }) => {
            format!("the data area or ring of {lun}, {percent} % at most")
        }
    }
}

/// How many commands missed a deadline.
fn late(late: u64, too_late: u64) -> String {
    match (late, too_late) {
        (0, 0) => "none".to_owned(),
        _ => format!("{late} over deadline_warning, {too_late} over deadline_error"),
    }
}

pub(crate) fn fields(out: &mut dyn Write, fields: &[(&str, String)]) -> io::Result<()> {
    let width = fields.iter().map(|(name, _)| name.len()).max().unwrap_or(0);
    for (name, value) in fields {
        writeln!(out, "{name:width$}  {value}")?;
    }
    Ok(())
}

pub(crate) fn table<const COLUMNS: usize>(
    out: &mut dyn Write,
    rows: &[[String; COLUMNS]],
) -> io::Result<()> {
    let widths: [usize; COLUMNS] = std::array::from_fn(|column| {
        rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0)
    });
    for row in rows {
        let cells: Vec<String> =
            row.iter().zip(widths).map(|(cell, width)| format!("{cell:width$}")).collect();
        writeln!(out, "{}", cells.join("  ").trim_end())?;
    }
    Ok(())
}

fn seconds(seconds: i64, zero: &str) -> String {
    match seconds {
        0 => zero.to_owned(),
        // Only qfull_time_out can be negative.
        ..0 => "as cmd_time_out".to_owned(),
        seconds => format!("{seconds} s"),
    }
}

pub(crate) fn duration(ms: u64) -> String {
    let seconds = ms / 1000;
    let (days, hours) = (seconds / 86_400, seconds / 3600 % 24);
    let (minutes, seconds) = (seconds / 60 % 60, seconds % 60);
    match days {
        0 => format!("{hours:02}:{minutes:02}:{seconds:02}"),
        days => format!("{days} d {hours:02}:{minutes:02}:{seconds:02}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_read_like_a_clock() {
        assert_eq!(duration(999), "00:00:00");
        assert_eq!(duration(3_723_000), "01:02:03");
        assert_eq!(duration(90_061_000), "1 d 01:01:01");
        assert_eq!(seconds(0, "never"), "never");
        assert_eq!(seconds(-1, "never"), "as cmd_time_out");
        assert_eq!(seconds(30, "never"), "30 s");
    }
}
