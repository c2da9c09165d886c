//! What a conductor is told: orders, answers to what it asked, and parts of other units' copies.

use pulsefield_data::Buffer;
use pulsefield_engine::{Incoming, SavedState};
use pulsefield_scsi::opcode;
use pulsefield_units::Cdb;

use super::{Conductor, Interruption, Origin, Stopping};
use crate::copying::{CopyEnd, CopyRequest, Reachable};
use crate::station::Message;

impl Conductor<'_> {
    pub(super) fn read_messages(&mut self) -> Result<(), Interruption> {
        if !self.station.has_mail() {
            return Ok(());
        }
        if !self.station.removed().is_empty() {
            return Err(Interruption::Gone);
        }
        while let Some(message) = self.station.message() {
            match message {
                Message::Stop => {
                    self.station.orders.stop = true;
                    self.changing = None;
                    let now = self.station.clock.now();
                    self.stopping.get_or_insert(Stopping { since: now, blocked: false });
                    if let Some(saboteur) = &mut self.station.saboteur {
                        saboteur.stop(now);
                    }
                    self.surroundings.block();
                }
                Message::Blocked => {
                    if let Some(stopping) = &mut self.stopping {
                        stopping.blocked = true;
                    }
                }
                Message::Reconfigure(config) => {
                    if config.pool.is_none() {
                        self.share = None;
                    }
                    self.station.orders.config = config;
                    self.server.reconfigure(self.station.config());
                    self.update_saboteur();
                }
                Message::Resize { blocks, done } => {
                    self.station.orders.blocks = Some(blocks);
                    self.server.resize(blocks);
                    self.update_saboteur();
                    self.resizes.push((blocks, done));
                }
                Message::ChangeMedium(change) => self.begin_change(change),
                Message::SetWriteCache(enabled) => {
                    self.station.orders.write_cache = Some(enabled);
                    self.server.set_write_cache(enabled);
                }
                Message::Identity(identity) => self.server.on_identity(identity),
                Message::PortGroups(groups) => self.server.on_port_groups(groups),
                Message::Initiators(count) => self.server.on_initiators(count),
                Message::AccessStatesSet { request, changed } => {
                    self.server.on_access_states_set(self.station.clock.now(), request, changed);
                }
                Message::CommandTimeOut(time_out) => {
                    self.command_time_out = time_out;
                    self.update_saboteur();
                }
                Message::Restored(state) => self.restore(state),
                // One that an earlier conductor asked for concerns nobody any more.
                Message::Saved { number, on_stable_storage } if number >= self.first_save => {
                    self.server.on_saved(self.station.clock.now(), on_stable_storage);
                }
                Message::Saved { .. } => {}
                Message::CopyPeers(reachable) => {
                    let peer = |Reachable { peer, mailbox }| {
                        self.peers.insert(peer.unit, mailbox);
                        peer
                    };
                    let peers = reachable.into_iter().map(peer).collect();
                    self.server.on_copy_peers(peers);
                }
                Message::CopyRequest(request) => self.take_copy_request(request),
                Message::CopyEnd(CopyEnd { asker, tag, outcome, buffer }) => {
                    if asker == self.number {
                        self.server.on_copy_op_done(self.station.clock.now(), tag, outcome, buffer);
                    }
                }
                Message::SetDeadlines(deadlines) => self.station.latency.set_deadlines(deadlines),
                Message::SetPolling(spare) => self.station.polling.set(spare),
                Message::ReportLatency { clear, reply } => self.report_latency(clear, &reply),
                Message::Record(orders) => self.order_recording(orders),
                Message::Recorder { orders, recorder } => self.take_recorder(&orders, recorder),
                Message::ReportHosts { reply } => self.report_hosts(&reply),
                Message::ConfigureFaults(orders) => self.configure_faults(orders),
                // Whoever gave up waiting does not need to know.
                Message::Arm { plan, lun, done } => drop(done.send(self.arm(plan, &lun))),
                Message::Disarm { which, done } => drop(done.send(self.disarm(&which))),
                Message::ReportFaults { since, reply } => self.report_faults(since, &reply),
                Message::Probe(number) => self.probe(number)?,
            }
        }
        Ok(())
    }

    /// Does a part of another unit's copy, once the unit is restored: it may be one that must not be
    /// written.
    pub(super) fn take_copy_request(&mut self, request: CopyRequest) {
        if self.holds_copy_requests() {
            self.held_requests.push(request);
            return;
        }
        if !self.restored {
            if self.held.is_none() && self.held_requests.is_empty() {
                self.surroundings.load();
            }
            self.held_requests.push(request);
            return;
        }
        let CopyRequest { op, buffer, reply } = request;
        self.server.on_copy_op(
            self.station.clock.now(),
            Origin::PeerPart(Box::new(reply)),
            op,
            buffer,
        );
    }

    /// Gives the unit what it has saved; what was ordered since it was opened holds on.
    fn restore(&mut self, state: SavedState) {
        if !self.restored {
            self.server.restore(state);
            if let Some(enabled) = self.station.orders.write_cache {
                self.server.set_write_cache(enabled);
            }
            self.restored = true;
            for request in std::mem::take(&mut self.held_requests) {
                self.take_copy_request(request);
            }
        }
    }

    /// Sends a command through the device server that touches neither the medium nor a pending unit
    /// attention, and asks nobody anything: INQUIRY for the list of vital product data pages.
    fn probe(&mut self, number: u64) -> Result<(), Interruption> {
        // The kernel counts its events in 32 bits: were they never read, one in 2^32 would make the
        // count what it was when the device was opened, and not be seen.
        self.uio.take_events()?;
        let inquiry = Cdb::new(&[opcode::INQUIRY, 1, 0, 0, 36, 0]);
        let token = Origin::Probe(number);
        let incoming = Incoming { token, tag: None, cdb: inquiry, data: Buffer::heap(36) };
        self.server.on_command(self.station.clock.now(), incoming);
        Ok(())
    }

    /// Tells those who asked for a new size that nothing is in flight beyond it any more.
    pub(super) fn answer_resizes(&mut self) {
        if self.resizes.is_empty() {
            return;
        }
        let server = &self.server;
        self.resizes.retain(|(blocks, done)| {
            let pending = server.touches_beyond(*blocks);
            if !pending {
                // Whoever gave up waiting does not need to know.
                let _ = done.send(());
            }
            pending
        });
    }
}
