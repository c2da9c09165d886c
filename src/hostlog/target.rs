//! What the target saw, as far as a host's log can be compared with it.
//!
//! The recorder knows more, in types of its own; whoever joins the two translates.

use std::collections::HashMap;
use std::time::Duration;

use crate::{Event, LoggedSense, WallTime};

/// Something that the target saw.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TargetEvent {
    /// When, by the target's clock: for a command, when it was answered.
    pub at: WallTime,
    /// What to show of it, on one line.
    pub text: String,
    /// What a host's log would have of it.
    pub mark: Option<Mark>,
}

/// By what an event is recognised on both sides.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Mark {
    /// A heartbeat was written.
    Heartbeat(HeartbeatMark),
    /// A command was answered with another status than GOOD.
    Failure(FailureMark),
}

/// The image that one pulse wrote: no two of them are the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct HeartbeatMark {
    /// Where the slot lies, in bytes from the start of the volume.
    pub offset: u64,
    /// Its owner's uptime, to the microsecond.
    pub stamp: Duration,
}

/// A command that failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FailureMark {
    /// The device by the name that hosts have for it, `naa.…`.
    pub device: String,
    /// Operation code.
    pub opcode: u8,
    /// Status.
    pub status: u8,
    /// Sense key, additional sense code and its qualifier, if there was sense data.
    pub sense: Option<(u8, u8, u8)>,
    /// If it was for a heartbeat slot: where that lies, in bytes from the start of the volume.
    pub heartbeat_offset: Option<u64>,
}

/// The marks of all events, for looking up.
pub(crate) struct Marks<'t> {
    /// Of an image that was written twice (on two volumes at once, say), the earlier.
    pub(crate) heartbeats: HashMap<HeartbeatMark, &'t TargetEvent>,
    /// In order of time.
    pub(crate) failures: Vec<(&'t FailureMark, &'t TargetEvent)>,
}

impl<'t> Marks<'t> {
    pub(crate) fn of(events: &'t [TargetEvent]) -> Self {
        let mut marks = Self { heartbeats: HashMap::new(), failures: Vec::new() };
        for event in events {
            match &event.mark {
                Some(Mark::Heartbeat(mark)) => {
                    let earliest = marks.heartbeats.entry(*mark).or_insert(event);
                    if event.at < earliest.at {
                        *earliest = event;
                    }
                }
                Some(Mark::Failure(mark)) => marks.failures.push((mark, event)),
                None => {}
            }
        }
        marks.failures.sort_by_key(|(_, event)| event.at);
        marks
    }

    /// What was seen of `event`, which was written `at` by the target's clock: the heartbeat with
    /// the same stamp, or the nearest failure alike that is no more than `reach_us` microseconds
    /// away.
    pub(crate) fn counterpart(
        &self,
        event: &Event,
        at: WallTime,
        reach_us: i64,
    ) -> Option<&'t TargetEvent> {
        if let Some(mark) = HeartbeatMark::of(event) {
            return self.heartbeats.get(&mark).copied();
        }
        let first = self.failures.partition_point(|(_, seen)| at.micros_after(seen.at) > reach_us);
        let within = self.failures.get(first..)?.iter();
        within
            .take_while(|(_, seen)| seen.at.micros_after(at) <= reach_us)
            .filter(|(mark, _)| mark.is_told_by(event))
            .map(|(_, seen)| *seen)
            .min_by_key(|seen| at.micros_after(seen.at).unsigned_abs())
    }
}

/// MISCOMPARE, MISCOMPARE DURING VERIFY OPERATION: what a COMPARE AND WRITE ends with that finds
/// other data (SBC-4 5.3).
const MISCOMPARE: (u8, u8, u8) = (0x0e, 0x1d, 0x00);

impl HeartbeatMark {
    /// The pulse that a line tells the image of: the one that reclaimed the heartbeat, or the last
    /// one before it was late.
    pub(crate) fn of(event: &Event) -> Option<Self> {
        let (Event::HeartbeatWaiting { record, .. }
        | Event::HeartbeatReclaiming { record, .. }
        | Event::HeartbeatReclaimed { record, .. }) = event
        else {
            return None;
        };
        record.as_ref().map(|record| Self { offset: record.offset, stamp: record.stamp })
    }
}

impl FailureMark {
    /// Whether `event` may be a host's account of it.
    pub(crate) fn is_told_by(&self, event: &Event) -> bool {
        if let Event::CommandFailed(failure) = event {
            let sense = failure.sense.map(|LoggedSense { key, asc, ascq, .. }| (key, asc, ascq));
            failure.was_answered()
                && failure.opcode == Some(self.opcode)
                && failure.device_status == self.status
                && failure.device == self.device
                && (self.sense.is_none() || sense == self.sense)
        } else if let Event::AtsMiscompare { offset: Some(offset), .. } = event {
            self.sense == Some(MISCOMPARE) && self.heartbeat_offset == Some(*offset)
        } else {
            false
        }
    }
}
