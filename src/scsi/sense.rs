//! Sense data: why a command ended with CHECK CONDITION.
//!
//! [`Sense`] is the meaning; `fixed` and `descriptor` are its two forms on the wire (SPC-4 4.5).

mod asc;
mod descriptor;
mod field_pointer;
mod fixed;
mod key;

use std::fmt;

pub use asc::Asc;
pub use field_pointer::{FieldPointer, FieldSource};
pub use key::SenseKey;

/// The size of the buffer that carries sense data to the transport, in bytes (TCMU's, and Linux'
/// `SCSI_SENSE_BUFFERSIZE`). Both forms of any [`Sense`] fit.
pub const SENSE_BUFFER_LENGTH: usize = 96;

/// SKSV: the sense-key specific bytes mean something.
const SENSE_KEY_SPECIFIC_VALID: u8 = 0x80;

/// RESPONSE CODE; the bit beside it is VALID in fixed form.
const RESPONSE_CODE_MASK: u8 = 0x7f;
/// ADDITIONAL SENSE LENGTH counts what follows it; both forms have it at the end of eight bytes.
const ADDITIONAL_SENSE_LENGTH: usize = 7;
const HEADER_LENGTH: usize = 8;

/// Which of the two forms sense data takes. Autosense follows D_SENSE of the Control mode page,
/// REQUEST SENSE follows the DESC bit of its CDB.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SenseFormat {
    /// 18 bytes, response code 70h; INFORMATION has 32 bits.
    Fixed,
    /// 8 bytes and a list of descriptors, response code 72h; INFORMATION has 64 bits.
    Descriptor,
}

/// Sense data that reports a current error or condition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sense {
    /// The class of what happened.
    pub key: SenseKey,
    /// What happened.
    pub asc: Asc,
    /// The INFORMATION field; its meaning is the command's: the first block in error, or for
    /// MISCOMPARE the offset in bytes of the first difference.
    pub information: Option<u64>,
    /// Which field of the CDB or the parameter list was wrong.
    pub field: Option<FieldPointer>,
    /// PROGRESS INDICATION of NOT READY and NO SENSE: how much is done, in 65,536ths. It stands where
    /// the field pointer of other sense keys does.
    pub progress: Option<u16>,
    /// The number of the segment descriptor at which an EXTENDED COPY ended: the third and fourth
    /// byte of COMMAND-SPECIFIC INFORMATION.
    pub segment: Option<u16>,
}

impl Sense {
    /// What REQUEST SENSE answers when there is nothing to report.
    pub const NO_SENSE: Self = Self::new(SenseKey::NoSense, Asc::NO_ADDITIONAL_SENSE_INFORMATION);

    /// Sense data with neither INFORMATION nor field pointer.
    pub const fn new(key: SenseKey, asc: Asc) -> Self {
        Self { key, asc, information: None, field: None, progress: None, segment: None }
    }

    /// The same, with INFORMATION (and VALID) set.
    #[must_use]
    pub const fn with_information(self, information: u64) -> Self {
        Self { information: Some(information), ..self }
    }

    /// The same, with a field pointer in the sense-key specific bytes.
    #[must_use]
    pub const fn with_field(self, field: FieldPointer) -> Self {
        Self { field: Some(field), ..self }
    }

    /// The same, with a progress indication in the sense-key specific bytes.
    #[must_use]
    pub const fn with_progress(self, progress: u16) -> Self {
        Self { progress: Some(progress), ..self }
    }

    /// The same, with the number of a segment descriptor in COMMAND-SPECIFIC INFORMATION.
    #[must_use]
    pub const fn with_segment(self, segment: u16) -> Self {
        Self { segment: Some(segment), ..self }
    }

    /// Sense key COPY ABORTED: the copy ended at the segment descriptor with this number, and those
    /// before it were carried out.
    pub const fn copy_aborted(asc: Asc, segment: u16) -> Self {
        Self::new(SenseKey::CopyAborted, asc).with_segment(segment)
    }

    /// The three sense-key specific bytes (SPC-4 4.5.2.4), if they mean something.
    fn sense_key_specific(&self) -> Option<[u8; 3]> {
        let progress = || {
            let [high, low] = self.progress?.to_be_bytes();
            Some([SENSE_KEY_SPECIFIC_VALID, high, low])
        };
        self.field.map(FieldPointer::encode).or_else(progress)
    }

    /// The same, with what the three sense-key specific bytes say; that depends on the sense key.
    fn with_sense_key_specific(self, bytes: [u8; 3]) -> Self {
        let [flags, high, low] = bytes;
        if self.key == SenseKey::IllegalRequest {
            return Self { field: FieldPointer::decode(bytes), ..self };
        }
        let counts = matches!(self.key, SenseKey::NoSense | SenseKey::NotReady);
        let valid = counts && flags & SENSE_KEY_SPECIFIC_VALID != 0;
        // Retry counts and the segment pointer of a copy have no field.
        Self { progress: valid.then_some(u16::from_be_bytes([high, low])), ..self }
    }

    const fn illegal_request(asc: Asc) -> Self {
        Self::new(SenseKey::IllegalRequest, asc)
    }

    /// 05h/20h/00h: nobody here executes this operation code.
    pub const fn invalid_opcode() -> Self {
        Self::illegal_request(Asc::INVALID_COMMAND_OPERATION_CODE)
    }

    /// 05h/24h/00h, pointing at `byte` of the CDB and, of a bit field, at its leftmost bit.
    pub const fn invalid_field_in_cdb(byte: u16, bit: Option<u8>) -> Self {
        Self::illegal_request(Asc::INVALID_FIELD_IN_CDB).with_field(FieldPointer::in_cdb(byte, bit))
    }

    /// 05h/26h/00h, pointing at `byte` of the parameter list and, of a bit field, at its leftmost
    /// bit.
    pub const fn invalid_field_in_parameter_list(byte: u16, bit: Option<u8>) -> Self {
        Self::illegal_request(Asc::INVALID_FIELD_IN_PARAMETER_LIST)
            .with_field(FieldPointer::in_parameter_list(byte, bit))
    }

    /// 05h/1Ah/00h: the parameter list ends in the middle of something.
    pub const fn parameter_list_length_error() -> Self {
        Self::illegal_request(Asc::PARAMETER_LIST_LENGTH_ERROR)
    }

    /// 05h/21h/00h: the command reaches past the last block.
    pub const fn lba_out_of_range() -> Self {
        Self::illegal_request(Asc::LOGICAL_BLOCK_ADDRESS_OUT_OF_RANGE)
    }

    /// 0Eh/1Dh/00h: the first difference is `offset` bytes into the compared data.
    pub const fn miscompare(offset: u64) -> Self {
        Self::new(SenseKey::Miscompare, Asc::MISCOMPARE_DURING_VERIFY_OPERATION)
            .with_information(offset)
    }

    /// Writes the sense data to the start of `out`, zeroes the rest, and returns the number of
    /// bytes used.
    ///
    /// Spec: SPC-4 4.5.2 and 4.5.3. In fixed form an INFORMATION of more than 32 bits cannot be
    /// told: VALID stays 0.
    pub fn encode(&self, format: SenseFormat, out: &mut [u8; SENSE_BUFFER_LENGTH]) -> usize {
        out.fill(0);
        match format {
            SenseFormat::Fixed => fixed::encode(self, out),
            SenseFormat::Descriptor => descriptor::encode(self, out),
        }
    }

    /// Reads sense data of either form, from any target; `None` if it is none, or ends within its header.
    ///
    /// A deferred error (71h, 73h) is read like a current one. What [`Sense`] has no field for is left out.
    ///
    /// Spec: SPC-4 4.5.2 and 4.5.3.
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        match bytes.first()? & RESPONSE_CODE_MASK {
            0x70 | 0x71 => fixed::decode(bytes),
            0x72 | 0x73 => descriptor::decode(bytes),
            _ => None,
        }
    }
}

/// What of `bytes` is sense data: a header, and as much after it as ADDITIONAL SENSE LENGTH counts.
fn counted(bytes: &[u8]) -> Option<&[u8]> {
    let additional = bytes.get(ADDITIONAL_SENSE_LENGTH)?;
    bytes.get(..HEADER_LENGTH.saturating_add(usize::from(*additional))).or(Some(bytes))
}

impl fmt::Display for Sense {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}, {}", self.key, self.asc)?;
        if let Some(field) = self.field {
            write!(f, ", {field}")?;
        }
        if let Some(progress) = self.progress {
            write!(f, ", {}% done", u32::from(progress).saturating_mul(100) >> 16)?;
        }
        if let Some(segment) = self.segment {
            write!(f, ", segment descriptor {segment}")?;
        }
        if let Some(information) = self.information {
            write!(f, ", information {information:#x}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
