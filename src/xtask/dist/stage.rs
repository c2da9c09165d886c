//! The tree that becomes the package, with the modes a package has whatever the umask here.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use crate::workshop::run;

/// The tree that becomes the package.
pub(super) struct Stage {
    pub(super) root: PathBuf,
}

impl Stage {
    pub(super) fn empty(folder: &Path) -> Result<Self> {
        let root = folder.join("pulsefield");
        if root.exists() {
            fs::remove_dir_all(&root)?;
        }
        fs::create_dir_all(&root)?;
        set_mode(&root, 0o755)?;
        Ok(Self { root })
    }

    /// Where `to` is in the tree; its folders are made, with the mode a package's folders have.
    pub(super) fn path(&self, to: &str) -> Result<PathBuf> {
        let path = self.root.join(to);
        let mut folder = self.root.clone();
        for part in Path::new(to).parent().into_iter().flat_map(Path::components) {
            folder.push(part);
            if !folder.exists() {
                fs::create_dir(&folder)?;
                set_mode(&folder, 0o755)?;
            }
        }
        Ok(path)
    }

    pub(super) fn install(&self, from: &Path, to: &str, mode: u32) -> Result<PathBuf> {
        let path = self.path(to)?;
        fs::copy(from, &path).with_context(|| format!("cannot install {}", from.display()))?;
        set_mode(&path, mode)?;
        Ok(path)
    }

    pub(super) fn write(&self, to: &str, text: &str, mode: u32) -> Result<PathBuf> {
        let path = self.path(to)?;
        fs::write(&path, text)?;
        set_mode(&path, mode)?;
        Ok(path)
    }
}

pub(super) fn set_mode(path: &Path, mode: u32) -> Result<()> {
    fs::set_permissions(path, fs::Permissions::from_mode(mode))
        .with_context(|| format!("cannot set the mode of {}", path.display()))
}

/// Compresses a document in place, without name or time, so that the same text gives the same bytes.
pub(super) fn gzip(path: &Path) -> Result<()> {
    run(Command::new("gzip").args(["-9n", "--force"]).arg(path))
}
