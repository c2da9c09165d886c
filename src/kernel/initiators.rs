//! How many initiators may use a device, as far as configfs tells.
//!
//! LIO shows its sessions in no one place. What there is, below each target port group that leads to
//! the device: access control lists that map it (`acls/<name>/lun_<n>`, each an initiator, logged in
//! or not), iSCSI's and qla2xxx's sessions without such a list (`dynamic_sessions`), and the one
//! initiator of fabrics such as loopback (`nexus`).

use std::fs;
use std::path::Path;

use crate::AttributeError;
use crate::attribute::Directory;

/// The initiators that reach a device through the LUN whose directory is `lun`; at least one.
pub(crate) fn of_lun(lun: &Directory) -> Result<usize, AttributeError> {
    // `<tpgt>/lun/lun_<n>`
    let Some(group) = lun.path().ancestors().nth(2) else { return Ok(1) };
    let group = Directory::new(group.to_owned());
    let count = listed(&group, lun)? + dynamic(&group) + usize::from(has_nexus(&group));
    Ok(count.max(1))
}

/// Initiators whose access control list maps `lun`.
fn listed(group: &Directory, lun: &Directory) -> Result<usize, AttributeError> {
    let Ok(lun) = fs::canonicalize(lun.path()) else { return Ok(0) };
    let acls = group.child("acls");
    let names = match acls.children() {
        // Fabrics without access control.
        Err(AttributeError::Gone(_) | AttributeError::Unsupported { .. }) => Vec::new(),
        names => names?,
    };
    let maps = |name: &std::ffi::OsString| {
        let acl = acls.child(name);
        let mapped = acl.children().unwrap_or_default();
        mapped.iter().any(|name| leads_to(acl.child(name).path(), &lun))
    };
    Ok(names.iter().filter(|name| maps(name)).count())
}

/// Whether the mapped LUN at `mapped` holds a link to `lun`.
fn leads_to(mapped: &Path, lun: &Path) -> bool {
    let entries = fs::read_dir(mapped).into_iter().flatten().flatten();
    let mut links = entries.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_symlink()));
    links.any(|link| fs::canonicalize(link.path()).is_ok_and(|target| target == lun))
}

/// Sessions of initiators without a list, one a line.
fn dynamic(group: &Directory) -> usize {
    let sessions = group.read("dynamic_sessions").unwrap_or_default();
    sessions.split(['\n', '\0']).filter(|name| !name.is_empty()).count()
}

/// Whether the fabric's one initiator is there.
fn has_nexus(group: &Directory) -> bool {
    group.read("nexus").is_ok_and(|name| !name.is_empty())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;
    use std::path::PathBuf;

    use tempfile::{TempDir, tempdir};

    use super::*;

    struct Group {
        root: TempDir,
    }

    impl Group {
        fn new() -> Self {
            let group = Self { root: tempdir().unwrap() };
            group.folder("lun/lun_0");
            group.folder("lun/lun_1");
            group
        }

        fn folder(&self, name: &str) -> PathBuf {
            let path = self.root.path().join(name);
            fs::create_dir_all(&path).unwrap();
            path
        }

        fn map(&self, initiator: &str, lun: &str) {
            let mapped = self.folder(&format!("acls/{initiator}/{lun}"));
            symlink(self.root.path().join("lun").join(lun), mapped.join("0f1e2d")).unwrap();
        }

        fn of(&self, lun: &str) -> usize {
            of_lun(&Directory::new(self.root.path().join("lun").join(lun))).unwrap()
        }
    }

    #[test]
    fn a_port_that_tells_nothing_counts_as_one() {
        assert_eq!(Group::new().of("lun_0"), 1);
    }

    #[test]
    fn lists_count_only_for_the_luns_they_map() {
        let group = Group::new();
        group.folder("acls/iqn.x:empty");
        for initiator in ["iqn.x:a", "iqn.x:b"] {
            group.map(initiator, "lun_0");
        }
        group.map("iqn.x:a", "lun_1");
        assert_eq!((group.of("lun_0"), group.of("lun_1")), (2, 1));
    }

    #[test]
    fn sessions_and_the_only_initiator_of_a_fabric_count() {
        let group = Group::new();
        let write = |name: &str, text: &str| fs::write(group.root.path().join(name), text).unwrap();
        write("dynamic_sessions", "iqn.x:a\n\0iqn.x:b\n\0");
        assert_eq!(group.of("lun_0"), 2);
        write("dynamic_sessions", "");
        write("nexus", "naa.5001405000000001\n");
        group.map("naa.5001405000000002", "lun_0");
        assert_eq!(group.of("lun_0"), 2);
    }
}
