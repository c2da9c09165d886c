//! What the unit tests of several files share.

use pulsefield_units::Cdb;

use crate::{Command, Sense, parse};

/// Parses `bytes` as they would come from a transport.
pub(crate) fn parse_bytes(bytes: &[u8]) -> Result<Command, Sense> {
    parse(&Cdb::new(bytes))
}
