//! The data of one command: scatter/gather memory that is moved, never shared.
//!
//! Floor 0. A [`Buffer`] is either a window on memory that somebody else keeps alive (the TCMU data
//! area, through the `ring` room) or memory of its own. It travels by ownership: ring to engine,
//! engine to handler, and back with the answer, so nobody can touch the pages of a finished
//! command. Shared bytes are never seen as a `&[u8]`; they are copied in or out, or handed to the
//! kernel as an I/O vector.
//!
//! This is the one room of floors 0 and 1 besides `ring` that contains `unsafe`, all of it in
//! `buffer.rs`.

mod buffer;

pub use buffer::{Buffer, Keep, Segment, SegmentList};
