//! A handler to copy: the smallest one that passes the conformance kit.
//!
//! To write a handler of your own:
//!
//! 1. Copy this folder to `handlers/<name>`, rename the package and the types, and list the package
//!    in the root `Cargo.toml`. You may depend on `backstore`, `data` and `units`, and on whatever
//!    your medium needs; never on the engine.
//! 2. Run `cargo test -p pulsefield-<name>`. The kit at the end of this file says which promise is
//!    broken, by name.
//! 3. Add the handler to the daemon's registry. That is the only place that names it.
//!
//! This one keeps its blocks in a `Vec<u8>`. The daemon does not register it: `ram` does the same
//! job better.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use pulsefield_backstore::{
    Backstore, BackstoreError, Capabilities, Cfgstring, Extent, Geometry, Handler, Mapping, Op,
    OpOutput, OpenError, OpenSpec, Request, Topology,
};
use pulsefield_data::Buffer;
use pulsefield_units::{BlockCount, BlockLength, LbaRange};

/// Opens `template/`. A handler is the *kind* of medium and usually holds nothing itself; what is
/// open is a [`Backstore`].
pub struct TemplateHandler;

impl Handler for TemplateHandler {
    fn name(&self) -> &'static str {
        "template"
    }

    // Shown by targetcli: say what the locator looks like and what each option means.
    fn description(&self) -> &'static str {
        "template/ keeps the logical unit in a vector. There are no options."
    }

    // The registry refuses every other option before `check` or `open` is called, and suggests the
    // nearest of these. Read their values with `Cfgstring::flag`, `choice` and `number`.
    fn options(&self) -> &'static [&'static str] {
        &[]
    }

    // Called when an administrator types the cfgstring, before anything exists. Look, do not touch:
    // whatever would make `open` fail and can be seen now is worth an exact sentence here.
    fn check(&self, config: &Cfgstring) -> Result<(), OpenError> {
        // A handler of files or devices calls `absolute_path` instead.
        Ok(config.require_no_locator()?)
    }

    // Called when LIO has made the device, also long after `check`, at every start of the daemon:
    // so check again. Refuse a medium whose size is not the one asked for, and one that somebody
    // else has open. Leave nothing behind when you fail.
    fn open(&self, spec: &OpenSpec) -> Result<Arc<dyn Backstore>, OpenError> {
        self.check(&spec.config)?;
        Ok(Arc::new(TemplateMedium {
            block_length: spec.geometry.block_length,
            bytes: Mutex::new(vec![0; in_memory(spec.geometry)?]),
        }))
    }
}

/// An open medium. It lives behind an `Arc` and is called by the engine of one logical unit;
/// dropping it closes it. Whatever is still queued then must be answered first.
struct TemplateMedium {
    block_length: BlockLength,
    /// The blocks. One lock for all is good enough here and wrong for a real medium: the engine
    /// sends overlapping ops one after the other anyway, and the others should run side by side.
    bytes: Mutex<Vec<u8>>,
}

impl Backstore for TemplateMedium {
    fn geometry(&self) -> Geometry {
        let blocks = self.block_length.blocks_in(self.lock().len() as u64);
        Geometry { block_length: self.block_length, blocks }
    }

    // Promise only what holds. The engine tells initiators what stands here, and leaves to you what
    // you claim to do.
    fn capabilities(&self) -> Capabilities {
        Capabilities {
            // True if every write answers `BackstoreError::ReadOnly`; then it must.
            read_only: false,
            // True if an answered write may be lost with the power until `Op::Flush`.
            write_cache: false,
            // True if `Op::Unmap` gives space back. A vector keeps it; unmapped blocks must read as
            // zeros all the same.
            thin: false,
            // True only if compare and write are one step for *everybody* who reaches the medium.
            // Without it the engine reads, compares and writes, under a range lock of its own.
            compare_and_write: true,
            // True only if an `Op::WriteAtomic` that is cut short, by an error or by a loss of power,
            // leaves every block as it was. A vector survives neither whole nor in part.
            atomic_write: true,
            // True if it copies within itself faster than it is read and written.
            copy: true,
            // The sizes in which it works best, if it has any.
            topology: Topology::default(),
        }
    }

    // The engine's thread, which serves every command of this logical unit, waits for this: do what needs no
    // waiting, and answer `None` to the rest, which then comes to `submit`. A vector makes nobody wait. A medium that
    // always may leaves this method out.
    fn at_once(
        &self,
        op: Op,
        buffer: &mut Buffer,
        _urgent: bool,
    ) -> Option<Result<OpOutput, BackstoreError>> {
        Some(self.perform(op, buffer))
    }

    // The same thread, which must not wait here. A medium that blocks hands
    // the request to `pulsefield_backstore::Workers` (see `handlers/file`), which also keeps urgent
    // requests from queueing behind bulk; one with an asynchronous interface keeps the request and
    // completes it from its callback.
    fn submit(&self, request: Request) {
        // Exactly one answer: `carry_out` takes the request, as `complete` does, so a second is impossible; a
        // request that is dropped answers `BackstoreError::Dropped`.
        request.carry_out(|op, buffer| self.perform(op, buffer));
    }

    fn resize(&self, blocks: BlockCount) -> Result<(), OpenError> {
        let geometry = Geometry { blocks, ..self.geometry() };
        let len = in_memory(geometry)?;
        self.lock().resize(len, 0);
        Ok(())
    }
}

impl TemplateMedium {
    // Every op, and no wildcard arm: a new op in the contract shall not compile until it is here. A
    // vector never fails; your medium will, and `BackstoreError` has a word for each way.
    fn perform(&self, op: Op, buffer: &mut Buffer) -> Result<OpOutput, BackstoreError> {
        let mut medium = self.lock();
        match op {
            // A buffer is scattered memory that an initiator may change at any time. It is copied,
            // never borrowed as a slice; a file reads and writes it with `pread` and `pwrite`.
            Op::Read { range } => buffer.write_at(0, self.blocks(&mut medium, range)),
            // `durable` makes no difference where nothing is.
            Op::Write { range, durable: _ } | Op::WriteAtomic { range, durable: _ } => {
                buffer.read_at(0, self.blocks(&mut medium, range));
            }
            Op::WriteZeroes { range, .. } | Op::Unmap { range } => {
                self.blocks(&mut medium, range).fill(0);
            }
            // Two places that never overlap.
            Op::Copy { source, range, durable: _ } => {
                let data = self.blocks(&mut medium, source).to_vec();
                self.blocks(&mut medium, range).copy_from_slice(&data);
            }
            Op::Flush => {}
            // One run of one kind from the start of the range on, at least a block.
            Op::Provisioning { range } => {
                let extent = Extent { mapping: Mapping::Mapped, blocks: range.blocks() };
                return Ok(OpOutput::Extent(extent));
            }
            // The buffer holds what is expected, then what shall be written.
            Op::CompareAndWrite { range, durable: _ } => {
                let blocks = self.blocks(&mut medium, range);
                if let Some(at) = buffer.first_difference(0, blocks) {
                    let offset = u32::try_from(at).expect("at most 255 blocks are compared");
                    return Ok(OpOutput::Miscompare { offset });
                }
                buffer.read_at(blocks.len(), blocks);
            }
        }
        Ok(OpOutput::Done)
    }

    // The engine has checked the range against `geometry`, so arithmetic cannot fail here; if it
    // does, that is a bug, and a panic costs this logical unit alone.
    fn blocks<'a>(&self, medium: &'a mut [u8], range: LbaRange) -> &'a mut [u8] {
        let byte = |lba| {
            let offset = self.block_length.offset_of(lba).expect("inside the medium");
            usize::try_from(offset).expect("inside the medium")
        };
        &mut medium[byte(range.start())..byte(range.end())]
    }

    fn lock(&self) -> MutexGuard<'_, Vec<u8>> {
        // A thread that panicked while it held the lock left some blocks half written, as a loss of
        // power would; the vector itself is whole.
        self.bytes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn in_memory(geometry: Geometry) -> Result<usize, OpenError> {
    usize::try_from(geometry.bytes()?).map_err(|_| OpenError::TooLarge { geometry })
}

#[cfg(test)]
mod tests {
    use pulsefield_backstore::conformance::{Origin, Retains, Subject};

    use super::*;

    // The kit opens a medium per test by the cfgstring given here; `_folder` is an empty folder of
    // its own for a handler that needs one.
    pulsefield_backstore::conformance_tests!(Subject {
        handler: &TemplateHandler,
        cfgstring: |_folder| "template/".to_owned(),
        read_only: None,
        retains: Retains::Yes,
        origin: Origin::Made,
    });
}
