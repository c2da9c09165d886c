//! FC-2: what every frame begins with, and the basic link services that abort an exchange.
//!
//! Layouts and codes are those of FC-FS-3, whose names for them are used, and of Linux'
//! include/uapi/scsi/fc/fc_fs.h.

use std::borrow::Cow;
use std::fmt;

use zerocopy::big_endian::{U16, U32};
use zerocopy::{Immutable, IntoBytes, Unaligned};

/// So many bytes of payload a frame has at most. FC-FS-3 allows 2112, and two ports agree on a size
/// when they log in; this is the one that Wireshark takes for agreed (its preference
/// fc.max_frame_size) when it puts the data of several frames together.
pub(crate) const PAYLOAD_MAX: usize = 1024;

const _: () = assert!(PAYLOAD_MAX <= 2112 && PAYLOAD_MAX.is_multiple_of(4));

/// An exchange id that its side has not assigned yet.
pub(crate) const UNASSIGNED: u16 = 0xffff;

/// The address of a port, 24 bits: domain, area, port.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PortId(u32);

impl PortId {
    /// The port in this domain and area of a fabric.
    pub const fn new(domain: u8, area: u8, port: u8) -> Self {
        Self(u32::from_be_bytes([0, domain, area, port]))
    }

    const fn bytes(self) -> [u8; 3] {
        let [_, domain, area, port] = self.0.to_be_bytes();
        [domain, area, port]
    }
}

impl fmt::Display for PortId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [domain, area, port] = self.bytes();
        write!(f, "{domain:02x}.{area:02x}.{port:02x}")
    }
}

impl fmt::Debug for PortId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PortId({self})")
    }
}

/// R_CTL: what a frame is for (FC-FS-3, Frame_Header; FCP-4, information unit formats).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Routing {
    /// FC-4 device data, solicited data: FCP_DATA.
    SolicitedData = 0x01,
    /// Data descriptor: FCP_XFER_RDY.
    DataDescriptor = 0x05,
    /// Unsolicited command: FCP_CMND.
    UnsolicitedCommand = 0x06,
    /// Command status: FCP_RSP.
    CommandStatus = 0x07,
    /// Basic link service: ABTS, abort sequence.
    AbortSequence = 0x81,
    /// Basic link service: BA_ACC, basic accept.
    BasicAccept = 0x84,
}

impl Routing {
    /// TYPE: 08h for SCSI FCP, 00h for basic link services.
    const fn protocol(self) -> u8 {
        match self {
            Self::SolicitedData
            | Self::DataDescriptor
            | Self::UnsolicitedCommand
            | Self::CommandStatus => 0x08,
            Self::AbortSequence | Self::BasicAccept => 0x00,
        }
    }
}

/// F_CTL: where a frame stands in its sequence and its exchange (FC-FS-3, Frame_Header).
pub(crate) mod frame_control {
    /// Exchange Context: it is from the responder of the exchange, the target.
    pub(crate) const FROM_RESPONDER: u32 = 1 << 23;
    /// First_Sequence of the exchange.
    pub(crate) const FIRST_SEQUENCE: u32 = 1 << 21;
    /// Last_Sequence of the exchange.
    pub(crate) const LAST_SEQUENCE: u32 = 1 << 20;
    /// End_Sequence: the last frame of its sequence.
    pub(crate) const END_SEQUENCE: u32 = 1 << 19;
    /// Sequence Initiative: the other side is to go on.
    pub(crate) const TRANSFER_INITIATIVE: u32 = 1 << 16;
    /// Relative Offset Present: the parameter field is one.
    pub(crate) const RELATIVE_OFFSET: u32 = 1 << 3;
    /// Fill Data Bytes: so many bytes at the end only fill the last word.
    pub(crate) const FILL_BYTES: u32 = 0x3;
}

/// Frame_Header.
#[derive(Clone, Copy, IntoBytes, Immutable, Unaligned)]
#[repr(C)]
pub(crate) struct HeaderLayout {
    routing: u8,
    destination: [u8; 3],
    /// CS_CTL: no class-specific control.
    class_specific: u8,
    source: [u8; 3],
    protocol: u8,
    frame_control: [u8; 3],
    sequence_id: u8,
    /// DF_CTL: no optional headers.
    data_field_control: u8,
    sequence_count: U16,
    originator_exchange_id: U16,
    responder_exchange_id: U16,
    parameter: U32,
}

const _: () = assert!(size_of::<HeaderLayout>() == 24);

/// What a frame's header says.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Header {
    pub(crate) routing: Routing,
    pub(crate) source: PortId,
    pub(crate) destination: PortId,
    /// Of [`frame_control`], without the fill bytes.
    pub(crate) frame_control: u32,
    pub(crate) sequence_id: u8,
    pub(crate) sequence_count: u16,
    /// OX_ID.
    pub(crate) originator_exchange_id: u16,
    /// RX_ID.
    pub(crate) responder_exchange_id: u16,
    pub(crate) parameter: u32,
}

/// A frame, without delimiters and CRC.
#[derive(Clone, Debug)]
pub(crate) struct Frame<'f> {
    /// Nanoseconds since 1970.
    pub(crate) at_ns: u64,
    pub(crate) header: Header,
    /// As much as is known of it.
    pub(crate) payload: Cow<'f, [u8]>,
    /// How long it was, in bytes; no less than is known of it.
    pub(crate) payload_length: usize,
    /// What is to be said of it.
    pub(crate) comment: &'f str,
}

impl Frame<'_> {
    /// The header's bytes.
    pub(crate) fn header_bytes(&self) -> HeaderLayout {
        let header = &self.header;
        let fill = u32::try_from(self.fill_length()).unwrap_or(0) & frame_control::FILL_BYTES;
        let [_, frame_control @ ..] = (header.frame_control | fill).to_be_bytes();
        HeaderLayout {
            routing: header.routing as u8,
            destination: header.destination.bytes(),
            class_specific: 0,
            source: header.source.bytes(),
            protocol: header.routing.protocol(),
            frame_control,
            sequence_id: header.sequence_id,
            data_field_control: 0,
            sequence_count: header.sequence_count.into(),
            originator_exchange_id: header.originator_exchange_id.into(),
            responder_exchange_id: header.responder_exchange_id.into(),
            parameter: header.parameter.into(),
        }
    }

    /// How many bytes fill up the last word of the payload.
    pub(crate) const fn fill_length(&self) -> usize {
        self.payload_length.next_multiple_of(4) - self.payload_length
    }

    /// Whether the initiator sent it.
    pub(crate) const fn is_from_originator(&self) -> bool {
        self.header.frame_control & frame_control::FROM_RESPONDER == 0
    }
}

/// The payload of a basic accept of an ABTS: no sequence of the exchange is to be recovered
/// (FC-FS-3, Basic Link Services).
#[derive(IntoBytes, Immutable, Unaligned)]
#[repr(C)]
pub(crate) struct BasicAccept {
    /// 00h: the sequence id means nothing.
    sequence_id_validity: u8,
    sequence_id: u8,
    reserved: U16,
    originator_exchange_id: U16,
    responder_exchange_id: U16,
    low_sequence_count: U16,
    high_sequence_count: U16,
}

impl BasicAccept {
    /// Of an abort of this whole exchange.
    pub(crate) fn of(originator_exchange_id: u16, responder_exchange_id: u16) -> Self {
        Self {
            sequence_id_validity: 0,
            sequence_id: 0,
            reserved: 0.into(),
            originator_exchange_id: originator_exchange_id.into(),
            responder_exchange_id: responder_exchange_id.into(),
            low_sequence_count: 0.into(),
            high_sequence_count: 0xffff.into(),
        }
    }
}

const _: () = assert!(size_of::<BasicAccept>() == 12);
