use super::*;
use crate::catalogue::CATALOGUE;
use crate::{Delay, Fault, Phase, Select, VmfsSelector};

const FULL: &str = r#"
seed = 7
for = "10min"
at-most = 100

[[rule]]
name = "slow \"pulse\""
fault = "caw.slow"
delay = { pareto = ["1ms", "10s"], shape = 1.5 }
phase = "before"
where = { lun = ["ds*", "x"], lane = "heartbeat", lba = ["43008..51200", 9], slot = 64 }
when = { every = 20, burst = 2, after = "30s", for = "1s", period = "1min", at-most = 3, in-flight = 4 }
verdict = "retry-hides"

[[rule]]
fault = "status"
status = "0b/44/00"
where = { command = ["read", 0x2a], host = "685eb8eb-7f3e3890-4544-bc2411b17e28" }
when = { chance = "0.5%" }

[[rule]]
fault = "status"
where = { lock = 0x1dd14000, mode = "exclusive" }
when = { commands = [7, 3, 3] }
"#;

fn parse(text: &str) -> Result<Plan, Box<Diagnostic>> {
    Plan::parse("p.toml", text)
}

fn rule(text: &str) -> Rule {
    parse(&format!("[[rule]]\n{text}\n")).unwrap().rules.remove(0)
}

#[track_caller]
fn refuses(text: &str, wanted: &str) {
    let problem = parse(&format!("[[rule]]\n{text}\n")).unwrap_err().problem().to_string();
    assert!(problem.contains(wanted), "{text}: {problem}");
}

#[test]
fn a_plan_is_read_and_written() {
    let plan = parse(FULL).unwrap();
    assert_eq!((plan.seed, plan.lasting, plan.hits), (7, Some(time("10min")), Some(100)));
    let [first, second, third] = &plan.rules[..] else { panic!("{plan:?}") };
    assert_eq!(first.name, "slow \"pulse\"");
    let delay = Delay::Pareto { minimum: time("1ms"), shape: 1.5, maximum: time("10s") };
    assert_eq!(first.fault, Fault::CawSlow { delay, phase: Phase::Before });
    assert_eq!(first.place.vmfs, Some(VmfsSelector::Heartbeat { slot: Some(64), host: None }));
    assert_eq!(first.place.blocks.len(), 2);
    assert_eq!(first.verdict, Verdict::RetryHides);
    assert_eq!((second.name.as_str(), third.name.as_str()), ("status", "status-2"));
    assert_eq!(third.when.select, Select::Commands(vec![3, 7]));
    assert_eq!(parse(&plan.to_toml()).unwrap(), plan);
}

fn time(text: &str) -> std::time::Duration {
    Time::parse(text).unwrap().duration()
}

#[test]
fn every_fault_can_be_had_with_its_defaults_and_says_what_it_does() {
    for entry in CATALOGUE {
        let rule = rule(&format!("fault = \"{}\"", entry.name));
        assert_eq!(rule.fault.name(), entry.name);
        assert_eq!(rule.verdict, entry.verdict);
        let named: Vec<_> = rule.fault.values().into_iter().map(|(name, _)| name).collect();
        let known: Vec<_> = entry.parameters.iter().map(|parameter| parameter.name).collect();
        assert_eq!(named, known, "{}", entry.name);
        let plan = Plan { seed: 1, lasting: None, hits: None, rules: vec![rule] };
        assert_eq!(parse(&plan.to_toml()).unwrap(), plan);
        // A parameter that is written and not there is a slip, and not ignored.
        refuses(&format!("fault = \"{}\"\nzzz = 1", entry.name), "unknown key \"zzz\"");
    }
}

#[test]
fn a_slip_is_shown_with_what_was_meant() {
    let error = parse("seed = 1\n[[rule]]\nfault = \"caw.solw\"\n").unwrap_err().to_string();
    assert_eq!(
        error,
        "p.toml:3:9: fault cannot be \"caw.solw\"; did you mean \"caw.slow\"?\n  \
         |\n\
         3 | fault = \"caw.solw\"\n  \
         |         ^^^^^^^^^^"
    );
    refuses("fault = \"caw.slow\"\ndealy = \"8s\"", "did you mean \"delay\"?");
    refuses("fault = \"latency\"\nwhere = { comand = \"read\" }", "did you mean \"command\"?");
    refuses("fault = \"latency\"\nwhere = { command = \"raed\" }", "did you mean \"read\"?");
    refuses("fault = \"latency\"\nwhere = { lane = \"hartbeat\" }", "did you mean \"heartbeat\"?");
    refuses("fault = \"latency\"\nverdict = \"retry\"", "did you mean \"retry-hides\"?");
    refuses("name = \"x\"", "[rule] has no fault");
    assert!(parse("sed = 1\n").unwrap_err().to_string().contains("did you mean \"seed\"?"));
}

#[test]
fn values_that_cannot_be_meant_are_refused() {
    for (text, wanted) in [
        ("fault = \"caw.slow\"\ndelay = 8", "delay must be a table, not an integer"),
        ("fault = \"caw.slow\"\ndelay = \"8\"", "delay must be a time"),
        ("fault = \"caw.slow\"\ndelay = { uniform = [\"2s\", \"1s\"] }", "the shorter one first"),
        ("fault = \"caw.slow\"\ndelay = { uniform = [\"2s\"] }", "two times"),
        ("fault = \"caw.slow\"\ndelay = { pareto = [\"1s\", \"2s\"] }", "has no shape"),
        ("fault = \"caw.slow\"\ndelay = {}", "has no uniform"),
        ("fault = \"caw.slow\"\nphase = \"later\"", "phase cannot be \"later\""),
        ("fault = \"caw.page-rmw\"\npage = \"3KiB\"", "a power of two"),
        ("fault = \"caw.page-rmw\"\npage = \"2MiB\"", "from 512 to 1MiB"),
        ("fault = \"caw.torn\"\nbytes = 0", "bytes must be a size above 0"),
        ("fault = \"torn-write\"\nbytes = \"4GiB\"", "less than 4GiB"),
        ("fault = \"status\"\nstatus = \"good\"", "status cannot be \"good\""),
        ("fault = \"status\"\nstatus = \"10/00/00\"", "a sense key up to 0f"),
        ("fault = \"status\"\nstatus = \"0b/44\"", "key/ASC/ASCQ"),
        ("fault = \"not-ready\"\nasc = \"05/00\"", "with ASC 04"),
        ("fault = \"stall\"\nduration = \"0s\"", "a time above 0"),
        ("fault = \"misdirected-write\"\ndistance = 0", "other than 0"),
        ("fault = \"stale-compare\"\nage = 0", "from 1 on"),
        ("fault = \"latency\"\nwhen = { chance = \"0%\" }", "above \"0%\""),
        ("fault = \"latency\"\nwhen = { chance = \"101%\" }", "up to \"100%\""),
        ("fault = \"latency\"\nwhen = { at-most = 0 }", "from 1 on"),
        ("fault = \"latency\"\nwhen = { burst = 0 }", "from 1 on"),
        ("fault = \"latency\"\nwhen = { for = \"0s\" }", "a time above 0"),
        ("fault = \"latency\"\nwhen = { commands = [0] }", "from 1 on"),
        ("fault = \"latency\"\nwhen = { in-flight = 4097 }", "ever has in flight"),
        ("fault = \"latency\"\nwhere = { lba = \"8..8\" }", "first below end"),
        ("fault = \"latency\"\nwhere = { command = 0xff }", "an operation code that is served"),
        ("fault = \"latency\"\nwhere = { host = \"esx1\" }", "the UUID of a host"),
    ] {
        refuses(text, wanted);
    }
}

#[test]
fn a_rule_that_never_hits_is_refused() {
    for (text, wanted) in [
        ("fault = \"caw.slow\"\nwhere = { command = \"read\" }", "caw.slow happens to caw"),
        ("fault = \"not-ready\"\nwhere = { command = \"inquiry\" }", "every command but inquiry"),
        ("fault = \"not-ready\"\nwhere = { command = 0x03 }", "never to command 03h"),
        ("fault = \"lost-write\"\nwhere = { command = 0x8b }", "never to command 8Bh"),
        ("fault = \"latency\"\nwhere = { command = 0xa0 }", "never to command A0h"),
        ("fault = \"caw.slow\"\nwhere = { command = [\"caw\", \"read\"] }", "never to READ"),
        ("fault = \"latency\"\nwhere = { command = \"extended-copy\", lba = 1 }", "touch blocks"),
        ("fault = \"caw.slow\"\nwhere = { command = 0x28 }", "caw.slow happens to caw"),
        ("fault = \"caw.slow\"\nwhere = { lane = \"bulk\" }", "of the bulk lane"),
        ("fault = \"unmap.late\"\nwhere = { lane = \"heartbeat\" }", "of the heartbeat lane"),
        ("fault = \"latency\"\nwhere = { command = \"inquiry\", lba = 1 }", "touch blocks"),
        ("fault = \"zero.lie-read\"\nwhere = { slot = 1 }", "bring a block"),
        ("fault = \"latency\"\nwhere = { slot = 1, lock = 2 }", "lock is of a lock"),
        ("fault = \"latency\"\nwhere = { vmfs = \"any\", slot = 1 }", "the rule wants any"),
        ("fault = \"latency\"\nwhen = { nth = 1, every = 2 }", "every and nth both say"),
        ("fault = \"latency\"\nwhen = { period = \"1s\" }", "must say for how long"),
        ("fault = \"latency\"\nwhen = { for = \"2s\", period = \"1s\" }", "is over before"),
        (
            "name = \"a\"\nfault = \"drop\"\n[[rule]]\nname = \"a\"\nfault = \"stall\"",
            "another rule",
        ),
        ("fault = \"drop\"\n[[rule]]\nfault = \"caw.twice\"", "\"drop\" hits every command"),
    ] {
        refuses(text, wanted);
    }
    let late = "for = \"1s\"\n[[rule]]\nfault = \"drop\"\nwhen = { after = \"1s\" }\n";
    assert!(parse(late).unwrap_err().to_string().contains("the plan is disarmed already"));
}

#[test]
fn a_rule_for_what_has_no_family_is_taken_where_it_can_hit() {
    for text in [
        "fault = \"medium-error\"\nwhere = { command = 0x34, lba = 1 }",
        "fault = \"lost-write\"\nwhere = { command = 0x7f }",
        "fault = \"latency\"\nwhere = { command = 0x4d, lane = \"bulk\" }",
        "fault = \"not-ready\"\n[[rule]]\nfault = \"latency\"",
    ] {
        rule(text);
    }
}

#[test]
fn a_rule_for_no_logical_unit_is_refused_once_they_are_known() {
    let lun =
        |name: &str, blocks| KnownLun { name: name.to_owned(), blocks: BlockCount::new(blocks) };
    let luns = [lun("ds1", 100), lun("ds2", 1000)];
    let problem = |place: &str| {
        let text = format!("[[rule]]\nfault = \"latency\"\nwhere = {{ {place} }}\n");
        Plan::parse_for("p", &text, &luns).err().map(|error| error.problem().to_string())
    };
    assert_eq!(problem("lun = \"ds*\", lba = \"999..2000\""), None);
    assert_eq!(
        problem("lun = \"ds3\"").unwrap(),
        "no logical unit is called so; there are ds1, ds2"
    );
    assert!(problem("lun = \"ds1\", lba = \"100..200\"").unwrap().contains("has 100 blocks"));
    assert!(problem("lba = 1000").unwrap().contains("has 1000 blocks"));
}

#[test]
fn a_plan_is_told_from_a_configuration() {
    assert!(Plan::is_meant_by("seed = 1\n") && Plan::is_meant_by(FULL));
    assert!(!Plan::is_meant_by("") && !Plan::is_meant_by("[daemon]\nlog = \"info\"\n"));
}

#[test]
fn a_plan_without_rules_breaks_nothing() {
    assert_eq!(parse("seed = 3\n").unwrap().rules, []);
}
