//! The page: each metric of the catalogue with all its values, in the order of the catalogue.

use std::time::Duration;

use pulsefield_control::protocol::LunState;
use pulsefield_engine::{Lane, limits};
use pulsefield_metrics::{Family, Metric, Page, catalogue as of};

use super::{Inside, Snapshot, UnitView};
use crate::counters::{Counter, Counters};
use crate::hosts::{Host, Intervals};
use crate::latency::{Book, Deadlines, Row};

/// What latencies are counted against: times that people alert on. ESXi pulses every 3 seconds, gives a
/// heartbeat 8, and takes a host's locks after 16.
const COMMAND_BOUNDS: [Duration; 15] = [
    Duration::from_micros(100),
    Duration::from_micros(500),
    Duration::from_millis(1),
    Duration::from_millis(2),
    Duration::from_millis(5),
    Duration::from_millis(10),
    Duration::from_millis(20),
    Duration::from_millis(50),
    Duration::from_millis(100),
    Duration::from_millis(200),
    Duration::from_millis(500),
    Duration::from_secs(1),
    Duration::from_secs(3),
    Duration::from_secs(8),
    Duration::from_secs(16),
];

/// What is said of a lane where there is none, and of a row without a name.
const NO_LANE: &str = "none";
const OTHERS: &str = "all others";

/// The names of the states of a unit.
const STATES: [&str; 4] = ["opening", "serving", "failed", "stopped"];

/// The page that says what `snapshot` does.
pub(super) fn write(snapshot: &Snapshot) -> String {
    let mut page = Page::default();
    write_daemon(&mut page, snapshot);
    write_units(&mut page, &snapshot.units);
    write_commands(&mut page, &snapshot.units);
    write_lateness(&mut page, &snapshot.units);
    write_room(&mut page, snapshot);
    write_faults(&mut page, &snapshot.units);
    write_hosts(&mut page, snapshot);
    page.into_text()
}

fn write_daemon(page: &mut Page, snapshot: &Snapshot) {
    let Snapshot { version, process, .. } = snapshot;
    page.family(&of::BUILD_INFO).sample(&[version], 1.0);
    page.family(&of::PROCESS_START_TIME).sample(&[], process.started.as_secs_f64());
    page.family(&of::PROCESS_CPU).sample(&[], process.cpu.as_secs_f64());
    page.family(&of::PROCESS_RESIDENT_MEMORY).sample(&[], number(process.resident_bytes));
    page.family(&of::PROCESS_THREADS).sample(&[], number(process.threads));
    page.family(&of::PROCESS_OPEN_FDS).sample(&[], number(process.open_fds));
}

fn write_units(page: &mut Page, units: &[UnitView]) {
    each(page, &of::LUN_INFO, units, |unit, family| {
        family.sample(&[&unit.lun, &unit.handler], 1.0);
    });
    each(page, &of::LUN_STATE, units, |unit, family| {
        for (nth, state) in STATES.iter().enumerate() {
            family.sample(&[&unit.lun, state], flag(nth == state_of(&unit.state)));
        }
    });
    each(page, &of::LUN_RESPONSIVE, units, |unit, family| match &unit.inside {
        Inside::Closed => {}
        Inside::Silent => family.sample(&[&unit.lun], 0.0),
        Inside::Told { .. } => family.sample(&[&unit.lun], 1.0),
    });
    each(page, &of::LUN_SIZE, units, |unit, family| {
        family.sample(&[&unit.lun], number(unit.size_bytes));
    });
    counter(page, &of::LUN_RESTARTS, units, |counters| &counters.restarts);
}

fn write_commands(page: &mut Page, units: &[UnitView]) {
    counter(page, &of::COMMANDS, units, |counters| &counters.commands);
    each(page, &of::ANSWERS, units, |unit, family| {
        for (status, key, count) in unit.counters.answers.counts() {
            let key = key.map_or_else(String::new, |key| key.to_string());
            family.sample(&[&unit.lun, &status.to_string(), &key], number(count));
        }
    });
    each(page, &of::COMPARE_AND_WRITES, units, |unit, family| {
        let Counters { compare_and_write_good, compare_and_write_miscompare, .. } = &*unit.counters;
        family.sample(&[&unit.lun, "good"], value(compare_and_write_good));
        family.sample(&[&unit.lun, "miscompare"], value(compare_and_write_miscompare));
    });
    counter(page, &of::ERRORS, units, |counters| &counters.errors);
    rows(page, &of::COMMAND_DURATION, units, |row, labels, family| {
        let bounds = COMMAND_BOUNDS.iter().map(Duration::as_secs_f64);
        let upto: Vec<_> = bounds.zip(row.total.upto(COMMAND_BOUNDS)).collect();
        family.histogram(&labels, &upto, row.total.count(), row.total.sum().as_secs_f64());
    });
    rows(page, &of::COMMAND_PHASE, units, |row, [lun, lane, command], family| {
        let Row { waiting, service, answer, .. } = row;
        for (phase, times) in [("waiting", waiting), ("service", service), ("answer", answer)] {
            family.sample(&[lun, lane, command, phase], times.sum().as_secs_f64());
        }
    });
    rows(page, &of::COMMAND_BYTES, units, |row, labels, family| {
        family.sample(&labels, number(row.bytes));
    });
    each(page, &of::LANE_TASKS, units, |unit, family| {
        for lane in Lane::ALL {
            let counters = unit.counters.lane(lane);
            family.sample(&[&unit.lun, lane.name(), "waiting"], value(&counters.waiting));
            family.sample(&[&unit.lun, lane.name(), "running"], value(&counters.running));
        }
    });
    let mut slots = page.family(&of::LANE_SLOTS);
    slots.sample(&[Lane::Heartbeat.name()], limits::HEARTBEAT_SLOTS as f64);
    slots.sample(&[Lane::Bulk.name()], limits::BULK_SLOTS as f64);
}

fn write_lateness(page: &mut Page, units: &[UnitView]) {
    each(page, &of::DEADLINE, units, |unit, family| {
        let Deadlines { warning, error } = unit.deadlines;
        for (severity, deadline) in [("warning", warning), ("error", error)] {
            family.sample(&[&unit.lun, severity], deadline.unwrap_or_default().as_secs_f64());
        }
    });
    each(page, &of::DEADLINE_MISSES, units, |unit, family| {
        family.sample(&[&unit.lun, "warning"], value(&unit.counters.late));
        family.sample(&[&unit.lun, "error"], value(&unit.counters.too_late));
    });
    counter(page, &of::ABORTED, units, |counters| &counters.aborted);
    each(page, &of::TASK_MANAGEMENT, units, |unit, family| {
        for (function, count) in unit.counters.task_management.counts() {
            family.sample(&[&unit.lun, function], number(count));
        }
    });
}

fn write_room(page: &mut Page, snapshot: &Snapshot) {
    let Snapshot { units, pools, .. } = snapshot;
    counter(page, &of::DATA_AREA_SIZE, units, |counters| &counters.data_area_bytes);
    ratio(page, &of::DATA_AREA_PEAK, units, |counters| &counters.data_area_peak_percent);
    ratio(page, &of::RING_PEAK, units, |counters| &counters.ring_peak_percent);
    counter(page, &of::ROOM_SHORTAGES, units, |counters| &counters.room_shortages);
    let mut limit = page.family(&of::POOL_LIMIT);
    pools.iter().for_each(|(name, pool)| limit.sample(&[name], number(pool.limit_bytes)));
    let mut used = page.family(&of::POOL_USED);
    pools.iter().for_each(|(name, pool)| used.sample(&[name], number(pool.used_bytes)));
}

fn write_faults(page: &mut Page, units: &[UnitView]) {
    counter(page, &of::FAULT_RULES, units, |counters| &counters.faults_armed);
    each(page, &of::FAULT_HITS, units, |unit, family| {
        if let Inside::Told { fault_hits, .. } = &unit.inside {
            family.sample(&[&unit.lun], number(*fault_hits));
        }
    });
}

fn write_hosts(page: &mut Page, snapshot: &Snapshot) {
    let Snapshot { units, now, .. } = snapshot;
    hosts(page, &of::HOST_INFO, units, |host, [lun, uuid], family| {
        let slot = host.slot.to_string();
        let address = host.management_address.map(|address| address.to_string());
        family.sample(&[lun, uuid, &slot, &address.unwrap_or_default()], 1.0);
    });
    hosts(page, &of::HOST_PULSE_AGE, units, |host, labels, family| {
        family.sample(&labels, now.since(host.last).as_secs_f64());
    });
    hosts(page, &of::HOST_PULSE_INTERVAL, units, |host, labels, family| {
        let intervals = &host.intervals;
        let bounds = Intervals::BOUNDS.iter().map(Duration::as_secs_f64);
        let upto: Vec<_> = bounds.zip(intervals.upto()).collect();
        family.histogram(&labels, &upto, intervals.count(), intervals.sum.as_secs_f64());
    });
}

/// Numbers as Prometheus has them: exact up to 2^53.
const fn number(value: u64) -> f64 {
    value as f64
}

fn value(counter: &Counter) -> f64 {
    number(counter.load())
}

const fn flag(is_so: bool) -> f64 {
    if is_so { 1.0 } else { 0.0 }
}

const fn state_of(state: &LunState) -> usize {
    match state {
        LunState::Opening => 0,
        LunState::Serving => 1,
        LunState::Failed { .. } => 2,
        LunState::Stopped => 3,
    }
}

/// A metric of every unit.
fn each(
    page: &mut Page,
    metric: &Metric,
    units: &[UnitView],
    write: impl Fn(&UnitView, &mut Family<'_>),
) {
    let mut family = page.family(metric);
    units.iter().for_each(|unit| write(unit, &mut family));
}

/// A metric of every unit that is one of its counters.
fn counter(
    page: &mut Page,
    metric: &Metric,
    units: &[UnitView],
    counter: impl Fn(&Counters) -> &Counter,
) {
    each(page, metric, units, |unit, family| {
        family.sample(&[&unit.lun], value(counter(&unit.counters)));
    });
}

/// A metric of every unit that one of its counters has in percent.
fn ratio(
    page: &mut Page,
    metric: &Metric,
    units: &[UnitView],
    percent: impl Fn(&Counters) -> &Counter,
) {
    each(page, metric, units, |unit, family| {
        family.sample(&[&unit.lun], value(percent(&unit.counters)) / 100.0);
    });
}

/// A metric of every lane and operation code of every unit; given with the labels of it.
fn rows(
    page: &mut Page,
    metric: &Metric,
    units: &[UnitView],
    write: impl Fn(&Row, [&str; 3], &mut Family<'_>),
) {
    each(page, metric, units, |unit, family| {
        let rows = unit.inside.book().into_iter().flat_map(Book::rows);
        for row in rows {
            let lane = row.command.and_then(|command| command.lane).map_or(NO_LANE, Lane::name);
            let command = row.command.map_or(OTHERS, |command| command.name);
            write(row, [&unit.lun, lane, command], family);
        }
    });
}

/// A metric of every host of every unit; given with the labels of it.
fn hosts(
    page: &mut Page,
    metric: &Metric,
    units: &[UnitView],
    write: impl Fn(&Host, [&str; 2], &mut Family<'_>),
) {
    each(page, metric, units, |unit, family| {
        for host in unit.inside.hosts() {
            write(host, [&unit.lun, &host.uuid.to_string()], family);
        }
    });
}

impl Inside {
    fn book(&self) -> Option<&Book> {
        match self {
            Self::Told { book, .. } => Some(book),
            Self::Closed | Self::Silent => None,
        }
    }

    fn hosts(&self) -> &[Host] {
        match self {
            Self::Told { hosts, .. } => hosts,
            Self::Closed | Self::Silent => &[],
        }
    }
}
