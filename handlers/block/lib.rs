//! A medium on a block device: a disk, a partition, a volume of LVM or device mapper.
//!
//! I/O goes past the page cache unless the cfgstring says otherwise, on worker threads. The device is
//! ours alone while it is open (`O_EXCL`), and what its queue says of itself (`limits.rs`) is what
//! initiators are told.
//!
//! Beside the house: `backstore` and `units` only.

mod device;
mod holders;
mod limits;

use std::num::NonZeroUsize;
use std::path::Path;
use std::sync::Arc;

use pulsefield_backstore::{
    Backstore, Cfgstring, ConfigError, DeviceAccess, FileMedium, Geometry, Handler, IoWay,
    MediumAccess, OpenError, OpenSpec, WorkedMedium,
};

use crate::device::Device;
use crate::limits::Limits;

/// Threads per logical unit unless `workers` says otherwise. A thread carries one op at a time, and
/// without the page cache each op waits for the device: so many keep a disk's queue filled.
const WORKERS_DEFAULT: NonZeroUsize = NonZeroUsize::new(16).unwrap();

/// The most threads that `workers` may ask for.
const WORKERS_MAX: usize = 64;

/// Opens `block/<path>`.
pub struct BlockHandler;

impl Handler for BlockHandler {
    fn name(&self) -> &'static str {
        "block"
    }

    fn description(&self) -> &'static str {
        "block/<absolute path> serves a block device that nobody else uses, as in block//dev/sdx; \
         the logical unit may be smaller than the device and must have blocks at least as long as \
         the device's. Options: cache=none (default) goes past the page cache, write-back and \
         write-through go through it; read-only=yes serves a device that cannot be written; \
         io=auto (default) has io_uring do what goes past the page cache, where the kernel lets us, \
         and threads do the rest; io=uring or threads decides; \
         workers=1 to 64, the threads that do the I/O (default 16, and one more for heartbeats)."
    }

    fn options(&self) -> &'static [&'static str] {
        &["cache", "io", "read-only", "workers"]
    }

    fn check(&self, config: &Cfgstring) -> Result<(), OpenError> {
        let options = Options::parse(config)?;
        device::check(Path::new(config.absolute_path()?), options.read_only)
    }

    fn open(&self, spec: &OpenSpec) -> Result<Arc<dyn Backstore>, OpenError> {
        let options = Options::parse(&spec.config)?;
        let path = spec.config.absolute_path()?;
        let direct = options.cache == Cache::None;
        let claim = spec.claim.as_ref();
        let device = Device::open(Path::new(path), options.read_only, direct, claim)?;
        device.limits.require_block_length(path, spec.geometry.block_length)?;
        let medium = options.medium(device, path, spec.geometry)?;
        let Options { io, workers, .. } = options;
        Ok(Arc::new(WorkedMedium::start(medium, &spec.name, io, workers, |_, _| {})?))
    }
}

/// What happens between the initiators and the device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Cache {
    /// Nothing: the device's own cache is the only one.
    None,
    /// Data waits in the page cache for a flush.
    WriteBack,
    /// The page cache serves reads; writes reach the device before they are answered.
    WriteThrough,
}

/// What the options after the path say.
struct Options {
    read_only: bool,
    cache: Cache,
    io: IoWay,
    workers: NonZeroUsize,
}

impl Options {
    fn parse(config: &Cfgstring) -> Result<Self, ConfigError> {
        let caches = [
            ("none", Cache::None),
            ("write-back", Cache::WriteBack),
            ("write-through", Cache::WriteThrough),
        ];
        let workers = config.number("workers", 1..=WORKERS_MAX)?;
        Ok(Self {
            read_only: config.flag("read-only")?.unwrap_or(false),
            cache: config.choice("cache", &caches)?.unwrap_or(Cache::None),
            io: config.choice("io", &IoWay::NAMES)?.unwrap_or(IoWay::Best),
            workers: workers.and_then(NonZeroUsize::new).unwrap_or(WORKERS_DEFAULT),
        })
    }

    /// The medium on a device that was opened by these options.
    fn medium(
        &self,
        device: Device,
        path: &str,
        geometry: Geometry,
    ) -> Result<FileMedium, OpenError> {
        let Device { file, limits, claim } = device;
        let write_cache = match self.cache {
            Cache::None => limits.write_cache,
            Cache::WriteBack => true,
            Cache::WriteThrough => false,
        };
        let Limits { punches, topology, .. } = limits;
        let medium = FileMedium::on_device(
            file,
            path.to_owned(),
            geometry,
            MediumAccess { read_only: self.read_only, write_cache },
            DeviceAccess { direct: self.cache == Cache::None, punches, topology },
        )?;
        Ok(match claim {
            Some(claim) => medium.claimed_by(claim),
            None => medium,
        })
    }
}

#[cfg(test)]
mod tests;
