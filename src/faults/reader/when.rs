//! `when = { … }`.

use std::time::Duration;

use pulsefield_engine::limits::TASKS_MAX;
use pulsefield_settings::{DeValue, Diagnostic, Item, Problem, Section, Time, value};

use super::{Contradiction, positive, some_time};
use crate::{Chance, Select, When};

/// Reads it, in a plan that is disarmed after `plan_lasting`.
pub(super) fn read(
    mut section: Section<'_>,
    plan_lasting: Option<Duration>,
) -> Result<When, Box<Diagnostic>> {
    let default = When::default();
    let select = select(&mut section)?;
    let burst = section.value("burst", positive::<u32>)?;
    let after = section.item("after");
    let lasting = section.value("for", some_time)?;
    let period = section.item("period");
    let at_most = section.value("at-most", positive::<u64>)?;
    let in_flight = section.value("in-flight", in_flight)?.unwrap_or(default.in_flight);
    section.finish()?;
    let after = after.map_or(Ok(default.after), |item| delay_after(&item, plan_lasting))?;
    let period = period.map(|item| period_of(&item, lasting)).transpose()?;
    Ok(When {
        select,
        burst: burst.and_then(|burst| burst.try_into().ok()).unwrap_or(default.burst),
        after,
        lasting: lasting.map(Time::duration),
        period,
        at_most: at_most.and_then(|at_most| at_most.try_into().ok()),
        in_flight,
    })
}

fn select(section: &mut Section<'_>) -> Result<Select, Box<Diagnostic>> {
    type Read = fn(&Item<'_>) -> Result<Select, Box<Diagnostic>>;
    const SELECTORS: [(&str, Read); 4] = [
        ("nth", |item| {
            item.read(positive::<u64>).map(|nth| nth.try_into().map_or(Select::All, Select::Nth))
        }),
        ("every", |item| {
            item.read(positive::<u64>).map(|n| n.try_into().map_or(Select::All, Select::Every))
        }),
        ("chance", |item| item.read(chance).map(Select::Chance)),
        ("commands", |item| commands(item).map(Select::Commands)),
    ];
    let mut found: Option<(&str, Select)> = None;
    for (key, read) in SELECTORS {
        let Some(item) = section.item(key) else { continue };
        if let Some((other, _)) = found {
            return Err(Contradiction::TwoSelectors { key, other }.at(&item));
        }
        found = Some((key, read(&item)?));
    }
    Ok(found.map_or(Select::All, |(_, select)| select))
}

fn delay_after(
    item: &Item<'_>,
    plan_lasting: Option<Duration>,
) -> Result<Duration, Box<Diagnostic>> {
    let after = item.read(Time::read)?;
    match plan_lasting.map(Time::from) {
        Some(lasting) if after >= lasting => {
            Err(Contradiction::AfterTheEnd { after, lasting }.at(item))
        }
        Some(_) | None => Ok(after.duration()),
    }
}

fn period_of(item: &Item<'_>, lasting: Option<Time>) -> Result<Duration, Box<Diagnostic>> {
    let period = item.read(some_time)?;
    match lasting {
        None => Err(Contradiction::PeriodWithoutFor.at(item)),
        Some(lasting) if period <= lasting => {
            Err(Contradiction::ShortPeriod { period, lasting }.at(item))
        }
        Some(_) => Ok(period.duration()),
    }
}

fn in_flight(key: &'static str, value: &DeValue<'_>) -> Result<u32, Problem> {
    let number = positive::<u32>(key, value)?;
    match usize::try_from(number) {
        Ok(possible) if possible <= TASKS_MAX => Ok(number),
        Ok(_) | Err(_) => Err(Problem::Value {
            key,
            expected: "no more than a logical unit ever has in flight, 4096",
            found: number.to_string(),
        }),
    }
}

/// The numbers of commands, in ascending order.
fn commands(item: &Item<'_>) -> Result<Vec<u64>, Box<Diagnostic>> {
    let mut numbers = item.read_each(positive::<u64>)?;
    numbers.sort_unstable();
    numbers.dedup();
    Ok(numbers)
}

/// A part of all, as `"0.5%"`.
fn chance(key: &'static str, value: &DeValue<'_>) -> Result<Chance, Problem> {
    let text = value::string(key, value)?;
    percent(text).and_then(Chance::new).ok_or_else(|| Problem::Value {
        key,
        expected: "a percentage above \"0%\" and up to \"100%\", with at most 7 decimals",
        found: format!("\"{text}\""),
    })
}

/// So many of [`Chance::WHOLE`].
fn percent(text: &str) -> Option<u32> {
    /// Of a percent, that many billionths.
    const DECIMALS: usize = 7;
    let number = text.strip_suffix('%')?;
    let (whole, fraction) = number.split_once('.').unwrap_or((number, "0"));
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|c| c.is_ascii_digit());
    if !digits(whole) || !digits(fraction) || fraction.len() > DECIMALS {
        return None;
    }
    format!("{whole}{fraction:0<DECIMALS$}").parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentages_have_decimals() {
        assert_eq!(percent("100%"), Some(Chance::WHOLE));
        assert_eq!(percent("0.5%"), Some(5_000_000));
        assert_eq!(percent("0.0000001%"), Some(1));
        for text in ["1", "%", "-1%", "+1%", "1.%", ".5%", "0.00000001%", "1e2%"] {
            assert_eq!(percent(text), None, "{text}");
        }
    }
}
