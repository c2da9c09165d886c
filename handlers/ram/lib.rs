//! A medium in memory: an anonymous file (`memfd_create(2)`), mapped, gone with the daemon.
//!
//! Memory is taken as it is written to and given back by UNMAP. Nothing can block, so every op is
//! done at once, on the engine's own thread. There is no stable storage behind it,
//! hence no write cache either: a flush has nothing left to do.
//!
//! Beside the house: `backstore`, `data` and `units` only.

use std::fs::File;
use std::sync::Arc;

use nix::sys::memfd::{MFdFlags, memfd_create};
use pulsefield_backstore::{
    Backstore, BackstoreError, Capabilities, Cfgstring, FileMedium, Geometry, Handler,
    MediumAccess, Op, OpOutput, OpenError, OpenSpec, Request,
};
use pulsefield_data::Buffer;
use pulsefield_units::BlockCount;

/// Opens `ram/`.
pub struct RamHandler;

impl Handler for RamHandler {
    fn name(&self) -> &'static str {
        "ram"
    }

    fn description(&self) -> &'static str {
        "ram/ keeps the logical unit in memory, which it takes as blocks are written and gives \
         back as they are unmapped. The contents are gone once the daemon stops. There are no \
         options."
    }

    fn options(&self) -> &'static [&'static str] {
        &[]
    }

    fn check(&self, config: &Cfgstring) -> Result<(), OpenError> {
        Ok(config.require_no_locator()?)
    }

    fn open(&self, spec: &OpenSpec) -> Result<Arc<dyn Backstore>, OpenError> {
        self.check(&spec.config)?;
        let refused = |action| {
            let path = spec.name.clone();
            move |source| OpenError::Io { action, path, source }
        };
        // The name is only what /proc/self/fd shows.
        let file = memfd_create("pulsefield-ram", MFdFlags::MFD_CLOEXEC)
            .map(File::from)
            .map_err(|errno| refused("create memory for")(errno.into()))?;
        file.set_len(spec.geometry.bytes()?).map_err(refused("size memory for"))?;
        let access = MediumAccess { read_only: false, write_cache: false };
        let medium = FileMedium::new(file, spec.name.clone(), spec.geometry, access)?;
        Ok(Arc::new(RamMedium(medium.in_memory()?)))
    }
}

struct RamMedium(FileMedium);

impl Backstore for RamMedium {
    fn geometry(&self) -> Geometry {
        self.0.geometry()
    }

    fn capabilities(&self) -> Capabilities {
        // What a loss of power, or the end of the daemon, takes away it takes away whole.
        Capabilities { atomic_write: true, ..self.0.capabilities() }
    }

    fn at_once(
        &self,
        op: Op,
        buffer: &mut Buffer,
        _urgent: bool,
    ) -> Option<Result<OpOutput, BackstoreError>> {
        Some(self.0.execute(op, buffer))
    }

    fn submit(&self, request: Request) {
        request.carry_out(|op, buffer| self.0.execute(op, buffer));
    }

    fn allocated_bytes(&self) -> Option<u64> {
        self.0.allocated_bytes()
    }

    fn resize(&self, blocks: BlockCount) -> Result<(), OpenError> {
        self.0.resize(blocks)
    }
}

#[cfg(test)]
mod tests {
    use pulsefield_backstore::conformance::{Origin, Retains, Subject};

    use super::*;

    pulsefield_backstore::conformance_tests!(Subject {
        handler: &RamHandler,
        cfgstring: |_folder| "ram/".to_owned(),
        read_only: None,
        retains: Retains::Yes,
        origin: Origin::Made,
    });

    #[test]
    fn there_is_nothing_to_locate() {
        let error = RamHandler.check(&"ram/disk0".parse().unwrap()).unwrap_err();
        assert_eq!(
            error.to_string(),
            "`ram/` is followed by nothing; `disk0` has no meaning there"
        );
    }
}
