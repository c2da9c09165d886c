//! A record file as it was written: its header, its hints and its whole records. What a recorder that goes
//! on with a file, a reader and a follower all need.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;
use std::path::Path;

use zerocopy::{FromZeros as _, IntoBytes as _};

use crate::checksum::{self, Seed};
use crate::entry::RECORD_BYTES_MAX;
use crate::error::ReadError;
use crate::format::{
    ALIGNMENT, Extent, FileHeader, HINTS, Hint, MAGIC, NAME_BYTES_MAX, TRACKS, VERSION, Whole,
    whole,
};

/// A file whose header is good.
#[derive(Debug)]
pub(crate) struct Written {
    file: File,
    header: FileHeader,
    name: String,
    seed: Seed,
}

/// Where a whole record is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) offset: u64,
    pub(crate) length: u64,
    pub(crate) sequence: u64,
    /// That of the record before it in its track.
    pub(crate) previous: u64,
    pub(crate) epoch: u32,
}

impl Place {
    fn of(whole: &Whole<'_>, offset: u64) -> Self {
        Self {
            offset,
            length: whole.length() as u64,
            sequence: whole.header.sequence.get(),
            previous: whole.header.previous.get(),
            epoch: whole.header.epoch.get(),
        }
    }
}

impl Written {
    /// Takes a look at the header of `file`, which is at `path`.
    pub(crate) fn open(file: File, path: &Path) -> Result<Self, ReadError> {
        let io_error = |source| ReadError::Io { path: path.to_owned(), source };
        let mut header = FileHeader::new_zeroed();
        let bytes = fill(&file, header.as_mut_bytes(), 0).map_err(io_error)?;
        if bytes >= MAGIC.len() && header.magic != MAGIC {
            return Err(ReadError::NotARecord { path: path.to_owned() });
        }
        if bytes >= MAGIC.len() + 4 && header.version.get() != VERSION {
            let found = header.version.get();
            return Err(ReadError::Version { path: path.to_owned(), found });
        }
        if bytes < size_of::<FileHeader>() {
            return Err(ReadError::Truncated { path: path.to_owned(), bytes: bytes as u64 });
        }
        let name =
            usize::try_from(header.name_bytes.get()).ok().filter(|len| *len <= NAME_BYTES_MAX);
        match name {
            Some(length) if checksum::of_header(&header) == header.checksum.get() => {
                let name = String::from_utf8_lossy(&header.name[..length]).into_owned();
                let seed = Seed::new(header.identity.get());
                Ok(Self { file, header, name, seed })
            }
            Some(_) | None => Err(ReadError::Damaged { path: path.to_owned() }),
        }
    }

    /// The name of the logical unit that the file is about.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    pub(crate) const fn seed(&self) -> Seed {
        self.seed
    }

    pub(crate) const fn extents(&self) -> [Extent; TRACKS] {
        self.header.tracks
    }

    /// Where the last record of a track was when somebody said so.
    pub(crate) fn hint(&self, track: usize) -> io::Result<Hint> {
        let mut hint = Hint::default();
        fill(&self.file, hint.as_mut_bytes(), HINTS[track] as u64)?;
        Ok(hint)
    }

    /// The bytes of a track, as far as the file goes.
    pub(crate) fn track(&self, track: usize) -> io::Result<Vec<u8>> {
        let Extent { offset, bytes } = self.header.tracks[track];
        let there = self.file.metadata()?.len().saturating_sub(offset.get()).min(bytes.get());
        let mut track = vec![0; usize::try_from(there).unwrap_or(0)];
        let read = fill(&self.file, &mut track, offset.get())?;
        track.truncate(read);
        Ok(track)
    }

    /// The whole record at `offset` of a track, if there is one; `room` is where its bytes go.
    pub(crate) fn record<'b>(
        &self,
        track: usize,
        offset: u64,
        room: &'b mut [u8; RECORD_BYTES_MAX],
    ) -> io::Result<Option<Whole<'b>>> {
        let Extent { offset: start, bytes } = self.header.tracks[track];
        let rest = (start.get() + bytes.get()).saturating_sub(offset);
        let length = RECORD_BYTES_MAX.min(usize::try_from(rest).unwrap_or(usize::MAX));
        let read = fill(&self.file, &mut room[..length], offset)?;
        Ok(whole(&room[..read], self.seed, offset))
    }

    /// The record of a track that comes after `place`, if it is there.
    pub(crate) fn next<'b>(
        &self,
        track: usize,
        place: &Place,
        room: &'b mut [u8; RECORD_BYTES_MAX],
    ) -> io::Result<Option<(Place, Whole<'b>)>> {
        for offset in [place.offset + place.length, self.header.tracks[track].offset.get()] {
            let found = self.record(track, offset, room)?;
            let follows = |found: &Whole<'_>| found.header.previous.get() == place.sequence;
            if found.as_ref().is_some_and(follows) {
                // Read once more: what is lent for one round cannot leave it.
                let found = self.record(track, offset, room)?;
                return Ok(found.filter(follows).map(|found| (Place::of(&found, offset), found)));
            }
        }
        Ok(None)
    }

    /// The last record of a track: at its hint or some records further, or else wherever it is.
    pub(crate) fn last(&self, track: usize) -> io::Result<Option<Place>> {
        let mut room = [0; RECORD_BYTES_MAX];
        let hint = self.hint(track)?;
        let hinted = self.record(track, hint.offset.get(), &mut room)?;
        let hinted = hinted.filter(|whole| whole.header.sequence == hint.sequence);
        let Some(mut last) = hinted.map(|whole| Place::of(&whole, hint.offset.get())) else {
            let places = self.scan(track, &self.track(track)?);
            return Ok(places.into_iter().max_by_key(|place| place.sequence));
        };
        while let Some((next, _)) = self.next(track, &last, &mut room)? {
            last = next;
        }
        Ok(Some(last))
    }

    /// The places of all whole records in `bytes`, which are those of a track, in the order of the file.
    pub(crate) fn scan(&self, track: usize, bytes: &[u8]) -> Vec<Place> {
        let start = self.header.tracks[track].offset.get();
        let mut places = Vec::new();
        let mut at = 0;
        while let Some(rest) = bytes.get(at..).filter(|rest| !rest.is_empty()) {
            let offset = start + at as u64;
            match whole(rest, self.seed, offset) {
                Some(whole) => {
                    places.push(Place::of(&whole, offset));
                    at += whole.length();
                }
                // The rest of a record that was overwritten, one that was being written, or nothing.
                None => at += ALIGNMENT,
            }
        }
        places
    }
}

/// Reads into all of `bytes` from `offset` on; says how many there were.
fn fill(file: &File, bytes: &mut [u8], offset: u64) -> io::Result<usize> {
    let mut done = 0;
    while done < bytes.len() {
        match file.read_at(&mut bytes[done..], offset.saturating_add(done as u64)) {
            Ok(0) => break,
            Ok(read) => done += read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(done)
}
