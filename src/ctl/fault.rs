//! `pulsefield fault`: what is armed, what it did, and what there is to arm.

use std::io::{self, Write};

use pulsefield_control::protocol::{ArmRequest, ArmedPlan, FaultHit, LunFaults};
use pulsefield_faults::catalogue::{CATALOGUE, Entry, reference};
use pulsefield_settings::{Time, nearest};
use serde::Serialize;
use thiserror::Error;

use crate::cli::{ArmArgs, FaultCommand};
use crate::commands::{CommandError, answer, client, read};
use crate::print::{duration, fields, table};

/// There is no fault of this name.
#[derive(Debug, Error)]
#[error("no fault \"{name}\"{}", nearest.map(|near| format!("; did you mean \"{near}\"?")).unwrap_or_default())]
pub(crate) struct UnknownFault {
    name: String,
    nearest: Option<&'static str>,
}

/// What was typed is not a fault.
#[derive(Debug, Error)]
pub(crate) enum TypedFaultError {
    #[error(transparent)]
    Unknown(#[from] UnknownFault),
    #[error("\"{0}\" is not of the form KEY=VALUE")]
    Setting(String),
}

/// Keys of `where` and of `when`: what does not stand here is a parameter of the fault.
const WHERE: &[&str] = &["lane", "command", "lba", "vmfs", "slot", "host", "lock", "mode"];
const WHEN: &[&str] = &[
    "nth",
    "every",
    "chance",
    "burst",
    "after",
    "for",
    "period",
    "at-most",
    "in-flight",
    "commands",
];

pub(crate) fn execute(command: FaultCommand, out: &mut dyn Write) -> Result<(), CommandError> {
    match command {
        FaultCommand::Arm(args) => {
            let request = request(&args)?;
            let armed = client(&args.ask).arm_faults(request)?;
            answer(&args.ask, armed.as_slice(), list, out)?;
        }
        FaultCommand::Disarm { lun, rule, ask } => {
            let rules = client(&ask).disarm_faults(lun.as_deref(), rule.as_deref())?;
            let human = |rules: &u64, out: &mut dyn Write| match rules {
                1 => writeln!(out, "1 rule disarmed"),
                rules => writeln!(out, "{rules} rules disarmed"),
            };
            answer(&ask, &rules, human, out)?;
        }
        FaultCommand::Ls { lun, ask } => {
            let luns = client(&ask).faults(lun.as_deref())?;
            answer(&ask, luns.as_slice(), list, out)?;
        }
        FaultCommand::Log { lun: Some(lun), export: true, ask } => {
            out.write_all(client(&ask).export_faults(&lun)?.as_bytes())?;
        }
        FaultCommand::Log { lun, export: _, ask } => {
            let hits = client(&ask).fault_log(lun.as_deref())?;
            answer(&ask, hits.as_slice(), log, out)?;
        }
        FaultCommand::Catalogue { markdown: true, .. } => out.write_all(reference().as_bytes())?,
        FaultCommand::Catalogue { fault, json, .. } => catalogue(fault.as_deref(), json, out)?,
    }
    Ok(())
}

/// What the daemon is asked to arm: a file as it is, or a plan of one rule.
fn request(args: &ArmArgs) -> Result<ArmRequest, CommandError> {
    let (file, plan) = match (&args.plan, &args.fault) {
        (Some(path), _) => (path.display().to_string(), read(path)?),
        (None, fault) => {
            let fault = fault.as_deref().unwrap_or_default();
            find(fault)?;
            ("fault".to_owned(), one_rule(fault, &args.settings))
        }
    };
    let millis = |time: std::time::Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
    Ok(ArmRequest {
        lun: args.lun.clone(),
        file,
        plan,
        lasting_ms: args.lasting.map(millis),
        hits: args.hits,
    })
}

/// The same for a fault as it is typed on one line: `FAULT [KEY=VALUE …]`.
pub(crate) fn typed(lun: &str, line: &str) -> Result<ArmRequest, TypedFaultError> {
    let mut words = line.split_whitespace();
    let fault = words.next().unwrap_or_default();
    find(fault)?;
    let settings = words
        .map(|word| match word.split_once('=') {
            Some((key, value)) => Ok((key.to_owned(), value.to_owned())),
            None => Err(TypedFaultError::Setting(word.to_owned())),
        })
        .collect::<Result<Vec<_>, _>>()?;
    let (lun, file) = (Some(lun.to_owned()), "fault".to_owned());
    Ok(ArmRequest { lun, file, plan: one_rule(fault, &settings), lasting_ms: None, hits: None })
}

/// A plan with one rule, as somebody would write it.
fn one_rule(fault: &str, settings: &[(String, String)]) -> String {
    let mut rule = format!("[[rule]]\nfault = \"{fault}\"\n");
    let key = |key: &str| match key {
        key if WHERE.contains(&key) => format!("where.{key}"),
        key if WHEN.contains(&key) => format!("when.{key}"),
        key => key.to_owned(),
    };
    for (name, value) in settings {
        rule += &format!("{} = {}\n", key(name), toml_value(value));
    }
    rule
}

/// Whatever is a value already (a number, an array, a table) as it is; else a string.
fn toml_value(text: &str) -> String {
    let number = text.strip_prefix("0x").map_or_else(
        || text.strip_prefix('-').unwrap_or(text).bytes().all(|byte| byte.is_ascii_digit()),
        |digits| digits.bytes().all(|byte| byte.is_ascii_hexdigit()),
    );
    match number && !text.is_empty() || text.starts_with(['[', '{', '"']) {
        true => text.to_owned(),
        false => format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\"")),
    }
}

fn list(luns: &[LunFaults], out: &mut dyn Write) -> io::Result<()> {
    let plans = luns.iter().flat_map(|lun| lun.plans.iter().map(move |plan| (&lun.lun, plan)));
    if plans.clone().next().is_none() {
        return writeln!(out, "no faults are armed");
    }
    for (lun, plan) in plans.clone() {
        let ArmedPlan { plan: number, seed, armed_ms, commands, hits, .. } = plan;
        let since = duration(*armed_ms);
        writeln!(
            out,
            "{lun}, plan {number}: seed {seed}, armed for {since}, {commands} commands, {hits} hits"
        )?;
        for rule in &plan.rules {
            writeln!(out, "  {} of {}  {}", rule.hits, rule.counted, rule.meaning)?;
        }
    }
    Ok(())
}

fn log(hits: &[FaultHit], out: &mut dyn Write) -> io::Result<()> {
    let header =
        ["TIME", "LUN", "HIT", "RULE", "COMMAND", "OPCODE", "BLOCKS", "DELAY", "BEFORE", "AFTER"];
    let mut rows = vec![header.map(str::to_owned)];
    rows.extend(hits.iter().map(|hit| {
        let rule = match hit.selected {
            true => hit.rule.clone(),
            false => format!("{} (lasting)", hit.rule),
        };
        let blocks = hit.lba.zip(hit.blocks).map(|(lba, blocks)| format!("{lba}+{blocks}"));
        let none = || "-".to_owned();
        [
            format!("{}.{:06}", hit.at_us / 1_000_000, hit.at_us % 1_000_000),
            hit.lun.clone(),
            hit.number.to_string(),
            rule,
            hit.command.to_string(),
            format!("{:02X}h", hit.opcode),
            blocks.unwrap_or_else(none),
            match hit.delay_us {
                0 => none(),
                delay => Time::from(std::time::Duration::from_micros(delay)).to_string(),
            },
            hit.before.clone().unwrap_or_else(none),
            hit.after.clone().unwrap_or_else(none),
        ]
    }));
    table(out, &rows)
}

/// A fault of the catalogue, as JSON.
#[derive(Serialize)]
struct Described {
    name: &'static str,
    happens: &'static str,
    known_as: &'static str,
    verdict: &'static str,
    breaks: Vec<&'static str>,
    parameters: Vec<DescribedParameter>,
    causes: &'static [u8],
}

#[derive(Serialize)]
struct DescribedParameter {
    name: &'static str,
    default: &'static str,
    meaning: &'static str,
}

impl From<&Entry> for Described {
    fn from(entry: &Entry) -> Self {
        let parameters = entry.parameters.iter().map(|parameter| DescribedParameter {
            name: parameter.name,
            default: parameter.default,
            meaning: parameter.meaning,
        });
        Self {
            name: entry.name,
            happens: entry.happens,
            known_as: entry.known_as,
            verdict: entry.verdict.name(),
            breaks: entry.breaks.iter().map(|promise| promise.name()).collect(),
            parameters: parameters.collect(),
            causes: entry.causes,
        }
    }
}

fn find(name: &str) -> Result<&'static Entry, UnknownFault> {
    let unknown = || UnknownFault { name: name.to_owned(), nearest: nearest(name, Entry::names()) };
    Entry::find(name).ok_or_else(unknown)
}

fn catalogue(fault: Option<&str>, json: bool, out: &mut dyn Write) -> Result<(), CommandError> {
    let one = fault.map(find).transpose()?;
    if json {
        let meant = one.map_or(CATALOGUE, std::slice::from_ref);
        let described: Vec<Described> = meant.iter().map(Described::from).collect();
        serde_json::to_writer_pretty(&mut *out, &described).map_err(io::Error::from)?;
        writeln!(out)?;
        return Ok(());
    }
    match one {
        None => {
            let rows =
                CATALOGUE.iter().map(|entry| [entry.name.to_owned(), entry.known_as.to_owned()]);
            let header = ["FAULT", "KNOWN AS"].map(str::to_owned);
            table(out, &std::iter::once(header).chain(rows).collect::<Vec<_>>())?;
        }
        Some(entry) => describe(entry, out)?,
    }
    Ok(())
}

fn describe(entry: &Entry, out: &mut dyn Write) -> io::Result<()> {
    let breaks: Vec<_> = entry.breaks.iter().map(|promise| promise.name()).collect();
    fields(
        out,
        &[
            ("fault", entry.name.to_owned()),
            ("a command", entry.happening(|name| format!("<{name}>"))),
            ("known as", entry.known_as.to_owned()),
            ("verdict", format!("{}: {}", entry.verdict.name(), entry.verdict.sentence())),
            ("may break", breaks.join(", ")),
        ],
    )?;
    if !entry.parameters.is_empty() {
        writeln!(out)?;
        let header = ["PARAMETER", "DEFAULT", "MEANING"].map(str::to_owned);
        let rows = entry.parameters.iter().map(|parameter| {
            [parameter.name, parameter.default, parameter.meaning].map(str::to_owned)
        });
        table(out, &std::iter::once(header).chain(rows).collect::<Vec<_>>())?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use pulsefield_faults::{Fault, Plan, Select};

    use super::*;

    fn settings(pairs: &[&str]) -> Vec<(String, String)> {
        let split = pairs.iter().map(|pair| pair.split_once('=').unwrap());
        split.map(|(key, value)| (key.to_owned(), value.to_owned())).collect()
    }

    #[test]
    fn one_fault_becomes_a_plan() {
        let text = one_rule(
            "misdirected-write",
            &settings(&[
                "distance=-8",
                "lba=43008..43016",
                "command=[\"write\"]",
                "nth=3",
                "lock=0x10",
            ]),
        );
        let rule = Plan::parse("fault", &text).unwrap().rules.remove(0);
        assert!(matches!(rule.fault, Fault::MisdirectedWrite { distance } if distance.get() == -8));
        assert!(matches!(rule.when.select, Select::Nth(nth) if nth.get() == 3));
        assert_eq!(rule.place.blocks[0].start().as_u64(), 43_008);
        let text = one_rule("caw.slow", &settings(&["delay={ uniform = [\"1s\", \"2s\"] }"]));
        assert!(Plan::parse("fault", &text).is_ok(), "{text}");
    }

    #[test]
    fn every_fault_is_listed_and_described() {
        let mut out = Vec::new();
        catalogue(None, false, &mut out).unwrap();
        let text = String::from_utf8(out).unwrap();
        assert_eq!(text.lines().count(), CATALOGUE.len() + 1);
        let mut out = Vec::new();
        catalogue(Some("caw.slow"), false, &mut out).unwrap();
        let text = String::from_utf8(out).unwrap();
        assert!(text.contains("is delayed by <delay> <phase> it is carried out"), "{text}");
        assert!(text.contains("\"8s\""), "{text}");
        let error = catalogue(Some("caw.slwo"), false, &mut Vec::new()).unwrap_err();
        assert_eq!(error.to_string(), "no fault \"caw.slwo\"; did you mean \"caw.slow\"?");
        let mut out = Vec::new();
        catalogue(Some("drop"), true, &mut out).unwrap();
        let json: serde_json::Value = serde_json::from_slice(&out).unwrap();
        assert_eq!(json[0]["parameters"][0]["default"], "\"cmd_time_out\"");
    }
}
