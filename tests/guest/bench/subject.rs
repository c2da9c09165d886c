//! Whose logical units are measured.

use std::fmt;

use serde::Serialize;

/// Who executes the commands, and on what.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Subject {
    /// tcmu-runner with its qcow handler, on a raw file.
    TcmuRunner,
    /// LIO itself, on a file, through the page cache, as targetcli makes it.
    Fileio,
    /// LIO itself, in memory.
    Ramdisk,
    /// A loop on the ring that answers everything and does nothing.
    Bare,
    /// The same loop, if it reads and writes a file.
    BareFile,
    /// Ours, on no medium.
    Null,
    /// The same without a recorder.
    Unrecorded,
    /// Ours, in memory.
    Ram,
    /// Ours, on a file.
    File,
}

impl Subject {
    /// All of them.
    pub(super) const ALL: [Self; 9] = [
        Self::TcmuRunner,
        Self::Fileio,
        Self::Ramdisk,
        Self::Bare,
        Self::BareFile,
        Self::Null,
        Self::Unrecorded,
        Self::Ram,
        Self::File,
    ];

    /// Those that differ in how they do what everybody does.
    pub(super) const SERVERS: [Self; 8] = [
        Self::TcmuRunner,
        Self::Fileio,
        Self::Ramdisk,
        Self::Bare,
        Self::BareFile,
        Self::Null,
        Self::Ram,
        Self::File,
    ];

    /// Those with a file behind them: what hosts are given.
    pub(super) const ON_FILES: [Self; 3] = [Self::TcmuRunner, Self::Fileio, Self::File];

    /// As the report names it.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::TcmuRunner => "tcmu-runner",
            Self::Fileio => "fileio",
            Self::Ramdisk => "ramdisk",
            Self::Bare => "bare",
            Self::BareFile => "bare-file",
            Self::Null => "null",
            Self::Unrecorded => "unrecorded",
            Self::Ram => "ram",
            Self::File => "file",
        }
    }

    /// Whether what is written is there to be read.
    pub(super) const fn keeps_data(self) -> bool {
        !matches!(self, Self::Bare | Self::Null | Self::Unrecorded)
    }

    /// Whether Pulsefield's daemon serves it.
    pub(super) const fn is_ours(self) -> bool {
        matches!(self, Self::Null | Self::Unrecorded | Self::Ram | Self::File)
    }

    /// What its LUN `number` is called.
    pub(super) fn lun(self, number: usize) -> String {
        format!("{}-{number}", self.name())
    }

    /// What its LUN `name` of `bytes` is made of: the folder of its plugin in configfs, and what that is
    /// told. Nobody waits for a daemon's answer, since tcmu-runner would refuse what is not its own.
    pub(super) fn control(self, name: &str, bytes: u64) -> (&'static str, Vec<String>) {
        let user = |config: String| {
            let config = format!("dev_config={config}");
            vec![config, format!("dev_size={bytes}"), "nl_reply_supported=-1".to_owned()]
        };
        match self {
            Self::TcmuRunner => ("user", user(format!("qcow//srv/{name}.img"))),
            Self::Fileio => {
                let file = format!("fd_dev_name=/srv/{name}.img,fd_dev_size={bytes}");
                ("fileio", vec![file, "fd_buffered_io=1".to_owned()])
            }
            Self::Ramdisk => ("rd_mcp", vec![format!("rd_pages={}", bytes / PAGE)]),
            Self::Bare | Self::BareFile => ("user", user("bare/".to_owned())),
            Self::Null | Self::Unrecorded => ("user", user("pulsefield/null/".to_owned())),
            Self::Ram => ("user", user("pulsefield/ram/".to_owned())),
            Self::File => ("user", user(format!("pulsefield/file//srv/{name}.img"))),
        }
    }
}

/// Bytes in a page of LIO's ramdisk.
const PAGE: u64 = 4096;

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}
