//! What a user can type.

mod soak;

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, CommandFactory, Parser, Subcommand, ValueEnum};
use clap_complete::Shell;
use pulsefield_control::{CONFIG_FILE, CONTROL_SOCKET, RECORD_FOLDER, STATE_FOLDER};
use pulsefield_settings::{ByteSize, Time};
use pulsefield_vmfs::HostUuid;

use crate::explain::{LogFile, Since};

pub use soak::{LockingArg, SoakArgs};

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
    /// Check a configuration file or a plan of faults, and change nothing
    ///
    /// Of a plan it says what each rule will do.
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
    /// Show how long commands take, by lane and operation code, and the slowest
    ///
    /// A command's time is from when it is found on the ring to the end of the doorbell that the kernel
    /// answers it in. WAITING is until it holds its blocks and a slot of its lane, SERVICE is with the
    /// medium, ANSWER is until the doorbell has rung. Percentiles are never too short, and too long by an
    /// eighth at most; the maximum is exact.
    #[command(after_help = EXIT_STATUS)]
    Latency {
        /// Of this logical unit; of all that serve without one
        lun: Option<String>,
        /// Begin anew once it is shown
        #[arg(long)]
        reset: bool,
        #[command(flatten)]
        ask: AskArgs,
    },
    /// Show which hosts pulse, and how regularly
    ///
    /// As their VMFS heartbeats say. A host writes one every 3 seconds and gives it 8; 16 seconds after the
    /// last, others may take its locks. One that has cleared its heartbeat is not shown.
    #[command(after_help = EXIT_STATUS)]
    Hosts {
        /// On this logical unit; on all that serve without one
        lun: Option<String>,
        #[command(flatten)]
        ask: AskArgs,
    },
    /// Watch logical units, heartbeats and hosts on the terminal
    ///
    /// Once a second, on 80 by 24 characters. Keys are on the last line; faults are armed and disarmed after a
    /// question. Why ATS miscompared is read from the records. NO_COLOR is respected.
    #[command(after_help = EXIT_STATUS)]
    Top {
        /// Print one screen, and end
        #[arg(long)]
        once: bool,
        /// Print what is known as JSON, and end
        #[arg(long, requires = "once")]
        json: bool,
        /// The daemon's control socket
        #[arg(long, value_name = "PATH", default_value = CONTROL_SOCKET)]
        socket: PathBuf,
        /// The folder in which logical units are recorded
        #[arg(long, value_name = "FOLDER", default_value = RECORD_FOLDER)]
        directory: PathBuf,
    },
    /// Show what went through logical units, from their records
    ///
    /// Reads the files in which the daemon records, and copies of them; no daemon need run. Every line is a
    /// command, when its answer was ready: its id in the kernel, its blocks, its lane, how long it took and
    /// what it waited for, how it ended, and what it meant to VMFS. Besides there are the unit's begin and
    /// end, task management functions and hits of faults; once something is asked for, only commands are
    /// shown.
    #[command(after_help = EXIT_STATUS)]
    Trace(TraceArgs),
    /// Say why an ATS miscompared, and where the time of a late heartbeat went
    ///
    /// Reads the files in which the daemon records, and copies of them; no daemon need run. Each MISCOMPARE is
    /// told with what the host expected, found and wanted to write, who had written that, the finding, and what
    /// to do about it; at the end there is a summary. docs/explaining.md says what each finding rests on.
    #[command(after_help = EXIT_STATUS)]
    Explain(ExplainArgs),
    /// Break logical units on purpose
    #[command(subcommand, after_help = EXIT_STATUS)]
    Fault(FaultCommand),
    /// Show the heartbeats and held locks of a VMFS volume
    ///
    /// Reads an image of a disk or a partition, a device, or the medium of a logical unit that the daemon
    /// serves; writes nothing. Of a volume in use it shows what lay there while it was read.
    #[command(after_help = EXIT_STATUS)]
    Vmfs(VmfsArgs),
    /// Have emulated ESXi hosts work on a logical unit, and check what was promised to them
    ///
    /// Hosts run VMFS's locking protocol over real SCSI devices, or over a unit within the process: they pulse,
    /// take locks, crash, freeze, and write bulk data beside it. Checkers prove that what they were told is what
    /// an atomic and durable unit can have told them. What the unit holds is lost, and it is not touched if that
    /// is worth something, unless --destroy says so twice. With --watch there are no hosts but the real ones that use
    /// units of the daemon; nothing is sent, and the same is checked by what the daemon records. docs/soaking.md has
    /// more.
    #[command(after_help = soak::EXIT_STATUS)]
    Soak(Box<SoakArgs>),
    /// Show again what a soak found
    ///
    /// Reads the JSON that a soak wrote, and prints a summary unless another form is asked for.
    #[command(after_help = EXIT_STATUS)]
    Report(ReportArgs),
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
    /// Write the manual pages, one for each command
    #[command(after_help = EXIT_STATUS)]
    Manual {
        /// The folder to write them into
        folder: PathBuf,
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

#[derive(Debug, Subcommand)]
pub(crate) enum FaultCommand {
    /// Arm a plan, or one fault
    ///
    /// `pulsefield fault arm ds1 --plan slow.toml` arms a plan for one logical unit, without a name for
    /// every one that it has rules for. `pulsefield fault arm ds1 caw.slow delay=8s every=20` arms one
    /// fault: KEY is a parameter of the fault, or a key of `where` or `when`.
    #[command(after_help = EXIT_STATUS)]
    Arm(ArmArgs),
    /// Disarm faults, of all logical units and rules or of some
    #[command(after_help = EXIT_STATUS)]
    Disarm {
        /// Of this logical unit only
        lun: Option<String>,
        /// Only the rules of this name
        #[arg(long, value_name = "NAME")]
        rule: Option<String>,
        #[command(flatten)]
        ask: AskArgs,
    },
    /// List what is armed, and what it has counted
    #[command(after_help = EXIT_STATUS)]
    Ls {
        /// For this logical unit only
        lun: Option<String>,
        #[command(flatten)]
        ask: AskArgs,
    },
    /// Show which rule hit which command
    #[command(after_help = EXIT_STATUS)]
    Log {
        /// Of this logical unit only
        lun: Option<String>,
        /// Print a plan that hits exactly what was hit
        #[arg(long, requires = "lun", conflicts_with = "json")]
        export: bool,
        #[command(flatten)]
        ask: AskArgs,
    },
    /// List all faults there are, or show one in full
    #[command(after_help = EXIT_STATUS)]
    Catalogue {
        /// Its name
        fault: Option<String>,
        /// Print JSON
        #[arg(long)]
        json: bool,
        /// Print the reference of the manual, as Markdown
        #[arg(long, conflicts_with_all = ["fault", "json"])]
        markdown: bool,
    },
}

/// What to arm, where, and for how long.
#[derive(Debug, Args)]
pub(crate) struct ArmArgs {
    /// The logical unit; with --plan it may be left out
    #[arg(required_unless_present = "plan")]
    pub(crate) lun: Option<String>,
    /// The fault
    #[arg(required_unless_present = "plan", conflicts_with = "plan")]
    pub(crate) fault: Option<String>,
    /// What differs from the fault's defaults, and which commands it hits
    #[arg(value_name = "KEY=VALUE", value_parser = setting)]
    pub(crate) settings: Vec<(String, String)>,
    /// A plan of faults
    #[arg(long, value_name = "FILE")]
    pub(crate) plan: Option<PathBuf>,
    /// Disarm so long after arming, as 60s or 5min
    #[arg(long = "for", value_name = "TIME", value_parser = time)]
    pub(crate) lasting: Option<Duration>,
    /// Disarm after so many hits
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) hits: Option<u64>,
    #[command(flatten)]
    pub(crate) ask: AskArgs,
}

fn setting(text: &str) -> Result<(String, String), &'static str> {
    let (key, value) = text.split_once('=').ok_or("not of the form KEY=VALUE")?;
    Ok((key.to_owned(), value.to_owned()))
}

fn time(text: &str) -> Result<Duration, &'static str> {
    let time = Time::parse(text).map(Time::duration).filter(|time| time.as_millis() > 0);
    time.ok_or("a time of at least 1ms is written as 60s or 5min")
}

/// What to show of which records.
#[derive(Debug, Args)]
pub(crate) struct TraceArgs {
    /// Logical units, or files if there is a slash in the name; all units without one
    #[arg(value_name = "LUN|FILE")]
    pub(crate) of: Vec<String>,
    /// Go on with what comes
    #[arg(short, long)]
    pub(crate) follow: bool,
    /// Only commands of this lane
    #[arg(long)]
    pub(crate) lane: Option<LaneArg>,
    /// Only this command, by name or operation code: compare-and-write, write, 0x89
    #[arg(long, value_name = "NAME")]
    pub(crate) command: Vec<String>,
    /// Only commands that read, write or found what this host owns
    #[arg(long, value_name = "UUID")]
    pub(crate) host: Vec<HostUuid>,
    /// Only commands about such an object of VMFS
    #[arg(long)]
    pub(crate) object: Option<ObjectArg>,
    /// Only commands that ended so, as status or sense key: busy, miscompare, unit-attention
    #[arg(long, value_name = "NAME")]
    pub(crate) status: Vec<String>,
    /// Only commands that touch this block
    #[arg(long)]
    pub(crate) lba: Option<u64>,
    /// Only commands that took at least so long, as 100ms or 3s
    #[arg(long, value_name = "TIME", value_parser = time)]
    pub(crate) slower_than: Option<Duration>,
    /// Show the bytes too that are kept
    #[arg(long, conflicts_with = "json")]
    pub(crate) bytes: bool,
    /// Print JSON, one object a line
    #[arg(long)]
    pub(crate) json: bool,
    /// Write commands as Fibre Channel frames for Wireshark to this file instead; "-" is standard output
    #[arg(long, value_name = "FILE", conflicts_with_all = ["json", "bytes", "save"])]
    pub(crate) pcapng: Option<PathBuf>,
    /// Copy the record of the one logical unit to this file instead
    #[arg(long, value_name = "FILE", requires = "of", conflicts_with_all = ["follow", "json"])]
    pub(crate) save: Option<PathBuf>,
    /// The folder in which logical units are recorded
    #[arg(long, value_name = "FOLDER", default_value = RECORD_FOLDER)]
    pub(crate) directory: PathBuf,
}

/// What to explain of which records.
#[derive(Debug, Args)]
pub(crate) struct ExplainArgs {
    /// Logical units, or files if there is a slash in the name; all units without one
    #[arg(value_name = "LUN|FILE")]
    pub(crate) of: Vec<String>,
    /// Only from then on: a time ago, as 90s or 2h, or a moment, as 2023-11-14T22:13:20Z
    #[arg(long, value_name = "WHEN")]
    pub(crate) since: Option<Since>,
    /// Show only the summary: hosts, slowest commands, how many MISCOMPAREs of each finding
    #[arg(long)]
    pub(crate) summary: bool,
    /// Show contention too, of which there is much where hosts compete
    #[arg(long)]
    pub(crate) all: bool,
    /// A heartbeat that takes longer is late
    #[arg(long, value_name = "TIME", value_parser = time, default_value = "3s")]
    pub(crate) warning: Duration,
    /// A heartbeat that takes longer is too late: ESXi aborts it then
    #[arg(long, value_name = "TIME", value_parser = time, default_value = "8s")]
    pub(crate) error: Duration,
    /// A log of a host's, also compressed by gzip, to put beside what the target saw; logs with the same HOST
    /// are of one clock
    #[arg(long, value_name = "[HOST=]FILE", num_args = 1.., conflicts_with = "json")]
    pub(crate) vmkernel_log: Vec<LogFile>,
    /// The name that hosts have for the unit, as naa.…, by which lines about failed commands are recognised
    #[arg(long, value_name = "NAME", requires = "vmkernel_log")]
    pub(crate) device: Option<String>,
    /// Print JSON, one document
    #[arg(long)]
    pub(crate) json: bool,
    /// The folder in which logical units are recorded
    #[arg(long, value_name = "FOLDER", default_value = RECORD_FOLDER)]
    pub(crate) directory: PathBuf,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum LaneArg {
    /// COMPARE AND WRITE, and reads and writes of VMFS metadata
    Heartbeat,
    /// Everything else that touches the medium
    Bulk,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum ObjectArg {
    /// A host's slot of the heartbeat region
    Heartbeat,
    /// The lock of a piece of metadata
    Lock,
}

/// Which report to show, and how.
#[derive(Debug, Args)]
pub(crate) struct ReportArgs {
    /// The report, as JSON
    #[arg(value_name = "FILE")]
    pub(crate) file: PathBuf,
    /// Write it as a page
    #[arg(long, value_name = "FILE")]
    pub(crate) html: Option<PathBuf>,
    /// Write it as JUnit XML, a test case for each promise
    #[arg(long, value_name = "FILE")]
    pub(crate) junit: Option<PathBuf>,
}

/// Which volume to show, and what of it.
#[derive(Debug, Args)]
pub(crate) struct VmfsArgs {
    /// A file or a device; if there is none of this name, a logical unit
    #[arg(value_name = "FILE|DEVICE|LUN")]
    pub(crate) volume: PathBuf,
    /// Show all heartbeats that were ever used, not only those in use
    #[arg(long)]
    pub(crate) all: bool,
    /// Search so much of the volume for locks, from its beginning on
    #[arg(long, value_name = "SIZE", default_value = "1GiB", value_parser = size)]
    pub(crate) search: u64,
    /// Print as vmkernel.log, vmkfstools -D and vmkfstools --activehosts do
    #[arg(long, conflicts_with_all = ["json", "watch"])]
    pub(crate) esxi: bool,
    /// Go on, and show every three seconds which hosts pulse
    #[arg(long)]
    pub(crate) watch: bool,
    #[command(flatten)]
    pub(crate) ask: AskArgs,
}

fn size(text: &str) -> Result<u64, &'static str> {
    let size = ByteSize::parse(text).map(ByteSize::bytes);
    size.ok_or("a size is written as 1GiB, 64M or a number of bytes")
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
pub(crate) fn cli() -> clap::Command {
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
        let Command::Fault(FaultCommand::Arm(arm)) =
            parse("pulsefield fault arm ds1 caw.slow delay=8s every=20 --for 1min --hits 3")
                .unwrap()
        else {
            panic!()
        };
        assert_eq!((arm.lun.as_deref(), arm.fault.as_deref()), (Some("ds1"), Some("caw.slow")));
        assert_eq!(arm.settings[1], ("every".to_owned(), "20".to_owned()));
        assert_eq!((arm.lasting, arm.hits), (Some(Duration::from_secs(60)), Some(3)));
        assert!(parse("pulsefield fault arm --plan p.toml").is_ok());
        let Command::Vmfs(vmfs) = parse("pulsefield vmfs ds1 --search 2G --watch").unwrap() else {
            panic!()
        };
        assert_eq!((vmfs.search, vmfs.watch, vmfs.all), (2 << 30, true, false));
        for wrong in [
            "pulsefield",
            "pulsefield lun",
            "pulsefield lun show",
            "pulsefield statsu",
            "pulsefield fault arm ds1",
            "pulsefield fault arm ds1 drop --plan p.toml",
            "pulsefield fault arm ds1 drop limit",
            "pulsefield fault arm ds1 drop --for 1",
            "pulsefield fault arm ds1 drop --hits 0",
            "pulsefield fault log --export",
            "pulsefield vmfs",
            "pulsefield vmfs ds1 --search 2GB",
            "pulsefield vmfs ds1 --esxi --json",
        ] {
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
