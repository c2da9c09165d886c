//! Units of the house: blocks, bytes, addresses and time as types that cannot be confused; and chance.
//!
//! Floor 0: nothing but `core` and `std`. Every quantity has a private field and checked
//! arithmetic; a [`LbaRange`] cannot be empty and cannot overflow, by construction. Blocks become
//! bytes only through a [`BlockLength`].

mod address;
mod block_length;
mod cdb;
mod id;
mod instant;
mod random;

pub use address::{BlockCount, Lba, LbaRange};
pub use block_length::{BlockLength, BlockLengthError};
pub use cdb::Cdb;
pub use id::{LuId, TaskId};
pub use instant::Instant;
pub use random::{Random, mix};
