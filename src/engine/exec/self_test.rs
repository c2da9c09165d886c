//! SEND DIAGNOSTIC with the default self-test (SPC-4): the medium is asked for its first block, which
//! shows that it can be reached at all. Nothing is changed.

use pulsefield_backstore::Op;
use pulsefield_scsi::{Asc, Extent, Sense, SenseKey};
use pulsefield_units::{BlockCount, Lba, LbaRange};

use super::{Context, Exec, Input, Step};
use crate::admit::Admission;
use crate::lane::Lane;
use crate::logical_unit::LogicalUnit;
use crate::outcome::Outcome;
use crate::range_lock::Access;

/// The test of a unit with any blocks at all.
///
/// # Errors
/// 05h/21h/00h for one without.
pub(crate) fn admit(unit: &LogicalUnit) -> Result<Admission, Sense> {
    let first = Extent { lba: Lba::new(0), blocks: BlockCount::new(1) };
    let Some(range) = unit.range_of(first)? else { return Ok(Admission::End(Outcome::NO_DATA)) };
    let claim = Some((range, Access::Shared));
    Ok(Admission::Run { exec: Exec::SelfTest(range), claim, lane: Lane::Bulk })
}

pub(crate) fn step(range: LbaRange, cx: &mut Context<'_>, input: Input) -> Step {
    match input {
        Input::Go => {
            let block = cx.unit.geometry.block_length.bytes() as usize;
            Step::Op(Op::Read { range }, cx.scratch.buffer(block))
        }
        Input::Done(result, buffer) => {
            cx.scratch.give_buffer(buffer);
            Step::End(match result {
                Ok(_) => Outcome::NO_DATA,
                Err(_) => Outcome::check(Sense::new(
                    SenseKey::HardwareError,
                    Asc::LOGICAL_UNIT_FAILED_SELF_TEST,
                )),
            })
        }
    }
}

#[cfg(test)]
mod tests {
    use pulsefield_backstore::BackstoreError;

    use super::*;
    use crate::testing::{World, none, range, room};

    const SELF_TEST: [u8; 6] = [0x1d, 0x04, 0, 0, 0, 0];

    #[test]
    fn a_medium_that_reads_its_first_block_passes() {
        let mut world = World::default();
        let test = world.send(&SELF_TEST, none());
        assert_eq!(world.ops(), [Op::Read { range: range(0, 1) }]);
        world.finish(0);
        world.answer(test).good_with(b"");
        let test = world.send(&SELF_TEST, none());
        world.fail(0, BackstoreError::Medium);
        world.answer(test).check_codes(SenseKey::HardwareError, Asc::new(0x3e, 0x03));
        world.assert_idle();
    }

    #[test]
    fn there_are_no_diagnostic_pages_but_the_one_that_says_so() {
        let mut world = World::default();
        world.execute_at_once(&[0x1d, 0, 0, 0, 0, 0], none()).good();
        let received = world.execute_at_once(&[0x1c, 1, 0, 0, 64, 0], room(64));
        received.good_with(&[0, 0, 0, 1, 0]);
    }
}
