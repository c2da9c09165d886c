//! What stands before the words of a line: when it was written, by which clock.

use std::time::Duration;

use crate::WallTime;
use crate::scan::Scan;

/// When a line was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Head {
    /// The host's wall clock; `None` if the line begins with no time.
    pub at: Option<WallTime>,
    /// What that is rounded down to: a second up to version 4, a millisecond since.
    pub resolution: Duration,
    /// How long the host had been up, which version 4 and vobd write too: the clock that heartbeats
    /// are stamped with.
    pub uptime: Option<Duration>,
}

impl Head {
    /// The head of `line`, and the words after it. `near` is about when the line was written: what
    /// tells the year where the line does not.
    ///
    /// ```text
    /// 2016-06-28T13:15:56.432Z cpu31:33451)ScsiDeviceIO: …                       ESXi 5 to 7
    /// 2016-06-28T13:15:56.432Z cpu31:33451 opID=5c4)HBX: …                       the same
    /// 2026-03-29T20:49:20.931Z In(182) vmkernel: cpu77:2097375)ScsiDeviceIO: …   ESXi 8
    /// Jul 10 01:10:19 esx01 vmkernel: 12:03:44:55.123 cpu1:4107)HBX: …           ESX 3.5 and 4
    /// 2018-07-10T01:10:19.044Z: [vmfsCorrelator] 14807596740549us: [vob.…        vobd
    /// vobd[2098532] [vmfsCorrelator] 14807596740549us: [vob.…                    vobd
    /// <181>2016-06-28T13:15:56.432Z esx01.lab vmkernel: cpu31:33451)…            by a syslog server
    /// ```
    pub(crate) fn read(line: &str, near: WallTime) -> (Self, &str) {
        let mut scan = Scan::new(line);
        skip_priority(&mut scan);
        let mut head = Self { at: None, resolution: Duration::from_millis(1), uptime: None };
        if let Some(at) = WallTime::scan_iso(&mut scan) {
            head.at = Some(at);
        } else if let Some(at) = WallTime::scan_rfc_3164(&mut scan, near) {
            head.at = Some(at);
            head.resolution = Duration::from_secs(1);
        }
        let rest = scan.rest().trim_start_matches([':', ' ']);
        let (before, message) = split_at_world(rest).unwrap_or((rest, rest));
        if let Some((uptime, after)) = vobd_uptime(before) {
            head.uptime = Some(uptime);
            return (head, after);
        }
        head.uptime = before.split(' ').find_map(vmkernel_uptime);
        (head, message)
    }
}

/// Takes the priority that syslog puts in front on the wire: `<181>`.
fn skip_priority(scan: &mut Scan<'_>) {
    let mut ahead = *scan;
    if ahead.literal("<").is_some() && ahead.decimal().is_some() && ahead.literal(">").is_some() {
        *scan = ahead;
    }
}

/// What stands before and after `cpu31:33451)` or `cpu31:33451 opID=5c4)`.
fn split_at_world(text: &str) -> Option<(&str, &str)> {
    text.match_indices("cpu").find_map(|(at, _)| {
        let (before, cpu) = text.split_at_checked(at)?;
        let mut scan = Scan::new(cpu);
        scan.literal("cpu")?;
        scan.decimal()?;
        scan.literal(":")?;
        scan.decimal()?;
        if scan.literal(" opID=").is_some() {
            scan.until(")").map(|_| (before, scan.rest()))
        } else {
            scan.literal(")").map(|()| (before, scan.rest()))
        }
    })
}

/// The uptime in `14807596740549us: `, and what follows.
fn vobd_uptime(text: &str) -> Option<(Duration, &str)> {
    let (before, after) = text.split_once("us: ")?;
    let mut scan = Scan::new(before.rsplit(' ').next()?);
    let micros = scan.decimal()?;
    scan.rest().is_empty().then_some((Duration::from_micros(micros), after))
}

/// The uptime in `12:03:44:55.123`: days, hours, minutes, seconds.
fn vmkernel_uptime(word: &str) -> Option<Duration> {
    let mut scan = Scan::new(word);
    let days = scan.decimal()?;
    scan.literal(":")?;
    let hours = scan.digits(2)?;
    scan.literal(":")?;
    let minutes = scan.digits(2)?;
    scan.literal(":")?;
    let seconds = scan.digits(2)?;
    scan.literal(".")?;
    let millis = scan.digits(3)?;
    let seconds = u64::from(hours * 3600 + minutes * 60 + seconds);
    let seconds = days.checked_mul(24 * 60 * 60)?.checked_add(seconds)?;
    scan.rest()
        .is_empty()
        .then(|| Duration::from_secs(seconds) + Duration::from_millis(millis.into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(line: &str) -> (Head, &str) {
        // 2012-01-01.
        Head::read(line, WallTime::from_micros(1_325_376_000_000_000))
    }

    #[test]
    fn heads_of_all_versions() {
        let iso = "2018-07-10T01:10:19.044Z";
        for (line, at, uptime_us) in [
            ("2018-07-10T01:10:19.044Z cpu31:33451)HBX: words", Some(iso), None),
            ("2018-07-10T01:10:19.044Z cpu31:33451 opID=5c4)HBX: words", Some(iso), None),
            ("2018-07-10T01:10:19.044Z In(182) vmkernel: cpu77:2)HBX: words", Some(iso), None),
            ("<181>2018-07-10T01:10:19.044Z esx01 vmkernel: cpu7:2)HBX: words", Some(iso), None),
            (
                "Jul 10 01:10:19 esx01 vmkernel: 12:03:44:55.123 cpu1:4107)HBX: words",
                Some("2011-07-10T01:10:19.000Z"),
                Some(1_050_295_123_000),
            ),
            (
                "2018-07-10T01:10:19.044Z: [vmfsCorrelator] 14807596740549us: HBX: words",
                Some(iso),
                Some(14_807_596_740_549),
            ),
            ("vobd[20] [vmfsCorrelator] 14us: HBX: words", None, Some(14)),
            ("HBX: words", None, None),
        ] {
            let (head, message) = read(line);
            assert_eq!(head.at.map(|at| at.to_string()).as_deref(), at, "{line}");
            assert_eq!(head.uptime, uptime_us.map(Duration::from_micros), "{line}");
            assert_eq!(message, "HBX: words", "{line}");
        }
    }

    #[test]
    fn a_head_that_is_broken_leaves_the_words() {
        for line in ["2018-07-10T01:1", "cpu31:", "<181", "99999999999999999999:00:00:00.000 x"] {
            let (head, message) = read(line);
            assert_eq!((head.at, head.uptime, message), (None, None, line));
        }
    }
}
