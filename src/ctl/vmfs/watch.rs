//! What happens to the heartbeats of a volume while somebody watches.

use std::fmt;
use std::time::Duration;

use pulsefield_vmfs::{Change, Heartbeat, HeartbeatState, HostUuid, LEASE};

use super::findings::{Findings, heartbeats};

/// The heartbeats as they were when they were last looked at.
pub(crate) struct Watch {
    /// How far apart slots are, in bytes.
    stride: usize,
    lease: Duration,
    region: Vec<u8>,
    /// Of each slot, when its heartbeat was last seen to change.
    moved: Vec<Moved>,
}

#[derive(Clone, Copy, Default)]
struct Moved {
    at: Duration,
    /// Whether it was said that it stands still.
    silence_told: bool,
}

/// Something to tell.
#[derive(Debug)]
pub(crate) struct Event {
    /// How long after watching began.
    pub(crate) after: Duration,
    /// The slot.
    pub(crate) slot: u64,
    pub(crate) what: Happening,
}

#[derive(Debug)]
pub(crate) enum Happening {
    /// The slot changed.
    Changed(Change),
    /// The slot is in use and was not seen to change for longer than the lease.
    Silent { host: Option<HostUuid>, lasting: Duration },
}

impl Watch {
    /// Watches from what was found on; `None` if no heartbeats are on this device.
    pub(crate) fn new(findings: &Findings) -> Option<Self> {
        let stride = usize::try_from(heartbeats(&findings.volume)?.stride).ok()?;
        let lease = findings.volume.file_system.as_ref().and_then(|it| it.lease).unwrap_or(LEASE);
        let moved = vec![Moved::default(); findings.slots.len()];
        Some(Self { stride, lease, region: findings.region.clone(), moved })
    }

    /// What happened since, to tell in the order of the slots; `region` is what lies there `after`
    /// watching began.
    pub(crate) fn look(&mut self, after: Duration, region: Vec<u8>) -> Vec<Event> {
        let slots = self.region.chunks_exact(self.stride).zip(region.chunks_exact(self.stride));
        let mut events = Vec::new();
        for (slot, (moved, (old, new))) in (0..).zip(self.moved.iter_mut().zip(slots)) {
            if let Some(what) = happened(after, moved, self.lease, old, new) {
                events.push(Event { after, slot, what });
            }
        }
        self.region = region;
        events
    }
}

fn happened(
    after: Duration,
    moved: &mut Moved,
    lease: Duration,
    old: &[u8],
    new: &[u8],
) -> Option<Happening> {
    if old != new {
        *moved = Moved { at: after, silence_told: false };
        return Some(Happening::Changed(Change::between(old, new)));
    }
    let lasting = after.saturating_sub(moved.at);
    if lasting <= lease || moved.silence_told {
        return None;
    }
    let heartbeat = Heartbeat::decode(new).filter(|it| it.state != HeartbeatState::Clear)?;
    moved.silence_told = true;
    Some(Happening::Silent { host: heartbeat.owner, lasting })
}

impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { after, slot, what } = self;
        write!(f, "{:8.1} s  slot {slot}  {what}", after.as_secs_f64())
    }
}

impl fmt::Display for Happening {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Changed(change) => write!(f, "{change}"),
            Self::Silent { host, lasting } => {
                write!(f, "no pulse for {:.1} s", lasting.as_secs_f64())?;
                match host {
                    Some(host) => write!(f, ": host {host} may be taken for dead"),
                    None => f.write_str(": its host may be taken for dead"),
                }
            }
        }
    }
}
