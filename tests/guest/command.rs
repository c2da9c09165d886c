//! Running the system's programs, with a limit on how long they may take.
//!
//! A program that hangs in the kernel cannot be killed and must not take the scenario with it: its
//! output is read by threads, and past the limit the scenario goes on with an error.

use std::env;
use std::ffi::OsStr;
use std::fmt;
use std::io::{Read, Write};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, bail};

use crate::processes::whereabouts;
use crate::wait::wait_for;

/// Long enough for anything that is not a measurement, under software emulation.
const LIMIT: Duration = Duration::from_secs(120);
/// How long output may still trickle in after its program has ended: a daemon it started may keep
/// the pipe open for ever.
const DRAIN: Duration = Duration::from_secs(2);

/// A program to run, and how.
pub struct Run {
    command: Command,
    shown: String,
    input: Option<String>,
    limit: Duration,
}

/// How a program ended.
#[derive(Debug)]
pub struct Ended {
    /// The exit code; -1 if a signal ended it, or it was killed because it took too long.
    pub code: i32,
    /// What it wrote to standard output.
    pub stdout: String,
    /// What it wrote to standard error.
    pub stderr: String,
}

/// `program` with `arguments`.
pub fn run<S: AsRef<OsStr>>(
    program: impl AsRef<str>,
    arguments: impl IntoIterator<Item = S>,
) -> Run {
    let program = program.as_ref();
    let mut command = Command::new(program);
    // targetcli keeps its preferences there, and a system service has none.
    if env::var_os("HOME").is_none() {
        command.env("HOME", "/root");
    }
    let mut shown = program.to_owned();
    for argument in arguments {
        shown.push(' ');
        shown.push_str(&argument.as_ref().to_string_lossy());
        command.arg(argument);
    }
    Run { command, shown, input: None, limit: LIMIT }
}

impl Run {
    /// Adds an option and its value.
    #[must_use]
    pub fn arg(mut self, option: &str, value: &str) -> Self {
        self.command.args([option, value]);
        self.shown = format!("{} {option} {value}", self.shown);
        self
    }

    /// Sets an environment variable.
    #[must_use]
    pub fn env(mut self, name: &str, value: &str) -> Self {
        self.command.env(name, value);
        self
    }

    /// Gives the program something to read.
    #[must_use]
    pub fn input(mut self, input: String) -> Self {
        self.input = Some(input);
        self
    }

    /// Another limit than two minutes.
    #[must_use]
    pub fn limit(mut self, limit: Duration) -> Self {
        self.limit = limit;
        self
    }

    /// Runs it and returns its standard output.
    ///
    /// # Errors
    /// It could not be started, took too long, or ended with anything but 0.
    pub fn output(self) -> Result<String> {
        let shown = self.shown.clone();
        let ended = self.ended()?;
        if ended.code != 0 {
            bail!("`{shown}` ended with {}: {}", ended.code, ended.said());
        }
        Ok(ended.stdout)
    }

    /// Runs it, whatever it says.
    ///
    /// # Errors
    /// It could not be started.
    pub fn ended(self) -> Result<Ended> {
        let limit = self.limit;
        self.start()?.wait(limit)
    }

    /// Starts it and lets it run.
    ///
    /// # Errors
    /// It could not be started.
    pub fn start(mut self) -> Result<Running> {
        let stdin = if self.input.is_some() { Stdio::piped() } else { Stdio::null() };
        let mut child = self
            .command
            .stdin(stdin)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .with_context(|| format!("starting `{}`", self.shown))?;
        if let (Some(input), Some(mut pipe)) = (self.input, child.stdin.take()) {
            // A program that ends without reading its input says so by its exit code.
            thread::spawn(move || pipe.write_all(input.as_bytes()));
        }
        let stdout = child.stdout.take().map(collect);
        let stderr = child.stderr.take().map(collect);
        Ok(Running { child, stdout, stderr })
    }
}

/// A program that is running.
#[derive(Debug)]
pub struct Running {
    child: Child,
    stdout: Option<Receiver<Vec<u8>>>,
    stderr: Option<Receiver<Vec<u8>>>,
}

impl Running {
    /// Waits for its end; past `limit` it is killed, as far as the kernel allows, and says so and where it
    /// and what it has started were.
    ///
    /// # Errors
    /// The operating system would not say how or where it is, or not kill it.
    pub fn wait(mut self, limit: Duration) -> Result<Ended> {
        let child = &mut self.child;
        let status = wait_for(limit, "its end", || Ok(child.try_wait()?));
        let mut complaint = String::new();
        if status.is_err() {
            let places = whereabouts(child.id());
            // Whatever there is to be told of it.
            child.kill().context("killing it")?;
            complaint = format!("\nkilled after {} s\n{}", limit.as_secs(), places?.join("\n"));
        }
        Ok(Ended {
            code: status.ok().and_then(|status| status.code()).unwrap_or(-1),
            stdout: drained(self.stdout),
            stderr: drained(self.stderr) + &complaint,
        })
    }

    /// Its process id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Whether it has ended.
    ///
    /// # Errors
    /// The operating system would not say.
    pub fn has_ended(&mut self) -> Result<bool> {
        Ok(self.child.try_wait()?.is_some())
    }
}

impl Ended {
    /// What it said, standard error first, on one line.
    pub fn said(&self) -> String {
        let lines = self.stderr.lines().chain(self.stdout.lines());
        lines.map(str::trim).filter(|line| !line.is_empty()).collect::<Vec<_>>().join(" | ")
    }
}

impl fmt::Debug for Run {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.shown)
    }
}

fn collect(mut pipe: impl Read + Send + 'static) -> Receiver<Vec<u8>> {
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || {
        let mut chunk = vec![0; 64 << 10];
        while let Ok(length @ 1..) = pipe.read(&mut chunk) {
            if sender.send(chunk[..length].to_vec()).is_err() {
                break;
            }
        }
    });
    receiver
}

fn drained(output: Option<Receiver<Vec<u8>>>) -> String {
    let mut bytes = Vec::new();
    if let Some(chunks) = output {
        while let Ok(chunk) = chunks.recv_timeout(DRAIN) {
            bytes.extend(chunk);
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wait::wait_until;

    #[test]
    fn output_exit_code_and_input() {
        assert_eq!(run("cat", [] as [&str; 0]).input("ab".to_owned()).output().unwrap(), "ab");
        let ended = run("sh", ["-c", "echo oh >&2; exit 3"]).ended().unwrap();
        assert_eq!((ended.code, ended.said().as_str()), (3, "oh"));
        let error = run("sh", ["-c", "exit 3"]).output().unwrap_err().to_string();
        assert!(error.contains("ended with 3"), "{error}");
    }

    #[test]
    fn a_program_that_takes_too_long_is_killed_and_tells_where_it_was() {
        let sleeper = run("sleep", ["60"]).start().unwrap();
        // It counts as started before the kernel has its arguments.
        wait_until(LIMIT, "a program with arguments", || {
            Ok(whereabouts(sleeper.id())?.iter().any(|place| place.starts_with("sleep 60, ")))
        })
        .unwrap();
        let ended = sleeper.wait(Duration::ZERO).unwrap();
        assert_eq!(ended.code, -1);
        assert!(ended.stderr.starts_with("\nkilled after 0 s\nsleep 60, "), "{ended:?}");
    }
}
