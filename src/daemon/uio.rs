//! The UIO device of a logical unit: its ring's memory, its events and its doorbell.

use std::io;
use std::os::fd::AsFd as _;
use std::sync::Arc;

use pulsefield_kernel::{AttributeError, Roots, UioError, UioFile, region_len};
use pulsefield_ring::Mapping;

/// What a process that serves a ring does with its UIO device.
pub(crate) trait Uio {
    /// Maps the ring and its data area.
    ///
    /// # Errors
    /// If the device is gone, or the operating system refuses.
    fn map(&self) -> Result<Arc<Mapping>, MapError>;

    /// Forgets the events so far.
    ///
    /// # Errors
    /// [`UioError::Gone`] once the device was removed.
    fn take_events(&self) -> Result<(), UioError>;

    /// Has the kernel look at the answers.
    ///
    /// # Errors
    /// [`UioError::Gone`] once the device was removed.
    fn ring_doorbell(&self) -> Result<(), UioError>;
}

/// Why a ring could not be mapped.
#[derive(Debug, thiserror::Error)]
pub(crate) enum MapError {
    #[error(transparent)]
    Length(#[from] AttributeError),
    #[error("map the ring")]
    Map(#[source] io::Error),
}

/// Maps the ring behind `file`.
///
/// # Errors
/// If the device is gone, or the operating system refuses.
pub(crate) fn map(roots: &Roots, file: &UioFile) -> Result<Arc<Mapping>, MapError> {
    let len = usize::try_from(region_len(roots, file.id())?).expect("a 64-bit machine");
    Mapping::of_device(file.as_fd(), len).map_err(MapError::Map)
}

/// A UIO device of the kernel, open.
pub(crate) struct KernelUio<'a> {
    pub(crate) roots: &'a Roots,
    pub(crate) file: UioFile,
}

impl Uio for KernelUio<'_> {
    fn map(&self) -> Result<Arc<Mapping>, MapError> {
        map(self.roots, &self.file)
    }

    fn take_events(&self) -> Result<(), UioError> {
        self.file.take_event().map(|_| ())
    }

    fn ring_doorbell(&self) -> Result<(), UioError> {
        self.file.doorbell()
    }
}
