//! Whole runs, on a unit within the process and in virtual time.

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use pulsefield_report::{Evidence, Explanation, Run, Standing, View, json};
use tempfile::TempDir;

use super::*;

fn options(folder: &TempDir) -> SoakOptions {
    SoakOptions {
        on: On::Embedded { virtual_time: true },
        hosts: 6,
        mix: "mixed".to_owned(),
        seed: Some(7),
        duration: Duration::from_secs(120),
        plan: None,
        plan_after: None,
        lun: None,
        directory: PathBuf::from("/nowhere"),
        socket: PathBuf::from("/nowhere"),
        locking: Locking::AtsOnly,
        report: Some(folder.path().join("report")),
        junit: Some(folder.path().join("junit.xml")),
        json: false,
        destroy: 0,
        command: "pulsefield soak --embedded --virtual".to_owned(),
        version: "0".to_owned(),
    }
}

/// A run with one rule armed after 20 s.
fn with_rule(folder: &TempDir, rule: &str) -> SoakOptions {
    let plan = folder.path().join("plan.toml");
    fs::write(&plan, format!("seed = 7\n[[rule]]\n{rule}")).unwrap();
    let plan_after = Some(Duration::from_secs(20));
    SoakOptions { plan: Some(plan), plan_after, mix: "file-growth".to_owned(), ..options(folder) }
}

fn run(options: &SoakOptions) -> (Conclusion, String) {
    let mut out = Vec::new();
    let conclusion = soak(options, &mut out).unwrap();
    (conclusion, String::from_utf8(out).unwrap())
}

#[test]
fn a_healthy_unit_keeps_every_promise_and_there_is_a_report() {
    let folder = tempfile::tempdir().unwrap();
    let (conclusion, text) = run(&options(&folder));
    assert_eq!(conclusion, Conclusion::Held, "{text}");
    assert!(text.starts_with("PASS"), "{text}");
    let report = folder.path().join("report");
    let found = json::read(&fs::read_to_string(report.join("soak.json")).unwrap()).unwrap();
    assert_eq!(found.setup.hosts.len(), 6);
    assert_eq!(found.setup.command, "pulsefield soak --embedded --virtual --seed 7");
    assert!(found.promises.iter().any(|promise| promise.standing == Standing::Held));
    assert!(fs::read_to_string(report.join("soak.html")).unwrap().contains("<svg"));
    assert!(fs::read_to_string(folder.path().join("junit.xml")).unwrap().contains("testcase"));
}

#[test]
fn hosts_with_and_without_ats_keep_every_promise_to_one_another() {
    let folder = tempfile::tempdir().unwrap();
    let (mix, locking) = ("plain-writes".to_owned(), Locking::AtsAndScsi);
    let (conclusion, text) = run(&SoakOptions { mix, locking, ..options(&folder) });
    assert_eq!(conclusion, Conclusion::Held, "{text}");
}

#[test]
fn a_unit_that_finds_equal_what_is_not_is_caught() {
    let folder = tempfile::tempdir().unwrap();
    let rule = "fault = \"miscompare.false-equal\"\nwhere = { vmfs = \"lock\" }\n";
    let (conclusion, text) = run(&with_rule(&folder, rule));
    assert_eq!(conclusion, Conclusion::Caught, "{text}");
}

#[test]
fn a_lost_write_is_caught() {
    let folder = tempfile::tempdir().unwrap();
    let rule = "fault = \"lost-write\"\nwhere = { command = \"write\" }\nwhen = { every = 20 }\n";
    let (conclusion, text) = run(&with_rule(&folder, rule));
    assert_eq!(conclusion, Conclusion::Caught, "{text}");
}

fn report(options: &SoakOptions) -> Run {
    run(options);
    let folder = options.report.as_ref().unwrap();
    json::read(&fs::read_to_string(folder.join("soak.json")).unwrap()).unwrap()
}

/// The unit records itself, and hosts do nothing that is not explained by their being several.
#[test]
fn miscompares_are_explained_from_the_record_of_the_unit() {
    let folder = tempfile::tempdir().unwrap();
    let mut options = options(&folder);
    options.mix = "file-growth".to_owned();
    let found = report(&options);
    assert_eq!(found.setup.evidence, Evidence::Record { of: "embedded".to_owned() });
    assert!(found.causes.iter().all(|it| it.view == View::Record), "{:?}", names(&found));
    for wrong in ["injected", "corruption", "foreign write"] {
        assert!(found.causes.iter().all(|it| it.name != wrong), "{:?}", names(&found));
    }
    let told = found.commands.iter().map(|commands| commands.outcomes.miscompared).sum::<u64>();
    assert_eq!(found.causes.iter().map(|it| it.total).sum::<u64>(), told);
    let contention = found.causes.iter().find(|it| it.name == "contention").unwrap();
    // Who was first, by name; of a lock that was let go nobody is named.
    let named = |it: &&Explanation| it.text.contains(" of host esx0");
    let taken = contention.explanations.iter().find(named).unwrap();
    assert!(taken.about.contains("COMPARE AND WRITE"), "{}", taken.about);
    assert!(taken.text.contains(" came first, "), "{}", taken.text);
    let first = &contention.explanations[0];
    let page = fs::read_to_string(folder.path().join("report/soak.html")).unwrap();
    assert!(page.contains(&format!("<a href=\"#miscompare-{}\">", first.id)));
    // However threads are scheduled.
    assert_eq!(report(&options).causes, found.causes);
}

fn names(run: &Run) -> Vec<(View, &str, u64)> {
    run.causes.iter().map(|cause| (cause.view, &*cause.name, cause.total)).collect()
}

#[test]
fn what_a_rule_did_is_told_with_its_name() {
    let folder = tempfile::tempdir().unwrap();
    let rule = "name = \"liar\"\nfault = \"miscompare.spurious\"\nwhen = { every = 50 }\n";
    let found = report(&with_rule(&folder, rule));
    let injected = found.causes.iter().find(|cause| cause.name == "injected").unwrap();
    assert_eq!(injected.view, View::Record);
    assert!(injected.total >= found.faults[0].hits, "{:?}", names(&found));
    let words = "finding:  injected\n          rule \"liar\" hit this command";
    assert!(injected.explanations[0].text.starts_with(words), "{}", injected.explanations[0].text);
}

#[test]
fn a_rule_that_never_hits_fails() {
    let folder = tempfile::tempdir().unwrap();
    let rule = "fault = \"drop\"\nwhere = { command = \"verify\" }\n";
    let (conclusion, text) = run(&with_rule(&folder, rule));
    assert_eq!(conclusion, Conclusion::Failed, "{text}");
    assert!(text.contains("it never hit a command"), "{text}");
}

#[test]
fn what_cannot_be_is_refused_before_anything_is_done() {
    let folder = tempfile::tempdir().unwrap();
    let refused =
        |options: &SoakOptions| soak(options, &mut Vec::new()).map(|_| ()).unwrap_err().to_string();
    let mixed = SoakOptions { mix: "mixd".to_owned(), ..options(&folder) };
    assert_eq!(refused(&mixed), "there is no mix \"mixd\"; did you mean \"mixed\"?");
    let plain = SoakOptions { mix: "plain-writes".to_owned(), ..options(&folder) };
    let words =
        "hosts of the mix plain-writes do without ATS for a while, which takes --locking ats+scsi";
    assert_eq!(refused(&plain), words);
    let none = SoakOptions { hosts: 0, ..options(&folder) };
    assert_eq!(refused(&none), "0 hosts: there are from 1 to 64");
    let plan_after = Some(Duration::from_secs(120));
    let late = SoakOptions { plan_after, ..with_rule(&folder, "fault = \"drop\"\n") };
    let words = "a plan that is armed after 2min is armed never: the run takes 2min";
    assert_eq!(refused(&late), words);
    let file = folder.path().join("file");
    fs::write(&file, "").unwrap();
    let nowhere = SoakOptions { report: Some(file), ..options(&folder) };
    assert!(refused(&nowhere).ends_with("file cannot be written"));
}
