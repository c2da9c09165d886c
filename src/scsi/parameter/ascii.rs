//! ASCII data fields of a fixed length (SPC-4, ASCII data field requirements).

use std::fmt;

/// `N` bytes of printable ASCII, left-aligned and padded with spaces.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Ascii<const N: usize>([u8; N]);

impl<const N: usize> Ascii<N> {
    /// The field that holds `text`.
    ///
    /// # Panics
    /// If `text` is longer than `N` bytes or has other than printable ASCII characters; in a
    /// constant that is an error of compilation.
    pub const fn new(text: &str) -> Self {
        let mut field = [b' '; N];
        let mut rest = text.as_bytes();
        let (mut target, too_long) = (field.as_mut_slice(), "a text longer than its field");
        while let [byte, after @ ..] = rest {
            assert!(matches!(*byte, b' '..=b'~'), "only printable ASCII");
            match target.split_first_mut() {
                Some((first, others)) => (*first, target) = (*byte, others),
                None => panic!("{}", too_long),
            }
            rest = after;
        }
        Self(field)
    }

    /// The field as it stands on the wire.
    pub const fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl<const N: usize> fmt::Debug for Ascii<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{}\"", self.0.escape_ascii())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_texts_are_padded_with_spaces() {
        assert_eq!(Ascii::<8>::new("LIO-ORG").as_bytes(), b"LIO-ORG ");
        assert_eq!(Ascii::<4>::new("0001").as_bytes(), b"0001");
        assert_eq!(Ascii::<2>::new("").as_bytes(), b"  ");
    }

    #[test]
    #[should_panic(expected = "longer than its field")]
    fn a_long_text_is_a_bug() {
        Ascii::<4>::new("00001");
    }
}
