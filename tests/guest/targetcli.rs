//! targetcli and targetctl, as an administrator types them.

use anyhow::Result;

use crate::command::{Ended, run};

/// Runs one targetcli command, which must succeed.
///
/// # Errors
/// What it said.
pub fn targetcli(words: &[&str]) -> Result<String> {
    run("targetcli", words).output()
}

/// Runs one targetcli command that may be refused.
///
/// # Errors
/// It could not be run.
pub fn attempt(words: &[&str]) -> Result<Ended> {
    run("targetcli", words).ended()
}

/// Saves the whole configuration to a file, or takes it away, or brings it back.
///
/// # Errors
/// What targetctl said.
pub fn targetctl(words: &[&str]) -> Result<String> {
    run("targetctl", words).output()
}
