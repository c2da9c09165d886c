//! Where a field lies in a CDB or a parameter list: written down once, then read and pointed at.
//!
//! A field that lies past the end of the bytes reads as zero. That never decides anything: a CDB
//! is parsed only once it is as long as its operation code asks for, and a parameter list only as
//! far as its own lengths have been checked.

use crate::Sense;

/// Up to eight bits inside one byte.
#[derive(Clone, Copy)]
pub(crate) struct Bits {
    byte: u16,
    left: u8,
    right: u8,
}

impl Bits {
    /// Bits `left` down to `right` of `byte`, as in T10's tables; 7 is the leftmost of a byte.
    pub(crate) const fn new(byte: u16, left: u8, right: u8) -> Self {
        assert!(left <= 7 && right <= left);
        Self { byte, left, right }
    }

    /// The same bits of another byte.
    pub(crate) const fn in_byte(self, byte: u16) -> Self {
        Self { byte, ..self }
    }

    /// The field's value, moved to the right.
    pub(crate) fn read(self, bytes: &[u8]) -> u8 {
        let [byte] = window(bytes, self.byte);
        // Never out of range: `new` has seen 7 >= left >= right.
        (byte & (0xff >> (7_u8.saturating_sub(self.left)))) >> self.right
    }

    /// 05h/24h/00h with a pointer to this field; a pointer names the leftmost bit (SPC-4 4.5.2.4.2).
    pub(crate) const fn invalid_in_cdb(self) -> Sense {
        Sense::invalid_field_in_cdb(self.byte, Some(self.left))
    }

    /// 05h/26h/00h with a pointer to this field of a structure `offset` bytes into the list.
    pub(crate) fn invalid_in_parameter_list(self, offset: usize) -> Sense {
        let byte = self.byte.saturating_add(position(offset));
        Sense::invalid_field_in_parameter_list(byte, Some(self.left))
    }
}

/// One bit.
#[derive(Clone, Copy)]
pub(crate) struct Flag(Bits);

impl Flag {
    /// Bit `bit` of `byte`.
    pub(crate) const fn new(byte: u16, bit: u8) -> Self {
        Self(Bits::new(byte, bit, bit))
    }

    /// The same bit of another byte.
    pub(crate) const fn in_byte(self, byte: u16) -> Self {
        Self(self.0.in_byte(byte))
    }

    /// Whether the bit is set.
    pub(crate) fn read(self, bytes: &[u8]) -> bool {
        self.0.read(bytes) != 0
    }

    /// 05h/24h/00h with a pointer to this bit.
    pub(crate) const fn invalid_in_cdb(self) -> Sense {
        self.0.invalid_in_cdb()
    }

    /// 05h/26h/00h with a pointer to this bit of a structure `offset` bytes into the list.
    pub(crate) fn invalid_in_parameter_list(self, offset: usize) -> Sense {
        self.0.invalid_in_parameter_list(offset)
    }
}

/// A big-endian number of `N` whole bytes.
#[derive(Clone, Copy)]
pub(crate) struct Number<const N: usize> {
    byte: u16,
}

impl<const N: usize> Number<N> {
    /// The number that starts at `byte`.
    pub(crate) const fn at(byte: u16) -> Self {
        Self { byte }
    }

    /// 05h/24h/00h with a pointer to this field.
    pub(crate) const fn invalid_in_cdb(self) -> Sense {
        Sense::invalid_field_in_cdb(self.byte, None)
    }

    /// 05h/26h/00h with a pointer to this field of a structure `offset` bytes into the list.
    pub(crate) fn invalid_in_parameter_list(self, offset: usize) -> Sense {
        let byte = self.byte.saturating_add(position(offset));
        Sense::invalid_field_in_parameter_list(byte, None)
    }
}

impl Number<1> {
    /// The number.
    pub(crate) fn read(self, bytes: &[u8]) -> u8 {
        u8::from_be_bytes(window(bytes, self.byte))
    }
}

impl Number<2> {
    /// The number.
    pub(crate) fn read(self, bytes: &[u8]) -> u16 {
        u16::from_be_bytes(window(bytes, self.byte))
    }
}

impl Number<4> {
    /// The number.
    pub(crate) fn read(self, bytes: &[u8]) -> u32 {
        u32::from_be_bytes(window(bytes, self.byte))
    }
}

impl Number<8> {
    /// The number.
    pub(crate) fn read(self, bytes: &[u8]) -> u64 {
        u64::from_be_bytes(window(bytes, self.byte))
    }
}

/// The place of a byte as a field pointer tells it. No CDB and no parameter list is so long that it
/// would saturate.
pub(crate) fn position(byte: usize) -> u16 {
    u16::try_from(byte).unwrap_or(u16::MAX)
}

fn window<const N: usize>(bytes: &[u8], at: u16) -> [u8; N] {
    bytes.get(usize::from(at)..).and_then(<[u8]>::first_chunk).copied().unwrap_or([0; N])
}

#[cfg(test)]
mod tests {
    use super::*;

    const BYTES: [u8; 9] = [0x00, 0b1010_0110, 0x12, 0x34, 0x56, 0x78, 0x9a, 0xbc, 0xde];

    #[test]
    fn bits_are_counted_from_the_right() {
        assert_eq!(Bits::new(1, 7, 5).read(&BYTES), 0b101);
        assert_eq!(Bits::new(1, 2, 1).read(&BYTES), 0b11);
        assert_eq!(Bits::new(1, 7, 0).read(&BYTES), 0xa6);
        assert!(Flag::new(1, 2).read(&BYTES) && !Flag::new(1, 0).read(&BYTES));
    }

    #[test]
    fn numbers_are_big_endian_and_zero_past_the_end() {
        assert_eq!(Number::<2>::at(2).read(&BYTES), 0x1234);
        assert_eq!(Number::<4>::at(5).read(&BYTES), 0x789a_bcde);
        assert_eq!(Number::<4>::at(6).read(&BYTES), 0);
        assert_eq!(Number::<8>::at(1).read(&BYTES), 0xa612_3456_789a_bcde);
        assert_eq!(Number::<1>::at(u16::MAX).read(&BYTES), 0);
    }

    #[test]
    fn a_pointer_names_the_leftmost_bit() {
        assert_eq!(Bits::new(1, 7, 5).invalid_in_cdb(), Sense::invalid_field_in_cdb(1, Some(7)));
        assert_eq!(Number::<8>::at(2).invalid_in_cdb(), Sense::invalid_field_in_cdb(2, None));
    }
}
