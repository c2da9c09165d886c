//! `/etc/pulsefield/pulsefield.toml`, parsed once into types that cannot be wrong.
//!
//! An empty or absent file is a good configuration. Every key is optional, and every key that is
//! not known is an error with its place and the name it was probably meant to be:
//!
//! ```toml
//! [daemon]
//! log = "info"                      # error, warn, info, debug or trace
//! dbus = true                       # offer user:pulsefield to targetcli
//! polling = "auto"                  # "off": units never look for work before they sleep
//!
//! [metrics]
//! listen = ""                       # "127.0.0.1:9842": metrics for Prometheus; "": none
//!
//! [defaults]                        # of every logical unit …
//! compare_and_write_max_blocks = 1  # 1 to 255; 1 is what arrays report
//! medium_rotation_rate = 1          # 1 is an SSD; else 1025 to 65534 rpm, or 0 to say nothing
//! physical_block_bytes = 512        # 4096 makes 512-byte blocks a 512e disk
//! removable = false                 # START STOP UNIT may eject the medium
//! read_only = false                 # refuse whatever would change the medium
//! long_cdbs = false                 # carry out READ (32) and its like
//! tell_others = false               # what one initiator changes is reported to all
//! provisioning = "thin"             # "full": every block is mapped, no UNMAP
//! metadata = []                     # blocks known to be VMFS metadata: the heartbeat lane
//! deadline_warning = "1s"           # a command that takes longer is late; "0s": never
//! deadline_error = "8s"             # … and too late: ESXi gives a heartbeat so long
//! vendor = "PULSEFLD"               # INQUIRY texts: at most 8,
//! product = "PULSEFIELD LUN"        # 16
//! revision = "0001"                 # and 4 characters
//! copy_group = ""                   # EXTENDED COPY reaches the units of the same group; "": no other
//!
//! pool = ""                         # the pool of space its medium takes part in; "": none
//! faulty_product = ""               # PRODUCT IDENTIFICATION while faults are armed; "": the same
//! record = "whole"                  # every ATS with its data; "brief": without; "off": nothing
//! record_size = "64MiB"             # the length of the record, 1MiB to 1GiB
//!
//! [record]                          # of what goes through logical units
//! directory = "/run/pulsefield/record"      # in memory, so that no disk holds up a heartbeat
//! dumps = "/var/lib/pulsefield/record"      # copies taken when something goes wrong
//! dumps_kept = 8                    # of each unit
//!
//! [pool.gold]                       # what the media of several units may take together
//! limit = "200GiB"                  # beyond it only blocks with space are written
//! thresholds = ["80%", "95%"]       # where initiators are warned
//!
//! [lun.ds1]                         # … but for this one
//! metadata = ["43008..51200"]       # from LBA 43008 up to, not including, 51200
//! naa = "60014050ab8b6e11c4a4d0a9f0ec2b1b"  # instead of the one derived from LIO's serial number
//! faults = "slow-heartbeat.toml"    # the plan of faults that is armed when it starts; "": none
//! ```

mod changes;
mod error;
mod names;
mod pool;
mod record;
mod value;

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::num::NonZeroU8;
use std::path::Path;
use std::time::Duration;
use std::{fs, io};

use pulsefield_settings::value::{boolean, name as user_name, range};
use pulsefield_settings::{ByteSize, DeValue, Diagnostic, Problem, Section, Time};
use pulsefield_units::LbaRange;
use serde::Serialize;

pub use error::ConfigError;
pub use names::{InquiryText, Naa};
pub use pool::PoolConfig;
pub use record::{RecordConfig, RecordDetail};
pub use value::{LogLevel, PhysicalBlock, Polling, Provisioning, RotationRate};

/// The whole configuration.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Config {
    /// What concerns the daemon as a whole.
    pub daemon: DaemonConfig,
    /// Where records are kept.
    pub record: RecordConfig,
    /// What concerns metrics.
    pub metrics: MetricsConfig,
    defaults: LunConfig,
    /// The pools of space, by name.
    #[serde(rename = "pool", skip_serializing_if = "BTreeMap::is_empty")]
    pub pools: BTreeMap<String, PoolConfig>,
    #[serde(rename = "lun", skip_serializing_if = "BTreeMap::is_empty")]
    luns: BTreeMap<String, LunConfig>,
}

/// `[daemon]`: what concerns the daemon as a whole.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct DaemonConfig {
    /// The least important message that is still logged.
    pub log: LogLevel,
    /// Whether to offer `user:pulsefield` to targetcli on the system bus.
    pub dbus: bool,
    /// Whether units look for work a moment longer before they sleep.
    pub polling: Polling,
}

impl Default for DaemonConfig {
    fn default() -> Self {
        Self { log: LogLevel::Info, dbus: true, polling: Polling::Auto }
    }
}

/// `[metrics]`: what Prometheus may ask.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct MetricsConfig {
    /// The address and port at which metrics are served over HTTP, to whoever can reach it; `None`: not
    /// at all.
    #[serde(serialize_with = "value::write_address")]
    pub listen: Option<SocketAddr>,
}

/// `[defaults]` and `[lun.NAME]`: how one logical unit behaves.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct LunConfig {
    /// The longest COMPARE AND WRITE, in logical blocks, as VPD page B0h advertises it.
    pub compare_and_write_max_blocks: NonZeroU8,
    /// MEDIUM ROTATION RATE, as VPD page B1h advertises it.
    pub medium_rotation_rate: RotationRate,
    /// What a physical block is, as READ CAPACITY (16) reports it.
    pub physical_block_bytes: PhysicalBlock,
    /// The medium can be ejected and loaded by START STOP UNIT.
    pub removable: bool,
    /// Commands that would change the medium are refused.
    pub read_only: bool,
    /// CDBs of 32 bytes are carried out.
    pub long_cdbs: bool,
    /// What one initiator changes is reported to all of several.
    pub tell_others: bool,
    /// Whether initiators may give space back where the medium can.
    pub provisioning: Provisioning,
    /// Blocks known to be VMFS metadata: reads and writes inside take the heartbeat lane.
    #[serde(serialize_with = "value::write_ranges")]
    pub metadata: Vec<LbaRange>,
    /// A command that takes longer is told of as a warning; zero: none is.
    #[serde(serialize_with = "value::write_time")]
    pub deadline_warning: Time,
    /// A command that takes longer is told of as an error; zero: none is.
    #[serde(serialize_with = "value::write_time")]
    pub deadline_error: Time,
    /// T10 VENDOR IDENTIFICATION.
    pub vendor: InquiryText<8>,
    /// PRODUCT IDENTIFICATION.
    pub product: InquiryText<16>,
    /// PRODUCT REVISION LEVEL.
    pub revision: InquiryText<4>,
    /// The NAA designator, if it shall not be the one that follows from LIO's serial number. Of one
    /// logical unit only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub naa: Option<Naa>,
    /// The group of units that EXTENDED COPY of this one may read and write, itself included; `None`:
    /// no other. To be shared by units that are shown to the same initiators.
    #[serde(serialize_with = "value::write_name")]
    pub copy_group: Option<String>,
    /// The pool of space that its medium takes part in.
    #[serde(serialize_with = "value::write_name")]
    pub pool: Option<String>,
    /// PRODUCT IDENTIFICATION while faults are armed, so that whoever looks at the disk can see it;
    /// empty: the same as ever.
    pub faulty_product: InquiryText<16>,
    /// How much of what goes through it is recorded.
    pub record: RecordDetail,
    /// The length of its record.
    pub record_size: ByteSize,
    /// The file with the plan of faults that is armed for it from its start on, as a path from the
    /// folder of the configuration. Of one logical unit only: nobody breaks all of them by a slip.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub faults: Option<String>,
}

impl Default for LunConfig {
    fn default() -> Self {
        Self {
            compare_and_write_max_blocks: NonZeroU8::MIN,
            medium_rotation_rate: RotationRate::NON_ROTATING,
            physical_block_bytes: PhysicalBlock::LIKE_LOGICAL,
            removable: false,
            read_only: false,
            long_cdbs: false,
            tell_others: false,
            provisioning: Provisioning::Thin,
            metadata: Vec::new(),
            deadline_warning: Time::from(Duration::from_secs(1)),
            deadline_error: Time::from(Duration::from_secs(8)),
            vendor: InquiryText::of("PULSEFLD"),
            product: InquiryText::of("PULSEFIELD LUN"),
            revision: InquiryText::of("0001"),
            naa: None,
            copy_group: None,
            pool: None,
            faulty_product: InquiryText::of(""),
            record: RecordDetail::Whole,
            record_size: ByteSize::from(64 << 20),
            faults: None,
        }
    }
}

impl Config {
    /// Reads the file at `path`.
    ///
    /// # Errors
    /// If the file cannot be read, or what is wrong in it and where.
    pub fn load(path: &Path) -> Result<Self, ConfigError> {
        let text = fs::read_to_string(path)
            .map_err(|source| ConfigError::Unreadable { path: path.to_owned(), source })?;
        Ok(Self::parse(&path.display().to_string(), &text)?)
    }

    /// Reads the file at `path`; if there is none, everything has its default.
    ///
    /// # Errors
    /// As [`Config::load`], but for a missing file.
    pub fn load_or_default(path: &Path) -> Result<Self, ConfigError> {
        match Self::load(path) {
            Err(ConfigError::Unreadable { source, .. })
                if source.kind() == io::ErrorKind::NotFound =>
            {
                Ok(Self::default())
            }
            loaded => loaded,
        }
    }

    /// Parses `text`; errors call it `file`.
    ///
    /// # Errors
    /// The first thing that is wrong in it, and where.
    pub fn parse(file: &str, text: &str) -> Result<Self, Box<Diagnostic>> {
        let mut root = Section::parse(file, text)?;
        let daemon = DaemonConfig::read(root.section("daemon")?)?;
        let record = RecordConfig::read(root.section("record")?)?;
        let metrics = MetricsConfig::read(root.section("metrics")?)?;
        let mut pools = BTreeMap::new();
        for (name, section) in root.section("pool")?.into_sections()? {
            pools.insert(name, PoolConfig::read(section)?);
        }
        let defaults = root.section("defaults")?;
        let nothing = |_: &mut Section<'_>| Ok(OfOneLun::default());
        let defaults = LunConfig::read(defaults, &LunConfig::default(), &pools, nothing)?;
        let mut luns = BTreeMap::new();
        let mut designators = BTreeSet::new();
        for (name, section) in root.section("lun")?.into_sections()? {
            let own = |section: &mut Section<'_>| {
                let naa = |key, value: &DeValue<'_>| own_naa(key, value, &mut designators);
                Ok(OfOneLun {
                    naa: section.value("naa", naa)?,
                    faults: section.value("faults", user_name)?.flatten(),
                })
            };
            luns.insert(name, LunConfig::read(section, &defaults, &pools, own)?);
        }
        root.finish()?;
        Ok(Self { daemon, record, metrics, defaults, pools, luns })
    }

    /// How the logical unit `name` behaves: its own table over the defaults.
    pub fn for_lun(&self, name: &str) -> &LunConfig {
        self.luns.get(name).unwrap_or(&self.defaults)
    }

    /// The pool of the logical unit `name`, and that pool's name.
    pub fn pool_of(&self, name: &str) -> Option<(&str, &PoolConfig)> {
        let pool = self.for_lun(name).pool.as_deref()?;
        Some((pool, self.pools.get(pool)?))
    }

    /// The logical units that have a table of their own, and how they behave.
    pub fn luns(&self) -> impl Iterator<Item = (&str, &LunConfig)> {
        self.luns.iter().map(|(name, lun)| (name.as_str(), lun))
    }

    /// The configuration as a file that says everything, defaults included.
    ///
    /// # Panics
    /// Never: what was read from TOML can be written as TOML.
    pub fn to_toml_effective(&self) -> String {
        toml::to_string(self).expect("strings, integers and tables are all TOML has to hold")
    }
}

impl DaemonConfig {
    fn read(mut section: Section<'_>) -> Result<Self, Box<Diagnostic>> {
        let default = Self::default();
        let log = section.value("log", LogLevel::read)?.unwrap_or(default.log);
        let dbus = section.value("dbus", boolean)?.unwrap_or(default.dbus);
        let polling = section.value("polling", Polling::read)?.unwrap_or(default.polling);
        section.finish()?;
        Ok(Self { log, dbus, polling })
    }
}

impl MetricsConfig {
    fn read(mut section: Section<'_>) -> Result<Self, Box<Diagnostic>> {
        let listen = section.value("listen", value::address)?.flatten();
        section.finish()?;
        Ok(Self { listen })
    }
}

/// What only a table of one logical unit can say.
#[derive(Default)]
struct OfOneLun {
    naa: Option<Naa>,
    faults: Option<String>,
}

/// A designator that no other table has: to hosts, two units of one name are two paths to one unit.
fn own_naa(
    key: &'static str,
    value: &DeValue<'_>,
    designators: &mut BTreeSet<Naa>,
) -> Result<Naa, Problem> {
    let naa = Naa::read(key, value)?;
    match designators.insert(naa.clone()) {
        true => Ok(naa),
        false => Err(Problem::Value {
            key,
            expected: "the name of one logical unit",
            found: format!("{naa}, which another has too"),
        }),
    }
}

impl LunConfig {
    fn read<'a>(
        mut section: Section<'a>,
        default: &Self,
        pools: &BTreeMap<String, PoolConfig>,
        own: impl FnOnce(&mut Section<'a>) -> Result<OfOneLun, Box<Diagnostic>>,
    ) -> Result<Self, Box<Diagnostic>> {
        let compare_and_write_max_blocks = section
            .value("compare_and_write_max_blocks", value::compare_and_write_max_blocks)?
            .unwrap_or(default.compare_and_write_max_blocks);
        let medium_rotation_rate = section
            .value("medium_rotation_rate", RotationRate::read)?
            .unwrap_or(default.medium_rotation_rate);
        let physical_block_bytes = section
            .value("physical_block_bytes", PhysicalBlock::read)?
            .unwrap_or(default.physical_block_bytes);
        let removable = section.value("removable", boolean)?.unwrap_or(default.removable);
        let read_only = section.value("read_only", boolean)?.unwrap_or(default.read_only);
        let long_cdbs = section.value("long_cdbs", boolean)?.unwrap_or(default.long_cdbs);
        let tell_others = section.value("tell_others", boolean)?.unwrap_or(default.tell_others);
        let provisioning =
            section.value("provisioning", Provisioning::read)?.unwrap_or(default.provisioning);
        let metadata =
            section.values("metadata", range)?.unwrap_or_else(|| default.metadata.clone());
        let deadline_warning =
            section.value("deadline_warning", Time::read)?.unwrap_or(default.deadline_warning);
        let deadline_error =
            section.value("deadline_error", Time::read)?.unwrap_or(default.deadline_error);
        let vendor = section.value("vendor", InquiryText::read)?;
        let product = section.value("product", InquiryText::read)?;
        let revision = section.value("revision", InquiryText::read)?;
        let faulty_product = section.value("faulty_product", InquiryText::read)?;
        let record = section.value("record", RecordDetail::read)?.unwrap_or(default.record);
        let record_size =
            section.value("record_size", record::size)?.unwrap_or(default.record_size);
        let OfOneLun { naa, faults } = own(&mut section)?;
        let copy_group =
            section.value("copy_group", user_name)?.unwrap_or_else(|| default.copy_group.clone());
        let pool = section
            .value("pool", |key, value| pool::name_of_one(pools, key, value))?
            .unwrap_or_else(|| default.pool.clone());
        section.finish()?;
        Ok(Self {
            compare_and_write_max_blocks,
            medium_rotation_rate,
            physical_block_bytes,
            metadata,
            deadline_warning,
            deadline_error,
            vendor: vendor.unwrap_or_else(|| default.vendor.clone()),
            product: product.unwrap_or_else(|| default.product.clone()),
            revision: revision.unwrap_or_else(|| default.revision.clone()),
            naa,
            removable,
            read_only,
            long_cdbs,
            tell_others,
            provisioning,
            copy_group,
            pool,
            faulty_product: faulty_product.unwrap_or_else(|| default.faulty_product.clone()),
            record,
            record_size,
            faults,
        })
    }
}

#[cfg(test)]
mod tests;
