//! Log pages: what LOG SENSE answers and LOG SELECT may reset (SPC-4, Log parameters).
//!
//! One file per page that has parameters. All of them are list parameters, without thresholds.

mod general_statistics;
mod informational_exceptions;
mod logical_block_provisioning;
mod select;
mod temperature;

pub use general_statistics::Statistics;
pub use logical_block_provisioning::ProvisioningResources;
pub use select::check_log_select;

use crate::cdb::log_sense::unknown_page;
use crate::encode::length_prefixed;
use crate::{LogSense, Sense};

/// The pages that there are; LOG SENSE of any other is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogPage {
    /// Supported Log Pages (00h).
    SupportedPages,
    /// Supported Log Pages and Subpages (00h/FFh).
    SupportedPagesAndSubpages,
    /// Logical Block Provisioning (0Ch), of a unit whose resources are limited.
    LogicalBlockProvisioning,
    /// Temperature (0Dh).
    Temperature,
    /// General Statistics and Performance (19h).
    GeneralStatisticsAndPerformance,
    /// Informational Exceptions (2Fh).
    InformationalExceptions,
}

/// SPF: the page has a subpage code.
const SPF: u8 = 0x40;
/// FORMAT AND LINKING of a parameter: a list in binary format.
const BINARY_LIST: u8 = 0x03;
/// A temperature that is not known.
const NO_TEMPERATURE: u8 = 0xff;

impl LogPage {
    /// All of them, in ascending order of their codes.
    pub const ALL: [Self; 6] = [
        Self::SupportedPages,
        Self::SupportedPagesAndSubpages,
        Self::LogicalBlockProvisioning,
        Self::Temperature,
        Self::GeneralStatisticsAndPerformance,
        Self::InformationalExceptions,
    ];

    /// PAGE CODE.
    pub const fn code(self) -> u8 {
        match self {
            Self::SupportedPages | Self::SupportedPagesAndSubpages => 0x00,
            Self::LogicalBlockProvisioning => 0x0c,
            Self::Temperature => 0x0d,
            Self::GeneralStatisticsAndPerformance => 0x19,
            Self::InformationalExceptions => 0x2f,
        }
    }

    /// SUBPAGE CODE.
    pub const fn subpage(self) -> u8 {
        match self {
            Self::SupportedPagesAndSubpages => 0xff,
            Self::SupportedPages
            | Self::LogicalBlockProvisioning
            | Self::Temperature
            | Self::GeneralStatisticsAndPerformance
            | Self::InformationalExceptions => 0x00,
        }
    }

    /// Whether LOG SELECT resets parameters of this page.
    pub const fn is_resettable(self) -> bool {
        matches!(self, Self::GeneralStatisticsAndPerformance)
    }

    /// The page with these codes, if it is served.
    pub fn from_codes(code: u8, subpage: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|page| (page.code(), page.subpage()) == (code, subpage))
    }

    /// The greatest PARAMETER CODE of a page that has parameters.
    pub const fn last_parameter(self) -> Option<u16> {
        match self {
            Self::SupportedPages | Self::SupportedPagesAndSubpages => None,
            Self::LogicalBlockProvisioning => Some(logical_block_provisioning::USED),
            Self::Temperature => Some(temperature::TEMPERATURE),
            Self::GeneralStatisticsAndPerformance => Some(general_statistics::TIME_INTERVAL),
            Self::InformationalExceptions => Some(informational_exceptions::GENERAL),
        }
    }
}

/// Appends to `out` the page that `command` asks for, with the counts of `statistics` and those of
/// `resources`, if the unit has such.
///
/// # Errors
/// 05h/24h/00h for the Logical Block Provisioning page without resources.
pub fn encode_log_page(
    command: &LogSense,
    statistics: &Statistics,
    resources: Option<&ProvisioningResources>,
    out: &mut Vec<u8>,
) -> Result<(), Sense> {
    let page = command.page;
    let is_served =
        |page: &LogPage| *page != LogPage::LogicalBlockProvisioning || resources.is_some();
    if !is_served(&page) {
        return Err(unknown_page());
    }
    let spf = if page.subpage() == 0 { 0 } else { SPF };
    out.extend_from_slice(&[page.code() | spf, page.subpage()]);
    let served = LogPage::ALL.into_iter().filter(is_served);
    let from = command.parameter_pointer;
    length_prefixed::<2>(out, |out| match page {
        LogPage::SupportedPages => {
            out.extend(served.filter(|page| page.subpage() == 0).map(LogPage::code));
        }
        LogPage::SupportedPagesAndSubpages => {
            out.extend(served.flat_map(|page| [page.code(), page.subpage()]));
        }
        LogPage::LogicalBlockProvisioning => {
            if let Some(resources) = resources {
                Parameters { from, out }.logical_block_provisioning(resources);
            }
        }
        LogPage::Temperature => Parameters { from, out }.temperature(),
        LogPage::GeneralStatisticsAndPerformance => {
            Parameters { from, out }.general_statistics(statistics);
        }
        LogPage::InformationalExceptions => Parameters { from, out }.informational_exceptions(),
    });
    Ok(())
}

/// The parameters of a page, from a code on.
struct Parameters<'a> {
    from: u16,
    out: &'a mut Vec<u8>,
}

impl Parameters<'_> {
    /// Appends a parameter unless its code is too small.
    fn push(&mut self, code: u16, body: impl FnOnce(&mut Vec<u8>)) {
        if code >= self.from {
            self.out.extend_from_slice(&code.to_be_bytes());
            self.out.push(BINARY_LIST);
            length_prefixed::<1>(self.out, body);
        }
    }
}

#[cfg(test)]
mod tests;
