//! The recorder of one logical unit: what its thread tells, it puts into the file.
//!
//! Nothing here allocates, waits or reads a clock once the file is open, but for space that the file takes
//! the first time that it is filled.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt as _, OpenOptionsExt as _};
use std::path::Path;
use std::time::Duration;

use pulsefield_data::Buffer;
use pulsefield_engine::{Lane, Waited};
use pulsefield_scsi::{Sense, Status};
use pulsefield_units::{BlockCount, BlockLength, Cdb, Instant, LbaRange};
use zerocopy::IntoBytes as _;

use crate::checksum::{self, Seed};
use crate::entry::{Entry, RECORD_BYTES_MAX};
use crate::error::OpenError;
use crate::event::{ImageRole, Origin};
use crate::format::{
    AnchorLayout, CommandLayout, Extent, FileHeader, FoundLayout, HINTS, Hint, Kind, MAGIC,
    MarkLayout, NAME_BYTES_MAX, PART_MARK, PART_SENSE, PART_WAITED, RECORD_HEADER_BYTES,
    RecordHeader, SenseLayout, StartLayout, TRACKS, VERSION, WaitedLayout, extents, file_name,
};
use crate::functions::Functions;
use crate::images::{Effect, UNMAP_LIST_BYTES_MAX, unmapped, window};
use crate::map::Map;
use crate::marks::Marks;
use crate::track::Track;
use crate::watched::Watched;
use crate::written::Written;

mod besides;

/// The least time between two looks at the wall clock.
const ANCHOR_PERIOD: Duration = Duration::from_secs(60);

/// Space that every record takes from its start: the header, and a beginning of each track.
const HEADER_PAGE: u64 = crate::format::HEADER_BYTES as u64;

/// What is kept for hours, and what for as long as there is room.
const KEPT: usize = 0;
const BULK: usize = 1;

/// A moment on the wall clock: nanoseconds since 1970, UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct WallTime(u64);

impl WallTime {
    /// So many nanoseconds after the beginning of 1970.
    pub const fn from_nanos(nanos: u64) -> Self {
        Self(nanos)
    }

    /// Nanoseconds since the beginning of 1970.
    pub const fn as_nanos(self) -> u64 {
        self.0
    }

    /// What the clock shows at `to` if this is what it shows at `from`.
    pub(crate) const fn moved(self, from: Instant, to: Instant) -> Self {
        let (from, to) = (from.as_nanos(), to.as_nanos());
        Self(self.0.saturating_add(to).saturating_sub(from))
    }
}

/// How much is kept of a COMPARE AND WRITE.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Detail {
    /// Both halves, and what it found if that was something else.
    Whole,
    /// As much as of any other command. Writes of metadata are kept no less brief.
    Brief,
}

/// What is to be recorded, where.
#[derive(Clone, Copy, Debug)]
pub struct Unit<'a> {
    /// The folder of the file; made if it is missing.
    pub folder: &'a Path,
    /// The name of the logical unit.
    pub lun: &'a str,
    /// The length of the file.
    pub bytes: u64,
    /// How much is kept.
    pub detail: Detail,
    /// The length of the unit's blocks.
    pub block_length: BlockLength,
    /// How many it has.
    pub blocks: BlockCount,
    /// Whether it begins again after a breakdown.
    pub after_breakdown: bool,
}

/// A command that is over.
#[derive(Clone, Copy, Debug)]
pub struct Finished<'a> {
    /// Whose it is.
    pub origin: Origin,
    /// Its CDB.
    pub cdb: &'a Cdb,
    /// When it was found on the ring.
    pub arrived: Instant,
    /// When it held its blocks and a slot of its lane, if it came so far.
    pub started: Option<Instant>,
    /// When the device server was done with it, if it came there.
    pub ended: Option<Instant>,
    /// For how long it waited there, by what for.
    pub waited: Waited,
    /// The lane it took, if it was to touch the medium.
    pub lane: Option<Lane>,
    /// The blocks it claimed last, if any.
    pub blocks: Option<LbaRange>,
    /// The status it is answered with.
    pub status: Status,
    /// The sense data that goes with it.
    pub sense: Option<&'a Sense>,
    /// Its data.
    pub data: &'a Buffer,
}

/// Writes the record of one logical unit.
#[derive(Debug)]
pub struct Recorder {
    map: Map,
    seed: Seed,
    epoch: u32,
    /// Of the last record.
    sequence: u64,
    tracks: [Track; TRACKS],
    detail: Detail,
    block_bytes: usize,
    watched: Watched,
    marks: Marks,
    functions: Functions,
    anchored: Instant,
}

impl Recorder {
    /// Goes on with the unit's file, or begins one; `wall` is what the wall clock shows `now`. A file that
    /// has another length or version, or is damaged, is put aside under the ending `old`.
    ///
    /// # Errors
    /// If the file cannot be had or has no space, or somebody else writes into it.
    pub fn open(unit: &Unit<'_>, now: Instant, wall: WallTime) -> Result<Self, OpenError> {
        let Unit { folder, lun, bytes, detail, block_length, blocks, after_breakdown } = *unit;
        if lun.len() > NAME_BYTES_MAX {
            return Err(OpenError::LongName(lun.len()));
        }
        let path = folder.join(file_name(lun));
        let io_error = |source| OpenError::Io { path: path.clone(), source };
        std::fs::create_dir_all(folder).map_err(io_error)?;
        let mut file = lock(&path)?;
        let state = match resume(&file, &path, lun, bytes).map_err(io_error)? {
            Some(state) => state,
            None => {
                if file.metadata().map_err(io_error)?.len() > 0 {
                    std::fs::rename(&path, path.with_extension("old")).map_err(io_error)?;
                    file = lock(&path)?;
                }
                begin(&file, lun, bytes, wall).map_err(io_error)?
            }
        };
        let map = Map::new(file).map_err(io_error)?;
        let State { seed, epoch, sequence, mut tracks } = state;
        let no_space = |source| OpenError::NoSpace { path: path.clone(), source };
        map.allocate(0, HEADER_PAGE).map_err(no_space)?;
        for track in &mut tracks {
            track.allocate(&map).map_err(no_space)?;
        }
        let mut recorder = Self {
            map,
            seed,
            epoch: epoch + 1,
            sequence,
            tracks,
            detail,
            block_bytes: usize::try_from(block_length.bytes()).expect("at most 4096"),
            watched: Watched::default(),
            marks: Marks::default(),
            functions: Functions::default(),
            anchored: now,
        };
        recorder.write(KEPT, now, Kind::Start, size_of::<StartLayout>(), |entry| {
            entry.put(&StartLayout {
                wall_ns: wall.as_nanos().into(),
                blocks: blocks.as_u64().into(),
                block_bytes: block_length.bytes().into(),
                process: std::process::id().into(),
                after_breakdown: u32::from(after_breakdown).into(),
                reserved: 0.into(),
            });
        });
        Ok(recorder)
    }

    /// Keeps so much of what comes from now on.
    pub const fn set_detail(&mut self, detail: Detail) {
        self.detail = detail;
    }

    /// Whether it is time for [`Self::anchor`].
    pub fn wants_anchor(&self, now: Instant) -> bool {
        now.since(self.anchored) >= ANCHOR_PERIOD
    }

    /// Takes what the wall clock shows `now`.
    pub fn anchor(&mut self, now: Instant, wall: WallTime) {
        self.anchored = now;
        self.write(KEPT, now, Kind::Anchor, size_of::<AnchorLayout>(), |entry| {
            entry.put(&AnchorLayout { wall_ns: wall.as_nanos().into() });
        });
    }

    /// Takes a command whose answer is ready `now`.
    pub fn command(&mut self, now: Instant, finished: &Finished<'_>) {
        let effect = Effect::of(finished.cdb);
        let mark = match finished.origin {
            Origin::Initiator { command_id } => self.marks.take(command_id),
            Origin::Copy | Origin::Fault => None,
        };
        let metadata = self.metadata(finished, effect);
        let images = self.images(finished, effect, metadata);
        let ordinary = finished.lane != Some(Lane::Heartbeat)
            && finished.status == Status::Good
            && metadata.is_none()
            && mark.is_none()
            && !matches!(effect, Effect::ComparesAndWrites | Effect::ChangesAll);
        let track = if ordinary { BULK } else { KEPT };
        let images_bytes = images.iter().flatten().map(|kept| kept.length + 32).sum::<usize>();
        let bytes_max = size_of::<CommandLayout>() + Cdb::CAPACITY + 64 + images_bytes;
        let data = finished.data;
        self.write(track, now, Kind::Command, bytes_max, |entry| {
            put_head(entry, finished, mark.is_some(), images.iter().flatten().count());
            if let Some(mark) = mark {
                entry.put(&MarkLayout {
                    hit: mark.hit.map_or(0, |hit| hit + 1).into(),
                    aborted_ns: mark.aborted.map_or(0, Instant::as_nanos).into(),
                });
            }
            for Kept { role, offset, start, length } in images.iter().flatten() {
                entry.put_image(*role, *offset, data, *start, *length);
            }
        });
        if let Some(awaited_by) = mark.map(|mark| mark.awaited_by).filter(|places| *places != 0) {
            self.end_functions(now, awaited_by);
        }
    }

    /// Takes what the COMPARE AND WRITE with this id, or one of a fault's own, found in its `blocks`
    /// instead of what it expects; they differ first at byte `offset`.
    pub fn found(
        &mut self,
        now: Instant,
        command_id: Option<u16>,
        blocks: LbaRange,
        offset: usize,
        found: &Buffer,
    ) {
        if self.detail == Detail::Brief {
            return;
        }
        let half = self.bytes_of(blocks).min(found.len());
        let (start, length) = window(half, offset, self.block_bytes);
        self.write(KEPT, now, Kind::Found, size_of::<FoundLayout>() + 32 + length, |entry| {
            entry.put(&FoundLayout {
                lba: blocks.start().as_u64().into(),
                blocks: blocks.blocks().as_u64().into(),
                command_id: command_id.unwrap_or(crate::event::NO_COMMAND).into(),
                reserved: [0; 6],
            });
            entry.put_image(ImageRole::Found, start as u64, found, start, length);
        });
    }

    /// The blocks of metadata that a command reads or writes, as far as is known; learns from what takes
    /// the heartbeat lane.
    fn metadata(&mut self, finished: &Finished<'_>, effect: Effect) -> Option<LbaRange> {
        let blocks = finished.blocks?;
        if finished.lane == Some(Lane::Heartbeat) {
            self.watched.watch(blocks);
            return Some(blocks);
        }
        let from_first = |range: LbaRange| {
            let first = self.watched.first_in(range)?;
            LbaRange::new(first, range.end().checked_sub(first)?)
        };
        match effect {
            Effect::Reads => None,
            Effect::ComparesAndWrites | Effect::Writes | Effect::Repeats => from_first(blocks),
            Effect::ChangesAll => Some(blocks),
            Effect::Unmaps => {
                let mut list = [0; UNMAP_LIST_BYTES_MAX];
                let length = finished.data.len().min(list.len());
                finished.data.read_at(0, &mut list[..length]);
                unmapped(&list[..length], |range| self.watched.first_in(range).is_some())
            }
        }
    }

    /// What of a command's data is kept; `metadata` are blocks of metadata that it touches.
    fn images(
        &self,
        finished: &Finished<'_>,
        effect: Effect,
        metadata: Option<LbaRange>,
    ) -> [Option<Kept>; 2] {
        let all = finished.data.len();
        let kept = |role, offset, start, length| Some(Kept { role, offset, start, length });
        match (effect, finished.blocks, metadata) {
            (Effect::ComparesAndWrites, Some(_), _) if self.detail == Detail::Whole && all >= 2 => {
                let half = all / 2;
                let information = finished.sense.and_then(|sense| sense.information).unwrap_or(0);
                let around = usize::try_from(information).unwrap_or(usize::MAX);
                let (start, length) = window(half, around, self.block_bytes);
                let expected = kept(ImageRole::Expected, start as u64, start, length);
                [expected, kept(ImageRole::Written, start as u64, half + start, length)]
            }
            (Effect::Writes, Some(blocks), Some(metadata)) => {
                let before =
                    metadata.start().checked_sub(blocks.start()).unwrap_or(BlockCount::ZERO);
                let start = before.as_u64().saturating_mul(self.block_bytes as u64);
                let at = usize::try_from(start).unwrap_or(usize::MAX);
                match all.checked_sub(at) {
                    None | Some(0) => [None, None],
                    Some(rest) => {
                        let (_, length) = window(rest, 0, self.block_bytes);
                        [kept(ImageRole::Written, start, at, length), None]
                    }
                }
            }
            (Effect::Repeats, Some(_), Some(_)) if all > 0 => {
                let (_, length) = window(all.min(self.block_bytes), 0, self.block_bytes);
                [kept(ImageRole::Repeated, 0, 0, length), None]
            }
            (Effect::Unmaps, ..) if all > 0 => {
                [kept(ImageRole::UnmapList, 0, 0, all.min(UNMAP_LIST_BYTES_MAX)), None]
            }
            _ => [None, None],
        }
    }

    fn bytes_of(&self, blocks: LbaRange) -> usize {
        let blocks = usize::try_from(blocks.blocks().as_u64()).unwrap_or(usize::MAX);
        blocks.saturating_mul(self.block_bytes)
    }

    /// Writes a record whose body has at most `bytes_max` bytes. Without space for it there is none.
    fn write(
        &mut self,
        track: usize,
        now: Instant,
        kind: Kind,
        bytes_max: usize,
        fill: impl FnOnce(&mut Entry<'_>),
    ) {
        let room = crate::format::aligned(RECORD_HEADER_BYTES + bytes_max);
        debug_assert!(room <= RECORD_BYTES_MAX);
        let Some(place) = self.tracks[track].place(room, &self.map) else { return };
        let bytes = self.map.bytes();
        let mut entry = Entry::new(&mut bytes[place..place + room]);
        fill(&mut entry);
        let length = entry.length();
        self.sequence += 1;
        let mut header = RecordHeader {
            checksum: 0.into(),
            length: u32::try_from(length).expect("at most RECORD_BYTES_MAX").into(),
            sequence: self.sequence.into(),
            previous: self.tracks[track].last().into(),
            at_ns: now.as_nanos().into(),
            epoch: self.epoch.into(),
            kind: (kind as u16).into(),
            reserved: 0.into(),
        };
        let record = &mut bytes[place..place + length];
        record[..RECORD_HEADER_BYTES].copy_from_slice(header.as_bytes());
        header.checksum = checksum::of_record(self.seed, place as u64, record).into();
        record[..size_of::<u32>()].copy_from_slice(header.checksum.as_bytes());
        self.tracks[track].advance(length, self.sequence);
        let hint = Hint { offset: (place as u64).into(), sequence: self.sequence.into() };
        bytes[HINTS[track]..][..size_of::<Hint>()].copy_from_slice(hint.as_bytes());
    }
}

/// An image that is to be kept: which bytes of the command's data it is, and where they belong.
#[derive(Clone, Copy)]
struct Kept {
    role: ImageRole,
    offset: u64,
    start: usize,
    length: usize,
}

fn put_head(entry: &mut Entry<'_>, finished: &Finished<'_>, marked: bool, images: usize) {
    let Finished { cdb, waited, sense, blocks, .. } = finished;
    let has_waited = *waited != Waited::default();
    let mut parts = 0;
    for (part, has) in
        [(PART_WAITED, has_waited), (PART_SENSE, sense.is_some()), (PART_MARK, marked)]
    {
        parts |= if has { part } else { 0 };
    }
    let (origin, command_id) = finished.origin.code();
    let cdb = cdb.as_bytes();
    entry.put(&CommandLayout {
        arrived_ns: finished.arrived.as_nanos().into(),
        started_ns: finished.started.map_or(0, Instant::as_nanos).into(),
        ended_ns: finished.ended.map_or(0, Instant::as_nanos).into(),
        lba: blocks.map_or(0, |blocks| blocks.start().as_u64()).into(),
        blocks: blocks.map_or(0, |blocks| blocks.blocks().as_u64()).into(),
        data_bytes: u32::try_from(finished.data.len()).unwrap_or(u32::MAX).into(),
        command_id: command_id.into(),
        origin,
        lane: match finished.lane {
            None => 0,
            Some(Lane::Heartbeat) => 1,
            Some(Lane::Bulk) => 2,
        },
        status: finished.status.as_u8(),
        cdb_bytes: u8::try_from(cdb.len()).expect("at most 32"),
        parts,
        images: u8::try_from(images).expect("at most two"),
        reserved: 0.into(),
    });
    entry.put_bytes(cdb);
    if has_waited {
        entry.put(&WaitedLayout {
            blocks_ns: nanos(waited.blocks).into(),
            slot_ns: nanos(waited.slot).into(),
            pool_ns: nanos(waited.pool).into(),
        });
    }
    if let Some(sense) = sense {
        entry.put(&SenseLayout {
            information: sense.information.unwrap_or(0).into(),
            key: sense.key.as_u8(),
            asc: sense.asc.asc(),
            ascq: sense.asc.ascq(),
            valid: u8::from(sense.information.is_some()),
            reserved: 0.into(),
        });
    }
}

fn nanos(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

/// Where a recorder goes on.
struct State {
    seed: Seed,
    epoch: u32,
    sequence: u64,
    tracks: [Track; TRACKS],
}

/// The file at `path`, which is made if it is missing, and which nobody else writes into.
fn lock(path: &Path) -> Result<File, OpenError> {
    let mut options = OpenOptions::new();
    let options = options.read(true).write(true).create(true).truncate(false).mode(0o600);
    let file =
        options.open(path).map_err(|source| OpenError::Io { path: path.to_owned(), source })?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(std::fs::TryLockError::WouldBlock) => Err(OpenError::InUse { path: path.to_owned() }),
        Err(std::fs::TryLockError::Error(source)) => {
            Err(OpenError::Io { path: path.to_owned(), source })
        }
    }
}

/// Where to go on in a file that is as it would be begun today; `None` if it is not.
fn resume(file: &File, path: &Path, lun: &str, bytes: u64) -> io::Result<Option<State>> {
    let Ok(written) = Written::open(file.try_clone()?, path) else { return Ok(None) };
    let same = written.extents().as_bytes() == extents(bytes).as_bytes() && written.name() == lun;
    if !same || file.metadata()?.len() != bytes {
        return Ok(None);
    }
    let last = [written.last(KEPT)?, written.last(BULK)?];
    let track = |nth: usize| {
        let extent = written.extents()[nth];
        match last[nth] {
            Some(last) => Track::new(extent, last.offset + last.length, last.sequence),
            None => Track::new(extent, extent.offset.get(), 0),
        }
    };
    let newest = |of: fn(&crate::written::Place) -> u64| last.iter().flatten().map(of).max();
    Ok(Some(State {
        seed: written.seed(),
        epoch: last.iter().flatten().map(|last| last.epoch).max().unwrap_or(0),
        sequence: newest(|last| last.sequence).unwrap_or(0),
        tracks: [track(KEPT), track(BULK)],
    }))
}

/// Begins an empty file.
fn begin(file: &File, lun: &str, bytes: u64, wall: WallTime) -> io::Result<State> {
    let identity = wall.as_nanos() ^ u64::from(std::process::id()).rotate_left(40);
    let mut name = [0; NAME_BYTES_MAX];
    name[..lun.len()].copy_from_slice(lun.as_bytes());
    let mut header = FileHeader {
        magic: MAGIC,
        version: VERSION.into(),
        checksum: 0.into(),
        identity: identity.into(),
        tracks: extents(bytes),
        name,
        name_bytes: u32::try_from(lun.len()).expect("at most NAME_BYTES_MAX").into(),
    };
    header.checksum = checksum::of_header(&header).into();
    file.set_len(bytes)?;
    file.write_all_at(header.as_bytes(), 0)?;
    let track = |extent: Extent| Track::new(extent, extent.offset.get(), 0);
    let seed = Seed::new(identity);
    Ok(State { seed, epoch: 0, sequence: 0, tracks: header.tracks.map(track) })
}
