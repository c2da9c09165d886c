//! What Prometheus is told of the daemon: everything that is known of it at one moment, as a page of
//! metrics.
//!
//! What counters hold is read from them; what only the threads of the units know (latencies, bytes,
//! hosts, hits of faults) they are asked for, all at once, between two of their commands. One that does
//! not answer in time is said to be unresponsive, and the page goes out without it.

mod families;
mod process;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use pulsefield_control::protocol::LunState;
use pulsefield_faults::FaultReport;

use crate::asking::{Promise, Reached};
use crate::clock;
use crate::counters::Counters;
use crate::faults::NO_HITS;
use crate::hosts::Host;
use crate::latency::{Book, Deadlines};
use crate::pool::Pools;
use crate::station::Message;
use crate::table::{SharedTable, Unit};
use process::Process;

/// How long all units together have to answer. They do between two commands, unless their medium holds
/// them; Prometheus waits ten seconds unless it is told otherwise.
const PATIENCE: Duration = Duration::from_secs(1);

/// Where what is told comes from.
pub(crate) struct Exposition {
    table: SharedTable,
    pools: Pools,
    /// When the daemon started.
    started: SystemTime,
    /// How long all units together have to answer.
    patience: Duration,
}

/// What is known at one moment.
struct Snapshot {
    version: &'static str,
    process: Process,
    /// By name.
    units: Vec<UnitView>,
    /// By name.
    pools: BTreeMap<String, PoolView>,
    now: pulsefield_units::Instant,
}

/// A unit, seen from outside.
struct UnitView {
    /// What it is called here: no two are called the same.
    lun: String,
    handler: String,
    size_bytes: u64,
    state: LunState,
    counters: Arc<Counters>,
    deadlines: Deadlines,
    inside: Inside,
}

/// A pool of space.
struct PoolView {
    limit_bytes: u64,
    used_bytes: u64,
}

/// What the thread of a unit knows.
enum Inside {
    /// It does not serve, and knows nothing.
    Closed,
    /// It has not answered in time.
    Silent,
    /// What it has answered.
    Told { book: Box<Book>, hosts: Vec<Host>, fault_hits: u64 },
}

impl Exposition {
    /// Of a daemon that starts now.
    pub(crate) fn new(table: SharedTable, pools: Pools) -> Self {
        Self { table, pools, started: SystemTime::now(), patience: PATIENCE }
    }

    /// The page.
    pub(crate) fn page(&self) -> String {
        families::write(&self.look())
    }

    fn look(&self) -> Snapshot {
        let mut units = self.units();
        let questions: Vec<Option<Questions>> =
            units.iter().map(|(_, reached)| reached.as_ref().map(Questions::ask)).collect();
        let deadline = Instant::now() + self.patience;
        for ((view, _), questions) in units.iter_mut().zip(questions) {
            if let Some(questions) = questions {
                view.inside = questions.wait_until(deadline).unwrap_or(Inside::Silent);
            }
        }
        Snapshot {
            version: env!("CARGO_PKG_VERSION"),
            process: Process::look(self.started),
            units: units.into_iter().map(|(view, _)| view).collect(),
            pools: self.pools(),
            now: clock::now(),
        }
    }

    /// The units as they are seen without asking them, by name; with how those are asked that serve.
    fn units(&self) -> Vec<(UnitView, Option<Reached>)> {
        let table = self.table.lock();
        let mut units: Vec<_> = table
            .units
            .iter()
            .map(|(id, unit)| {
                let deadlines = table.deadlines(unit.name.device());
                (*id, UnitView::of(unit, deadlines), Reached::of(unit))
            })
            .collect();
        drop(table);
        units.sort_by(|(a_id, a, _), (b_id, b, _)| (&a.lun, a_id).cmp(&(&b.lun, b_id)));
        // LIO tells units of one name apart by their host bus adapters; targetcli makes none such.
        for at in (1..units.len()).rev() {
            if units[at].1.lun == units[at - 1].1.lun {
                let id = units[at].0;
                units[at].1.lun.push_str(&format!("#{id}"));
            }
        }
        units.into_iter().map(|(_, view, reached)| (view, reached)).collect()
    }

    fn pools(&self) -> BTreeMap<String, PoolView> {
        let table = self.table.lock();
        let pools = table.config.pools.iter().map(|(name, pool)| {
            let (limit_bytes, used_bytes) = (pool.limit.bytes(), self.pools.used(name));
            (name.clone(), PoolView { limit_bytes, used_bytes })
        });
        pools.collect()
    }
}

impl UnitView {
    fn of(unit: &Unit, deadlines: Deadlines) -> Self {
        let geometry = unit.geometry();
        let size_bytes = geometry.and_then(|shape| shape.block_length.bytes_of(shape.blocks));
        Self {
            lun: unit.name.device().to_owned(),
            handler: unit.handler().to_owned(),
            size_bytes: size_bytes.unwrap_or_default(),
            state: unit.state.clone(),
            counters: unit.counters.clone(),
            deadlines,
            inside: Inside::Closed,
        }
    }
}

/// What a unit was asked.
struct Questions {
    book: Promise<Book>,
    hosts: Promise<Vec<Host>>,
    faults: Promise<FaultReport>,
}

impl Questions {
    fn ask(unit: &Reached) -> Self {
        Self {
            book: unit.ask(|reply| Message::ReportLatency { clear: false, reply }),
            hosts: unit.ask(|reply| Message::ReportHosts { reply }),
            faults: unit.ask(|reply| Message::ReportFaults { since: NO_HITS, reply }),
        }
    }

    /// What it has answered; `None` if not all of it in time.
    fn wait_until(self, deadline: Instant) -> Option<Inside> {
        let Self { book, hosts, faults } = self;
        let (_, book) = book.wait_until(deadline).ok()?;
        let (_, hosts) = hosts.wait_until(deadline).ok()?;
        let (_, faults) = faults.wait_until(deadline).ok()?;
        Some(Inside::Told { book: Box::new(book), hosts, fault_hits: faults.next_hit })
    }
}

#[cfg(test)]
mod tests;
