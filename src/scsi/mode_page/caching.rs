//! Caching (08h; SBC-4).

use std::borrow::Cow;

use super::{ModePage, SettingBit};

const WCE: u8 = 0x04;

/// A read cache (RCD = 0), and a write cache if WCE says so; the rest is the medium's own affair.
pub(super) const PAGE: ModePage = ModePage {
    bytes: Cow::Borrowed(&[0x08, 0x12, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]),
    settings: &[SettingBit {
        byte: 2,
        mask: WCE,
        get: |settings| settings.write_cache_enabled,
        set: |settings, on| settings.write_cache_enabled = on,
    }],
};
