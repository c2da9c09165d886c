//! The fields of a sector, by name: what differs between two images, field by field.

use std::fmt;
use std::time::Duration;

use crate::heartbeat::text;
use crate::{HeartbeatState, HostUuid, JournalAddress, LockKind, LockMode, Object, SECTOR};

/// A field of a heartbeat or a lock. All fields together are the whole sector.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Field {
    /// What it is called: `generation`, `holder 0 host`.
    pub name: &'static str,
    /// Where it begins, in bytes from the start of the sector.
    pub offset: usize,
    /// How long it is, in bytes.
    pub length: usize,
    form: Form,
}

/// How the bytes of a field are to be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    State,
    Kind,
    Mode,
    Number,
    /// Microseconds.
    Stamp,
    Host,
    Journal,
    Text,
    /// Of these the meaning is not known, or there is none.
    Bytes,
}

/// What a field holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FieldValue {
    /// The state of a heartbeat.
    State(HeartbeatState),
    /// What a lock protects.
    Kind(LockKind),
    /// What a lock is taken for.
    Mode(LockMode),
    /// A number, or an address in bytes from the start of the volume.
    Number(u64),
    /// How long a host had been up.
    Stamp(Duration),
    /// A host, or nobody.
    Host(Option<HostUuid>),
    /// A journal, or none.
    Journal(Option<JournalAddress>),
    /// Text, without the NULs that fill it up.
    Text(String),
    /// Bytes as they are: of unknown meaning, or of none that fits the field.
    Bytes(Vec<u8>),
}

/// A field that differs between two images of a sector.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FieldDiff {
    /// The field.
    pub field: Field,
    /// What it held.
    pub old: FieldValue,
    /// What it holds.
    pub new: FieldValue,
}

/// The longest run of bytes that is written out.
const BYTES_SHOWN: usize = 32;

const HEARTBEAT: &[Field] = &[
    field("state", 0x00, 4, Form::State),
    field("address", 0x04, 8, Form::Number),
    field("generation", 0x0c, 8, Form::Number),
    field("stamp", 0x14, 8, Form::Stamp),
    field("owner", 0x1c, 16, Form::Host),
    field("journal", 0x2c, 4, Form::Journal),
    field("major version", 0x30, 4, Form::Number),
    field("minor version", 0x34, 1, Form::Number),
    field("lock implementation", 0x35, 1, Form::Number),
    field("management address", 0x36, 46, Form::Text),
    field("journal offset", 0x64, 8, Form::Number),
    field("replaying host", 0x6c, 16, Form::Host),
    field("unknown", 0x7c, 24, Form::Bytes),
    field("replaying heartbeat", 0x94, 8, Form::Number),
    field("replaying generation", 0x9c, 8, Form::Number),
    field("rest", 0xa4, SECTOR - 0xa4, Form::Bytes),
];

const LOCK: &[Field] = &[
    field("kind", 0x00, 4, Form::Kind),
    field("address", 0x04, 8, Form::Number),
    field("heartbeat address", 0x0c, 8, Form::Number),
    field("heartbeat generation", 0x14, 8, Form::Number),
    field("token", 0x1c, 8, Form::Number),
    field("mode", 0x24, 4, Form::Mode),
    field("owner", 0x28, 16, Form::Host),
    field("modification time", 0x38, 8, Form::Number),
    field("holders", 0x40, 4, Form::Number),
    field("holder 0 heartbeat", 0x44, 8, Form::Number),
    field("holder 0 generation", 0x4c, 8, Form::Number),
    field("holder 0 host", 0x54, 16, Form::Host),
    field("holder 1 heartbeat", 0x64, 8, Form::Number),
    field("holder 1 generation", 0x6c, 8, Form::Number),
    field("holder 1 host", 0x74, 16, Form::Host),
    field("holder 2 heartbeat", 0x84, 8, Form::Number),
    field("holder 2 generation", 0x8c, 8, Form::Number),
    field("holder 2 host", 0x94, 16, Form::Host),
    field("holder 3 heartbeat", 0xa4, 8, Form::Number),
    field("holder 3 generation", 0xac, 8, Form::Number),
    field("holder 3 host", 0xb4, 16, Form::Host),
    field("holder 4 heartbeat", 0xc4, 8, Form::Number),
    field("holder 4 generation", 0xcc, 8, Form::Number),
    field("holder 4 host", 0xd4, 16, Form::Host),
    field("holder 5 heartbeat", 0xe4, 8, Form::Number),
    field("holder 5 generation", 0xec, 8, Form::Number),
    field("holder 5 host", 0xf4, 16, Form::Host),
    field("holder 6 heartbeat", 0x104, 8, Form::Number),
    field("holder 6 generation", 0x10c, 8, Form::Number),
    field("holder 6 host", 0x114, 16, Form::Host),
    field("holder 7 heartbeat", 0x124, 8, Form::Number),
    field("holder 7 generation", 0x12c, 8, Form::Number),
    field("holder 7 host", 0x134, 16, Form::Host),
    field("unknown", 0x144, 32, Form::Bytes),
    field("global holders", 0x164, 4, Form::Number),
    field("global generation", 0x168, 8, Form::Number),
    field("global break", 0x170, 4, Form::Number),
    field("unknown too", 0x174, 36, Form::Bytes),
    field("affinity heartbeat", 0x198, 8, Form::Number),
    field("affinity generation", 0x1a0, 4, Form::Number),
    field("affinity magic", 0x1a4, 4, Form::Number),
    field("affinity host", 0x1a8, 16, Form::Host),
    field("rest", 0x1b8, SECTOR - 0x1b8, Form::Bytes),
];

const _: () = assert!(is_whole_sector(HEARTBEAT) && is_whole_sector(LOCK));

const fn field(name: &'static str, offset: usize, length: usize, form: Form) -> Field {
    Field { name, offset, length, form }
}

/// Whether every field begins where the one before it ends.
const fn is_whole_sector(fields: &[Field]) -> bool {
    let mut at = 0;
    let mut nth = 0;
    while nth < fields.len() {
        if fields[nth].offset != at {
            return false;
        }
        at += fields[nth].length;
        nth += 1;
    }
    at == SECTOR
}

/// The fields of a sector that holds such an object.
pub(crate) const fn fields_of(object: &Object) -> &'static [Field] {
    match object {
        Object::Heartbeat(_) => HEARTBEAT,
        Object::Lock(_) => LOCK,
    }
}

/// The fields of `fields` that differ between two sectors, in their order.
pub(crate) fn differing(
    fields: &'static [Field],
    old: &[u8; SECTOR],
    new: &[u8; SECTOR],
) -> Vec<FieldDiff> {
    let diff = |field: &Field| {
        let range = field.offset..field.offset + field.length;
        let (old, new) = (&old[range.clone()], &new[range]);
        (old != new).then(|| FieldDiff {
            field: *field,
            old: field.read(old),
            new: field.read(new),
        })
    };
    fields.iter().filter_map(diff).collect()
}

impl Field {
    /// The value in `bytes`, which are those of this field.
    fn read(&self, bytes: &[u8]) -> FieldValue {
        let number = || {
            let mut number = [0; 8];
            number[..bytes.len()].copy_from_slice(bytes);
            u64::from_le_bytes(number)
        };
        let word = || u32::try_from(number()).unwrap_or(u32::MAX);
        let host = || bytes.try_into().ok().and_then(HostUuid::from_bytes);
        let meant = match self.form {
            Form::State => HeartbeatState::decode(word()).map(FieldValue::State),
            Form::Kind => LockKind::decode(word()).map(FieldValue::Kind),
            Form::Mode => LockMode::decode(word()).map(FieldValue::Mode),
            Form::Number => Some(FieldValue::Number(number())),
            Form::Stamp => Some(FieldValue::Stamp(Duration::from_micros(number()))),
            Form::Host => Some(FieldValue::Host(host())),
            Form::Journal => Some(FieldValue::Journal(JournalAddress::from_raw(word()))),
            // What follows the first NUL has to be more of them: text alone would hide a difference there.
            Form::Text => text(bytes)
                .filter(|text| bytes[text.len()..].iter().all(|byte| *byte == 0))
                .map(|text| FieldValue::Text(text.to_owned())),
            Form::Bytes => None,
        };
        meant.unwrap_or_else(|| FieldValue::Bytes(bytes.to_vec()))
    }
}

impl fmt::Display for FieldValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::State(state) => f.write_str(state.name()),
            Self::Kind(kind) => f.write_str(kind.name()),
            Self::Mode(mode) => f.write_str(mode.name()),
            Self::Number(number) => write!(f, "{number}"),
            Self::Stamp(stamp) => write!(f, "{}.{:06} s", stamp.as_secs(), stamp.subsec_micros()),
            Self::Host(Some(host)) => write!(f, "{host}"),
            Self::Host(None) => f.write_str("nobody"),
            Self::Journal(Some(journal)) => write!(f, "{journal}"),
            Self::Journal(None) => f.write_str("none"),
            Self::Text(text) => write!(f, "{text:?}"),
            Self::Bytes(bytes) => {
                let shown = &bytes[..bytes.len().min(BYTES_SHOWN)];
                shown.iter().try_for_each(|byte| write!(f, "{byte:02x}"))?;
                f.write_str(if shown.len() < bytes.len() { "…" } else { "" })
            }
        }
    }
}

impl fmt::Display for FieldDiff {
    /// `token: 4 → 6`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {} → {}", self.field.name, self.old, self.new)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn diffs(fields: &'static [Field], old: &[u8; SECTOR], new: &[u8; SECTOR]) -> Vec<String> {
        differing(fields, old, new).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn fields_are_named_with_what_they_held_and_hold() {
        let (mut old, mut new) = ([0; SECTOR], [0; SECTOR]);
        old[..4].copy_from_slice(&[0x02, 0xef, 0xcd, 0xab]);
        new[..4].copy_from_slice(&[0x01, 0xef, 0xcd, 0xab]);
        new[0x0c] = 6;
        old[0x14..0x1c].copy_from_slice(&3_000_042_u64.to_le_bytes());
        old[0x1c..0x2c].fill(0x11);
        old[0x2c] = 0x16;
        new[0x36..0x3a].copy_from_slice(b"::1\0");
        new[0xa4] = 0xff;
        assert_eq!(
            diffs(HEARTBEAT, &old, &new),
            [
                "state: in use → clear",
                "generation: 0 → 6",
                "stamp: 3.000042 s → 0.000000 s",
                "owner: 11111111-11111111-1111-111111111111 → nobody",
                "journal: <JB c2 r0> → none",
                "management address: \"\" → \"::1\"",
                &format!("rest: {0}… → ff{1}…", "00".repeat(32), "00".repeat(31)),
            ]
        );
    }

    #[test]
    fn what_a_field_cannot_hold_is_shown_as_it_is() {
        let (mut old, mut new) = ([0; SECTOR], [0; SECTOR]);
        old[..4].copy_from_slice(&[0x07, 0x00, 0xc0, 0x10]);
        new[0x24] = 9;
        assert_eq!(
            diffs(LOCK, &old, &new),
            ["kind: journal cluster → 00000000", "mode: free → 09000000"]
        );
    }
}
