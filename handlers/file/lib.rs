//! A medium in a sparse file on any Linux file system.
//!
//! I/O goes through the page cache and runs on worker threads, but for short reads of what the
//! cache holds. The file is locked while it is open, so that no second logical unit, and no other
//! program that asks, can have it.
//!
//! Beside the house: `backstore` and `units` only.

mod image;

use std::fs::File;
use std::num::NonZeroUsize;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use pulsefield_backstore::{
    Backstore, Cfgstring, ConfigError, FileMedium, Handler, IoWay, MediumAccess, Op, OpenError,
    OpenSpec, WorkedMedium,
};

use crate::image::Image;

/// Threads per logical unit unless `workers` says otherwise: enough to keep a disk's queue filled,
/// few enough for a machine with many logical units.
const WORKERS_DEFAULT: NonZeroUsize = NonZeroUsize::new(4).unwrap();

/// The most threads that `workers` may ask for.
const WORKERS_MAX: usize = 64;

/// Opens `file/<path>`.
pub struct FileHandler;

impl Handler for FileHandler {
    fn name(&self) -> &'static str {
        "file"
    }

    fn description(&self) -> &'static str {
        "file/<absolute path> keeps the logical unit in a regular file, as in file//srv/ds1.img. A \
         missing file is created, sparse, if its folder exists; an existing one must have the \
         logical unit's size. Options: cache=write-back (default) or write-through; read-only=yes \
         serves a file that cannot be written; io=uring has io_uring do \
         what may wait, where threads do otherwise; workers=1 to 64, the threads that do the I/O \
         (default 4, and one more for heartbeats)."
    }

    fn options(&self) -> &'static [&'static str] {
        &["cache", "io", "read-only", "workers"]
    }

    fn check(&self, config: &Cfgstring) -> Result<(), OpenError> {
        let options = Options::parse(config)?;
        image::check(Path::new(config.absolute_path()?), options.read_only)
    }

    fn open(&self, spec: &OpenSpec) -> Result<Arc<dyn Backstore>, OpenError> {
        let options = Options::parse(&spec.config)?;
        let path = spec.config.absolute_path()?;
        let Image { file, claim, draft } = Image::open(
            Path::new(path),
            spec.geometry.bytes()?,
            options.read_only,
            spec.claim.as_ref(),
        )?;
        let access =
            MediumAccess { read_only: options.read_only, write_cache: options.write_cache };
        let mut medium = FileMedium::new(file, path.to_owned(), spec.geometry, access)?;
        if let Some(claim) = claim {
            medium = medium.claimed_by(claim);
        }
        let deletion = DeletionWatch::default();
        let watch = move |medium: &FileMedium, op| {
            if op == Op::Flush && deletion.notices(medium.file()) {
                tracing::warn!(
                    medium = medium.name(),
                    "the file was deleted; its logical unit serves it until closed, then all is lost",
                );
            }
        };
        let opened = WorkedMedium::start(medium, &spec.name, options.io, options.workers, watch)?;
        draft.keep();
        Ok(Arc::new(opened))
    }
}

/// What the options after the path say.
struct Options {
    read_only: bool,
    write_cache: bool,
    io: IoWay,
    workers: NonZeroUsize,
}

impl Options {
    fn parse(config: &Cfgstring) -> Result<Self, ConfigError> {
        let write_cache = [("write-back", true), ("write-through", false)];
        let workers = config.number("workers", 1..=WORKERS_MAX)?;
        Ok(Self {
            read_only: config.flag("read-only")?.unwrap_or(false),
            write_cache: config.choice("cache", &write_cache)?.unwrap_or(true),
            io: config.choice("io", &IoWay::NAMES)?.unwrap_or(IoWay::Best),
            workers: workers.and_then(NonZeroUsize::new).unwrap_or(WORKERS_DEFAULT),
        })
    }
}

/// Says once that the file has no name any more. Asked at each flush: often enough to be told the
/// same day, and beside an fdatasync the question costs nothing.
#[derive(Default)]
struct DeletionWatch {
    reported: AtomicBool,
}

impl DeletionWatch {
    fn notices(&self, file: &File) -> bool {
        file.metadata().is_ok_and(|metadata| metadata.nlink() == 0)
            // Relaxed: only the flag itself counts, the one thread that sets it speaks.
            && !self.reported.swap(true, Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests;
