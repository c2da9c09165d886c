//! Mode parameters: what MODE SENSE answers and what MODE SELECT may change (SPC-4 and SBC-4,
//! Mode parameters).
//!
//! One file per page, which holds the page's bytes as they are for every logical unit and, of the
//! [`ModeSettings`], those that stand in it. There are no subpages. A page with settings can be saved.

mod caching;
mod control;
mod informational_exceptions;
mod power_condition;
mod read_write_error_recovery;
mod select;
mod sense;

use pulsefield_units::{BlockCount, BlockLength};

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
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
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
}

/// PAGE CODE 3Fh of MODE SENSE: all pages.
const ALL_PAGES: u8 = 0x3f;
/// SUBPAGE CODE FFh of MODE SENSE: all subpages.
const ALL_SUBPAGES: u8 = 0xff;
/// PS of MODE SENSE: the page can be saved.
const PARAMETERS_SAVEABLE: u8 = 0x80;
/// PAGE CODE and PAGE LENGTH.
const PAGE_HEADER_LENGTH: usize = 2;

/// The pages that there are, in ascending order of their codes.
const PAGES: [&ModePage; 5] = [
    &read_write_error_recovery::PAGE,
    &caching::PAGE,
    &control::PAGE,
    &power_condition::PAGE,
    &informational_exceptions::PAGE,
];

/// A mode page in page_0 format.
struct ModePage {
    /// The whole page with every setting off, numbered as in the standard.
    bytes: &'static [u8],
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
        self.bytes.first().copied().unwrap_or_default()
    }

    /// The page with `settings`.
    fn values(&self, settings: ModeSettings) -> impl Iterator<Item = u8> {
        self.bytes.iter().enumerate().map(move |(at, byte)| byte | self.bits(at, settings))
    }

    /// The page's mask of what MODE SELECT may change; its header stands as it is (SPC-4, Changeable values).
    fn mask(&self, changeable: ModeSettings) -> impl Iterator<Item = u8> {
        self.bytes.iter().enumerate().map(move |(at, byte)| {
            let header = if at < PAGE_HEADER_LENGTH { *byte } else { 0 };
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
