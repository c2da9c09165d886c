//! A guest that has booted and stands by: its memory in a file, from which every scenario goes on.
//!
//! To boot takes an emulated processor half a minute, and to go on from here three seconds; and each
//! scenario still has a guest that nobody has used. QEMU calls it a migration: what the guest has
//! in memory and in its devices is written to a file, and another QEMU of the same make reads it. The guest
//! is not told to stop for that, or it would be stopped there too.
//! The host's folder is not mounted yet, since QEMU cannot move a guest with 9p in use.

use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::Child;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};

use super::image::Image;
use super::machine::{self, NO_QEMU, quoted};

/// From power-on until the guest stands by; half a minute is usual on an idle machine.
const BOOT_LIMIT: Duration = Duration::from_secs(300);
/// Until the memory is written, which is some hundred megabytes.
const WRITE_LIMIT: Duration = Duration::from_secs(120);
/// The guest's first line begins like this, see `run-scenario` in the recipe.
const STANDING_BY: &str = "standing by";

/// Boots the image, waits until the guest stands by, and leaves its memory beside its disk.
///
/// # Errors
/// When QEMU cannot be started, the guest does not come up, or the file not be written.
pub(super) fn make(image: &Image) -> Result<()> {
    let memory = image.memory();
    let folder = memory.parent().context("the image has no folder")?;
    let socket = folder.join("qmp");
    let mut command = machine::fresh(image, folder);
    command.arg("-qmp").arg(format!("unix:{},server=on,wait=off", socket.display()));
    let mut qemu = command.spawn().context(NO_QEMU)?;
    let made = stand_by_and_save(&mut qemu, &socket, &memory);
    if made.is_err() {
        qemu.kill().context("cannot stop qemu")?;
    }
    let status = qemu.wait().context("cannot wait for qemu")?;
    made?;
    if !status.success() {
        bail!("qemu ended with {status}");
    }
    // QEMU takes its socket away itself when it quits.
    Ok(())
}

fn stand_by_and_save(qemu: &mut Child, socket: &Path, memory: &Path) -> Result<()> {
    let output = qemu.stdout.take().context("the output is not piped")?;
    let (sender, first_line) = mpsc::channel();
    thread::spawn(move || {
        let mut line = String::new();
        // Whoever gave up waiting does not need to know.
        let _ = BufReader::new(output).read_line(&mut line).map(|_| sender.send(line));
    });
    let line = first_line.recv_timeout(BOOT_LIMIT).context("the guest does not come up")?;
    if !line.starts_with(STANDING_BY) {
        bail!("the guest came up and said {line:?}");
    }
    println!("the guest is {}", line.trim_end());

    let mut monitor = Monitor::connect(socket)?;
    let events = json!([{ "capability": "events", "state": true }]);
    monitor.ask("migrate-set-capabilities", json!({ "capabilities": events }))?;
    monitor.ask("migrate-set-parameters", json!({ "max-bandwidth": 1_u64 << 40 }))?;
    monitor.ask("migrate", json!({ "uri": format!("exec:cat >{}", quoted(memory)) }))?;
    loop {
        let progress = monitor.ask("query-migrate", json!({}))?;
        match progress["status"].as_str() {
            Some("completed") => break,
            Some("failed" | "cancelled") => {
                bail!("qemu did not write {}: {progress}", memory.display())
            }
            _ => monitor.wait_for("MIGRATION")?,
        }
    }
    monitor.ask("quit", json!({})).map(drop)
}

/// QEMU's machine protocol: one JSON object a line, each way.
struct Monitor {
    stream: BufReader<UnixStream>,
}

impl Monitor {
    fn connect(socket: &Path) -> Result<Self> {
        let stream = UnixStream::connect(socket).context("connecting to qemu")?;
        stream.set_read_timeout(Some(WRITE_LIMIT))?;
        let mut monitor = Self { stream: BufReader::new(stream) };
        monitor.ask("qmp_capabilities", json!({}))?;
        Ok(monitor)
    }

    /// What `command` returns; events and the greeting are passed over.
    fn ask(&mut self, command: &str, arguments: Value) -> Result<Value> {
        let line = json!({ "execute": command, "arguments": arguments });
        writeln!(self.stream.get_mut(), "{line}")
            .with_context(|| format!("telling qemu {command}"))?;
        loop {
            let mut answer = self.next().with_context(|| format!("qemu on {command}"))?;
            if let Some(error) = answer.get("error") {
                bail!("qemu refused {command}: {error}");
            }
            if let Some(result) = answer.get_mut("return") {
                return Ok(result.take());
            }
        }
    }

    /// Waits for an event; others are passed over.
    fn wait_for(&mut self, event: &str) -> Result<()> {
        while self.next().with_context(|| format!("waiting for {event}"))?["event"] != event {}
        Ok(())
    }

    fn next(&mut self) -> Result<Value> {
        let mut line = String::new();
        if self.stream.read_line(&mut line)? == 0 {
            bail!("qemu has ended");
        }
        serde_json::from_str(&line).context("qemu speaks no JSON")
    }
}
