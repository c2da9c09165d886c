//! A terminal of 80 by 24 characters, by tmux: what a program shows on it, and keys.

use std::time::Duration;

use anyhow::{Context, Result};

use crate::command::run;
use crate::wait::wait_for;

/// The server's socket: nobody else's.
const SOCKET: &str = "pulsefield-guest";
const COLUMNS: &str = "80";
const LINES: &str = "24";
/// How long something may take to show.
const LIMIT: Duration = Duration::from_secs(60);

/// A program on a terminal of its own. It ends with this.
#[derive(Debug)]
pub struct Terminal(&'static str);

impl Terminal {
    /// Runs the words of `program` on a new terminal called `name`; `environment` as `NAME=VALUE`.
    ///
    /// # Errors
    /// What tmux said.
    pub fn start(name: &'static str, program: &str, environment: &[&str]) -> Result<Self> {
        let session = ["-u", "new-session", "-d", "-s", name, "-x", COLUMNS, "-y", LINES];
        let variables = environment.iter().flat_map(|variable| ["-e", *variable]);
        let program = program.split(' ');
        tmux(session.into_iter().chain(variables).chain(program))?;
        Ok(Self(name))
    }

    /// Presses a key: a character, or a name that tmux knows.
    ///
    /// # Errors
    /// What tmux said; that there is no such terminal any more.
    pub fn press(&self, key: &str) -> Result<()> {
        tmux(["send-keys", "-t", self.0, key]).map(drop)
    }

    /// Types some words.
    ///
    /// # Errors
    /// As [`Self::press`].
    pub fn enter(&self, words: &str) -> Result<()> {
        tmux(["send-keys", "-t", self.0, "-l", words])?;
        self.press("Enter")
    }

    /// What it shows.
    ///
    /// # Errors
    /// As [`Self::press`].
    pub fn screen(&self) -> Result<String> {
        tmux(["capture-pane", "-t", self.0, "-p"])
    }

    /// The same with the sequences that colour it.
    ///
    /// # Errors
    /// As [`Self::press`].
    pub fn coloured(&self) -> Result<String> {
        tmux(["capture-pane", "-t", self.0, "-p", "-e"])
    }

    /// Waits until it shows these words; says what it shows then.
    ///
    /// # Errors
    /// It did not show them in a minute; with what it showed last.
    pub fn shows(&self, words: &str) -> Result<String> {
        let mut last = String::new();
        let shown = wait_for(LIMIT, &format!("\"{words}\" on the screen"), || {
            last = self.screen()?;
            Ok(last.contains(words).then(|| last.clone()))
        });
        shown.with_context(|| format!("it shows\n{last}"))
    }

    /// Waits until its program has ended.
    ///
    /// # Errors
    /// It did not in a minute.
    pub fn ends(&self) -> Result<()> {
        wait_for(LIMIT, "the program to end", || {
            let ended = run("tmux", ["-L", SOCKET, "has-session", "-t", self.0]).ended()?;
            Ok((ended.code != 0).then_some(()))
        })
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = tmux(["kill-session", "-t", self.0]);
    }
}

fn tmux<'w>(words: impl IntoIterator<Item = &'w str>) -> Result<String> {
    let words = ["-L", SOCKET].into_iter().chain(words);
    // UTF-8, whatever the service that this runs in says.
    run("tmux", words).env("LC_ALL", "C.UTF-8").output()
}
