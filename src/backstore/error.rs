//! Why an op failed: few errors, each with one meaning on the wire.

use thiserror::Error;

/// What a handler may answer instead of success. The engine alone maps these to status and sense
/// (`engine/outcome.rs`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum BackstoreError {
    /// The medium could not be read or written there, and will not be by trying again.
    #[error("the medium failed")]
    Medium,
    /// No space left for the data: thin provisioning ran out, or the file system is full.
    #[error("no space left on the medium")]
    NoSpace,
    /// The medium is, or has become, read-only.
    #[error("the medium is read-only")]
    ReadOnly,
    /// Could not be done now; the same op may succeed later.
    #[error("the medium is busy")]
    Transient,
    /// The medium is gone and does not come back by itself: unplugged, deleted, shut down.
    #[error("the medium is gone")]
    Gone,
    /// The handler lost the request: a bug in it, or a panic of its worker.
    #[error("the handler dropped the request unanswered")]
    Dropped,
}
