//! Media by cfgstring: the handlers this daemon has, and what they are asked.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use nix::errno::Errno;
use pulsefield_backstore::{
    Backstore, Claim, ConfigError, Geometry, Handler, OpenError, OpenSpec, Registry,
};
use pulsefield_block::BlockHandler;
use pulsefield_file::FileHandler;
use pulsefield_null::NullHandler;
use pulsefield_ram::RamHandler;
use pulsefield_units::{BlockLength, BlockLengthError};
use thiserror::Error;

/// Why there is no medium.
#[derive(Debug, Error)]
pub(crate) enum MediumError {
    #[error(transparent)]
    Config(#[from] ConfigError),
    #[error(transparent)]
    BlockLength(#[from] BlockLengthError),
    #[error("{size} bytes are not a whole number of blocks of {block_length} bytes")]
    Size { size: u64, block_length: u32 },
    #[error(transparent)]
    Open(#[from] OpenError),
    #[error("the handler panicked")]
    Panic,
}

impl MediumError {
    /// What the kernel tells whoever wanted the unit, who sees nothing but this.
    pub(crate) fn errno(&self) -> Errno {
        match self {
            Self::Open(OpenError::InUse { .. } | OpenError::Held { .. }) => Errno::EBUSY,
            Self::Open(OpenError::NoFolder { .. }) => Errno::ENOENT,
            Self::Open(OpenError::NotWritable { source, .. } | OpenError::Io { source, .. }) => {
                source.raw_os_error().map_or(Errno::EIO, Errno::from_raw)
            }
            Self::Config(_) | Self::BlockLength(_) | Self::Size { .. } | Self::Open(_) => {
                Errno::EINVAL
            }
            Self::Panic => Errno::EIO,
        }
    }
}

/// The handlers of this daemon.
pub(crate) struct Media(Registry);

impl Media {
    pub(crate) fn new() -> Self {
        Self::of(vec![
            Box::new(FileHandler),
            Box::new(BlockHandler),
            Box::new(RamHandler),
            Box::new(NullHandler),
        ])
    }

    pub(crate) fn of(handlers: Vec<Box<dyn Handler>>) -> Self {
        Self(Registry::new(handlers))
    }

    /// The handlers' names.
    pub(crate) fn names(&self) -> Vec<String> {
        self.0.iter().map(|handler| handler.name().to_owned()).collect()
    }

    /// What a cfgstring looks like, handler by handler.
    pub(crate) fn description(&self) -> String {
        let handlers = self.0.iter().map(Handler::description).collect::<Vec<_>>();
        format!("<handler>/<locator>[;option=value...]. {}", handlers.join(" "))
    }

    /// Says whether a medium could be opened by `cfgstring`; changes nothing.
    pub(crate) fn check(&self, cfgstring: &str) -> Result<(), MediumError> {
        let (handler, config) = self.0.resolve(cfgstring)?;
        // Asked on a thread that serves everybody. Unwind safety: a handler has no state.
        let checked = catch_unwind(AssertUnwindSafe(|| handler.check(&config)));
        Ok(checked.map_err(|_| MediumError::Panic)??)
    }

    /// Opens the medium of the unit `name`; one that is to take another's place, with the `claim` of
    /// that.
    pub(crate) fn open(
        &self,
        name: &str,
        cfgstring: &str,
        geometry: Geometry,
        claim: Option<Claim>,
    ) -> Result<Arc<dyn Backstore>, MediumError> {
        let (handler, config) = self.0.resolve(cfgstring)?;
        Ok(handler.open(&OpenSpec { name: name.to_owned(), config, geometry, claim })?)
    }
}

/// The shape of a unit of `size` bytes in blocks of `block_size` bytes.
pub(crate) fn geometry(size: u64, block_size: u32) -> Result<Geometry, MediumError> {
    let block_length = BlockLength::try_from(u64::from(block_size))?;
    let blocks = block_length.blocks_in(size);
    if blocks.is_zero() || !block_length.divides(size) {
        return Err(MediumError::Size { size, block_length: block_length.bytes() });
    }
    Ok(Geometry { block_length, blocks })
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::*;
    use crate::testing::BuggyHandler;

    #[test]
    fn a_size_is_a_whole_number_of_blocks_of_a_known_length() {
        let blocks = |size, block_size| geometry(size, block_size).map(|shape| shape.blocks);
        assert_eq!(blocks(8192, 512).unwrap().as_u64(), 16);
        assert_eq!(blocks(8192, 4096).unwrap().as_u64(), 2);
        for (size, block_size) in [(0, 512), (511, 512), (513, 512), (512, 4096)] {
            assert!(matches!(blocks(size, block_size), Err(MediumError::Size { .. })));
        }
        for block_size in [0, 520, 8192] {
            let error = blocks(8192, block_size).unwrap_err();
            assert!(matches!(error, MediumError::BlockLength(_)));
            assert_eq!(error.errno(), Errno::EINVAL);
        }
    }

    #[test]
    fn every_reason_has_an_errno_to_be_known_by() {
        let path = || "/srv/x.img".to_owned();
        let io = |errno: Errno| io::Error::from(errno);
        let full = OpenError::Io { action: "size", path: path(), source: io(Errno::ENOSPC) };
        let read_only = OpenError::NotWritable { path: path(), source: io(Errno::EROFS) };
        let no_folder = OpenError::NoFolder { path: path(), folder: "/srv".to_owned() };
        for (error, errno) in [
            (full, Errno::ENOSPC),
            (read_only, Errno::EROFS),
            (no_folder, Errno::ENOENT),
            (OpenError::InUse { path: path() }, Errno::EBUSY),
            (OpenError::Held { path: path(), holder: "dm-0".to_owned() }, Errno::EBUSY),
            (OpenError::ReadOnly { path: path() }, Errno::EINVAL),
        ] {
            assert_eq!(MediumError::from(error).errno(), errno);
        }
        let unknown = Media::new().check("raam/").unwrap_err();
        assert_eq!(unknown.errno(), Errno::EINVAL);
    }

    #[test]
    fn a_handler_that_panics_when_asked_answers_all_the_same() {
        let media = Media::of(vec![Box::new(BuggyHandler)]);
        assert!(matches!(media.check("buggy/"), Err(MediumError::Panic)));
    }
}
