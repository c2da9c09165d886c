//! A record being written, in its place.

use pulsefield_data::Buffer;
use zerocopy::{Immutable, IntoBytes};

use crate::event::ImageRole;
use crate::format::{ALIGNMENT, ImageLayout, RECORD_HEADER_BYTES, aligned};

/// The longest image in bytes: a block of a 4Kn unit, or eight sectors. Of more, a part is kept.
pub(crate) const IMAGE_BYTES_MAX: usize = 4096;

/// Room for the longest record: a COMPARE AND WRITE with two images and everything that can be said of it,
/// or a task management function that names as many commands as are listed.
pub(crate) const RECORD_BYTES_MAX: usize = 2 * (IMAGE_BYTES_MAX + size_of::<ImageLayout>()) + 512;

/// The body of a record, written piece by piece into the place that it will have.
pub(crate) struct Entry<'a> {
    bytes: &'a mut [u8],
    end: usize,
}

impl<'a> Entry<'a> {
    /// An empty one. `bytes` hold whatever was there before.
    pub(crate) const fn new(bytes: &'a mut [u8]) -> Self {
        Self { bytes, end: RECORD_HEADER_BYTES }
    }

    /// Adds a structure, whose length is a multiple of eight bytes.
    pub(crate) fn put(&mut self, layout: &(impl IntoBytes + Immutable)) {
        let bytes = layout.as_bytes();
        debug_assert!(bytes.len().is_multiple_of(ALIGNMENT));
        self.bytes[self.end..self.end + bytes.len()].copy_from_slice(bytes);
        self.end += bytes.len();
    }

    /// Adds bytes, and zeros up to the next multiple of eight.
    pub(crate) fn put_bytes(&mut self, bytes: &[u8]) {
        let room = &mut self.bytes[self.end..self.end + aligned(bytes.len())];
        let (into, padding) = room.split_at_mut(bytes.len());
        into.copy_from_slice(bytes);
        padding.fill(0);
        self.end += room.len();
    }

    /// Adds `length` bytes of `from`, from its byte `start` on; `offset` is where they are in what the
    /// command touches. Zeros at the end are not stored: most of a sector of VMFS is zero.
    pub(crate) fn put_image(
        &mut self,
        role: ImageRole,
        offset: u64,
        from: &Buffer,
        start: usize,
        length: usize,
    ) {
        let head = size_of::<ImageLayout>();
        let room = &mut self.bytes[self.end..self.end + head + aligned(length)];
        let (layout, image) = room.split_at_mut(head);
        let (bytes, padding) = image.split_at_mut(length);
        from.read_at(start, bytes);
        padding.fill(0);
        let stored = without_zeros(image);
        let head = ImageLayout {
            offset: offset.into(),
            length: u32::try_from(length).expect("at most IMAGE_BYTES_MAX").into(),
            stored: u16::try_from(stored).expect("at most IMAGE_BYTES_MAX").into(),
            role: role.as_u8(),
            reserved: 0,
        };
        layout.copy_from_slice(head.as_bytes());
        self.end += layout.len() + stored;
    }

    /// How long the record has become.
    pub(crate) const fn length(&self) -> usize {
        self.end
    }
}

/// How many of these bytes are left without the zeros at their end, in multiples of eight.
fn without_zeros(bytes: &[u8]) -> usize {
    let (words, _) = bytes.as_chunks::<ALIGNMENT>();
    let last = words.iter().rposition(|word| u64::from_ne_bytes(*word) != 0);
    last.map_or(0, |last| (last + 1) * ALIGNMENT)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zeros_at_the_end_are_not_stored() {
        for (bytes, stored) in [
            (vec![0; 512], 0),
            ([vec![1], vec![0; 511]].concat(), 8),
            ([vec![0; 8], vec![0, 1], vec![0; 502]].concat(), 16),
            (vec![1; 512], 512),
        ] {
            let mut buffer = Buffer::heap(512);
            buffer.write_at(0, &bytes);
            let mut room = vec![0xa5; 1024];
            let mut entry = Entry::new(&mut room);
            entry.put_image(ImageRole::Written, 0, &buffer, 0, 512);
            assert_eq!(entry.length(), RECORD_HEADER_BYTES + 16 + stored);
            assert_eq!(room[RECORD_HEADER_BYTES + 16..][..stored], bytes[..stored]);
        }
    }

    #[test]
    fn what_is_short_is_padded_with_zeros() {
        let mut room = vec![0xa5; 128];
        let mut entry = Entry::new(&mut room);
        entry.put_bytes(&[1, 2, 3]);
        assert_eq!(entry.length(), RECORD_HEADER_BYTES + 8);
        assert_eq!(room[RECORD_HEADER_BYTES..][..8], [1, 2, 3, 0, 0, 0, 0, 0]);
    }
}
