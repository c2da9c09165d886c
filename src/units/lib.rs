//! Units of the house: blocks, bytes, addresses and time as types that cannot be confused; and chance.
//!
//! Floor 0: nothing but `core` and `std`. Every quantity has a private field and checked
//! arithmetic; a [`LbaRange`] cannot be empty and cannot overflow, by construction. Blocks become
//! bytes only through a [`BlockLength`]. What people read of quantities, a few digits and a unit, is here as well.

mod address;
mod block_length;
mod cdb;
mod histogram;
mod id;
mod instant;
mod random;
mod size;
mod span;

pub use address::{BlockCount, Lba, LbaRange};
pub use block_length::{BlockLength, BlockLengthError};
pub use cdb::Cdb;
pub use histogram::Histogram;
pub use id::{LuId, TaskId};
pub use instant::Instant;
pub use random::{Random, mix};
pub use size::Size;
pub use span::{Micros, Span};
