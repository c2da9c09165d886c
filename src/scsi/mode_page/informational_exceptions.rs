//! Informational Exceptions Control (1Ch; SPC-4).

use std::borrow::Cow;

use super::ModePage;

/// DEXCPT: failures are not predicted, so none are reported (MRIE = 0).
const DEXCPT: u8 = 0x08;

pub(super) const PAGE: ModePage = ModePage {
    bytes: Cow::Borrowed(&[0x1c, 0x0a, DEXCPT, 0, 0, 0, 0, 0, 0, 0, 0, 0]),
    settings: &[],
};
