//! Power Condition (1Ah; SPC-5).

use std::borrow::Cow;

use super::ModePage;

/// No timers: a unit goes into an idle or standby condition only by START STOP UNIT.
pub(super) const PAGE: ModePage = ModePage { bytes: Cow::Borrowed(&BYTES), settings: &[] };

const BYTES: [u8; 40] = {
    let mut bytes = [0; 40];
    [bytes[0], bytes[1]] = [0x1a, 0x26];
    bytes
};
