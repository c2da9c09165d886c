//! From when on something is told: a moment, or a time ago.

use std::str::FromStr;
use std::time::Duration;

use pulsefield_record::WallTime;
use pulsefield_settings::Time;
use thiserror::Error;

const SECOND_NS: u64 = 1_000_000_000;

/// From when on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Since {
    /// So long before now.
    Ago(Duration),
    /// That moment.
    Moment(WallTime),
}

/// What is written is neither.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("a time ago is written as 90s, 5min or 2h, a moment as 2023-11-14T22:13:20Z")]
pub(crate) struct SinceError;

impl Since {
    pub(super) fn moment(self, now: WallTime) -> WallTime {
        match self {
            Self::Ago(ago) => {
                let ago = u64::try_from(ago.as_nanos()).unwrap_or(u64::MAX);
                WallTime::from_nanos(now.as_nanos().saturating_sub(ago))
            }
            Self::Moment(moment) => moment,
        }
    }
}

impl FromStr for Since {
    type Err = SinceError;

    fn from_str(text: &str) -> Result<Self, SinceError> {
        let ago = Time::parse(text).map(|time| Self::Ago(time.duration()));
        ago.or_else(|| moment(text).map(Self::Moment)).ok_or(SinceError)
    }
}

/// `2023-11-14T22:13:20Z`, from 1970 on.
fn moment(text: &str) -> Option<WallTime> {
    let digits = |from: usize, length: usize| -> Option<u64> {
        let part = text.get(from..from + length)?;
        part.bytes().all(|byte| byte.is_ascii_digit()).then(|| part.parse().ok())?
    };
    let sign = |at: usize| text.as_bytes().get(at).copied();
    let signs = [4, 7, 10, 13, 16, 19].map(sign);
    if text.len() != 20 || signs != [b'-', b'-', b'T', b':', b':', b'Z'].map(Some) {
        return None;
    }
    let (year, month, day) = (digits(0, 4)?, digits(5, 2)?, digits(8, 2)?);
    let (hour, minute, second) = (digits(11, 2)?, digits(14, 2)?, digits(17, 2)?);
    let is_leap = year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
    let lengths = [31, 28 + u64::from(is_leap), 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
    let before = usize::try_from(month.checked_sub(1)?).ok()?;
    let is_day = (1..=*lengths.get(before)?).contains(&day);
    if year < 1970 || !is_day || hour > 23 || minute > 59 || second > 59 {
        return None;
    }
    let leaps = |year: u64| year / 4 - year / 100 + year / 400;
    let years = (year - 1970) * 365 + leaps(year - 1) - leaps(1969);
    let days = years + lengths[..before].iter().sum::<u64>() + day - 1;
    let seconds = days * 86_400 + hour * 3_600 + minute * 60 + second;
    seconds.checked_mul(SECOND_NS).map(WallTime::from_nanos)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_and_times_ago() {
        let now = WallTime::from_nanos(1_700_000_100 * SECOND_NS);
        for (text, seconds) in [
            ("100s", 1_700_000_000),
            ("2023-11-14T22:13:20Z", 1_700_000_000),
            ("1970-01-01T00:00:00Z", 0),
            ("2000-02-29T00:00:00Z", 951_782_400),
            ("2100-03-01T00:00:00Z", 4_107_542_400),
            ("2h", 1_699_992_900),
        ] {
            let since: Since = text.parse().unwrap();
            assert_eq!(since.moment(now).as_nanos() / SECOND_NS, seconds, "{text}");
        }
    }

    #[test]
    fn what_is_neither_is_refused() {
        for text in [
            "",
            "yesterday",
            "2023-11-14",
            "2023-11-14 22:13:20Z",
            "2023-11-31T00:00:00Z",
            "2023-02-29T00:00:00Z",
            "2023-00-01T00:00:00Z",
            "2023-13-01T00:00:00Z",
            "1969-12-31T23:59:59Z",
            "2023-11-14T24:00:00Z",
            "+023-11-14T22:13:20Z",
            "9999-12-31T23:59:59Z",
        ] {
            assert_eq!(text.parse::<Since>(), Err(SinceError), "{text}");
        }
    }
}
