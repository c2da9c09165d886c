//! Units at work: a simulated kernel posts a batch of commands, the unit's conductor serves it, or a bare
//! loop in its place, and the kernel takes the answers. Only the part in between is measured.

use std::hint::black_box;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant as Clock};

use anyhow::{Context as _, Result, ensure};
use memmap2::MmapMut;
use pulsefield_backstore::{Cfgstring, Geometry, Handler, OpenSpec};
use pulsefield_control::config::Config;
use pulsefield_daemon::embedded::{EmbeddedConductor, EmbeddedUnit};
use pulsefield_engine::LuConfig;
use pulsefield_faults::Plan;
use pulsefield_null::NullHandler;
use pulsefield_ram::RamHandler;
use pulsefield_ring::Ring;
use pulsefield_ring::simulated_kernel::{Data, Options, SimulatedKernel};
use pulsefield_units::{BlockCount, BlockLength, Instant};
use tempfile::TempDir;

use crate::bare::BareRing;
use crate::holding::HoldingMedium;
use crate::workload::{Faults, Kind, Medium, Workload};

/// Commands of a batch: as many as a host keeps in flight to a LUN.
pub(crate) const DEPTH: u32 = 32;

/// Blocks of 512 bytes that one command is away from the next: 4 KiB.
const STRIDE: u64 = 8;

/// Places on the medium that commands go to: 64 MiB in all.
const PLACES: u64 = 16_384;

/// So far from each other are the places of two commands in a row: all are visited.
const STEP: u64 = 4_099;

/// The simulated kernel's ring, so short that that of every unit is in the processor's cache after a
/// while, as it is between two turns of a busy unit.
const RING_BYTES: u32 = (256 << 10) - 128;

/// The length of a block.
pub(crate) const BLOCK_LENGTH: BlockLength = BlockLength::B512;

const GEOMETRY: Geometry =
    Geometry { block_length: BLOCK_LENGTH, blocks: BlockCount::new(STRIDE * (PLACES + 8192)) };

/// For the simulated kernel no time passes, so that it gives up no command.
const NOW: Instant = Instant::from_nanos(0);

/// The length of a heartbeat of VMFS: of the rest of its sector nothing is used.
const HEARTBEAT_BYTES: usize = 164;

/// A rule for a block that no command goes to.
const ELSEWHERE: &str = "seed = 1\n[[rule]]\nfault = \"drop\"\nwhere = { lba = 0x2_ffff }\n";

/// Whoever is behind a ring, before there is one.
enum Server {
    /// A unit. Boxed, since it is far longer than the other.
    Unit(Box<EmbeddedUnit>),
    /// A loop, with what it copies from and to, if it does. Mapped, so that it begins with a page, as a
    /// medium's memory does: some processors copy several times slower between places that lie a few bytes
    /// apart within their pages.
    Bare(Option<MmapMut>),
}

impl Server {
    fn of(medium: Medium) -> Result<Self> {
        let unit = |medium| {
            let unit = EmbeddedUnit::new(medium, LuConfig::default()).context("a unit")?;
            Ok(Self::Unit(Box::new(unit)))
        };
        let handled = |handler: &dyn Handler, config: &str| {
            let config: Cfgstring = config.parse()?;
            let name = "bench".to_owned();
            unit(handler.open(&OpenSpec { name, config, geometry: GEOMETRY, claim: None })?)
        };
        match medium {
            Medium::Null => handled(&NullHandler, "null/"),
            Medium::Ram => handled(&RamHandler, "ram/"),
            Medium::Holding => unit(Arc::new(HoldingMedium::new(GEOMETRY))),
            Medium::BareNull => Ok(Self::Bare(None)),
            Medium::BareRam => {
                let bytes = GEOMETRY.block_length.bytes_of(GEOMETRY.blocks);
                let bytes = bytes.context("so many blocks")?;
                let bytes = usize::try_from(bytes).context("so much memory")?;
                Ok(Self::Bare(Some(MmapMut::map_anon(bytes).context("map memory")?)))
            }
        }
    }
}

/// What a stand is made of.
pub(crate) struct Parts {
    kind: Kind,
    held: usize,
    faults: Faults,
    kernels: Vec<SimulatedKernel>,
    servers: Vec<Server>,
    /// Where they are recorded, if they are; removed at the end.
    _record: Option<TempDir>,
}

impl Parts {
    pub(crate) fn new(workload: &Workload) -> Result<Self> {
        let Workload { medium, kind, held, faults, recorded, .. } = *workload;
        let options = Options {
            ring_bytes: if held > 0 { Options::default().ring_bytes } else { RING_BYTES },
            data_blocks: u32::try_from(2 * held.max(DEPTH as usize)).context("a data area")?,
            ..Options::default()
        };
        let (mut kernels, mut servers) = (Vec::new(), Vec::new());
        for _ in 0..workload.units {
            kernels.push(SimulatedKernel::new(options.clone()).context("map a ring")?);
            servers.push(Server::of(medium)?);
        }
        let mut record = None;
        if recorded {
            let folder = TempDir::new_in("/dev/shm").context("a folder for records")?;
            for (nth, server) in servers.iter_mut().enumerate() {
                if let Server::Unit(unit) = server {
                    unit.record(&record_in(folder.path())?, &format!("bench{nth}"));
                }
            }
            record = Some(folder);
        }
        Ok(Self { kind, held, faults, kernels, servers, _record: record })
    }
}

/// Units that serve.
pub(crate) struct Stand<'a> {
    kind: Kind,
    served: Vec<Served<'a>>,
    /// The unit whose turn it is.
    turn: usize,
    place: u64,
}

struct Served<'a> {
    kernel: &'a mut SimulatedKernel,
    behind: Behind<'a>,
}

/// Whoever serves a ring.
enum Behind<'a> {
    Unit(Box<EmbeddedConductor<'a>>),
    Bare(Box<BareRing<'a>>),
}

impl Behind<'_> {
    /// Does what there is to do.
    fn turn(&mut self) -> Result<()> {
        match self {
            Self::Unit(conductor) => Ok(conductor.turn()?),
            Self::Bare(ring) => ring.turn(),
        }
    }
}

/// Has somebody do what there is to do. No generic parameter, which would be part of names.
type Turn = fn(&mut Behind<'_>) -> Result<()>;

impl<'a> Stand<'a> {
    /// Starts the units, arms what is to be armed, writes all places once, and fills the caches.
    pub(crate) fn new(parts: &'a mut Parts) -> Result<Self> {
        let Parts { kind, held, faults, kernels, servers, _record } = parts;
        let (kind, held, count) = (*kind, *held, servers.len());
        let mut served = Vec::new();
        for (kernel, server) in kernels.iter_mut().zip(servers) {
            let ring = Ring::attach(kernel.mapping())?;
            let behind = match server {
                Server::Unit(unit) => {
                    let mut conductor = unit.serve(ring);
                    arm(&mut conductor, *faults)?;
                    Behind::Unit(Box::new(conductor))
                }
                Server::Bare(memory) => {
                    let memory = memory.as_deref_mut().unwrap_or_default();
                    Behind::Bare(Box::new(BareRing::new(ring, memory)))
                }
            };
            served.push(Served { kernel, behind });
        }
        let mut stand = Self { kind: Kind::Write, served, turn: 0, place: 0 };
        let mut batches = 4 * count as u64;
        if held > 0 {
            stand.hold(held)?;
            stand.kind = kind;
        } else {
            batches = batches.max(PLACES / u64::from(DEPTH));
        }
        for _ in 0..batches {
            stand.work(|behind| behind.turn())?;
        }
        stand.kind = kind;
        for _ in 0..4 * count {
            stand.work(|behind| behind.turn())?;
        }
        Ok(stand)
    }

    /// Has WRITEs hold so many places behind those that commands go to.
    fn hold(&mut self, held: usize) -> Result<()> {
        for Served { kernel, behind } in &mut self.served {
            for nth in 0..held as u64 {
                let (cdb, data) = command(Kind::Write, PLACES + nth);
                kernel.submit(NOW, &cdb, data).ok().context("a command is refused")?;
            }
            behind.turn()?;
        }
        Ok(())
    }

    /// One batch to the unit whose turn it is; says how long that worked for it.
    pub(crate) fn batch(&mut self) -> Result<Duration> {
        self.work(counted_turn)
    }

    fn work(&mut self, turn: Turn) -> Result<Duration> {
        let Served { kernel, behind } = &mut self.served[self.turn];
        for _ in 0..DEPTH {
            let (cdb, data) = command(self.kind, self.place);
            kernel.submit(NOW, &cdb, data).ok().context("a command is refused")?;
            self.place = (self.place + STEP) % PLACES;
        }
        let started = Clock::now();
        turn(behind)?;
        let took = started.elapsed();
        let finished = kernel.doorbell(NOW);
        let good = finished.iter().filter(|finished| finished.status == 0).count();
        ensure!(good == DEPTH as usize, "{good} of {DEPTH} commands were answered GOOD");
        self.turn = (self.turn + 1) % self.served.len();
        Ok(took)
    }
}

/// What callgrind counts, from its begin to its end; it knows it by the name ([`crate::callgrind`]).
#[inline(never)]
fn counted_turn(behind: &mut Behind<'_>) -> Result<()> {
    // Or the compiler may find it equal to what fills the caches, and keep that under the other's name.
    black_box(behind).turn()
}

/// Arms faults, and disarms them again, as whoever asks the daemon for it.
fn arm(conductor: &mut EmbeddedConductor<'_>, faults: Faults) -> Result<()> {
    if faults == Faults::Never {
        return Ok(());
    }
    conductor.arm(Plan::parse("elsewhere", ELSEWHERE)?);
    conductor.turn()?;
    if faults == Faults::Disarmed {
        conductor.disarm();
        conductor.turn()?;
    }
    Ok(())
}

/// A configuration that records in `folder`.
fn record_in(folder: &Path) -> Result<Config> {
    let text = format!("[record]\ndirectory = \"{}\"\n", folder.display());
    Ok(Config::parse("bench", &text)?)
}

/// The command to the place with this number. All data are zeros but for what a heartbeat writes.
fn command(kind: Kind, place: u64) -> ([u8; 16], Data) {
    let mut cdb = [0; 16];
    cdb[0] = kind.opcode();
    cdb[2..10].copy_from_slice(&(place * STRIDE).to_be_bytes());
    let data = match kind {
        Kind::Read => {
            cdb[13] = 8;
            Data::In(4096)
        }
        Kind::Write => {
            cdb[13] = 8;
            Data::Out(vec![0; 4096])
        }
        Kind::CompareAndWrite => {
            cdb[13] = 1;
            Data::Out(vec![0; 1024])
        }
        Kind::Pulse => {
            cdb[13] = 1;
            let mut halves = vec![0; 1024];
            halves[512..512 + HEARTBEAT_BYTES].fill(1);
            Data::Out(halves)
        }
    };
    (cdb, data)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::workload::GROUPS;

    #[test]
    fn every_workload_runs() {
        let workloads = GROUPS.iter().flat_map(|group| group.workloads);
        for workload in workloads.filter(|workload| workload.units < 256) {
            let mut parts = Parts::new(workload).expect(workload.name);
            let mut stand = Stand::new(&mut parts).expect(workload.name);
            for _ in 0..2 * workload.units {
                stand.batch().expect(workload.name);
            }
        }
    }
}
