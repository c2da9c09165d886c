//! Where the kernel's file systems are mounted.

use std::path::{Path, PathBuf};

use pulsefield_units::LuId;

use crate::UioName;

/// The directories below which the kernel shows itself: `/sys`, `/dev`, `/proc` and `/run`.
///
/// The default is the running system; [`Roots::under`] is another one, such as a tree of files that
/// a test made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Roots {
    sys: PathBuf,
    dev: PathBuf,
    proc: PathBuf,
    run: PathBuf,
}

impl Default for Roots {
    fn default() -> Self {
        Self::under(Path::new("/"))
    }
}

impl Roots {
    /// The four directories of the system whose root directory is `root`.
    pub fn under(root: &Path) -> Self {
        Self {
            sys: root.join("sys"),
            dev: root.join("dev"),
            proc: root.join("proc"),
            run: root.join("run"),
        }
    }

    /// Where device nodes appear.
    pub(crate) fn dev(&self) -> &Path {
        &self.dev
    }

    /// One directory per process.
    pub(crate) fn proc(&self) -> &Path {
        &self.proc
    }

    /// The device node of `id`.
    pub(crate) fn uio_node(&self, id: LuId) -> PathBuf {
        self.dev.join(id.to_string())
    }

    /// One directory per UIO device.
    pub(crate) fn uio_class(&self) -> PathBuf {
        self.sys.join("class/uio")
    }

    /// The sysfs directory of `id`.
    pub(crate) fn uio_attributes(&self, id: LuId) -> PathBuf {
        self.uio_class().join(id.to_string())
    }

    /// The configfs directory of all fabrics and of the target core.
    pub(crate) fn target(&self) -> PathBuf {
        self.sys.join("kernel/config/target")
    }

    /// The configfs directory of one TCMU device.
    pub(crate) fn device(&self, name: &UioName) -> PathBuf {
        self.target().join(format!("core/user_{}", name.hba())).join(name.device())
    }

    /// The sysfs directory of the TCMU module.
    pub(crate) fn module(&self) -> PathBuf {
        self.sys.join("module/target_core_user")
    }

    /// The file on which a running tcmu-runner holds a lock.
    pub(crate) fn runner_lock(&self) -> PathBuf {
        self.run.join("tcmu.lock")
    }
}
