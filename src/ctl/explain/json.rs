//! Findings as one JSON document.
//!
//! `finding` is the kind in kebab case; `words` and `advice` are for people. A reader skips fields it does
//! not know.

use pulsefield_explain::{Finding, FindingKind, Host, LateHeartbeat, Miscompare, Told, Unanswered};
use pulsefield_record::Record;
use serde_json::{Value, json};

use super::Explained;
use crate::trace::{Utc, hex, micros};

/// The document about all of them.
pub(super) fn document(explained: &[Explained<'_>]) -> Value {
    json!({ "luns": explained.iter().map(lun).collect::<Vec<_>>() })
}

fn lun(one: &Explained<'_>) -> Value {
    let account = &one.account;
    let summary = &account.summary;
    let moment = |record: Option<&Record>| record.and_then(time);
    json!({
        "lun": one.lun,
        "from": moment(summary.span.map(|(first, _)| first)),
        "to": moment(summary.span.map(|(_, last)| last)),
        "miscompares": account.miscompares.iter().map(miscompare).collect::<Vec<_>>(),
        "late_heartbeats": account.late.iter().map(late).collect::<Vec<_>>(),
        "unanswered_heartbeats": account.unanswered.iter().map(unanswered).collect::<Vec<_>>(),
        "summary": {
            "commands": summary.commands,
            "ats": summary.ats,
            "hosts": summary.hosts.iter().map(host).collect::<Vec<_>>(),
            "slowest": summary.worst.iter().map(|told| command(*told)).collect::<Vec<_>>(),
            "miscompares": summary.miscompares.iter().map(|(kind, count)| (name(*kind), *count))
                .collect::<std::collections::BTreeMap<_, _>>(),
        },
    })
}

fn miscompare(miscompare: &Miscompare<'_>) -> Value {
    let image = |bytes: Option<&[u8]>| bytes.map(hex);
    let difference = miscompare.difference();
    let fields = difference.iter().flat_map(|difference| &difference.fields);
    json!({
        "command": command(miscompare.told()),
        "lba": miscompare.lba().as_u64(),
        "object": miscompare.object().map(|object| object.to_string()),
        "host": miscompare.host().map(|host| host.to_string()),
        "finding": name(miscompare.finding.kind()),
        "words": miscompare.finding.to_string(),
        "advice": miscompare.finding.kind().advice(),
        "evidence": evidence(&miscompare.finding),
        "expected": image(miscompare.expected()),
        "found": image(miscompare.found()),
        "wanted": image(miscompare.wanted()),
        "change": difference.as_ref().map(|difference| difference.change.to_string()),
        "first_byte": difference.as_ref().and_then(|difference| difference.first_byte),
        "fields": fields.map(ToString::to_string).collect::<Vec<_>>(),
    })
}

/// The commands and times that a finding rests on.
fn evidence(finding: &Finding<'_>) -> Value {
    match finding {
        Finding::Injected(it) => json!({
            "rule": it.rule,
            "besides": name(it.besides.kind()),
            "besides_evidence": evidence(&it.besides),
        }),
        Finding::Corruption(it) => json!({
            "last_writer": command(it.last),
            "older_writer": it.older.map(command),
        }),
        Finding::ForeignWrite(it) => json!({ "writer": command(it.by), "zeros": it.zeros }),
        Finding::Retry(it) => json!({
            "first": command(it.first),
            "same_data": it.same_data,
            "aborted_ns": it.abort.map(|abort| abort.at.as_nanos()),
        }),
        Finding::Takeover(it) | Finding::Seized(it) => json!({
            "owner": it.owner.map(|host| host.to_string()),
            "by": it.host.map(|host| host.to_string()),
            "writer": command(it.by),
            "last_pulse": it.last_pulse.map(command),
            "silent_us": micros(it.silent),
        }),
        Finding::StaleView(it) => json!({
            "writes_since": it.writes,
            "replaced_by": command(it.replaced_by),
        }),
        Finding::Contention(it) => json!({
            "winner": command(it.winner),
            "host": it.host.map(|host| host.to_string()),
            "writes_since": it.writes,
        }),
        Finding::Unknown(_) => Value::Null,
    }
}

fn late(late: &LateHeartbeat<'_>) -> Value {
    let shares = late.shares.iter().map(|(share, time)| (share.name(), micros(time)));
    json!({
        "command": command(late.told),
        "object": late.object.map(|object| object.to_string()),
        "host": late.host.map(|host| host.to_string()),
        "too_late": late.too_late,
        "shares_us": shares.collect::<std::collections::BTreeMap<_, _>>(),
        "longest": late.shares.longest().name(),
        "behind": late.behind.map(command),
        "rule": late.rule.map(|(rule, _)| rule),
        "injected": late.is_injected(),
        "words": late.to_string(),
        "advice": late.advice(),
    })
}

fn unanswered(unanswered: &Unanswered<'_>) -> Value {
    let Unanswered { record, overdue, object, host } = unanswered;
    json!({
        "cmd_id": overdue.command_id,
        "time": time(record),
        "at_ns": record.at.as_nanos(),
        "arrived_ns": overdue.arrived.as_nanos(),
        "waits_for": overdue.stage.map(|(stage, _)| stage.name()),
        "object": object.map(|object| object.to_string()),
        "host": host.map(|host| host.to_string()),
        "words": unanswered.to_string(),
    })
}

fn host(host: &Host) -> Value {
    json!({
        "host": host.uuid.to_string(),
        "slot": host.slot,
        "address": host.address,
        "pulses": host.pulses,
        "failed": host.failed,
        "longest_gap_us": host.longest_gap.map(micros),
        "jitter_us": host.jitter.map(micros),
        "last_ns": host.last.as_nanos(),
    })
}

fn command(told: Told<'_>) -> Value {
    json!({
        "sequence": told.record.sequence,
        "epoch": told.record.epoch,
        "time": time(told.record),
        "at_ns": told.record.at.as_nanos(),
        "command": told.to_string(),
        "took_us": micros(told.command.took()),
    })
}

fn time(record: &Record) -> Option<String> {
    record.wall.map(|wall| Utc(wall).to_string())
}

/// The kind in kebab case.
fn name(kind: FindingKind) -> String {
    kind.name().to_lowercase().replace(' ', "-")
}
