//! The kernel's side of the ring, in the same process: what `drivers/target/target_core_user.c`
//! does with commands, answers, time-outs and resets, byte for byte where a handler can see it.
//!
//! For unit tests, benches and the embedded mode. The initiator's side is [`SimulatedKernel::submit`]
//! and the [`Finished`] commands that other calls return; the handler's side is the
//! [`SimulatedKernel::mapping`], on which a [`crate::Ring`] is attached, and
//! [`SimulatedKernel::doorbell`] in place of `write(2)`. Time is passed in. Names in parentheses are
//! the kernel's functions, attributes and flags.
//!
//! Left out, because no handler can tell: the growing and shrinking of the data area (every page is
//! always there, so what would be a SIGBUS goes unnoticed here) and event plugging.

mod blocks;
mod entries;
mod reap;

use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::sync::Arc;
use std::time::Duration;

use pulsefield_units::Instant;

use crate::abi::{MAILBOX_SIZE, MAILBOX_VERSION, MailboxHeader, SENSE_BUFFERSIZE};
use crate::circle::Circle;
use crate::command_ids::CommandIds;
use crate::mailbox::Mailbox;
use crate::{Features, Mapping, TmrKind};

use blocks::Blocks;

const GOOD: u8 = 0x00;
const CHECK_CONDITION: u8 = 0x02;
const BUSY: u8 = 0x08;
const TASK_SET_FULL: u8 = 0x28;
const TASK_ABORTED: u8 = 0x40;

/// How the device is set up.
#[derive(Clone, Debug)]
pub struct Options {
    /// Length of the command ring in bytes (`cmdr_size`), a multiple of 8. The kernel's own are
    /// whole MiB less the mailbox; small ones wrap sooner.
    pub ring_bytes: u32,
    /// Number of blocks in the data area.
    pub data_blocks: u32,
    /// Pages of 4 KiB in a data block (`data_pages_per_blk`).
    pub block_pages: u32,
    /// What the mailbox announces.
    pub features: Features,
    /// Whether task management functions are posted (`tmr_notification`).
    pub tmr_notification: bool,
    /// How long a posted command may take (`cmd_time_out`); `None` is for ever.
    pub command_time_out: Option<Duration>,
    /// How long a command waits for room (`qfull_time_out`); `None` is the kernel's -1: as long as a
    /// posted command may take, or 30 s. Zero refuses at once.
    pub queue_full_time_out: Option<Duration>,
    /// Never hand out neighbouring blocks while there are others, so that data comes in many
    /// vectors; otherwise the lowest free block is taken, as the kernel does.
    pub scatter: bool,
    /// What Data-In blocks are filled with before they are posted, in place of what the last
    /// command left in them; `None` leaves that.
    pub dirt: Option<u8>,
}

impl Default for Options {
    /// A current kernel as it comes, with a data area of 32 MiB.
    fn default() -> Self {
        Self {
            ring_bytes: (8 << 20) - 128,
            data_blocks: 8192,
            block_pages: 1,
            features: Features {
                out_of_order: true,
                read_length: true,
                task_management: true,
                keep_buffer: true,
            },
            tmr_notification: false,
            command_time_out: Some(DEFAULT_TIME_OUT),
            queue_full_time_out: None,
            scatter: false,
            dirt: None,
        }
    }
}

/// `TCMU_TIME_OUT`.
const DEFAULT_TIME_OUT: Duration = Duration::from_secs(30);

/// The data of a command, seen from the initiator.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Data {
    /// No data.
    None,
    /// These bytes go to the device.
    Out(Vec<u8>),
    /// So many bytes are expected from the device.
    In(usize),
    /// Both.
    Bidirectional {
        /// What goes to the device.
        out: Vec<u8>,
        /// How many bytes are expected back.
        expected: usize,
    },
}

impl Data {
    fn out(&self) -> &[u8] {
        match self {
            Self::Out(out) | Self::Bidirectional { out, .. } => out,
            Self::None | Self::In(_) => &[],
        }
    }

    /// `se_cmd->data_length`.
    fn first_len(&self) -> usize {
        match self {
            Self::None => 0,
            Self::Out(out) | Self::Bidirectional { out, .. } => out.len(),
            Self::In(expected) => *expected,
        }
    }

    /// `data_len_bidi`.
    fn second_len(&self) -> usize {
        match self {
            Self::Bidirectional { expected, .. } => *expected,
            Self::None | Self::Out(_) | Self::In(_) => 0,
        }
    }
}

/// A submitted command; never used twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Submitted(u64);

/// Why a command was answered by the kernel at once, without the handler.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    /// The device is blocked: status BUSY.
    Busy,
    /// The device is broken: NOT READY, LOGICAL UNIT COMMUNICATION FAILURE.
    CommunicationFailure,
    /// It needs more than half the ring, or more than the data area: INVALID FIELD IN CDB.
    InvalidFieldInCdb,
    /// Too many commands, or waiting for room is off: status TASK SET FULL.
    TaskSetFull,
}

/// What the initiator is told of a command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finished {
    /// Which command.
    pub handle: Submitted,
    /// SAM status.
    pub status: u8,
    /// Sense data, with CHECK CONDITION only.
    pub sense: Option<[u8; SENSE_BUFFERSIZE]>,
    /// Data-In as far as it was transferred.
    pub data_in: Vec<u8>,
    /// Bytes expected and not transferred, if the handler said so (residual underflow).
    pub residual: usize,
}

impl Finished {
    fn with_status(handle: Submitted, status: u8) -> Self {
        Self { handle, status, sense: None, data_in: Vec::new(), residual: 0 }
    }

    /// What LIO makes of CHECK CONDITION without sense data: fixed format, NOT READY, LOGICAL UNIT
    /// COMMUNICATION FAILURE.
    fn communication_failure(handle: Submitted) -> Self {
        let mut sense = [0; SENSE_BUFFERSIZE];
        sense[0] = 0x70;
        sense[2] = 0x02;
        sense[7] = 0x0a;
        sense[12] = 0x08;
        Self { sense: Some(sense), ..Self::with_status(handle, CHECK_CONDITION) }
    }
}

/// How [`SimulatedKernel::reset_ring`] answers the commands in flight.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reset {
    /// `reset_ring` = 1: BUSY, the initiator tries again.
    Busy,
    /// `reset_ring` = 2: CHECK CONDITION, NOT READY.
    Fail,
}

/// A command before it was posted.
struct Command {
    handle: Submitted,
    cdb: Vec<u8>,
    data: Data,
}

/// A command on the ring (`struct tcmu_cmd`).
struct Posted {
    handle: Submitted,
    data: Data,
    /// Its data blocks, those of `data.first_len()` first.
    blocks: Vec<u32>,
    deadline: Option<Instant>,
    /// Answered by the kernel for lack of time; keeps id and blocks until the handler answers.
    expired: bool,
    /// Answered with KEEP_BUF; keeps id and blocks until they are freed.
    kept: bool,
}

/// One device, the kernel's side of it.
pub struct SimulatedKernel {
    options: Options,
    mapping: Arc<Mapping>,
    mailbox: Mailbox,
    circle: Circle,
    /// The next byte of the ring to write.
    head: u32,
    /// The first slot not yet reaped (`cmdr_last_cleaned`).
    cleaned: u32,
    blocks: Blocks,
    ids: CommandIds,
    commands: BTreeMap<u16, Posted>,
    /// Commands that wait for room, with the moment they give up (`qfull_queue`).
    waiting: VecDeque<(Command, Instant)>,
    /// Notifications that wait for room (`tmr_queue`).
    waiting_tmrs: VecDeque<(TmrKind, Vec<u16>)>,
    blocked: bool,
    broken: bool,
    events: u32,
    next_handle: u64,
}

impl SimulatedKernel {
    /// Creates a device.
    ///
    /// # Errors
    /// What `mmap(2)` answers.
    ///
    /// # Panics
    /// If the ring's length is not a multiple of 8.
    pub fn new(options: Options) -> io::Result<Self> {
        assert!(options.ring_bytes.is_multiple_of(8), "entries are 8-byte aligned");
        let data_start = MAILBOX_SIZE + options.ring_bytes as usize;
        let blocks = Blocks::new(data_start, &options);
        let mapping = Mapping::anonymous(blocks.end())?;
        let mailbox = Mailbox::new(Arc::clone(&mapping));
        mapping.write(
            0,
            &MailboxHeader {
                version: MAILBOX_VERSION,
                flags: options.features.to_flags(),
                cmdr_off: u32::try_from(MAILBOX_SIZE).expect("128"),
                cmdr_size: options.ring_bytes,
            },
        );
        Ok(Self {
            circle: Circle::new(options.ring_bytes),
            options,
            mapping,
            mailbox,
            head: 0,
            cleaned: 0,
            blocks,
            ids: CommandIds::new(),
            commands: BTreeMap::new(),
            waiting: VecDeque::new(),
            waiting_tmrs: VecDeque::new(),
            blocked: false,
            broken: false,
            events: 0,
            next_handle: 0,
        })
    }

    /// The shared region.
    pub fn mapping(&self) -> Arc<Mapping> {
        Arc::clone(&self.mapping)
    }

    /// How often the handler was notified, as `read(2)` of the device would tell. Wraps.
    pub fn event_count(&self) -> u32 {
        self.events
    }

    /// Whether the handler has broken the protocol; ends with [`SimulatedKernel::reset_ring`].
    pub fn is_broken(&self) -> bool {
        self.broken
    }

    /// Commands that are on the ring and not answered by the handler, expired ones included.
    pub fn posted(&self) -> usize {
        self.commands.values().filter(|command| !command.kept).count()
    }

    /// Commands that wait for room.
    pub fn waiting(&self) -> usize {
        self.waiting.len()
    }

    /// The kernel's id of a command on the ring, which a notification would name.
    pub fn cmd_id(&self, handle: Submitted) -> Option<u16> {
        self.commands.iter().find(|(_, posted)| posted.handle == handle).map(|(id, _)| *id)
    }

    /// Submits a command (`tcmu_queue_cmd`). It is posted, or waits for room.
    ///
    /// # Errors
    /// If the kernel answers it at once.
    pub fn submit(&mut self, now: Instant, cdb: &[u8], data: Data) -> Result<Submitted, Refused> {
        let handle = Submitted(self.next_handle);
        self.next_handle += 1;
        let command = Command { handle, cdb: cdb.to_vec(), data };
        if let Some(command) = self.post(now, command)? {
            let patience = self
                .options
                .queue_full_time_out
                .or(self.options.command_time_out)
                .unwrap_or(DEFAULT_TIME_OUT);
            if patience.is_zero() {
                return Err(Refused::TaskSetFull);
            }
            self.waiting.push_back((command, now.after(patience)));
        }
        Ok(handle)
    }

    /// The handler wrote to the device (`tcmu_irqcontrol`): reaps its answers and posts what waited
    /// for room.
    pub fn doorbell(&mut self, now: Instant) -> Vec<Finished> {
        let mut finished = Vec::new();
        if self.handle_completions(&mut finished) {
            self.run_waiting(now, &mut finished);
        }
        finished
    }

    /// Ends commands whose time is up (`check_timedout_devices`). Those that wait for room get TASK
    /// SET FULL; posted ones NOT READY, but keep their id and blocks.
    pub fn tick(&mut self, now: Instant) -> Vec<Finished> {
        let mut finished = Vec::new();
        let mut late: Vec<&mut Posted> = self
            .commands
            .values_mut()
            .filter(|posted| !posted.expired && !posted.kept)
            .filter(|posted| posted.deadline.is_some_and(|deadline| deadline <= now))
            .collect();
        late.sort_by_key(|posted| posted.handle);
        for posted in late {
            posted.expired = true;
            finished.push(Finished::communication_failure(posted.handle));
        }
        self.waiting.retain(|(command, deadline)| {
            let late = *deadline <= now;
            if late {
                finished.push(Finished::with_status(command.handle, TASK_SET_FULL));
            }
            !late
        });
        finished
    }

    /// When the next command runs out of time; what [`Self::tick`] is for.
    pub fn next_deadline(&self) -> Option<Instant> {
        let posted = self.commands.values().filter(|posted| !posted.expired && !posted.kept);
        let posted = posted.filter_map(|posted| posted.deadline);
        posted.chain(self.waiting.iter().map(|(_, deadline)| *deadline)).min()
    }

    /// A task management function aborts commands (`tcmu_tmr_notify`). Those that wait for room end
    /// at once; for the others the handler is notified, if that is on, and must still answer.
    pub fn task_management(&mut self, kind: TmrKind, aborted: &[Submitted]) -> Vec<Finished> {
        let mut finished = Vec::new();
        self.waiting.retain(|(command, _)| {
            let hit = aborted.contains(&command.handle);
            if hit {
                finished.push(Finished::with_status(command.handle, TASK_ABORTED));
            }
            !hit
        });
        if self.options.tmr_notification {
            let ids = self
                .commands
                .iter()
                .filter(|(_, posted)| !posted.expired && !posted.kept)
                .filter(|(_, posted)| aborted.contains(&posted.handle))
                .map(|(id, _)| *id)
                .collect();
            self.notify(kind, ids);
        }
        finished
    }

    /// `block_dev` = 1: reaps what is answered, fails what waits, refuses what comes.
    pub fn block(&mut self) -> Vec<Finished> {
        let mut finished = Vec::new();
        if !self.blocked {
            self.blocked = true;
            self.handle_completions(&mut finished);
            finished.extend(
                self.waiting
                    .drain(..)
                    .map(|(command, _)| Finished::with_status(command.handle, BUSY)),
            );
        }
        finished
    }

    /// `block_dev` = 0.
    pub fn unblock(&mut self) {
        self.blocked = false;
    }

    /// Answers everything in flight, empties the ring, and posts what waited for room. The handler
    /// must attach anew, and must have let go of all data before.
    pub fn reset_ring(&mut self, now: Instant, reset: Reset) -> Vec<Finished> {
        let mut finished = Vec::new();
        for (id, posted) in std::mem::take(&mut self.commands) {
            if !posted.expired && !posted.kept {
                finished.push(match reset {
                    Reset::Busy => Finished::with_status(posted.handle, BUSY),
                    Reset::Fail => Finished::communication_failure(posted.handle),
                });
            }
            self.ids.remove(id);
            self.blocks.free(posted.blocks);
        }
        self.mailbox.reset();
        self.head = 0;
        self.cleaned = 0;
        self.broken = false;
        self.waiting_tmrs.clear();
        self.run_waiting(now, &mut finished);
        finished
    }

    /// `free_kept_buf`: frees what a KEEP_BUF answer kept; `None` (the kernel's `EINVAL`) if no such
    /// command is kept.
    pub fn free_kept_buffer(&mut self, now: Instant, cmd_id: u16) -> Option<Vec<Finished>> {
        if !self.commands.get(&cmd_id)?.kept {
            return None;
        }
        self.release(cmd_id);
        let mut finished = Vec::new();
        if self.waiting_tmrs.is_empty() {
            self.run_waiting(now, &mut finished);
        }
        Some(finished)
    }

    /// Frees id and blocks of a command.
    fn release(&mut self, cmd_id: u16) {
        if let Some(posted) = self.commands.remove(&cmd_id) {
            self.ids.remove(cmd_id);
            self.blocks.free(posted.blocks);
        }
    }

    /// Posts what waits for room, oldest first, until there is none (`run_qfull_queue`).
    fn run_waiting(&mut self, now: Instant, finished: &mut Vec<Finished>) {
        let mut queue = std::mem::take(&mut self.waiting);
        while let Some((command, deadline)) = queue.pop_front() {
            let handle = command.handle;
            match self.post(now, command) {
                Ok(None) => {}
                Ok(Some(command)) => {
                    queue.push_front((command, deadline));
                    break;
                }
                // The kernel drops the reason.
                Err(_) => finished.push(Finished::communication_failure(handle)),
            }
        }
        self.waiting = queue;
    }
}

#[cfg(test)]
mod tests;
