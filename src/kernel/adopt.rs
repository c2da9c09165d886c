//! Taking over the device of an owner that died.
//!
//! The ring of a dead process cannot be replayed: after any completion out of order its slots no
//! longer hold the requests that are still open. So the commands in flight are answered BUSY, the
//! ring starts anew, and the initiators send again. That is safe only when nobody can write into
//! the old commands' pages any more, because the kernel hands them to the next command at once.
//! [`adopt`] therefore proves the owner gone before it changes anything.

use std::time::Duration;

use pulsefield_units::LuId;
use thiserror::Error;
use tracing::warn;

use crate::attribute::WritableAttribute;
use crate::{
    AttributeError, Device, Holder, HolderError, OpenUioError, RingReset, Roots, UioFile, holders,
};

/// Why a device could not be taken over. Nothing has changed then: the device is blocked or not as
/// it was, except that a device whose reset failed is unblocked.
#[derive(Debug, Error)]
pub enum AdoptError {
    /// Somebody else has it.
    #[error("{id} still belongs to {}", name(.holders))]
    Owned {
        /// Which device.
        id: LuId,
        /// Every process found with a descriptor or a mapping; empty if the owner cannot be seen
        /// from here.
        holders: Vec<Holder>,
    },
    /// Nobody has it open, but a mapping somewhere cannot be ruled out.
    #[error("nothing proves that the last owner of {id} is gone")]
    Unproven {
        /// Which device.
        id: LuId,
        /// Why not.
        source: HolderError,
    },
    /// It could not be opened.
    #[error(transparent)]
    Open(OpenUioError),
    /// It could not be blocked or reset.
    #[error(transparent)]
    Attribute(#[from] AttributeError),
}

fn name(holders: &[Holder]) -> String {
    if holders.is_empty() {
        return "a process that cannot be seen from here".to_owned();
    }
    holders.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

/// A blocked device. It goes on when this is dropped, on any thread and at any time: unblocking needs
/// no path, so it does not meet the lock of an rmdir(2) (see [`Device`]).
///
/// A blocked device answers every command BUSY for as long as it exists, and nothing in LIO ends
/// that by itself. An unblocked device without an owner merely lets commands wait on the ring until
/// they time out or the next owner resets it. So the second is what a failure must leave behind.
#[derive(Debug)]
#[must_use = "the device is unblocked when this is dropped"]
pub struct Blocked {
    block_dev: WritableAttribute,
    lifted: bool,
}

impl Blocked {
    /// Blocks `device`; harmless if it is blocked already. Finished completions are reaped and
    /// commands that wait for space are answered BUSY; commands on the ring stay there.
    ///
    /// # Errors
    /// [`AttributeError::Refused`] before the device is enabled; see also [`Device::info`].
    pub fn new(device: &Device) -> Result<Self, AttributeError> {
        let block_dev = device.block_dev()?;
        block_dev.write(1)?;
        Ok(Self { block_dev, lifted: false })
    }

    /// Lets the device go on.
    ///
    /// # Errors
    /// [`AttributeError::Gone`] if it was removed meanwhile.
    pub fn lift(mut self) -> Result<(), AttributeError> {
        self.lifted = true;
        self.block_dev.write(0)
    }
}

impl Drop for Blocked {
    fn drop(&mut self) {
        if self.lifted {
            return;
        }
        if let Err(error) = self.block_dev.write(0) {
            warn!(error = &error as &dyn std::error::Error, "a device stays blocked");
        }
    }
}

/// A device that is ours alone, blocked, its ring empty: the moment to map and attach.
#[derive(Debug)]
#[must_use = "the device is closed and unblocked when this is dropped"]
pub struct Adoption {
    // Closed before the device is unblocked: a half-made owner must not let commands in.
    uio: UioFile,
    blocked: Blocked,
}

impl Adoption {
    /// The open device, to map its region and attach a ring to it.
    pub fn uio(&self) -> &UioFile {
        &self.uio
    }

    /// Unblocks the device: commands arrive from here on.
    ///
    /// # Errors
    /// [`AttributeError::Gone`] if it was removed meanwhile.
    pub fn finish(self) -> Result<UioFile, AttributeError> {
        let Self { uio, blocked } = self;
        blocked.lift()?;
        Ok(uio)
    }
}

/// Takes over the device `id`, whose configfs directory is `device`: opens it, proves that nobody
/// else can reach its ring, blocks it, and has every command in flight answered BUSY. Waits up to
/// `patience` for the device node.
///
/// The order matters. Opening comes first because it is what decides between two daemons and
/// changes nothing: a device whose owner lives is left exactly as it was. The search for mappings
/// comes while we hold the only descriptor, so no new mapping can appear behind it. Blocking comes
/// before the reset, which otherwise puts the commands that wait for space on the new ring at once.
///
/// Not for a device that has just been announced ([`crate::EventKind::Added`]): it was never
/// anyone's, and the kernel refuses to block it until the announcement is answered.
///
/// # Errors
/// [`AdoptError`]; the device is closed again and not blocked by us.
pub fn adopt(
    roots: &Roots,
    id: LuId,
    device: &Device,
    patience: Duration,
) -> Result<Adoption, AdoptError> {
    let uio = match UioFile::open(roots, id, patience) {
        Ok(uio) => uio,
        Err(OpenUioError::Owned(_)) => {
            // Naming the owner is a courtesy: that there is one is certain.
            return Err(AdoptError::Owned { id, holders: holders(roots, id).unwrap_or_default() });
        }
        Err(error) => return Err(AdoptError::Open(error)),
    };
    let holders = holders(roots, id).map_err(|source| AdoptError::Unproven { id, source })?;
    if !holders.is_empty() {
        return Err(AdoptError::Owned { id, holders });
    }
    let blocked = Blocked::new(device)?;
    device.reset_ring(RingReset::Busy)?;
    Ok(Adoption { uio, blocked })
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;

    use super::*;
    use crate::UioName;

    const ID: LuId = LuId::new(0);

    struct Machine {
        directory: tempfile::TempDir,
        roots: Roots,
    }

    impl Machine {
        fn new() -> Self {
            let directory = tempfile::tempdir().unwrap();
            let roots = Roots::under(directory.path());
            let machine = Self { directory, roots };
            for path in ["dev", "proc/7/fd", "sys/class/uio/uio0"] {
                fs::create_dir_all(machine.directory.path().join(path)).unwrap();
            }
            fs::create_dir_all(machine.action("")).unwrap();
            fs::write(machine.roots.uio_node(ID), "").unwrap();
            fs::write(machine.directory.path().join("proc/7/maps"), "").unwrap();
            fs::write(machine.action("block_dev"), "unblocked\n").unwrap();
            fs::write(machine.action("reset_ring"), "").unwrap();
            machine
        }

        fn action(&self, name: &str) -> std::path::PathBuf {
            self.directory.path().join("sys/kernel/config/target/core/user_0/a/action").join(name)
        }

        fn written(&self, name: &str) -> String {
            fs::read_to_string(self.action(name)).unwrap()
        }

        fn adopt(&self) -> Result<Adoption, AdoptError> {
            let name: UioName = "tcm-user/0/a/pulsefield/ram/".parse().unwrap();
            adopt(&self.roots, ID, &Device::new(&self.roots, &name), Duration::ZERO)
        }
    }

    #[test]
    fn an_adopted_device_is_reset_while_blocked_and_goes_on_at_the_end() {
        let machine = Machine::new();
        let adoption = machine.adopt().unwrap();
        assert_eq!(adoption.uio().id(), ID);
        assert_eq!(
            (machine.written("block_dev"), machine.written("reset_ring")),
            ("1".to_owned(), "1".to_owned())
        );
        let uio = adoption.finish().unwrap();
        assert_eq!(machine.written("block_dev"), "0");
        uio.doorbell().unwrap();
    }

    #[test]
    fn an_adoption_given_up_unblocks() {
        let machine = Machine::new();
        drop(machine.adopt().unwrap());
        assert_eq!(machine.written("block_dev"), "0");
    }

    #[test]
    fn a_living_owner_is_named_and_left_alone() {
        let machine = Machine::new();
        let fd = machine.directory.path().join("proc/7/fd/3");
        symlink(machine.roots.uio_node(ID), fd).unwrap();
        fs::write(machine.directory.path().join("proc/7/comm"), "pulsefield\n").unwrap();
        let error = machine.adopt().unwrap_err();
        assert_eq!(error.to_string(), "uio0 still belongs to process 7 (pulsefield, descriptor)");
        assert_eq!(machine.written("block_dev"), "unblocked\n");
        assert_eq!(machine.written("reset_ring"), "");
    }

    #[test]
    fn without_proof_nothing_is_touched() {
        let machine = Machine::new();
        fs::remove_dir_all(machine.directory.path().join("proc")).unwrap();
        assert!(matches!(machine.adopt(), Err(AdoptError::Unproven { .. })));
        assert_eq!(machine.written("block_dev"), "unblocked\n");
    }

    #[test]
    fn a_reset_that_fails_leaves_the_device_unblocked() {
        let machine = Machine::new();
        fs::remove_file(machine.action("reset_ring")).unwrap();
        let error = machine.adopt().unwrap_err();
        assert!(matches!(error, AdoptError::Attribute(AttributeError::Unsupported { .. })));
        assert_eq!(machine.written("block_dev"), "0");
    }

    #[test]
    fn a_device_that_vanished_is_gone() {
        let machine = Machine::new();
        fs::remove_file(machine.roots.uio_node(ID)).unwrap();
        fs::remove_dir_all(machine.roots.uio_class()).unwrap();
        assert!(matches!(machine.adopt(), Err(AdoptError::Open(OpenUioError::Gone(ID)))));
    }
}
