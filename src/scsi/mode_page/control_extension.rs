//! Control Extension (0Ah/01h; SPC-4).

use std::borrow::Cow;

use super::ModePage;

/// IALUAE: the state of a target port group may change without an initiator having asked for it, as
/// LIO changes it when its administrator does.
const IALUAE: u8 = 0x01;

/// No clock that could be set (TCMOS = 0, SCSIP = 0), no priorities of commands, no limit to the
/// length of sense data.
pub(super) const PAGE: ModePage = ModePage { bytes: Cow::Borrowed(&BYTES), settings: &[] };

const BYTES: [u8; 32] = {
    let mut bytes = [0; 32];
    [bytes[0], bytes[1], bytes[3], bytes[4]] = [0x4a, 0x01, 0x1c, IALUAE];
    bytes
};
