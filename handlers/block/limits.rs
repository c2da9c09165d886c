//! What a block device's queue says of itself, in sysfs (`Documentation/ABI/stable/sysfs-block`).

use std::fs;
use std::io;
use std::path::Path;

use pulsefield_backstore::{OpenError, Topology};
use pulsefield_units::BlockLength;

/// What matters to a logical unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Limits {
    /// The shortest write, in bytes.
    pub(crate) logical_block_bytes: u32,
    /// The device, or the kernel for it, refuses writes.
    pub(crate) read_only: bool,
    /// It has zones that must be written from their start.
    pub(crate) zoned: bool,
    /// It may lose what it has answered until it is flushed.
    pub(crate) write_cache: bool,
    /// Write-zeroes is a command of its own there, and it can deallocate.
    pub(crate) punches: bool,
    pub(crate) topology: Topology,
}

impl Limits {
    /// The limits of the device whose directory in sysfs is `entry`.
    ///
    /// # Errors
    /// If there is no such directory.
    pub(crate) fn read(entry: &Path) -> io::Result<Self> {
        // A partition has no queue; its disk's is one up.
        let up = if entry.join("partition").exists() { "../queue" } else { "queue" };
        let queue = entry.join(up);
        let text = |path: &Path| fs::read_to_string(path).unwrap_or_default();
        // What an older kernel does not have, or says with -1, is 0: not known.
        let number = |path: &Path| text(path).trim().parse::<u64>().unwrap_or(0);
        let bytes = |path: &Path| u32::try_from(number(path)).unwrap_or(0);
        let logical = fs::read_to_string(queue.join("logical_block_size"))?;
        let zoned = text(&queue.join("zoned"));
        Ok(Self {
            logical_block_bytes: logical.trim().parse().map_err(io::Error::other)?,
            read_only: number(&entry.join("ro")) != 0,
            // Host-aware zones can be written anywhere.
            zoned: zoned.trim() == "host-managed",
            write_cache: text(&queue.join("write_cache")).trim() == "write back",
            punches: number(&queue.join("write_zeroes_max_bytes")) != 0
                && number(&queue.join("discard_max_bytes")) != 0,
            topology: Topology {
                physical_block_bytes: bytes(&queue.join("physical_block_size")),
                physical_alignment_bytes: bytes(&entry.join("alignment_offset")),
                transfer_granularity_bytes: bytes(&queue.join("minimum_io_size")),
                transfer_optimal_bytes: bytes(&queue.join("optimal_io_size")),
                unmap_granularity_bytes: bytes(&queue.join("discard_granularity")),
                unmap_alignment_bytes: bytes(&entry.join("discard_alignment")),
            },
        })
    }

    /// Refuses a logical unit whose blocks the device at `path` cannot write one by one.
    pub(crate) fn require_block_length(
        &self,
        path: &str,
        block_length: BlockLength,
    ) -> Result<(), OpenError> {
        let (found, wanted) = (self.logical_block_bytes, block_length.bytes());
        match wanted.is_multiple_of(found) {
            true => Ok(()),
            false => Err(OpenError::BlockLength { path: path.to_owned(), found, wanted }),
        }
    }
}

#[cfg(test)]
mod tests {
    use tempfile::{TempDir, tempdir};

    use super::*;

    /// A directory as sysfs has it for a 512e disk with a write cache that can unmap.
    fn sysfs() -> TempDir {
        let root = tempdir().unwrap();
        let attributes = [
            ("ro", "0"),
            ("alignment_offset", "3584"),
            ("discard_alignment", "512"),
            ("queue/logical_block_size", "512"),
            ("queue/physical_block_size", "4096"),
            ("queue/minimum_io_size", "4096"),
            ("queue/optimal_io_size", "1048576"),
            ("queue/discard_granularity", "65536"),
            ("queue/discard_max_bytes", "2147450880"),
            ("queue/write_zeroes_max_bytes", "33553920"),
            ("queue/write_cache", "write back"),
            ("queue/zoned", "none"),
        ];
        fs::create_dir(root.path().join("queue")).unwrap();
        for (name, value) in attributes {
            set(&root, name, value);
        }
        root
    }

    fn set(root: &TempDir, name: &str, value: &str) {
        fs::write(root.path().join(name), format!("{value}\n")).unwrap();
    }

    #[test]
    fn every_attribute_has_its_place() {
        let expected = Limits {
            logical_block_bytes: 512,
            read_only: false,
            zoned: false,
            write_cache: true,
            punches: true,
            topology: Topology {
                physical_block_bytes: 4096,
                physical_alignment_bytes: 3584,
                transfer_granularity_bytes: 4096,
                transfer_optimal_bytes: 1 << 20,
                unmap_granularity_bytes: 65536,
                unmap_alignment_bytes: 512,
            },
        };
        assert_eq!(Limits::read(sysfs().path()).unwrap(), expected);
    }

    #[test]
    fn a_partition_goes_by_its_disks_queue_and_its_own_alignment() {
        let root = sysfs();
        fs::create_dir(root.path().join("sdx1")).unwrap();
        for (name, value) in [("partition", "1"), ("ro", "1"), ("alignment_offset", "0")] {
            set(&root, &format!("sdx1/{name}"), value);
        }
        let limits = Limits::read(&root.path().join("sdx1")).unwrap();
        assert!(limits.read_only && limits.write_cache);
        assert_eq!(limits.topology.physical_alignment_bytes, 0);
        assert_eq!(limits.topology.physical_block_bytes, 4096);
    }

    #[test]
    fn what_is_not_there_is_not_claimed() {
        let root = sysfs();
        set(&root, "queue/write_cache", "write through");
        set(&root, "queue/write_zeroes_max_bytes", "0");
        set(&root, "alignment_offset", "-1");
        fs::remove_file(root.path().join("queue/optimal_io_size")).unwrap();
        let limits = Limits::read(root.path()).unwrap();
        assert!(!limits.write_cache && !limits.punches);
        assert_eq!(limits.topology.physical_alignment_bytes, 0);
        assert_eq!(limits.topology.transfer_optimal_bytes, 0);
        assert!(Limits::read(&root.path().join("nowhere")).is_err());
    }

    #[test]
    fn blocks_of_512_bytes_do_not_fit_a_4kn_device() {
        let root = sysfs();
        let check = |length| Limits::read(root.path()).unwrap().require_block_length("/d", length);
        assert!(check(BlockLength::B512).is_ok() && check(BlockLength::B4096).is_ok());
        set(&root, "queue/logical_block_size", "4096");
        assert!(check(BlockLength::B4096).is_ok());
        assert_eq!(
            check(BlockLength::B512).unwrap_err().to_string(),
            "/d has blocks of 4096 bytes, the logical unit wants 512; \
             create it with control=hw_block_size=4096"
        );
    }
}
