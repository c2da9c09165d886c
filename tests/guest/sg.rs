//! SCSI pass-through by `/dev/sgN`, which needs no disk behind it.
//!
//! The kernel does not check that a CDB and its data length fit together, which is what makes this the
//! right tool for hostile commands.

use std::fs::{File, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use pulsefield_initiator::pass_through;

use crate::reply::Reply;
use crate::sense::Sense;

pub use pulsefield_initiator::pass_through::Transfer as Data;

/// An open `/dev/sgN`. Commands may be sent from several threads at once.
#[derive(Debug)]
pub struct Device {
    file: File,
    path: PathBuf,
}

impl Device {
    /// Opens a generic SCSI node.
    ///
    /// # Errors
    /// What the operating system said.
    pub fn open(path: &Path) -> io::Result<Self> {
        let file = OpenOptions::new().read(true).write(true).open(path)?;
        Ok(Self { file, path: path.to_owned() })
    }

    /// The node's path.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Sends one CDB of 6 to 32 bytes and waits for its answer; after `timeout` the kernel aborts it and
    /// reports a host status.
    ///
    /// # Errors
    /// The kernel refused to send it at all: the device is gone, or the CDB's length is impossible.
    pub fn execute(&self, cdb: &[u8], data: Data<'_>, timeout: Duration) -> io::Result<Reply> {
        let answer = pass_through::execute(&self.file, cdb, data, timeout)?;
        Ok(Reply {
            status: answer.status,
            host_status: answer.host_status,
            sense: Sense::parse(answer.sense()),
            residual: answer.residual,
        })
    }
}
