//! What opens a medium: one [`Handler`] per name before the `/` of a cfgstring.

use std::fs::FileType;
use std::os::unix::fs::FileTypeExt as _;
use std::path::Path;
use std::sync::Arc;

use thiserror::Error;

use crate::{Backstore, Cfgstring, Claim, ConfigError, Geometry};

/// A kind of medium: `ram`, `file`, `null`, …
pub trait Handler: Send + Sync {
    /// The name a user types before the `/`.
    fn name(&self) -> &'static str;

    /// One paragraph for `targetcli … help`: the locator's form and the options.
    fn description(&self) -> &'static str;

    /// The options this handler understands, for the parser and for its suggestions.
    fn options(&self) -> &'static [&'static str];

    /// Says whether a cfgstring could be opened, without changing anything. The size is not known
    /// yet, so a medium of the wrong size is only found by [`Handler::open`].
    ///
    /// # Errors
    /// The exact reason it could not, as an administrator wants to read it.
    fn check(&self, config: &Cfgstring) -> Result<(), OpenError>;

    /// Opens the medium, creating it where the handler creates media.
    ///
    /// # Errors
    /// The exact reason it could not; whatever was created on the way is gone again.
    fn open(&self, spec: &OpenSpec) -> Result<Arc<dyn Backstore>, OpenError>;
}

/// What is to be opened.
#[derive(Clone, Debug)]
pub struct OpenSpec {
    /// The logical unit's name, for threads and logs.
    pub name: String,
    /// The parsed cfgstring, its options already known to be the handler's.
    pub config: Cfgstring,
    /// The shape the logical unit shall have.
    pub geometry: Geometry,
    /// The claim of the medium whose place this one shall take: if it is the same medium, it is not
    /// in use by somebody else.
    pub claim: Option<Claim>,
}

/// A medium that could not be opened or resized.
#[derive(Debug, Error)]
pub enum OpenError {
    /// The cfgstring is wrong.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The operating system refused something.
    #[error("{action} {path}: {source}")]
    Io {
        /// What was tried, as a verb: `open`, `create`, `lock`.
        action: &'static str,
        /// On which file or device.
        path: String,
        /// What the operating system said.
        source: std::io::Error,
    },
    /// The folder the medium should lie in is missing.
    #[error("{path} cannot be created: there is no folder {folder}")]
    NoFolder {
        /// Which file.
        path: String,
        /// The folder that is missing.
        folder: String,
    },
    /// Something else than a medium of this handler lies there.
    #[error("{path} is a {found}; {handler}/ serves {wanted}s only")]
    Kind {
        /// Where.
        path: String,
        /// What lies there.
        found: &'static str,
        /// What the handler serves.
        wanted: &'static str,
        /// Which handler.
        handler: &'static str,
    },
    /// The medium may be read but not written.
    #[error("{path} cannot be written ({source}); `;read-only=yes` serves it as it is")]
    NotWritable {
        /// Which file or device.
        path: String,
        /// What the operating system said.
        source: std::io::Error,
    },
    /// A medium opened for reading only keeps its size.
    #[error("{path} is served read-only and cannot be resized")]
    ReadOnly {
        /// Which file or device.
        path: String,
    },
    /// The medium has another size than the logical unit shall have.
    #[error("{path} holds {found} bytes, the logical unit wants {wanted}; {remedy}")]
    Size {
        /// Which file or device.
        path: String,
        /// Its size in bytes.
        found: u64,
        /// The logical unit's size in bytes.
        wanted: u64,
        /// What the administrator can do about it.
        remedy: &'static str,
    },
    /// The logical unit shall be larger than any medium can be.
    #[error("{} blocks of {} bytes are more than a medium can hold",
        geometry.blocks, geometry.block_length.bytes())]
    TooLarge {
        /// What was asked for.
        geometry: Geometry,
    },
    /// Somebody else has the medium open.
    #[error("{path} is in use by another logical unit or program")]
    InUse {
        /// Which file or device.
        path: String,
    },
    /// Somebody else has the device, and it is known who.
    #[error("{path} is in use by {holder}")]
    Held {
        /// Which device.
        path: String,
        /// Who has it.
        holder: String,
    },
    /// The device cannot write the logical unit's blocks one by one.
    #[error(
        "{path} has blocks of {found} bytes, the logical unit wants {wanted}; \
        create it with control=hw_block_size={found}"
    )]
    BlockLength {
        /// Which device.
        path: String,
        /// Length of its logical blocks in bytes.
        found: u32,
        /// Length of the logical unit's blocks in bytes.
        wanted: u32,
    },
    /// The device has zones, each of which can be written from its start only.
    #[error("{path} is a zoned device; block/ serves devices that can be written anywhere")]
    Zoned {
        /// Which device.
        path: String,
    },
}

impl OpenError {
    /// [`OpenError::Kind`], for a `path` at which something of the type `found` lies.
    pub fn other_kind(
        path: &Path,
        found: FileType,
        wanted: &'static str,
        handler: &'static str,
    ) -> Self {
        let found = if found.is_file() {
            "regular file"
        } else if found.is_dir() {
            "folder"
        } else if found.is_block_device() {
            "block device"
        } else if found.is_char_device() {
            "character device"
        } else if found.is_fifo() {
            "pipe"
        } else {
            "socket"
        };
        Self::Kind { path: path.display().to_string(), found, wanted, handler }
    }
}
