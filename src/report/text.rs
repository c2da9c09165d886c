//! A run in a few lines, for a terminal.

use std::fmt::Write as _;

use pulsefield_units::Micros;

use crate::run::{End, Run, View};
use crate::words::{Count, when};

/// The verdict, why, what became of each promise, and the first thing that broke it.
pub fn summary(run: &Run) -> String {
    let mut text = format!("{}: {}\n", run.judgement.word(), run.headline());
    // A string grows.
    for reason in &run.judgement.reasons {
        let _ = writeln!(text, "  {reason}");
    }
    match &run.end {
        End::Planned => {}
        End::Interrupted => text += "  It was interrupted before its time was over.\n",
        End::Broken { why } => {
            let _ = writeln!(text, "  It ended before its time was over: {why}.");
        }
    }
    let width = run.promises.iter().map(|promise| promise.name.len()).max().unwrap_or(0);
    for promise in &run.promises {
        let (name, standing) = (&promise.name, promise.standing.name());
        let _ =
            write!(text, "  {name:width$}  {standing:11}  {} looked at", Count(promise.checked));
        if promise.breaches_total > 0 {
            let _ = write!(text, ", {} broke it", Count(promise.breaches_total));
        }
        text.push('\n');
        if let Some(note) = &promise.note {
            let _ = writeln!(text, "    {note}");
        }
        if let Some(first) = promise.breaches.first() {
            let hosts = first.hosts.join(", ");
            let _ = writeln!(text, "    first {} {hosts}: {}", when(first.at_ms), first.what);
        }
    }
    if let Some(all) = run.heartbeats.all {
        let _ = writeln!(
            text,
            "  {} heartbeats, 99 % within {}, the longest took {}",
            Count(all.count),
            Micros(all.p99_us),
            Micros(all.max_us)
        );
    }
    for cause in &run.causes {
        let _ = write!(text, "  {} miscompares: {}", Count(cause.total), cause.name);
        text += match cause.view {
            View::Record => "\n",
            View::Host => ", as hosts saw it\n",
        };
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing;

    #[test]
    fn what_a_promise_was_not_checked_for_is_said() {
        let mut run = testing::with_faults();
        let promise = run.promises.iter_mut().find(|it| it.name == "no-early-takeover").unwrap();
        promise.note = Some("nobody looked".to_owned());
        let text = summary(&run);
        assert!(text.contains("not checked  0 looked at\n    nobody looked\n"), "{text}");
    }

    #[test]
    fn the_verdict_comes_first() {
        let text = summary(&testing::failed());
        let mut lines = text.lines();
        assert_eq!(lines.next(), Some("FAIL: 16 hosts, mix mixed, 10 min, plan slow-array.toml"));
        assert!(text.contains("  heartbeat-deadline  broken       3,190 looked at, 37 broke it\n"));
        assert!(text.contains("    first 4:09.1 esx02: the heartbeat sent at 241.1 s was aborted"));
        assert!(text.contains("  no-early-takeover   not checked  0 looked at\n"));
        let text = summary(&testing::empty());
        assert!(text.contains("It ended before its time was over: the device is gone.\n"));
    }
}
