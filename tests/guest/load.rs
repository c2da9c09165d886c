//! Bulk I/O with every byte verified: fio, pass after pass, until told to stop.
//!
//! Each pass writes the whole region and reads it back. Its headers carry the pass's own random seed,
//! so data of an earlier pass (a lost write) does not verify.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use anyhow::{Result, anyhow, ensure};

use crate::command::run;
use crate::fio;
use crate::wait::wait_until;

/// How long one pass may take, restarts of the daemon included.
const PASS_LIMIT: Duration = Duration::from_secs(400);

/// A part of a disk, or a file, to write and verify.
#[derive(Clone, Debug)]
pub struct Region {
    /// The block device or file.
    pub path: String,
    /// Where it starts, in bytes.
    pub offset: u64,
    /// How long it is, in bytes.
    pub bytes: u64,
}

/// What the passes over one region came to.
#[derive(Clone, Debug, Default)]
pub struct Passed {
    /// Passes written and verified without an error.
    pub passes: u64,
    /// What went wrong.
    pub errors: Vec<String>,
}

/// A load that is running.
#[derive(Debug)]
pub struct Load {
    stop: Arc<AtomicBool>,
    progress: Arc<Mutex<Passed>>,
    thread: JoinHandle<()>,
}

/// Writes and verifies a region once.
///
/// # Errors
/// fio's reason: an I/O error, or data that did not verify.
pub fn pass(region: &Region, seed: u64) -> Result<()> {
    paced_pass(region, seed, None)
}

/// The same, with no more than so many bytes a second.
fn paced_pass(region: &Region, seed: u64, rate: Option<u64>) -> Result<()> {
    let mut arguments = vec![
        "--name=verify".to_owned(),
        format!("--filename={}", region.path),
        format!("--offset={}", region.offset),
        format!("--size={}", region.bytes),
        format!("--randseed={seed}"),
        "--rw=randwrite".to_owned(),
        "--bsrange=4k-64k".to_owned(),
        "--ioengine=libaio".to_owned(),
        "--iodepth=8".to_owned(),
        "--direct=1".to_owned(),
        "--verify=crc32c".to_owned(),
        "--verify_fatal=1".to_owned(),
        "--output-format=json".to_owned(),
    ];
    arguments.extend(rate.map(|rate| format!("--rate={rate}")));
    let ended = run("fio", arguments).limit(PASS_LIMIT).ended()?;
    verdict(&ended.stdout)
        .and_then(|()| {
            ensure!(ended.code == 0, "exit code {}", ended.code);
            Ok(())
        })
        .map_err(|error| anyhow!("fio on {}: {error:#}: {}", region.path, ended.stderr.trim()))
}

impl Load {
    /// Starts passes over a region; they end with the first error.
    ///
    /// # Errors
    /// The operating system has no thread for it.
    pub fn start(region: Region) -> Result<Self> {
        Self::start_paced(region, None)
    }

    /// The same, with no more than so many bytes a second.
    ///
    /// # Errors
    /// As [`Self::start`].
    pub fn start_paced(region: Region, rate: Option<u64>) -> Result<Self> {
        let stop = Arc::new(AtomicBool::new(false));
        let progress = Arc::new(Mutex::new(Passed::default()));
        let (stopped, shared) = (Arc::clone(&stop), Arc::clone(&progress));
        let thread = thread::Builder::new().name("load".to_owned()).spawn(move || {
            // Relaxed: the flag carries nothing with it.
            for seed in (1..).take_while(|_| !stopped.load(Ordering::Relaxed)) {
                let result = paced_pass(&region, seed, rate);
                let mut progress = shared.lock().unwrap_or_else(PoisonError::into_inner);
                match result {
                    Ok(()) => progress.passes += 1,
                    Err(error) => {
                        progress.errors.push(format!("{error:#}"));
                        return;
                    }
                }
            }
        })?;
        Ok(Self { stop, progress, thread })
    }

    /// What it has come to so far.
    pub fn passed(&self) -> Passed {
        self.progress.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Waits until `more` further passes are through.
    ///
    /// # Errors
    /// They took longer than `limit`, or one failed.
    pub fn await_passes(&self, more: u64, limit: Duration) -> Result<()> {
        let goal = self.passed().passes + more;
        wait_until(limit, "the load to go on", || {
            let Passed { passes, errors } = self.passed();
            ensure!(errors.is_empty(), "the load ended: {}", errors.join("; "));
            Ok(passes >= goal)
        })
    }

    /// Lets the pass end that is under way.
    ///
    /// # Errors
    /// The thread panicked.
    pub fn finish(self) -> Result<Passed> {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.join().map_err(|_| anyhow!("the load's thread panicked"))?;
        Ok(self.progress.lock().unwrap_or_else(PoisonError::into_inner).clone())
    }
}

fn verdict(stdout: &str) -> Result<()> {
    let jobs = fio::jobs(stdout)?;
    ensure!(jobs[0].error == 0, "error {}", jobs[0].error);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn verdicts_of_fio() {
        let output = |error| format!("note\n{{\"jobs\":[{{\"error\":{error}}}]}}\n");
        verdict(&output(0)).unwrap();
        assert!(verdict(&output(84)).unwrap_err().to_string().contains("84"));
        assert!(verdict("fio: no such option").is_err());
    }
}
