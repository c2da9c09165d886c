//! `pulsefield top`: what a daemon does, on a screen of 80 by 24 characters, once a second.
//!
//! Floor 4: what the control socket says, and ratatui. A [`Sample`] is all that the daemon says at one
//! moment; [`Model`] is the state machine that samples and keys go into, with time passed in; [`draw()`]
//! shows a model and changes nothing; [`watch()`] is the loop around them, on a real terminal.

mod draw;
mod model;
mod sample;
mod text;
mod watch;

pub use draw::draw;
pub use model::{Key, Model, Order, Then};
pub use sample::{Miscompare, Sample};
pub use watch::{Daemon, once, watch};
