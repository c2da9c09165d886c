//! Which promises (`docs/promises.md`) a fault may break: what a soak or a simulation accepts while it hits.
//!
//! The runs of both have shown what is here; what is not here is an objection there.

use pulsefield_checkers::Promise::{
    self, Durability, Fairness, HeartbeatDeadline, Information, Linearizable, LockExclusion,
    Monotonic, NoEarlyTakeover,
};

/// Commands come late, or are asked for in vain.
pub(super) const LATE: &[Promise] = &[HeartbeatDeadline, Fairness];

/// What was equal is told to be different. Seen from outside, such a block is no register.
pub(super) const MISTOLD: &[Promise] = &[HeartbeatDeadline, Fairness, Linearizable, Information];

/// The same of what was written before: whoever acknowledged a write for the block does not find it at the end.
pub(super) const DONE_TWICE: &[Promise] =
    &[HeartbeatDeadline, Fairness, Linearizable, Information, Durability];

/// Only what a miscompare is told with is wrong.
pub(super) const OFFSET: &[Promise] = &[Information];

/// Metadata on the medium, or what is read of it, is not what hosts were told: whatever follows. But each command is
/// answered once, which is the kernel's to keep.
pub(super) const METADATA: &[Promise] = &[
    LockExclusion,
    Linearizable,
    Information,
    HeartbeatDeadline,
    Durability,
    Fairness,
    Monotonic,
    NoEarlyTakeover,
];

/// Blocks that should be zeros, or should not: no metadata is ever unmapped.
pub(super) const ZEROS: &[Promise] = &[Linearizable, Durability];

/// What a unit says of its blocks is not what they hold.
pub(super) const TOLD_OF: &[Promise] = &[Linearizable];
