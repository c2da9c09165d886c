//! One QEMU process: goes on with a guest that stands by, passes a folder through, ends when the guest
//! powers off.
//!
//! Software emulation is the default. A `/dev/kvm` may open, answer every ioctl and still never run the
//! guest past the boot ROM, so its existence proves nothing; `PULSEFIELD_KVM=1` asks for it.

use std::env;
use std::ffi::OsString;
use std::io::{self, BufRead, BufReader, Write as _};
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::process::{ChildStdout, Command, Stdio};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, bail};

use super::image::Image;
use crate::workshop::{output, run};

/// From the start of QEMU to the first sign of life; 3 s are usual on an idle machine.
const START_TIMEOUT: Duration = Duration::from_secs(180);

/// The port on which the guest hears what to do, and a scenario's output comes back line by line. The
/// console stays the kernel's.
const PROGRESS_PORT: &str = "pulsefield.progress";

const QEMU: &str = "qemu-system-x86_64";
pub(super) const NO_QEMU: &str = "cannot start qemu-system-x86_64";

/// How a run ended.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum End {
    /// QEMU is gone: the guest powered off, or its kernel panicked.
    PoweredOff,
    /// The guest never said a word.
    NeverStarted,
    /// It was still running when its time was up, and was killed.
    TimedOut,
}

/// Lets the guest go on, passes every line of progress to `progress`, and waits for power-off.
///
/// `timeout` counts from the first line. The console is written to `console`.
///
/// # Errors
/// When QEMU cannot be started or itself ends with a failure.
pub(super) fn run_scenario(
    image: &Image,
    share: &Path,
    console: &Path,
    timeout: Duration,
    mut progress: impl FnMut(&str),
) -> Result<End> {
    let mut command = resumed(image, share);
    command.args(["-display", "none", "-monitor", "none", "-serial"]);
    command.arg(joined("file:", console));
    let mut child = with_progress(&mut command).spawn().context(NO_QEMU)?;
    // An end of file on its input would close the port; so the input stays open.
    let mut input = child.stdin.take().expect("the input is piped");
    let output = child.stdout.take().expect("the output is piped");
    input.write_all(order("run")?.as_bytes()).context("cannot tell the guest what to do")?;

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

/// Lets the guest go on with a shell on this terminal; Ctrl-A X ends it.
///
/// # Errors
/// When QEMU cannot be started or ends with a failure.
pub(super) fn interactive(image: &Image, share: &Path) -> Result<()> {
    let socket = share.join("progress");
    let listener = UnixListener::bind(&socket)
        .with_context(|| format!("cannot listen on {}", socket.display()))?;
    let order = order("shell")?;
    let mut command = resumed(image, share);
    command.args(["-display", "none", "-serial", "mon:stdio", "-chardev"]);
    command.arg(joined("socket,id=progress,path=", &socket));
    // Ends with this process, whether QEMU has come or not.
    thread::spawn(move || {
        let (mut port, _) = listener.accept()?;
        port.write_all(order.as_bytes())?;
        io::copy(&mut port, &mut io::stderr())
    });
    run(&mut command)
}

/// What the guest waits for: the time, which it cannot know, and what to do.
fn order(what: &str) -> Result<String> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).context("a clock before 1970")?;
    Ok(format!("{} {what}\n", now.as_secs_f64()))
}

/// QEMU with a guest that stands by.
fn resumed(image: &Image, share: &Path) -> Command {
    let mut command = machine(image, share, "snapshot=on");
    command.arg("-incoming").arg(format!("exec:cat {}", quoted(&image.memory())));
    command
}

/// QEMU with a guest that is switched on, and writes to its disk.
pub(super) fn fresh(image: &Image, share: &Path) -> Command {
    let mut command = machine(image, share, "snapshot=off");
    command.args(["-display", "none", "-monitor", "none", "-serial", "null"]);
    with_progress(&mut command);
    command
}

/// The progress port is QEMU's standard input and output.
fn with_progress(command: &mut Command) -> &mut Command {
    command.args(["-chardev", "stdio,id=progress,signal=off"]);
    command.stdin(Stdio::piped()).stdout(Stdio::piped())
}

/// Which machine [`machine`] makes, by all that is not in this file: memory fits no other.
///
/// # Errors
/// When QEMU does not say its version.
pub(super) fn identity() -> Result<String> {
    let version = output(Command::new(QEMU).arg("--version"))?;
    Ok(format!("{version} {:?}", accelerator()))
}

/// QEMU's options for the accelerator and the processor.
///
/// An emulated processor lacks what a real one is quick at and an emulator slow
/// (`docs/decisions/0022-…`): with ERMS the kernel copies and clears with `rep movsb` and `rep stosb`,
/// which QEMU does byte by byte; SMAP ends a piece of translated code at each copy to or from a
/// process; and with LA57 each miss of the TLB reads five tables.
fn accelerator() -> [&'static str; 2] {
    if env::var_os("PULSEFIELD_KVM").is_some_and(|asked| asked == "1") {
        ["q35,accel=kvm", "host"]
    } else {
        ["q35,accel=tcg", "max,erms=off,smap=off,la57=off"]
    }
}

fn machine(image: &Image, share: &Path, disk: &str) -> Command {
    let [accelerator, processor] = accelerator();
    let mut command = Command::new(QEMU);
    command.args(["-machine", accelerator, "-cpu", processor, "-smp", "2", "-m", "4G"]);
    command.args(["-nodefaults", "-no-user-config", "-no-reboot"]);
    command.arg("-kernel").arg(image.kernel());
    command.arg("-initrd").arg(image.initrd());
    // A panic powers off at once, and an oops is a panic: no scenario can pass on a broken kernel. The TSC
    // is one for all processors here, which Linux believes of a single one only: else each look at the
    // clock is a system call and a look at a device.
    command.args([
        "-append",
        "root=/dev/vda rw console=ttyS0 quiet tsc=reliable mitigations=off fsck.mode=skip panic=-1 \
         oops=panic systemd.getty_auto=no",
    ]);
    command.arg("-drive").arg(joined(&format!("if=virtio,format=raw,{disk},file="), &image.disk()));
    command.arg("-virtfs").arg(joined("local,mount_tag=host,security_model=none,path=", share));
    command.args(["-device", "virtio-rng-pci", "-device", "virtio-serial-pci"]);
    command.args(["-device", &format!("virtserialport,chardev=progress,name={PROGRESS_PORT}")]);
    command
}

/// A path as a shell takes it.
pub(super) fn quoted(path: &Path) -> String {
    format!("'{}'", path.display().to_string().replace('\'', r"'\''"))
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
    let mut started = false;
    let mut deadline = Instant::now() + START_TIMEOUT;
    loop {
        match lines.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
            Ok(line) => {
                if !started {
                    started = true;
                    deadline = Instant::now() + timeout;
                }
                progress(&line);
            }
            Err(RecvTimeoutError::Disconnected) if started => return End::PoweredOff,
            Err(RecvTimeoutError::Timeout) if started => return End::TimedOut,
            Err(_) => return End::NeverStarted,
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
    fn a_path_survives_the_shell() {
        let path = Path::new("/tmp/it's here");
        let mut shell = Command::new("sh");
        let said = output(shell.args(["-c", &format!("printf %s {}", quoted(path))])).unwrap();
        assert_eq!(Path::new(&said), path);
    }

    #[test]
    fn an_end_without_a_word_is_no_start() {
        let (sender, lines) = mpsc::channel();
        drop(sender);
        assert_eq!(follow_for(&lines, Duration::ZERO).0, End::NeverStarted);
    }
}
