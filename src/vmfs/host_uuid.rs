//! The names of hosts, and those of volumes, which are made in the same way.

use std::fmt;
use std::str::FromStr;

use thiserror::Error;

/// The UUID of a host: two words of 32 bits, one of 16, and six bytes, which are the MAC address of
/// its management port. Written `685eb8eb-7f3e3890-4544-bc2411b17e28`, as ESXi does.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct HostUuid([u8; 16]);

/// What is written is not the UUID of a host.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error(
    "a host's UUID is 8, 8, 4 and 12 hexadecimal digits with hyphens between them, not all zero"
)]
pub struct HostUuidError;

impl HostUuid {
    /// The UUID in these bytes of the medium; `None` for zeros, which name nobody.
    pub const fn from_bytes(bytes: [u8; 16]) -> Option<Self> {
        match u128::from_ne_bytes(bytes) {
            0 => None,
            _ => Some(Self(bytes)),
        }
    }

    /// The bytes on the medium.
    pub const fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }

    /// The MAC address of its management port. Unlike the rest it outlives an installation.
    pub const fn mac_address(&self) -> [u8; 6] {
        let [.., a, b, c, d, e, f] = self.0;
        [a, b, c, d, e, f]
    }
}

impl fmt::Display for HostUuid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_uuid(&self.0, f)
    }
}

impl fmt::Debug for HostUuid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "HostUuid({self})")
    }
}

/// The UUID of a file system, of a volume of LVM or of one of its devices: when and by which host it was
/// made. Written as that of a host.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct VolumeUuid([u8; 16]);

impl VolumeUuid {
    /// The UUID in these bytes of the medium.
    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    /// The bytes on the medium.
    pub const fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }

    /// The MAC address of the host that made it.
    pub const fn mac_address(&self) -> [u8; 6] {
        let [.., a, b, c, d, e, f] = self.0;
        [a, b, c, d, e, f]
    }
}

impl fmt::Display for VolumeUuid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_uuid(&self.0, f)
    }
}

impl fmt::Debug for VolumeUuid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "VolumeUuid({self})")
    }
}

/// Writes a UUID as ESXi does; also the one of nobody, which is all zeros.
pub(crate) fn write_uuid(bytes: &[u8; 16], f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let [a, b, c, d, e, g, h, i, j, k, mac @ ..] = *bytes;
    let first = u32::from_le_bytes([a, b, c, d]);
    let second = u32::from_le_bytes([e, g, h, i]);
    write!(f, "{first:08x}-{second:08x}-{:04x}-", u16::from_le_bytes([j, k]))?;
    mac.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
}

impl FromStr for HostUuid {
    type Err = HostUuidError;

    fn from_str(text: &str) -> Result<Self, HostUuidError> {
        let groups: Vec<&str> = text.split('-').collect();
        let [first, second, third, mac] = groups[..] else {
            return Err(HostUuidError);
        };
        let mut bytes = [0; 16];
        bytes[..4].copy_from_slice(&number::<4>(first)?);
        bytes[4..8].copy_from_slice(&number::<4>(second)?);
        bytes[8..10].copy_from_slice(&number::<2>(third)?);
        bytes[10..].copy_from_slice(&number::<6>(mac)?);
        // Of the numbers the last byte is written first, of the address the first.
        bytes[..4].reverse();
        bytes[4..8].reverse();
        bytes[8..10].reverse();
        Self::from_bytes(bytes).ok_or(HostUuidError)
    }
}

/// The `N` bytes that `2 * N` digits stand for, in the order in which they are written.
fn number<const N: usize>(digits: &str) -> Result<[u8; N], HostUuidError> {
    // `from_str_radix` alone would also take a sign.
    if digits.len() != 2 * N || !digits.bytes().all(|digit| digit.is_ascii_hexdigit()) {
        return Err(HostUuidError);
    }
    let number = u64::from_str_radix(digits, 16).map_err(|_| HostUuidError)?.to_be_bytes();
    number.last_chunk().copied().ok_or(HostUuidError)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_written_as_esxi_does() {
        let bytes = [
            0xeb, 0xb8, 0x5e, 0x68, 0x90, 0x38, 0x3e, 0x7f, 0x44, 0x45, 0xbc, 0x24, 0x11, 0xb1,
            0x7e, 0x28,
        ];
        let host = HostUuid::from_bytes(bytes).unwrap();
        assert_eq!(host.to_string(), "685eb8eb-7f3e3890-4544-bc2411b17e28");
        assert_eq!("685EB8EB-7f3e3890-4544-bc2411b17e28".parse(), Ok(host));
        assert_eq!(host.mac_address(), [0xbc, 0x24, 0x11, 0xb1, 0x7e, 0x28]);
        assert_eq!(VolumeUuid::from_bytes(bytes).to_string(), host.to_string());
    }

    #[test]
    fn other_text_is_no_name() {
        for text in [
            "",
            "685eb8eb",
            "685eb8eb-7f3e3890-4544-bc2411b17e2",
            "685eb8eb-7f3e3890-4544-bc2411b17e28-",
            "+85eb8eb-7f3e3890-4544-bc2411b17e28",
            "685eb8eb-7f3e-3890-4544-bc2411b17e28",
            "00000000-00000000-0000-000000000000",
        ] {
            assert_eq!(text.parse::<HostUuid>(), Err(HostUuidError), "{text}");
        }
    }
}
