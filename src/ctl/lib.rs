//! The command line of `pulsefield`: a thin skin over the control socket's client.
//!
//! Floor 5: `control`, the plans and the catalogue of `faults`, the records of `record` and what `explain`
//! concludes from them, the reports of `report`, the logs of `hostlog`, volumes of `vmfs`, the cfgstrings of
//! `backstore`, and clap.
//! [`Cli`] says what a user can type, [`run`] does it. What it takes to serve and to soak is not known here:
//! `run` is handed that by the binary, which knows the daemon and the soak.

mod cli;
mod commands;
mod explain;
mod fault;
mod hosts;
mod latency;
mod print;
mod report;
#[cfg(test)]
mod testing;
mod top;
mod trace;
mod vmfs;

pub use cli::{Cli, LockingArg, ServeArgs, SoakArgs};
pub use commands::run;
