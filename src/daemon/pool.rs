//! Pools of space: what the media of several units take together.
//!
//! Each unit publishes what its own medium takes, when it looks (`engine/space.rs` says when), and
//! learns what all take. That is one atomic addition; units wait for nothing of one another. A unit
//! that does not serve takes part in nothing, although its medium goes on taking space.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// All pools that units are in, by name.
#[derive(Clone, Default)]
pub(crate) struct Pools(Arc<Mutex<BTreeMap<String, Arc<AtomicU64>>>>);

impl Pools {
    /// A new unit's share of the pool `name`; nothing of it is taken yet.
    pub(crate) fn join(&self, name: &str) -> Share {
        // A panic cannot leave the map half changed.
        let mut pools = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let used = pools.entry(name.to_owned()).or_default().clone();
        Share { name: name.to_owned(), used, published: 0 }
    }

    /// What all units of the pool `name` take, in bytes.
    pub(crate) fn used(&self, name: &str) -> u64 {
        let pools = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        pools.get(name).map_or(0, |used| used.load(Ordering::Relaxed))
    }
}

/// What one unit takes of its pool; given back when it is dropped.
#[derive(Debug)]
pub(crate) struct Share {
    name: String,
    /// What all units take, in bytes. Relaxed: a number of its own, on which no other memory depends.
    used: Arc<AtomicU64>,
    published: u64,
}

impl Share {
    /// The pool's name.
    pub(crate) fn pool(&self) -> &str {
        &self.name
    }

    /// Says that the unit takes `allocated` bytes now; returns what all take.
    pub(crate) fn publish(&mut self, allocated: u64) -> u64 {
        // Wrapping twice comes out right: what is subtracted was added before.
        let change = allocated.wrapping_sub(self.published);
        self.published = allocated;
        self.used.fetch_add(change, Ordering::Relaxed).wrapping_add(change)
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.publish(0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pool_is_what_its_units_take_together() {
        let pools = Pools::default();
        let (mut one, mut two, mut other) =
            (pools.join("gold"), pools.join("gold"), pools.join("silver"));
        assert_eq!(one.publish(100), 100);
        assert_eq!(two.publish(50), 150);
        assert_eq!(other.publish(7), 7);
        assert_eq!(one.publish(30), 80);
        drop(two);
        assert_eq!(one.publish(30), 30);
        assert_eq!(["gold", "silver", "none"].map(|name| pools.used(name)), [30, 7, 0]);
        assert_eq!((one.pool(), other.pool()), ("gold", "silver"));
    }
}
