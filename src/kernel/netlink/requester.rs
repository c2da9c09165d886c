//! A socket for requests that the kernel acknowledges.

use std::io;
use std::sync::{Mutex, PoisonError};

use netlink_packet_core::{DecodeError, NetlinkPayload};
use netlink_packet_generic::constants::{
    CTRL_ATTR_FAMILY_ID, CTRL_ATTR_FAMILY_NAME, CTRL_ATTR_MCAST_GROUPS, CTRL_ATTR_MCAST_GRP_ID,
    CTRL_ATTR_MCAST_GRP_NAME, CTRL_CMD_GETFAMILY, GENL_ID_CTRL,
};
use netlink_sys::{Socket, SocketAddr, protocols::NETLINK_GENERIC};
use nix::errno::Errno;

use super::wire::{self, Attribute, Message};
use super::{DATAGRAM, NetlinkError};

/// The version of `nlctrl`, the family that lists families.
const CONTROL_VERSION: u8 = 2;

/// The port of the kernel.
const KERNEL: u32 = 0;

/// Sends requests, one at a time, from any thread.
#[derive(Debug)]
pub(super) struct Requester {
    socket: Socket,
    sequence: Mutex<u32>,
}

/// What `nlctrl` says of a family.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Family {
    pub(super) id: u16,
    groups: Vec<(String, u32)>,
}

impl Family {
    /// The number of a multicast group.
    pub(super) fn group(&self, name: &str) -> Option<u32> {
        self.groups.iter().find(|(group, _)| group == name).map(|(_, id)| *id)
    }
}

impl Requester {
    pub(super) fn connect() -> Result<Self, NetlinkError> {
        let failed = |action| move |source| NetlinkError::Socket { action, source };
        let mut socket = Socket::new(NETLINK_GENERIC).map_err(failed("open"))?;
        socket.bind(&SocketAddr::new(0, 0)).map_err(failed("bind"))?;
        Ok(Self { socket, sequence: Mutex::new(0) })
    }

    /// Looks up a family; `None` if the kernel has no such.
    pub(super) fn resolve(&self, family: &str) -> Result<Option<Family>, NetlinkError> {
        const REQUEST: &str = "CTRL_CMD_GETFAMILY";
        let name = Attribute::string(CTRL_ATTR_FAMILY_NAME, family);
        let message = Message::new(CTRL_CMD_GETFAMILY, CONTROL_VERSION, vec![name]);
        match self.request(REQUEST, GENL_ID_CTRL, message) {
            Ok(Some(answer)) => describe(&answer)
                .map(Some)
                .map_err(|source| NetlinkError::Answer { request: REQUEST, source }),
            Ok(None) => {
                Err(NetlinkError::Answer { request: REQUEST, source: "it is empty".into() })
            }
            Err(NetlinkError::Refused { source: Errno::ENOENT, .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Sends a request and returns the message the kernel answered with, if it did before it
    /// acknowledged.
    ///
    /// Never blocks: the kernel handles a generic netlink request inside sendto(2), so all there
    /// will ever be of an answer is there when that returns.
    pub(super) fn request(
        &self,
        request: &'static str,
        family: u16,
        message: Message,
    ) -> Result<Option<Message>, NetlinkError> {
        let failed = |action| move |source| NetlinkError::Socket { action, source };
        let confused = |source| NetlinkError::Answer { request, source };
        // Whoever panicked with the lock left at worst an answer unread, which is skipped below.
        let mut sequence = self.sequence.lock().unwrap_or_else(PoisonError::into_inner);
        *sequence = sequence.wrapping_add(1);
        let bytes = wire::encode(family, *sequence, message);
        self.socket.send_to(&bytes, &SocketAddr::new(KERNEL, 0), 0).map_err(failed("send to"))?;

        let mut answer = None;
        let mut buffer = Vec::with_capacity(DATAGRAM);
        loop {
            buffer.clear();
            let (_, sender) = match self.socket.recv_from(&mut buffer, libc::MSG_DONTWAIT) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    return Err(confused(DecodeError::from("there is none")));
                }
                received => received.map_err(failed("receive from"))?,
            };
            if sender.port_number() != KERNEL {
                continue;
            }
            let datagram = wire::decode(&buffer).map_err(confused)?;
            if datagram.header.sequence_number != *sequence {
                continue;
            }
            match datagram.payload {
                NetlinkPayload::InnerMessage(message) => answer = Some(message.payload),
                NetlinkPayload::Error(error) => {
                    return match error.raw_code() {
                        0 => Ok(answer),
                        code => Err(NetlinkError::Refused {
                            request,
                            source: Errno::from_raw(code.saturating_neg()),
                        }),
                    };
                }
                NetlinkPayload::Done(_) | NetlinkPayload::Noop | NetlinkPayload::Overrun(_) | _ => {
                    return Err(confused(DecodeError::from("it is no acknowledgement")));
                }
            }
        }
    }
}

fn describe(answer: &Message) -> Result<Family, DecodeError> {
    let mut groups = Vec::new();
    if let Some(list) = answer.find(CTRL_ATTR_MCAST_GROUPS) {
        for group in list.nested()? {
            let group = Message::new(0, 0, group.nested()?);
            groups.push((
                group.need(CTRL_ATTR_MCAST_GRP_NAME)?.to_text()?,
                group.need(CTRL_ATTR_MCAST_GRP_ID)?.to_u32()?,
            ));
        }
    }
    Ok(Family { id: answer.need(CTRL_ATTR_FAMILY_ID)?.to_u16()?, groups })
}

#[cfg(test)]
mod tests {
    use super::*;

    // Every Linux has the family `nlctrl`, and anybody may ask it: the same path that resolves
    // TCM-USER, against a real kernel.

    #[test]
    fn a_family_is_resolved_by_the_running_kernel() {
        let requester = Requester::connect().unwrap();
        let control = requester.resolve("nlctrl").unwrap().unwrap();
        assert_eq!(control.id, GENL_ID_CTRL);
        assert!(control.group("notify").is_some());
        assert_eq!(control.group("config"), None);
        assert_eq!(requester.resolve("NO-SUCH-FAMILY").unwrap(), None);
    }

    #[test]
    fn a_refusal_says_what_was_refused() {
        let requester = Requester::connect().unwrap();
        let error = requester
            .request("NONSENSE", GENL_ID_CTRL, Message::new(200, CONTROL_VERSION, vec![]))
            .unwrap_err();
        assert!(matches!(
            error,
            NetlinkError::Refused { request: "NONSENSE", source: Errno::EOPNOTSUPP }
        ));
        // The next request is not confused by it.
        assert!(requester.resolve("nlctrl").unwrap().is_some());
    }
}
