//! A medium on a file descriptor with threads of its own: what `file` and `block` serve.

use std::num::NonZeroUsize;
use std::sync::Arc;

use pulsefield_units::BlockCount;

use crate::{
    Backstore, Capabilities, Claim, FileMedium, Geometry, Op, OpenError, Request, Workers,
};

/// A [`FileMedium`] whose ops run on [`Workers`], but for short reads of what the page cache holds,
/// which are answered on the spot.
pub struct WorkedMedium {
    workers: Workers,
    medium: Arc<FileMedium>,
}

impl WorkedMedium {
    /// Starts a thread for heartbeats and, when there is work, at most `workers` others, named after the
    /// logical unit `name`.
    /// After each op that one of them has carried out it calls `afterwards`.
    ///
    /// # Errors
    /// [`OpenError::Io`] if the operating system has no thread left.
    pub fn start(
        medium: FileMedium,
        name: &str,
        workers: NonZeroUsize,
        afterwards: impl Fn(&FileMedium, Op) + Send + Sync + 'static,
    ) -> Result<Self, OpenError> {
        let medium = Arc::new(medium);
        let work = {
            let medium = Arc::clone(&medium);
            move |request: Request| {
                let op = request.op();
                medium.execute(request);
                afterwards(&medium, op);
            }
        };
        let workers = Workers::start(name, workers, work).map_err(|source| OpenError::Io {
            action: "start the workers of",
            path: medium.name().to_owned(),
            source,
        })?;
        Ok(Self { workers, medium })
    }
}

impl Backstore for WorkedMedium {
    fn geometry(&self) -> Geometry {
        self.medium.geometry()
    }

    fn capabilities(&self) -> Capabilities {
        self.medium.capabilities()
    }

    fn submit(&self, request: Request) {
        if let Some(request) = self.medium.execute_if_cached(request) {
            self.workers.submit(request);
        }
    }

    fn allocated_bytes(&self) -> Option<u64> {
        self.medium.allocated_bytes()
    }

    fn claim(&self) -> Option<Claim> {
        Some(self.medium.claim())
    }

    fn resize(&self, blocks: BlockCount) -> Result<(), OpenError> {
        self.medium.resize(blocks)
    }
}
