//! Sense data as an initiator reads it (SPC-4 4.5).

use std::fmt;

use anyhow::{Context as _, Result, bail, ensure};

use crate::commands::Sent;
use crate::standard::number;

/// Sense key, additional sense code, and its qualifier.
pub(super) type Code = (u8, u8, u8);

const ILLEGAL_REQUEST: u8 = 0x05;
const INVALID_FIELD_IN_CDB: u8 = 0x24;
const INVALID_FIELD_IN_PARAMETER_LIST: u8 = 0x26;

/// Decoded sense data.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sense {
    pub(super) code: Code,
    pub(super) information: Option<u64>,
    /// The three sense-key specific bytes, if SKSV is set.
    specific: Option<[u8; 3]>,
}

impl Sense {
    /// Decodes either form and objects to what makes no sense.
    pub(super) fn decode(bytes: &[u8]) -> Result<Self> {
        let (sense, used) = match bytes[0] & 0x7f {
            0x70 => {
                ensure!(bytes.len() >= 18, "{} bytes of fixed sense data", bytes.len());
                Self::fixed(bytes)
            }
            0x72 => Self::descriptors(bytes)?,
            code => bail!("response code {code:02x}h"),
        };
        ensure!(bytes[used..].iter().all(|byte| *byte == 0), "bytes after the sense data");
        ensure!(sense.code.0 != 0x0c, "a reserved sense key");
        Ok(sense)
    }

    fn fixed(bytes: &[u8]) -> (Self, usize) {
        let valid = bytes[0] & 0x80 != 0;
        let sense = Self {
            code: (bytes[2] & 0x0f, bytes[12], bytes[13]),
            information: valid.then(|| number(bytes, 3, 4)),
            specific: specific(&bytes[15..18]),
        };
        (sense, 8 + usize::from(bytes[7]))
    }

    fn descriptors(bytes: &[u8]) -> Result<(Self, usize)> {
        let mut sense =
            Self { code: (bytes[1] & 0x0f, bytes[2], bytes[3]), information: None, specific: None };
        let end = 8 + usize::from(bytes[7]);
        let mut at = 8;
        while at < end {
            let len = 2 + usize::from(bytes[at + 1]);
            let descriptor = bytes.get(at..at + len).context("a descriptor that does not end")?;
            match (descriptor[0], len) {
                (0x00, 12) => {
                    ensure!(descriptor[2] & 0x80 != 0, "INFORMATION that is not VALID");
                    sense.information = Some(number(descriptor, 4, 8));
                }
                (0x02, 8) => sense.specific = specific(&descriptor[4..7]),
                (kind, len) => bail!("a descriptor of type {kind:02x}h and {len} bytes"),
            }
            at += len;
        }
        ensure!(at == end, "descriptors beyond ADDITIONAL SENSE LENGTH");
        Ok((sense, end))
    }

    /// A field pointer points into what was sent, and only where something there is wrong.
    pub(super) fn check_pointer(&self, sent: &Sent) -> Result<()> {
        let Some([flags, high, low]) = self.specific else { return Ok(()) };
        let (key, asc, _) = self.code;
        if key != ILLEGAL_REQUEST {
            // A progress indication: no C/D, no bit pointer.
            ensure!(flags == 0x80, "sense-key specific flags {flags:02x}h");
            return Ok(());
        }
        let byte = usize::from(u16::from_be_bytes([high, low]));
        let (in_cdb, length) = match flags & 0x40 != 0 {
            true => (true, sent.cdb().len()),
            false => (false, sent.expected()),
        };
        let fits = match asc {
            INVALID_FIELD_IN_CDB => in_cdb,
            INVALID_FIELD_IN_PARAMETER_LIST => !in_cdb,
            _ => false,
        };
        ensure!(fits, "a field pointer does not go with {self}");
        ensure!(byte < length, "a pointer to byte {byte} of {length}");
        Ok(())
    }
}

/// The bytes, if SKSV is set.
fn specific(bytes: &[u8]) -> Option<[u8; 3]> {
    bytes.first_chunk::<3>().copied().filter(|[flags, ..]| flags & 0x80 != 0)
}

impl fmt::Display for Sense {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (key, asc, ascq) = self.code;
        write!(f, "{key:02x}h/{asc:02x}h/{ascq:02x}h")
    }
}
