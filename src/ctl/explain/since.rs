//! From when on something is told: a moment, or a time ago.

use std::str::FromStr;
use std::time::Duration;

use pulsefield_hostlog::WallTime as LogTime;
use pulsefield_record::WallTime;
use pulsefield_settings::Time;
use thiserror::Error;

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

/// `2023-11-14T22:13:20Z`, from 1970 on, and in no other way.
fn moment(text: &str) -> Option<WallTime> {
    let moment = LogTime::parse_iso(text).filter(|moment| format!("{moment:.0}") == text)?;
    let nanos = u64::try_from(moment.as_micros()).ok()?.checked_mul(1_000)?;
    Some(WallTime::from_nanos(nanos))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND_NS: u64 = 1_000_000_000;

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
