//! `docs/performance.md`: what was measured goes between two markers, the words around them are people's.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs;
use std::path::PathBuf;

use anyhow::{Context, Result};

use super::plot;
use super::record::Record;
use super::seen::Seen;
use super::targets;
use crate::workshop::root;

const BEGIN: &str = "<!-- measured: begin -->\n";
const END: &str = "<!-- measured: end -->\n";

/// The subjects as the guest names them, and what they are.
pub(super) const SUBJECTS: [(&str, &str); 9] = [
    ("tcmu-runner", "tcmu-runner, qcow on a raw file"),
    ("fileio", "LIO fileio"),
    ("ramdisk", "LIO ramdisk"),
    ("bare", "bare ring"),
    ("bare-file", "bare ring and a file"),
    ("null", "ours, `null`"),
    ("unrecorded", "ours, `null`, `record = \"off\"`"),
    ("ram", "ours, `ram`"),
    ("file", "ours, `file`"),
];

/// A table: a title, and of each column the heading, the workload and the figure.
type Table = (&'static str, &'static [(&'static str, &'static str, &'static str)]);

const TABLES: &[Table] = &[
    (
        "4 KiB, random, requests per second",
        &[
            ("read, depth 1", "read-1", "iops"),
            ("write, depth 1", "write-1", "iops"),
            ("read, depth 32", "read-32", "iops"),
            ("write, depth 32", "write-32", "iops"),
            ("read, four LUNs × 8", "four-luns", "iops"),
        ],
    ),
    (
        "1 MiB, sequential, four at a time, MiB/s",
        &[("read", "sequential-read", "bandwidth"), ("write", "sequential-write", "bandwidth")],
    ),
    (
        "Processor time of the daemon per 4 KiB command, µs",
        &[
            ("read, depth 1", "read-1", "processor"),
            ("write, depth 1", "write-1", "processor"),
            ("read, depth 32", "read-32", "processor"),
            ("write, depth 32", "write-32", "processor"),
        ],
    ),
    (
        "COMPARE AND WRITE, nothing else, µs",
        &[
            ("back to back, p50", "caw-idle", "p50"),
            ("p99", "caw-idle", "p99"),
            ("max", "caw-idle", "max"),
            ("every 5 ms, p50", "caw-paced", "p50"),
            ("p99", "caw-paced", "p99"),
            ("max", "caw-paced", "max"),
        ],
    ),
    (
        "COMPARE AND WRITE every 20 ms beside 64 random writes of 256 KiB, µs",
        &[
            ("p50", "caw-loaded", "p50"),
            ("p99", "caw-loaded", "p99"),
            ("in our daemon, p99", "caw-loaded", "daemon-p99"),
            ("max", "caw-loaded", "max"),
            ("the writes, MiB/s", "caw-loaded", "bandwidth"),
        ],
    ),
    (
        "64 random writes of 256 KiB, alone and while 16 hosts pulse, each every 3 s",
        &[
            ("alone, MiB/s", "pulses", "bandwidth-alone"),
            ("with pulses, MiB/s", "pulses", "bandwidth"),
            ("a pulse, p50 µs", "pulses", "p50"),
            ("max", "pulses", "max"),
        ],
    ),
    (
        "A daemon with one LUN that nobody uses",
        &[
            ("heap and stacks, KiB", "idle-1", "anonymous"),
            ("program and rings, KiB", "idle-1", "file"),
            ("memory files, KiB", "idle-1", "shared"),
            ("threads", "idle-1", "threads"),
            ("processor, %", "idle-1", "idle-processor"),
        ],
    ),
    (
        "A daemon with 256 of them",
        &[
            ("heap and stacks, KiB", "idle-256", "anonymous"),
            ("program and rings, KiB", "idle-256", "file"),
            ("memory files, KiB", "idle-256", "shared"),
            ("threads", "idle-256", "threads"),
            ("processor, %", "idle-256", "idle-processor"),
        ],
    ),
];

/// The workloads of the guest, all of which are in a table.
pub(super) fn workloads() -> BTreeSet<&'static str> {
    TABLES
        .iter()
        .flat_map(|(_, columns)| columns.iter().map(|(_, workload, _)| *workload))
        .collect()
}

/// Writes the page and its plot; says where the page is.
///
/// # Errors
/// When the page is not there, has lost its markers, or cannot be written.
pub(super) fn write(record: &Record) -> Result<PathBuf> {
    let path = root().join("docs/performance.md");
    let page = fs::read_to_string(&path).with_context(|| format!("reading {}", path.display()))?;
    fs::write(root().join("docs/performance.svg"), plot::plot(record))?;
    fs::write(&path, filled(&page, &measured(record))?)?;
    Ok(path)
}

/// The page with something else between the markers.
fn filled(page: &str, measured: &str) -> Result<String> {
    let (before, rest) = page.split_once(BEGIN).context("the page has lost its first marker")?;
    let (_, after) = rest.split_once(END).context("the page has lost its second marker")?;
    Ok(format!("{before}{BEGIN}{measured}{END}{after}"))
}

fn measured(record: &Record) -> String {
    let Record { commit, began, machine, load: [before, after], rounds, quick, .. } = record;
    let length = if *quick { "short rounds" } else { "rounds" };
    let mut text = format!(
        "Measured {began} at {commit}, {rounds} {length}, on {machine}. The machine's load average was \
         {before} before and {after} after; the guest alone makes two.\n\n"
    );
    text += &targets::table(record);
    text += "\n![COMPARE AND WRITE under bulk, and random reads and writes](performance.svg)\n";
    for (title, columns) in TABLES {
        if let Some(table) = table(record, columns) {
            text += &format!("\n**{title}**\n\n{table}");
        }
    }
    if !record.native.is_empty() {
        text += "\n**Micro-benchmarks over the simulated kernel**\n\n| | |\n|---|--:|\n";
        for figure in &record.native {
            let value = super::seen::number(figure.value);
            writeln!(text, "| {} | {value} {} |", figure.name, figure.unit)
                .expect("a string grows");
        }
    }
    text
}

/// A row a subject that has any of it; `None` if nobody has.
fn table(record: &Record, columns: &[(&str, &str, &str)]) -> Option<String> {
    let rows: Vec<_> = SUBJECTS
        .iter()
        .filter_map(|(subject, name)| {
            let seen = |(_, workload, figure): &(&str, &str, &str)| {
                Seen::of(record.values(workload, subject, figure).iter().copied())
            };
            let cells: Vec<_> = columns.iter().map(seen).collect();
            let show = |cell: &Option<Seen>| cell.map_or_else(|| "–".to_owned(), |c| c.to_string());
            let line = cells.iter().map(show).collect::<Vec<_>>().join(" | ");
            cells.iter().any(Option::is_some).then(|| format!("| {name} | {line} |\n"))
        })
        .collect();
    let heads: Vec<_> = columns.iter().map(|(head, ..)| *head).collect();
    let rule = "--:|".repeat(columns.len());
    (!rows.is_empty())
        .then(|| format!("| | {} |\n|---|{rule}\n{}", heads.join(" | "), rows.concat()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::record;

    #[test]
    fn what_people_wrote_stays() {
        let page = format!("# Speed\n{BEGIN}old\n{END}Why: …\n");
        let expected = format!("# Speed\n{BEGIN}new\n{END}Why: …\n");
        assert_eq!(filled(&page, "new\n").unwrap(), expected);
        assert!(filled("# Speed\n", "new\n").is_err());
    }

    #[test]
    fn a_table_has_the_rows_that_were_measured() {
        let record = record::with(&[("file", &[2.0, 4.0, 3.0]), ("fileio", &[1.0])]);
        let table = table(&record, &[("F", "w", "f"), ("G", "w", "g")]).unwrap();
        assert_eq!(
            table,
            "| | F | G |\n|---|--:|--:|\n| LIO fileio | 1.00 | – |\n\
             | ours, `file` | 3.00 (2.00–4.00) | – |\n"
        );
    }
}
