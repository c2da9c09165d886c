//! Foreign write: a command that is no ATS put something there that does not belong to VMFS, or not there.

use std::fmt;

use pulsefield_vmfs::{Object, ObjectName};

use super::before;
use crate::case::Case;
use crate::told::Told;

/// Somebody wrote over an object of VMFS who does not know it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ForeignWrite<'r> {
    /// The command.
    pub by: Told<'r>,
    /// What was there before.
    pub was: ObjectName,
    /// What is there now, if it is an object of VMFS, which belongs elsewhere.
    pub is: Option<ObjectName>,
    /// Whether there are only zeros now.
    pub zeros: bool,
    found_by: Told<'r>,
}

impl<'r> ForeignWrite<'r> {
    pub(super) fn look(case: &Case<'_, 'r>, by: Told<'r>) -> Option<Self> {
        let was = Object::decode(case.expected)?.name();
        let is = Object::decode(case.found).map(|object| object.name());
        // A heartbeat or lock in its place may be written without ATS, and is by some versions.
        (!by.is_ats() && is != Some(was)).then(|| Self {
            by,
            was,
            is,
            zeros: case.found.iter().all(|byte| *byte == 0),
            found_by: case.told,
        })
    }

    /// The same of a command whose data is not kept: it wrote last, and the record since is whole.
    pub(super) fn unseen(case: &Case<'_, 'r>, by: Told<'r>) -> Option<Self> {
        case.gap_since(by).is_none().then(|| Self::look(case, by))?
    }
}

impl fmt::Display for ForeignWrite<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let since = before(self.by.applied(), self.found_by.applied());
        write!(f, "{} wrote over the {} {since} before; there ", self.by, self.was)?;
        match self.is {
            Some(is) => write!(f, "lies now the {is}"),
            None if self.zeros => f.write_str("are now zeros"),
            None => f.write_str("are now bytes that are nothing of VMFS's"),
        }
    }
}

#[cfg(test)]
mod tests {
    use pulsefield_record::ImageRole;

    use crate::FindingKind::{Contention, ForeignWrite, Unknown};
    use crate::testing::{A, Sector, Tape, data, explain, slot};

    const WRITE_16: u8 = 0x8a;
    const WRITE_SAME_16: u8 = 0x93;
    const UNMAP: u8 = 0x42;

    /// A pulse, this command, and a pulse that finds this.
    fn over(opcode: u8, kept: Option<(ImageRole, &Sector)>, found: &Sector) -> Tape {
        let mut tape = Tape::new();
        tape.at(0).ats(&slot(A, 0), &slot(A, 3));
        tape.at(1_000).other(opcode, kept);
        tape.at(3_000).found(found).miscompare(&slot(A, 3), &slot(A, 6));
        tape
    }

    #[test]
    fn whoever_overwrites_a_heartbeat_is_named() {
        let noise = data(0x5a);
        for (opcode, kept, found, words) in [
            (
                WRITE_16,
                Some((ImageRole::Written, &noise)),
                noise,
                "#2 WRITE(16) 43520+1 wrote over the heartbeat at 3407872 2.00 s before; there are now \
                 bytes that are nothing of VMFS's",
            ),
            (
                WRITE_SAME_16,
                Some((ImageRole::Repeated, &data(0))),
                data(0),
                "#2 WRITE SAME(16) 43520+1 wrote over the heartbeat at 3407872 2.00 s before; there are \
                 now zeros",
            ),
            (
                UNMAP,
                None,
                data(0),
                "#2 UNMAP 43520+1 wrote over the heartbeat at 3407872 2.00 s before; there are now zeros",
            ),
            // Its data is not kept, and it can only have been that.
            (
                WRITE_16,
                None,
                noise,
                "#2 WRITE(16) 43520+1 wrote over the heartbeat at 3407872 2.00 s before; there are now \
                 bytes that are nothing of VMFS's",
            ),
        ] {
            assert_eq!(explain(over(opcode, kept, &found)), (ForeignWrite, words.to_owned()));
        }
    }

    #[test]
    fn a_heartbeat_without_ats_is_none() {
        let pulse = slot(A, 9);
        let tape = over(WRITE_16, Some((ImageRole::Written, &pulse)), &pulse);
        assert_eq!(explain(tape).0, Contention, "hosts before ESXi 5.5 U2 pulse so");
    }

    #[test]
    fn data_that_is_not_kept_may_have_been_a_heartbeat() {
        let (kind, words) = explain(over(WRITE_16, None, &slot(A, 9)));
        assert_eq!(kind, Unknown);
        assert_eq!(
            words,
            "#2 WRITE(16) 43520+1 wrote the block last, and what it wrote is not recorded"
        );
    }

    #[test]
    fn outside_vmfs_nobody_is_foreign() {
        let mut tape = Tape::new();
        tape.at(0).ats(&data(1), &data(2));
        tape.at(10).other(WRITE_16, Some((ImageRole::Written, &data(9))));
        tape.at(20).found(&data(9)).miscompare(&data(2), &data(3));
        assert_eq!(explain(tape).0, Contention);
    }
}
