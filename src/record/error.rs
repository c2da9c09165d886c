//! Why a record cannot be written or read.

use std::io;
use std::path::PathBuf;

use thiserror::Error;

/// Why a logical unit is not recorded.
#[derive(Debug, Error)]
pub enum OpenError {
    /// The operating system refused something.
    #[error("{}", path.display())]
    Io {
        /// The file, or its folder.
        path: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
    /// Somebody else writes into the file: another daemon, or another unit of the same name.
    #[error("{} is written by somebody else", path.display())]
    InUse {
        /// The file.
        path: PathBuf,
    },
    /// The name does not fit into the file's header.
    #[error("the name of {0} bytes is too long")]
    LongName(usize),
    /// There is not even space for a beginning.
    #[error("the file system of {} has too little space", path.display())]
    NoSpace {
        /// The file.
        path: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
}

/// Why a file cannot be read as a record.
#[derive(Debug, Error)]
pub enum ReadError {
    /// The operating system refused something.
    #[error("{}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
    /// It ends within its header.
    #[error("{} is cut off after {bytes} bytes, within its header", path.display())]
    Truncated {
        /// The file.
        path: PathBuf,
        /// Its length.
        bytes: u64,
    },
    /// It does not begin as a record does.
    #[error("{} is no record of Pulsefield's", path.display())]
    NotARecord {
        /// The file.
        path: PathBuf,
    },
    /// It is of a version that this program does not know.
    #[error(
        "{} is a record of version {found}; this program reads version {}",
        path.display(), crate::VERSION
    )]
    Version {
        /// The file.
        path: PathBuf,
        /// Its version.
        found: u32,
    },
    /// Its header is damaged.
    #[error("the header of {} is damaged", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
    },
    /// It is about another logical unit than it ought to be.
    #[error("{} is a record of {found}, not of {expected}", path.display())]
    OtherUnit {
        /// The file.
        path: PathBuf,
        /// The unit that was asked for.
        expected: String,
        /// The unit that it is about.
        found: String,
    },
}

/// Why there is no copy of a record.
#[derive(Debug, Error)]
#[error("{}", path.display())]
pub struct DumpError {
    /// The file or folder that it failed at.
    pub path: PathBuf,
    /// What the operating system said.
    pub source: io::Error,
}
