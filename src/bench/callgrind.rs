//! Instructions, as valgrind's callgrind counts them: this program runs itself in it, and callgrind
//! counts from the begin to the end of one function. What the operating system does in a system call
//! it does not see.

use std::collections::{BTreeMap, HashMap};
use std::env::current_exe;
use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result, ensure};

use crate::figure::{Figure, Report};

/// Batches of commands, or claims, that are counted.
pub(crate) const BATCHES: u32 = 100;

/// The functions that are counted, as callgrind wants them told: one of [`crate::stand`],
/// [`crate::range_lock`] and [`crate::checking`] each.
const COUNTED: [&str; 3] = ["*counted_turn*", "*counted_claim*", "*counted_round*"];

/// Whether there is a valgrind to count with; says what to do if there is none.
pub(crate) fn is_installed() -> bool {
    let installed = Command::new("valgrind").arg("--version").output().is_ok();
    if !installed {
        eprintln!("no instructions are counted: install the package valgrind");
    }
    installed
}

/// Counts what is called `name` and does `times` things, all together and by the room that the
/// instructions are of.
///
/// # Errors
/// If valgrind cannot be run or fails, or does not know the function.
pub(crate) fn count(name: &str, times: u32, report: &mut Report) -> Result<()> {
    let folder = tempfile::tempdir().context("a folder for the profile")?;
    let profile = folder.path().join("callgrind.out");
    let mut valgrind = Command::new("valgrind");
    valgrind.args(["--tool=callgrind", "--quiet", "--collect-atstart=no"]);
    valgrind.args(COUNTED.map(|function| format!("--toggle-collect={function}")));
    valgrind.arg(format!("--callgrind-out-file={}", profile.display()));
    let output = valgrind
        .arg(current_exe()?)
        .arg(format!("--counted={name}"))
        .output()
        .context("run valgrind")?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "valgrind: {}\n{said}", output.status);
    let profile = std::fs::read_to_string(profile).context("the profile")?;
    let rooms = by_room(&profile);
    let per_thing = |count: u64| count as f64 / f64::from(times);
    let all = rooms.values().sum();
    ensure!(all > 0, "callgrind has not found {COUNTED:?}");
    report.add(Figure::new(format!("{name}.instructions"), per_thing(all), "instructions"));
    for (room, count) in rooms {
        let part = format!("{name}.instructions.{room}");
        report.add(Figure::new(part, per_thing(count), "instructions"));
    }
    Ok(())
}

/// The instructions of each room.
///
/// Format: valgrind's manual, "Callgrind Format Specification". A file is named where it first comes
/// up, also as that of a callee, and has a number afterwards; a line of costs counts for the last file
/// that was named, unless it follows `calls=`: then it is what was called.
fn by_room(profile: &str) -> BTreeMap<String, u64> {
    let mut rooms = BTreeMap::new();
    let mut names = HashMap::new();
    let mut room = String::new();
    let mut called = false;
    for line in profile.lines() {
        if let Some((key @ ("fl" | "fi" | "fe" | "cfi" | "cfl"), file)) = line.split_once('=') {
            let (number, name) = file.split_once(' ').unwrap_or((file, ""));
            if !name.is_empty() {
                names.insert(number, room_of(name));
            }
            if !key.starts_with('c') {
                room = names.get(number).cloned().unwrap_or_default();
            }
        } else if line.starts_with("calls=") {
            called = true;
        } else if line.starts_with(|first: char| first.is_ascii_digit() || "+-*".contains(first)) {
            let cost = line.split(' ').nth(1).and_then(|cost| cost.parse::<u64>().ok());
            if let (Some(cost), false) = (cost, called) {
                *rooms.entry(room.clone()).or_default() += cost;
            }
            called = false;
        }
    }
    rooms
}

/// The room that a source file is of; of what is not ours, whether it is Rust's library, another crate
/// or the C library.
fn room_of(file: &str) -> String {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2);
    let file = Path::new(file);
    let ours = root.and_then(|root| file.strip_prefix(root).ok()).unwrap_or(file);
    let mut parts = ours.iter().filter_map(|part| part.to_str());
    match (parts.next(), parts.next()) {
        (Some("src" | "handlers"), Some(room)) => room.to_owned(),
        _ if file.iter().any(|part| part == "library") => "std".to_owned(),
        _ if file.iter().any(|part| part == "registry") => "crates".to_owned(),
        _ => "libc".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn costs_count_for_the_room_whose_line_it_is() {
        let profile = "\
fl=(1) src/ring/consumer.rs
fn=(1) next_entry
12 5
+3 7
fi=(2) /rustc/0/library/core/src/option.rs
3 2
fe=(1)
20 1
cfi=(3) handlers/null/lib.rs
cfn=(2) submit
calls=1 10
20 400

fl=(3)
fn=(2)
10 400
";
        let rooms = by_room(profile);
        let expected = [("null", 400), ("ring", 13), ("std", 2)];
        assert_eq!(rooms, expected.map(|(room, cost)| (room.to_owned(), cost)).into());
    }
}
