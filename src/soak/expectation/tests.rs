use super::*;

const FALSE_EQUAL: &str = "[[rule]]\nname = \"two owners\"\nfault = \"miscompare.false-equal\"\n";
const SPURIOUS: &str = "[[rule]]\nfault = \"miscompare.spurious\"\n";
const SLOW: &str = "[[rule]]\nfault = \"caw.slow\"\n";
const BUSY: &str = "[[rule]]\nfault = \"status\"\n";

fn verdicts(broken: &[Promise]) -> Vec<Verdict> {
    let verdict = |promise| Verdict {
        promise,
        standing: if broken.contains(&promise) { Standing::Broken } else { Standing::Held },
        checked: 10,
        figures: Vec::new(),
        breaches: Vec::new(),
        breaches_total: u64::from(broken.contains(&promise)),
    };
    Promise::ALL.into_iter().map(verdict).collect()
}

fn judged(plan: &str, hits: u64, broken: &[Promise], trouble: &Trouble) -> Judgement {
    let plan = Plan::parse("p", plan).unwrap();
    let hits = [RuleHits { position: 0, hits, effects: hits }];
    judge(Some(&plan), &hits, &verdicts(broken), trouble)
}

fn objections(plan: &str, hits: u64, broken: &[Promise], trouble: &Trouble) -> Vec<String> {
    judged(plan, hits, broken, trouble).objections
}

const NONE: Trouble = Trouble {
    miscompared: 0,
    refused: 0,
    unknown: 0,
    dead_pulses: 0,
    late_pulses: 0,
    lost_access: 0,
};
const LATE: Trouble = Trouble { late_pulses: 4, ..NONE };

#[test]
fn without_a_plan_every_promise_must_hold() {
    let healthy = judge(None, &[], &verdicts(&[]), &NONE);
    assert_eq!((healthy.all_held, healthy.objections), (true, vec![]));
    let broken = judge(None, &[], &verdicts(&[Promise::Durability]), &NONE);
    assert!(!broken.all_held);
    assert_eq!(broken.objections, ["durability was broken"]);
}

#[test]
fn a_false_equality_must_be_caught() {
    let caught = judged(FALSE_EQUAL, 3, &[Promise::Linearizable], &NONE);
    assert_eq!((caught.all_held, caught.objections), (false, vec![]));
    assert_eq!(caught.expectations[0].seen, "checkers caught it: linearizable");
    assert!(caught.expectations[0].met);
    assert_eq!(
        objections(FALSE_EQUAL, 3, &[], &NONE),
        ["rule \"two owners\" declares checker-catches, and no checker noticed any of its 3 hits"]
    );
    // That a heartbeat was late is no evidence of it.
    assert_eq!(objections(FALSE_EQUAL, 3, &[Promise::HeartbeatDeadline], &LATE).len(), 1);
}

#[test]
fn a_rule_that_never_hit_has_shown_nothing() {
    let objected = objections(FALSE_EQUAL, 0, &[], &NONE);
    assert_eq!(
        objected,
        ["rule \"two owners\" declares checker-catches, and it never hit a command"]
    );
    // What was broken then was not broken by it.
    assert_eq!(objections(FALSE_EQUAL, 0, &[Promise::Linearizable], &NONE).len(), 2);
}

#[test]
fn a_rule_that_hit_in_vain_has_shown_nothing() {
    let plan = Plan::parse("p", FALSE_EQUAL).unwrap();
    let hits = [RuleHits { position: 0, hits: 7, effects: 0 }];
    let judged = judge(Some(&plan), &hits, &verdicts(&[Promise::Linearizable]), &NONE);
    assert_eq!(
        judged.objections,
        [
            "rule \"two owners\" declares checker-catches, and none of its 7 hits changed anything",
            "linearizable was broken, which no rule that hit may break",
        ]
    );
}

#[test]
fn a_fault_breaks_only_what_it_can() {
    let offset = "[[rule]]\nfault = \"miscompare.wrong-offset\"\n";
    assert_eq!(objections(offset, 3, &[Promise::Information], &NONE), [""; 0]);
    let broken = [Promise::Information, Promise::Durability];
    assert_eq!(
        objections(offset, 3, &broken, &NONE),
        ["durability was broken, which no rule that hit may break"]
    );
    // What it may not break is no evidence of it either.
    assert_eq!(objections(offset, 3, &[Promise::Durability], &NONE).len(), 2);
    assert_eq!(objections(FALSE_EQUAL, 3, &[Promise::AnsweredOnce], &NONE).len(), 2);
}

#[test]
fn what_hosts_are_told_breaks_no_promise_about_data() {
    assert_eq!(objections(SLOW, 2, &[Promise::HeartbeatDeadline], &LATE), [""; 0]);
    assert_eq!(
        objections(SLOW, 2, &[Promise::LockExclusion], &LATE),
        ["lock-exclusion was broken, which no rule that hit may break"]
    );
    assert_eq!(objections(SLOW, 2, &[], &NONE).len(), 1, "no host saw it");
    // But a miscompare of what was equal is an answer that no register gives.
    assert_eq!(objections(SPURIOUS, 2, &[Promise::Linearizable], &LATE), [""; 0]);
    assert_eq!(objections(SPURIOUS, 2, &[Promise::Monotonic], &LATE).len(), 1);
    // Contention hides nothing of a slow unit, and shows a wrong answer.
    let contention = Trouble { miscompared: 9, ..NONE };
    assert_eq!(objections(SLOW, 2, &[], &contention).len(), 1);
    assert_eq!(objections(SPURIOUS, 2, &[], &contention), [""; 0]);
}

#[test]
fn what_a_retry_hides_breaks_nothing() {
    assert_eq!(objections(BUSY, 9, &[], &NONE), [""; 0]);
    assert_eq!(objections(BUSY, 9, &[Promise::HeartbeatDeadline], &LATE).len(), 1);
}
