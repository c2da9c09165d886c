//! Recording of logical units: what is to be kept of which, and copies of it when something goes wrong.

use std::error::Error;
use std::path::PathBuf;
use std::thread;

use pulsefield_backstore::Geometry;
use pulsefield_control::config::{Config, LunConfig, RecordConfig, RecordDetail};
use pulsefield_record::{Detail, Dumps, Reason, Recorder, Unit};
use tracing::{error, info, warn};

use crate::clock::{self, Clock};

/// What is to be recorded of one unit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct RecordOrders {
    /// The unit's name.
    lun: String,
    folder: PathBuf,
    bytes: u64,
    /// `None`: nothing.
    pub(crate) detail: Option<Detail>,
    dumps: Dumps,
}

impl RecordOrders {
    /// What `config` says about the unit `lun`.
    pub(crate) fn of(config: &Config, lun: &str) -> Self {
        let LunConfig { record, record_size, .. } = config.for_lun(lun);
        let RecordConfig { directory, dumps, dumps_kept } = &config.record;
        Self {
            lun: lun.to_owned(),
            folder: directory.clone(),
            bytes: record_size.bytes(),
            detail: match record {
                RecordDetail::Off => None,
                RecordDetail::Brief => Some(Detail::Brief),
                RecordDetail::Whole => Some(Detail::Whole),
            },
            dumps: Dumps::new(dumps, usize::try_from(*dumps_kept).expect("at most 1000")),
        }
    }

    /// Whether a recorder that was opened as `other` says can do what these say.
    pub(crate) fn same_file(&self, other: &Self) -> bool {
        (&self.folder, self.bytes) == (&other.folder, other.bytes)
    }

    /// Goes on with the record of the unit, by its clock. Without one it is served all the same, and the log says
    /// why.
    pub(crate) fn open(
        &self,
        shape: Geometry,
        after_breakdown: bool,
        clock: Clock,
    ) -> Option<Box<Recorder>> {
        let unit = Unit {
            folder: &self.folder,
            lun: &self.lun,
            bytes: self.bytes,
            detail: self.detail?,
            block_length: shape.block_length,
            blocks: shape.blocks,
            after_breakdown,
        };
        match Recorder::open(&unit, clock.now(), clock.wall()) {
            Ok(recorder) => Some(Box::new(recorder)),
            Err(error) => {
                warn!(error = &error as &dyn Error, "the unit is not recorded");
                None
            }
        }
    }

    /// Copies the record to where it stays. On a thread of its own: a copy takes as long as a disk does.
    pub(crate) fn dump(self, reason: Reason) {
        if self.detail.is_none() {
            return;
        }
        let Self { lun, folder, dumps, .. } = self;
        let wall = clock::wall();
        let copy = move || match dumps.take(&folder, &lun, reason, wall) {
            Ok(Some(path)) => info!(lun, path = %path.display(), "the record was copied"),
            Ok(None) => {}
            Err(error) => error!(lun, error = &error as &dyn Error, "the record was not copied"),
        };
        if let Err(error) = thread::Builder::new().name("dump".to_owned()).spawn(copy) {
            error!(%error, "the record was not copied");
        }
    }
}
