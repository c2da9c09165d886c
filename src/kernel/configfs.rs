//! The configfs directory of one TCMU device.

use std::time::Duration;

use crate::attribute::{Directory, WritableAttribute};
use crate::{AccessState, AttributeError, Roots, TargetPortGroup, UioName, alua};

const BLOCK_DEV: &str = "action/block_dev";

/// How [`Device::reset_ring`] answers the commands that were in flight.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RingReset {
    /// With status BUSY: initiators try again.
    Busy,
    /// With CHECK CONDITION, NOT READY, logical unit communication failure: initiators see an error.
    NotReady,
}

/// The configfs directory of one device, `target/core/user_<hba>/<name>`. A handle is only a path:
/// making one touches nothing.
///
/// # Deadlocks
/// Touch nothing of a device through this type while its [`crate::EventKind::Removed`] is unanswered.
/// The kernel sends that event from inside rmdir(2) and waits for the answer with the directory
/// locked, so opening any file below it can block until the answer that would have come afterwards.
///
/// The same while a [`crate::EventKind::Reconfigured`] is unanswered: whoever writes the attribute
/// holds the device's tree for reading until then (`frag_sem` of configfs), and if somebody else
/// calls rmdir(2) meanwhile, every further reader queues behind that. While a device is being added
/// its attributes have to be read; only an rmdir(2) at the very same time could block that.
///
/// Setting `dev_config`, `dev_size` or `emulate_write_cache` asks the daemon over netlink and is
/// therefore not offered: the caller would wait for itself.
#[derive(Clone, Debug)]
pub struct Device {
    directory: Directory,
    target: Directory,
}

impl Device {
    /// The device behind the UIO device called `name`.
    pub fn new(roots: &Roots, name: &UioName) -> Self {
        Self {
            directory: Directory::new(roots.device(name)),
            target: Directory::new(roots.target()),
        }
    }

    /// What the `info` file says.
    ///
    /// # Errors
    /// As all methods here: [`AttributeError::Gone`] if the device was removed,
    /// [`AttributeError::Unsupported`] if the kernel has no such file, and
    /// [`AttributeError::Malformed`] if it says something unheard of.
    pub fn info(&self) -> Result<DeviceInfo, AttributeError> {
        let text = self.directory.read("info")?;
        DeviceInfo::parse(&text).ok_or_else(|| self.directory.malformed("info", &text))
    }

    /// The size of the logical unit in bytes.
    ///
    /// # Errors
    /// See [`Device::info`].
    pub fn size(&self) -> Result<u64, AttributeError> {
        self.directory.read_value("attrib/dev_size")
    }

    /// The length of a logical block in bytes. Right before the device is enabled as well, when
    /// `info` still shows LIO's default.
    ///
    /// # Errors
    /// See [`Device::info`].
    pub fn block_size(&self) -> Result<u32, AttributeError> {
        self.directory.read_value("attrib/hw_block_size")
    }

    /// The longest transfer LIO passes on, in logical blocks.
    ///
    /// # Errors
    /// See [`Device::info`].
    pub fn max_sectors(&self) -> Result<u32, AttributeError> {
        self.directory.read_value("attrib/hw_max_sectors")
    }

    /// The upper limit of the data area in MiB.
    ///
    /// # Errors
    /// See [`Device::info`].
    pub fn max_data_area_mb(&self) -> Result<u32, AttributeError> {
        self.directory.read_value("attrib/max_data_area_mb")
    }

    /// Whether the logical unit shall report a volatile write cache.
    ///
    /// # Errors
    /// See [`Device::info`].
    pub fn write_cache(&self) -> Result<bool, AttributeError> {
        self.directory.read_flag("attrib/emulate_write_cache")
    }

    /// Whether LIO checks ALUA states for this device (`alua_support`).
    ///
    /// # Errors
    /// See [`Device::info`].
    pub fn alua_support(&self) -> Result<bool, AttributeError> {
        self.directory.read_flag("attrib/alua_support")
    }

    /// How long the kernel waits for a command before it fails it; `None` is for ever. Whole
    /// seconds.
    ///
    /// # Errors
    /// See [`Device::info`].
    pub fn command_timeout(&self) -> Result<Option<Duration>, AttributeError> {
        let seconds: u32 = self.directory.read_value("attrib/cmd_time_out")?;
        Ok((seconds != 0).then(|| Duration::from_secs(seconds.into())))
    }

    /// Sets [`Device::command_timeout`]; parts of a second are cut off.
    ///
    /// # Errors
    /// [`AttributeError::Refused`] once the device is exported by any fabric; see also
    /// [`Device::info`].
    pub fn set_command_timeout(&self, timeout: Option<Duration>) -> Result<(), AttributeError> {
        self.directory.write("attrib/cmd_time_out", timeout.map_or(0, |timeout| timeout.as_secs()))
    }

    /// How long a command waits for space on a full ring before it gets TASK SET FULL; `None` is as
    /// long as [`Device::command_timeout`], or 30 s where that is for ever. Whole seconds.
    ///
    /// # Errors
    /// See [`Device::info`].
    pub fn queue_full_timeout(&self) -> Result<Option<Duration>, AttributeError> {
        let seconds: i64 = self.directory.read_value("attrib/qfull_time_out")?;
        Ok(u64::try_from(seconds).ok().map(Duration::from_secs))
    }

    /// Sets [`Device::queue_full_timeout`]; parts of a second are cut off.
    ///
    /// # Errors
    /// See [`Device::info`].
    pub fn set_queue_full_timeout(&self, timeout: Option<Duration>) -> Result<(), AttributeError> {
        const QFULL_TIME_OUT: &str = "attrib/qfull_time_out";
        match timeout {
            Some(timeout) => self.directory.write(QFULL_TIME_OUT, timeout.as_secs()),
            None => self.directory.write(QFULL_TIME_OUT, -1),
        }
    }

    /// Has the kernel put task management functions on the ring, or not.
    ///
    /// # Errors
    /// See [`Device::info`].
    pub fn set_tmr_notification(&self, on: bool) -> Result<(), AttributeError> {
        self.directory.write("attrib/tmr_notification", u8::from(on))
    }

    /// Whether new commands are answered BUSY instead of being put on the ring.
    ///
    /// # Errors
    /// See [`Device::info`].
    pub fn is_blocked(&self) -> Result<bool, AttributeError> {
        match self.directory.read(BLOCK_DEV)?.as_str() {
            "blocked" => Ok(true),
            "unblocked" => Ok(false),
            other => Err(self.directory.malformed(BLOCK_DEV, other)),
        }
    }

    /// The switch behind [`crate::Blocked`].
    pub(crate) fn block_dev(&self) -> Result<WritableAttribute, AttributeError> {
        self.directory.open_for_writing(BLOCK_DEV)
    }

    /// Answers every command in flight and empties the ring: head and tail are 0 afterwards.
    ///
    /// Block the device first ([`crate::Blocked`]), or waiting commands are put on the new ring at
    /// once. Nobody may still write into mapped buffers: their pages go to the next command.
    ///
    /// # Errors
    /// [`AttributeError::Refused`] before the device is enabled; see also [`Device::info`].
    pub fn reset_ring(&self, answer: RingReset) -> Result<(), AttributeError> {
        let level = match answer {
            RingReset::Busy => 1,
            RingReset::NotReady => 2,
        };
        self.directory.write("action/reset_ring", level)
    }

    /// The unit serial number, if one has been set yet: rtslib sets it only after it enabled the
    /// device, so read it when it is asked for and not when the device appears.
    ///
    /// # Errors
    /// See [`Device::info`].
    pub fn unit_serial(&self) -> Result<Option<String>, AttributeError> {
        const VPD_UNIT_SERIAL: &str = "wwn/vpd_unit_serial";
        let text = self.directory.read(VPD_UNIT_SERIAL)?;
        let serial = text
            .strip_prefix("T10 VPD Unit Serial Number:")
            .ok_or_else(|| self.directory.malformed(VPD_UNIT_SERIAL, &text))?
            .trim();
        Ok((!serial.is_empty()).then(|| serial.to_owned()))
    }

    /// The target port groups of the device, by name, with the ports that lead to it.
    ///
    /// # Errors
    /// See [`Device::info`]. A group or port that disappears meanwhile is left out.
    pub fn target_port_groups(&self) -> Result<Vec<TargetPortGroup>, AttributeError> {
        alua::target_port_groups(&self.directory.child("alua"), &self.target)
    }

    /// How many initiators may use the device, as far as configfs tells: at least one a port.
    ///
    /// # Errors
    /// See [`Device::info`].
    pub fn initiators(&self) -> Result<usize, AttributeError> {
        alua::initiators(&self.directory.child("alua"), &self.target)
    }

    /// Gives the target port group `group` another state, as an initiator asked for it. Waits as long
    /// as the group's transition takes. Every initiator hears ASYMMETRIC ACCESS STATE CHANGED.
    ///
    /// # Errors
    /// See [`Device::info`]; [`AttributeError::Refused`] if the kernel does not make the transition,
    /// which it does only in groups whose states change implicitly too
    /// (`target_tg_pt_gp_alua_access_state_store`).
    pub fn set_access_state(&self, group: u16, state: AccessState) -> Result<(), AttributeError> {
        alua::set_access_state(&self.directory.child("alua"), group, state)
    }
}

/// The `info` file of a device (`transport_dump_dev_state`, `tcmu_show_configfs_dev_params`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeviceInfo {
    /// Whether any fabric exports the device.
    pub exported: bool,
    /// Length of a logical block in bytes.
    pub sector_size: u32,
    /// The longest transfer in logical blocks.
    pub max_sectors: u32,
    /// The configuration string with its subtype, if one is set.
    pub config: Option<String>,
    /// Size of the logical unit in bytes.
    pub size: u64,
    /// Upper limit of the data area in MiB.
    pub max_data_area_mb: u32,
}

impl DeviceInfo {
    fn parse(text: &str) -> Option<Self> {
        let (state, rest) = text.split_once("Config: ")?;
        // The configuration comes first and is free text, so the numbers are sought from the end.
        let (config, numbers) = rest.rsplit_once(" Size: ").or_else(|| {
            // One that was set with `echo` ends in a newline of its own.
            rest.rsplit_once("\nSize: ")
        })?;
        let number = |text: &str, label: &str| -> Option<u64> {
            let (_, value) = text.split_once(label)?;
            value.split_whitespace().next()?.parse().ok()
        };
        let (size, _) = numbers.split_once(' ')?;
        let config = config.trim_end_matches('\n');
        Some(Self {
            exported: match state.split_whitespace().nth(1)? {
                "ACTIVATED" => true,
                "DEACTIVATED" => false,
                _ => return None,
            },
            sector_size: number(state, "SectorSize: ")?.try_into().ok()?,
            max_sectors: number(state, "HwMaxSectors: ")?.try_into().ok()?,
            config: (config != "NULL").then(|| config.to_owned()),
            size: size.parse().ok()?,
            max_data_area_mb: number(numbers, "MaxDataAreaMB: ")?.try_into().ok()?,
        })
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::PathBuf;

    use super::*;

    struct Machine {
        _directory: tempfile::TempDir,
        device: Device,
        path: PathBuf,
    }

    impl Machine {
        fn new() -> Self {
            let directory = tempfile::tempdir().unwrap();
            let roots = Roots::under(directory.path());
            let name: UioName = "tcm-user/7/ds1/pulsefield/ram/".parse().unwrap();
            let path = directory.path().join("sys/kernel/config/target/core/user_7/ds1");
            for group in ["attrib", "action", "wwn"] {
                fs::create_dir_all(path.join(group)).unwrap();
            }
            Self { _directory: directory, device: Device::new(&roots, &name), path }
        }

        fn set(&self, attribute: &str, text: &str) {
            fs::write(self.path.join(attribute), text).unwrap();
        }

        fn text(&self, attribute: &str) -> String {
            fs::read_to_string(self.path.join(attribute)).unwrap()
        }
    }

    const INFO: &str =
        "Status: DEACTIVATED  Max Queue Depth: 0  SectorSize: 4096  HwMaxSectors: 128
        Config: pulsefield/file//srv/ds 1.img Size: 68719476736 MaxDataAreaMB: 1024 ";

    #[test]
    fn info_is_read_as_the_kernel_prints_it() {
        let machine = Machine::new();
        let expected = DeviceInfo {
            exported: false,
            sector_size: 4096,
            max_sectors: 128,
            config: Some("pulsefield/file//srv/ds 1.img".to_owned()),
            size: 64 << 30,
            max_data_area_mb: 1024,
        };
        machine.set("info", &format!("{INFO}\n"));
        assert_eq!(machine.device.info().unwrap(), expected);
        machine.set("info", &format!("{INFO}DataPagesPerBlk: 1 CmdRingSizeMB: 8\n"));
        assert_eq!(machine.device.info().unwrap(), expected);
        machine.set("info", &INFO.replace("DEACTIVATED", "ACTIVATED"));
        assert_eq!(machine.device.info().unwrap(), DeviceInfo { exported: true, ..expected });
    }

    #[test]
    fn a_configuration_may_look_like_anything() {
        let machine = Machine::new();
        for (printed, config) in [
            ("NULL", None),
            (
                "pulsefield/x Size: 1 MaxDataAreaMB: 2",
                Some("pulsefield/x Size: 1 MaxDataAreaMB: 2"),
            ),
            ("pulsefield/echoed\n", Some("pulsefield/echoed")),
        ] {
            machine.set("info", &INFO.replace("pulsefield/file//srv/ds 1.img", printed));
            let info = machine.device.info().unwrap();
            assert_eq!((info.config.as_deref(), info.size), (config, 64 << 30));
        }
        for nonsense in ["", "Config: x", "Status: Config: x Size: y "] {
            machine.set("info", nonsense);
            assert!(matches!(machine.device.info(), Err(AttributeError::Malformed { .. })));
        }
    }

    #[test]
    fn timeouts_have_their_special_values() {
        let machine = Machine::new();
        for (text, timeout) in [("0\n", None), ("30\n", Some(Duration::from_secs(30)))] {
            machine.set("attrib/cmd_time_out", text);
            assert_eq!(machine.device.command_timeout().unwrap(), timeout);
            machine.device.set_command_timeout(timeout).unwrap();
            assert_eq!(machine.text("attrib/cmd_time_out"), text.trim());
        }
        for (text, timeout) in
            [("-1\n", None), ("0\n", Some(Duration::ZERO)), ("5\n", Some(Duration::from_secs(5)))]
        {
            machine.set("attrib/qfull_time_out", text);
            assert_eq!(machine.device.queue_full_timeout().unwrap(), timeout);
            machine.device.set_queue_full_timeout(timeout).unwrap();
            assert_eq!(machine.text("attrib/qfull_time_out"), text.trim());
        }
    }

    #[test]
    fn actions_write_what_the_kernel_takes() {
        let machine = Machine::new();
        machine.set("action/block_dev", "unblocked\n");
        assert!(!machine.device.is_blocked().unwrap());
        machine.set("action/block_dev", "blocked\n");
        assert!(machine.device.is_blocked().unwrap());
        machine.set("action/reset_ring", "");
        machine.device.reset_ring(RingReset::Busy).unwrap();
        assert_eq!(machine.text("action/reset_ring"), "1");
        machine.device.reset_ring(RingReset::NotReady).unwrap();
        assert_eq!(machine.text("action/reset_ring"), "2");
        machine.set("attrib/tmr_notification", "0\n");
        machine.device.set_tmr_notification(true).unwrap();
        assert_eq!(machine.text("attrib/tmr_notification"), "1");
    }

    #[test]
    fn attributes_come_with_their_units() {
        let machine = Machine::new();
        for (attribute, text) in [
            ("dev_size", "68719476736\n"),
            ("hw_block_size", "512\n"),
            ("hw_max_sectors", "65535\n"),
            ("max_data_area_mb", "8\n"),
            ("emulate_write_cache", "1\n"),
            ("alua_support", "0\n"),
        ] {
            machine.set(&format!("attrib/{attribute}"), text);
        }
        let device = &machine.device;
        assert_eq!(device.size().unwrap(), 64 << 30);
        assert_eq!((device.block_size().unwrap(), device.max_sectors().unwrap()), (512, 65535));
        assert_eq!(device.max_data_area_mb().unwrap(), 8);
        assert!(device.write_cache().unwrap() && !device.alua_support().unwrap());
    }

    #[test]
    fn the_serial_number_may_not_be_there_yet() {
        let machine = Machine::new();
        machine.set("wwn/vpd_unit_serial", "T10 VPD Unit Serial Number: \n");
        assert_eq!(machine.device.unit_serial().unwrap(), None);
        machine.set("wwn/vpd_unit_serial", "T10 VPD Unit Serial Number: 6001-a b\n");
        assert_eq!(machine.device.unit_serial().unwrap().as_deref(), Some("6001-a b"));
        machine.set("wwn/vpd_unit_serial", "6001\n");
        assert!(matches!(machine.device.unit_serial(), Err(AttributeError::Malformed { .. })));
    }

    #[test]
    fn an_old_kernel_is_told_from_a_removed_device() {
        let machine = Machine::new();
        let error = machine.device.set_tmr_notification(true).unwrap_err();
        assert!(matches!(error, AttributeError::Unsupported { attribute }
            if attribute.ends_with("attrib/tmr_notification")));
        fs::remove_dir_all(&machine.path).unwrap();
        assert!(matches!(machine.device.is_blocked(), Err(AttributeError::Gone(_))));
    }
}
