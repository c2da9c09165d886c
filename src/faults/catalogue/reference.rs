//! The reference of `docs/faults.md`: the catalogue, and which field cause which fault reproduces.

use std::fmt::Write as _;

use pulsefield_checkers::Promise;

use super::causes::CAUSES;
use super::{CATALOGUE, Entry};
use crate::Verdict;

/// The whole reference, as Markdown.
pub fn reference() -> String {
    let mut text = String::from("## The catalogue\n");
    for entry in CATALOGUE {
        describe(entry, &mut text);
    }
    text += "\n## From field cause to fault\n\n| # | cause | faults | |\n|---|---|---|---|\n";
    for cause in CAUSES {
        let faults = CATALOGUE.iter().filter(|entry| entry.causes.contains(&cause.number));
        let faults: Vec<_> = faults.map(|entry| format!("`{}`", entry.name)).collect();
        let _ = writeln!(
            text,
            "| {} | {} | {} | {} |",
            cause.number,
            cause.what,
            faults.join(", "),
            cause.note
        );
    }
    text
}

fn describe(entry: &Entry, text: &mut String) {
    let happens = entry.happening(|name| format!("*{name}*"));
    let _ = write!(
        text,
        "\n### `{}`\n{}.\n\nA command {happens}. Verdict: `{}`.{}\n",
        entry.name,
        capitalised(entry.known_as),
        entry.verdict.name(),
        may_break(entry),
    );
    if !entry.parameters.is_empty() {
        *text += "\n| parameter | default | |\n|---|---|---|\n";
    }
    for parameter in entry.parameters {
        let _ = writeln!(
            text,
            "| `{}` | `{}` | {} |",
            parameter.name, parameter.default, parameter.meaning
        );
    }
}

/// Which promises it may break, if any: those that are not, if that is only one.
fn may_break(entry: &Entry) -> String {
    let list = |promises: &[Promise]| {
        let names = promises.iter().map(|promise| format!("`{promise}`"));
        names.collect::<Vec<_>>().join(", ")
    };
    let kept: Vec<_> =
        Promise::ALL.into_iter().filter(|promise| !entry.breaks.contains(promise)).collect();
    match (entry.verdict, &kept[..]) {
        (Verdict::RetryHides, _) => String::new(),
        (_, [one]) => format!(" May break any promise but `{one}`."),
        _ => format!(" May break {}.", list(entry.breaks)),
    }
}

fn capitalised(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map_or_else(String::new, |first| first.to_uppercase().chain(chars).collect())
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;
    use std::{fs, iter};

    use super::*;
    use crate::Plan;

    fn repository(path: &str) -> PathBuf {
        PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../..").join(path)
    }

    #[test]
    fn every_cause_has_a_fault_or_a_reason_why_not() {
        assert!(CAUSES.iter().map(|cause| cause.number).eq(1..=38));
        for cause in CAUSES {
            let has_fault = CATALOGUE.iter().any(|entry| entry.causes.contains(&cause.number));
            assert!(has_fault || !cause.note.is_empty(), "{}", cause.what);
        }
    }

    #[test]
    fn the_manual_holds_what_the_catalogue_says() {
        let manual = fs::read_to_string(repository("docs/faults.md")).unwrap();
        assert!(
            manual.ends_with(&reference()),
            "docs/faults.md is stale: run `cargo xtask faults`"
        );
    }

    #[test]
    fn every_plan_that_is_shipped_is_sound_and_says_what_an_administrator_sees() {
        let folder = repository("targetcli-examples/faults");
        let index = fs::read_to_string(folder.join("README.md")).unwrap();
        let files = fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path());
        let plans: Vec<_> =
            files.filter(|path| path.extension().is_some_and(|it| it == "toml")).collect();
        assert_eq!(plans.len(), 10);
        for path in plans {
            let name = path.file_name().unwrap().to_str().unwrap();
            assert!(index.contains(&format!("| `{name}` |")), "{name} is in the index");
            let text = fs::read_to_string(&path).unwrap();
            let header: Vec<_> = text.lines().take_while(|line| line.starts_with('#')).collect();
            let header = header.join("\n");
            assert!(header.contains("an ESXi administrator sees"), "{name}: {header}");
            let plan = Plan::parse(name, &text).unwrap_or_else(|error| panic!("{error}"));
            assert_eq!(Plan::parse(name, &plan.to_toml()), Ok(plan.clone()), "{name}");
            let about =
                iter::once(String::new()).chain(plan.rules.iter().map(|rule| rule.name.clone()));
            for (sentence, rule) in plan.sentences().iter().zip(about) {
                assert!(sentence.starts_with(&rule) && sentence.ends_with('.'), "{sentence}");
                assert!(!sentence.contains(['{', '}']), "{sentence}");
            }
        }
    }
}
