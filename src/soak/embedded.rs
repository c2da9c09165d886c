//! A run on a logical unit within the process.

use std::io::{self, Write};
use std::path::Path;

use pulsefield_backstore::{Cfgstring, Geometry, Handler as _, OpenSpec};
use pulsefield_control::config::Config;
use pulsefield_embedded::{EmbeddedUnit, Options, Target};
use pulsefield_engine::LuConfig;
use pulsefield_ram::RamHandler;
use pulsefield_report::{self as report, Emulation};
use pulsefield_units::{BlockCount, BlockLength, Instant};
use tempfile::TempDir;

use crate::area::UnitFacts;
use crate::clock;
use crate::soak::{Conclusion, Place, Prepared, SoakError};
use crate::transport::embedded::{EmbeddedTransport, Time};
use crate::witness::UnitRecord;

/// What the unit is called.
const NAME: &str = "embedded";

/// Half a GiB: what a volume takes, and some. Memory is taken only for what is written.
const GEOMETRY: Geometry =
    Geometry { block_length: BlockLength::B512, blocks: BlockCount::new(1 << 20) };

/// How virtual time begins: not at 0, before which nothing can have been.
const BEGINNING: Instant = Instant::from_nanos(1_000_000_000_000);

/// Runs on a new unit in memory.
pub(crate) fn soak(
    virtual_time: bool,
    prepared: &Prepared<'_>,
    out: &mut dyn Write,
) -> Result<Conclusion, SoakError> {
    let refused = |error: Box<dyn std::error::Error + Send + Sync>| SoakError::Embedded(error);
    let config: Cfgstring = "ram/".parse().map_err(|error| refused(Box::new(error)))?;
    let spec = OpenSpec { name: NAME.to_owned(), config, geometry: GEOMETRY, claim: None };
    let medium = RamHandler.open(&spec).map_err(|error| refused(Box::new(error)))?;
    let mut unit =
        EmbeddedUnit::new(medium, LuConfig::default()).map_err(|error| refused(Box::new(error)))?;
    let mut target = Target::new(Options::default()).map_err(|error| refused(Box::new(error)))?;
    let (time, now, emulation) = match virtual_time {
        true => (Time::Virtual(BEGINNING), BEGINNING, Emulation::Virtual),
        false => (Time::Real, clock::now(), Emulation::Embedded),
    };
    let ring = target.take_over(now).map_err(|error| refused(Box::new(error)))?;
    let folder = record_folder().map_err(|error| refused(Box::new(error)))?;
    unit.record(&recorded_in(folder.path()), NAME);
    let conductor = unit.serve_at(now, ring);
    let record = UnitRecord::open(folder.path(), NAME);
    // Both sides have the file open: nobody has to remove it, whatever becomes of this process.
    drop(folder);
    let transport =
        EmbeddedTransport::new(target, conductor, GEOMETRY.block_length, time, prepared.seed);
    let unit = UnitFacts {
        name: NAME.to_owned(),
        product: "pulsefield, ram/".to_owned(),
        blocks: GEOMETRY.blocks,
        block_length: GEOMETRY.block_length,
        unmaps_to_zeros: true,
        copies: true,
    };
    let paths = vec![report::Path {
        unit: pulsefield_cluster::UNIT.0,
        device: NAME.to_owned(),
        transport: "in the process".to_owned(),
    }];
    prepared.run(Place { transport, unit, paths, emulation, record }, out)
}

/// A folder in memory, so that no disk holds up a heartbeat; if there is none, wherever temporary files are.
fn record_folder() -> io::Result<TempDir> {
    let mut folder = tempfile::Builder::new();
    folder.prefix("pulsefield-soak-");
    folder.tempdir_in("/dev/shm").or_else(|_| folder.tempdir())
}

/// Says that all is recorded in this folder, and that no copies are taken.
fn recorded_in(folder: &Path) -> Config {
    let mut config = Config::default();
    config.record.directory = folder.to_owned();
    config.record.dumps_kept = 0;
    config
}
