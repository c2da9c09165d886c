//! The logical units that are tried: every shape that makes the device server behave differently.

use pulsefield_backstore::{Capabilities, Geometry, Topology};
use pulsefield_units::{BlockCount, BlockLength};

/// One of them.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Shape {
    pub(crate) name: &'static str,
    pub(crate) geometry: Geometry,
    pub(crate) capabilities: Capabilities,
    /// No use is made of what the medium could unmap.
    pub(crate) fully_provisioned: bool,
    /// MAXIMUM COMPARE AND WRITE LENGTH in blocks.
    pub(crate) compare_and_write_blocks_max: u8,
    /// Whether it takes CDBs of 32 bytes.
    pub(crate) long_cdbs: bool,
}

const fn geometry(block_length: BlockLength, blocks: u64) -> Geometry {
    Geometry { block_length, blocks: BlockCount::new(blocks) }
}

const THICK: Capabilities = Capabilities {
    read_only: false,
    write_cache: true,
    thin: false,
    compare_and_write: false,
    atomic_write: false,
    copy: false,
    topology: Topology {
        physical_block_bytes: 0,
        physical_alignment_bytes: 0,
        transfer_granularity_bytes: 0,
        transfer_optimal_bytes: 0,
        unmap_granularity_bytes: 0,
        unmap_alignment_bytes: 0,
    },
};

/// Few blocks, so that commands overlap.
const SMALL: u64 = 96;

/// Every shape.
pub(crate) const SHAPES: [Shape; 6] = [
    Shape {
        name: "512-byte blocks, thick, cached",
        geometry: geometry(BlockLength::B512, SMALL),
        capabilities: THICK,
        fully_provisioned: false,
        compare_and_write_blocks_max: 1,
        long_cdbs: false,
    },
    Shape {
        name: "512-byte blocks, thin, atomic writes, copies within",
        geometry: geometry(BlockLength::B512, SMALL),
        capabilities: Capabilities {
            write_cache: false,
            thin: true,
            atomic_write: true,
            copy: true,
            ..THICK
        },
        fully_provisioned: false,
        compare_and_write_blocks_max: 8,
        long_cdbs: true,
    },
    Shape {
        name: "512-byte blocks, fully provisioned on a thin medium",
        geometry: geometry(BlockLength::B512, SMALL),
        capabilities: Capabilities { thin: true, ..THICK },
        fully_provisioned: true,
        compare_and_write_blocks_max: 1,
        long_cdbs: false,
    },
    Shape {
        name: "4096-byte blocks, thin, native compare and write",
        geometry: geometry(BlockLength::B4096, SMALL),
        capabilities: Capabilities { thin: true, compare_and_write: true, ..THICK },
        fully_provisioned: false,
        compare_and_write_blocks_max: 255,
        long_cdbs: false,
    },
    Shape {
        name: "read-only",
        geometry: geometry(BlockLength::B512, SMALL),
        capabilities: Capabilities { read_only: true, ..THICK },
        fully_provisioned: false,
        compare_and_write_blocks_max: 1,
        long_cdbs: false,
    },
    // More blocks than 32 bits can name, and more than one command may ask for. Keeps nothing.
    Shape {
        name: "2^33 blocks, thin",
        geometry: geometry(BlockLength::B512, 1 << 33),
        capabilities: Capabilities { thin: true, ..THICK },
        fully_provisioned: false,
        compare_and_write_blocks_max: 1,
        long_cdbs: true,
    },
];

impl Shape {
    /// Whether blocks can be deallocated (LBPME of READ CAPACITY (16)).
    pub(crate) fn thin(&self) -> bool {
        self.capabilities.thin && !self.fully_provisioned
    }

    /// Bytes in a block.
    pub(crate) fn block_bytes(&self) -> u64 {
        self.geometry.block_length.bytes().into()
    }

    /// Whether the medium keeps what is written; one of more bytes than memory has forgets it, and reads
    /// as zeros.
    pub(crate) fn keeps(&self) -> bool {
        self.blocks() == SMALL
    }

    /// The number of blocks.
    pub(crate) fn blocks(&self) -> u64 {
        self.geometry.blocks.as_u64()
    }
}
