//! The conductor's part in knowing hosts: it looks at the heartbeats that they write.

use crossbeam_channel::Sender;
use pulsefield_data::Buffer;
use pulsefield_scsi::opcode;
use pulsefield_vmfs::{Heartbeat, Object};

use super::Conductor;
use crate::hosts::Host;

/// The bytes of a heartbeat slot that mean something.
const SLOT_BYTES: usize = 512;

impl Conductor<'_> {
    /// Looks whether a command of the heartbeat lane that ended GOOD has written a heartbeat: of a
    /// COMPARE AND WRITE the second half of its Data-Out, of a WRITE the first block.
    ///
    /// The bytes are looked at where the initiator, or a mistaken kernel, could still change them:
    /// nothing but what is shown of hosts depends on them.
    pub(super) fn look_for_pulse(&mut self, cmd_id: u16, data_out: &Buffer) {
        let commands = &self.server.observer().commands;
        let opcode = commands.passage(cmd_id).and_then(|passage| passage.cdb.opcode());
        let at = if opcode == Some(opcode::COMPARE_AND_WRITE) { data_out.len() / 2 } else { 0 };
        if data_out.len() - at < SLOT_BYTES {
            return;
        }
        if !Object::has_magic(data_out.read_array(at)) {
            return;
        }
        let mut sector = [0; SLOT_BYTES];
        data_out.read_at(at, &mut sector);
        if let Some(heartbeat) = Heartbeat::decode(&sector) {
            self.station.hosts.note(self.now, &heartbeat);
        }
    }

    /// Says which hosts pulse.
    pub(super) fn report_hosts(&mut self, reply: &Sender<Vec<Host>>) {
        // Whoever gave up waiting does not need to know.
        let _ = reply.send(self.station.hosts.report(self.station.clock.now()));
    }
}
