//! Histories for tests: operations on blocks, put in order by their times in milliseconds.

use std::sync::Arc;

use pulsefield_units::{BlockCount, Instant, Lba, LbaRange};

use crate::{
    Begun, Breach, Checker, Ending, Event, HostId, Operation, OperationId, OperationKind, Pulse,
    Standing, UnitId, Verdict,
};

pub(crate) const UNIT: UnitId = UnitId(0);

pub(crate) fn at(millis: u64) -> Instant {
    Instant::from_nanos(millis * 1_000_000)
}

/// A block that is told from others by a number; number 0 is zeros.
pub(crate) fn block(number: u64) -> Arc<[u8]> {
    let mut block = [0; 512];
    block[..8].copy_from_slice(&number.to_le_bytes());
    Arc::new(block)
}

pub(crate) fn blocks(lba: u64, count: u64) -> LbaRange {
    LbaRange::new(Lba::new(lba), BlockCount::new(count)).unwrap()
}

pub(crate) fn read(number: u64) -> OperationKind {
    OperationKind::Read { data: block(number) }
}

pub(crate) fn write(number: u64) -> OperationKind {
    OperationKind::Write { data: block(number) }
}

pub(crate) fn swap(test: u64, set: u64) -> OperationKind {
    OperationKind::CompareAndWrite { test: block(test), set: block(set) }
}

/// An operation on block 7 by a host, from and to so many milliseconds.
pub(crate) fn operation(
    host: u32,
    (from, to): (u64, u64),
    kind: OperationKind,
    ending: Ending,
) -> Operation {
    Operation {
        id: OperationId(0),
        host: HostId(host),
        unit: UNIT,
        blocks: blocks(7, 1),
        invoked: at(from),
        returned: Some(at(to)),
        kind,
        ending,
    }
}

pub(crate) fn done(host: u32, times: (u64, u64), kind: OperationKind) -> Operation {
    operation(host, times, kind, Ending::Done)
}

/// A heartbeat, from and to so many milliseconds.
pub(crate) fn pulse(host: u32, (from, to): (u64, u64), alive: bool) -> Event {
    let (invoked, returned) = (at(from), at(to));
    Event::Pulse(Pulse { host: HostId(host), unit: UNIT, invoked, returned, alive })
}

/// The beginnings and ends of operations in order. Each gets its number; what begins when another one ends
/// began before that. An operation that is lost is told at once.
pub(crate) fn history(operations: impl IntoIterator<Item = Operation>) -> Vec<Event> {
    let mut events = Vec::new();
    for (nth, operation) in (0..).zip(operations) {
        let operation = Operation { id: OperationId(nth), ..operation };
        let Operation { id, host, unit, invoked, blocks, .. } = operation;
        let begun = Begun { id, host, unit, at: invoked, blocks };
        events.push((invoked, false, Event::Begun(begun)));
        let told = operation.returned.unwrap_or(invoked);
        events.push((told, true, Event::Operation(operation)));
    }
    events.sort_by_key(|(at, is_end, _)| (*at, *is_end));
    events.into_iter().map(|(_, _, event)| event).collect()
}

pub(crate) fn judge<'a>(
    mut checker: impl Checker + 'static,
    events: impl IntoIterator<Item = &'a Event>,
) -> Verdict {
    events.into_iter().for_each(|event| checker.observe(event));
    Box::new(checker).finish(at(1_000_000))
}

/// The only breach.
pub(crate) fn breach(verdict: &Verdict) -> &Breach {
    assert_eq!(verdict.standing, Standing::Broken, "{verdict:?}");
    assert_eq!(verdict.breaches.len(), 1, "{verdict:#?}");
    &verdict.breaches[0]
}
