//! Informational Exceptions (2Fh).

use super::{NO_TEMPERATURE, Parameters};

pub(super) const GENERAL: u16 = 0x0000;

impl Parameters<'_> {
    /// Failures are not predicted: no additional sense code, no temperature.
    pub(super) fn informational_exceptions(&mut self) {
        self.push(GENERAL, |out| out.extend_from_slice(&[0, 0, NO_TEMPERATURE, 0]));
    }
}
