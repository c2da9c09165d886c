//! Media by cfgstring: the handlers this daemon has, and what they are asked.

use std::sync::Arc;

use nix::errno::Errno;
use pulsefield_backstore::{
    Backstore, ConfigError, Geometry, Handler, OpenError, OpenSpec, Registry,
};
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
}

impl MediumError {
    /// What the kernel tells whoever wanted the unit, who sees nothing but this.
    pub(crate) fn errno(&self) -> Errno {
        match self {
            Self::Open(OpenError::InUse { .. }) => Errno::EBUSY,
            Self::Open(OpenError::NoFolder { .. }) => Errno::ENOENT,
            Self::Open(OpenError::NotWritable { source, .. } | OpenError::Io { source, .. }) => {
                source.raw_os_error().map_or(Errno::EIO, Errno::from_raw)
            }
            Self::Config(_) | Self::BlockLength(_) | Self::Size { .. } | Self::Open(_) => {
                Errno::EINVAL
            }
        }
    }
}

/// The handlers of this daemon.
pub(crate) struct Media(Registry);

impl Media {
    pub(crate) fn new() -> Self {
        Self(Registry::new(vec![
            Box::new(FileHandler),
            Box::new(RamHandler),
            Box::new(NullHandler),
        ]))
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
        Ok(handler.check(&config)?)
    }

    /// Opens the medium of the unit `name`.
    pub(crate) fn open(
        &self,
        name: &str,
        cfgstring: &str,
        geometry: Geometry,
    ) -> Result<Arc<dyn Backstore>, MediumError> {
        let (handler, config) = self.0.resolve(cfgstring)?;
        Ok(handler.open(&OpenSpec { name: name.to_owned(), config, geometry })?)
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
