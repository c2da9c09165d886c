//! A run on a logical unit within the process.

use std::io::Write;

use pulsefield_backstore::{Cfgstring, Geometry, Handler as _, OpenSpec};
use pulsefield_embedded::{EmbeddedUnit, Options, Target};
use pulsefield_engine::LuConfig;
use pulsefield_ram::RamHandler;
use pulsefield_report::{Emulation, Path};
use pulsefield_units::{BlockCount, BlockLength, Instant};

use crate::area::UnitFacts;
use crate::clock;
use crate::soak::{Conclusion, Place, Prepared, SoakError};
use crate::transport::embedded::{EmbeddedTransport, Time};

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
    let spec = OpenSpec { name: "embedded".to_owned(), config, geometry: GEOMETRY, claim: None };
    let medium = RamHandler.open(&spec).map_err(|error| refused(Box::new(error)))?;
    let mut unit =
        EmbeddedUnit::new(medium, LuConfig::default()).map_err(|error| refused(Box::new(error)))?;
    let mut target = Target::new(Options::default()).map_err(|error| refused(Box::new(error)))?;
    let (time, now, emulation) = match virtual_time {
        true => (Time::Virtual(BEGINNING), BEGINNING, Emulation::Virtual),
        false => (Time::Real, clock::now(), Emulation::Embedded),
    };
    let ring = target.take_over(now).map_err(|error| refused(Box::new(error)))?;
    let conductor = unit.serve(ring);
    let transport =
        EmbeddedTransport::new(target, conductor, GEOMETRY.block_length, time, prepared.seed);
    let unit = UnitFacts {
        name: "embedded".to_owned(),
        product: "pulsefield, ram/".to_owned(),
        blocks: GEOMETRY.blocks,
        block_length: GEOMETRY.block_length,
        unmaps_to_zeros: true,
        copies: true,
    };
    let paths = vec![Path {
        unit: pulsefield_cluster::UNIT.0,
        device: "embedded".to_owned(),
        transport: "in the process".to_owned(),
    }];
    prepared.run(Place { transport, unit, paths, emulation }, out)
}
