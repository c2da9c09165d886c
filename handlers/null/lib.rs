//! A medium that is not there: every op is done at once, every block reads as zeros.
//!
//! It shows how fast the ring and the engine are when no medium is in the way. Nothing is kept, so
//! COMPARE AND WRITE compares with zeros, always.
//!
//! Beside the house: `backstore`, `data` and `units` only.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use pulsefield_backstore::{
    Backstore, BackstoreError, Capabilities, Cfgstring, Extent, Geometry, Handler, Mapping, Op,
    OpOutput, OpenError, OpenSpec, Request,
};
use pulsefield_data::Buffer;
use pulsefield_units::{BlockCount, BlockLength};

/// Opens `null/`.
pub struct NullHandler;

impl Handler for NullHandler {
    fn name(&self) -> &'static str {
        "null"
    }

    fn description(&self) -> &'static str {
        "null/ keeps nothing: writes are answered and forgotten, reads return zeros. It measures \
         the speed of everything but a medium. There are no options."
    }

    fn options(&self) -> &'static [&'static str] {
        &[]
    }

    fn check(&self, config: &Cfgstring) -> Result<(), OpenError> {
        Ok(config.require_no_locator()?)
    }

    fn open(&self, spec: &OpenSpec) -> Result<Arc<dyn Backstore>, OpenError> {
        self.check(&spec.config)?;
        spec.geometry.bytes()?;
        Ok(Arc::new(NullMedium {
            block_length: spec.geometry.block_length,
            blocks: AtomicU64::new(spec.geometry.blocks.as_u64()),
        }))
    }
}

struct NullMedium {
    block_length: BlockLength,
    /// Relaxed: a number of its own, on which no other memory depends.
    blocks: AtomicU64,
}

impl Backstore for NullMedium {
    fn geometry(&self) -> Geometry {
        let blocks = BlockCount::new(self.blocks.load(Ordering::Relaxed));
        Geometry { block_length: self.block_length, blocks }
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities { thin: true, ..Capabilities::default() }
    }

    fn at_once(
        &self,
        op: Op,
        buffer: &mut Buffer,
        _urgent: bool,
    ) -> Option<Result<OpOutput, BackstoreError>> {
        Some(self.perform(op, buffer))
    }

    fn submit(&self, request: Request) {
        request.carry_out(|op, buffer| self.perform(op, buffer));
    }

    fn resize(&self, blocks: BlockCount) -> Result<(), OpenError> {
        let geometry = Geometry { blocks, ..self.geometry() };
        geometry.bytes()?;
        self.blocks.store(blocks.as_u64(), Ordering::Relaxed);
        Ok(())
    }
}

impl NullMedium {
    fn perform(&self, op: Op, buffer: &mut Buffer) -> Result<OpOutput, BackstoreError> {
        match op {
            Op::Read { range } => {
                let bytes = self.block_length.bytes_in(range);
                let len = bytes.and_then(|bytes| usize::try_from(bytes).ok()).unwrap_or(usize::MAX);
                // The buffer may hold what an earlier command left in it.
                buffer.fill(0, len, 0);
                Ok(OpOutput::Done)
            }
            Op::Provisioning { range } => Ok(OpOutput::Extent(Extent {
                mapping: Mapping::Deallocated,
                blocks: range.blocks(),
            })),
            Op::Write { .. } | Op::WriteZeroes { .. } | Op::Unmap { .. } | Op::Flush => {
                Ok(OpOutput::Done)
            }
            Op::CompareAndWrite { .. } | Op::WriteAtomic { .. } | Op::Copy { .. } => {
                unreachable!("this medium has no such op, and its capabilities say so")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use pulsefield_backstore::conformance::{Origin, Retains, Subject};

    use super::*;

    pulsefield_backstore::conformance_tests!(Subject {
        handler: &NullHandler,
        cfgstring: |_folder| "null/".to_owned(),
        read_only: None,
        retains: Retains::No,
        origin: Origin::Made,
    });

    #[test]
    fn there_is_nothing_to_locate() {
        let error = NullHandler.check(&"null/device".parse().unwrap()).unwrap_err();
        assert_eq!(
            error.to_string(),
            "`null/` is followed by nothing; `device` has no meaning there"
        );
    }
}
