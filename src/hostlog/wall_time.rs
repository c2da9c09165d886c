//! Moments of wall clocks: of the hosts', as their logs have them, and of the target's.

use std::fmt;

use crate::scan::Scan;

/// Microseconds in a second.
pub(crate) const SECOND_US: i64 = 1_000_000;

const DAY_S: i64 = 24 * 60 * 60;

/// The months as RFC 3164 abbreviates them.
const MONTHS: [&str; 12] =
    ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

/// A moment by somebody's wall clock: microseconds since 1970-01-01T00:00:00Z. Whose clock it is,
/// and how far that is off, is not part of it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct WallTime(i64);

impl WallTime {
    /// The moment so many microseconds after 1970.
    pub const fn from_micros(micros: i64) -> Self {
        Self(micros)
    }

    /// Microseconds since 1970.
    pub const fn as_micros(self) -> i64 {
        self.0
    }

    /// How many microseconds this is after `other`; negative if it is before. Saturates.
    pub const fn micros_after(self, other: Self) -> i64 {
        self.0.saturating_sub(other.0)
    }

    /// The moment `micros` microseconds earlier. Saturates.
    #[must_use]
    pub const fn earlier_by(self, micros: i64) -> Self {
        Self(self.0.saturating_sub(micros))
    }

    /// Reads `2016-06-28T13:15:56.432Z`, with any number of decimals or none, and `Z` or an offset such as `+02:00`;
    /// nothing may follow.
    pub fn parse_iso(text: &str) -> Option<Self> {
        let mut scan = Scan::new(text);
        Self::scan_iso(&mut scan).filter(|_| scan.rest().is_empty())
    }

    /// Takes `2016-06-28T13:15:56.432Z`, with any number of decimals or none, and `Z` or an offset
    /// such as `+02:00` (ESXi 5 and later; ISO 8601, RFC 3339).
    pub(crate) fn scan_iso(scan: &mut Scan<'_>) -> Option<Self> {
        let mut ahead = *scan;
        let year = ahead.digits(4)?;
        ahead.literal("-")?;
        let month = ahead.digits(2)?;
        ahead.literal("-")?;
        let day = ahead.digits(2)?;
        ahead.literal("T")?;
        let midnight = days_since_1970(year, month, day)? * DAY_S;
        let second = time_of_day(&mut ahead)?;
        let fraction = ahead.literal(".").and_then(|()| fraction_us(&mut ahead)).unwrap_or(0);
        let offset = zone_offset_s(&mut ahead)?;
        *scan = ahead;
        Some(Self((midnight + second - offset) * SECOND_US + fraction))
    }

    /// Takes `Jul 10 01:10:19` (RFC 3164; ESX 3.5 and 4). It names neither year nor zone: the year
    /// is the one that brings it nearest to `near`, and the zone is taken for UTC; one that is not
    /// comes out as part of the clock's skew.
    pub(crate) fn scan_rfc_3164(scan: &mut Scan<'_>, near: Self) -> Option<Self> {
        let mut ahead = *scan;
        let name = ahead.word()?;
        let month = u32::try_from(MONTHS.iter().position(|month| *month == name)?).ok()? + 1;
        ahead.spaces();
        let day = u32::try_from(ahead.decimal()?).ok()?;
        ahead.literal(" ")?;
        let second = time_of_day(&mut ahead)?;
        let year = near.year();
        let moment = [year.saturating_sub(1), year, year.saturating_add(1)]
            .into_iter()
            .filter_map(|year| days_since_1970(year, month, day))
            .map(|days| Self((days * DAY_S + second) * SECOND_US))
            .min_by_key(|moment| moment.micros_after(near).unsigned_abs())?;
        *scan = ahead;
        Some(moment)
    }

    /// Year, month and day.
    fn date(self) -> (i64, i64, i64) {
        // H. Hinnant, "chrono-compatible low-level date algorithms", civil_from_days: years that
        // begin in March, so that the day that a leap year has more is the last of its year.
        let days = self.0.div_euclid(DAY_S * SECOND_US) + 719_468;
        let era = days.div_euclid(146_097);
        let day_of_era = days.rem_euclid(146_097);
        let year_of_era =
            (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
        let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
        let march_month = (5 * day_of_year + 2) / 153;
        let day = day_of_year - (153 * march_month + 2) / 5 + 1;
        let month = if march_month < 10 { march_month + 3 } else { march_month - 9 };
        (year_of_era + era * 400 + i64::from(month <= 2), month, day)
    }

    fn year(self) -> u32 {
        u32::try_from(self.date().0).unwrap_or(0)
    }
}

impl fmt::Display for WallTime {
    /// ISO 8601 in UTC, with three decimals or as many as the format says, up to six.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (year, month, day) = self.date();
        let in_day = self.0.rem_euclid(DAY_S * SECOND_US);
        let (second, fraction) = (in_day / SECOND_US, in_day % SECOND_US);
        let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
        write!(f, "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}")?;
        let digits = f.precision().unwrap_or(3).min(6);
        if digits > 0 {
            let micros = format!("{fraction:06}");
            write!(f, ".{}", &micros[..digits])?;
        }
        f.write_str("Z")
    }
}

impl fmt::Debug for WallTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "WallTime({self})")
    }
}

/// Days from 1970-01-01 to a date; `None` if there is no such date.
fn days_since_1970(year: u32, month: u32, day: u32) -> Option<i64> {
    let leap = year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
    let length = match month {
        2 => 28 + u32::from(leap),
        4 | 6 | 9 | 11 => 30,
        1..=12 => 31,
        _ => return None,
    };
    if !(1..=length).contains(&day) || year > 9999 {
        return None;
    }
    // As in `WallTime::date`, the other way round.
    let year = i64::from(year) - i64::from(month <= 2);
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let march_month = i64::from((month + 9) % 12);
    let day_of_year = (153 * march_month + 2) / 5 + i64::from(day) - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    Some(era * 146_097 + day_of_era - 719_468)
}

/// Takes `hh:mm:ss`: seconds since midnight. Second 60 is a leap second.
fn time_of_day(scan: &mut Scan<'_>) -> Option<i64> {
    let hour = scan.digits(2)?;
    scan.literal(":")?;
    let minute = scan.digits(2)?;
    scan.literal(":")?;
    let second = scan.digits(2)?;
    (hour < 24 && minute < 60 && second <= 60)
        .then(|| i64::from(hour * 3600 + minute * 60 + second))
}

/// Takes decimals of a second, in microseconds; those after the sixth are dropped.
fn fraction_us(scan: &mut Scan<'_>) -> Option<i64> {
    let mut micros = 0;
    let mut worth = SECOND_US / 10;
    let mut digits = 0;
    while let Some(digit) = scan.digits(1) {
        micros += i64::from(digit) * worth;
        worth /= 10;
        digits += 1;
    }
    (digits > 0).then_some(micros)
}

/// Takes `Z`, or `+hh:mm` or `-hh:mm`: seconds east of Greenwich.
fn zone_offset_s(scan: &mut Scan<'_>) -> Option<i64> {
    if scan.literal("Z").is_some() {
        return Some(0);
    }
    let east = scan.literal("+").is_some();
    if !east {
        scan.literal("-")?;
    }
    let hours = scan.digits(2)?;
    scan.literal(":")?;
    let minutes = scan.digits(2)?;
    let offset = i64::from(hours * 3600 + minutes * 60);
    Some(if east { offset } else { -offset })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn iso(text: &str) -> Option<WallTime> {
        WallTime::scan_iso(&mut Scan::new(text))
    }

    #[test]
    fn iso_times_are_read_and_written() {
        for (text, micros) in [
            ("1970-01-01T00:00:00.000Z", 0),
            ("2016-06-28T13:15:56.432Z", 1_467_119_756_432_000),
            ("2000-02-29T23:59:59.999Z", 951_868_799_999_000),
            ("1969-12-31T23:59:59.000Z", -1_000_000),
        ] {
            assert_eq!(iso(text), Some(WallTime(micros)), "{text}");
            assert_eq!(WallTime(micros).to_string(), text);
        }
        assert_eq!(iso("2016-06-28T15:15:56.432+02:00"), iso("2016-06-28T13:15:56.432Z"));
        assert_eq!(iso("2016-06-28T13:15:56Z"), iso("2016-06-28T13:15:56.000Z"));
    }

    #[test]
    fn what_is_no_date_is_none() {
        for text in [
            "2015-02-29T00:00:00Z",
            "2016-13-01T00:00:00Z",
            "2016-06-28T24:00:00Z",
            "2016-06-28T13:15:56.432",
            "2016-06-28 13:15:56.432Z",
        ] {
            assert_eq!(iso(text), None, "{text}");
        }
    }

    #[test]
    fn rfc_3164_takes_the_nearest_year() {
        let old = |text, near| {
            WallTime::scan_rfc_3164(&mut Scan::new(text), iso(near).unwrap()).unwrap().to_string()
        };
        let new_year = "2012-01-02T00:00:00Z";
        assert_eq!(old("Dec 31 23:59:58 esx01", new_year), "2011-12-31T23:59:58.000Z");
        assert_eq!(old("Jan  1 00:00:01 esx01", new_year), "2012-01-01T00:00:01.000Z");
        // Only one of the three years has the day.
        assert_eq!(
            old("Feb 29 12:00:00 esx01", "2011-06-01T00:00:00Z"),
            "2012-02-29T12:00:00.000Z"
        );
    }
}
