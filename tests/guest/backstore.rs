//! A backstore to export, whoever executes its commands: Pulsefield, or one to compare it with.

use std::fmt;
use std::fs::File;

use anyhow::{Context, Result};

use crate::configfs::Folder;
use crate::targetcli::targetcli;

/// Who executes the commands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, clap::ValueEnum)]
pub enum Kind {
    /// Ours, with the `file` handler.
    Pulsefield,
    /// tcmu-runner with its qcow handler, on a raw file.
    TcmuRunner,
    /// LIO itself, on a file.
    Fileio,
    /// LIO itself, in memory.
    Ramdisk,
}

impl Kind {
    /// The folder of such backstores in targetcli.
    pub const fn folder(self) -> &'static str {
        match self {
            Self::Pulsefield => "/backstores/user:pulsefield",
            Self::TcmuRunner => "/backstores/user:qcow",
            Self::Fileio => "/backstores/fileio",
            Self::Ramdisk => "/backstores/ramdisk",
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Pulsefield => "pulsefield",
            Self::TcmuRunner => "tcmu-runner",
            Self::Fileio => "LIO fileio",
            Self::Ramdisk => "LIO ramdisk",
        })
    }
}

/// A backstore and how it is made.
#[derive(Clone, Debug)]
pub struct Backstore {
    /// Who executes its commands.
    pub kind: Kind,
    /// Its name in targetcli.
    pub name: String,
    /// Its size, as targetcli reads it.
    pub size: String,
    /// The string after the `/` of targetcli's folder, for user backstores.
    pub cfgstring: String,
    /// Settings that only the kernel reads, before the device is enabled; none if empty. For user
    /// backstores.
    pub control: &'static str,
}

impl Backstore {
    /// A backstore of this kind and name on a file under `/srv`, not made yet.
    pub fn new(kind: Kind, name: &str, size: &str) -> Self {
        let cfgstring = match kind {
            Kind::Pulsefield => format!("file//srv/{name}.img"),
            Kind::TcmuRunner => format!("/srv/{name}.img"),
            Kind::Fileio | Kind::Ramdisk => String::new(),
        };
        let (name, size) = (name.to_owned(), size.to_owned());
        Self { kind, name, size, cfgstring, control: "" }
    }

    /// Makes it with targetcli.
    ///
    /// # Errors
    /// What targetcli said.
    pub fn create(&self) -> Result<()> {
        let mut words = vec![
            self.kind.folder().to_owned(),
            "create".to_owned(),
            format!("name={}", self.name),
            format!("size={}", self.size),
        ];
        match self.kind {
            Kind::Pulsefield => words.push(format!("cfgstring={}", self.cfgstring)),
            Kind::TcmuRunner => {
                // Its handler wants the file to exist, and to be as large as the LUN.
                let file = File::create(&self.cfgstring).context("creating a raw image")?;
                file.set_len(self.bytes()?)?;
                words.push(format!("cfgstring={}", self.cfgstring));
            }
            Kind::Fileio => words.push(format!("file_or_dev=/srv/{}.img", self.name)),
            Kind::Ramdisk => {}
        }
        if !self.control.is_empty() {
            words.push(format!("control={}", self.control));
        }
        targetcli(&words.iter().map(String::as_str).collect::<Vec<_>>()).map(drop)
    }

    /// Deletes it and every LUN that exports it.
    ///
    /// # Errors
    /// What targetcli said.
    pub fn delete(&self) -> Result<()> {
        targetcli(&[self.kind.folder(), "delete", &self.name]).map(drop)
    }

    /// Its folder in configfs.
    ///
    /// # Errors
    /// It does not exist.
    pub fn folder(&self) -> Result<Folder> {
        Folder::of(&self.name)
    }

    /// Its unit serial number.
    ///
    /// # Errors
    /// It does not exist, or has none.
    pub fn serial(&self) -> Result<String> {
        self.folder()?.serial()
    }

    /// Its size in bytes.
    ///
    /// # Errors
    /// `size` is not a number with `M` or `G` behind it.
    pub fn bytes(&self) -> Result<u64> {
        let (number, unit) = self.size.split_at(self.size.len().saturating_sub(1));
        let shift = match unit {
            "M" => 20,
            "G" => 30,
            _ => anyhow::bail!("{} is not a size in M or G", self.size),
        };
        Ok(number.parse::<u64>().context("reading a size")? << shift)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_in_bytes() {
        let bytes = |size| Backstore::new(Kind::Ramdisk, "x", size).bytes();
        assert_eq!(bytes("64M").unwrap(), 64 << 20);
        assert_eq!(bytes("1G").unwrap(), 1 << 30);
        assert!(bytes("12").is_err() && bytes("").is_err());
    }
}
