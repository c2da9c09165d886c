//! Old images of blocks that are laid over what reads bring: `stale-read`. The medium keeps what was
//! written, so nothing is lost once the image is lifted.

use pulsefield_data::Buffer;
use pulsefield_units::{Instant, LbaRange};

use crate::saboteur::rule::RuleId;

/// Bytes that the images of one logical unit may take; for a new one beyond that, the oldest are lifted.
pub(crate) const IMAGE_BYTES_MAX: usize = 64 << 20;

/// An old image of some blocks.
#[derive(Debug)]
struct Overlay {
    rule: RuleId,
    range: LbaRange,
    image: Vec<u8>,
    until: Instant,
}

/// The old images of one logical unit, oldest first.
#[derive(Debug, Default)]
pub(crate) struct Overlays(Vec<Overlay>);

impl Overlays {
    /// Lays `image` over `range` until `until`.
    pub(crate) fn lay(&mut self, rule: RuleId, range: LbaRange, image: Vec<u8>, until: Instant) {
        self.0.push(Overlay { rule, range, image, until });
        let mut bytes: usize = self.0.iter().map(|overlay| overlay.image.len()).sum();
        let mut lifted = 0;
        while bytes > IMAGE_BYTES_MAX && lifted + 1 < self.0.len() {
            bytes -= self.0[lifted].image.len();
            lifted += 1;
        }
        self.0.drain(..lifted);
    }

    /// Lifts what has come to its end.
    pub(crate) fn expire(&mut self, now: Instant) {
        self.0.retain(|overlay| overlay.until > now);
    }

    /// Lifts what these rules have laid.
    pub(crate) fn lift(&mut self, rules: impl Fn(RuleId) -> bool) {
        self.0.retain(|overlay| !rules(overlay.rule));
    }

    /// Whether something lies there that one of these rules has laid.
    pub(crate) fn any(&self, rules: impl Fn(RuleId) -> bool) -> bool {
        self.0.iter().any(|overlay| rules(overlay.rule))
    }

    #[cfg(test)]
    fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The rule with the oldest image over any of these blocks.
    pub(crate) fn over(&self, range: LbaRange) -> Option<RuleId> {
        self.0.iter().find(|overlay| overlay.range.overlaps(range)).map(|overlay| overlay.rule)
    }

    /// Lays the images over what a read of `range` brought. Of several images of a block the oldest
    /// counts: reads do not go back and forth between versions.
    pub(crate) fn apply(&self, range: LbaRange, block: usize, data: &mut Buffer) {
        for overlay in self.0.iter().rev().filter(|overlay| overlay.range.overlaps(range)) {
            let start = range.start().max(overlay.range.start());
            let end = range.end().min(overlay.range.end());
            let bytes = |from, to: pulsefield_units::Lba| {
                let blocks = to.checked_sub(from).expect("it overlaps").as_u64();
                usize::try_from(blocks).expect("what one transfer moves") * block
            };
            let from = bytes(overlay.range.start(), start);
            let to = bytes(range.start(), start);
            data.write_at(to, &overlay.image[from..from + bytes(start, end)]);
        }
    }
}

#[cfg(test)]
mod tests {
    use pulsefield_units::{BlockCount, Lba};

    use super::*;

    fn range(start: u64, blocks: u64) -> LbaRange {
        LbaRange::new(Lba::new(start), BlockCount::new(blocks)).unwrap()
    }

    fn rule(position: usize) -> RuleId {
        RuleId { plan: crate::PlanId::new(0), position }
    }

    fn at(nanos: u64) -> Instant {
        Instant::from_nanos(nanos)
    }

    #[test]
    fn the_oldest_image_of_a_block_is_read_until_it_is_lifted() {
        let mut overlays = Overlays::default();
        overlays.lay(rule(0), range(4, 2), b"aabb".to_vec(), at(10));
        overlays.lay(rule(1), range(5, 2), b"ccdd".to_vec(), at(20));
        let read = |overlays: &Overlays| {
            let mut data = Buffer::heap(10);
            overlays.apply(range(3, 5), 2, &mut data);
            let mut bytes = [0; 10];
            data.read_at(0, &mut bytes);
            bytes
        };
        assert_eq!(read(&overlays), *b"\0\0aabbdd\0\0");
        assert_eq!(overlays.over(range(6, 9)), Some(rule(1)));
        assert_eq!(overlays.over(range(7, 1)), None);
        overlays.expire(at(10));
        assert_eq!(read(&overlays), *b"\0\0\0\0ccdd\0\0");
        overlays.lift(|laid| laid == rule(1));
        assert!(overlays.is_empty());
    }

    #[test]
    fn images_beyond_the_bound_lift_the_oldest() {
        let mut overlays = Overlays::default();
        for start in 0..3 {
            overlays.lay(rule(0), range(start, 1), vec![0; IMAGE_BYTES_MAX / 2], at(1));
        }
        let left = overlays.0.iter().map(|overlay| overlay.range.start().as_u64());
        assert_eq!(left.collect::<Vec<_>>(), [1, 2]);
    }
}
