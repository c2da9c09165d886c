//! Blocks that WRITE LONG has marked: pseudo unrecovered errors (SBC-4).
//!
//! A read of a marked block fails, whatever command it is for, without the medium being asked; a write
//! takes the mark away, one that then fails as well: what the block holds is the medium's to say again.
//! The marks are the device server's own and end with it: to the medium the block
//! is as good as any other.

use std::collections::BTreeSet;

use pulsefield_backstore::{BackstoreError, Op};
use pulsefield_scsi::{Asc, Sense, SenseKey};
use pulsefield_units::{BlockCount, Lba, LbaRange};

use crate::exec::{Context, Exec, Input, Step};
use crate::limits::MARKED_BLOCKS_MAX;
use crate::outcome::Outcome;

/// The marked blocks of a logical unit, at most [`MARKED_BLOCKS_MAX`].
#[derive(Debug, Default)]
pub(crate) struct MarkedBlocks(BTreeSet<Lba>);

impl MarkedBlocks {
    /// Marks `lba`.
    ///
    /// # Errors
    /// 05h/55h/03h INSUFFICIENT RESOURCES beyond [`MARKED_BLOCKS_MAX`].
    pub(crate) fn mark(&mut self, lba: Lba) -> Result<(), Sense> {
        if self.0.len() >= MARKED_BLOCKS_MAX && !self.0.contains(&lba) {
            return Err(Sense::new(SenseKey::IllegalRequest, Asc::INSUFFICIENT_RESOURCES));
        }
        self.0.insert(lba);
        Ok(())
    }

    /// Forgets the blocks that a medium of `blocks` blocks does not have.
    pub(crate) fn cut_off(&mut self, blocks: BlockCount) {
        self.0.retain(|lba| lba.as_u64() < blocks.as_u64());
    }

    /// Whether there are none.
    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    fn first_in(&self, range: LbaRange) -> Option<Lba> {
        self.0.range(range.start()..range.end()).next().copied()
    }

    /// Takes the marks away that a write takes away; other ops take none.
    pub(crate) fn written_by(&mut self, op: Op) {
        let Some(range) = op.range().filter(|_| op.writes()) else { return };
        while let Some(lba) = self.first_in(range) {
            self.0.remove(&lba);
        }
    }
}

/// Lets an op of the command `exec` go to the medium, unless it would read a marked block: then the
/// command goes on as if the medium had failed there, and its sense data names the block.
#[cold]
pub(crate) fn heed(exec: &mut Exec, cx: &mut Context<'_>, step: Step) -> Step {
    let (op, buffer) = match step {
        Step::Op(op, buffer) => (op, buffer),
        step @ (Step::Claim(_)
        | Step::Ask(_)
        | Step::SetAccessStates(_)
        | Step::Save(_)
        | Step::End(_)) => return step,
    };
    let marked = &mut cx.unit.marked;
    match op.reads() {
        Some(range) if let Some(lba) = marked.first_in(range) => {
            match exec.step(cx, Input::Done(Err(BackstoreError::Medium), buffer)) {
                Step::End(_) => Step::End(unreadable(lba)),
                step @ (Step::Op(..)
                | Step::Claim(_)
                | Step::Ask(_)
                | Step::SetAccessStates(_)
                | Step::Save(_)) => heed(exec, cx, step),
            }
        }
        Some(_) | None => {
            marked.written_by(op);
            Step::Op(op, buffer)
        }
    }
}

/// 03h/11h/14h READ ERROR - LBA MARKED BAD BY APPLICATION CLIENT, INFORMATION the block.
fn unreadable(lba: Lba) -> Outcome {
    let sense = Sense::new(SenseKey::MediumError, Asc::READ_ERROR_LBA_MARKED_BAD);
    Outcome::check(sense.with_information(lba.as_u64()))
}

#[cfg(test)]
mod tests {
    use pulsefield_scsi::{Asc, Sense, SenseKey};

    use crate::limits::MARKED_BLOCKS_MAX;
    use crate::testing::{World, cdb, filled, none, out, range, room};

    fn marked_bad(lba: u64) -> Sense {
        Sense::new(SenseKey::MediumError, Asc::new(0x11, 0x14)).with_information(lba)
    }

    #[test]
    fn whatever_reads_a_marked_block_fails_and_says_which() {
        let mut world = World::default();
        world.execute(&cdb::write_long(9), none()).good();
        world.execute(&cdb::write_long(7), none()).good();
        world.execute(&cdb::read(0, 16), room(8192)).check(marked_bad(7));
        world.execute(&cdb::verify(8, 2, 0), none()).check(marked_bad(9));
        world.execute(&cdb::or_write(9, 1), out(&filled(1, 1))).check(marked_bad(9));
        world.execute(&cdb::compare_and_write(9, 1), out(&filled(0, 2))).check(marked_bad(9));
        world.execute(&cdb::read(8, 1), room(512)).good();
        assert!(world.ops().is_empty());
        world.assert_idle();
    }

    #[test]
    fn whatever_writes_it_takes_the_mark_away() {
        let (unmap, list) = cdb::unmap(&[(9, 1)]);
        for (command, data) in [
            (&cdb::write(9, 1)[..], out(&filled(1, 1))),
            (&cdb::write_same(8, 2, 0), out(&filled(1, 1))),
            (&cdb::write_same(8, 2, 0), out(&filled(0, 1))),
            (&cdb::write_atomic(9, 1), out(&filled(1, 1))),
            (&cdb::write_and_verify(9, 1, 1), out(&filled(1, 1))),
            (&unmap, out(&list)),
        ] {
            let mut world = World::default();
            world.execute(&cdb::write_long(9), none()).good();
            world.execute(command, data).good();
            world.execute(&cdb::read(9, 1), room(512)).good();
        }
    }

    #[test]
    fn a_medium_that_compares_by_itself_is_not_asked() {
        let mut world = World::with(|setup| setup.capabilities.compare_and_write = true);
        world.execute(&cdb::write_long(9), none()).good();
        let compare = world.execute_at_once(&cdb::compare_and_write(9, 1), out(&filled(0, 2)));
        compare.check(marked_bad(9));
    }

    #[test]
    fn a_mark_waits_for_those_who_read_before_it() {
        let mut world = World::default();
        let read = world.send(&cdb::read(9, 1), room(512));
        let write_long = world.send(&cdb::write_long(9), none());
        assert!(world.waits(write_long));
        world.finish_all();
        world.answer(read).good();
        world.answer(write_long).good();
        world.assert_idle();
    }

    #[test]
    fn there_are_so_many_marks_and_no_more() {
        let blocks = MARKED_BLOCKS_MAX as u64 + 1;
        let mut world = World::with(|setup| {
            setup.geometry.blocks = pulsefield_units::BlockCount::new(blocks);
        });
        for lba in 0..blocks - 1 {
            world.execute_at_once(&cdb::write_long(lba), none()).good();
        }
        world.execute_at_once(&cdb::write_long(0), none()).good();
        let one_more = world.execute_at_once(&cdb::write_long(blocks - 1), none());
        one_more.check_codes(SenseKey::IllegalRequest, Asc::new(0x55, 0x03));
        world.execute(&cdb::write_same(0, 2, cdb::NDOB), none()).good();
        world.execute_at_once(&cdb::write_long(blocks - 1), none()).good();
    }

    #[test]
    fn blocks_that_are_cut_off_come_back_without_marks() {
        let mut world = World::default();
        world.execute(&cdb::write_long(63), none()).good();
        for blocks in [32, 64] {
            world.server.resize(pulsefield_units::BlockCount::new(blocks));
            // CAPACITY DATA HAS CHANGED.
            world.execute_at_once(&cdb::TEST_UNIT_READY, none());
        }
        let read = world.send(&cdb::read(63, 1), room(512));
        assert_eq!(world.ops()[0].range(), Some(range(63, 1)));
        world.finish_all();
        world.answer(read).good();
    }

    #[test]
    fn a_mark_is_a_write_to_a_block_that_exists() {
        let mut world = World::default();
        world.execute(&cdb::write_long(64), none()).check(Sense::lba_out_of_range());
        let mut world = World::with(|setup| setup.capabilities.read_only = true);
        let refused = world.execute(&cdb::write_long(0), none());
        refused.check_codes(SenseKey::DataProtect, Asc::new(0x27, 0x00));
    }
}
