//! The medium of a unit whose real one cannot be opened: there, and never ready.

use std::io;

use pulsefield_backstore::{Backstore, BackstoreError, Capabilities, Geometry, OpenError, Request};
use pulsefield_units::BlockCount;

/// Answers every op [`BackstoreError::Gone`].
#[derive(Debug)]
pub(crate) struct Absent(pub(crate) Geometry);

impl Backstore for Absent {
    fn geometry(&self) -> Geometry {
        self.0
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities::default()
    }

    fn submit(&self, request: Request) {
        request.complete(Err(BackstoreError::Gone));
    }

    fn resize(&self, _blocks: BlockCount) -> Result<(), OpenError> {
        Err(OpenError::Io {
            action: "resize",
            path: "a medium that could not be opened".to_owned(),
            source: io::Error::from(io::ErrorKind::NotFound),
        })
    }
}
