//! What a user can type.

use std::path::PathBuf;

use clap::{Args, CommandFactory, Parser, Subcommand};
use clap_complete::Shell;
use pulsefield_control::{CONFIG_FILE, CONTROL_SOCKET, STATE_FOLDER};

const EXIT_STATUS: &str = "\
Exit status:
  0  done
  1  failed; standard error says why
  2  the command line was not understood
  3  no daemon answers on the control socket";

/// A SCSI target backstore for Linux LIO whose COMPARE AND WRITE is right
#[derive(Debug, Parser)]
#[command(name = "pulsefield", version, after_help = EXIT_STATUS)]
pub struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Serve logical units: the daemon
    ///
    /// Takes over every TCMU device of subtype pulsefield, now and as they come, until SIGTERM or
    /// SIGINT. SIGHUP is as `pulsefield reload`.
    #[command(after_help = EXIT_STATUS)]
    Serve(ServeArgs),
    /// Check a configuration file and change nothing
    #[command(after_help = EXIT_STATUS)]
    Check {
        /// The file to check
        file: PathBuf,
    },
    /// Show how the daemon is
    #[command(after_help = EXIT_STATUS)]
    Status(AskArgs),
    /// Show logical units
    #[command(subcommand, after_help = EXIT_STATUS)]
    Lun(LunCommand),
    /// Have the daemon read its configuration again
    ///
    /// Prints what changed. If the file is wrong, the daemon keeps the configuration it has.
    #[command(after_help = EXIT_STATUS)]
    Reload(AskArgs),
    /// Print a completion script for a shell
    #[command(after_help = EXIT_STATUS)]
    Completions {
        /// The shell
        shell: Shell,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum LunCommand {
    /// List all logical units
    #[command(after_help = EXIT_STATUS)]
    Ls(AskArgs),
    /// Show one logical unit in full
    #[command(after_help = EXIT_STATUS)]
    Show {
        /// Its name, as given to targetcli
        name: String,
        #[command(flatten)]
        ask: AskArgs,
    },
}

/// `pulsefield serve`: what the daemon is told on the command line.
#[derive(Clone, Debug, PartialEq, Eq, Args)]
pub struct ServeArgs {
    /// The configuration file; none need be there
    #[arg(long, value_name = "FILE", default_value = CONFIG_FILE)]
    pub config: PathBuf,
    /// The control socket
    #[arg(long, value_name = "PATH", default_value = CONTROL_SOCKET)]
    pub socket: PathBuf,
    /// The folder in which logical units keep what initiators have them save
    #[arg(long, value_name = "FOLDER", default_value = STATE_FOLDER)]
    pub state: PathBuf,
    /// Print the configuration with all defaults filled in, and end
    #[arg(long)]
    pub(crate) print_config: bool,
}

/// How to ask the daemon, and how to print its answer.
#[derive(Debug, Args)]
pub(crate) struct AskArgs {
    /// The daemon's control socket
    #[arg(long, value_name = "PATH", default_value = CONTROL_SOCKET)]
    pub(crate) socket: PathBuf,
    /// Print JSON, with exact sizes
    #[arg(long)]
    pub(crate) json: bool,
}

/// The command line as data, for manual pages and completions.
pub fn cli() -> clap::Command {
    Cli::command()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_sound() {
        cli().debug_assert();
    }

    #[test]
    fn what_is_typed_is_understood() {
        let parse = |line: &str| Cli::try_parse_from(line.split(' ')).map(|cli| cli.command);
        let Command::Serve(serve) = parse("pulsefield serve").unwrap() else { panic!() };
        assert_eq!(serve.config.to_str(), Some("/etc/pulsefield/pulsefield.toml"));
        assert_eq!(serve.socket.to_str(), Some("/run/pulsefield/control.sock"));
        assert_eq!(serve.state.to_str(), Some("/var/lib/pulsefield"));
        assert!(!serve.print_config);
        let Command::Lun(LunCommand::Show { name, ask }) =
            parse("pulsefield lun show ds1 --json --socket /tmp/s").unwrap()
        else {
            panic!()
        };
        assert_eq!((name.as_str(), ask.socket.to_str(), ask.json), ("ds1", Some("/tmp/s"), true));
        for wrong in ["pulsefield", "pulsefield lun", "pulsefield lun show", "pulsefield statsu"] {
            assert_eq!(parse(wrong).unwrap_err().exit_code(), 2, "{wrong}");
        }
    }

    #[test]
    fn every_help_says_what_the_exit_status_means() {
        fn visit(command: &mut clap::Command) {
            let help = command.render_long_help().to_string();
            assert!(help.contains("no daemon answers"), "{}", command.get_name());
            let ours = command.get_subcommands_mut().filter(|sub| sub.get_name() != "help");
            ours.for_each(visit);
        }
        visit(&mut cli());
    }
}
