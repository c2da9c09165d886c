//! The one binary: joins what a user types (`ctl`), what serves (`daemon`) and what soaks (`soak`), which do
//! not know one another.
//!
//! Floor 8: `ctl`, `daemon` and `soak`.

use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;
use pulsefield_ctl::{Cli, LockingArg, ServeArgs, SoakArgs, run};
use pulsefield_daemon::{ServeOptions, serve};
use pulsefield_soak::{Conclusion, Locking, On, SoakOptions, WatchOptions, soak, watch};

/// How long hosts work if nobody says.
const DURATION: Duration = Duration::from_secs(60);

fn main() -> ExitCode {
    run(
        Cli::parse(),
        |args| {
            let ServeArgs { config, socket, state, .. } = args;
            serve(&ServeOptions { config, socket, state })
        },
        |args, out| match args.watch.is_empty() {
            true => soak(&soak_options(args), out).map(exit_code),
            false => watch(&watch_options(args), out).map(exit_code),
        },
    )
}

/// As the help of `pulsefield soak` documents it.
fn exit_code(conclusion: Conclusion) -> ExitCode {
    match conclusion {
        Conclusion::Held => ExitCode::SUCCESS,
        Conclusion::Failed => ExitCode::from(4),
        Conclusion::Caught => ExitCode::from(5),
    }
}

fn soak_options(args: SoakArgs) -> SoakOptions {
    let on = match args.embedded {
        true => On::Embedded { virtual_time: args.virtual_time },
        false => On::Devices(args.devices),
    };
    SoakOptions {
        on,
        hosts: args.hosts,
        mix: args.mix,
        seed: args.seed,
        duration: args.duration.unwrap_or(DURATION),
        plan: args.plan,
        plan_after: args.plan_after,
        lun: args.lun,
        directory: args.directory,
        socket: args.socket,
        locking: match args.locking {
            LockingArg::AtsOnly => Locking::AtsOnly,
            LockingArg::AtsAndScsi => Locking::AtsAndScsi,
            LockingArg::Scsi => Locking::Reservations,
        },
        report: args.report,
        junit: args.junit,
        json: args.json,
        destroy: args.destroy,
        command: typed(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
    }
}

fn watch_options(args: SoakArgs) -> WatchOptions {
    WatchOptions {
        names: args.watch,
        directory: args.directory,
        socket: args.socket,
        duration: args.duration,
        report: args.report,
        junit: args.junit,
        json: args.json,
        command: typed(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
    }
}

/// What was typed, but for the seed.
fn typed() -> String {
    let mut words = vec!["pulsefield".to_owned()];
    let mut typed = std::env::args().skip(1);
    while let Some(word) = typed.next() {
        match word.as_str() {
            "--seed" => drop(typed.next()),
            seed if seed.starts_with("--seed=") => {}
            _ => words.push(word),
        }
    }
    words.join(" ")
}
