//! What there is to show of a volume.

use std::io;

use pulsefield_vmfs::{
    DiskLock, Heartbeat, HeartbeatRegion, HeartbeatState, LockHolder, LockMode, Object, Standing,
    Volume,
};

use super::VmfsError;
use super::source::Source;

/// How much is searched at once, in bytes.
const PIECE: u64 = 4 << 20;

/// What was found on a volume.
pub(crate) struct Findings {
    /// The path of what was read.
    pub(crate) source: String,
    pub(crate) volume: Volume,
    /// All slots, in their order; none of an extent that is not the head of its volume.
    pub(crate) slots: Vec<Slot>,
    /// The bytes that the slots were read from.
    pub(crate) region: Vec<u8>,
    pub(crate) locks: Locks,
}

/// A heartbeat slot.
pub(crate) struct Slot {
    pub(crate) number: u64,
    /// Where it is, in bytes from the start of the volume.
    pub(crate) address: u64,
    /// `None` if it holds no heartbeat, or one that belongs elsewhere.
    pub(crate) heartbeat: Option<Heartbeat>,
}

impl Slot {
    /// Whether a host ever used it, or something is wrong with it.
    pub(crate) fn was_used(&self) -> bool {
        self.heartbeat.as_ref().is_none_or(|heartbeat| heartbeat.generation > 0)
    }

    /// Whether a host uses it, or something is wrong with it.
    pub(crate) fn is_used(&self) -> bool {
        let clear = |heartbeat: &Heartbeat| heartbeat.state == HeartbeatState::Clear;
        !self.heartbeat.as_ref().is_some_and(clear)
    }
}

/// What the search for locks found.
#[derive(Default)]
pub(crate) struct Locks {
    /// Those that somebody has.
    pub(crate) held: Vec<DiskLock>,
    /// How many there are in all.
    pub(crate) found: u64,
    /// How much of the volume was searched, from its beginning, or that of the part on this device.
    pub(crate) searched_bytes: u64,
    /// How much of it there is.
    pub(crate) part_bytes: u64,
}

impl Findings {
    /// Reads a volume, and searches `search` bytes of it for locks. `progress` hears now and then how far
    /// that is, in percent, and of the end.
    ///
    /// # Errors
    /// If there is no volume, or it cannot be read.
    pub(crate) fn gather(
        source: &mut Source,
        search: u64,
        progress: Option<fn(u64)>,
    ) -> Result<Self, VmfsError> {
        let name = source.name().to_owned();
        let volume = Volume::locate(|offset, buffer| source.read(offset, buffer))
            .map_err(|source| VmfsError::Locate { name: name.clone(), source })?;
        let region = read_region(source, &volume)?;
        let slots = heartbeats(&volume).map_or_else(Vec::new, |place| slots(place, &region));
        let locks = search_locks(source, &volume, search, progress.unwrap_or(|_| ()))?;
        Ok(Self { source: name, volume, slots, region, locks })
    }

    /// What the heartbeat of somebody who has a lock says of that; `None` if it is on another device.
    pub(crate) fn standing(&self, claim: &LockHolder) -> Option<Standing> {
        let slot = heartbeats(&self.volume)?.slot_at(claim.heartbeat_address);
        let slot = slot.and_then(|slot| self.slots.get(usize::try_from(slot).ok()?));
        let slot = slot.filter(|slot| slot.address == claim.heartbeat_address);
        Some(Standing::of(claim, slot.and_then(|slot| slot.heartbeat.as_ref())))
    }
}

pub(crate) fn heartbeats(volume: &Volume) -> Option<HeartbeatRegion> {
    volume.file_system.as_ref().map(|file_system| file_system.heartbeats)
}

/// The bytes of all slots; none of an extent that is not the head of its volume.
pub(crate) fn read_region(source: &mut Source, volume: &Volume) -> Result<Vec<u8>, VmfsError> {
    let Some(range) = heartbeats(volume).map(|region| region.range()) else {
        return Ok(Vec::new());
    };
    let length = range.end - range.start;
    let offset = volume.data_start() + range.start;
    let mut region = vec![0; usize::try_from(length).expect("64 MiB at most")];
    let read = read(source, offset, &mut region)?;
    if read < region.len() {
        let (name, length) = (source.name().to_owned(), source.length());
        return Err(VmfsError::Truncated { name, length, end: offset + region.len() as u64 });
    }
    Ok(region)
}

fn slots(place: HeartbeatRegion, region: &[u8]) -> Vec<Slot> {
    let stride = usize::try_from(place.stride).expect("64 KiB at most");
    let slot = |(number, bytes): (u64, &[u8])| {
        let address = place.range().start + number * place.stride;
        let own = |heartbeat: &Heartbeat| heartbeat.address == address;
        Slot { number, address, heartbeat: Heartbeat::decode(bytes).filter(own) }
    };
    (0..).zip(region.chunks_exact(stride)).map(slot).collect()
}

fn search_locks(
    source: &mut Source,
    volume: &Volume,
    search: u64,
    progress: fn(u64),
) -> Result<Locks, VmfsError> {
    let begin = volume.data_start();
    let part = volume.part();
    let there = source.length().saturating_sub(begin).min(part.end - part.start);
    let searched = search.min(there);
    let mut locks = Locks { part_bytes: there, searched_bytes: searched, ..Locks::default() };
    let end = begin + searched;
    let mut piece = vec![0; usize::try_from(PIECE).expect("some MiB")];
    let mut at = begin;
    while let Some(data) = source.next_data(at).filter(|data| *data < end) {
        // Where data begins is the file system's business; where a sector does is the volume's.
        let data = data - (data - begin) % 512;
        progress((data - begin) * 100 / searched);
        let wanted = usize::try_from((end - data).min(PIECE)).expect("some MiB");
        let length = read(source, data, &mut piece[..wanted])?;
        let offset = part.start + (data - begin);
        for lock in Object::locks_in(&piece[..length], offset) {
            locks.found += 1;
            if lock.mode != LockMode::Free {
                locks.held.push(lock);
            }
        }
        at = data + wanted as u64;
    }
    progress(100);
    Ok(locks)
}

fn read(source: &mut Source, offset: u64, buffer: &mut [u8]) -> Result<usize, VmfsError> {
    let failed = |error: io::Error, source: &Source| VmfsError::Read {
        name: source.name().to_owned(),
        offset,
        source: error,
    };
    source.read(offset, buffer).map_err(|error| failed(error, source))
}
