//! What a rule will do, as a sentence.

use std::fmt::Write as _;

use pulsefield_settings::Time;

use crate::{
    Chance, CommandSelector, Family, LunPattern, Plan, Rule, Select, VmfsSelector, When, Where,
};

impl Plan {
    /// What the plan will do: a paragraph about the plan, and one for each rule.
    pub fn sentences(&self) -> Vec<String> {
        let mut about = match self.rules.len() {
            0 => "Nothing is broken: the plan has no rules.".to_owned(),
            1 => format!("One rule, seed {}.", self.seed),
            rules => {
                format!("{rules} rules, seed {}. The first that hits a command has it.", self.seed)
            }
        };
        if let Some(lasting) = self.lasting {
            let _ = write!(about, " Disarmed {} after it was armed.", Time::from(lasting));
        }
        if let Some(hits) = self.hits {
            let _ = write!(about, " Disarmed after {hits} hits.");
        }
        std::iter::once(about).chain(self.rules.iter().map(Rule::sentence)).collect()
    }
}

impl Rule {
    /// What the rule will do.
    pub fn sentence(&self) -> String {
        let Self { name, place, when, fault, verdict } = self;
        let commands = commands(place, fault.families().as_deref());
        let happening = fault.happening();
        let subject = subject(when, &commands, &place_of(place));
        format!("{name}: {subject} {happening}.{} {}", conditions(when), verdict.sentence())
    }
}

fn commands(place: &Where, families: Option<&[Family]>) -> String {
    let chosen: Vec<String> = match (&place.commands[..], families) {
        ([], None) => return "command".to_owned(),
        ([], Some(families)) => {
            families.iter().map(|family| family.t10_name().to_owned()).collect()
        }
        (chosen, _) => chosen.iter().map(|selector| selector.words()).collect(),
    };
    list(&chosen, "or")
}

fn subject(when: &When, commands: &str, place: &str) -> String {
    match &when.select {
        Select::All => format!("every {commands}{place}"),
        Select::Nth(nth) => format!("{commands} number {nth}{place}"),
        Select::Every(every) => format!("one {commands} in {every}{place}"),
        Select::Chance(chance) => {
            format!("every {commands}{place}, with a chance of {},", chance.words())
        }
        Select::Commands(numbers) => {
            format!("every {commands}{place} that is one of the {} commands listed", numbers.len())
        }
    }
}

fn place_of(place: &Where) -> String {
    let mut text = String::new();
    if !place.luns.is_empty() {
        let luns: Vec<_> = place.luns.iter().map(LunPattern::as_str).collect();
        let _ = write!(text, " to {}", list(&luns, "or"));
    }
    if let Some(lane) = place.lane {
        let _ = write!(text, " in the {} lane", lane.name());
    }
    if !place.blocks.is_empty() {
        let ranges: Vec<_> = place.blocks.iter().map(ToString::to_string).collect();
        let _ = write!(text, " on blocks {}", list(&ranges, "or"));
    }
    if let Some(vmfs) = &place.vmfs {
        let _ = write!(text, " that brings {}", vmfs.words());
    }
    text
}

fn conditions(when: &When) -> String {
    let mut hits = Vec::new();
    if when.burst.get() > 1 {
        hits.push(format!("{} in a row", when.burst));
    }
    if let Some(at_most) = when.at_most {
        hits.push(format!("at most {at_most} in all"));
    }
    if when.in_flight > 0 {
        hits.push(format!("only while {} or more are in flight", when.in_flight));
    }
    let mut awake = Vec::new();
    if !when.after.is_zero() {
        awake.push(format!("from {} after arming on", Time::from(when.after)));
    }
    if let Some(lasting) = when.lasting {
        awake.push(format!("for {}", Time::from(lasting)));
    }
    if let Some(period) = when.period {
        awake.push(format!("again every {}", Time::from(period)));
    }
    let sentence = |beginning: &str, parts: &[String]| match parts {
        [] => String::new(),
        parts => format!(" {beginning} {}.", parts.join(", ")),
    };
    sentence("It hits", &hits) + &sentence("It is awake", &awake)
}

impl CommandSelector {
    pub(crate) fn words(self) -> String {
        match self {
            Self::Family(family) => family.t10_name().to_owned(),
            Self::Opcode(opcode) => format!("command {opcode:02X}h"),
        }
    }
}

impl Family {
    /// What T10 calls it.
    pub const fn t10_name(self) -> &'static str {
        match self {
            Self::Read => "READ",
            Self::Write => "WRITE",
            Self::CompareAndWrite => "COMPARE AND WRITE",
            Self::Verify => "VERIFY",
            Self::WriteSame => "WRITE SAME",
            Self::Unmap => "UNMAP",
            Self::SynchronizeCache => "SYNCHRONIZE CACHE",
            Self::GetLbaStatus => "GET LBA STATUS",
            Self::ExtendedCopy => "EXTENDED COPY",
            Self::Inquiry => "INQUIRY",
            Self::TestUnitReady => "TEST UNIT READY",
        }
    }
}

impl Chance {
    /// As a percentage.
    pub(crate) fn words(self) -> String {
        /// A percent.
        const PERCENT: u32 = Chance::WHOLE / 100;
        let (whole, rest) = (self.billionths() / PERCENT, self.billionths() % PERCENT);
        match rest {
            0 => format!("{whole}%"),
            rest => format!("{whole}.{}%", format!("{rest:07}").trim_end_matches('0')),
        }
    }
}

impl VmfsSelector {
    fn words(&self) -> String {
        let (mut text, host) = match self {
            Self::Any { host } => ("a heartbeat or lock".to_owned(), host),
            Self::Heartbeat { slot: None, host } => ("a heartbeat".to_owned(), host),
            Self::Heartbeat { slot: Some(slot), host } => (format!("heartbeat slot {slot}"), host),
            Self::Lock { address, mode, host } => {
                let mode = mode.map_or(String::new(), |mode| format!("{} ", mode.name()));
                match address {
                    None => (format!("a {mode}lock"), host),
                    Some(address) => {
                        (format!("the {mode}lock at byte {address} of the volume"), host)
                    }
                }
            }
        };
        if let Some(host) = host {
            let _ = write!(text, " of host {host}");
        }
        text
    }
}

/// `a, b or c`.
fn list<T: AsRef<str>>(items: &[T], conjunction: &str) -> String {
    let items: Vec<&str> = items.iter().map(AsRef::as_ref).collect();
    match items.split_last() {
        Some((last, rest @ [_, ..])) => format!("{} {conjunction} {last}", rest.join(", ")),
        Some((last, _)) => (*last).to_owned(),
        None => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rule_is_explained() {
        let text = "[[rule]]\nname = \"slow pulse\"\nfault = \"caw.slow\"\ndelay = \"8s\"\n\
            where = { lun = \"ds*\", slot = 64, host = \"685eb8eb-7f3e3890-4544-bc2411b17e28\" }\n\
            when = { every = 20, at-most = 3, after = \"30s\" }\n";
        let plan = Plan::parse("p", text).unwrap();
        assert_eq!(
            plan.sentences(),
            [
                "One rule, seed 1.",
                "slow pulse: one COMPARE AND WRITE in 20 to ds* that brings heartbeat slot 64 of \
                 host 685eb8eb-7f3e3890-4544-bc2411b17e28 is delayed by 8s after it is carried \
                 out. It hits at most 3 in all. It is awake from 30s after arming on. The \
                 initiator is told, or waits in vain.",
            ]
        );
    }

    #[test]
    fn chances_are_written_as_percentages() {
        for (billionths, words) in [(1_000_000_000, "100%"), (5_000_000, "0.5%"), (1, "0.0000001%")]
        {
            assert_eq!(Chance::new(billionths).unwrap().words(), words);
        }
    }
}
