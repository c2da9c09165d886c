//! The names of hosts and volumes.

use std::fmt;

use crate::scan::Scan;

/// A UUID as VMFS makes them, of a host or of a volume: two words of 32 bits, one of 16, and six
/// bytes of a MAC address. Written `685eb8eb-7f3e3890-4544-bc2411b17e28`. All zero names nobody; a
/// heartbeat that was overwritten is logged with it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Uuid {
    first: u32,
    second: u32,
    third: u16,
    mac: u64,
}

impl Uuid {
    /// Takes one, if all of it is there.
    pub(crate) fn scan(scan: &mut Scan<'_>) -> Option<Self> {
        let mut ahead = *scan;
        let mut part = |digits: usize, end: &str| {
            let text = ahead.rest();
            let number = ahead.hexadecimal()?;
            let length = text.len().checked_sub(ahead.rest().len())?;
            ahead.literal(end)?;
            (length == digits).then_some(number)
        };
        let uuid = Self {
            first: u32::try_from(part(8, "-")?).ok()?,
            second: u32::try_from(part(8, "-")?).ok()?,
            third: u16::try_from(part(4, "-")?).ok()?,
            mac: part(12, "")?,
        };
        *scan = ahead;
        Some(uuid)
    }
}

impl fmt::Display for Uuid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { first, second, third, mac } = self;
        write!(f, "{first:08x}-{second:08x}-{third:04x}-{mac:012x}")
    }
}

impl fmt::Debug for Uuid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Uuid({self})")
    }
}

/// A volume, by as much of its names as a line has: at least one of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Volume {
    /// Its UUID.
    pub uuid: Option<Uuid>,
    /// Its label, which is the name of the datastore.
    pub label: Option<String>,
}

impl Volume {
    /// The volume with this label; `None` without one.
    pub(crate) fn labelled(label: &str) -> Option<Self> {
        (!label.is_empty()).then(|| Self { uuid: None, label: Some(label.to_owned()) })
    }

    /// Takes `UUID`, and what stands between `before` and `after` as the label. A label that the
    /// line was cut in is none.
    pub(crate) fn scan(scan: &mut Scan<'_>, before: &str, after: &str) -> Option<Self> {
        let uuid = Uuid::scan(scan)?;
        let label = scan.literal(before).and_then(|()| scan.until(after)).map(str::to_owned);
        Some(Self { uuid: Some(uuid), label })
    }
}

impl fmt::Display for Volume {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.label, &self.uuid) {
            (Some(label), _) => write!(f, "'{label}'"),
            (None, Some(uuid)) => uuid.fmt(f),
            (None, None) => f.write_str("a volume without a name"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_whole_uuid_is_one() {
        let text = "685eb8eb-7f3e3890-4544-bc2411b17e28";
        let mut scan = Scan::new(text);
        assert_eq!(Uuid::scan(&mut scan).unwrap().to_string(), text);
        for other in ["685eb8eb-7f3e3890-4544-bc2411b17e2", "<volUUID>", "685eb8eb", ""] {
            let mut scan = Scan::new(other);
            assert_eq!(Uuid::scan(&mut scan), None, "{other}");
            assert_eq!(scan.rest(), other);
        }
    }

    #[test]
    fn a_volume_has_the_names_that_are_whole() {
        let mut scan = Scan::new("4e203815-40b2561a-dd72-0017a477003a (Data (old)): [Timeout]");
        let volume = Volume::scan(&mut scan, " (", "): [").unwrap();
        assert_eq!(volume.to_string(), "'Data (old)'");
        let mut scan = Scan::new("4e203815-40b2561a-dd72-0017a477003a (Data");
        let volume = Volume::scan(&mut scan, " (", "): [").unwrap();
        assert_eq!(volume.to_string(), "4e203815-40b2561a-dd72-0017a477003a");
    }
}
