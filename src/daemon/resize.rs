//! Another size for a medium in use.

use std::time::Duration;

use nix::errno::Errno;
use pulsefield_units::BlockCount;
use tracing::{error, info};

use crate::conductor::Message;
use crate::table::Service;

/// How long commands beyond a smaller end may take to finish.
const PATIENCE: Duration = Duration::from_secs(25);

/// Gives the medium `bytes` bytes.
///
/// It grows before initiators hear of it, and shrinks only once no command is in flight beyond the
/// new end: a write there would otherwise bring back what was cut off.
///
/// # Errors
/// What the kernel tells whoever asked; the size is then as it was.
pub(crate) fn resize(service: &Service, bytes: u64) -> Result<(), Errno> {
    let Service { mailbox, medium, .. } = service;
    let geometry = medium.geometry();
    let blocks = geometry.block_length.blocks_in(bytes);
    if blocks.is_zero() || !geometry.block_length.divides(bytes) {
        error!(bytes, "a size must be a whole number of blocks");
        return Err(Errno::EINVAL);
    }
    let announce = |blocks: BlockCount| {
        let (done, settled) = crossbeam_channel::bounded(1);
        mailbox.send(Message::Resize { blocks, done });
        settled.recv_timeout(PATIENCE).map_err(|_| Errno::ETIMEDOUT)
    };
    if blocks == geometry.blocks {
        return Ok(());
    }
    let shrinks = blocks < geometry.blocks;
    let resized = if shrinks { announce(blocks) } else { Ok(()) }.and_then(|()| {
        medium.resize(blocks).map_err(|error| {
            error!(error = &error as &dyn std::error::Error, "the medium keeps its size");
            Errno::EINVAL
        })
    });
    match resized {
        Ok(()) if shrinks => {}
        Ok(()) => announce(blocks)?,
        Err(errno) if shrinks => {
            announce(geometry.blocks)?;
            return Err(errno);
        }
        Err(errno) => return Err(errno),
    }
    info!(bytes, "resized");
    Ok(())
}
