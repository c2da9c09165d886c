//! MODE SENSE: header, block descriptor and pages.

use super::{ALL_PAGES, ALL_SUBPAGES, ModePage, ModeParameters};
use crate::cdb::mode_sense::{PAGE_CODE, SUBPAGE_CODE};
use crate::encode::length_prefixed;
use crate::{ModeForm, ModeSense, PageControl, Sense};

/// WP of the DEVICE-SPECIFIC PARAMETER (SBC-4).
const WRITE_PROTECTED: u8 = 0x80;
/// DPOFUA: the DPO and FUA bits of CDBs are evaluated.
const DPOFUA: u8 = 0x10;
/// LONGLBA of the (10) header.
pub(super) const LONGLBA: u8 = 0x01;

/// The forms of a block descriptor.
#[derive(Clone, Copy)]
enum BlockDescriptor {
    None,
    Short,
    Long,
}

impl ModeParameters {
    /// Appends what `command` asks for to `out`. The mode data is never longer than 255 bytes.
    ///
    /// # Errors
    /// ILLEGAL REQUEST, INVALID FIELD IN CDB for a page or a subpage that there is not. Nothing is
    /// appended then.
    pub fn encode(&self, command: &ModeSense, out: &mut Vec<u8>) -> Result<(), Sense> {
        self.check(command)?;
        let descriptor = match (command.disable_block_descriptors, command.long_lba_accepted) {
            (true, _) => BlockDescriptor::None,
            (false, false) => BlockDescriptor::Short,
            (false, true) => BlockDescriptor::Long,
        };
        match command.form {
            ModeForm::Six => length_prefixed::<1>(out, |out| {
                // MEDIUM TYPE is 0 for a disk.
                out.extend_from_slice(&[0, self.device_specific_parameter()]);
                self.encode_descriptor::<1>(descriptor, out);
                self.encode_pages(command, out);
            }),
            ModeForm::Ten => length_prefixed::<2>(out, |out| {
                let long_lba =
                    if matches!(descriptor, BlockDescriptor::Long) { LONGLBA } else { 0 };
                out.extend_from_slice(&[0, self.device_specific_parameter(), long_lba, 0]);
                self.encode_descriptor::<2>(descriptor, out);
                self.encode_pages(command, out);
            }),
        }
        Ok(())
    }

    const fn device_specific_parameter(&self) -> u8 {
        if self.read_only || self.current.software_write_protect {
            DPOFUA | WRITE_PROTECTED
        } else {
            DPOFUA
        }
    }

    /// Appends BLOCK DESCRIPTOR LENGTH, of `N` bytes, and the descriptor.
    fn encode_descriptor<const N: usize>(&self, form: BlockDescriptor, out: &mut Vec<u8>) {
        length_prefixed::<N>(out, |out| match form {
            BlockDescriptor::None => (),
            BlockDescriptor::Short => out.extend(self.short_descriptor()),
            BlockDescriptor::Long => out.extend(self.long_descriptor()),
        });
    }

    /// NUMBER OF LOGICAL BLOCKS, FFFFFFFFh if 32 bits cannot tell it, a reserved byte, and LOGICAL
    /// BLOCK LENGTH in three bytes (SBC-4).
    pub(super) fn short_descriptor(&self) -> [u8; 8] {
        let blocks = u32::try_from(self.blocks.as_u64()).unwrap_or(u32::MAX);
        let mut descriptor = [0; 8];
        let (left, right) = descriptor.split_at_mut(4);
        left.copy_from_slice(&blocks.to_be_bytes());
        // The block length's own first byte is 0, and so stands for the reserved one.
        right.copy_from_slice(&self.block_length.bytes().to_be_bytes());
        descriptor
    }

    /// NUMBER OF LOGICAL BLOCKS, four reserved bytes, and LOGICAL BLOCK LENGTH (SBC-4).
    pub(super) fn long_descriptor(&self) -> [u8; 16] {
        let blocks = u128::from(self.blocks.as_u64()) << 64;
        (blocks | u128::from(self.block_length.bytes())).to_be_bytes()
    }

    fn check(&self, command: &ModeSense) -> Result<(), Sense> {
        if !self.pages().any(|page| has_code(&page, command)) {
            return Err(PAGE_CODE.invalid_in_cdb());
        }
        // Of all pages there is no one subpage (SPC-4, MODE SENSE).
        let one_of_all = command.page == ALL_PAGES && !matches!(command.subpage, 0 | ALL_SUBPAGES);
        if one_of_all || !self.pages().any(|page| is_asked_for(&page, command)) {
            return Err(SUBPAGE_CODE.invalid_in_cdb());
        }
        Ok(())
    }

    fn encode_pages(&self, command: &ModeSense, out: &mut Vec<u8>) {
        for page in self.pages().filter(|page| is_asked_for(page, command)) {
            match command.page_control {
                PageControl::Current => out.extend(page.values(self.current)),
                PageControl::Changeable => out.extend(page.mask(self.changeable)),
                PageControl::Default => out.extend(page.values(self.default)),
                PageControl::Saved => out.extend(page.values(self.saved)),
            }
        }
    }
}

fn has_code(page: &ModePage, command: &ModeSense) -> bool {
    command.page == ALL_PAGES || command.page == page.code()
}

fn is_asked_for(page: &ModePage, command: &ModeSense) -> bool {
    has_code(page, command)
        && (command.subpage == ALL_SUBPAGES || command.subpage == page.subpage())
}
