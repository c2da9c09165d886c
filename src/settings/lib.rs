//! Files that people write in TOML: values that cannot be wrong, and errors that say where, what,
//! and what was probably meant.
//!
//! Floor 1: `units`, and the crates that parse TOML and compare words. A file is a [`Section`],
//! emptied key by key; a [`Diagnostic`] is the first thing that is wrong in it. What a key means is
//! the business of whoever asks for it.

mod diagnostic;
mod section;
mod size;
mod suggest;
mod time;
pub mod value;

pub use diagnostic::{Diagnostic, Problem};
pub use section::{Item, Section};
pub use size::{ByteSize, Percentage};
pub use suggest::nearest;
pub use time::Time;
pub use toml::de::DeValue;
