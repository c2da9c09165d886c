//! What each command does, and what it exits with.

use std::error::Error;
use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{SystemTime, UNIX_EPOCH};

use pulsefield_control::config::{Config, ConfigError};
use pulsefield_control::{Client, ClientError};
use pulsefield_faults::Plan;
use pulsefield_record::WallTime;
use pulsefield_settings::Diagnostic;
use serde::Serialize;
use thiserror::Error;

use crate::cli::{AskArgs, Cli, Command, LunCommand, ServeArgs, SoakArgs, cli};
use crate::explain::ExplainError;
use crate::fault::UnknownFault;
use crate::report::ReportError;
use crate::trace::TraceError;
use crate::vmfs::VmfsError;
use crate::{explain, fault, hosts, latency, print, report, top, trace, vmfs};

/// Why a command failed.
#[derive(Debug, Error)]
pub(crate) enum CommandError {
    #[error(transparent)]
    Serve(Box<dyn Error + Send + Sync>),
    #[error(transparent)]
    Soak(Box<dyn Error + Send + Sync>),
    #[error(transparent)]
    Client(#[from] ClientError),
    #[error(transparent)]
    Config(#[from] ConfigError),
    #[error("cannot read {path}", path = path.display())]
    Unreadable { path: PathBuf, source: io::Error },
    #[error("cannot write manual pages into {folder}", folder = folder.display())]
    Manual { folder: PathBuf, source: io::Error },
    #[error(transparent)]
    Plan(#[from] Box<Diagnostic>),
    #[error(transparent)]
    UnknownFault(#[from] UnknownFault),
    #[error(transparent)]
    Trace(TraceError),
    #[error(transparent)]
    Explain(ExplainError),
    #[error(transparent)]
    Vmfs(#[from] VmfsError),
    #[error(transparent)]
    Report(#[from] ReportError),
    #[error("cannot print")]
    Print(#[from] io::Error),
    #[error("cannot draw on the terminal")]
    Draw(#[source] io::Error),
}

impl From<ExplainError> for CommandError {
    fn from(error: ExplainError) -> Self {
        match error {
            ExplainError::Print(error) => Self::Print(error),
            error @ (ExplainError::Record(_) | ExplainError::Log { .. }) => Self::Explain(error),
        }
    }
}

impl From<TraceError> for CommandError {
    fn from(error: TraceError) -> Self {
        match error {
            TraceError::Print(error) => Self::Print(error),
            error @ (TraceError::Read(_)
            | TraceError::NoRecord(_)
            | TraceError::SeveralToSave
            | TraceError::Save(_)
            | TraceError::Capture(..)
            | TraceError::Folder(..)) => Self::Trace(error),
        }
    }
}

impl CommandError {
    /// As the help of every command documents it.
    fn exit_code(&self) -> ExitCode {
        match self {
            Self::Client(ClientError::NoDaemon { .. })
            | Self::Vmfs(VmfsError::NoSuchVolume {
                source: ClientError::NoDaemon { .. }, ..
            }) => ExitCode::from(3),
            Self::Soak(error) if wants_daemon(error.as_ref()) => ExitCode::from(3),
            // Whoever reads has had enough, as `head` does.
            Self::Print(error) if error.kind() == io::ErrorKind::BrokenPipe => ExitCode::SUCCESS,
            Self::Serve(_)
            | Self::Soak(_)
            | Self::Client(_)
            | Self::Config(_)
            | Self::Unreadable { .. }
            | Self::Manual { .. }
            | Self::Plan(_)
            | Self::UnknownFault(_)
            | Self::Draw(_)
            | Self::Trace(_)
            | Self::Explain(_)
            | Self::Vmfs(_)
            | Self::Report(_)
            | Self::Print(_) => ExitCode::FAILURE,
        }
    }
}

/// Whether what failed is that no daemon answers.
fn wants_daemon(error: &(dyn Error + 'static)) -> bool {
    let causes = std::iter::successors(Some(error), |&error| error.source());
    causes
        .filter_map(|error| error.downcast_ref())
        .any(|error| matches!(error, ClientError::NoDaemon { .. }))
}

/// Does what `cli` says; `serve` is the daemon, and returns when that has ended; `soak` prints what it found, and
/// says what to exit with.
pub fn run<E, F>(
    cli: Cli,
    serve: impl FnOnce(ServeArgs) -> Result<(), E>,
    soak: impl FnOnce(SoakArgs, &mut dyn Write) -> Result<ExitCode, F>,
) -> ExitCode
where
    E: Error + Send + Sync + 'static,
    F: Error + Send + Sync + 'static,
{
    let serve = |args| serve(args).map_err(|error| CommandError::Serve(error.into()));
    let soak = |args, out: &mut dyn Write| {
        soak(args, out).map_err(|error| CommandError::Soak(error.into()))
    };
    let error = match execute(cli.command, serve, soak, &mut io::stdout()) {
        Ok(code) => return code,
        Err(error) => error,
    };
    let code = error.exit_code();
    if code != ExitCode::SUCCESS {
        eprintln!("pulsefield: {}", with_causes(&error));
    }
    code
}

fn execute(
    command: Command,
    serve: impl FnOnce(ServeArgs) -> Result<(), CommandError>,
    soak: impl FnOnce(SoakArgs, &mut dyn Write) -> Result<ExitCode, CommandError>,
    out: &mut dyn Write,
) -> Result<ExitCode, CommandError> {
    match command {
        Command::Serve(args) if args.print_config => {
            let config = Config::load_or_default(&args.config)?;
            out.write_all(config.to_toml_effective().as_bytes())?;
        }
        Command::Serve(args) => serve(args)?,
        Command::Check { file } => check(&file, out)?,
        Command::Status(ask) => {
            let status = client(&ask).status()?;
            answer(&ask, &status, print::status, out)?;
        }
        Command::Lun(LunCommand::Ls(ask)) => {
            let luns = client(&ask).luns()?;
            answer(&ask, luns.as_slice(), print::luns, out)?;
        }
        Command::Lun(LunCommand::Show { name, ask }) => {
            let lun = client(&ask).lun(&name)?;
            answer(&ask, &lun, print::lun, out)?;
        }
        Command::Latency { lun, reset, ask } => {
            let luns = client(&ask).latency(lun.as_deref(), reset)?;
            answer(&ask, luns.as_slice(), latency::latency, out)?;
        }
        Command::Hosts { lun, ask } => {
            let luns = client(&ask).hosts(lun.as_deref())?;
            answer(&ask, luns.as_slice(), hosts::hosts, out)?;
        }
        Command::Top { once: true, json, socket, directory } => {
            top::once(&socket, directory, json, out)?
        }
        Command::Top { socket, directory, .. } => top::watch(&socket, directory)?,
        Command::Trace(args) => trace::trace(&args, out)?,
        Command::Explain(args) => explain::explain(&args, wall(), out)?,
        Command::Fault(command) => fault::execute(command, out)?,
        Command::Vmfs(args) => vmfs::execute(&args, out)?,
        Command::Report(args) => report::report(&args, out)?,
        Command::Soak(args) => return soak(*args, out),
        Command::Reload(ask) => {
            let changes = client(&ask).reload()?;
            answer(&ask, changes.as_slice(), print::changes, out)?;
        }
        Command::Completions { shell } => {
            // Into memory first: the generator panics where it cannot write.
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut cli(), "pulsefield", &mut script);
            out.write_all(&script)?;
        }
        Command::Manual { folder } => clap_mangen::generate_to(cli(), &folder)
            .map_err(|source| CommandError::Manual { folder, source })?,
    }
    out.flush()?;
    Ok(ExitCode::SUCCESS)
}

/// Checks a file that is a plan of faults if it looks like one, else a configuration.
fn check(file: &Path, out: &mut dyn Write) -> Result<(), CommandError> {
    let name = file.display().to_string();
    let text = read(file)?;
    if Plan::is_meant_by(&text) {
        let plan = Plan::parse(&name, &text)?;
        writeln!(out, "{name}: a valid plan of faults")?;
        for sentence in plan.sentences() {
            writeln!(out, "\n{sentence}")?;
        }
    } else {
        Config::load(file)?;
        writeln!(out, "{name}: valid")?;
    }
    Ok(())
}

pub(crate) fn read(path: &Path) -> Result<String, CommandError> {
    fs::read_to_string(path)
        .map_err(|source| CommandError::Unreadable { path: path.to_owned(), source })
}

pub(crate) fn client(ask: &AskArgs) -> Client {
    Client::new(&ask.socket)
}

pub(crate) fn answer<T: Serialize + ?Sized>(
    ask: &AskArgs,
    value: &T,
    human: impl FnOnce(&T, &mut dyn Write) -> io::Result<()>,
    out: &mut dyn Write,
) -> io::Result<()> {
    if ask.json {
        serde_json::to_writer_pretty(&mut *out, value)?;
        writeln!(out)
    } else {
        human(value, out)
    }
}

/// Now, on the wall clock.
fn wall() -> WallTime {
    let since_1970 = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    WallTime::from_nanos(u64::try_from(since_1970.as_nanos()).unwrap_or(u64::MAX))
}

fn with_causes(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}

#[cfg(test)]
mod tests;
