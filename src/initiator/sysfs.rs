//! What Linux says of its SCSI devices in `/sys`: which nodes they have, which fabric leads there, who holds them,
//! and which of them are paths to one logical unit.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};

use crate::naa::Naa;
use crate::transport::Transport;

/// `/sys`, or what stands for it in a test.
#[derive(Clone, Debug)]
pub struct Sysfs(PathBuf);

impl Default for Sysfs {
    fn default() -> Self {
        Self(PathBuf::from("/sys"))
    }
}

/// A path to a logical unit: a disk as the SCSI layer of Linux has found it by one initiator port and one target
/// port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnitPath {
    /// Host, channel, target and LUN: `2:0:0:1`.
    pub address: String,
    /// The name of its block device: `sda`.
    pub disk: String,
    /// What it goes over.
    pub transport: Transport,
    /// How the logical unit is called; `None` if it has no such name.
    pub naa: Option<Naa>,
}

impl UnitPath {
    /// Its block device node.
    pub fn node(&self) -> PathBuf {
        Path::new("/dev").join(&self.disk)
    }
}

/// What a device node stands for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum NodeKind {
    /// A disk, by its block device or by its generic one.
    Disk(UnitPath),
    /// A partition of the disk with this name.
    Partition(String),
    /// A device of device-mapper: its name, and the devices that it is made of.
    Mapped { name: String, over: Vec<String> },
    /// A SCSI device that is no disk.
    OtherScsi,
    /// None of SCSI.
    Other,
}

/// `TYPE_DISK` of `<scsi/scsi_proto.h>`: PERIPHERAL DEVICE TYPE 00h.
const TYPE_DISK: &str = "0";

impl Sysfs {
    /// All paths to the logical unit with this name, in the order of their addresses.
    pub fn paths_to(&self, naa: &Naa) -> Vec<UnitPath> {
        let mut paths = self.disks();
        paths.retain(|path| path.naa.as_ref() == Some(naa));
        paths
    }

    /// All SCSI disks of the machine, in the order of their addresses. One that vanishes while it is looked at is
    /// left out.
    pub fn disks(&self) -> Vec<UnitPath> {
        let addresses = names_in(&self.0.join("class/scsi_device"));
        let mut disks: Vec<_> = addresses.iter().filter_map(|it| self.disk_at(it)).collect();
        let key = |path: &UnitPath| -> Vec<u64> {
            path.address.split(':').filter_map(|part| part.parse().ok()).collect()
        };
        disks.sort_by_cached_key(key);
        disks
    }

    /// The disk with this address (host, channel, target and LUN), if there is one.
    pub(crate) fn disk_at(&self, address: &str) -> Option<UnitPath> {
        let device = self.0.join("class/scsi_device").join(address).join("device");
        self.disk(&device, address.to_owned())
    }

    /// What the node with this device number stands for; `class` is `block` or `char`.
    pub(crate) fn node(&self, class: &str, major: u64, minor: u64) -> NodeKind {
        let link = self.0.join("dev").join(class).join(format!("{major}:{minor}"));
        let Ok(folder) = fs::canonicalize(link) else { return NodeKind::Other };
        let device_name = |folder: &Path| {
            folder.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default()
        };
        if folder.join("partition").exists() {
            return NodeKind::Partition(folder.parent().map(device_name).unwrap_or_default());
        }
        if let Some(name) = text(&folder.join("dm/name")) {
            return NodeKind::Mapped { name, over: names_in(&folder.join("slaves")) };
        }
        let device = folder.join("device");
        let is_scsi = fs::canonicalize(device.join("subsystem"))
            .is_ok_and(|subsystem| subsystem.ends_with("bus/scsi"));
        if !is_scsi {
            return NodeKind::Other;
        }
        let address = fs::canonicalize(&device).as_deref().map(device_name).unwrap_or_default();
        self.disk(&device, address).map_or(NodeKind::OtherScsi, NodeKind::Disk)
    }

    /// Who holds a disk: what is made of it or of its partitions, and where these are mounted. `mounts` is
    /// `/proc/self/mountinfo`, `swaps` is `/proc/swaps`.
    pub(crate) fn holders(&self, disk: &str, mounts: &str, swaps: &str) -> Vec<String> {
        let folder = self.0.join("block").join(disk);
        let partitions = names_in(&folder).into_iter().filter(|name| name.starts_with(disk));
        let parts = partitions.map(|name| (folder.join(&name), name));
        let mut holders = Vec::new();
        for (folder, name) in std::iter::once((folder.clone(), disk.to_owned())).chain(parts) {
            for holder in names_in(&folder.join("holders")) {
                let mapped = text(&self.0.join("block").join(&holder).join("dm/name"));
                holders.push(mapped.map_or(holder.clone(), |name| format!("{name} ({holder})")));
            }
            if let Some(number) = text(&folder.join("dev")) {
                let fields = mounts.lines().map(|line| line.split(' '));
                let places = fields.filter_map(|mut it| Some((it.nth(2)?, it.nth(1)?)));
                let own = places.filter(|(device, _)| *device == number);
                holders.extend(own.map(|(_, place)| format!("the mount at {place}")));
            }
            let node = format!("/dev/{name}");
            if swaps.lines().any(|line| line.split_whitespace().next() == Some(&node)) {
                holders.push("swap".to_owned());
            }
        }
        holders
    }

    /// How many bytes one command may carry to a disk, if the kernel says.
    pub(crate) fn transfer_bytes_max(&self, disk: &str) -> Option<u64> {
        let kib = text(&self.0.join("block").join(disk).join("queue/max_hw_sectors_kb"))?;
        kib.parse::<u64>().ok()?.checked_mul(1024)
    }

    /// The disk whose folder this is; `None` if it is no disk, or has no block device.
    fn disk(&self, device: &Path, address: String) -> Option<UnitPath> {
        if text(&device.join("type"))? != TYPE_DISK {
            return None;
        }
        let [disk] = names_in(&device.join("block")).try_into().ok()?;
        let host = format!("host{}", address.split(':').next()?);
        let class = self.0.join("class");
        let driver = text(&class.join("scsi_host").join(&host).join("proc_name"));
        let has = |name: &str| class.join(name).join(&host).exists();
        let transport = Transport::of(has, driver.as_deref().unwrap_or("unknown"));
        let naa = fs::read(device.join("vpd_pg83")).ok().and_then(|page| Naa::in_page(&page));
        Some(UnitPath { address, disk, transport, naa })
    }
}

/// A file of one line.
fn text(path: &Path) -> Option<String> {
    Some(fs::read_to_string(path).ok()?.trim().to_owned())
}

/// The names in a folder, sorted; none if there is no such folder.
fn names_in(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let names = entries.map(|entry| entry.file_name()).map(OsString::into_string);
    let mut names: Vec<_> = names.filter_map(Result::ok).collect();
    names.sort();
    names
}

#[cfg(test)]
pub(crate) mod testing {
    //! A made-up machine.

    use std::os::unix::fs::symlink;

    use tempfile::TempDir;

    use super::*;

    /// A folder that looks like `/sys`.
    pub(crate) struct Machine {
        folder: TempDir,
    }

    impl Machine {
        pub(crate) fn new() -> Self {
            let machine = Self { folder: TempDir::new().unwrap() };
            fs::create_dir_all(machine.path("bus/scsi")).unwrap();
            machine
        }

        pub(crate) fn sysfs(&self) -> Sysfs {
            Sysfs(self.folder.path().to_owned())
        }

        fn path(&self, name: &str) -> PathBuf {
            self.folder.path().join(name)
        }

        pub(crate) fn write(&self, name: &str, bytes: impl AsRef<[u8]>) {
            fs::create_dir_all(self.path(name).parent().unwrap()).unwrap();
            fs::write(self.path(name), bytes).unwrap();
        }

        pub(crate) fn link(&self, name: &str, to: &str) {
            fs::create_dir_all(self.path(name).parent().unwrap()).unwrap();
            symlink(self.path(to), self.path(name)).unwrap();
        }

        /// A disk of host `address`, with the last byte of its name, and the number `8:minor`.
        pub(crate) fn disk(&self, address: &str, disk: &str, minor: u32, naa: u8, class: &str) {
            let device = format!("devices/{address}");
            let block = format!("{device}/block/{disk}");
            self.write(&format!("{device}/type"), "0\n");
            let mut page = vec![0, 0x83, 0, 12, 0x01, 0x03, 0, 8, 0x60, 0x01, 0x40, 0x5a, 0, 0, 0];
            page.push(naa);
            self.write(&format!("{device}/vpd_pg83"), page);
            self.write(&format!("{block}/dev"), format!("8:{minor}\n"));
            self.write(&format!("{block}/queue/max_hw_sectors_kb"), "512\n");
            self.link(&format!("{block}/device"), &device);
            self.link(&format!("{device}/subsystem"), "bus/scsi");
            self.link(&format!("class/scsi_device/{address}/device"), &device);
            self.link(&format!("dev/block/8:{minor}"), &block);
            self.link(&format!("block/{disk}"), &block);
            let host = address.split(':').next().unwrap();
            self.write(&format!("class/scsi_host/host{host}/proc_name"), "tcm_loopback\n");
            self.write(&format!("class/{class}/host{host}/there"), "");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::testing::Machine;
    use super::*;

    fn machine() -> Machine {
        let machine = Machine::new();
        machine.disk("10:0:0:1", "sdc", 32, 1, "iscsi_host");
        machine.disk("2:0:0:1", "sda", 0, 1, "scsi_host");
        machine.disk("3:0:0:1", "sdb", 16, 2, "fc_host");
        machine
    }

    #[test]
    fn the_paths_to_a_unit_are_found_by_its_name() {
        let naa: Naa = "naa.6001405a00000001".parse().unwrap();
        let paths = machine().sysfs().paths_to(&naa);
        let told: Vec<_> =
            paths.iter().map(|it| format!("{} {} {}", it.address, it.disk, it.transport)).collect();
        assert_eq!(told, ["2:0:0:1 sda loopback", "10:0:0:1 sdc iSCSI"]);
        assert_eq!(paths[1].node(), Path::new("/dev/sdc"));
        assert_eq!(machine().sysfs().paths_to(&"6001405a00000009".parse().unwrap()), []);
        assert_eq!(machine().sysfs().disk_at("10:0:0:1").as_ref(), paths.get(1));
        assert_eq!(machine().sysfs().disk_at("10:0:0:2"), None);
        assert_eq!(Machine::new().sysfs().disks(), []);
    }

    #[test]
    fn a_node_is_told_by_its_number() {
        let machine = machine();
        let sysfs = machine.sysfs();
        let NodeKind::Disk(path) = sysfs.node("block", 8, 16) else { panic!("sdb is a disk") };
        assert_eq!((path.disk.as_str(), path.address.as_str()), ("sdb", "3:0:0:1"));
        assert_eq!(path.transport, Transport::FibreChannel);

        machine.write("devices/3:0:0:1/scsi_generic/sg1/dev", "21:1\n");
        machine.link("devices/3:0:0:1/scsi_generic/sg1/device", "devices/3:0:0:1");
        machine.link("dev/char/21:1", "devices/3:0:0:1/scsi_generic/sg1");
        assert_eq!(sysfs.node("char", 21, 1), NodeKind::Disk(path));

        machine.write("devices/3:0:0:1/block/sdb/sdb1/partition", "1\n");
        machine.link("dev/block/8:17", "devices/3:0:0:1/block/sdb/sdb1");
        assert_eq!(sysfs.node("block", 8, 17), NodeKind::Partition("sdb".to_owned()));

        machine.write("devices/dm-0/dm/name", "mpatha\n");
        machine.write("devices/dm-0/slaves/sdb/dev", "");
        machine.link("dev/block/253:0", "devices/dm-0");
        let mapped = NodeKind::Mapped { name: "mpatha".to_owned(), over: vec!["sdb".to_owned()] };
        assert_eq!(sysfs.node("block", 253, 0), mapped);

        machine.write("devices/3:0:0:1/type", "5\n");
        assert_eq!(sysfs.node("block", 8, 16), NodeKind::OtherScsi);
        assert_eq!(sysfs.node("block", 7, 0), NodeKind::Other);
    }

    #[test]
    fn whoever_holds_a_disk_or_a_part_of_it_is_named() {
        let machine = machine();
        let sysfs = machine.sysfs();
        assert_eq!(sysfs.holders("sda", "", ""), [""; 0]);
        machine.write("devices/2:0:0:1/block/sda/holders/dm-3/dev", "");
        machine.write("block/dm-3/dm/name", "mpathb\n");
        machine.write("devices/2:0:0:1/block/sda/sda1/dev", "8:1\n");
        let mounts = "36 1 8:1 / /srv rw,relatime shared:1 - ext4 /dev/sda1 rw\n\
                      37 1 8:16 / /mnt rw - ext4 /dev/sdb rw\n";
        let swaps = "Filename Type Size Used Priority\n/dev/sda1 partition 8 0 -2\n";
        let holders = sysfs.holders("sda", mounts, swaps);
        assert_eq!(holders, ["mpathb (dm-3)", "the mount at /srv", "swap"]);
    }

    #[test]
    fn the_kernel_says_how_much_a_command_may_carry() {
        assert_eq!(machine().sysfs().transfer_bytes_max("sda"), Some(512 << 10));
        assert_eq!(machine().sysfs().transfer_bytes_max("sdx"), None);
    }
}
