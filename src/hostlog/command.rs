//! Lines about a SCSI command that failed, in the four forms that versions 3.5 to 8 have.
//!
//! What H:, D: and P: mean is from VMware's public headers (vmkapi_scsi_ext.h).

use std::fmt;

use crate::scan::Scan;

/// A command that failed, by a host's account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CommandFailure {
    /// The operation code; ESX 3.5 does not name it. FEh, which ESXi 8 has, is no SCSI command's.
    pub opcode: Option<u8>,
    /// The host's serial number of the command (`CmdSN`).
    pub serial_number: Option<u64>,
    /// Which world of the host sent it; 0 or none for the kernel itself.
    pub world: Option<u64>,
    /// The device as the host names it: `naa.…`, or the path `vmhba1:0:6:0` on ESX 3.5.
    pub device: String,
    /// The path that it took.
    pub path: Option<String>,
    /// H: what became of it on the way.
    pub host_status: u8,
    /// D: the SCSI status, if the target answered.
    pub device_status: u8,
    /// P: what the multipathing plug-in made of it; ESX 3.5 has none.
    pub plugin_status: Option<u8>,
    /// The sense data that the line has.
    pub sense: Option<LoggedSense>,
}

/// Sense data in a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LoggedSense {
    /// Whether the host believes it.
    pub validity: Validity,
    /// Sense key.
    pub key: u8,
    /// Additional sense code.
    pub asc: u8,
    /// Additional sense code qualifier.
    pub ascq: u8,
}

/// Whether sense data in a line came with the status.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Validity {
    /// It did.
    Valid,
    /// It may be left over from before.
    Possible,
    /// It did, and makes no sense.
    Invalid,
}

/// The status CHECK CONDITION (SAM-5 5.3).
const CHECK_CONDITION: u8 = 0x02;

impl CommandFailure {
    /// From `Cmd(0x43a617083a00) 0x89, CmdSN 0x1a236 from world 34269 to dev "naa.x" failed H:0x0
    /// …` (ESXi 5 to 8), without the words before the parenthesis.
    pub(crate) fn of_device_io(_: &str, after: &str) -> Option<Self> {
        let mut scan = Scan::new(after);
        scan.until(") ")?;
        let opcode = byte(&mut scan)?;
        let (about, outcome) = scan.rest().split_once(" failed ")?;
        let mut failure = Self::with_statuses(outcome)?;
        failure.opcode = Some(opcode);
        failure.serial_number = named(about, "CmdSN ", Scan::prefixed);
        failure.world = named(about, "from world ", Scan::decimal);
        failure.device = quoted(about, "to dev ")?;
        Some(failure)
    }

    /// From `Cmd 0x28 (0x41244109c100, 12535) to dev "naa.x" on path "vmhba2:C0:T0:L6" Failed:
    /// H:0xb …` (multipathing of ESX 4 to ESXi 8), from the digits of the operation code on.
    pub(crate) fn of_multipathing(_: &str, after: &str) -> Option<Self> {
        let mut scan = Scan::new(after);
        let opcode = u8::try_from(scan.hexadecimal()?).ok()?;
        scan.literal(" (")?;
        let ids = scan.until(") to dev ")?;
        let (about, outcome) = scan.rest().split_once(" Failed: ")?;
        let mut failure = Self::with_statuses(outcome)?;
        failure.opcode = Some(opcode);
        failure.world = named(ids, ", ", Scan::decimal);
        failure.device = quoted(about, "")?;
        failure.path = quoted(about, "on path ");
        Some(failure)
    }

    /// From `Command 0x28 to device "naa.x" failed H:0x1 …` or `Command 0x28 (0x41…) to NMP device
    /// "naa.x" failed on physical path "vmhba1:C0:T0:L6" H:0x1 …` (ESX 4), from the digits of the
    /// operation code on.
    pub(crate) fn of_esx_4(_: &str, after: &str) -> Option<Self> {
        let mut scan = Scan::new(after);
        let opcode = u8::try_from(scan.hexadecimal()?).ok()?;
        let (about, outcome) = scan.rest().split_once(" failed ")?;
        let mut outcome = Scan::new(outcome);
        let path = quoted(outcome.rest(), "on physical path ");
        if path.is_some() {
            outcome.until("\" ")?;
        }
        let mut failure = Self::with_statuses(outcome.rest())?;
        failure.opcode = Some(opcode);
        failure.device = quoted(about, "device ")?;
        failure.path = path;
        Some(failure)
    }

    /// From `StorageMonitor: 196: vmhba1:0:6:0 status = 2/0 0x6 0x29 0x0` (ESX 3.5), without the
    /// first word: status of the device and of the host in decimal, then the sense data.
    pub(crate) fn of_esx_3(_: &str, after: &str) -> Option<Self> {
        let mut scan = Scan::new(after);
        scan.spaces();
        scan.decimal()?;
        scan.literal(": ")?;
        let device = scan.word()?.to_owned();
        scan.literal(" status = ")?;
        let device_status = u8::try_from(scan.decimal()?).ok()?;
        scan.literal("/")?;
        let host_status = u8::try_from(scan.decimal()?).ok()?;
        let sense = LoggedSense::scan_codes(&mut scan, Validity::Possible);
        let sense = sense.filter(|_| device_status == CHECK_CONDITION);
        Some(Self { device, host_status, device_status, sense, ..Self::unknown() })
    }

    /// From `H:0x0 D:0x2 P:0x0 Valid sense data: 0xe 0x1d 0x0`, which may end anywhere after D:.
    fn with_statuses(outcome: &str) -> Option<Self> {
        let mut scan = Scan::new(outcome);
        scan.literal("H:")?;
        let host_status = byte(&mut scan)?;
        scan.literal(" D:")?;
        let device_status = byte(&mut scan)?;
        // P: follows in all forms: without it the line was cut, and 0x28 may have become 0x2.
        scan.literal(" ")?;
        let plugin_status = scan.literal("P:").and_then(|()| byte(&mut scan));
        let sense = LoggedSense::scan(&mut scan);
        Some(Self { host_status, device_status, plugin_status, sense, ..Self::unknown() })
    }

    /// Whether it is the target's own answer: with H: other than 0 the host never saw one.
    pub const fn was_answered(&self) -> bool {
        self.host_status == 0
    }

    /// Nothing known but that it failed; the forms fill in what they have.
    const fn unknown() -> Self {
        Self {
            opcode: None,
            serial_number: None,
            world: None,
            device: String::new(),
            path: None,
            host_status: 0,
            device_status: 0,
            plugin_status: None,
            sense: None,
        }
    }
}

impl LoggedSense {
    fn scan(scan: &mut Scan<'_>) -> Option<Self> {
        let mut ahead = *scan;
        ahead.spaces();
        let validity = [
            ("Valid", Validity::Valid),
            ("Possible", Validity::Possible),
            ("Invalid", Validity::Invalid),
        ];
        let (_, validity) = validity.into_iter().find(|(word, _)| ahead.literal(word).is_some())?;
        ahead.literal(" sense data:")?;
        let sense = Self::scan_codes(&mut ahead, validity)?;
        *scan = ahead;
        Some(sense)
    }

    fn scan_codes(scan: &mut Scan<'_>, validity: Validity) -> Option<Self> {
        let mut code = || {
            scan.spaces();
            byte(scan)
        };
        Some(Self { validity, key: code()?, asc: code()?, ascq: code()? })
    }
}

impl fmt::Display for CommandFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.opcode {
            Some(0x89) => f.write_str("ATS (89h)")?,
            Some(opcode) => write!(f, "command {opcode:02X}h")?,
            None => f.write_str("a command")?,
        }
        write!(f, " to {} failed: ", self.device)?;
        match (host_status_name(self.host_status), self.was_answered()) {
            (_, true) => match device_status_name(self.device_status) {
                Some(name) => f.write_str(name)?,
                None => write!(f, "status {:02X}h", self.device_status)?,
            },
            (Some(name), false) => write!(f, "{name} (H:{:x}h)", self.host_status)?,
            (None, false) => write!(f, "H:{:x}h", self.host_status)?,
        }
        // What came with no answer, or with nothing in it, is no sense data of this command.
        if let Some(sense) = self.sense.filter(|sense| self.was_answered() && sense.key != 0) {
            let LoggedSense { key, asc, ascq, .. } = sense;
            write!(f, ", sense {key:X}h/{asc:02X}h/{ascq:02X}h")?;
        }
        Ok(())
    }
}

/// What the host's status means, as far as it is known.
const fn host_status_name(status: u8) -> Option<&'static str> {
    match status {
        0x1 => Some("no connection"),
        0x2 => Some("bus busy"),
        0x3 => Some("timed out"),
        0x5 => Some("aborted by the host"),
        0x7 => Some("error of the transport"),
        0x8 => Some("reset"),
        0xb => Some("transient error of the transport"),
        0xc => Some("to be retried"),
        _ => None,
    }
}

/// The SCSI status (SAM-5 5.3), as far as the lines that are known have them.
const fn device_status_name(status: u8) -> Option<&'static str> {
    match status {
        CHECK_CONDITION => Some("CHECK CONDITION"),
        0x08 => Some("BUSY"),
        0x18 => Some("RESERVATION CONFLICT"),
        0x28 => Some("TASK SET FULL"),
        0x40 => Some("TASK ABORTED"),
        _ => None,
    }
}

/// Takes `0x` and a number of at most eight bits.
fn byte(scan: &mut Scan<'_>) -> Option<u8> {
    u8::try_from(scan.prefixed()?).ok()
}

/// The number after `name`, wherever that stands in `text`.
fn named<'t>(text: &'t str, name: &str, number: fn(&mut Scan<'t>) -> Option<u64>) -> Option<u64> {
    let mut scan = Scan::new(text);
    scan.until(name)?;
    number(&mut scan)
}

/// What stands in quotes after `name`, wherever that stands in `text`.
fn quoted(text: &str, name: &str) -> Option<String> {
    let mut scan = Scan::new(text);
    scan.until(name)?;
    scan.literal("\"")?;
    scan.until("\"").map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MISCOMPARE: LoggedSense =
        LoggedSense { validity: Validity::Valid, key: 0xe, asc: 0x1d, ascq: 0 };

    #[test]
    fn esxi_5_to_8() {
        let failure = CommandFailure::of_device_io(
            "",
            "0x43a617083a00) 0x89, CmdSN 0x1a236 from world 34269 to dev \"naa.6000d310\" failed \
             H:0x0 D:0x2 P:0x0 Valid sense data: 0xe 0x1d 0x0.",
        )
        .unwrap();
        assert_eq!(failure.opcode, Some(0x89));
        assert_eq!((failure.serial_number, failure.world), (Some(0x1_a236), Some(34_269)));
        assert_eq!((failure.device.as_str(), failure.path.as_deref()), ("naa.6000d310", None));
        assert_eq!((failure.host_status, failure.device_status), (0, 2));
        assert_eq!((failure.plugin_status, failure.sense), (Some(0), Some(MISCOMPARE)));
        assert_eq!(
            failure.to_string(),
            "ATS (89h) to naa.6000d310 failed: CHECK CONDITION, sense Eh/1Dh/00h"
        );
    }

    #[test]
    fn esxi_8_names_the_initiators_id_and_has_no_sense() {
        let failure = CommandFailure::of_device_io(
            "",
            "0x45dd48ddc580) 0xfe, cmdId.initiator=0x430db5696bc0 CmdSN 0x561a77 from world 2097288 \
             to dev \"naa.x\" failed H:0x5 D:0x0 P:0x0 . Cmd count Active:33",
        )
        .unwrap();
        assert_eq!((failure.opcode, failure.serial_number), (Some(0xfe), Some(0x56_1a77)));
        assert_eq!((failure.sense, failure.was_answered()), (None, false));
        assert_eq!(failure.to_string(), "command FEh to naa.x failed: aborted by the host (H:5h)");
    }

    #[test]
    fn a_path_that_failed() {
        let line = "28 (0x41244109c100, 12535) to dev \"naa.x\" on path \"vmhba2:C0:T0:L6\" \
                    Failed: H:0xb D:0x0 P:0x0 Possible sense data: 0x0 0x0 0x0. Act:NONE";
        let failure = CommandFailure::of_multipathing("", line).unwrap();
        assert_eq!(failure.world, Some(12_535));
        assert_eq!(failure.path.as_deref(), Some("vmhba2:C0:T0:L6"));
        let kernel = CommandFailure::of_multipathing("", &line.replace("12535", "0")).unwrap();
        assert_eq!(kernel.world, Some(0));
    }

    #[test]
    fn esx_4_and_3() {
        let failure = CommandFailure::of_esx_4(
            "",
            "28 to device \"naa.x\" failed H:0x1 D:0x0 P:0x3 Possible sense data: 0x0 0x0 0x0.",
        )
        .unwrap();
        assert_eq!((failure.host_status, failure.plugin_status), (1, Some(3)));
        let failure =
            CommandFailure::of_esx_3("", " 196: vmhba1:0:6:0 status = 2/0 0x6 0x29 0x0").unwrap();
        assert_eq!((failure.opcode, failure.device_status), (None, 2));
        let sense = failure.sense.unwrap();
        assert_eq!((sense.key, sense.asc, sense.ascq), (6, 0x29, 0));
        assert_eq!(failure.device, "vmhba1:0:6:0");
    }

    #[test]
    fn a_line_cut_before_the_statuses_is_none() {
        for cut in ["0x43a617083a00) 0x89, CmdSN 0x1a236 from world 34269 to de", "0x43a6", ""] {
            assert_eq!(CommandFailure::of_device_io("", cut), None, "{cut}");
            assert_eq!(CommandFailure::of_multipathing("", cut), None, "{cut}");
        }
        // TASK SET FULL, or CHECK CONDITION?
        let cut = "0x43) 0x2a, CmdSN 0x1 to dev \"naa.x\" failed H:0x0 D:0x2";
        assert_eq!(CommandFailure::of_device_io("", cut), None);
    }
}
