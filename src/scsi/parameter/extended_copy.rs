//! The EXTENDED COPY parameter lists, LID1 and LID4 (SPC-4, EXTENDED COPY).
//!
//! What is wrong with the list as such is found here, before anything is copied. Whether a copy
//! source or copy destination (CSCD) can be reached, and whether its blocks exist, shows when its
//! segment's turn comes.

use pulsefield_units::Lba;

use super::CopyLimits;
use crate::field::{Bits, Flag, Number};
use crate::{Asc, FieldPointer, ListIdentifierForm, Sense, SenseKey};

/// LIST ID USAGE and STR and PRIORITY stand in the same byte in both forms.
const LIST_ID_USAGE: Bits = Bits::new(1, 4, 3);

mod lid1 {
    use super::Number;

    pub(super) const HEADER_LENGTH: usize = 16;
    pub(super) const LIST_IDENTIFIER: Number<1> = Number::at(0);
    pub(super) const CSCD_LIST_LENGTH: Number<2> = Number::at(2);
    pub(super) const SEGMENT_LIST_LENGTH: Number<4> = Number::at(8);
    pub(super) const INLINE_DATA_LENGTH: Number<4> = Number::at(12);
}

mod lid4 {
    use super::{Flag, Number};

    pub(super) const HEADER_LENGTH: usize = 48;
    pub(super) const FORMAT: Number<1> = Number::at(0);
    pub(super) const FORMAT_LID4: u8 = 0x01;
    pub(super) const HEADER_CSCD_LIST_LENGTH: Number<2> = Number::at(2);
    pub(super) const HEADER_CSCD_LENGTH: u16 = 0x20;
    /// G_SENSE: sense data with GOOD status as well.
    pub(super) const G_SENSE: Flag = Flag::new(15, 1);
    /// IMMED: answer before the copy is done.
    pub(super) const IMMED: Flag = Flag::new(15, 0);
    pub(super) const HEADER_CSCD_TYPE_CODE: Number<1> = Number::at(16);
    pub(super) const HEADER_CSCD: u8 = 0xff;
    pub(super) const LIST_IDENTIFIER: Number<4> = Number::at(20);
    pub(super) const CSCD_LIST_LENGTH: Number<2> = Number::at(42);
    pub(super) const SEGMENT_LIST_LENGTH: Number<2> = Number::at(44);
    pub(super) const INLINE_DATA_LENGTH: Number<2> = Number::at(46);
}

const CSCD_LENGTH: usize = 32;
const CSCD_TYPE_CODE: Number<1> = Number::at(0);
const PERIPHERAL_DEVICE_TYPE: Bits = Bits::new(1, 4, 0);
const CODE_SET: Bits = Bits::new(4, 3, 0);
const ASSOCIATION: Bits = Bits::new(5, 5, 4);
const DESIGNATOR_TYPE: Bits = Bits::new(5, 3, 0);
const DESIGNATOR_LENGTH: Number<1> = Number::at(7);
const DESIGNATOR: usize = 8;
const DESIGNATOR_ROOM: usize = 20;
/// PAD in the byte before; the three bytes after it are DISK BLOCK LENGTH.
const DISK_BLOCK_LENGTH: Number<4> = Number::at(28);
const DISK_BLOCK_LENGTH_MASK: u32 = 0x00ff_ffff;

const SEGMENT_TYPE_CODE: Number<1> = Number::at(0);
/// DC: the number of blocks is one of blocks of the destination.
const DC: Flag = Flag::new(1, 1);
const SEGMENT_LENGTH: Number<2> = Number::at(2);
/// What SEGMENT LENGTH does not count.
const SEGMENT_HEADER_LENGTH: usize = 4;
const SOURCE_CSCD: Number<2> = Number::at(4);
const DESTINATION_CSCD: Number<2> = Number::at(6);
const NUMBER_OF_BLOCKS: Number<2> = Number::at(10);
const NUMBER_OF_BYTES: Number<4> = Number::at(8);
const SOURCE_LBA: Number<8> = Number::at(12);
const DESTINATION_LBA: Number<8> = Number::at(20);
const SOURCE_BYTE_OFFSET: Number<2> = Number::at(28);
const DESTINATION_BYTE_OFFSET: Number<2> = Number::at(30);

/// The type codes of descriptors that are served, in ascending order.
pub const COPY_DESCRIPTOR_TYPES: [u8; 3] =
    [BLOCK_TO_BLOCK, BLOCK_TO_BLOCK_WITH_OFFSET, IDENTIFICATION];
/// Segment: from block device to block device.
const BLOCK_TO_BLOCK: u8 = 0x02;
/// Segment: from block device with offset to block device with offset.
const BLOCK_TO_BLOCK_WITH_OFFSET: u8 = 0x0a;
/// CSCD: Identification Descriptor.
const IDENTIFICATION: u8 = 0xe4;

/// The CSCD descriptor ID of the logical unit that received the command.
pub const CSCD_ID_SELF: u16 = 0xffff;

/// A copy source or copy destination, named by a designator of its Device Identification page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CscdDescriptor {
    /// PERIPHERAL DEVICE TYPE; 00h is a disk.
    pub device_type: u8,
    /// CODE SET of the designator.
    pub code_set: u8,
    /// ASSOCIATION; 00b is the logical unit.
    pub association: u8,
    /// DESIGNATOR TYPE.
    pub designator_type: u8,
    designator: [u8; DESIGNATOR_ROOM],
    designator_length: usize,
    /// DISK BLOCK LENGTH in bytes.
    pub block_length: u32,
    /// DISK BLOCK LENGTH, for a field pointer.
    pub block_length_at: FieldPointer,
}

impl CscdDescriptor {
    /// The designator.
    pub fn designator(&self) -> &[u8] {
        self.designator.get(..self.designator_length).unwrap_or(&self.designator)
    }
}

/// How much a segment copies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CopyAmount {
    /// So many blocks of the source.
    SourceBlocks(u16),
    /// So many blocks of the destination (DC = 1).
    DestinationBlocks(u16),
    /// So many bytes.
    Bytes(u32),
}

/// A segment: from block device to block device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SegmentDescriptor {
    /// SOURCE CSCD DESCRIPTOR ID.
    pub source: u16,
    /// DESTINATION CSCD DESCRIPTOR ID.
    pub destination: u16,
    /// The first block to read.
    pub source_lba: Lba,
    /// The first block to write.
    pub destination_lba: Lba,
    /// How much.
    pub amount: CopyAmount,
}

/// LIST ID USAGE: what may be asked about the copy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ListIdUsage {
    /// 00b, 01b, 10b: the copy is known by its list identifier.
    Identified,
    /// 11b: nothing will be asked.
    None,
}

/// An EXTENDED COPY parameter list that makes sense.
#[derive(Clone, Copy, Debug)]
pub struct ExtendedCopyList<'a> {
    /// LIST IDENTIFIER.
    pub list_identifier: u32,
    /// LIST ID USAGE.
    pub list_id_usage: ListIdUsage,
    cscds: &'a [[u8; CSCD_LENGTH]],
    /// Where `cscds` begins in the list.
    cscds_at: usize,
    segments: &'a [u8],
    segments_at: usize,
}

/// What the two headers have in common.
struct Header {
    length: usize,
    list_identifier: u32,
    cscd_list_length: usize,
    segment_list_length: usize,
    /// INVALID FIELD at INLINE DATA LENGTH, if that is not zero.
    inline_data: Option<Sense>,
    /// INVALID FIELD at CSCD DESCRIPTOR LIST LENGTH.
    cscd_list_length_invalid: Sense,
    segment_list_length_invalid: Sense,
}

impl<'a> ExtendedCopyList<'a> {
    /// Reads a parameter list of the length that the CDB says, which is not zero. What follows the
    /// descriptors is ignored.
    ///
    /// # Errors
    /// ILLEGAL REQUEST with
    /// - PARAMETER LIST LENGTH ERROR: the list ends before its descriptors do, or the descriptors
    ///   together are longer than `limits` allow;
    /// - TOO MANY TARGET DESCRIPTORS, TOO MANY SEGMENT DESCRIPTORS, INLINE DATA LENGTH EXCEEDED;
    /// - UNSUPPORTED TARGET or SEGMENT DESCRIPTOR TYPE CODE;
    /// - INVALID FIELD IN PARAMETER LIST: any other field that is wrong. A field pointer says where.
    ///
    /// Spec: SPC-4, EXTENDED COPY, errors detected before processing of segment descriptors.
    pub fn parse(
        form: ListIdentifierForm,
        list: &'a [u8],
        limits: &CopyLimits,
    ) -> Result<Self, Sense> {
        let header = match form {
            ListIdentifierForm::Lid1 => header_lid1(list)?,
            ListIdentifierForm::Lid4 => header_lid4(list)?,
        };
        let descriptors = header.cscd_list_length.saturating_add(header.segment_list_length);
        if descriptors as u64 > u64::from(limits.descriptor_list_bytes_max) {
            return Err(Sense::parameter_list_length_error());
        }
        let body = list.get(header.length..).unwrap_or_default();
        let too_short = Sense::parameter_list_length_error();
        let (cscds, body) = body.split_at_checked(header.cscd_list_length).ok_or(too_short)?;
        let (segments, _) = body.split_at_checked(header.segment_list_length).ok_or(too_short)?;
        let (cscds, []) = cscds.as_chunks() else {
            return Err(header.cscd_list_length_invalid);
        };
        if cscds.len() > usize::from(limits.cscd_descriptors_max) {
            return Err(with_asc(
                header.cscd_list_length_invalid,
                Asc::TOO_MANY_TARGET_DESCRIPTORS,
            ));
        }
        if let Some(sense) = header.inline_data {
            return Err(with_asc(sense, Asc::INLINE_DATA_LENGTH_EXCEEDED));
        }
        let usage = LIST_ID_USAGE.read(list);
        let parsed = Self {
            list_identifier: header.list_identifier,
            list_id_usage: if usage == 0b11 { ListIdUsage::None } else { ListIdUsage::Identified },
            cscds,
            cscds_at: header.length,
            segments,
            segments_at: header.length.saturating_add(header.cscd_list_length),
        };
        parsed.check_identifier(form)?;
        for (nth, cscd) in cscds.iter().enumerate() {
            check_cscd(cscd, parsed.cscd_at(nth))?;
        }
        let mut count: u16 = 0;
        for segment in parsed.segments() {
            segment?;
            count = count.saturating_add(1);
            if count > limits.segment_descriptors_max {
                return Err(with_asc(
                    header.segment_list_length_invalid,
                    Asc::TOO_MANY_SEGMENT_DESCRIPTORS,
                ));
            }
        }
        Ok(parsed)
    }

    /// A copy that cannot be asked about has no number.
    fn check_identifier(&self, form: ListIdentifierForm) -> Result<(), Sense> {
        match (self.list_id_usage, self.list_identifier) {
            (ListIdUsage::Identified, _) | (ListIdUsage::None, 0) => Ok(()),
            (ListIdUsage::None, _) => Err(match form {
                ListIdentifierForm::Lid1 => lid1::LIST_IDENTIFIER.invalid_in_parameter_list(0),
                ListIdentifierForm::Lid4 => lid4::LIST_IDENTIFIER.invalid_in_parameter_list(0),
            }),
        }
    }

    fn cscd_at(&self, nth: usize) -> usize {
        nth.saturating_mul(CSCD_LENGTH).saturating_add(self.cscds_at)
    }

    /// The copy sources and copy destinations, in the order by which segments name them.
    pub fn cscds(&self) -> impl ExactSizeIterator<Item = CscdDescriptor> {
        self.cscds.iter().enumerate().map(|(nth, bytes)| {
            let mut designator = [0; DESIGNATOR_ROOM];
            let room = bytes.iter().skip(DESIGNATOR);
            designator.iter_mut().zip(room).for_each(|(to, from)| *to = *from);
            let at = crate::field::position(self.cscd_at(nth).saturating_add(29));
            CscdDescriptor {
                device_type: PERIPHERAL_DEVICE_TYPE.read(bytes),
                code_set: CODE_SET.read(bytes),
                association: ASSOCIATION.read(bytes),
                designator_type: DESIGNATOR_TYPE.read(bytes),
                designator,
                designator_length: DESIGNATOR_LENGTH.read(bytes).into(),
                block_length: DISK_BLOCK_LENGTH.read(bytes) & DISK_BLOCK_LENGTH_MASK,
                block_length_at: FieldPointer::in_parameter_list(at, None),
            }
        })
    }

    /// The segments, in the order in which they are copied.
    ///
    /// # Errors
    /// As for [`Self::parse`], which has looked at all of them: there is none after it.
    pub fn segments(&self) -> impl Iterator<Item = Result<SegmentDescriptor, Sense>> {
        let mut rest = self.segments;
        let mut at = self.segments_at;
        std::iter::from_fn(move || {
            if rest.is_empty() {
                return None;
            }
            let segment = segment(rest, at);
            let length = match segment {
                Ok((_, length)) => length,
                Err(_) => rest.len(),
            };
            rest = rest.get(length..).unwrap_or_default();
            at = at.saturating_add(length);
            Some(segment.map(|(segment, _)| segment))
        })
    }
}

fn header_lid1(list: &[u8]) -> Result<Header, Sense> {
    if list.len() < lid1::HEADER_LENGTH {
        return Err(Sense::parameter_list_length_error());
    }
    let inline = lid1::INLINE_DATA_LENGTH;
    let segments = lid1::SEGMENT_LIST_LENGTH;
    Ok(Header {
        length: lid1::HEADER_LENGTH,
        list_identifier: lid1::LIST_IDENTIFIER.read(list).into(),
        cscd_list_length: lid1::CSCD_LIST_LENGTH.read(list).into(),
        segment_list_length: usize::try_from(segments.read(list)).unwrap_or(usize::MAX),
        inline_data: (inline.read(list) != 0).then(|| inline.invalid_in_parameter_list(0)),
        cscd_list_length_invalid: lid1::CSCD_LIST_LENGTH.invalid_in_parameter_list(0),
        segment_list_length_invalid: segments.invalid_in_parameter_list(0),
    })
}

fn header_lid4(list: &[u8]) -> Result<Header, Sense> {
    if list.len() < lid4::HEADER_LENGTH {
        return Err(Sense::parameter_list_length_error());
    }
    if lid4::FORMAT.read(list) != lid4::FORMAT_LID4 {
        return Err(lid4::FORMAT.invalid_in_parameter_list(0));
    }
    if lid4::HEADER_CSCD_LIST_LENGTH.read(list) != lid4::HEADER_CSCD_LENGTH {
        return Err(lid4::HEADER_CSCD_LIST_LENGTH.invalid_in_parameter_list(0));
    }
    if lid4::HEADER_CSCD_TYPE_CODE.read(list) != lid4::HEADER_CSCD {
        return Err(lid4::HEADER_CSCD_TYPE_CODE.invalid_in_parameter_list(0));
    }
    // Every copy ends before its command does, and there is nothing to say about a good one.
    for flag in [lid4::G_SENSE, lid4::IMMED] {
        if flag.read(list) {
            return Err(flag.invalid_in_parameter_list(0));
        }
    }
    let inline = lid4::INLINE_DATA_LENGTH;
    Ok(Header {
        length: lid4::HEADER_LENGTH,
        list_identifier: lid4::LIST_IDENTIFIER.read(list),
        cscd_list_length: lid4::CSCD_LIST_LENGTH.read(list).into(),
        segment_list_length: lid4::SEGMENT_LIST_LENGTH.read(list).into(),
        inline_data: (inline.read(list) != 0).then(|| inline.invalid_in_parameter_list(0)),
        cscd_list_length_invalid: lid4::CSCD_LIST_LENGTH.invalid_in_parameter_list(0),
        segment_list_length_invalid: lid4::SEGMENT_LIST_LENGTH.invalid_in_parameter_list(0),
    })
}

/// LU ID TYPE is ignored: it says how the other CSCD types name a logical unit.
fn check_cscd(cscd: &[u8], at: usize) -> Result<(), Sense> {
    if CSCD_TYPE_CODE.read(cscd) != IDENTIFICATION {
        let sense = CSCD_TYPE_CODE.invalid_in_parameter_list(at);
        return Err(with_asc(sense, Asc::UNSUPPORTED_TARGET_DESCRIPTOR_TYPE_CODE));
    }
    if usize::from(DESIGNATOR_LENGTH.read(cscd)) > DESIGNATOR_ROOM {
        return Err(DESIGNATOR_LENGTH.invalid_in_parameter_list(at));
    }
    Ok(())
}

/// The segment at the start of `bytes`, which begin `at` bytes into the list, and its length.
///
/// Bytes offsets other than zero are refused: blocks are copied whole, as the granularity in
/// RECEIVE COPY OPERATING PARAMETERS says. CAT asks for what is left over to be kept for the next
/// segment; nothing ever is.
fn segment(bytes: &[u8], at: usize) -> Result<(SegmentDescriptor, usize), Sense> {
    let code = SEGMENT_TYPE_CODE.read(bytes);
    let expected = match code {
        BLOCK_TO_BLOCK => 0x18,
        BLOCK_TO_BLOCK_WITH_OFFSET => 0x1c,
        _ => {
            let sense = SEGMENT_TYPE_CODE.invalid_in_parameter_list(at);
            return Err(with_asc(sense, Asc::UNSUPPORTED_SEGMENT_DESCRIPTOR_TYPE_CODE));
        }
    };
    let length = usize::from(expected).saturating_add(SEGMENT_HEADER_LENGTH);
    if bytes.len() < SEGMENT_HEADER_LENGTH {
        return Err(Sense::parameter_list_length_error());
    }
    if SEGMENT_LENGTH.read(bytes) != expected {
        return Err(SEGMENT_LENGTH.invalid_in_parameter_list(at));
    }
    let bytes = bytes.get(..length).ok_or(Sense::parameter_list_length_error())?;
    let amount = if code == BLOCK_TO_BLOCK_WITH_OFFSET {
        for offset in [SOURCE_BYTE_OFFSET, DESTINATION_BYTE_OFFSET] {
            if offset.read(bytes) != 0 {
                return Err(offset.invalid_in_parameter_list(at));
            }
        }
        CopyAmount::Bytes(NUMBER_OF_BYTES.read(bytes))
    } else if DC.read(bytes) {
        CopyAmount::DestinationBlocks(NUMBER_OF_BLOCKS.read(bytes))
    } else {
        CopyAmount::SourceBlocks(NUMBER_OF_BLOCKS.read(bytes))
    };
    let segment = SegmentDescriptor {
        source: SOURCE_CSCD.read(bytes),
        destination: DESTINATION_CSCD.read(bytes),
        source_lba: Lba::new(SOURCE_LBA.read(bytes)),
        destination_lba: Lba::new(DESTINATION_LBA.read(bytes)),
        amount,
    };
    Ok((segment, length))
}

/// ILLEGAL REQUEST with `asc`, pointing where `sense` points.
fn with_asc(sense: Sense, asc: Asc) -> Sense {
    Sense { field: sense.field, ..Sense::new(SenseKey::IllegalRequest, asc) }
}

#[cfg(test)]
mod tests;
