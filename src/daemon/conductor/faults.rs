//! The conductor's part in faults: a saboteur that stands between the ring and the device server, once
//! something was armed.

use std::sync::Arc;
use std::time::Duration;

use crossbeam_channel::Sender;
use pulsefield_faults::{Deed, Disarm, FaultReport, Plan, PlanId, Saboteur, Unit};
use tracing::warn;

use super::{Conductor, Interruption};

/// For how long a command is held that is never to be answered, if neither the rule that holds it says
/// nor the kernel, which may wait for ever: as long as TCMU waits unless told otherwise.
///
/// Source: `drivers/target/target_core_user.c`, `TCMU_TIME_OUT`.
pub(super) const COMMAND_TIME_OUT: Duration = Duration::from_secs(30);

impl Conductor<'_> {
    /// Arms a plan for this unit, which is called `lun`.
    pub(super) fn arm(&mut self, plan: Arc<Plan>, lun: &str) -> PlanId {
        let unit = self.unit();
        let now = self.station.clock.now();
        let saboteur = self.station.saboteur.get_or_insert_with(|| Saboteur::new(unit));
        let id = saboteur.arm(now, plan, lun);
        warn!(plan = %id, "FAULTS ARE ARMED: the unit breaks its promises on purpose");
        self.show_faults();
        id
    }

    /// Disarms rules; says how many there were.
    pub(super) fn disarm(&mut self, which: &Disarm) -> usize {
        let now = self.station.clock.now();
        let saboteur = self.station.saboteur.as_mut();
        let rules = saboteur.map_or(0, |saboteur| saboteur.disarm(now, which));
        warn!(rules, "faults are disarmed");
        self.show_faults();
        rules
    }

    /// What is armed, and what was hit from number `since` on.
    pub(crate) fn faults(&self, since: u64) -> FaultReport {
        let saboteur = self.station.saboteur.as_ref();
        saboteur.map(|saboteur| saboteur.report(since)).unwrap_or_default()
    }

    /// Says what is armed, and what was hit.
    pub(super) fn report_faults(&self, since: u64, reply: &Sender<FaultReport>) {
        // Whoever gave up waiting does not need to know.
        let _ = reply.send(self.faults(since));
    }

    /// How long until a fault has something to do again.
    pub(super) fn until_deadline(&self) -> Option<Duration> {
        let saboteur = self.station.saboteur.as_ref().filter(|_| !self.flushing)?;
        let due = saboteur.next_deadline()?;
        Some(due.since(self.station.clock.now()))
    }

    /// Does what faults ask for. While a medium is flushed that is about to be changed for another, they
    /// wait: what they had written now would be lost.
    pub(super) fn perform_deeds(&mut self) -> Result<(), Interruption> {
        if self.flushing || self.station.saboteur.as_ref().is_none_or(Saboteur::is_waiting) {
            return Ok(());
        }
        self.look_at_clock();
        while let Some(saboteur) = &mut self.station.saboteur
            && let Some(deed) = saboteur.poll(self.now)
        {
            match deed {
                Deed::Send(incoming) => self.server.on_command(self.now, incoming),
                Deed::Answer(answer) => self.answer(answer)?,
                Deed::Raise(condition) => self.server.raise(condition),
            }
        }
        Ok(())
    }

    /// What a saboteur has to know of the unit.
    fn unit(&self) -> Unit {
        let config = &self.station.orders.config;
        Unit {
            geometry: self.server.geometry(),
            metadata: config.metadata.clone(),
            compare_and_write_blocks_max: config.compare_and_write_blocks_max,
            command_time_out: self.command_time_out,
        }
    }

    /// Tells the saboteur what has changed of the unit.
    pub(super) fn update_saboteur(&mut self) {
        let unit = self.unit();
        if let Some(saboteur) = &mut self.station.saboteur {
            saboteur.set_unit(unit);
        }
    }

    /// Commands of the ring that the device server or a fault has.
    pub(super) fn commands_in_hand(&self) -> usize {
        let in_server = self.server.in_flight();
        match &self.station.saboteur {
            // What faults have sent to the device server is no command of the ring's.
            Some(saboteur) => (in_server + saboteur.unanswered()).saturating_sub(saboteur.sent()),
            None => in_server,
        }
    }
}
