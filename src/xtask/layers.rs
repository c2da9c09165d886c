//! `cargo xtask layers`: who may know whom.
//!
//! Every crate of the workspace has one row in [`HOUSE`]; an edge that its row does not hold fails, and
//! so does a crate without a row. On floors 0 to 2 the external crates are listed as well: what decides
//! about blocks and status must stay small enough to read. Above, `cargo deny` is the only judge.

use std::collections::HashMap;

use anyhow::{Context, Result, bail};
use serde::Deserialize;

use crate::workshop::{cargo, output};

/// One crate and what it may depend on; names without the project's prefix.
struct Room {
    name: &'static str,
    /// Other rooms.
    rooms: &'static [&'static str],
    externals: Externals,
}

enum Externals {
    /// [`EVERYWHERE`], and these.
    Only(&'static [&'static str]),
    /// Whatever `deny.toml` lets in.
    Any,
}

use Externals::{Any, Only};

/// External crates that any room may use: layout, flags and errors; no behaviour of their own.
const EVERYWHERE: &[&str] = &["bitflags", "thiserror", "zerocopy"];

/// External crates that the tests of any room may use besides.
const TESTS: &[&str] = &["proptest", "tempfile"];

/// The house, floor by floor.
const HOUSE: &[Room] = &[
    // Floor 0: quantities and bytes.
    room("units", &[], Only(&[])),
    room("data", &[], Only(&["libc", "memmap2"])),
    // Floor 1: the ring, SCSI, the medium and the kernel's control files do not know one another.
    room("ring", &["units", "data"], Only(&["memmap2"])),
    room("scsi", &["units"], Only(&[])),
    room(
        "backstore",
        &["units", "data"],
        // proptest and tempfile: the conformance kit, a feature that only tests turn on.
        Only(&[
            "crossbeam-channel",
            "io-uring",
            "libc",
            "nix",
            "proptest",
            "rustix",
            "strsim",
            "tempfile",
            "tracing",
        ]),
    ),
    room(
        "kernel",
        &["units"],
        Only(&[
            "libc",
            "netlink-packet-core",
            "netlink-packet-generic",
            "netlink-sys",
            "nix",
            "tracing",
        ]),
    ),
    room("vmfs", &[], Only(&[])),
    room("settings", &["units"], Only(&["serde", "strsim", "toml"])),
    room("hostlog", &[], Only(&["flate2"])),
    room("capture", &[], Only(&[])),
    room("clients", &[], Only(&["mio", "tracing"])),
    // Floor 2: the device server; hosts, and what must hold between them.
    room("hosts", &["units", "scsi", "vmfs"], Only(&[])),
    room("checkers", &["units", "vmfs"], Only(&[])),
    room("engine", &["units", "data", "scsi", "backstore", "vmfs"], Only(&[])),
    // Beside the house: handlers know only the trait and what it speaks in.
    room("ram", HANDLER, Only(&["nix"])),
    room("block", HANDLER, Only(&["nix"])),
    room("file", HANDLER, Only(&["nix", "tracing"])),
    room("null", HANDLER, Only(&[])),
    room("template", HANDLER, Only(&[])),
    // Floor 3: hosts at work together, what breaks on purpose, what is kept of what happened, what an operator's
    // tools speak, and what hosts reach devices by.
    room("cluster", &["units", "scsi", "vmfs", "settings", "hosts", "checkers"], Only(&[])),
    room(
        "faults",
        &["units", "data", "scsi", "backstore", "vmfs", "settings", "engine", "checkers"],
        Any,
    ),
    room("record", &["units", "data", "scsi", "engine"], Any),
    room("report", &["units", "vmfs", "hostlog", "checkers"], Any),
    room("control", &["units", "settings", "clients"], Any),
    room("metrics", &["clients"], Any),
    room("initiator", &["units", "scsi", "hosts"], Any),
    // Floor 4: what is concluded from what was kept, and what is shown of what the daemon says.
    room("explain", &["units", "scsi", "vmfs", "engine", "record"], Any),
    room("top", &["units", "control"], Any),
    // Floor 5: the process, and the command line.
    room(
        "daemon",
        &[
            "units",
            "data",
            "ring",
            "scsi",
            "backstore",
            "kernel",
            "vmfs",
            "settings",
            "engine",
            "faults",
            "record",
            "control",
            "metrics",
            "ram",
            "block",
            "file",
            "null",
        ],
        Any,
    ),
    room(
        "ctl",
        &[
            "units",
            "data",
            "scsi",
            "backstore",
            "vmfs",
            "hostlog",
            "capture",
            "settings",
            "engine",
            "faults",
            "record",
            "explain",
            "report",
            "control",
            "top",
        ],
        Any,
    ),
    // Floor 6: a device in the process.
    room(
        "embedded",
        &["units", "ring", "scsi", "backstore", "engine", "faults", "daemon", "ram"],
        Any,
    ),
    // Floor 7: hosts on devices, and on one in the process, for as long as somebody likes.
    room(
        "soak",
        &[
            "units",
            "data",
            "scsi",
            "backstore",
            "vmfs",
            "settings",
            "hosts",
            "checkers",
            "engine",
            "ram",
            "cluster",
            "initiator",
            "faults",
            "record",
            "report",
            "control",
            "explain",
            "embedded",
        ],
        Any,
    ),
    // Floor 8: the one binary.
    room("pulsefield", &["control", "daemon", "ctl", "soak"], Any),
    // In front of it: programs that look at the house from outside, and the project's own commands.
    room(
        "bench",
        &[
            "units",
            "data",
            "ring",
            "backstore",
            "checkers",
            "engine",
            "faults",
            "control",
            "daemon",
            "null",
            "ram",
        ],
        Any,
    ),
    room(
        "simulation",
        &[
            "units",
            "data",
            "scsi",
            "backstore",
            "vmfs",
            "hosts",
            "checkers",
            "engine",
            "faults",
            "initiator",
            "cluster",
            "embedded",
            "ram",
        ],
        Any,
    ),
    room("fuzz", &["units", "data", "ring", "scsi", "backstore", "engine"], Any),
    room("guest", &["initiator"], Any),
    room("bare", &["units", "data", "ring", "kernel"], Any),
    room("xtask", &[], Any),
];

const HANDLER: &[&str] = &["units", "data", "backstore"];

const fn room(name: &'static str, rooms: &'static [&'static str], externals: Externals) -> Room {
    Room { name, rooms, externals }
}

/// Checks every crate of the workspace against [`HOUSE`].
///
/// # Errors
/// One sentence for each unknown crate and each edge that is not in the table.
pub(crate) fn run() -> Result<()> {
    let metadata = output(cargo().args(["metadata", "--format-version=1", "--no-deps"]))?;
    let metadata: Metadata =
        serde_json::from_str(&metadata).context("cargo metadata is not as expected")?;
    let objections = objections(&metadata.packages);
    if !objections.is_empty() {
        bail!("the layering does not hold:\n  {}", objections.join("\n  "));
    }
    println!("{} crates, every edge is in the table", metadata.packages.len());
    Ok(())
}

/// The part of `cargo metadata` that is looked at.
#[derive(Deserialize)]
struct Metadata {
    packages: Vec<Package>,
}

#[derive(Deserialize)]
struct Package {
    name: String,
    dependencies: Vec<Dependency>,
}

#[derive(Deserialize)]
struct Dependency {
    name: String,
    /// `None` for an ordinary one, else `dev` or `build`.
    kind: Option<String>,
    /// The folder, for a crate of this workspace.
    path: Option<String>,
}

fn objections(packages: &[Package]) -> Vec<String> {
    let house: HashMap<&str, &Room> = HOUSE.iter().map(|room| (room.name, room)).collect();
    let mut objections = Vec::new();
    for package in packages {
        let Some(room) = house.get(short(&package.name)) else {
            objections.push(format!(
                "{} is not in the table in src/xtask/layers.rs; give it a row and a floor",
                package.name
            ));
            continue;
        };
        objections.extend(package.dependencies.iter().filter_map(|edge| objection(room, edge)));
    }
    objections
}

fn objection(room: &Room, edge: &Dependency) -> Option<String> {
    let in_tests = edge.kind.as_deref() == Some("dev");
    let name = short(&edge.name);
    let permitted = if edge.path.is_some() {
        room.rooms.contains(&name)
    } else {
        match &room.externals {
            Any => true,
            Only(listed) => {
                listed.contains(&name)
                    || EVERYWHERE.contains(&name)
                    || in_tests && TESTS.contains(&name)
            }
        }
    };
    let what = if in_tests { "tests of" } else { "room" };
    let kind = if edge.path.is_some() { "room" } else { "external crate" };
    (!permitted).then(|| format!("{what} {}: may not know the {kind} {name}", room.name))
}

fn short(package: &str) -> &str {
    package.strip_prefix("pulsefield-").unwrap_or(package)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn package(name: &str, dependencies: &[(&str, Option<&str>, bool)]) -> Package {
        let dependencies = dependencies.iter().map(|&(name, kind, ours)| Dependency {
            name: name.to_owned(),
            kind: kind.map(str::to_owned),
            path: ours.then(|| "/somewhere".to_owned()),
        });
        Package { name: name.to_owned(), dependencies: dependencies.collect() }
    }

    #[test]
    fn edges_in_the_table_pass() {
        let ring = package(
            "pulsefield-ring",
            &[
                ("pulsefield-units", None, true),
                ("zerocopy", None, false),
                ("memmap2", None, false),
                ("proptest", Some("dev"), false),
            ],
        );
        assert_eq!(objections(&[ring]), [""; 0]);
    }

    #[test]
    fn rooms_of_one_floor_do_not_know_one_another() {
        let scsi = package("pulsefield-scsi", &[("pulsefield-ring", None, true)]);
        assert_eq!(objections(&[scsi]), ["room scsi: may not know the room ring"]);
    }

    #[test]
    fn the_lower_floors_list_their_external_crates() {
        let units = package("pulsefield-units", &[("serde", None, false)]);
        assert_eq!(objections(&[units]), ["room units: may not know the external crate serde"]);
        let control = package("pulsefield-control", &[("serde", None, false)]);
        assert_eq!(objections(&[control]), [""; 0]);
    }

    #[test]
    fn what_tests_may_use_is_not_for_the_room_itself() {
        let engine = package("pulsefield-engine", &[("proptest", None, false)]);
        assert_eq!(
            objections(&[engine]),
            ["room engine: may not know the external crate proptest"]
        );
    }

    #[test]
    fn a_crate_without_a_row_fails() {
        let attic = package("pulsefield-attic", &[]);
        assert_eq!(
            objections(&[attic]),
            [
                "pulsefield-attic is not in the table in src/xtask/layers.rs; give it a row and a floor"
            ]
        );
    }

    /// A row may name only rooms that stand above it in the table, so the table itself has no cycle
    /// and no edge that points up.
    #[test]
    fn the_table_points_downwards() {
        for (index, room) in HOUSE.iter().enumerate() {
            for known in room.rooms {
                let above = HOUSE[..index].iter().any(|lower| lower.name == *known);
                assert!(above, "{} knows {known}", room.name);
            }
        }
    }
}
