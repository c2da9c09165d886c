//! A heartbeat slot as a log line has it: `[HB state abcdef02 offset 3964928 gen 59 stampUS …]`.
//!
//! The grammar was read off lines of ESX 3.5 to ESXi 8, no version of which documents it. The
//! kernel cuts a long line wherever it is full, so everything after the stamp may be missing, and a
//! number that nothing follows is not taken for a whole one.

use std::time::Duration;

use crate::Uuid;
use crate::scan::Scan;

/// What a line says of a heartbeat slot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeartbeatRecord {
    /// The first word of the slot: `ABCDEF01h` is clear, `ABCDEF02h` in use; 0 was seen of a slot
    /// that something had overwritten.
    pub state: u32,
    /// Where the slot lies, in bytes from the start of the volume: what tells slots apart.
    pub offset: u64,
    /// The generation, which changes with the state only.
    pub generation: u64,
    /// How long the owner had been up when it wrote this, to the microsecond.
    pub stamp: Duration,
    /// Whose heartbeat it is; `None` if the line was cut before the end of it.
    pub owner: Option<Uuid>,
    /// Where the owner keeps its journal.
    pub journal: Journal,
    /// Major and minor version of the file system's driver: 4.31 is a VMFS 3, 14.81 a VMFS 5, 24.82
    /// a VMFS 6.
    pub driver: Option<(u32, u32)>,
    /// How the host locks. The field is on the medium; that lines have it is from memory.
    pub lock_implementation: Option<u32>,
    /// The host's management address, as it is written. From memory, too.
    pub address: Option<String>,
}

/// The journal of a heartbeat's owner.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Journal {
    /// In this file block.
    FileBlock(u64),
    /// There is none yet, or no more.
    Absent,
    /// The line was cut before it says so.
    Unread,
}

impl HeartbeatRecord {
    /// Takes a record and its closing bracket, if that is there. `None` if the line does not even
    /// reach to the end of the stamp.
    pub(crate) fn scan(scan: &mut Scan<'_>) -> Option<Self> {
        let mut ahead = *scan;
        ahead.literal("[HB state ")?;
        let state = u32::try_from(ahead.hexadecimal()?).ok()?;
        ahead.literal(" offset ")?;
        let offset = ahead.decimal()?;
        ahead.literal(" gen ")?;
        let generation = ahead.decimal()?;
        // ESX 3.5 writes `stamp`, and means the same.
        ahead.literal(" stampUS ").or_else(|| ahead.literal(" stamp "))?;
        let stamp = Duration::from_micros(whole(&mut ahead)?);
        let mut record = Self {
            state,
            offset,
            generation,
            stamp,
            owner: None,
            journal: Journal::Unread,
            driver: None,
            lock_implementation: None,
            address: None,
        };
        // Whatever is not as expected ends the record; what follows it is looked for by its own
        // words.
        let _ = record.scan_after_stamp(&mut ahead);
        *scan = ahead;
        Some(record)
    }

    fn scan_after_stamp(&mut self, scan: &mut Scan<'_>) -> Option<()> {
        scan.literal(" uuid ")?;
        self.owner = Some(Uuid::scan(scan)?);
        scan.literal(" jrnl ")?;
        if scan.literal("<FB ").is_some() {
            let block = scan.decimal()?;
            scan.literal("> ")?;
            self.journal = Journal::FileBlock(block);
        } else if scan.rest().starts_with("drv ") {
            self.journal = Journal::Absent;
        }
        scan.literal("drv ")?;
        let major = u32::try_from(scan.decimal()?).ok()?;
        scan.literal(".")?;
        self.driver = Some((major, u32::try_from(whole(scan)?).ok()?));
        if scan.literal(" lockImpl ").is_some() {
            self.lock_implementation = Some(u32::try_from(whole(scan)?).ok()?);
        }
        if scan.literal(" ip ").is_some() {
            let address = scan.until("]")?;
            self.address = Some(address.to_owned());
            return Some(());
        }
        scan.literal("]")
    }
}

/// A number that something follows: of one at the end of a line, digits may be missing.
fn whole(scan: &mut Scan<'_>) -> Option<u64> {
    let mut ahead = *scan;
    let number = ahead.decimal()?;
    matches!(ahead.rest().bytes().next()?, b' ' | b']').then(|| {
        *scan = ahead;
        number
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const WHOLE: &str = "[HB state abcdef02 offset 3964928 gen 59 stampUS 6827469158 uuid \
                         5091de63-2683f5a0-1ea1-e4115baf243b jrnl <FB 60558> drv 24.82 lockImpl 3 \
                         ip 10.0.0.229]";

    fn record(text: &str) -> Option<HeartbeatRecord> {
        HeartbeatRecord::scan(&mut Scan::new(text))
    }

    #[test]
    fn a_whole_record_has_every_field() {
        let mut scan = Scan::new(WHOLE);
        let record = HeartbeatRecord::scan(&mut scan).unwrap();
        assert_eq!(scan.rest(), "");
        assert_eq!((record.state, record.offset, record.generation), (0xabcd_ef02, 3_964_928, 59));
        assert_eq!(record.stamp, Duration::from_micros(6_827_469_158));
        assert_eq!(record.owner.unwrap().to_string(), "5091de63-2683f5a0-1ea1-e4115baf243b");
        assert_eq!(record.journal, Journal::FileBlock(60_558));
        assert_eq!((record.driver, record.lock_implementation), (Some((24, 82)), Some(3)));
        assert_eq!(record.address.as_deref(), Some("10.0.0.229"));
    }

    /// Wherever it is cut, a field is either whole or not there.
    #[test]
    fn a_cut_record_has_no_half_fields() {
        let all = record(WHOLE).unwrap();
        let stamp_ends = WHOLE.find(" uuid").unwrap();
        for end in 0..WHOLE.len() {
            let Some(cut) = record(&WHOLE[..end]) else {
                assert!(end <= stamp_ends, "cut at {end}");
                continue;
            };
            assert!(end > stamp_ends, "cut at {end}");
            assert_eq!((cut.offset, cut.generation), (all.offset, all.generation));
            assert_eq!(cut.stamp, all.stamp);
            assert!(cut.journal == all.journal || cut.journal == Journal::Unread);
            assert!(cut.driver.is_none() || cut.driver == all.driver, "cut at {end}");
            assert!(cut.owner.is_none() || cut.owner == all.owner);
            assert!(cut.lock_implementation.is_none_or(|code| code == 3));
            assert_eq!(cut.address, None);
        }
    }

    #[test]
    fn a_host_without_a_journal() {
        let record = record(
            "[HB state abcdef02 offset 3736576 gen 26 stamp 2748610023852 uuid \
             50a2d28e-497dcab4-7e86-001b78bbdd58 jrnl drv 4.31]",
        )
        .unwrap();
        assert_eq!((record.journal, record.driver), (Journal::Absent, Some((4, 31))));
    }
}
