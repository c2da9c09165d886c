//! Another size for a medium in use.

use std::error::Error;
use std::time::Duration;

use crossbeam_channel::RecvTimeoutError;
use nix::errno::Errno;
use pulsefield_backstore::Geometry;
use pulsefield_units::BlockCount;
use tracing::{error, info, warn};

use crate::media::MediumError;
use crate::station::Message;
use crate::table::Service;

/// How long commands beyond a smaller end may take to finish.
const PATIENCE: Duration = Duration::from_secs(25);

/// Gives the medium `size_bytes` bytes, and says its shape from then on.
///
/// It grows before initiators hear of it, and shrinks only once no command is in flight beyond the
/// new end: a write there would otherwise bring back what was cut off.
///
/// # Errors
/// What the kernel tells whoever asked; the size is then as it was.
pub(crate) fn resize(service: &Service, size_bytes: u64) -> Result<Geometry, Errno> {
    let medium = service.medium.upgrade().ok_or(Errno::ENODEV)?;
    let old = medium.geometry();
    let blocks = old.block_length.blocks_in(size_bytes);
    if blocks.is_zero() || !old.block_length.divides(size_bytes) {
        warn!(size_bytes, "refused: a size is a whole number of blocks, at least one");
        return Err(Errno::EINVAL);
    }
    if blocks == old.blocks {
        return Ok(old);
    }
    let resize_medium = || {
        medium.resize(blocks).map_err(|error| {
            error!(error = &error as &dyn Error, "the medium keeps its size");
            MediumError::from(error).errno()
        })
    };
    if blocks > old.blocks {
        resize_medium()?;
        announce(service, blocks)?;
    } else if let Err(errno) = announce(service, blocks).and_then(|()| resize_medium()) {
        announce(service, old.blocks)?;
        return Err(errno);
    }
    info!(size_bytes, "resized");
    Ok(Geometry { blocks, ..old })
}

/// Has the device server tell initiators of the size, and waits until nothing is in flight beyond.
fn announce(service: &Service, blocks: BlockCount) -> Result<(), Errno> {
    let (done, settled) = crossbeam_channel::bounded(1);
    service.mailbox.send(Message::Resize { blocks, done });
    settled.recv_timeout(PATIENCE).map_err(|error| match error {
        RecvTimeoutError::Timeout => Errno::ETIMEDOUT,
        // The unit broke down or has ended.
        RecvTimeoutError::Disconnected => Errno::EIO,
    })
}

#[cfg(test)]
mod tests;
