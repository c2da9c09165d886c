//! Names for things that are counted.

use std::fmt;

/// A logical unit of this daemon: the minor number N of its `/dev/uioN`, unique while it lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LuId(u32);

impl LuId {
    /// The logical unit behind `/dev/uio<minor>`.
    pub const fn new(minor: u32) -> Self {
        Self(minor)
    }

    /// The minor number.
    pub const fn as_u32(self) -> u32 {
        self.0
    }
}

impl fmt::Display for LuId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "uio{}", self.0)
    }
}

/// One task of a logical unit: a command in flight. Counts up and is never used twice in a life of
/// the logical unit, so a record can name a command long after it ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TaskId(u64);

impl TaskId {
    /// The first task of a logical unit.
    pub const FIRST: Self = Self(0);

    /// The task's number.
    pub const fn as_u64(self) -> u64 {
        self.0
    }

    /// The task after this one.
    #[must_use]
    pub const fn next(self) -> Self {
        // 2^64 commands take half a million years at a million a second.
        Self(self.0 + 1)
    }
}

impl fmt::Display for TaskId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
