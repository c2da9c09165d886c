//! Why there is no configuration.

use std::path::PathBuf;

use pulsefield_settings::Diagnostic;
use thiserror::Error;

/// Why there is no configuration.
#[derive(Debug, Error)]
pub enum ConfigError {
    /// The file could not be read.
    #[error("cannot read {path}", path = path.display())]
    Unreadable {
        /// Which file.
        path: PathBuf,
        /// What the operating system said.
        source: std::io::Error,
    },
    /// Something in the file is wrong.
    #[error(transparent)]
    Invalid(#[from] Box<Diagnostic>),
}
