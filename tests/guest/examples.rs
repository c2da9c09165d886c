//! The scripts of `targetcli-examples`, run as they stand.

use std::env;
use std::fs;
use std::os::unix::fs::PermissionsExt;

use anyhow::{Context, Result};

use crate::command::run;

/// One of the scripts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Example {
    /// `loopback.sh`
    Loopback,
    /// `iscsi.sh`
    Iscsi,
    /// `fc-tcm_fc.sh`
    Fc,
    /// `fc-qla2xxx.sh`, which needs an HBA: only its `--help` can run here.
    Qla2xxx,
    /// `srp.sh`
    Srp,
}

impl Example {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::Loopback, Self::Iscsi, Self::Fc, Self::Qla2xxx, Self::Srp];

    /// Its file name.
    pub const fn file_name(self) -> &'static str {
        match self {
            Self::Loopback => "loopback.sh",
            Self::Iscsi => "iscsi.sh",
            Self::Fc => "fc-tcm_fc.sh",
            Self::Qla2xxx => "fc-qla2xxx.sh",
            Self::Srp => "srp.sh",
        }
    }

    const fn text(self) -> &'static str {
        match self {
            Self::Loopback => include_str!("../../targetcli-examples/loopback.sh"),
            Self::Iscsi => include_str!("../../targetcli-examples/iscsi.sh"),
            Self::Fc => include_str!("../../targetcli-examples/fc-tcm_fc.sh"),
            Self::Qla2xxx => include_str!("../../targetcli-examples/fc-qla2xxx.sh"),
            Self::Srp => include_str!("../../targetcli-examples/srp.sh"),
        }
    }

    /// Runs it with these settings.
    ///
    /// # Errors
    /// What it said.
    pub fn run(self, settings: &[(&str, &str)]) -> Result<()> {
        let script = run(self.unpack()?, [] as [&str; 0]);
        let script = settings.iter().fold(script, |script, (name, value)| script.env(name, value));
        script.output().map(drop)
    }

    /// What its `--help` prints.
    ///
    /// # Errors
    /// It did not end with 0.
    pub fn help(self) -> Result<String> {
        run(self.unpack()?, ["--help"]).output()
    }

    /// Puts it where it can be run. The scripts travel inside this program, so that what is run is
    /// what was in the tree when it was built.
    fn unpack(self) -> Result<String> {
        let folder = env::temp_dir().join("targetcli-examples");
        fs::create_dir_all(&folder).context("creating a folder for the examples")?;
        let path = folder.join(self.file_name());
        fs::write(&path, self.text()).with_context(|| format!("writing {}", path.display()))?;
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755))?;
        Ok(path.to_string_lossy().into_owned())
    }
}
