//! Control (0Ah; SPC-4).

use std::borrow::Cow;

use super::{ModePage, SettingBit};

const D_SENSE: u8 = 0x04;
/// GLTSD: log parameters are not saved.
const GLTSD: u8 = 0x02;
/// QUEUE ALGORITHM MODIFIER 1: commands whose ranges do not overlap may overtake one another.
const UNRESTRICTED_REORDERING: u8 = 0x10;
const SWP: u8 = 0x08;
/// TAS: LIO answers tasks that another I_T nexus aborted with TASK ABORTED.
const TAS: u8 = 0x40;

/// One task set for all (TST = 0); LIO clears a unit attention when it reports it
/// (UA_INTLCK_CTRL = 0); BUSY may last (BUSY TIMEOUT PERIOD unlimited).
pub(super) const PAGE: ModePage = ModePage {
    bytes: Cow::Borrowed(&[
        0x0a,
        0x0a,
        GLTSD,
        UNRESTRICTED_REORDERING,
        0,
        TAS,
        0,
        0,
        0xff,
        0xff,
        0,
        0,
    ]),
    settings: &[
        SettingBit {
            byte: 2,
            mask: D_SENSE,
            get: |settings| settings.descriptor_sense,
            set: |settings, on| settings.descriptor_sense = on,
        },
        SettingBit {
            byte: 4,
            mask: SWP,
            get: |settings| settings.software_write_protect,
            set: |settings, on| settings.software_write_protect = on,
        },
    ],
};
