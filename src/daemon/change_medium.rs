//! Another medium for a unit in use: the administrator has written another `dev_config`.
//!
//! The new medium is opened while the old one serves, so that whatever is wrong with it is found out
//! before anything has changed. Then the unit's conductor takes it over (`conductor/changing.rs`) and
//! gives the old one back, to be closed.

use std::io;
use std::sync::{Arc, Weak};
use std::time::Duration;

use crossbeam_channel::Sender;
use nix::errno::Errno;
use pulsefield_backstore::{Backstore, BackstoreError};
use pulsefield_kernel::UioName;
use tracing::info;

use crate::closing;
use crate::media::{Media, MediumError};
use crate::station::Message;
use crate::table::Service;

/// How long most of what the old medium has in its cache may take to be written, while it still
/// serves; and how long it may take to close.
const PATIENCE: Duration = Duration::from_secs(20);

/// What a conductor is asked for: to serve `medium` and give its old one back.
pub(crate) struct MediumChange {
    pub(crate) medium: Arc<dyn Backstore>,
    /// Hears of the end. Dropped unheard if the conductor breaks down or ends.
    pub(crate) done: Sender<Result<Arc<dyn Backstore>, ChangeError>>,
}

/// Why a unit keeps the medium it has.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ChangeError {
    #[error(transparent)]
    Medium(#[from] MediumError),
    #[error("{0:?} is not a configuration of Pulsefield's")]
    Foreign(String),
    #[error("the medium is sanitized or formatted, or was not changed a moment ago")]
    Busy,
    #[error("what was in flight did not end in time")]
    Late,
    #[error("the old medium cannot put on stable storage what was written")]
    Flush(#[source] BackstoreError),
    #[error("the new medium cannot wake its unit")]
    Watch(#[source] io::Error),
    #[error("the unit ends, or broke down meanwhile")]
    Ended,
}

impl ChangeError {
    /// What the kernel tells whoever wanted the change, who sees nothing but this.
    pub(crate) fn errno(&self) -> Errno {
        match self {
            Self::Medium(error) => error.errno(),
            Self::Foreign(_) => Errno::EINVAL,
            Self::Busy => Errno::EBUSY,
            Self::Late => Errno::ETIMEDOUT,
            Self::Flush(_) | Self::Watch(_) | Self::Ended => Errno::EIO,
        }
    }
}

/// Has the unit `name` serve the medium that `name` says. May wait long.
///
/// # Errors
/// Why it cannot; the old medium then serves on.
pub(crate) fn change_medium(
    media: &Media,
    service: &Service,
    name: &UioName,
) -> Result<Weak<dyn Backstore>, ChangeError> {
    let foreign = || ChangeError::Foreign(name.config().unwrap_or_default().to_owned());
    let cfgstring = name.cfgstring().ok_or_else(foreign)?;
    let old = service.medium.upgrade().ok_or(ChangeError::Ended)?;
    let medium = media.open(name.device(), cfgstring, old.geometry(), old.claim())?;
    // Initiators wait for what is still to be written when the conductor takes over.
    closing::flush(&*old, PATIENCE);
    drop(old);
    let (done, changed) = crossbeam_channel::bounded(1);
    let change = MediumChange { medium: medium.clone(), done };
    service.mailbox.send(Message::ChangeMedium(change));
    // A conductor has a time limit of its own.
    let old = changed.recv().unwrap_or(Err(ChangeError::Ended))?;
    closing::close(old, PATIENCE);
    info!(name = name.device(), medium = cfgstring, "another medium");
    // The unit's own thread has it now; only that one keeps it open.
    Ok(Arc::downgrade(&medium))
}

#[cfg(test)]
mod tests;
