//! Power Condition (8Ah): which power conditions there are, and how long it takes to leave them.

use super::{VpdPage, encode_page};

/// The Power Condition page: every idle and standby condition of SPC-5, each left in no time, since
/// nothing of a logical unit in memory has to spin up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PowerConditionPage;

const STANDBY_Y: u8 = 0x02;
const STANDBY_Z: u8 = 0x01;
const IDLE_C: u8 = 0x04;
const IDLE_B: u8 = 0x02;
const IDLE_A: u8 = 0x01;

impl PowerConditionPage {
    /// Appends the page to `out`.
    pub fn encode(&self, out: &mut Vec<u8>) {
        encode_page(VpdPage::PowerCondition, out, |out| {
            out.extend_from_slice(&[STANDBY_Y | STANDBY_Z, IDLE_C | IDLE_B | IDLE_A]);
            // The recovery times of stopped, standby_z and _y, idle_a, _b and _c.
            out.extend_from_slice(&[0; 12]);
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_has_18_bytes() {
        let mut out = Vec::new();
        PowerConditionPage.encode(&mut out);
        assert_eq!(out, [0, 0x8a, 0, 0x0e, 0x03, 0x07, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
    }
}
