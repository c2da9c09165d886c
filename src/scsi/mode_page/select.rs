//! MODE SELECT: checking a parameter list, and the settings that come out of it.

use super::{
    ModePage, ModeParameters, ModeSettings, PAGE_CODE, PAGE_LENGTH, SPF, SUBPAGE_CODE,
    SUBPAGE_LENGTH, header_length,
};
use crate::field::{Flag, Number, position};
use crate::{ModeForm, Sense};

// The mode parameter header (SPC-4, Mode parameter header formats), of 4 bytes in the (6) form and 8 in the (10) form.
const MEDIUM_TYPE_6: Number<1> = Number::at(1);
const BLOCK_DESCRIPTOR_LENGTH_6: Number<1> = Number::at(3);
const MEDIUM_TYPE_10: Number<1> = Number::at(2);
const LONGLBA_10: Flag = Flag::new(4, 0);
const BLOCK_DESCRIPTOR_LENGTH_10: Number<2> = Number::at(6);

// The block descriptors (SBC-4, Mode parameter block descriptors). The block length of the short one has three bytes.
const SHORT_BLOCKS: Number<4> = Number::at(0);
const SHORT_BLOCK_LENGTH: Number<4> = Number::at(4);
const SHORT_BLOCK_LENGTH_MASK: u32 = 0x00ff_ffff;
const LONG_BLOCKS: Number<8> = Number::at(0);
const LONG_BLOCK_LENGTH: Number<4> = Number::at(12);

impl ModeParameters {
    /// The settings after a MODE SELECT with the parameter list `list`, which is as long as the CDB
    /// says. An empty list changes nothing.
    ///
    /// MODE DATA LENGTH and the DEVICE-SPECIFIC PARAMETER are not looked at, as SPC-4 and SBC-4 have
    /// it. Whatever cannot be changed has to come as MODE SENSE would tell it; the number of blocks
    /// may be 0 as well.
    ///
    /// # Errors
    /// ILLEGAL REQUEST with
    /// - PARAMETER LIST LENGTH ERROR: the list ends inside the header, the block descriptor or a
    ///   page;
    /// - INVALID FIELD IN PARAMETER LIST: an unknown page, a wrong length, or a change of what
    ///   cannot be changed.
    pub fn select(&self, form: ModeForm, list: &[u8]) -> Result<ModeSettings, Sense> {
        let mut settings = self.current;
        if list.is_empty() {
            return Ok(settings);
        }
        let mut at = self.check_head(form, list)?;
        while let Some(rest) = list.get(at..).filter(|rest| !rest.is_empty()) {
            let (page, bytes) = self.whole_page(rest, at)?;
            self.check_page(&page, bytes, at)?;
            page.apply(bytes, &mut settings);
            at = at.saturating_add(bytes.len());
        }
        Ok(settings)
    }

    /// Checks header and block descriptor, and says where the pages begin.
    fn check_head(&self, form: ModeForm, list: &[u8]) -> Result<usize, Sense> {
        let (header_length, medium_type) = match form {
            ModeForm::Six => (4_usize, MEDIUM_TYPE_6),
            ModeForm::Ten => (8, MEDIUM_TYPE_10),
        };
        if list.len() < header_length {
            return Err(Sense::parameter_list_length_error());
        }
        if medium_type.read(list) != 0 {
            return Err(medium_type.invalid_in_parameter_list(0));
        }
        let (length, wrong_length) = match form {
            ModeForm::Six => (
                BLOCK_DESCRIPTOR_LENGTH_6.read(list).into(),
                BLOCK_DESCRIPTOR_LENGTH_6.invalid_in_parameter_list(0),
            ),
            ModeForm::Ten => (
                BLOCK_DESCRIPTOR_LENGTH_10.read(list),
                BLOCK_DESCRIPTOR_LENGTH_10.invalid_in_parameter_list(0),
            ),
        };
        let long = form == ModeForm::Ten && LONGLBA_10.read(list);
        if !matches!((length, long), (0, _) | (8, false) | (16, true)) {
            return Err(wrong_length);
        }
        let pages = header_length.saturating_add(length.into());
        match list.get(header_length..pages) {
            None => Err(Sense::parameter_list_length_error()),
            Some([]) => Ok(pages),
            Some(descriptor) => {
                self.check_descriptor(descriptor, long, header_length)?;
                Ok(pages)
            }
        }
    }

    /// The medium cannot be formatted into other blocks.
    fn check_descriptor(&self, descriptor: &[u8], long: bool, at: usize) -> Result<(), Sense> {
        let blocks = self.blocks.as_u64();
        let (claimed, told, block_length, block_length_at) = if long {
            let block_length = LONG_BLOCK_LENGTH.read(descriptor);
            (LONG_BLOCKS.read(descriptor), blocks, block_length, LONG_BLOCK_LENGTH)
        } else {
            let block_length = SHORT_BLOCK_LENGTH.read(descriptor) & SHORT_BLOCK_LENGTH_MASK;
            let told = blocks.min(u32::MAX.into());
            (SHORT_BLOCKS.read(descriptor).into(), told, block_length, SHORT_BLOCK_LENGTH)
        };
        if claimed != 0 && claimed != told {
            return Err(LONG_BLOCKS.invalid_in_parameter_list(at));
        }
        if block_length != self.block_length.bytes() {
            return Err(block_length_at.invalid_in_parameter_list(at));
        }
        Ok(())
    }

    /// Compares what cannot be changed with what is in force. `at` is the page's place in the list.
    fn check_page(&self, page: &ModePage, bytes: &[u8], at: usize) -> Result<(), Sense> {
        let fixed = page.values(self.current).zip(page.mask(self.changeable));
        let mut compared = bytes.iter().zip(fixed).enumerate().skip(page.header_length());
        let difference = compared.find_map(|(nth, (byte, (current, changeable)))| {
            let bits = (byte ^ current) & !changeable;
            bits.checked_ilog2().map(|leftmost| (nth, leftmost))
        });
        match difference {
            None => Ok(()),
            Some((nth, leftmost)) => Err(Sense::invalid_field_in_parameter_list(
                position(at.saturating_add(nth)),
                u8::try_from(leftmost).ok(),
            )),
        }
    }

    /// The page at the start of `rest`, which begins `at` bytes into the list.
    fn whole_page<'list>(
        &self,
        rest: &'list [u8],
        at: usize,
    ) -> Result<(ModePage, &'list [u8]), Sense> {
        let code = PAGE_CODE.read(rest);
        let has_code = |page: &ModePage| page.code() == code;
        if !self.pages().any(|page| has_code(&page)) {
            return Err(PAGE_CODE.invalid_in_parameter_list(at));
        }
        let is_subpage = SPF.read(rest);
        if !self.pages().any(|page| has_code(&page) && page.is_subpage() == is_subpage) {
            return Err(SPF.invalid_in_parameter_list(at));
        }
        if rest.len() < header_length(is_subpage) {
            return Err(Sense::parameter_list_length_error());
        }
        let is_meant = |page: &ModePage| {
            let subpage = if is_subpage { SUBPAGE_CODE.read(rest) } else { 0 };
            has_code(page) && page.is_subpage() == is_subpage && page.subpage() == subpage
        };
        let page = self.pages().find(is_meant).ok_or(SUBPAGE_CODE.invalid_in_parameter_list(at))?;
        if is_subpage && SUBPAGE_LENGTH.read(rest) != SUBPAGE_LENGTH.read(&page.bytes) {
            return Err(SUBPAGE_LENGTH.invalid_in_parameter_list(at));
        }
        if !is_subpage && PAGE_LENGTH.read(rest) != PAGE_LENGTH.read(&page.bytes) {
            return Err(PAGE_LENGTH.invalid_in_parameter_list(at));
        }
        let bytes = rest.get(..page.bytes.len()).ok_or(Sense::parameter_list_length_error())?;
        Ok((page, bytes))
    }
}
