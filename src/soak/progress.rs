//! How far a run is, for whoever watches the terminal, and what befell it on the way.

use std::sync::Arc;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use pulsefield_checkers::HostId;

use crate::collector::Counts;
use crate::hosts;

/// One line on standard error, if that is a terminal; and one for each thing that befell hosts, also if it is none.
pub(crate) struct Progress {
    bar: ProgressBar,
    counts: Arc<Counts>,
    quiet: bool,
}

impl Progress {
    /// Of a run of this length, or of one that somebody ends; `quiet` has nothing shown.
    pub(crate) fn new(duration: Option<Duration>, counts: Arc<Counts>, quiet: bool) -> Self {
        let target = if quiet {
            ProgressDrawTarget::hidden()
        } else {
            ProgressDrawTarget::stderr_with_hz(4)
        };
        let seconds = duration.map(|duration| duration.as_secs());
        let bar = ProgressBar::with_draw_target(seconds, target);
        let style = match seconds {
            Some(_) => "{bar:24} {pos} of {len} s  {msg}",
            None => "{pos} s  {msg}",
        };
        if let Ok(style) = ProgressStyle::with_template(style) {
            bar.set_style(style);
        }
        Self { bar, counts, quiet }
    }

    /// So much time is over, and so many hosts are up, or were seen.
    pub(crate) fn show(&self, elapsed: Duration, hosts_up: usize) {
        if self.bar.position() < elapsed.as_secs() || elapsed.is_zero() {
            self.bar.set_position(elapsed.as_secs());
            self.bar.set_message(format!("{hosts_up} hosts, {}", self.counts.words()));
        }
    }

    /// Something befell a host that it goes on with: it is said now, since it may be hours until there is a report.
    pub(crate) fn say(&self, elapsed: Duration, host: HostId, what: &str) {
        if !self.quiet {
            let (name, seconds) = (hosts::name(host.0), elapsed.as_secs_f64());
            self.bar.suspend(|| eprintln!("{seconds:.1} s: {name} {what}"));
        }
    }

    /// Nothing is shown any more.
    pub(crate) fn clear(&self) {
        self.bar.finish_and_clear();
    }
}
