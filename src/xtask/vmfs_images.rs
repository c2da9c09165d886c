//! `cargo xtask vmfs-images`: whether `pulsefield vmfs` reads real volumes as another reader does.
//!
//! The volumes are those of the tests of dissect.vmfs, and the other reader is that library. Both are under
//! the AGPL: they come from PyPI when this is run, stay in the cache, and are no part of this repository.
//! Every volume is expanded into a sparse file of 2 GiB, one after the other, and deleted again. Scratch volumes,
//! as `pulsefield soak` formats them, are read by both as well.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};
use serde_json::Value;

use crate::python;
use crate::tally::Tally;
use crate::workshop::{cache, cargo, output, root, run as run_command, target};

const LIBRARY: &str = "dissect.vmfs==3.13";

/// Where the images are inside the source distribution.
const DATA: &str = "dissect_vmfs-3.13/tests/_data/vmfs";

/// Every volume there is, by the names of its devices.
const VOLUMES: &[&[&str]] = &[
    &["vmfs5"],
    &["vmfs5d"],
    &["vmfs5l"],
    &["vmfs5ld"],
    &["vmfs5-no-dense-sbpc"],
    &["vmfs5-resource-optimized"],
    &["vmfs6"],
    &["vmfs6d"],
    &["vmfs6l"],
    &["vmfs6ld"],
    &["vmfs6-resource-optimized"],
    &["zero5"],
    &["zero6"],
    &["span/vmfs5-span-0", "span/vmfs5-span-1"],
    &["span/vmfs6-span-0", "span/vmfs6-span-1"],
];

/// The scratch volumes, by what `examples/scratch.rs` of `src/vmfs` calls their versions. The other reader knows
/// no older ones.
const SCRATCH: [&str; 2] = ["5", "6"];

/// Compares all volumes; one check for each device.
///
/// # Errors
/// When the library or its images cannot be had, or the product cannot be built. That the two disagree is no
/// error but a check that failed.
pub(crate) fn run() -> Result<Tally> {
    let library = Library::install()?;
    let folder = target().join("vmfs-images");
    fs::create_dir_all(&folder).with_context(|| format!("cannot create {}", folder.display()))?;
    let mut tally = Tally::default();
    for devices in VOLUMES {
        let paths: Vec<_> =
            (0..devices.len()).map(|nth| folder.join(format!("{nth}.bin"))).collect();
        for (device, path) in devices.iter().zip(&paths) {
            library.expand(device, path)?;
        }
        for (nth, (device, path)) in devices.iter().zip(&paths).enumerate() {
            tally += check(device, &library.read(nth, &paths)?, path)?;
        }
        for path in &paths {
            remove(path)?;
        }
    }
    for version in SCRATCH {
        let path = folder.join("scratch.bin");
        run_command(
            cargo()
                .args(["run", "--quiet", "--package=pulsefield-vmfs", "--example=scratch", "--"])
                .arg(version)
                .arg(&path),
        )?;
        tally += check(&format!("scratch{version}"), &library.read_scratch(&path)?, &path)?;
        remove(&path)?;
    }
    println!("{tally}");
    Ok(tally)
}

/// Compares what the other reader says of a device with what the product does.
fn check(device: &str, theirs: &Value, path: &Path) -> Result<Tally> {
    let ours = ours(path)?;
    let mut differences = Vec::new();
    compare(device, theirs, &ours, &mut differences);
    let count = |key| theirs[key].as_array().map_or(0, Vec::len);
    let (heartbeats, locks) = (count("heartbeats"), count("held_locks"));
    let verdict = if differences.is_empty() { "ok    " } else { "FAILED" };
    println!("{verdict} {device}: heartbeats ever used {heartbeats}, locks held {locks}");
    differences.iter().for_each(|difference| println!("       {difference}"));
    Ok(Tally::one(differences.is_empty()))
}

fn remove(path: &Path) -> Result<()> {
    fs::remove_file(path).with_context(|| format!("cannot remove {}", path.display()))
}

/// What the product says of an image, all of which is searched.
fn ours(path: &Path) -> Result<Value> {
    let mut product = cargo();
    product.args(["run", "--quiet", "--package=pulsefield", "--", "vmfs"]).arg(path);
    let report = output(product.args(["--json", "--all", "--search=1EiB"]))?;
    serde_json::from_str(&report).context("pulsefield vmfs --json printed no JSON")
}

/// The other reader, and its images.
struct Library {
    python: PathBuf,
    images: PathBuf,
}

impl Library {
    fn install() -> Result<Self> {
        let folder = cache()?.join(LIBRARY.replace("==", "-"));
        let library = Self {
            python: folder.join("bin/python"),
            images: folder.join("dissect_vmfs-3.13.tar.gz"),
        };
        if !library.images.exists() {
            python::install(&folder, &[LIBRARY])?;
            // The images are in the source distribution alone.
            let download = ["download", "--quiet", "--no-deps", "--no-binary=:all:", "--dest"];
            run_command(
                Command::new(folder.join("bin/pip")).args(download).arg(&folder).arg(LIBRARY),
            )?;
        }
        Ok(library)
    }

    fn script(&self) -> Command {
        let mut script = Command::new(&self.python);
        script.arg(root().join("src/xtask/vmfs_images/other_reader.py"));
        script
    }

    fn expand(&self, device: &str, path: &Path) -> Result<()> {
        let member = format!("{DATA}/{device}.bin.gz");
        run_command(self.script().arg("expand").arg(&self.images).arg(member).arg(path))
    }

    /// What it says of the `nth` of the devices of a volume.
    fn read(&self, nth: usize, devices: &[PathBuf]) -> Result<Value> {
        report(self.script().arg("read").arg(nth.to_string()).args(devices))
    }

    /// What it says of a volume without files.
    fn read_scratch(&self, device: &Path) -> Result<Value> {
        report(self.script().arg("scratch").arg(device))
    }
}

fn report(reader: &mut Command) -> Result<Value> {
    let report = output(reader)?;
    serde_json::from_str(&report).context("the other reader printed no JSON")
}

/// Notes where `ours` differs from `theirs`. What only we say is not compared.
fn compare(place: &str, theirs: &Value, ours: &Value, differences: &mut Vec<String>) {
    match (theirs, ours) {
        (Value::Object(theirs), Value::Object(ours)) => {
            for (key, theirs) in theirs {
                let ours = ours.get(key).unwrap_or(&Value::Null);
                compare(&format!("{place}.{key}"), theirs, ours, differences);
            }
        }
        (Value::Array(theirs), Value::Array(ours)) if theirs.len() == ours.len() => {
            for (nth, (theirs, ours)) in theirs.iter().zip(ours).enumerate() {
                compare(&format!("{place}[{nth}]"), theirs, ours, differences);
            }
        }
        (theirs, ours) if theirs == ours => {}
        (theirs, ours) => differences.push(format!("{place}: they say {theirs}, we {ours}")),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_only_we_say_is_not_compared() {
        let mut differences = Vec::new();
        let theirs = json!({ "a": [1, { "b": "x" }] });
        compare("v", &theirs, &json!({ "a": [1, { "b": "x", "c": 3 }] }), &mut differences);
        assert_eq!(differences, [""; 0]);
        compare("v", &theirs, &json!({ "a": [1, { "b": "y" }] }), &mut differences);
        compare("v", &theirs, &json!({ "a": [1] }), &mut differences);
        assert_eq!(differences[0], r#"v.a[1].b: they say "x", we "y""#);
        assert_eq!(differences[1], r#"v.a: they say [1,{"b":"x"}], we [1]"#);
        assert_eq!(differences.len(), 2);
    }
}
