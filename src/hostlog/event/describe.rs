//! Events in words.

use std::fmt;
use std::time::Duration;

use crate::{Event, HeartbeatRecord, Volume};

impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::HeartbeatTimedOut { volume } => {
                write!(f, "heartbeat timed out{}", On(volume))
            }
            Self::HeartbeatWaiting { record, volume } => {
                write!(f, "waits for its timed-out heartbeat{}{}", On(volume), Slot(record))
            }
            Self::HeartbeatReclaiming { record, volume, failure } => {
                write!(f, "tries to reclaim its heartbeat{}", On(volume))?;
                if let Some(failure) = failure {
                    write!(f, ", and fails: {failure}")?;
                }
                Slot(record).fmt(f)
            }
            Self::HeartbeatReclaimed { record, volume } => {
                write!(f, "reclaimed its heartbeat{}{}", On(volume), Slot(record))
            }
            Self::HeartbeatUnrecoverable { volume } => {
                write!(f, "lost its heartbeat and its locks{}", On(volume))
            }
            Self::HeartbeatCorrupt { offset, record, volume } => {
                f.write_str("found no heartbeat in a slot")?;
                if let Some(offset) = offset {
                    write!(f, " at offset {offset}")?;
                }
                write!(f, "{}{}", On(volume), Slot(record))
            }
            Self::AtsMiscompare { offset, volume } => {
                f.write_str("ATS miscompare")?;
                if let Some(offset) = offset {
                    write!(f, " at offset {offset}")?;
                }
                On(volume).fmt(f)
            }
            Self::AtsNotEqual => f.write_str("something failed because an ATS found other data"),
            Self::LockLost => f.write_str("lost a lock that it held"),
            Self::LockCorrupt { volume } => {
                write!(f, "found no lock in a lock's sector{}", On(volume))
            }
            Self::AtsSupportLost { volume } => {
                write!(f, "ATS is not offered any more{}", On(volume))
            }
            Self::ReservationHeld { volume, held } => {
                write!(f, "reservation held for {} ms{}", held.as_millis(), On(volume))
            }
            Self::CommandFailed(failure) => failure.fmt(f),
            Self::AccessLost { volume } => write!(f, "lost access{}", To(volume)),
            Self::AccessRestored { volume } => write!(f, "has access again{}", To(volume)),
            Self::VirtReset => f.write_str("VMFS aborted I/O by a virt-reset of the device"),
            Self::WriteQuiesced { partition } => {
                write!(f, "a write was refused: {partition} is quiesced")
            }
            Self::LatencyDeteriorated { device, times: None } => {
                write!(f, "latency of {device} has deteriorated")
            }
            Self::LatencyDeteriorated { device, times: Some((before, now)) } => {
                let (before, now) = (before.as_micros(), now.as_micros());
                write!(f, "latency of {device} rose from {before} µs to {now} µs")
            }
            Self::AllPathsDown { device } => write!(f, "all paths down{}", To(device)),
            Self::AllPathsDownTimedOut { device } => {
                write!(f, "all paths down for so long that I/O is given up{}", To(device))
            }
            Self::ConnectivityLost { device } => write!(f, "last path lost{}", To(device)),
        }
    }
}

/// ` on 'Datastore'`, or nothing.
struct On<'e>(&'e Option<Volume>);

impl fmt::Display for On<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|volume| write!(f, " on {volume}"))
    }
}

/// ` to naa.x`, or nothing.
struct To<'e, T>(&'e Option<T>);

impl<T: fmt::Display> fmt::Display for To<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|whither| write!(f, " to {whither}"))
    }
}

/// `: slot at offset …`, or nothing.
struct Slot<'e>(&'e Option<HeartbeatRecord>);

impl fmt::Display for Slot<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(record) = self.0 else { return Ok(()) };
        let HeartbeatRecord { offset, generation, stamp, .. } = record;
        write!(f, ": slot at offset {offset}, generation {generation}, stamp {}", Seconds(*stamp))?;
        record.owner.iter().try_for_each(|owner| write!(f, ", host {owner}"))
    }
}

/// `6780.917733 s`.
struct Seconds(Duration);

impl fmt::Display for Seconds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{:06} s", self.0.as_secs(), self.0.subsec_micros())
    }
}
