//! The logical unit apart from its tasks: shape, names, settings and modes.

use pulsefield_backstore::{Capabilities, Geometry};
use pulsefield_scsi::log_page::{ProvisioningResources, Statistics};
use pulsefield_scsi::mode_page::{ModeParameters, ModeSettings, PROVISIONING_THRESHOLDS_MAX};
use pulsefield_scsi::parameter::CopyLimits;
use pulsefield_scsi::vpd::BlockLimits;
use pulsefield_scsi::{Asc, Extent, Sense, SenseKey, opcode};
use pulsefield_units::{BlockCount, BlockLength, LbaRange};

use crate::background::{Background, Operation};
use crate::config::{Identity, LuConfig, PortGroup};
use crate::copies::Copies;
use crate::exec::extended_copy::CopyPeer;
use crate::limits;
use crate::marked_blocks::MarkedBlocks;
use crate::readiness::Readiness;
use crate::saved_state::SavedState;
use crate::seen_metadata::SeenMetadata;
use crate::space::Space;
use crate::unit_attention::UnitAttentions;

#[derive(Debug)]
pub(crate) struct LogicalUnit {
    pub(crate) config: LuConfig,
    pub(crate) geometry: Geometry,
    pub(crate) capabilities: Capabilities,
    /// What MODE SELECT can change, as it is now.
    pub(crate) modes: ModeSettings,
    /// Known once somebody asked for it: LIO sets the serial number only after the device exists.
    pub(crate) identity: Option<Identity>,
    /// As they were when last asked for, if anybody asked.
    pub(crate) port_groups: Option<Vec<PortGroup>>,
    pub(crate) attentions: UnitAttentions,
    /// What is on stable storage.
    pub(crate) saved: SavedState,
    /// What will be, when all that is being saved is.
    pub(crate) to_save: SavedState,
    pub(crate) readiness: Readiness,
    pub(crate) statistics: Statistics,
    /// What works through the whole medium just now.
    pub(crate) background: Option<Background>,
    /// What last did, if it did not get through.
    pub(crate) failed: Option<Operation>,
    pub(crate) marked: MarkedBlocks,
    pub(crate) seen_metadata: SeenMetadata,
    pub(crate) space: Space,
    pub(crate) copies: Copies,
    /// The other units that copies may reach, as far as anybody asked; empty once that may have
    /// changed.
    pub(crate) copy_peers: Vec<CopyPeer>,
}

impl LogicalUnit {
    /// Whether this unit has a command at all, by operation code and service action. CDBs are read
    /// and REPORT SUPPORTED OPERATION CODES is answered by it.
    pub(crate) const fn supports(&self, opcode: u8, service_action: Option<u16>) -> bool {
        match (opcode, service_action) {
            (opcode::UNMAP, _) => self.thin(),
            // What is erased is what is unmapped.
            (opcode::SANITIZE, Some(opcode::SANITIZE_BLOCK_ERASE)) => self.thin(),
            (opcode::PREVENT_ALLOW_MEDIUM_REMOVAL, _) => self.config.removable,
            (opcode::WRITE_ATOMIC_16, _) => self.capabilities.atomic_write,
            (opcode::VARIABLE_LENGTH, Some(opcode::WRITE_ATOMIC_32)) => {
                self.config.long_cdbs && self.capabilities.atomic_write
            }
            (opcode::VARIABLE_LENGTH, _) => self.config.long_cdbs,
            _ => true,
        }
    }

    /// Whether logical block provisioning is managed (LBPME): blocks can be deallocated, and then read
    /// as zeros.
    pub(crate) const fn thin(&self) -> bool {
        self.capabilities.thin && !self.config.fully_provisioned
    }

    /// Whether the medium cannot be written, whatever SWP says.
    pub(crate) const fn read_only(&self) -> bool {
        self.capabilities.read_only || self.config.read_only
    }

    /// The blocks a CDB names, or `None` if it names none.
    ///
    /// # Errors
    /// 05h/21h/00 if they do not all lie on the medium. Zero blocks need a valid address too.
    pub(crate) fn range_of(&self, extent: Extent) -> Result<Option<LbaRange>, Sense> {
        let capacity = self.geometry.blocks;
        match extent.range()? {
            Some(range) if range.fits(capacity) => Ok(Some(range)),
            None if extent.lba.as_u64() < capacity.as_u64() => Ok(None),
            _ => Err(Sense::lba_out_of_range()),
        }
    }

    /// The blocks from the start of `extent` to its end, or to the end of the medium if it names no
    /// number of blocks.
    ///
    /// # Errors
    /// 05h/21h/00 as for [`Self::range_of`].
    pub(crate) fn range_to_end(&self, extent: Extent) -> Result<LbaRange, Sense> {
        if let Some(range) = self.range_of(extent)? {
            return Ok(range);
        }
        let end = pulsefield_units::Lba::new(self.geometry.blocks.as_u64());
        let rest = end.checked_sub(extent.lba).and_then(|rest| LbaRange::new(extent.lba, rest));
        rest.ok_or(Sense::lba_out_of_range())
    }

    /// The length of `range` in bytes.
    ///
    /// # Panics
    /// Never: the geometry was checked when the medium was opened, and `range` lies inside it.
    pub(crate) fn bytes_in(&self, range: LbaRange) -> u64 {
        self.geometry.block_length.bytes_in(range).expect("a range on the medium")
    }

    /// The most space that writing `range` may allocate, in bytes: media allocate in larger pieces
    /// than blocks.
    pub(crate) fn space_of(&self, range: LbaRange) -> u64 {
        let granularity = u64::from(limits::UNMAP_GRANULARITY_BYTES);
        let byte = |lba| self.geometry.block_length.offset_of(lba).expect("on the medium");
        let start = byte(range.start()) / granularity * granularity;
        byte(range.end()).next_multiple_of(granularity) - start
    }

    /// A limit given in bytes, in blocks of this unit.
    pub(crate) const fn blocks_in(&self, bytes: u64) -> BlockCount {
        self.geometry.block_length.blocks_in(bytes)
    }

    /// Refuses a command that would change a read-only medium.
    ///
    /// # Errors
    /// 07h/27h/00.
    pub(crate) const fn require_writable(&self) -> Result<(), Sense> {
        if self.read_only() || self.modes.software_write_protect {
            return Err(Sense::new(SenseKey::DataProtect, Asc::WRITE_PROTECTED));
        }
        Ok(())
    }

    /// Whether a write must be on stable storage before it is answered.
    pub(crate) const fn durable(&self, force_unit_access: bool) -> bool {
        force_unit_access || !self.modes.write_cache_enabled
    }

    /// The modes a unit on a medium with `capabilities` starts with.
    pub(crate) fn default_modes(capabilities: Capabilities) -> ModeSettings {
        ModeSettings { write_cache_enabled: capabilities.write_cache, ..ModeSettings::default() }
    }

    /// The mode parameters, for MODE SENSE and MODE SELECT.
    pub(crate) fn mode_parameters(&self) -> ModeParameters {
        let default = Self::default_modes(self.capabilities);
        ModeParameters {
            current: self.modes,
            default,
            saved: self.saved.modes.unwrap_or(default),
            changeable: ModeSettings {
                // A medium without a volatile cache has none to enable.
                write_cache_enabled: self.capabilities.write_cache,
                descriptor_sense: true,
                software_write_protect: true,
            },
            read_only: self.read_only(),
            blocks: self.geometry.blocks,
            block_length: self.geometry.block_length,
            provisioning_thresholds: self.provisioning_thresholds(),
        }
    }

    /// At how many available threshold sets initiators are warned, of the first thresholds that are
    /// reached as the pool fills.
    pub(crate) fn provisioning_thresholds(&self) -> Vec<u32> {
        let Some(pool) = self.space.pool() else { return Vec::new() };
        let available = |threshold: &u64| {
            let sets =
                pool.limit.saturating_sub(*threshold) / u64::from(limits::THRESHOLD_SET_BYTES);
            u32::try_from(sets).unwrap_or(u32::MAX)
        };
        pool.thresholds.iter().take(PROVISIONING_THRESHOLDS_MAX).map(available).collect()
    }

    /// MAXIMUM TRANSFER LENGTH in blocks.
    pub(crate) const fn transfer_blocks_max(&self) -> BlockCount {
        self.blocks_in(self.config.transfer_bytes_max as u64)
    }

    /// MAXIMUM WRITE SAME LENGTH in blocks.
    pub(crate) const fn write_same_blocks_max(&self) -> BlockCount {
        self.blocks_in(limits::WRITE_SAME_BYTES_MAX)
    }

    /// The target port groups as they were when last asked for.
    pub(crate) fn known_port_groups(&self) -> &[PortGroup] {
        self.port_groups.as_deref().unwrap_or_default()
    }

    /// The length of a physical block: what a device says, or what the administrator says it is. A file
    /// system has pages of 4096 bytes, but a block of 512 is written as such, never by reading and
    /// writing its neighbours; so neither says anything by itself.
    fn physical_block_bytes(&self) -> u32 {
        self.config.physical_block_bytes.max(self.capabilities.topology.physical_block_bytes)
    }

    /// LOGICAL BLOCKS PER PHYSICAL BLOCK EXPONENT: how many times two logical blocks double until they
    /// fill a physical one; 0 if a logical block is the longer one.
    pub(crate) fn physical_block_exponent(&self) -> u8 {
        let blocks = self.physical_block_bytes() / self.geometry.block_length.bytes();
        // Below 32.
        u8::try_from(blocks.max(1).ilog2()).unwrap_or_default()
    }

    /// LOWEST ALIGNED LOGICAL BLOCK ADDRESS.
    pub(crate) fn lowest_aligned_lba(&self) -> u16 {
        let offset = self.capabilities.topology.physical_alignment_bytes;
        u16::try_from(offset / self.geometry.block_length.bytes()).unwrap_or(0)
    }

    /// WSNZ: where space can be given back, a number of blocks that was left out must not give away all
    /// there is.
    pub(crate) const fn write_same_non_zero(&self) -> bool {
        self.thin()
    }

    /// Whether initiators are warned before space runs out: only where provisioning is managed can there
    /// be thresholds.
    pub(crate) fn has_thresholds(&self) -> bool {
        self.thin() && self.space.pool().is_some_and(|pool| !pool.thresholds.is_empty())
    }

    /// The resources that the Logical Block Provisioning log page (0Ch) tells of, as they were last
    /// reported; `None` without thresholds, in whose sets they are counted.
    pub(crate) fn provisioning_resources(&self) -> Option<ProvisioningResources> {
        let pool = self.space.pool().filter(|_| self.has_thresholds())?;
        let report = self.space.report()?;
        let sets = |bytes: u64| bytes / u64::from(limits::THRESHOLD_SET_BYTES);
        Some(ProvisioningResources {
            available: sets(pool.limit.saturating_sub(report.used)),
            used: sets(report.allocated),
        })
    }

    /// THRESHOLD EXPONENT: thresholds are counted in 2^n blocks; 0 if there are none.
    pub(crate) fn threshold_exponent(&self) -> u8 {
        let set = limits::THRESHOLD_SET_BYTES / self.geometry.block_length.bytes();
        let exponent = u8::try_from(set.ilog2()).expect("below 32");
        if self.has_thresholds() { exponent } else { 0 }
    }

    /// What RECEIVE COPY OPERATING PARAMETERS and the Third-party Copy page advertise, and what is
    /// enforced.
    pub(crate) const fn copy_limits(&self) -> CopyLimits {
        CopyLimits {
            cscd_descriptors_max: limits::CSCD_DESCRIPTORS_MAX,
            segment_descriptors_max: limits::SEGMENT_DESCRIPTORS_MAX,
            descriptor_list_bytes_max: limits::COPY_DESCRIPTOR_LIST_BYTES_MAX,
            segment_bytes_max: limits::COPY_SEGMENT_BYTES_MAX,
            concurrent_copies_max: limits::CONCURRENT_COPIES_MAX,
            granularity_exponent: match self.geometry.block_length {
                BlockLength::B512 => 9,
                BlockLength::B4096 => 12,
            },
        }
    }

    /// The Block Limits page: what is advertised here is what admission enforces.
    pub(crate) fn block_limits(&self) -> BlockLimits {
        let block_bytes = self.geometry.block_length.bytes();
        let thin = self.thin();
        let topology = self.capabilities.topology;
        let if_thin = |limit: u32| if thin { limit } else { 0 };
        let or_else = |bytes: u32, default: u32| if bytes == 0 { default } else { bytes };
        // More than a transfer may be is not optimal.
        let optimal = or_else(topology.transfer_optimal_bytes, limits::TRANSFER_BYTES_OPTIMAL)
            .min(self.config.transfer_bytes_max);
        let physical = self.physical_block_bytes().max(block_bytes);
        let granularity = or_else(topology.transfer_granularity_bytes, physical) / block_bytes;
        let unmap_granularity =
            or_else(topology.unmap_granularity_bytes, limits::UNMAP_GRANULARITY_BYTES);
        BlockLimits {
            write_same_non_zero: self.write_same_non_zero(),
            maximum_compare_and_write_length: self.config.compare_and_write_blocks_max.get(),
            optimal_transfer_length_granularity: u16::try_from(granularity).unwrap_or(0),
            maximum_transfer_length: self.config.transfer_bytes_max / block_bytes,
            optimal_transfer_length: optimal / block_bytes,
            maximum_unmap_lba_count: if_thin(limits::UNMAP_BLOCKS_MAX),
            maximum_unmap_block_descriptor_count: if_thin(limits::UNMAP_DESCRIPTORS_MAX),
            optimal_unmap_granularity: if_thin(unmap_granularity / block_bytes),
            unmap_granularity_alignment: thin
                .then_some(topology.unmap_alignment_bytes / block_bytes),
            maximum_write_same_length: self.write_same_blocks_max().as_u64(),
            maximum_atomic_transfer_length: match self.capabilities.atomic_write {
                true => self.config.transfer_bytes_max / block_bytes,
                false => 0,
            },
        }
    }
}
