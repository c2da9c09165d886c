//! How many bytes, for people.

use std::fmt;

/// A number of bytes in the largest binary unit of which there is at least one, rounded down to a tenth.
#[derive(Clone, Copy, Debug)]
pub struct Size(pub u64);

const UNITS: [&str; 7] = ["bytes", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bytes = self.0;
        let mut shift = 0;
        let mut unit = 0;
        while bytes >> shift >= 1024 {
            shift += 10;
            unit += 1;
        }
        let whole = bytes >> shift;
        let tenth = ((u128::from(bytes) * 10) >> shift) - u128::from(whole) * 10;
        match tenth {
            0 => write!(f, "{whole} {}", UNITS[unit]),
            tenth => write!(f, "{whole}.{tenth} {}", UNITS[unit]),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_short_and_never_rounded_up() {
        for (bytes, words) in [
            (0, "0 bytes"),
            (1023, "1023 bytes"),
            (1024, "1 KiB"),
            (1536, "1.5 KiB"),
            (64 << 30, "64 GiB"),
            ((1 << 40) - 1, "1023.9 GiB"),
            (u64::MAX, "15.9 EiB"),
        ] {
            assert_eq!(Size(bytes).to_string(), words);
        }
    }
}
