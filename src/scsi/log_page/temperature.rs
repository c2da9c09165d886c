//! Temperature (0Dh).

use super::{NO_TEMPERATURE, Parameters};

pub(super) const TEMPERATURE: u16 = 0x0000;

impl Parameters<'_> {
    /// A unit that is made of software has no temperature.
    pub(super) fn temperature(&mut self) {
        self.push(TEMPERATURE, |out| out.extend_from_slice(&[0, NO_TEMPERATURE]));
    }
}
