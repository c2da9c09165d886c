//! Which field was wrong: the field pointer of ILLEGAL REQUEST (SPC-4 4.5.2.4.2).

use std::fmt;

use super::SENSE_KEY_SPECIFIC_VALID;

/// Where the wrong field lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FieldSource {
    /// In the CDB.
    Cdb,
    /// In the parameter list of the Data-Out buffer.
    ParameterList,
}

/// The place of a wrong field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FieldPointer {
    /// Where to count from.
    pub source: FieldSource,
    /// The field's first byte, counted from 0.
    pub byte: u16,
    /// The leftmost bit of a field that is not made of whole bytes; 7 is a byte's leftmost.
    pub bit: Option<u8>,
}

/// C/D: the field lies in the CDB.
const COMMAND: u8 = 0x40;
/// BPV: the bit pointer means something.
const BIT_POINTER_VALID: u8 = 0x08;
const BIT_POINTER: u8 = 0x07;

impl FieldPointer {
    /// A field of the CDB.
    pub const fn in_cdb(byte: u16, bit: Option<u8>) -> Self {
        Self { source: FieldSource::Cdb, byte, bit }
    }

    /// A field of the parameter list.
    pub const fn in_parameter_list(byte: u16, bit: Option<u8>) -> Self {
        Self { source: FieldSource::ParameterList, byte, bit }
    }

    /// The three sense-key specific bytes.
    pub(super) const fn encode(self) -> [u8; 3] {
        let source = match self.source {
            FieldSource::Cdb => COMMAND,
            FieldSource::ParameterList => 0,
        };
        let bit = match self.bit {
            Some(bit) => BIT_POINTER_VALID | (bit & BIT_POINTER),
            None => 0,
        };
        let [high, low] = self.byte.to_be_bytes();
        [SENSE_KEY_SPECIFIC_VALID | source | bit, high, low]
    }

    /// The field that the three sense-key specific bytes point at, if SKSV says that they do.
    pub(super) fn decode([flags, high, low]: [u8; 3]) -> Option<Self> {
        let source = match flags & COMMAND {
            0 => FieldSource::ParameterList,
            _ => FieldSource::Cdb,
        };
        let bit = (flags & BIT_POINTER_VALID != 0).then_some(flags & BIT_POINTER);
        let pointer = Self { source, byte: u16::from_be_bytes([high, low]), bit };
        (flags & SENSE_KEY_SPECIFIC_VALID != 0).then_some(pointer)
    }
}

impl fmt::Display for FieldPointer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let source = match self.source {
            FieldSource::Cdb => "CDB",
            FieldSource::ParameterList => "parameter list",
        };
        write!(f, "{source} byte {}", self.byte)?;
        match self.bit {
            Some(bit) => write!(f, " bit {bit}"),
            None => Ok(()),
        }
    }
}
