//! One QEMU process: boots the image, passes a folder through, ends when the guest powers off.
//!
//! Software emulation is the default. A `/dev/kvm` may open, answer every ioctl and still never run the
//! guest past the boot ROM, so its existence proves nothing; `PULSEFIELD_KVM=1` asks for it.

use std::env;
use std::ffi::OsString;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{ChildStdout, Command, Stdio};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use super::image::Image;
use crate::workshop::run;

/// From power-on to the first sign of life; 15 s is usual on an idle machine.
const BOOT_TIMEOUT: Duration = Duration::from_secs(180);

/// The port on which a scenario's output comes back line by line. The console stays the kernel's.
const PROGRESS_PORT: &str = "pulsefield.progress";

/// How a run ended.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum End {
    /// QEMU is gone: the guest powered off, or its kernel panicked.
    PoweredOff,
    /// The guest never said a word.
    NeverBooted,
    /// It was still running when its time was up, and was killed.
    TimedOut,
}

/// Boots the guest, passes every line of progress to `progress`, and waits for power-off.
///
/// `timeout` counts from the first line. The console is written to `console`.
///
/// # Errors
/// When QEMU cannot be started or itself ends with a failure.
pub(super) fn boot(
    image: &Image,
    share: &Path,
    console: &Path,
    timeout: Duration,
    mut progress: impl FnMut(&str),
) -> Result<End> {
    let mut command = qemu(image, share, "pulsefield.scenario");
    command.args(["-display", "none", "-monitor", "none", "-serial"]);
    command.arg(joined("file:", console));
    command.args(["-device", "virtio-serial-pci", "-chardev", "stdio,id=progress,signal=off"]);
    command.args(["-device", &format!("virtserialport,chardev=progress,name={PROGRESS_PORT}")]);
    // An end of file on its input would close the port; so the input stays open and silent.
    command.stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = command.spawn().context("cannot start qemu-system-x86_64")?;
    let input = child.stdin.take();
    let output = child.stdout.take().expect("the output is piped");

    let (sender, lines) = mpsc::channel();
    let reader = thread::spawn(move || read_lines(output, &sender));
    let end = follow(&lines, timeout, &mut progress);
    if end != End::PoweredOff {
        child.kill().context("cannot stop qemu")?;
    }
    let status = child.wait().context("cannot wait for qemu")?;
    drop(input);
    drop(lines);
    reader.join().expect("the reader does not panic");
    if end == End::PoweredOff && !status.success() {
        bail!("qemu-system-x86_64 ended with {status}");
    }
    Ok(end)
}

/// Boots the guest with its console on this terminal; Ctrl-A X ends it.
///
/// # Errors
/// When QEMU cannot be started or ends with a failure.
pub(super) fn interactive(image: &Image, share: &Path) -> Result<()> {
    run(qemu(image, share, "").args(["-display", "none", "-serial", "mon:stdio"]))
}

fn qemu(image: &Image, share: &Path, word: &str) -> Command {
    let (accelerator, processor) =
        if env::var_os("PULSEFIELD_KVM").is_some_and(|asked| asked == "1") {
            ("q35,accel=kvm", "host")
        } else {
            ("q35,accel=tcg", "max")
        };
    let mut command = Command::new("qemu-system-x86_64");
    command.args(["-machine", accelerator, "-cpu", processor, "-smp", "2", "-m", "4G"]);
    command.args(["-nodefaults", "-no-user-config", "-no-reboot"]);
    command.arg("-kernel").arg(image.kernel());
    command.arg("-initrd").arg(image.initrd());
    // A panic powers off at once, and an oops is a panic: no scenario can pass on a broken kernel.
    command.arg("-append").arg(format!(
        "root=/dev/vda rw console=ttyS0 quiet mitigations=off fsck.mode=skip panic=-1 oops=panic {word}"
    ));
    command.arg("-drive").arg(joined("if=virtio,format=raw,snapshot=on,file=", &image.disk()));
    command.arg("-virtfs").arg(joined("local,mount_tag=host,security_model=none,path=", share));
    command.args(["-device", "virtio-rng-pci"]);
    command
}

fn joined(prefix: &str, path: &Path) -> OsString {
    let mut argument = OsString::from(prefix);
    argument.push(path);
    argument
}

fn read_lines(output: ChildStdout, sender: &Sender<String>) {
    let mut reader = BufReader::new(output);
    let mut line = Vec::new();
    while reader.read_until(b'\n', &mut line).is_ok_and(|count| count > 0) {
        let text = String::from_utf8_lossy(&line).trim_end().to_owned();
        if sender.send(text).is_err() {
            return;
        }
        line.clear();
    }
}

/// Waits for the output's end, which is QEMU's end.
fn follow(lines: &Receiver<String>, timeout: Duration, progress: &mut impl FnMut(&str)) -> End {
    let mut booted = false;
    let mut deadline = Instant::now() + BOOT_TIMEOUT;
    loop {
        match lines.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
            Ok(line) => {
                if !booted {
                    booted = true;
                    deadline = Instant::now() + timeout;
                }
                progress(&line);
            }
            Err(RecvTimeoutError::Disconnected) if booted => return End::PoweredOff,
            Err(RecvTimeoutError::Timeout) if booted => return End::TimedOut,
            Err(_) => return End::NeverBooted,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn follow_for(lines: &Receiver<String>, timeout: Duration) -> (End, Vec<String>) {
        let mut seen = Vec::new();
        let end = follow(lines, timeout, &mut |line| seen.push(line.to_owned()));
        (end, seen)
    }

    #[test]
    fn the_end_of_the_output_is_the_end_of_the_run() {
        let (sender, lines) = mpsc::channel();
        sender.send("up".to_owned()).unwrap();
        drop(sender);
        let (end, seen) = follow_for(&lines, Duration::from_secs(60));
        assert_eq!((end, seen), (End::PoweredOff, vec!["up".to_owned()]));
    }

    #[test]
    fn a_guest_that_hangs_after_its_first_line_times_out() {
        let (sender, lines) = mpsc::channel();
        sender.send("up".to_owned()).unwrap();
        assert_eq!(follow_for(&lines, Duration::ZERO).0, End::TimedOut);
    }

    #[test]
    fn an_end_without_a_word_is_no_boot() {
        let (sender, lines) = mpsc::channel();
        drop(sender);
        assert_eq!(follow_for(&lines, Duration::ZERO).0, End::NeverBooted);
    }
}
