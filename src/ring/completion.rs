//! Answering: a response into the slot at the tail, and one new tail per batch.
//!
//! # Why no request is overwritten before it was read
//! `slots` holds one element per command that was read and not yet answered with a slot, in ring
//! order: [`Ring::next_entry`] pushes one when it has copied the command out, and each answer
//! consumes one. So the slot at the front, into which the next answer goes, was always read by us,
//! whoever's request it once held; and there is a slot as long as a command is unanswered. Slots of
//! padding and notifications are not in the list; the tail passes over them by itself, since it is
//! where the front slot starts, or the cursor if no command is in flight.

use std::sync::Arc;
use std::sync::atomic::{Ordering, fence};

use pulsefield_data::Buffer;

use crate::abi::{
    ENTRY_CMD_ID, ENTRY_UFLAGS, RESPONSE_READ_LEN, RESPONSE_SENSE, RESPONSE_STATUS,
    SENSE_BUFFERSIZE, UFLAG_READ_LEN,
};
use crate::token::{CommandRef, Lease};
use crate::{CommandToken, Ring};

/// SAM status CHECK CONDITION, the one with which the kernel takes sense data over.
const CHECK_CONDITION: u8 = 0x02;

/// Sense data of a command that was lost: fixed format, HARDWARE ERROR, INTERNAL TARGET FAILURE
/// (SPC-5 4.4.3 and annex F).
const LOST_SENSE: [u8; SENSE_BUFFERSIZE] = {
    let mut sense = [0; SENSE_BUFFERSIZE];
    let [code, _, key, _, _, _, _, additional_length, _, _, _, _, asc, ascq, ..] = &mut sense;
    *code = 0x70;
    *key = 0x04;
    *additional_length = 10;
    *asc = 0x44;
    *ascq = 0x00;
    sense
};

/// What a command ended with.
#[derive(Clone, Copy, Debug)]
pub struct Answer<'a> {
    /// The SAM status code.
    pub status: u8,
    /// Sense data; sent with CHECK CONDITION (02h) only. `None` with CHECK CONDITION is sense data
    /// of zeros.
    pub sense: Option<&'a [u8; SENSE_BUFFERSIZE]>,
    /// How much of the data goes to the initiator. Has no meaning for a command without Data-In, or
    /// for a bidirectional one.
    pub data_in: DataIn,
}

/// How much of a command's data is Data-In to be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DataIn {
    /// All of it; the caller has filled the whole buffer.
    All,
    /// The first so many bytes. The rest of the buffer is zeroed. The initiator is told of the
    /// residual if the kernel can ([`crate::Features::read_length`]) and the number is not 0.
    Short(u32),
}

/// A response ready to be written.
#[derive(Clone, Copy)]
struct Response<'a> {
    status: u8,
    sense: Option<&'a [u8; SENSE_BUFFERSIZE]>,
    /// Set if the initiator is to be told how much Data-In there is.
    read_len: Option<u32>,
}

/// Sense data of a CHECK CONDITION that came without any.
const NO_SENSE: [u8; SENSE_BUFFERSIZE] = [0; SENSE_BUFFERSIZE];

/// The slot of a command that was read, in ring order.
pub(crate) struct Slot {
    /// Where it starts, in bytes from the start of the ring.
    offset: u32,
    /// Whether it holds a response.
    answered: bool,
}

/// A response that waits until nobody can reach the command's data any more.
pub(crate) struct Held {
    command: CommandRef,
    lease: Arc<Lease>,
    status: u8,
    sense: [u8; SENSE_BUFFERSIZE],
    read_len: Option<u32>,
}

impl Ring {
    /// Answers a command.
    ///
    /// The kernel sees it with the next [`Ring::publish`]. `data` is the command's buffer, or an
    /// empty one if that was dropped. If any buffer of the command is still alive elsewhere, the
    /// answer waits for the first publish after its end: the kernel reuses the blocks at once.
    ///
    /// # Panics
    /// If the token is another ring's, or if the answer is short and `data` is not the whole data of
    /// the command (bugs of the caller).
    pub fn complete(&mut self, token: CommandToken, answer: Answer<'_>, mut data: Buffer) {
        // While these may panic the token is still whole, so that the command would not be lost.
        assert!(token.is_of(&self.lost), "command {} is not of this ring", token.cmd_id());
        let read_len = self.cut_short(token.command(), answer.data_in, &mut data);
        self.data_area.reclaim(data);
        let (command, lease) = token.redeem();
        let response = Response { status: answer.status, sense: answer.sense, read_len };
        self.answer(command, lease, response);
    }

    /// Shows all answers so far to the kernel. `true` if there were any: the caller must then ring
    /// the doorbell, a `write(2)` of four bytes to the device, from this same thread.
    ///
    /// Call it on every turn of the device's loop: it is also what answers lost commands.
    #[must_use = "the kernel looks at the answers only when the doorbell rings"]
    pub fn publish(&mut self) -> bool {
        self.answer_lost();
        self.retry_held();
        let tail = self.slots.front().map_or(self.cursor, |slot| slot.offset);
        if tail == self.published {
            return false;
        }
        self.mailbox.publish_tail(tail);
        self.published = tail;
        self.ring_in_use.set(self.circle.distance(tail, self.head) as usize);
        true
    }

    /// How many commands were read and are not answered yet.
    pub fn in_flight(&self) -> usize {
        self.in_flight
    }

    /// How many commands were answered because their token was dropped; see [`CommandToken`].
    pub fn lost(&self) -> u64 {
        self.lost_count
    }

    /// Makes room for a command's answer; says the command's sequence number.
    pub(crate) fn push_slot(&mut self, offset: u32) -> u64 {
        let sequence = self.first_sequence.saturating_add(self.slots.len() as u64);
        self.slots.push_back(Slot { offset, answered: false });
        self.in_flight = self.in_flight.saturating_add(1);
        sequence
    }

    /// A lease for a new command; allocates only if there were never so many in flight.
    pub(crate) fn new_lease(&mut self) -> Arc<Lease> {
        self.leases.pop().unwrap_or_else(|| {
            Arc::new(Lease::new(Arc::clone(&self.mapping), Arc::downgrade(&self.lost)))
        })
    }

    /// Zeroes what is not sent, and says the length to send if it is to be stated.
    fn cut_short(&self, command: CommandRef, data_in: DataIn, data: &mut Buffer) -> Option<u32> {
        let DataIn::Short(sent) = data_in else {
            return None;
        };
        let rest = command.data_len.checked_sub(sent as usize).filter(|rest| *rest > 0)?;
        assert_eq!(
            data.len(),
            command.data_len,
            "a short answer to command {} without its data",
            command.cmd_id
        );
        data.fill(sent as usize, rest, 0);
        (sent > 0 && self.features.read_length).then_some(sent)
    }

    fn answer_lost(&mut self) {
        for (command, lease) in self.lost.take() {
            self.lost_count = self.lost_count.saturating_add(1);
            let sense = Some(&LOST_SENSE);
            self.answer(
                command,
                lease,
                Response { status: CHECK_CONDITION, sense, read_len: None },
            );
        }
    }

    fn retry_held(&mut self) {
        for _ in 0..self.held.len() {
            if let Some(Held { command, lease, status, sense, read_len }) = self.held.pop_front() {
                self.answer(command, lease, Response { status, sense: Some(&sense), read_len });
            }
        }
    }

    /// Writes the response, or holds it while a buffer of the command is alive.
    fn answer(&mut self, command: CommandRef, lease: Arc<Lease>, response: Response<'_>) {
        // Nobody has a weak reference to a lease, so that one that is not shared stays so.
        if Arc::strong_count(&lease) != 1 {
            let Response { status, sense, read_len } = response;
            let sense = *sense.unwrap_or(&NO_SENSE);
            self.held.push_back(Held { command, lease, status, sense, read_len });
            return;
        }
        // The count is only looked at. What its last other holder did to the data comes before the answer by this, as
        // what holders of an `Arc` did comes before its end.
        fence(Ordering::Acquire);
        self.respond(command, response);
        self.leases.push(lease);
    }

    /// Writes the response into the slot at the tail; or, if the kernel wants answers in order, into
    /// the command's own slot, which the tail passes when all before it are answered.
    fn respond(&mut self, command: CommandRef, response: Response<'_>) {
        let slot = if self.features.out_of_order {
            self.slots.front_mut()
        } else {
            let index = command.sequence.checked_sub(self.first_sequence);
            index.and_then(|index| self.slots.get_mut(usize::try_from(index).ok()?))
        };
        let slot = slot.expect("a command in flight has a slot");
        slot.answered = true;
        let offset = slot.offset;
        self.write_response(offset, command.cmd_id, response);
        self.ids.remove(command.cmd_id);
        self.in_flight = self.in_flight.saturating_sub(1);
        self.data_in_use.subtract(command.area_bytes);
        while self.slots.pop_front_if(|slot| slot.answered).is_some() {
            self.first_sequence = self.first_sequence.saturating_add(1);
        }
    }

    /// The kernel takes the command's id from the slot, whoever's slot it was. `len_op` must stay.
    fn write_response(&self, offset: u32, cmd_id: u16, response: Response<'_>) {
        let start = self.region_offset(offset);
        let at = |member: usize| start.saturating_add(member);
        let uflags = if response.read_len.is_some() { UFLAG_READ_LEN } else { 0 };
        self.mapping.write(at(ENTRY_CMD_ID), &cmd_id);
        self.mapping.write(at(ENTRY_UFLAGS), &uflags);
        self.mapping.write(at(RESPONSE_STATUS), &response.status);
        if let Some(read_len) = response.read_len {
            self.mapping.write(at(RESPONSE_READ_LEN), &read_len);
        }
        if response.status == CHECK_CONDITION {
            self.mapping.write(at(RESPONSE_SENSE), response.sense.unwrap_or(&NO_SENSE));
        }
    }
}
