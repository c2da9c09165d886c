//! Exchanges: a command or a task management function, from first frame to last.

use std::borrow::Cow;

use zerocopy::IntoBytes;

use crate::fc::{BasicAccept, Frame, Header, PAYLOAD_MAX, Routing, UNASSIGNED, frame_control};
use crate::fcp::{self, Direction, TransferReady};
use crate::{Lun, PortId, Residual};

/// Who talks to whom: an I_T nexus and a logical unit behind it. LIO does not tell a backstore from
/// which initiator a command is, so whoever calls makes up what tells them apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Nexus {
    /// The initiator's port.
    pub initiator: PortId,
    /// The target's port.
    pub target: PortId,
    /// The logical unit.
    pub lun: Lun,
}

/// A command or a task management function.
#[derive(Clone, Copy, Debug)]
pub enum Exchange<'c> {
    /// A command.
    Command(Command<'c>),
    /// A task management function.
    TaskManagement(TaskManagement<'c>),
    /// The answer alone to a task management function that was written while nobody knew of one.
    TaskManagementAnswer(TaskManagement<'c>),
}

/// A command, and what became of it.
#[derive(Clone, Copy, Debug)]
pub struct Command<'c> {
    /// Whose it is.
    pub nexus: Nexus,
    /// What tells it from others in flight of this initiator.
    pub ox_id: u16,
    /// What tells it from others in flight of this target; not FFFFh.
    pub rx_id: u16,
    /// When it came, in nanoseconds since 1970.
    pub at_ns: u64,
    /// The CDB, 6 to 260 bytes.
    pub cdb: &'c [u8],
    /// The data that belongs to it.
    pub transfer: Transfer<'c>,
    /// How it ended; `None` if it was not answered.
    pub answer: Option<Answer<'c>>,
    /// What to say of it, beside its first frame; may be empty.
    pub comment: &'c str,
}

/// The data of a command. `bytes` is what was recorded of it, from the beginning on: of the rest
/// there are no frames, and the frame in which it ends is marked as cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transfer<'c> {
    /// There is none.
    None,
    /// Data-Out.
    Out {
        /// As much as was recorded.
        bytes: &'c [u8],
        /// How much the initiator wants to send (FCP_DL), in bytes.
        length: u32,
    },
    /// Data-In.
    In {
        /// As much as was recorded.
        bytes: &'c [u8],
        /// How much the initiator expects (FCP_DL), in bytes.
        length: u32,
    },
}

/// The end of a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Answer<'c> {
    /// When, in nanoseconds since 1970.
    pub at_ns: u64,
    /// The status.
    pub status: u8,
    /// Sense data in either form; empty without.
    pub sense: &'c [u8],
    /// What was left over.
    pub residual: Residual,
}

/// A task management function, and whether it was answered.
#[derive(Clone, Copy, Debug)]
pub struct TaskManagement<'c> {
    /// Whose it is.
    pub nexus: Nexus,
    /// Which.
    pub function: Function,
    /// What tells it from others in flight of this initiator. An ABORT TASK has no exchange of its
    /// own, and this is the task's.
    pub ox_id: u16,
    /// What tells it from others in flight of this target; of an ABORT TASK, the task's.
    pub rx_id: u16,
    /// When it came, in nanoseconds since 1970.
    pub at_ns: u64,
    /// When it was answered with FUNCTION COMPLETE, in nanoseconds since 1970; `None` if it was
    /// not.
    pub complete_ns: Option<u64>,
    /// What to say of it, beside its first frame; may be empty.
    pub comment: &'c str,
}

/// Which task management function (SAM-5 7). FCP has a bit of FCP_CMND for each, but
/// for ABORT TASK, which is a basic link service.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Function {
    /// ABORT TASK: ABTS in the exchange of the task.
    AbortTask,
    /// ABORT TASK SET.
    AbortTaskSet,
    /// CLEAR TASK SET.
    ClearTaskSet,
    /// LOGICAL UNIT RESET.
    LogicalUnitReset,
    /// TARGET RESET, of earlier versions of SAM; LIO still has it.
    TargetReset,
    /// CLEAR ACA.
    ClearAca,
}

impl Function {
    /// Its bit in byte 10 of FCP_CMND; `None` for what is no FCP_CMND.
    const fn flag(self) -> Option<u8> {
        match self {
            Self::AbortTask => None,
            Self::AbortTaskSet => Some(0x02),
            Self::ClearTaskSet => Some(0x04),
            Self::LogicalUnitReset => Some(0x10),
            Self::TargetReset => Some(0x20),
            Self::ClearAca => Some(0x40),
        }
    }
}

impl<'c> Transfer<'c> {
    const fn direction(&self) -> Direction {
        match self {
            Self::None => Direction::None,
            Self::Out { .. } => Direction::Out,
            Self::In { .. } => Direction::In,
        }
    }

    const fn length(&self) -> u32 {
        match self {
            Self::None => 0,
            Self::Out { length, .. } | Self::In { length, .. } => *length,
        }
    }
}

impl<'c> Exchange<'c> {
    /// Its frames, in the order in which they would have been sent.
    pub(crate) fn frames(&self) -> Vec<Frame<'c>> {
        match self {
            Self::Command(command) => command.frames(),
            Self::TaskManagement(function) => function.frames(),
            // What asks is the first frame, and the only one besides.
            Self::TaskManagementAnswer(function) => function.frames().split_off(1),
        }
    }
}

impl<'c> Command<'c> {
    fn frames(&self) -> Vec<Frame<'c>> {
        use frame_control::{
            END_SEQUENCE, FIRST_SEQUENCE, FROM_RESPONDER, LAST_SEQUENCE, TRANSFER_INITIATIVE,
        };
        let mut builder = Builder::new(self.nexus, self.ox_id, self.rx_id);
        let (direction, length) = (self.transfer.direction(), self.transfer.length());
        let command = fcp::command(self.nexus.lun, self.cdb, direction, length);
        let control = FIRST_SEQUENCE | END_SEQUENCE | TRANSFER_INITIATIVE;
        builder.unit(self.at_ns, Routing::UnsolicitedCommand, control, command);
        builder.comment(self.comment);
        if let Transfer::Out { bytes, length } = self.transfer
            && length > 0
        {
            let ready = TransferReady::for_all(length).as_bytes().to_vec();
            let control = FROM_RESPONDER | END_SEQUENCE | TRANSFER_INITIATIVE;
            builder.unit(self.at_ns, Routing::DataDescriptor, control, ready);
            builder.data(self.at_ns, TRANSFER_INITIATIVE, bytes, length);
        }
        let Some(answer) = self.answer else { return builder.frames };
        if let Transfer::In { bytes, length } = self.transfer {
            let left = match answer.residual {
                Residual::Underrun(left) => left,
                Residual::None | Residual::Overrun(_) => 0,
            };
            builder.data(answer.at_ns, FROM_RESPONDER, bytes, length.saturating_sub(left));
        }
        let response = fcp::response(answer.status, answer.sense, answer.residual);
        let control = FROM_RESPONDER | LAST_SEQUENCE | END_SEQUENCE | TRANSFER_INITIATIVE;
        builder.unit(answer.at_ns, Routing::CommandStatus, control, response);
        builder.frames
    }
}

impl<'c> TaskManagement<'c> {
    fn frames(&self) -> Vec<Frame<'c>> {
        use frame_control::{
            END_SEQUENCE, FIRST_SEQUENCE, FROM_RESPONDER, LAST_SEQUENCE, TRANSFER_INITIATIVE,
        };
        let mut builder = Builder::new(self.nexus, self.ox_id, self.rx_id);
        let (asks, control, asked, answers, answer) = match self.function.flag() {
            Some(flag) => (
                Routing::UnsolicitedCommand,
                FIRST_SEQUENCE | END_SEQUENCE | TRANSFER_INITIATIVE,
                fcp::task_management(self.nexus.lun, flag),
                Routing::CommandStatus,
                fcp::function_complete(),
            ),
            // It goes on in an exchange that has begun before, and its parameter of 0 means all of
            // that.
            None => (
                Routing::AbortSequence,
                END_SEQUENCE | TRANSFER_INITIATIVE,
                Vec::new(),
                Routing::BasicAccept,
                BasicAccept::of(self.ox_id, self.rx_id).as_bytes().to_vec(),
            ),
        };
        builder.unit(self.at_ns, asks, control, asked);
        builder.comment(self.comment);
        if let Some(at_ns) = self.complete_ns {
            let control = FROM_RESPONDER | LAST_SEQUENCE | END_SEQUENCE | TRANSFER_INITIATIVE;
            builder.unit(at_ns, answers, control, answer);
        }
        builder.frames
    }
}

/// The frames of one exchange so far. Each call adds a sequence.
struct Builder<'c> {
    nexus: Nexus,
    ox_id: u16,
    rx_id: u16,
    sequence_id: u8,
    frames: Vec<Frame<'c>>,
}

impl<'c> Builder<'c> {
    const fn new(nexus: Nexus, ox_id: u16, rx_id: u16) -> Self {
        Self { nexus, ox_id, rx_id, sequence_id: 0, frames: Vec::new() }
    }

    /// A sequence of one frame, with an information unit of ours.
    fn unit(&mut self, at_ns: u64, routing: Routing, control: u32, payload: Vec<u8>) {
        let header = self.header(routing, control);
        let payload_length = payload.len();
        let payload = Cow::Owned(payload);
        self.frames.push(Frame { at_ns, header, payload, payload_length, comment: "" });
        self.sequence_id = self.sequence_id.wrapping_add(1);
    }

    /// What is to be said of the latest frame.
    fn comment(&mut self, comment: &'c str) {
        if let Some(frame) = self.frames.last_mut() {
            frame.comment = comment;
        }
    }

    /// The sequence of so many bytes of data, as far as they are known. `control` says which way,
    /// and on the last frame who is next.
    fn data(&mut self, at_ns: u64, control: u32, bytes: &'c [u8], length: u32) {
        use frame_control::{END_SEQUENCE, RELATIVE_OFFSET, TRANSFER_INITIATIVE};
        let whole = usize::try_from(length).unwrap_or(usize::MAX);
        let known = bytes.get(..whole).unwrap_or(bytes);
        // The count of a sequence begins again after 65,536 frames.
        let counts = (0..=u16::MAX).cycle();
        let offsets = (0..length).step_by(PAYLOAD_MAX);
        for ((sequence_count, parameter), payload) in
            counts.zip(offsets).zip(known.chunks(PAYLOAD_MAX))
        {
            let before = usize::try_from(parameter).unwrap_or(usize::MAX);
            let payload_length = (whole - before).min(PAYLOAD_MAX);
            let is_last = before + payload_length == whole;
            let control =
                if is_last { control | END_SEQUENCE } else { control & !TRANSFER_INITIATIVE };
            let routing = Routing::SolicitedData;
            let header = Header {
                sequence_count,
                parameter,
                ..self.header(routing, control | RELATIVE_OFFSET)
            };
            let payload = Cow::Borrowed(payload);
            self.frames.push(Frame { at_ns, header, payload, payload_length, comment: "" });
        }
        self.sequence_id = self.sequence_id.wrapping_add(1);
    }

    fn header(&self, routing: Routing, frame_control: u32) -> Header {
        let Nexus { initiator, target, .. } = self.nexus;
        let from_target = frame_control & frame_control::FROM_RESPONDER != 0;
        let is_first = frame_control & frame_control::FIRST_SEQUENCE != 0;
        Header {
            routing,
            source: if from_target { target } else { initiator },
            destination: if from_target { initiator } else { target },
            frame_control,
            sequence_id: self.sequence_id,
            sequence_count: 0,
            originator_exchange_id: self.ox_id,
            // The initiator learns it from the target's first frame.
            responder_exchange_id: if is_first { UNASSIGNED } else { self.rx_id },
            parameter: 0,
        }
    }
}

#[cfg(test)]
mod tests;
