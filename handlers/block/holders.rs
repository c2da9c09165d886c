//! Who has a block device, for the message that it cannot be had.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use nix::sys::stat::{major, minor};

/// Who has the device whose directory in sysfs is `entry`, or one of its partitions; `None` if that
/// is not to be seen: a program that claimed it, perhaps another logical unit.
pub(crate) fn find(proc: &Path, entry: &Path) -> Option<String> {
    let partitions = subfolders(entry).into_iter().filter(|it| it.join("partition").exists());
    let parts: Vec<PathBuf> = [entry.to_owned()].into_iter().chain(partitions).collect();
    let numbers: Vec<String> = parts.iter().filter_map(|part| read(&part.join("dev"))).collect();
    parts
        .iter()
        .find_map(|part| stacked_on(part))
        .or_else(|| mounted(proc, &numbers))
        .or_else(|| swapped_to(proc, &numbers))
}

/// The device that is built on this one: device mapper, MD, bcache.
fn stacked_on(part: &Path) -> Option<String> {
    let holder = subfolders(&part.join("holders")).into_iter().next()?;
    let device = holder.file_name()?.to_string_lossy().into_owned();
    Some(match read(&holder.join("dm/name")) {
        Some(name) => format!("{device} ({name})"),
        None => device,
    })
}

/// The file system on one of these devices (`proc_pid_mountinfo(5)`: the third field is the device's
/// number, the fifth where it is mounted).
fn mounted(proc: &Path, numbers: &[String]) -> Option<String> {
    let mounts = read(&proc.join("self/mountinfo"))?;
    let place = mounts.lines().find_map(|line| {
        let mut fields = line.split(' ').skip(2);
        let number = fields.next()?;
        numbers.iter().any(|ours| ours == number).then(|| fields.nth(1)).flatten()
    })?;
    Some(format!("the file system mounted on {place}"))
}

/// The swap space on one of these devices (`proc_swaps(5)`: the first field is the device's path).
fn swapped_to(proc: &Path, numbers: &[String]) -> Option<String> {
    let swaps = read(&proc.join("swaps"))?;
    let ours = swaps.lines().skip(1).any(|line| {
        let path = line.split_whitespace().next().unwrap_or_default();
        fs::metadata(path).is_ok_and(|metadata| {
            let number = metadata.rdev();
            numbers.contains(&format!("{}:{}", major(number), minor(number)))
        })
    });
    ours.then(|| "the kernel, which swaps to it".to_owned())
}

/// The folders in `folder`, links to folders included; none if it cannot be read.
fn subfolders(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let mut folders: Vec<_> = entries.map(|entry| entry.path()).filter(|it| it.is_dir()).collect();
    folders.sort();
    folders
}

/// What an attribute says, if it is there.
fn read(path: &Path) -> Option<String> {
    fs::read_to_string(path).ok().map(|text| text.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use tempfile::{TempDir, tempdir};

    use super::*;

    /// A disk `sdx` with a partition, a mapped device, and a file of mounts, as the kernel has them.
    fn machine() -> TempDir {
        let root = tempdir().unwrap();
        let files = [
            ("sdx/dev", "8:16\n"),
            ("sdx/sdx1/dev", "8:17\n"),
            ("sdx/sdx1/partition", "1\n"),
            ("dm-3/dm/name", "vg-lv\n"),
            ("proc/self/mountinfo", "25 1 253:1 / / rw - ext4 /dev/vda1 rw\n"),
            ("proc/swaps", "Filename\tType\tSize\tUsed\tPriority\n/none\tfile\t0\t0\t-2\n"),
        ];
        for (name, text) in files {
            let path = root.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        for folder in ["sdx/holders", "sdx/sdx1/holders"] {
            fs::create_dir(root.path().join(folder)).unwrap();
        }
        root
    }

    fn holder(root: &TempDir) -> Option<String> {
        find(&root.path().join("proc"), &root.path().join("sdx"))
    }

    #[test]
    fn who_cannot_be_seen_is_not_named() {
        assert_eq!(holder(&machine()), None);
    }

    #[test]
    fn a_mapped_device_on_a_partition_is_named() {
        let root = machine();
        symlink(root.path().join("dm-3"), root.path().join("sdx/sdx1/holders/dm-3")).unwrap();
        assert_eq!(holder(&root).unwrap(), "dm-3 (vg-lv)");
        fs::remove_dir_all(root.path().join("dm-3/dm")).unwrap();
        assert_eq!(holder(&root).unwrap(), "dm-3", "not device mapper's");
    }

    #[test]
    fn a_mounted_file_system_is_named_by_its_place() {
        let root = machine();
        let mounts = "25 1 253:1 / / rw - ext4 /dev/vda1 rw\n\
                      31 25 8:17 / /srv/data rw,relatime shared:1 - xfs /dev/sdx1 rw\n";
        fs::write(root.path().join("proc/self/mountinfo"), mounts).unwrap();
        assert_eq!(holder(&root).unwrap(), "the file system mounted on /srv/data");
    }
}
