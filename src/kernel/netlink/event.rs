//! What the kernel says about devices.

use std::sync::Arc;

use netlink_packet_core::{DecodeError, NetlinkPayload};
use nix::errno::Errno;
use pulsefield_units::LuId;
use tracing::{debug, warn};

use super::NetlinkError;
use super::reply::{Done, Family, Reply};
use super::wire::{self, Message};
use crate::UioName;

/// What happened to a device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EventKind {
    /// It was enabled. An error as answer makes the enabling fail with it.
    Added,
    /// It is being removed; the answer's status is ignored. Touch nothing of it in configfs before
    /// answering, see [`crate::Device`].
    Removed,
    /// Somebody changes it. An error as answer leaves the kernel's values as they were.
    ///
    /// rtslib sends all three kinds of change, with the values the device has already, whenever it
    /// restores a configuration.
    Reconfigured(Change),
}

/// What somebody wants of a device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// Another configuration string, subtype included, as [`UioName::config`] has it.
    Config(String),
    /// Another size, in bytes.
    Size(u64),
    /// A write cache, or none.
    WriteCache(bool),
}

/// Something that happened to a device of ours, and the duty to answer it.
///
/// Answer with [`Event::reply`], from any thread, once and soon: whoever caused the event sleeps
/// until then and cannot be killed. Dropped unanswered, it answers EIO, so that a bug or a panic on
/// the way costs an error message and not a process in state D.
#[derive(Debug)]
pub struct Event {
    kind: EventKind,
    id: LuId,
    name: UioName,
    reply: Reply,
}

impl Event {
    /// What happened.
    pub fn kind(&self) -> &EventKind {
        &self.kind
    }

    /// To which device.
    pub fn id(&self) -> LuId {
        self.id
    }

    /// The name the device has now; a change of configuration is not in it yet.
    pub fn name(&self) -> &UioName {
        &self.name
    }

    /// Answers: it is done, or why it cannot be.
    ///
    /// That nobody waits for the answer is no error. It happens when answers are not enabled for
    /// the device, when netlink was reset, and when tcmu-runner answered first.
    ///
    /// # Errors
    /// [`NetlinkError`] if the kernel did not take the answer; whoever waits then still does.
    pub fn reply(self, result: Result<(), Errno>) -> Result<(), NetlinkError> {
        self.reply.send(result)
    }
}

/// Reads a datagram of the group; `None` unless it is an event about a device of ours. Foreign
/// devices and unknown commands are nothing to us, and are only logged.
pub(super) fn read(
    bytes: &[u8],
    family_id: u16,
    family: &Arc<impl Family + 'static>,
) -> Result<Option<Event>, DecodeError> {
    let NetlinkPayload::InnerMessage(message) = wire::decode(bytes)?.payload else {
        debug!("netlink control message");
        return Ok(None);
    };
    if message.resolved_family_id() != family_id {
        debug!(family = message.resolved_family_id(), "message of another netlink family");
        return Ok(None);
    }
    let message = message.payload;
    let done = match message.command() {
        wire::TCMU_CMD_ADDED_DEVICE => Done::Added,
        wire::TCMU_CMD_REMOVED_DEVICE => Done::Removed,
        wire::TCMU_CMD_RECONFIG_DEVICE => Done::Reconfigured,
        command => {
            debug!(command, "unknown netlink command");
            return Ok(None);
        }
    };
    let name = message.need(wire::TCMU_ATTR_DEVICE)?.to_text()?;
    let name: UioName = name.parse().map_err(|error| DecodeError::from(format!("{error}")))?;
    if !name.is_ours() {
        debug!(%name, "event of a device that is not ours");
        return Ok(None);
    }
    // From here on somebody may be waiting for us: whatever else is wrong, there is an answer.
    let device_id = message.need(wire::TCMU_ATTR_DEVICE_ID)?.to_u32()?;
    let reply = Reply::new(family.clone(), done, device_id);
    let id = LuId::new(message.need(wire::TCMU_ATTR_MINOR)?.to_u32()?);
    let kind = match done {
        Done::Added => EventKind::Added,
        Done::Removed => EventKind::Removed,
        Done::Reconfigured => {
            let Some(change) = change(&message)? else {
                warn!(lu = %id, "reconfiguration of an unknown kind refused");
                if let Err(error) = reply.send(Err(Errno::EOPNOTSUPP)) {
                    warn!(lu = %id, %error, "the refusal did not arrive");
                }
                return Ok(None);
            };
            EventKind::Reconfigured(change)
        }
    };
    Ok(Some(Event { kind, id, name, reply }))
}

/// The change a RECONFIG_DEVICE asks for: the kernel sends exactly one.
fn change(message: &Message) -> Result<Option<Change>, DecodeError> {
    for attribute in message.attributes() {
        return Ok(Some(match attribute.kind() {
            wire::TCMU_ATTR_DEV_CFG => {
                // Set with `echo`, it ends in the newline of that.
                Change::Config(attribute.to_text()?.trim_end_matches('\n').to_owned())
            }
            wire::TCMU_ATTR_DEV_SIZE => Change::Size(attribute.to_u64()?),
            wire::TCMU_ATTR_WRITECACHE => Change::WriteCache(attribute.to_u8()? != 0),
            wire::TCMU_ATTR_DEVICE | wire::TCMU_ATTR_MINOR | wire::TCMU_ATTR_DEVICE_ID => continue,
            kind => {
                debug!(kind, "unknown netlink attribute");
                continue;
            }
        }));
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::reply::tests::Recorder;
    use super::super::wire::Attribute;
    use super::*;

    const FAMILY: u16 = 0x1c;

    fn event(command: u8, name: &str, more: impl IntoIterator<Item = Attribute>) -> Vec<u8> {
        let mut attributes = vec![
            Attribute::string(wire::TCMU_ATTR_DEVICE, name),
            Attribute::u32(wire::TCMU_ATTR_MINOR, 3),
            Attribute::u32(wire::TCMU_ATTR_DEVICE_ID, 7),
        ];
        attributes.extend(more);
        wire::encode(FAMILY, 0, Message::new(command, 2, attributes))
    }

    fn read_event(bytes: &[u8]) -> (Arc<Recorder>, Result<Option<Event>, DecodeError>) {
        let family = Arc::new(Recorder::default());
        let event = read(bytes, FAMILY, &family);
        (family, event)
    }

    #[test]
    fn an_event_may_be_answered_on_another_thread() {
        let (family, event) = read_event(&event(2, OURS, []));
        let event = event.unwrap().unwrap();
        std::thread::spawn(move || event.reply(Ok(())).unwrap()).join().unwrap();
        assert_eq!(family.answers(), [(5, 0)]);
    }

    const OURS: &str = "tcm-user/0/a/pulsefield/ram/";

    #[test]
    #[cfg(target_endian = "little")]
    fn an_event_is_read_as_the_kernel_lays_it_out() {
        #[rustfmt::skip]
        let golden = [
            // nlmsghdr: length, family, flags, sequence, port
            0x54, 0, 0, 0,  0x1c, 0,  0, 0,  0, 0, 0, 0,  0, 0, 0, 0,
            // genlmsghdr: RECONFIG_DEVICE, version, reserved
            3, 2, 0, 0,
            // DEVICE, with its NUL and padding
            0x1f, 0, 1, 0,
            b't', b'c', b'm', b'-', b'u', b's', b'e', b'r', b'/', b'0', b'/', b'a', b'/',
            b'p', b'u', b'l', b's', b'e', b'f', b'i', b'e', b'l', b'd', b'/', b'x', b'/',
            0, 0,
            // MINOR
            8, 0, 2, 0,  3, 0, 0, 0,
            // DEVICE_ID
            8, 0, 8, 0,  7, 0, 0, 0,
            // PAD, which some machines need before 64 bits
            4, 0, 3, 0,
            // DEV_SIZE
            12, 0, 5, 0,  0, 0, 0, 0, 0x10, 0, 0, 0,
        ];
        let (family, event) = read_event(&golden);
        let event = event.unwrap().unwrap();
        assert_eq!(event.id(), LuId::new(3));
        assert_eq!(event.name().cfgstring(), Some("x/"));
        assert_eq!(*event.kind(), EventKind::Reconfigured(Change::Size(64 << 30)));
        event.reply(Ok(())).unwrap();
        assert_eq!(family.answers(), [(6, 0)]);
    }

    #[test]
    fn every_kind_is_told_apart() {
        let config = Attribute::string(wire::TCMU_ATTR_DEV_CFG, "pulsefield/file//x\n");
        let cache = |value| Attribute::u8(wire::TCMU_ATTR_WRITECACHE, value);
        let reconfigured = EventKind::Reconfigured;
        for (bytes, kind) in [
            (event(1, OURS, []), EventKind::Added),
            (event(2, OURS, []), EventKind::Removed),
            (
                event(3, OURS, [config]),
                reconfigured(Change::Config("pulsefield/file//x".to_owned())),
            ),
            (event(3, OURS, [cache(1)]), reconfigured(Change::WriteCache(true))),
            (event(3, OURS, [cache(0)]), reconfigured(Change::WriteCache(false))),
        ] {
            let (_, event) = read_event(&bytes);
            assert_eq!(*event.unwrap().unwrap().kind(), kind);
        }
    }

    #[test]
    fn nobody_elses_event_is_answered() {
        let other_family = wire::encode(FAMILY + 1, 0, Message::new(1, 2, vec![]));
        for bytes in [
            event(1, "tcm-user/0/a/rbd/pool/image", []),
            event(2, "tcm-user/0/a/pulsefields/ram/", []),
            event(3, "tcm-user/0/a", []),
            event(9, OURS, []),
            other_family,
        ] {
            let (family, event) = read_event(&bytes);
            assert!(event.unwrap().is_none());
            assert_eq!(family.answers(), []);
        }
    }

    #[test]
    fn a_change_nobody_knows_is_refused_and_not_left_waiting() {
        let (family, event) = read_event(&event(3, OURS, [Attribute::u32(99, 1)]));
        assert!(event.unwrap().is_none());
        assert_eq!(family.answers(), [(6, -libc::EOPNOTSUPP)]);
    }

    #[test]
    fn an_event_of_ours_that_makes_no_sense_is_answered_too() {
        let short = Attribute::u8(wire::TCMU_ATTR_DEV_SIZE, 1);
        let (family, event) = read_event(&event(3, OURS, [short]));
        assert!(event.is_err());
        assert_eq!(family.answers(), [(6, -libc::EIO)]);
    }

    #[test]
    fn an_event_without_its_device_is_malformed() {
        for (command, attributes) in [
            (1, vec![]),
            (1, vec![Attribute::string(wire::TCMU_ATTR_DEVICE, "uio_pci_generic")]),
            (2, vec![Attribute::string(wire::TCMU_ATTR_DEVICE, OURS)]),
        ] {
            let bytes = wire::encode(FAMILY, 0, Message::new(command, 2, attributes));
            let (family, event) = read_event(&bytes);
            assert!(event.is_err());
            assert_eq!(family.answers(), []);
        }
    }

    proptest! {
        #[test]
        fn a_damaged_event_is_ours_or_nothing(
            command in 1..4_u8, offset: prop::sample::Index, byte: u8, cut: prop::sample::Index,
        ) {
            let mut bytes = event(command, OURS, [Attribute::u8(wire::TCMU_ATTR_WRITECACHE, 1)]);
            let offset = offset.index(bytes.len());
            bytes[offset] = byte;
            bytes.truncate(cut.index(bytes.len()) + 1);
            if let (_, Ok(Some(event))) = read_event(&bytes) {
                prop_assert!(event.name().is_ours());
            }
        }
    }
}
