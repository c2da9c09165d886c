//! What a soak found: recorded while it runs, kept as data, shown to people and to machines.
//!
//! Floor 3: `units` for times, `vmfs` for what a lease is, `hostlog` for dates, `checkers` for what was
//! judged. A [`Recorder`] hears what the checkers hear, in memory that does not grow with the length of a
//! run, and its end is a [`Run`]: all that is known, as data. [`json`] writes and reads that, [`html`] is the
//! page that people look at, [`text`] a few lines of it, [`junit`] is for build servers. Nothing here judges, reads a clock, or does I/O.

pub mod html;
pub mod json;
pub mod junit;
mod markup;
mod recorder;
mod run;
mod series;
#[cfg(test)]
mod testing;
pub mod text;
mod words;

pub use recorder::{Conclusion, Found, Recorder};
pub use run::{
    Breach, Cause, Commands, Emulation, End, Environment, Evidence, Expectation, Explanation,
    Fault, Host, Incident, Judgement, Orders, Outcomes, Path, Promise, Pulses, Run, Setup,
    Standing, Unit, View,
};
pub use series::{Intervals, Latencies, Series, Spread, Traffic};
