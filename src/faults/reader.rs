//! A plan as people write it: TOML in, a typed plan or the first thing that is wrong out.
//!
//! ```toml
//! seed = 7
//!
//! [[rule]]
//! name = "slow pulse"
//! fault = "caw.slow"
//! delay = "8s"
//! where = { vmfs = "heartbeat", host = "685eb8eb-7f3e3890-4544-bc2411b17e28" }
//! when = { after = "30s", every = 20, at-most = 3 }
//! verdict = "initiator-sees"
//! ```

mod fault;
mod place;
mod when;

use std::num::NonZeroU64;

use pulsefield_settings::{DeValue, Diagnostic, Item, Problem, Section, Time, value};
use pulsefield_units::BlockCount;
use thiserror::Error;

use crate::catalogue::Entry;
use crate::reach::served;
use crate::{Plan, Rule, Verdict, Where};

/// The seed of a plan that does not say one.
const SEED: u64 = 1;

/// A logical unit that a plan may be armed for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KnownLun {
    /// Its name.
    pub name: String,
    /// Its capacity.
    pub blocks: BlockCount,
}

/// Why a rule that can be read makes no sense.
#[derive(Debug, Error)]
enum Contradiction {
    #[error("{fault} happens to {possible}, and never to {selector}")]
    NotForCommands { fault: &'static str, possible: String, selector: String },
    #[error("none of the commands that are left are of the {lane} lane")]
    NotInLane { lane: &'static str },
    #[error("none of the commands that are left touch blocks")]
    NoBlocks,
    #[error("none of the commands that are left bring a block: only write and caw do")]
    BringsNothing,
    #[error("{key} is of a {object}, and the rule wants {wanted}")]
    OtherObject { key: &'static str, object: &'static str, wanted: &'static str },
    #[error("{key} and {other} both say which commands are hit; one of them can")]
    TwoSelectors { key: &'static str, other: &'static str },
    #[error("a period of {period} is over before the rule has been awake for {lasting}")]
    ShortPeriod { period: Time, lasting: Time },
    #[error("a rule that wakes again must say for how long it is awake: for")]
    PeriodWithoutFor,
    #[error("after {after} the plan is disarmed already: it lasts for {lasting}")]
    AfterTheEnd { after: Time, lasting: Time },
    #[error("\"{name}\" is the name of another rule")]
    SameName { name: String },
    #[error("it never hits: \"{earlier}\" hits every command that it is for")]
    Shadowed { earlier: String },
    #[error("no logical unit is called so; there are {known}")]
    NoSuchLun { known: String },
    #[error(
        "it lies outside every logical unit that is meant, the largest of which has {blocks} blocks"
    )]
    OutsideEveryLun { blocks: BlockCount },
}

impl Contradiction {
    fn at(&self, item: &Item<'_>) -> Box<Diagnostic> {
        item.diagnostic(Problem::senseless(self))
    }
}

impl Plan {
    /// Reads a plan; errors call it `file`.
    ///
    /// # Errors
    /// The first thing that is wrong in it, and where: what is no plan, what contradicts itself, and
    /// what can never happen.
    pub fn parse(file: &str, text: &str) -> Result<Self, Box<Diagnostic>> {
        read(Section::parse(file, text)?, None)
    }

    /// Reads a plan that is to be armed for some of `luns`, which are all there are.
    ///
    /// # Errors
    /// As [`Plan::parse`]; besides, a rule that is for none of them.
    pub fn parse_for(file: &str, text: &str, luns: &[KnownLun]) -> Result<Self, Box<Diagnostic>> {
        read(Section::parse(file, text)?, Some(luns))
    }

    /// Whether `text` is meant to be a plan and not a configuration: every plan has rules or a seed,
    /// and no configuration has either.
    pub fn is_meant_by(text: &str) -> bool {
        Section::parse("", text)
            .is_ok_and(|mut file| file.item("seed").or_else(|| file.item("rule")).is_some())
    }
}

fn read(mut file: Section<'_>, luns: Option<&[KnownLun]>) -> Result<Plan, Box<Diagnostic>> {
    let seed = file.value("seed", natural)?.unwrap_or(SEED);
    let lasting = file.value("for", some_time)?.map(Time::duration);
    let hits = file.value("at-most", positive)?.map(NonZeroU64::get);
    let mut plan = Plan { seed, lasting, hits, rules: Vec::new() };
    for section in file.sections("rule")? {
        let rule = read_rule(section, &plan, luns)?;
        plan.rules.push(rule);
    }
    file.finish()?;
    Ok(plan)
}

/// A rule after those of `plan`.
fn read_rule(
    mut section: Section<'_>,
    plan: &Plan,
    luns: Option<&[KnownLun]>,
) -> Result<Rule, Box<Diagnostic>> {
    let name = section.item("name");
    let fault = section.required("fault", "the name of a fault", |key, value| {
        let word = value::string(key, value)?;
        Entry::find(word).ok_or_else(|| Problem::word(key, word, Entry::names()))
    })?;
    let verdict = section.value("verdict", verdict)?.unwrap_or(fault.verdict);
    let place = section.section("where")?;
    let when = section.section("when")?;
    let fault = fault::read(fault, &mut section)?;
    let place = place::read(place, &fault, luns)?;
    let when = when::read(when, plan.lasting)?;
    let name = match name {
        Some(item) => {
            let name = item.read(|key, value| value::string(key, value).map(str::to_owned))?;
            if plan.rules.iter().any(|rule| rule.name == name) {
                return Err(Contradiction::SameName { name }.at(&item));
            }
            name
        }
        None => unused_name(fault.name(), plan),
    };
    let rule = Rule { name, place, when, fault, verdict };
    if let Some(earlier) = plan.rules.iter().find(|earlier| hides(earlier, &rule)) {
        let shadowed = Contradiction::Shadowed { earlier: earlier.name.clone() };
        return Err(section.diagnostic(Problem::senseless(&shadowed)));
    }
    section.finish()?;
    Ok(rule)
}

/// `name`, with a number if a rule of the plan has it already.
fn unused_name(name: &str, plan: &Plan) -> String {
    let used = |name: &str| plan.rules.iter().any(|rule| rule.name == name);
    let numbered = (2..).map(|number| format!("{name}-{number}"));
    std::iter::once(name.to_owned())
        .chain(numbered)
        .find(|name| !used(name))
        .unwrap_or_else(|| name.to_owned())
}

/// Whether nothing is left for `later`: `earlier` hits whatever it is for, for ever, and that is all
/// that `later` is for.
fn hides(earlier: &Rule, later: &Rule) -> bool {
    let everywhere = earlier.place == Where::default() || earlier.place == later.place;
    let left =
        |command| later.fault.can_happen_to(command) && !earlier.fault.can_happen_to(command);
    let everything = !served().iter().any(|(_, command)| left(command));
    everywhere && everything && earlier.when == crate::When::default()
}

fn verdict(key: &'static str, value: &DeValue<'_>) -> Result<Verdict, Problem> {
    let word = value::string(key, value)?;
    Verdict::ALL
        .into_iter()
        .find(|verdict| verdict.name() == word)
        .ok_or_else(|| Problem::word(key, word, Verdict::ALL.map(Verdict::name).to_vec()))
}

/// A number from 0 on.
fn natural(key: &'static str, value: &DeValue<'_>) -> Result<u64, Problem> {
    let number = value::integer(key, value)?;
    u64::try_from(number).map_err(|_| Problem::Value {
        key,
        expected: "a number from 0 on",
        found: number.to_string(),
    })
}

/// A number from 1 on, as `N` has it.
fn positive<N: TryFrom<u64>>(key: &'static str, value: &DeValue<'_>) -> Result<N, Problem> {
    let number = value::integer(key, value)?;
    let positive = u64::try_from(number).ok().filter(|number| *number > 0);
    positive.and_then(|number| N::try_from(number).ok()).ok_or_else(|| Problem::Value {
        key,
        expected: "a number from 1 on",
        found: number.to_string(),
    })
}

/// A time above 0.
fn some_time(key: &'static str, value: &DeValue<'_>) -> Result<Time, Problem> {
    let time = Time::read(key, value)?;
    match time.duration().is_zero() {
        false => Ok(time),
        true => Err(Problem::Value { key, expected: "a time above 0", found: time.to_string() }),
    }
}

#[cfg(test)]
mod tests;
