//! Waiting for a condition, never for a time.

use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};

const PAUSE: Duration = Duration::from_millis(20);

/// Asks `condition` until it has a value; `what` completes the sentence "waited … for".
///
/// # Errors
/// The first error of `condition`, or that `limit` passed first.
pub fn wait_for<T>(
    limit: Duration,
    what: &str,
    mut condition: impl FnMut() -> Result<Option<T>>,
) -> Result<T> {
    let deadline = Instant::now() + limit;
    loop {
        if let Some(value) = condition()? {
            return Ok(value);
        }
        if Instant::now() >= deadline {
            bail!("waited {} s for {what}, in vain", limit.as_secs());
        }
        thread::sleep(PAUSE);
    }
}

/// Like [`wait_for`], for a condition that is merely true or not yet.
///
/// # Errors
/// The first error of `condition`, or that `limit` passed first.
pub fn wait_until(
    limit: Duration,
    what: &str,
    mut condition: impl FnMut() -> Result<bool>,
) -> Result<()> {
    wait_for(limit, what, || Ok(condition()?.then_some(())))
}
