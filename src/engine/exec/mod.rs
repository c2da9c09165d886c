//! How each command family is carried out: one file per family, each a small state machine.
//!
//! A family that needs no medium writes its data at once ([`immediate`]). Any other is started once
//! it holds its range and a slot, asks for one op at a time, and is resumed with the answer.

pub(crate) mod compare_and_write;
pub(crate) mod copy_op;
pub(crate) mod extended_copy;
pub(crate) mod format_unit;
pub(crate) mod get_lba_status;
pub(crate) mod identifying_information;
pub(crate) mod immediate;
pub(crate) mod log_select;
pub(crate) mod mode_select;
pub(crate) mod or_write;
pub(crate) mod read;
pub(crate) mod receive_copy_results;
pub(crate) mod sanitize;
pub(crate) mod self_test;
pub(crate) mod set_target_port_groups;
pub(crate) mod start_stop_unit;
pub(crate) mod synchronize_cache;
pub(crate) mod unmap;
pub(crate) mod verify;
pub(crate) mod write;
pub(crate) mod write_same;

use pulsefield_backstore::{BackstoreError, Op, OpOutput};
use pulsefield_data::Buffer;
use pulsefield_scsi::{Command, UnitChange};
use pulsefield_units::{Lba, LbaRange};

use crate::config::AccessStateChange;
use crate::logical_unit::LogicalUnit;
use crate::outcome::{Outcome, Purpose, of_error};
use crate::saved_state::SavedState;
use crate::scratch::Scratch;
use crate::server::{Query, SpaceNeeds};

/// What a command in execution may use.
pub(crate) struct Context<'a> {
    pub(crate) unit: &'a mut LogicalUnit,
    pub(crate) scratch: &'a mut Scratch,
    /// The command's own data. An op that borrows it must bring it back.
    pub(crate) data: &'a mut Buffer,
}

/// Why a command is resumed.
pub(crate) enum Input {
    /// It holds its slot and what it claims: its range at first, a further one later.
    Go,
    /// Its op is done.
    Done(Result<OpOutput, BackstoreError>, Buffer),
}

/// What a command wants next.
pub(crate) enum Step {
    /// Ask the medium.
    Op(Op, Buffer),
    /// Give up the claimed range and claim this one exclusively.
    Claim(LbaRange),
    /// Ask the world outside.
    Ask(Query),
    /// Have the world outside change the states of target port groups.
    SetAccessStates(Vec<AccessStateChange>),
    /// Save this; it is over when that is done.
    Save(SavedState),
    /// It is over.
    End(Outcome),
}

impl Step {
    /// The end by an error of the medium.
    pub(crate) const fn failed(error: BackstoreError, purpose: Purpose) -> Self {
        Self::End(of_error(error, purpose))
    }
}

/// A command that is one op on its own data, and nothing besides.
#[derive(Clone, Copy)]
pub(crate) struct OnlyOp {
    pub(crate) op: Op,
    /// How it ends if that is done.
    pub(crate) end: Outcome,
    /// What it is for: how it ends if that fails.
    pub(crate) purpose: Purpose,
}

/// A command in execution. What is large and rare is boxed: every task is as long as the longest of
/// them, and is moved several times.
#[derive(Debug)]
pub(crate) enum Exec {
    Read(read::Read),
    Write(write::Write),
    CompareAndWrite(compare_and_write::CompareAndWrite),
    OrWrite(Box<or_write::OrWrite>),
    /// VERIFY and PRE-FETCH.
    Verify(verify::Verify),
    WriteSame(write_same::WriteSame),
    /// The block to be marked.
    WriteLong(Lba),
    Unmap(unmap::Unmap),
    SynchronizeCache,
    GetLbaStatus(Box<get_lba_status::GetLbaStatus>),
    ModeSelect(mode_select::ModeSelect),
    SetIdentifyingInformation(Vec<u8>),
    ExitSanitizeFailureMode,
    SelfTest(LbaRange),
    StartStopUnit(UnitChange),
    /// A SANITIZE or FORMAT UNIT with IMMED = 0, answered so if the background operation ends well.
    AwaitBackground(Box<Outcome>),
    CopyPart(copy_op::CopyPart),
    /// Holds no slot and is carried on by `copy.rs`.
    ExtendedCopy(Box<extended_copy::ExtendedCopy>),
    /// A command without a medium that waits for an answer from the world outside.
    Ask(Query, Command),
    /// A SET TARGET PORT GROUPS whose states are being changed.
    SetTargetPortGroups,
}

impl Exec {
    /// Carries the command one step further.
    pub(crate) fn step(&mut self, cx: &mut Context<'_>, input: Input) -> Step {
        match self {
            Self::Read(read) => read.step(cx, input),
            Self::Write(write) => write.step(cx, input),
            Self::CompareAndWrite(compare_and_write) => compare_and_write.step(cx, input),
            Self::OrWrite(or_write) => or_write.step(cx, input),
            Self::Verify(verify) => verify.step(cx, input),
            Self::WriteSame(write_same) => write_same.step(cx, input),
            Self::WriteLong(lba) => Step::End(match cx.unit.marked.mark(*lba) {
                Ok(()) => Outcome::NO_DATA,
                Err(sense) => Outcome::check(sense),
            }),
            Self::Unmap(unmap) => unmap.step(cx, input),
            Self::SynchronizeCache => synchronize_cache::step(input),
            Self::GetLbaStatus(get_lba_status) => get_lba_status.step(cx, input),
            Self::CopyPart(copy_part) => copy_part.step(cx, input),
            Self::ExtendedCopy(_) => unreachable!("a copy has neither a slot nor ops"),
            Self::ModeSelect(mode_select) => mode_select.step(cx, input),
            Self::SetIdentifyingInformation(information) => {
                identifying_information::step(information, cx)
            }
            Self::ExitSanitizeFailureMode => sanitize::step_exit(cx),
            Self::SelfTest(range) => self_test::step(*range, cx, input),
            Self::StartStopUnit(change) => start_stop_unit::step(*change, cx, input),
            Self::AwaitBackground(_) => unreachable!("it is retired, never carried on"),
            Self::Ask(answered, command) => {
                let (answered, command) = (*answered, *command);
                self.resume(cx, answered, command)
            }
            Self::SetTargetPortGroups => {
                unreachable!("ends when it hears from outside, which is no op")
            }
        }
    }

    /// What the command is if one op is all of it, as with most that read or write: whoever has it done need not
    /// go step by step. Then that op was begun.
    #[inline]
    pub(crate) fn only_op(&mut self, unit: &LogicalUnit, data: &Buffer) -> Option<OnlyOp> {
        if let Self::Write(write) = self {
            write.only_op(unit)
        } else if let Self::Read(read) = self {
            read.only_op(unit, data)
        } else {
            None
        }
    }

    /// Goes on with a command that has the answer to one question.
    fn resume(&mut self, cx: &mut Context<'_>, answered: Query, command: Command) -> Step {
        if let Some(query) = immediate::query(cx.unit, &command, Some(answered)) {
            *self = Self::Ask(query, command);
            return Step::Ask(query);
        }
        let Command::SetTargetPortGroups(set) = command else {
            return Step::End(immediate::execute(cx.unit, &command, cx.data));
        };
        match set_target_port_groups::changes(cx.unit.known_port_groups(), cx.data, set) {
            Err(sense) => Step::End(sense.into()),
            Ok(changes) if changes.is_empty() => Step::End(Outcome::GOOD),
            Ok(changes) => {
                *self = Self::SetTargetPortGroups;
                Step::SetAccessStates(changes)
            }
        }
    }

    /// What this command may do to the space of the medium; `data` is its own data.
    pub(crate) fn space_needs(&self, data: &Buffer) -> SpaceNeeds {
        match self {
            Self::Write(write) => SpaceNeeds::Allocates(write.range()),
            Self::CompareAndWrite(compare_and_write) => {
                SpaceNeeds::Allocates(compare_and_write.range())
            }
            Self::OrWrite(or_write) => SpaceNeeds::Allocates(or_write.range()),
            Self::WriteSame(write_same) => write_same.space_needs(data),
            Self::CopyPart(copy_part) => copy_part.space_needs(),
            Self::Unmap(_) => SpaceNeeds::Relieves,
            Self::Read(_)
            | Self::Verify(_)
            | Self::SynchronizeCache
            | Self::GetLbaStatus(_)
            | Self::WriteLong(_)
            | Self::ModeSelect(_)
            | Self::SetIdentifyingInformation(_)
            | Self::SetTargetPortGroups
            | Self::ExitSanitizeFailureMode
            | Self::SelfTest(_)
            | Self::StartStopUnit(_)
            // The operation looks at no pool (`background.rs`).
            | Self::AwaitBackground(_)
            | Self::ExtendedCopy(_)
            | Self::Ask(..) => SpaceNeeds::None,
        }
    }

    /// Whether this command may already have changed the medium, the modes or the unit: an abort then lets it
    /// run to its end, so that nothing is applied after the abort was answered and nothing by half.
    /// A copy is asked about the piece at hand: it ends with that.
    pub(crate) const fn has_written(&self) -> bool {
        match self {
            Self::Write(write) => write.has_written(),
            Self::CompareAndWrite(compare_and_write) => compare_and_write.has_written(),
            Self::OrWrite(or_write) => or_write.has_written(),
            Self::WriteSame(write_same) => write_same.has_written(),
            Self::Unmap(unmap) => unmap.has_written(),
            Self::CopyPart(copy_part) => copy_part.has_written(),
            Self::ExtendedCopy(copy) => copy.has_written(),
            Self::ModeSelect(_)
            | Self::SetIdentifyingInformation(_)
            | Self::SetTargetPortGroups
            | Self::ExitSanitizeFailureMode
            | Self::StartStopUnit(_) => true,
            Self::Read(_)
            | Self::Verify(_)
            | Self::WriteLong(_)
            | Self::SelfTest(_)
            | Self::SynchronizeCache
            | Self::GetLbaStatus(_)
            // The operation goes on by itself.
            | Self::AwaitBackground(_)
            | Self::Ask(..) => false,
        }
    }
}

/// Whether the first `len` bytes are all zero.
fn is_zero(buffer: &Buffer, len: usize) -> bool {
    static ZEROS: [u8; 4096] = [0; 4096];
    (0..len).step_by(ZEROS.len()).all(|at| {
        let window = &ZEROS[..ZEROS.len().min(len - at)];
        buffer.first_difference(at, window).is_none()
    })
}
