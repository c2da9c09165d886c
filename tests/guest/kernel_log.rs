//! What the guest's kernel had to say since a scenario began.

use anyhow::Result;

use crate::command::run;

/// Lines that no healthy run has: an I/O error that reached a user, a hung task, a broken kernel.
const BAD: [&str; 6] =
    ["I/O error", "blocked for more than", "WARNING:", "BUG:", "ring broken", "Medium Error"];

/// A place in the kernel's log.
#[derive(Clone, Copy, Debug)]
pub struct Mark(usize);

/// Where the log ends now.
///
/// # Errors
/// The log could not be read.
pub fn mark() -> Result<Mark> {
    Ok(Mark(lines()?.len()))
}

impl Mark {
    /// Bad lines since then.
    ///
    /// # Errors
    /// The log could not be read.
    pub fn complaints(self) -> Result<Vec<String>> {
        let bad = |line: &String| BAD.iter().any(|sign| line.contains(sign));
        Ok(lines()?.into_iter().skip(self.0).filter(bad).collect())
    }
}

fn lines() -> Result<Vec<String>> {
    Ok(run("dmesg", [] as [&str; 0]).output()?.lines().map(str::to_owned).collect())
}
