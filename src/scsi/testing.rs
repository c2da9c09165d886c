//! What the unit tests of several files share.

use pulsefield_units::Cdb;

use crate::{Command, Sense, parse};

/// Parses `bytes` as they would come from a transport.
pub(crate) fn parse_bytes(bytes: &[u8]) -> Result<Command, Sense> {
    parse(&Cdb::new(bytes))
}

/// A CDB of 32 bytes with this service action and byte 10, for 0Ah blocks at 0102030405060708h, with
/// tags that mean nothing without protection information.
pub(crate) fn long_cdb(service_action: u8, byte_10: u8) -> [u8; 32] {
    let mut cdb = [0; 32];
    (cdb[0], cdb[7], cdb[9], cdb[10]) = (0x7f, 0x18, service_action, byte_10);
    cdb[12..20].copy_from_slice(&[1, 2, 3, 4, 5, 6, 7, 8]);
    cdb[20..28].fill(0xff);
    cdb[31] = 0x0a;
    cdb
}
