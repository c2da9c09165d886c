//! Third-party copies between units: whom a unit's copies may reach, and how a part of a copy gets
//! from one unit's thread to another's and its end back.
//!
//! Units share nothing for it. A part travels as a message with the buffer inside, owned by whoever
//! has it; the other unit treats it as one of its own tasks, and answers with another message.
//!
//! **Whom a copy may reach.** An initiator must not read through EXTENDED COPY what it could not read
//! itself (CVE-2020-28374). TCMU does not tell which initiator sent a command, so the daemon cannot
//! know what else it sees, and by default a copy stays within its unit. Units that are shown to the
//! same initiators can be given one `copy_group` in the configuration; only they reach one another.

use pulsefield_backstore::OpTag;
use pulsefield_data::Buffer;
use pulsefield_engine::{CopyOp, CopyPeer, Designators, Identity, Outcome};
use pulsefield_kernel::{Device, Roots};
use pulsefield_scsi::{Asc, Sense, SenseKey, Status};
use pulsefield_units::LuId;

use crate::station::{Mailbox, Message};
use crate::surroundings::serial;
use crate::table::SharedTable;

/// Another unit that copies may reach, and how.
pub(crate) struct Reachable {
    pub(crate) peer: CopyPeer,
    pub(crate) mailbox: Mailbox,
}

/// A part of a copy, on its way to the unit that it concerns.
pub(crate) struct CopyRequest {
    pub(crate) op: CopyOp,
    pub(crate) buffer: Buffer,
    pub(crate) reply: CopyReply,
}

/// The end of a part of a copy, on its way back.
pub(crate) struct CopyEnd {
    /// Which of the unit's conductors asked: the next one uses its tags again.
    pub(crate) asker: u64,
    pub(crate) tag: OpTag,
    pub(crate) outcome: Outcome,
    pub(crate) buffer: Buffer,
}

/// Where the end of a part must be told. Told or dropped, it tells: a unit that ends, or whose
/// conductor breaks down, leaves no copy waiting.
#[derive(Debug)]
pub(crate) struct CopyReply {
    mailbox: Option<Mailbox>,
    asker: u64,
    tag: OpTag,
}

impl CopyReply {
    pub(crate) const fn new(mailbox: Mailbox, asker: u64, tag: OpTag) -> Self {
        Self { mailbox: Some(mailbox), asker, tag }
    }

    pub(crate) fn tell(mut self, outcome: Outcome, buffer: Buffer) {
        self.send(outcome, buffer);
    }

    fn send(&mut self, outcome: Outcome, buffer: Buffer) {
        if let Some(mailbox) = self.mailbox.take() {
            let end = CopyEnd { asker: self.asker, tag: self.tag, outcome, buffer };
            mailbox.send(Message::CopyEnd(end));
        }
    }
}

impl Drop for CopyReply {
    fn drop(&mut self) {
        let asc = Asc::LOGICAL_UNIT_NOT_READY_MANUAL_INTERVENTION_REQUIRED;
        let sense = Some(Sense::new(SenseKey::NotReady, asc));
        let gone = Outcome { status: Status::CheckCondition, sense, data_in: None };
        self.send(gone, Buffer::empty());
    }
}

/// The units that copies of the unit `id` may reach. Reads their names from configfs, which may wait.
pub(crate) fn reachable(table: &SharedTable, roots: &Roots, id: LuId) -> Vec<Reachable> {
    let group: Vec<_> = {
        let table = table.lock();
        let group_of = |name: &str| table.config.for_lun(name).copy_group.as_deref();
        let own = table.units.get(&id).and_then(|unit| group_of(unit.name.device()));
        let Some(own) = own else { return Vec::new() };
        let others = table.units.iter().filter(|(other, _)| **other != id);
        others
            .filter(|(_, unit)| group_of(unit.name.device()) == Some(own))
            .filter_map(|(other, unit)| {
                let service = unit.service.as_ref()?;
                let device = Device::new(roots, &unit.name);
                let settings = table.settings(unit.name.device());
                Some((*other, device, settings, service.mailbox.clone(), service.geometry))
            })
            .collect()
    };
    group
        .into_iter()
        .filter_map(|(unit, device, settings, mailbox, geometry)| {
            // Units without a serial number all have the same name.
            let identity = Identity::new(serial(&device)?);
            let designators = Designators::new(&identity, &settings);
            Some(Reachable { peer: CopyPeer { unit, designators, geometry }, mailbox })
        })
        .collect()
}

#[cfg(test)]
mod tests;
