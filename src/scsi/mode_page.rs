//! Mode parameters: what MODE SENSE answers and what MODE SELECT may change (SPC-4 and SBC-4,
//! Mode parameters).
//!
//! One file per page, which holds the page's bytes as they are for every logical unit and, of the
//! [`ModeSettings`], those that stand in it. A page with settings can be saved; the others cannot be
//! changed at all.

mod caching;
mod control;
mod control_extension;
mod informational_exceptions;
mod logical_block_provisioning;
mod power_condition;
mod read_write_error_recovery;
mod select;
mod sense;

use std::borrow::Cow;

use pulsefield_units::{BlockCount, BlockLength};

use crate::field::{Bits, Flag, Number};

/// The parameters in mode pages that a logical unit can have one way or the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct ModeSettings {
    /// WCE (Caching page): writes may be answered from a volatile cache.
    pub write_cache_enabled: bool,
    /// D_SENSE (Control page): autosense has descriptor format.
    pub descriptor_sense: bool,
    /// SWP (Control page): writes are refused.
    pub software_write_protect: bool,
}

/// The mode parameters of a logical unit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ModeParameters {
    /// The settings in force.
    pub current: ModeSettings,
    /// The settings of a unit that has none saved.
    pub default: ModeSettings,
    /// The settings on stable storage; the defaults, if none were saved.
    pub saved: ModeSettings,
    /// A mask: `true` where MODE SELECT may change a setting.
    pub changeable: ModeSettings,
    /// The medium cannot be written, whatever SWP says.
    pub read_only: bool,
    /// How many blocks the medium has.
    pub blocks: BlockCount,
    /// Length of one logical block.
    pub block_length: BlockLength,
    /// At how many available threshold sets initiators are warned (Logical Block Provisioning page,
    /// which there is only with thresholds); at most [`PROVISIONING_THRESHOLDS_MAX`].
    pub provisioning_thresholds: Vec<u32>,
}

/// The most thresholds that [`ModeParameters::provisioning_thresholds`] can have: with them all pages
/// fit into the 255 bytes that MODE SENSE (6) can tell.
pub const PROVISIONING_THRESHOLDS_MAX: usize = 8;

/// PAGE CODE 3Fh of MODE SENSE: all pages.
const ALL_PAGES: u8 = 0x3f;
/// SUBPAGE CODE FFh of MODE SENSE: all subpages.
const ALL_SUBPAGES: u8 = 0xff;
/// PS of MODE SENSE: the page can be saved.
const PARAMETERS_SAVEABLE: u8 = 0x80;

// The head of a mode page (SPC-4, Mode page and subpage formats). PS, left of SPF, is reserved in MODE SELECT.
const SPF: Flag = Flag::new(0, 6);
const PAGE_CODE: Bits = Bits::new(0, 5, 0);
const PAGE_LENGTH: Number<1> = Number::at(1);
const SUBPAGE_CODE: Number<1> = Number::at(1);
const SUBPAGE_LENGTH: Number<2> = Number::at(2);

/// The length of the head: PAGE CODE and PAGE LENGTH, in a subpage with SUBPAGE CODE between them.
const fn header_length(is_subpage: bool) -> usize {
    if is_subpage { 4 } else { 2 }
}

impl ModeParameters {
    /// The pages that there are, in ascending order of their codes and subpage codes.
    fn pages(&self) -> impl Iterator<Item = ModePage> {
        [
            read_write_error_recovery::PAGE,
            caching::PAGE,
            control::PAGE,
            control_extension::PAGE,
            power_condition::PAGE,
            informational_exceptions::PAGE,
        ]
        .into_iter()
        .chain(logical_block_provisioning::page(&self.provisioning_thresholds))
    }
}

/// A mode page in page_0 or sub_page format.
struct ModePage {
    /// The whole page with every setting off, numbered as in the standard.
    bytes: Cow<'static, [u8]>,
    /// The settings that stand in it.
    settings: &'static [SettingBit],
}

/// Where a setting stands in a page.
struct SettingBit {
    byte: usize,
    mask: u8,
    get: fn(&ModeSettings) -> bool,
    set: fn(&mut ModeSettings, bool),
}

impl ModePage {
    fn code(&self) -> u8 {
        PAGE_CODE.read(&self.bytes)
    }

    fn is_subpage(&self) -> bool {
        SPF.read(&self.bytes)
    }

    /// SUBPAGE CODE; 0 in page_0 format.
    fn subpage(&self) -> u8 {
        if self.is_subpage() { SUBPAGE_CODE.read(&self.bytes) } else { 0 }
    }

    fn header_length(&self) -> usize {
        header_length(self.is_subpage())
    }

    /// The page with `settings`.
    fn values(&self, settings: ModeSettings) -> impl Iterator<Item = u8> + '_ {
        self.bytes.iter().enumerate().map(move |(at, byte)| byte | self.bits(at, settings))
    }

    /// The page's mask of what MODE SELECT may change; its header stands as it is (SPC-4, Changeable values).
    fn mask(&self, changeable: ModeSettings) -> impl Iterator<Item = u8> + '_ {
        self.bytes.iter().enumerate().map(move |(at, byte)| {
            let header = if at < self.header_length() { *byte } else { 0 };
            header | self.bits(at, changeable)
        })
    }

    /// The bits of byte `at` whose settings are on, and PS.
    fn bits(&self, at: usize, settings: ModeSettings) -> u8 {
        let saveable = at == 0 && !self.settings.is_empty();
        self.settings
            .iter()
            .filter(|setting| setting.byte == at && (setting.get)(&settings))
            .fold(if saveable { PARAMETERS_SAVEABLE } else { 0 }, |bits, setting| {
                bits | setting.mask
            })
    }

    /// Takes over the settings of `bytes`, a whole page.
    fn apply(&self, bytes: &[u8], settings: &mut ModeSettings) {
        for setting in self.settings {
            let on = bytes.get(setting.byte).is_some_and(|byte| byte & setting.mask != 0);
            (setting.set)(settings, on);
        }
    }
}

#[cfg(test)]
mod tests;
