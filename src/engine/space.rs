//! Space in a pool: what writes may still allocate, and whom to tell that it runs out.
//!
//! The medium knows what is allocated; asking it costs a system call, so whoever conducts the device
//! server reports it from time to time ([`DeviceServer::on_space`](crate::DeviceServer::on_space)).
//! In between every write counts as if all its blocks were new, with whole granules of 4096 bytes. As long as even that fits below the
//! limit, nothing more is looked at. Only when it does not is the medium asked which of the blocks
//! have space already: those can be written as ever, and the rest is refused with 07h/27h/07h.
//!
//! What is in flight counts in full, so a pool is full a little early, by what is in flight at most.
//! What *other* units of the pool wrote since they last reported does not count: a pool can be
//! overrun by [`SPACE_REPORT_BYTES`](limits::SPACE_REPORT_BYTES) and what is in flight of each of
//! them, and near its limit by what is in flight alone.

use crate::limits;

/// The limits of a pool of space.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PoolLimits {
    /// The pool's name.
    pub name: String,
    /// Bytes that all media of the pool may take together.
    pub limit: u64,
    /// Bytes at which initiators are warned with 06h/38h/07h, in ascending order.
    pub thresholds: Vec<u64>,
}

/// What is allocated now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SpaceReport {
    /// Bytes that this unit's medium takes.
    pub allocated: u64,
    /// Bytes that all media of its pool take.
    pub used: u64,
}

/// The space of a logical unit.
#[derive(Debug, Default)]
pub(crate) struct Space {
    pool: Option<PoolLimits>,
    report: Option<SpaceReport>,
    /// Bytes written since the report, as if all were new.
    unreported: u64,
    /// Bytes that writes at the medium may allocate.
    in_flight: u64,
    /// Whether space was given back since the report.
    relieved: bool,
    /// Whether something did not fit since the report: others may have given space back.
    doubted: bool,
    /// How many thresholds are reached.
    reached: usize,
}

/// Below this part of the limit, reports are needed less often.
const NEAR_PARTS: (u64, u64) = (15, 16);

impl Space {
    pub(crate) fn new(pool: Option<PoolLimits>) -> Self {
        Self { pool, ..Self::default() }
    }

    /// Takes new limits; what was warned of is warned of again if the pool is another one.
    pub(crate) fn set_pool(&mut self, pool: Option<PoolLimits>) {
        if self.pool != pool {
            self.pool = pool;
            self.report = None;
            self.reached = 0;
        }
    }

    /// Forgets what a medium takes that is not there any more.
    pub(crate) const fn forget_report(&mut self) {
        self.report = None;
        self.unreported = 0;
    }

    pub(crate) const fn pool(&self) -> Option<&PoolLimits> {
        self.pool.as_ref()
    }

    /// The newest report.
    pub(crate) const fn report(&self) -> Option<SpaceReport> {
        self.report
    }

    /// What the pool takes at most, if its limits are known to be of interest at all.
    fn used_at_most(&self) -> u64 {
        let reported = self.report.map_or(0, |report| report.used);
        reported.saturating_add(self.unreported).saturating_add(self.in_flight)
    }

    /// Reserves space for a write that allocates `bytes` at most; says whether there is so much.
    pub(crate) fn reserve(&mut self, bytes: u64) -> bool {
        let fits = match &self.pool {
            None => true,
            Some(pool) => self.used_at_most().saturating_add(bytes) <= pool.limit,
        };
        if fits {
            self.in_flight += bytes;
        }
        self.doubted |= !fits;
        fits
    }

    /// Notes the end of a write for which `bytes` were reserved.
    pub(crate) const fn settle(&mut self, bytes: u64) {
        self.in_flight -= bytes;
        self.unreported = self.unreported.saturating_add(bytes);
    }

    /// Notes that space may have been given back.
    pub(crate) const fn relieve(&mut self) {
        self.relieved = true;
    }

    /// Whether the figures are too old to go on with.
    pub(crate) fn wants_report(&self) -> bool {
        let Some(pool) = &self.pool else { return false };
        let (near, parts) = NEAR_PARTS;
        let is_near = self.used_at_most() >= pool.limit / parts * near;
        self.report.is_none()
            || self.relieved
            || self.doubted
            || self.unreported >= limits::SPACE_REPORT_BYTES
            || (is_near && self.unreported > 0)
    }

    /// Takes new figures; says whether the pool has reached a threshold since the last ones.
    pub(crate) fn take(&mut self, report: SpaceReport) -> bool {
        self.report = Some(report);
        self.unreported = 0;
        self.relieved = false;
        self.doubted = false;
        let thresholds = self.pool.as_ref().map_or(&[][..], |pool| &pool.thresholds);
        let reached = thresholds.iter().filter(|threshold| report.used >= **threshold).count();
        // One that is not reached any more is warned of again when it is.
        std::mem::replace(&mut self.reached, reached) < reached
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: u64 = 1 << 20;

    fn space(limit: u64) -> Space {
        let thresholds = vec![limit / 2, limit / 10 * 9];
        Space::new(Some(PoolLimits { name: "gold".to_owned(), limit, thresholds }))
    }

    fn report(used: u64) -> SpaceReport {
        SpaceReport { allocated: used, used }
    }

    #[test]
    fn without_a_pool_everything_fits_and_nobody_asks() {
        let mut space = Space::default();
        assert!(space.reserve(u64::MAX / 2) && !space.wants_report());
        space.settle(u64::MAX / 2);
        assert!(!space.wants_report());
    }

    #[test]
    fn what_is_in_flight_or_not_reported_yet_counts_in_full() {
        let mut space = space(100 * MIB);
        assert!(space.wants_report());
        space.take(report(10 * MIB));
        assert!(space.reserve(50 * MIB) && !space.reserve(41 * MIB));
        space.settle(50 * MIB);
        assert!(!space.reserve(41 * MIB) && space.reserve(40 * MIB));
        space.settle(40 * MIB);
        assert!(space.wants_report());
        // All of it went to blocks that had space.
        space.take(report(10 * MIB));
        assert!(space.reserve(90 * MIB));
    }

    #[test]
    fn reports_are_wanted_often_only_near_the_limit() {
        let mut space = space(1000 * MIB);
        space.take(report(100 * MIB));
        assert!(space.reserve(MIB));
        space.settle(MIB);
        assert!(!space.wants_report());
        assert!(space.reserve(limits::SPACE_REPORT_BYTES));
        space.settle(limits::SPACE_REPORT_BYTES);
        assert!(space.wants_report());
        space.take(report(990 * MIB));
        assert!(!space.wants_report());
        assert!(space.reserve(1));
        space.settle(1);
        assert!(space.wants_report());
        space.take(report(100 * MIB));
        space.relieve();
        assert!(space.wants_report());
    }

    #[test]
    fn a_unit_that_was_refused_looks_whether_others_gave_space_back() {
        let mut space = space(100 * MIB);
        space.take(report(100 * MIB));
        assert!(!space.wants_report());
        assert!(!space.reserve(MIB) && space.wants_report());
        space.take(report(90 * MIB));
        assert!(!space.wants_report() && space.reserve(MIB));
    }

    #[test]
    fn a_threshold_warns_once_for_each_time_it_is_reached() {
        let mut space = space(100);
        let warned = [0, 49, 50, 60, 90, 95, 89, 91, 10, 99].map(|used| space.take(report(used)));
        let expected = [false, false, true, false, true, false, false, true, false, true];
        assert_eq!(warned, expected);
    }
}
