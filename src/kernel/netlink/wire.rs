//! Generic netlink messages as bytes: a command and attributes, whatever the family.
//!
//! Attributes are kept as they come, unknown ones too, and read when somebody asks for them.
//! Numbers are in the machine's own order. Constants are those of `linux/target_core_user.h` and
//! `linux/genetlink.h`.

use netlink_packet_core::{
    DecodeError, Emitable, NLM_F_ACK, NLM_F_REQUEST, NetlinkHeader, NetlinkMessage, Nla, NlaBuffer,
    NlasIterator, ParseableParametrized, parse_string, parse_u8, parse_u16, parse_u32, parse_u64,
};
use netlink_packet_generic::{GenlFamily, GenlHeader, GenlMessage};

pub(super) const TCMU_CMD_ADDED_DEVICE: u8 = 1;
pub(super) const TCMU_CMD_REMOVED_DEVICE: u8 = 2;
pub(super) const TCMU_CMD_RECONFIG_DEVICE: u8 = 3;
pub(super) const TCMU_CMD_ADDED_DEVICE_DONE: u8 = 4;
pub(super) const TCMU_CMD_REMOVED_DEVICE_DONE: u8 = 5;
pub(super) const TCMU_CMD_RECONFIG_DEVICE_DONE: u8 = 6;
pub(super) const TCMU_CMD_SET_FEATURES: u8 = 7;

pub(super) const TCMU_ATTR_DEVICE: u16 = 1;
pub(super) const TCMU_ATTR_MINOR: u16 = 2;
pub(super) const TCMU_ATTR_DEV_CFG: u16 = 4;
pub(super) const TCMU_ATTR_DEV_SIZE: u16 = 5;
pub(super) const TCMU_ATTR_WRITECACHE: u16 = 6;
pub(super) const TCMU_ATTR_CMD_STATUS: u16 = 7;
pub(super) const TCMU_ATTR_DEVICE_ID: u16 = 8;
pub(super) const TCMU_ATTR_SUPP_KERN_CMD_REPLY: u16 = 9;

/// A netlink message with a generic netlink message inside.
pub(super) type Datagram = NetlinkMessage<GenlMessage<Message>>;

/// One attribute, undecoded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Attribute {
    kind: u16,
    value: Vec<u8>,
}

impl Attribute {
    pub(super) fn u8(kind: u16, value: u8) -> Self {
        Self { kind, value: vec![value] }
    }

    pub(super) fn u32(kind: u16, value: u32) -> Self {
        Self { kind, value: value.to_ne_bytes().to_vec() }
    }

    pub(super) fn i32(kind: u16, value: i32) -> Self {
        Self { kind, value: value.to_ne_bytes().to_vec() }
    }

    /// A string, with the NUL at its end that the kernel wants.
    pub(super) fn string(kind: u16, value: &str) -> Self {
        Self { kind, value: [value.as_bytes(), b"\0"].concat() }
    }

    pub(super) fn kind(&self) -> u16 {
        self.kind
    }

    pub(super) fn to_u8(&self) -> Result<u8, DecodeError> {
        parse_u8(&self.value)
    }

    pub(super) fn to_u16(&self) -> Result<u16, DecodeError> {
        parse_u16(&self.value)
    }

    pub(super) fn to_u32(&self) -> Result<u32, DecodeError> {
        parse_u32(&self.value)
    }

    pub(super) fn to_u64(&self) -> Result<u64, DecodeError> {
        parse_u64(&self.value)
    }

    pub(super) fn to_text(&self) -> Result<String, DecodeError> {
        parse_string(&self.value)
    }

    /// The attributes nested in this one.
    pub(super) fn nested(&self) -> Result<Vec<Self>, DecodeError> {
        attributes(&self.value)
    }
}

impl Nla for Attribute {
    fn value_len(&self) -> usize {
        self.value.len()
    }

    fn kind(&self) -> u16 {
        self.kind
    }

    fn emit_value(&self, buffer: &mut [u8]) {
        buffer.copy_from_slice(&self.value);
    }
}

fn attributes(bytes: &[u8]) -> Result<Vec<Attribute>, DecodeError> {
    let own = |attribute: NlaBuffer<&[u8]>| Attribute {
        kind: attribute.kind(),
        value: attribute.value().to_vec(),
    };
    NlasIterator::new(bytes).map(|attribute| attribute.map(own)).collect()
}

/// A command with its attributes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Message {
    command: u8,
    version: u8,
    attributes: Vec<Attribute>,
}

impl Message {
    pub(super) fn new(command: u8, version: u8, attributes: Vec<Attribute>) -> Self {
        Self { command, version, attributes }
    }

    pub(super) fn command(&self) -> u8 {
        self.command
    }

    /// The first attribute of this kind.
    pub(super) fn find(&self, kind: u16) -> Option<&Attribute> {
        self.attributes.iter().find(|attribute| attribute.kind == kind)
    }

    /// The first attribute of this kind, which the kernel always sends.
    pub(super) fn need(&self, kind: u16) -> Result<&Attribute, DecodeError> {
        self.find(kind).ok_or_else(|| format!("attribute {kind} is missing").into())
    }

    pub(super) fn attributes(&self) -> &[Attribute] {
        &self.attributes
    }
}

impl GenlFamily for Message {
    /// Never asked: a message says what is in a family, not which one.
    fn family_name() -> &'static str {
        ""
    }

    fn command(&self) -> u8 {
        self.command
    }

    fn version(&self) -> u8 {
        self.version
    }
}

impl Emitable for Message {
    fn buffer_len(&self) -> usize {
        self.attributes.as_slice().buffer_len()
    }

    fn emit(&self, buffer: &mut [u8]) {
        self.attributes.as_slice().emit(buffer);
    }
}

impl ParseableParametrized<[u8], GenlHeader> for Message {
    fn parse_with_param(bytes: &[u8], header: GenlHeader) -> Result<Self, DecodeError> {
        Ok(Self::new(header.cmd, header.version, attributes(bytes)?))
    }
}

/// The bytes of a request to `family`, to be acknowledged.
pub(super) fn encode(family: u16, sequence: u32, message: Message) -> Vec<u8> {
    let mut header = NetlinkHeader::default();
    header.flags = NLM_F_REQUEST | NLM_F_ACK;
    header.sequence_number = sequence;
    let mut inner = GenlMessage::from_payload(message);
    inner.set_resolved_family_id(family);
    let mut datagram = Datagram::new(header, inner.into());
    datagram.finalize();
    let mut bytes = vec![0; datagram.buffer_len()];
    datagram.serialize(&mut bytes);
    bytes
}

/// Reads a datagram, which holds one message.
pub(super) fn decode(bytes: &[u8]) -> Result<Datagram, DecodeError> {
    Datagram::deserialize(bytes)
}

#[cfg(test)]
mod tests {
    use netlink_packet_core::NetlinkPayload;
    use proptest::prelude::*;

    use super::*;

    #[test]
    #[cfg(target_endian = "little")]
    fn a_request_is_laid_out_as_the_kernel_reads_it() {
        let message = Message::new(
            TCMU_CMD_ADDED_DEVICE_DONE,
            2,
            vec![
                Attribute::i32(TCMU_ATTR_CMD_STATUS, -libc::ENOENT),
                Attribute::u32(TCMU_ATTR_DEVICE_ID, 7),
                Attribute::u8(TCMU_ATTR_SUPP_KERN_CMD_REPLY, 1),
            ],
        );
        #[rustfmt::skip]
        let golden = [
            // nlmsghdr: length, family, REQUEST | ACK, sequence, port
            0x2c, 0, 0, 0,  0x1c, 0,  0x05, 0,  0x04, 0x03, 0x02, 0x01,  0, 0, 0, 0,
            // genlmsghdr: command, version, reserved
            4, 2, 0, 0,
            // CMD_STATUS = -2
            8, 0, 7, 0,  0xfe, 0xff, 0xff, 0xff,
            // DEVICE_ID = 7
            8, 0, 8, 0,  7, 0, 0, 0,
            // SUPP_KERN_CMD_REPLY = 1, padded
            5, 0, 9, 0,  1, 0, 0, 0,
        ];
        assert_eq!(encode(0x1c, 0x0102_0304, message), golden);
    }

    #[test]
    fn lengths_that_point_outside_are_refused() {
        let message = Message::new(1, 2, vec![Attribute::string(TCMU_ATTR_DEVICE, "tcm-user/0/a")]);
        let good = encode(0x1c, 1, message);
        for length in 0..good.len() {
            assert!(decode(&good[..length]).is_err(), "cut at {length}");
        }
        for (offset, length) in [(0, 15), (0, 0), (0, 0xff), (20, 3), (20, 0), (20, 0xff)] {
            let mut bad = good.clone();
            bad[offset] = length;
            assert!(decode(&bad).is_err(), "byte {offset} = {length}");
        }
    }

    fn any_attribute() -> impl Strategy<Value = Attribute> {
        (0..0x4000_u16, prop::collection::vec(any::<u8>(), 0..40))
            .prop_map(|(kind, value)| Attribute { kind, value })
    }

    proptest! {
        #[test]
        fn what_is_encoded_is_decoded(
            command: u8, version: u8, sequence: u32, family in 0x10..u16::MAX,
            attributes in prop::collection::vec(any_attribute(), 0..8),
        ) {
            let message = Message::new(command, version, attributes);
            let datagram = decode(&encode(family, sequence, message.clone())).unwrap();
            prop_assert_eq!(datagram.header.sequence_number, sequence);
            let NetlinkPayload::InnerMessage(inner) = datagram.payload else { panic!() };
            prop_assert_eq!(inner.resolved_family_id(), family);
            prop_assert_eq!(inner.payload, message);
        }

        #[test]
        fn hostile_bytes_are_an_error_and_nothing_worse(
            bytes in prop::collection::vec(any::<u8>(), 0..200),
        ) {
            let _ = decode(&bytes);
        }
    }
}
