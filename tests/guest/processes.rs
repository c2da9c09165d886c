//! Tasks of the guest's kernel that hang.

use std::fs;
use std::time::Duration;

use anyhow::{Context, Result};

use crate::wait::wait_until;

/// How long a task may be in uninterruptible sleep at most, once all work is done.
const SETTLE_LIMIT: Duration = Duration::from_secs(30);

/// Waits until nothing sleeps uninterruptibly, and names what still does after half a minute, and where
/// in the kernel.
///
/// # Errors
/// `/proc` could not be read.
pub fn stuck() -> Result<Vec<String>> {
    let settled =
        wait_until(SETTLE_LIMIT, "an end of D state", || Ok(uninterruptible()?.is_empty()));
    if settled.is_ok() { Ok(Vec::new()) } else { uninterruptible() }
}

fn uninterruptible() -> Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in fs::read_dir("/proc").context("listing processes")? {
        // A process may end while it is looked at.
        let process = entry?.path();
        let Ok(stat) = fs::read_to_string(process.join("stat")) else { continue };
        if let Some((name, 'D')) = name_and_state(&stat) {
            let place = fs::read_to_string(process.join("wchan")).unwrap_or_default();
            names.push(format!("{name} in {place}"));
        }
    }
    Ok(names)
}

/// `pid (name) state …`, where the name may hold spaces and parentheses.
fn name_and_state(stat: &str) -> Option<(&str, char)> {
    let (name, rest) = stat.rsplit_once(')')?;
    Some((name.split_once('(')?.1, rest.trim_start().chars().next()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_with_parentheses() {
        assert_eq!(name_and_state("7 (a (b) c) D 1 2"), Some(("a (b) c", 'D')));
        assert_eq!(name_and_state("7"), None);
    }
}
