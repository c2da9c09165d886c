//! What a command in a record is to checkers.
//!
//! A record has both halves of a COMPARE AND WRITE, and of plain writes what they brought for blocks that a COMPARE
//! AND WRITE uses; not what was read. Where data is missing, nobody knows what a block holds afterwards.

use std::sync::Arc;

use pulsefield_checkers::{Ending, OperationKind};
use pulsefield_record::{Command, Found, Image, ImageRole, Origin};
use pulsefield_scsi::{Command as Meaning, SenseKey, Status, opcode};
use pulsefield_units::{BlockCount, Instant, Lba, LbaRange};
use pulsefield_vmfs::{HeartbeatState, HostUuid, Object};

/// A command that concerns blocks.
#[derive(Debug)]
pub(super) struct Seen {
    /// When it was found on the ring.
    pub(super) arrived: Instant,
    /// When its answer was ready.
    pub(super) answered: Instant,
    /// How it ended at the target, whether or not its initiator heard of it.
    pub(super) ending: Ending,
    /// Whether its initiator had given it up before.
    pub(super) aborted: bool,
    /// Which blocks its CDB names, or it claimed.
    pub(super) blocks: LbaRange,
    /// What it does to them.
    pub(super) deed: Deed,
    /// What a report counts it as.
    pub(super) kind: OperationKind,
}

/// What a command does to blocks.
#[derive(Debug)]
pub(super) enum Deed {
    /// Compares and writes, all of which is recorded.
    Swap(Swap),
    /// Writes its blocks.
    Write {
        /// What, as far as it is recorded.
        image: Option<Image>,
        /// The length of a block.
        block_bytes: usize,
    },
    /// Changes blocks in a way that only the command can tell: UNMAP, WRITE SAME, SANITIZE, ORWRITE.
    Elsewhere(Box<Command>),
    /// Changes nothing.
    Nothing,
}

/// Both halves of a COMPARE AND WRITE, and what it found instead if that is known.
#[derive(Clone, Debug)]
pub(super) struct Swap {
    pub(super) test: Arc<[u8]>,
    pub(super) set: Arc<[u8]>,
    pub(super) found: Option<Arc<[u8]>>,
}

impl Seen {
    /// `None` of what concerns no blocks, and of what no initiator has asked for: what a fault does by itself is
    /// what checkers are to find.
    pub(super) fn of(command: &Command, found: Option<&Found>) -> Option<Self> {
        if command.origin == Origin::Fault {
            return None;
        }
        let meaning = opcode::parse(&command.cdb).ok()?;
        let blocks = command.blocks.or_else(|| named_by(&meaning))?;
        let ending = ending(command);
        let (deed, kind) = deed(command, &meaning, blocks, found)?;
        let deed = match ending {
            // What did not write concerns nobody but as a COMPARE AND WRITE.
            Ending::Refused | Ending::Miscompared(_) if !matches!(deed, Deed::Swap(_)) => {
                Deed::Nothing
            }
            Ending::Done | Ending::Maybe | Ending::Refused | Ending::Miscompared(_) => deed,
        };
        let Command { arrived, answered, aborted, .. } = *command;
        let aborted = aborted.is_some();
        Some(Self { arrived, answered, ending, aborted, blocks, deed, kind })
    }

    /// Whether a COMPARE AND WRITE is without its data: the record keeps it brief.
    pub(super) fn is_brief(&self, command: &Command) -> bool {
        command.cdb.opcode() == Some(opcode::COMPARE_AND_WRITE)
            && command.image(ImageRole::Written).is_none()
            && matches!(self.ending, Ending::Done | Ending::Miscompared(_))
    }

    /// What it wrote or wanted to write to its first block.
    pub(super) fn written(&self) -> Option<&[u8]> {
        match &self.deed {
            Deed::Swap(Swap { set, .. }) => Some(set),
            Deed::Write { image, .. } => {
                let image = image.as_ref().filter(|image| image.offset == 0)?;
                Some(&image.bytes)
            }
            Deed::Elsewhere(_) | Deed::Nothing => None,
        }
    }

    /// Which host sent it, as far as what it writes tells.
    pub(super) fn author(&self) -> Option<HostUuid> {
        let test = match &self.deed {
            Deed::Swap(Swap { test, .. }) => Object::decode(test),
            Deed::Write { .. } | Deed::Elsewhere(_) | Deed::Nothing => None,
        };
        match (test, Object::decode(self.written()?)?) {
            (before, Object::Heartbeat(set)) => match (before, set.state) {
                (_, HeartbeatState::InUse) => set.owner,
                (_, HeartbeatState::Replaying) => set.replaying_host,
                // Who began to replay it clears it; one that is in use its owner may clear, or somebody else.
                (Some(Object::Heartbeat(before)), HeartbeatState::Clear) => before.replaying_host,
                (_, HeartbeatState::Clear) => None,
            },
            (Some(Object::Lock(test)), Object::Lock(set)) => {
                let has = |lock: &pulsefield_vmfs::DiskLock, host| {
                    lock.claims().any(|claim| claim.host == host)
                };
                let came = set.claims().find(|claim| !has(&test, claim.host));
                let left = test.claims().find(|claim| !has(&set, claim.host));
                came.or(left).map(|claim| claim.host).or(set.owner)
            }
            (_, Object::Lock(set)) => set.owner,
        }
    }
}

impl Deed {
    /// What a block of `blocks` holds after it; empty if that is not known.
    pub(super) fn leaves(&self, blocks: LbaRange, lba: Lba) -> Arc<[u8]> {
        let Self::Write { image: Some(image), block_bytes } = self else {
            return Arc::default();
        };
        let index = lba.checked_sub(blocks.start()).map(BlockCount::as_u64);
        let block = index.and_then(|index| image.block(index, *block_bytes));
        block.map(Arc::from).unwrap_or_default()
    }
}

/// What it does, and what a report counts it as; `None` of what neither reads nor changes blocks, or is told by the
/// commands that it is carried out with.
fn deed(
    command: &Command,
    meaning: &Meaning,
    blocks: LbaRange,
    found: Option<&Found>,
) -> Option<(Deed, OperationKind)> {
    if let Meaning::CompareAndWrite(_) = meaning {
        let swap = swap(command, blocks, found);
        let halves = swap.as_ref().map(|swap| (swap.test.clone(), swap.set.clone()));
        let (test, set) = halves.unwrap_or_default();
        // Without its data it is a write of something.
        let deed = swap.map_or(Deed::Write { image: None, block_bytes: 0 }, Deed::Swap);
        return Some((deed, OperationKind::CompareAndWrite { test, set }));
    }
    if let Meaning::Read(_) = meaning {
        return Some((Deed::Nothing, OperationKind::Read { data: Arc::default() }));
    }
    let write = OperationKind::Write { data: Arc::default() };
    if matches!(meaning, Meaning::Write(_) | Meaning::WriteAndVerify(_) | Meaning::WriteAtomic(_)) {
        let image = command.image(ImageRole::Written).cloned();
        let block_bytes = part(command.data_bytes, blocks.blocks());
        let copies = command.origin == Origin::Copy;
        let kind = if copies { OperationKind::Copy { from: blocks.start() } } else { write };
        return Some((Deed::Write { image, block_bytes }, kind));
    }
    let elsewhere = || Deed::Elsewhere(Box::new(command.clone()));
    let clears = matches!(
        meaning,
        Meaning::WriteSame(_) | Meaning::Unmap(_) | Meaning::FormatUnit(_) | Meaning::Sanitize(_)
    );
    if clears {
        return Some((elsewhere(), OperationKind::Zero));
    }
    let alters = matches!(meaning, Meaning::OrWrite(_) | Meaning::WriteLong(_));
    alters.then(|| (elsewhere(), write))
}

/// Both halves, if all of them is recorded.
fn swap(command: &Command, blocks: LbaRange, found: Option<&Found>) -> Option<Swap> {
    let half = usize::try_from(command.data_bytes / 2).ok()?;
    let whole = |image: &Image| image.offset == 0 && image.bytes.len() == half;
    let half_of = |role| {
        let image = command.image(role).filter(|image| whole(image))?;
        Some(Arc::from(&image.bytes[..]))
    };
    let found = found.filter(|found| found.blocks == blocks).map(|found| &found.image);
    let found = found.filter(|image| whole(image)).map(|image| Arc::from(&image.bytes[..]));
    let (test, set) = (half_of(ImageRole::Expected)?, half_of(ImageRole::Written)?);
    Some(Swap { test, set, found })
}

/// How it ended: whether it was done, the target knows.
fn ending(command: &Command) -> Ending {
    let Command { status, sense, started, .. } = command;
    match sense {
        _ if *status == Status::Good.as_u8() => Ending::Done,
        Some(sense) if sense.key == SenseKey::Miscompare.as_u8() => {
            Ending::Miscompared(sense.information)
        }
        _ if started.is_none() => Ending::Refused,
        // It may have changed some of its blocks before it failed.
        Some(_) | None => Ending::Maybe,
    }
}

/// The blocks that the CDB of a command names that a fault has answered, so that it never claimed them.
fn named_by(meaning: &Meaning) -> Option<LbaRange> {
    let extent = if let Meaning::CompareAndWrite(it) = meaning {
        it.extent
    } else if let Meaning::Read(it) = meaning {
        it.extent
    } else if let Meaning::Write(it) = meaning {
        it.extent
    } else {
        return None;
    };
    extent.range().ok()?
}

/// How many bytes of so many are one block's.
fn part(bytes: u32, blocks: BlockCount) -> usize {
    usize::try_from(u64::from(bytes) / blocks.as_u64()).unwrap_or(usize::MAX)
}
