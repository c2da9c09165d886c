//! A medium that completes what is urgent at once, and bulk never: what it was sent keeps its blocks.

use std::sync::{Mutex, PoisonError};

use pulsefield_backstore::{
    Backstore, BackstoreError, Capabilities, Geometry, Op, OpOutput, OpenError, Request,
};
use pulsefield_data::Buffer;
use pulsefield_units::BlockCount;

/// Reads as zeros.
pub(crate) struct HoldingMedium {
    geometry: Geometry,
    held: Mutex<Vec<Request>>,
}

impl HoldingMedium {
    pub(crate) fn new(geometry: Geometry) -> Self {
        Self { geometry, held: Mutex::default() }
    }
}

impl Backstore for HoldingMedium {
    fn geometry(&self) -> Geometry {
        self.geometry
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities::default()
    }

    fn at_once(
        &self,
        op: Op,
        buffer: &mut Buffer,
        urgent: bool,
    ) -> Option<Result<OpOutput, BackstoreError>> {
        if !urgent {
            return None;
        }
        if let Op::Read { range } = op {
            let bytes = self.geometry.block_length.bytes_in(range);
            let len = bytes.and_then(|bytes| usize::try_from(bytes).ok()).unwrap_or(usize::MAX);
            buffer.fill(0, len, 0);
        }
        Some(Ok(OpOutput::Done))
    }

    fn submit(&self, request: Request) {
        self.held.lock().unwrap_or_else(PoisonError::into_inner).push(request);
    }

    fn resize(&self, _blocks: BlockCount) -> Result<(), OpenError> {
        Err(OpenError::ReadOnly { path: "the bench".to_owned() })
    }
}
