//! The one binary: joins what a user types (`ctl`) and what serves (`daemon`), which do not know
//! each other.
//!
//! Floor 6: `ctl` and `daemon`.

use std::process::ExitCode;

use clap::Parser;
use pulsefield_ctl::{Cli, ServeArgs, run};
use pulsefield_daemon::{ServeOptions, serve};

fn main() -> ExitCode {
    run(Cli::parse(), |args| {
        let ServeArgs { config, socket, state, .. } = args;
        serve(&ServeOptions { config, socket, state })
    })
}
