//! What the configuration says about faults, and how a unit shows that some are armed.

use pulsefield_faults::Disarm;
use tracing::info;

use super::Conductor;
use crate::station::FaultOrders;

impl Conductor<'_> {
    /// Replaces the plan that the configuration has armed, unless it is the same: then it goes on,
    /// counters and all.
    pub(super) fn configure_faults(&mut self, orders: FaultOrders) {
        let FaultOrders { lun, plan, product } = orders;
        self.station.orders.faulty_product = product;
        let before = self.station.configured.as_ref().map(|(plan, _)| plan);
        if before != plan.as_ref() {
            if let Some((_, id)) = self.station.configured.take() {
                self.disarm(&Disarm::Plan(id));
            }
            self.station.configured = plan.map(|plan| (plan.clone(), self.arm(plan, &lun)));
        }
        self.server.reconfigure(self.station.config());
    }

    /// Shows how many rules are armed, where that has changed: by order, or because a plan has ended
    /// by itself. Says whether it has.
    pub(super) fn show_faults(&mut self) -> bool {
        let armed = self.station.faults_armed();
        if armed == self.counters.faults_armed.load() {
            return false;
        }
        self.counters.set_faults_armed(armed);
        if armed == 0 {
            info!("no faults are armed any more");
        }
        self.server.reconfigure(self.station.config());
        true
    }
}
