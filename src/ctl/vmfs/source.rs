//! Where a volume is read from.

use std::fs::{self, File};
use std::io::{self, Seek as _};
use std::os::unix::fs::{FileExt as _, FileTypeExt as _};
use std::path::Path;

use pulsefield_backstore::Cfgstring;
use pulsefield_control::Client;
use rustix::fs::{Mode, OFlags, SeekFrom, open, seek};
use rustix::io::Errno;

use super::VmfsError;

/// What direct I/O is aligned to: no less than any device asks for.
const ALIGNMENT: usize = 4096;
/// How much is read with one system call, in bytes.
const CHUNK: usize = 1 << 20;

/// A file or a device, opened for reading.
pub(crate) struct Source {
    file: File,
    /// The path.
    name: String,
    length: u64,
    /// A device is read past the page cache, which does not know what other hosts write. Aligned memory for
    /// that lies somewhere in here.
    scratch: Option<Vec<u8>>,
}

impl Source {
    /// Opens what `volume` means: a file or device of that name if there is one, else the medium of the
    /// logical unit of that name, which the daemon at `socket` serves.
    ///
    /// # Errors
    /// If there is neither, it cannot be opened, or is nothing that has blocks.
    pub(crate) fn open(volume: &Path, socket: &Path) -> Result<Self, VmfsError> {
        match volume.to_str() {
            Some(lun) if !lun.contains('/') && !volume.exists() => {
                Self::open_path(Path::new(&medium_of(lun, socket)?))
            }
            _ => Self::open_path(volume),
        }
    }

    fn open_path(path: &Path) -> Result<Self, VmfsError> {
        let name = path.display().to_string();
        let failed = |source| VmfsError::Open { name: name.clone(), source };
        // Asked before it is opened: to open a FIFO means to wait for its writer.
        let kind = fs::metadata(path).map_err(failed)?.file_type();
        if !kind.is_file() && !kind.is_block_device() {
            return Err(VmfsError::NoMedium { name });
        }
        let flags = OFlags::RDONLY | OFlags::CLOEXEC;
        let direct = if kind.is_block_device() { OFlags::DIRECT } else { OFlags::empty() };
        let opened = open(path, flags | direct, Mode::empty());
        let mut file = File::from(opened.map_err(|errno| failed(errno.into()))?);
        let length = file.seek(io::SeekFrom::End(0)).map_err(failed)?;
        let scratch = kind.is_block_device().then(|| vec![0; CHUNK + 2 * ALIGNMENT]);
        Ok(Self { file, name, length, scratch })
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// How long it is, in bytes.
    pub(crate) const fn length(&self) -> u64 {
        self.length
    }

    /// Fills `buffer` from byte `offset` on, and says how much of it: all, unless the end comes first.
    pub(crate) fn read(&mut self, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        let left = usize::try_from(self.length.saturating_sub(offset)).unwrap_or(usize::MAX);
        let wanted = buffer.len().min(left);
        let mut done = 0;
        while done < wanted {
            let end = wanted.min(done + CHUNK);
            let read = self.read_once(offset + done as u64, &mut buffer[done..end])?;
            if read == 0 {
                break;
            }
            done += read;
        }
        Ok(done)
    }

    fn read_once(&mut self, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        let Some(scratch) = &mut self.scratch else {
            return self.file.read_at(buffer, offset);
        };
        let align = scratch.as_ptr().align_offset(ALIGNMENT);
        let before = usize::try_from(offset % ALIGNMENT as u64).expect("less than a page");
        let length = (before + buffer.len()).next_multiple_of(ALIGNMENT);
        let start = offset - before as u64;
        // A device ends with a logical block, and may end within a page.
        let left = usize::try_from(self.length - start).unwrap_or(usize::MAX);
        let aligned = &mut scratch[align..align + length.min(left)];
        let read = self.file.read_at(aligned, start)?.saturating_sub(before).min(buffer.len());
        buffer[..read].copy_from_slice(&aligned[before..before + read]);
        Ok(read)
    }

    /// Where the next bytes are that were ever written, from `offset` on: the beginning of the data there,
    /// or of that behind a hole. `None` if there are no more.
    pub(crate) fn next_data(&self, offset: u64) -> Option<u64> {
        match seek(&self.file, SeekFrom::Data(offset)) {
            Ok(data) => Some(data),
            Err(Errno::NXIO) => None,
            // A device, or a file system that knows of no holes.
            Err(_) => (offset < self.length).then_some(offset),
        }
    }
}

/// The path of a logical unit's medium.
fn medium_of(lun: &str, socket: &Path) -> Result<String, VmfsError> {
    let name = || lun.to_owned();
    let asked = Client::new(socket).lun(lun);
    let summary = asked.map_err(|source| VmfsError::NoSuchVolume { name: name(), source })?.summary;
    let wrong = |source| VmfsError::Cfgstring { name: name(), source: Box::new(source) };
    let medium: Cfgstring = summary.cfgstring.parse().map_err(wrong)?;
    // Whatever handler it is: one that has its medium in a file or device is told its path.
    match medium.locator().is_empty() {
        true => Err(VmfsError::InMemory { name: name(), handler: medium.handler().to_owned() }),
        false => Ok(medium.absolute_path().map_err(wrong)?.to_owned()),
    }
}
