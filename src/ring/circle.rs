//! Arithmetic on offsets into the command ring, whose size is not a power of two.

/// A ring of `size` bytes; offsets into it are always below `size`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Circle {
    size: u32,
}

impl Circle {
    pub(crate) const fn new(size: u32) -> Self {
        Self { size }
    }

    /// The size in bytes.
    pub(crate) const fn size(self) -> u32 {
        self.size
    }

    /// How many bytes lie between `offset` and the end of the ring. `offset` must lie inside.
    pub(crate) const fn to_end(self, offset: u32) -> u32 {
        // Never saturates: an offset is below the size.
        self.size.saturating_sub(offset)
    }

    /// How many bytes one must go forward from `from` to come to `to`; 0 if they are the same.
    pub(crate) const fn distance(self, from: u32, to: u32) -> u32 {
        match to.checked_sub(from) {
            Some(ahead) => ahead,
            // Never saturates: `to` is below `from`, so the sum is below the size.
            None => self.to_end(from).saturating_add(to),
        }
    }

    /// The offset `len` bytes after `offset`; `len` must not exceed [`Circle::to_end`].
    pub(crate) const fn advance(self, offset: u32, len: u32) -> u32 {
        if len >= self.to_end(offset) {
            return 0;
        }
        // Never saturates: the sum is below the size.
        offset.saturating_add(len)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_of_the_ring_is_its_start() {
        let circle = Circle::new(1000);
        assert_eq!(circle.advance(888, 112), 0);
        assert_eq!(circle.advance(880, 112), 992);
        assert_eq!(circle.to_end(992), 8);
        assert_eq!(circle.distance(992, 0), 8);
        assert_eq!(circle.distance(0, 992), 992);
        assert_eq!(circle.distance(992, 984), 992);
        assert_eq!(circle.distance(16, 16), 0);
    }
}
