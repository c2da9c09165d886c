//! The fabrics that lead to a logical unit.

use std::fmt;

/// What a path goes over, as Linux tells it of the initiator's host.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Transport {
    /// `tcm_loop`: initiator and target in one kernel.
    Loopback,
    /// iSCSI.
    Iscsi,
    /// Fibre Channel, also over Ethernet.
    FibreChannel,
    /// SRP over RDMA.
    Srp,
    /// Serial Attached SCSI.
    Sas,
    /// Any other, by the name of its driver.
    Other(String),
}

/// Who has a folder of this class in sysfs is a host of that transport.
const CLASSES: &[(&str, Transport)] = &[
    ("iscsi_host", Transport::Iscsi),
    ("fc_host", Transport::FibreChannel),
    ("srp_host", Transport::Srp),
    ("sas_host", Transport::Sas),
];

impl Transport {
    /// The transport of a host which `has` a folder of certain classes, and whose driver is called `driver`
    /// (`proc_name`).
    pub(crate) fn of(has: impl Fn(&str) -> bool, driver: &str) -> Self {
        let class = CLASSES.iter().find(|(class, _)| has(class)).map(|(_, it)| it.clone());
        class.unwrap_or_else(|| match driver {
            "tcm_loopback" => Self::Loopback,
            // SRP attaches its class to ports, by the version of the driver.
            "ib_srp" => Self::Srp,
            other => Self::Other(other.to_owned()),
        })
    }
}

impl fmt::Display for Transport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Loopback => "loopback",
            Self::Iscsi => "iSCSI",
            Self::FibreChannel => "FC",
            Self::Srp => "SRP",
            Self::Sas => "SAS",
            Self::Other(driver) => driver,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_class_says_more_than_a_driver() {
        let of = |class: &'static str, driver| Transport::of(|it| it == class, driver).to_string();
        assert_eq!(of("iscsi_host", "iscsi_tcp"), "iSCSI");
        assert_eq!(of("fc_host", "fcoe"), "FC");
        assert_eq!(of("", "ib_srp"), "SRP");
        assert_eq!(of("", "tcm_loopback"), "loopback");
        assert_eq!(of("", "virtio_scsi"), "virtio_scsi");
    }
}
