//! Hours of record in a table.

use std::io::{self, Write};
use std::time::Duration;

use pulsefield_explain::Host;
use pulsefield_units::Span;

use super::Explained;
use super::text::{Dated, When};

/// The hosts, the slowest commands, and how much there was of each finding.
pub(super) fn print(one: &Explained<'_>, out: &mut dyn Write) -> io::Result<()> {
    let Explained { lun, account, .. } = one;
    let summary = &account.summary;
    let Some((first, last)) = summary.span else {
        return writeln!(out, "{lun}: nothing is recorded in that time");
    };
    write!(out, "{lun}: {} to {}, ", When(first), When(last))?;
    writeln!(out, "{} commands recorded, {} of them ATS", summary.commands, summary.ats)?;
    if !summary.hosts.is_empty() {
        writeln!(
            out,
            "  {:35}  {:>5}  {:>7}  {:>6}  {:>11}  {:>8}",
            "host", "slot", "pulses", "failed", "longest gap", "jitter"
        )?;
        summary.hosts.iter().try_for_each(|it| host(it, out))?;
    }
    if !summary.worst.is_empty() {
        writeln!(out, "  slowest of the heartbeat lane:")?;
        for told in &summary.worst {
            let took = Span(told.command.took()).to_string();
            writeln!(out, "  {took:>9}  {}", Dated(*told))?;
        }
    }
    let kinds = summary.miscompares.iter().map(|(kind, count)| format!("{count} {kind}"));
    writeln!(out, "  miscompares: {}", listed(kinds.collect()))?;
    let too_late = account.late.iter().filter(|late| late.too_late).count();
    let late = account.late.len() - too_late;
    let unanswered = account.unanswered.len();
    let counts = [(late, "late"), (too_late, "too late"), (unanswered, "not answered")];
    let counts = counts.iter().filter(|(count, _)| *count > 0);
    let late: Vec<_> = counts.map(|(count, what)| format!("{count} {what}")).collect();
    match &late[..] {
        [] => writeln!(out, "  heartbeats: none late"),
        _ => writeln!(out, "  heartbeats: {}", listed(late)),
    }
}

fn host(host: &Host, out: &mut dyn Write) -> io::Result<()> {
    let Host { uuid, slot, pulses, failed, longest_gap, jitter, .. } = host;
    let time = |time: Option<Duration>| time.map_or_else(|| "-".into(), |it| Span(it).to_string());
    let (gap, jitter) = (time(*longest_gap), time(*jitter));
    writeln!(out, "  {uuid:35}  {slot:>5}  {pulses:>7}  {failed:>6}  {gap:>11}  {jitter:>8}")
}

fn listed(parts: Vec<String>) -> String {
    if parts.is_empty() { "none".to_owned() } else { parts.join(", ") }
}
