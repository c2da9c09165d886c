//! Commands as the Fibre Channel frames that would have carried them, in a pcapng file: for
//! Wireshark, and for all that engineers of fabrics know to do with a capture.
//!
//! Floor 1: zerocopy; no files, no clock. Bytes go to whatever can be written to.
//!
//! What Pulsefield sees are commands on LIO's ring, whole, whatever fabric they came over. The
//! frames here are made up around them as FC-FS and FCP would have it: FCP_CMND, FCP_XFER_RDY,
//! FCP_DATA and FCP_RSP, ABTS and BA_ACC. CDB, data, status, sense data and residual are what was
//! seen; addresses and exchange ids are the caller's; times are those of the ring. All that comes
//! from the initiator bears the time of the command, since LIO hands a command on when its data is
//! there; all that goes to it bears that of the answer. The file says so in its comment.

mod exchange;
mod fc;
mod fcp;
mod pcapng;
#[cfg(test)]
mod testing;

pub use exchange::{Answer, Command, Exchange, Function, Nexus, TaskManagement, Transfer};
pub use fc::PortId;
pub use fcp::{Lun, Residual};
pub use pcapng::Writer;
