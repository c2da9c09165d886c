//! The one binary: joins what a user types (`ctl`) and what serves (`daemon`), which do not know
//! each other.
//!
//! Floor 5: `ctl` and `daemon`.

use std::process::ExitCode;

use clap::Parser;
use pulsefield_ctl::{Cli, run};
use pulsefield_daemon::{ServeOptions, serve};

fn main() -> ExitCode {
    run(Cli::parse(), |args| serve(&ServeOptions { config: args.config, socket: args.socket }))
}
