//! How much room the ring and its data area have left: what finds none waits where nobody sees it.

use std::time::Duration;

use pulsefield_ring::Usage;
use tracing::warn;

use super::Conductor;

/// The least time between two lines about a lack of room.
pub(super) const LINE_PERIOD: Duration = Duration::from_secs(60);

/// From so much on, in percent, the next commands may find no room: an eighth of the area is two of the
/// longest.
const FULL_PERCENT: u8 = 88;

impl Conductor<'_> {
    /// Notes how full they were since the last time.
    pub(super) fn watch_room(&mut self) {
        let data_area = self.ring.take_data_area_usage();
        let ring = self.ring.take_ring_usage();
        if data_area.peak > self.fullest.0 || ring.peak > self.fullest.1 {
            self.fullest = (self.fullest.0.max(data_area.peak), self.fullest.1.max(ring.peak));
            self.counters.note_room(data_area.percent(), ring.percent());
        }
        if is_full(data_area) || is_full(ring) {
            self.tell_of_room(data_area, ring);
        }
    }

    #[cold]
    fn tell_of_room(&mut self, data_area: Usage, ring: Usage) {
        self.counters.count_shortage();
        let Some(withheld) = self.room_rate.admit(self.now) else { return };
        warn!(
            data_area_percent = data_area.percent(),
            data_area_mb = data_area.size >> 20,
            ring_percent = ring.percent(),
            withheld,
            "hardly any room: what comes next waits in the kernel, heartbeats too"
        );
    }
}

const fn is_full(usage: Usage) -> bool {
    usage.peak.saturating_mul(100) >= usage.size.saturating_mul(FULL_PERCENT as usize)
}
