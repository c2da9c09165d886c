//! The generic netlink family `TCM-USER`: the kernel announces, changes and removes devices, and
//! waits for the answer.
//!
//! Two sockets. One is in the multicast group `config` and only receives ([`Netlink`]). The other
//! sends requests and answers and reads what the kernel says to them (`Requester`); it is shared by
//! all events, so an event can be answered from any thread.
//!
//! An unanswered event leaves whoever made it, such as targetcli, in an uninterruptible sleep
//! without end, and an event answered for another daemon's device makes its creation fail. Both are
//! excluded by type: only a device of ours becomes an [`Event`], and an event answers itself when
//! it is dropped.
//!
//! Messages are coded in `wire`, with the `netlink-packet-*` crates; their meaning is in `event`, and
//! the duty to answer in `reply`.

mod event;
mod reply;
mod requester;
mod wire;

use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Arc;

use netlink_packet_core::DecodeError;
use netlink_sys::{Socket, SocketAddr, protocols::NETLINK_GENERIC};
use nix::errno::Errno;
use nix::sys::socket::{setsockopt, sockopt};
use thiserror::Error;
use tracing::{debug, warn};

pub use self::event::{Change, Event, EventKind};
use self::reply::{Family, RegisteredFamily};
use self::requester::Requester;
use self::wire::{Attribute, Message};

/// The family of `target_core_user` (`TCMU_GENL...` in `linux/target_core_user.h`).
const FAMILY: &str = "TCM-USER";
/// Version of the family that knows answers.
const VERSION: u8 = 2;
/// Its only multicast group.
const GROUP: &str = "config";

/// Room for events that are not read yet, in bytes: some thousand. A restored configuration sends
/// several for each device, and faster than they can be answered.
const RECEIVE_BUFFER: usize = 4 << 20;

/// Room for one datagram, in bytes. The kernel builds events in one page (`NLMSG_GOODSIZE`), and
/// the description of a family in little more.
const DATAGRAM: usize = 32 << 10;

/// Why talking to the family failed.
#[derive(Debug, Error)]
pub enum NetlinkError {
    /// The kernel has no such family: `target_core_user` is not loaded.
    #[error("generic netlink has no family {FAMILY}: target_core_user is not loaded")]
    FamilyMissing,
    /// The family has no such group: it is not the one we know.
    #[error("the generic netlink family {FAMILY} has no multicast group {GROUP}")]
    GroupMissing,
    /// A system call on a socket failed.
    #[error("{action} a netlink socket")]
    Socket {
        /// What was tried.
        action: &'static str,
        /// What the operating system said.
        source: io::Error,
    },
    /// The kernel refused a request.
    #[error("the kernel refused {request}")]
    Refused {
        /// Which request, by the kernel's name.
        request: &'static str,
        /// Why.
        source: Errno,
    },
    /// The kernel answered a request with nonsense, or not at all.
    #[error("the kernel's answer to {request} makes no sense")]
    Answer {
        /// Which request, by the kernel's name.
        request: &'static str,
        /// What is wrong with it.
        source: DecodeError,
    },
}

/// A member of the group `config`. Poll it for reading ([`AsFd`]), then call [`Netlink::recv`]
/// until it has nothing more.
#[derive(Debug)]
pub struct Netlink {
    socket: Socket,
    family: Arc<RegisteredFamily>,
    buffer: Vec<u8>,
    malformed: u64,
}

impl Netlink {
    /// Joins the group. Events are received from here on, but the kernel does not wait for answers
    /// before somebody called [`Netlink::enable_replies`].
    ///
    /// # Errors
    /// [`NetlinkError::FamilyMissing`] if the module is not loaded.
    pub fn join() -> Result<Self, NetlinkError> {
        let failed = |action| move |source| NetlinkError::Socket { action, source };
        let requester = Requester::connect()?;
        let family = requester.resolve(FAMILY)?.ok_or(NetlinkError::FamilyMissing)?;
        let group = family.group(GROUP).ok_or(NetlinkError::GroupMissing)?;

        let mut socket = Socket::new(NETLINK_GENERIC).map_err(failed("open"))?;
        socket.bind(&SocketAddr::new(0, 0)).map_err(failed("bind"))?;
        enlarge(&socket).map_err(|errno| failed("enlarge the buffer of")(errno.into()))?;
        // The first event that finds no room would otherwise make the socket deaf until it was
        // drained, and fail a recv(2) here, where nothing can be done about it.
        socket.set_no_enobufs(true).map_err(failed("ignore lost events on"))?;
        socket.add_membership(group).map_err(failed("join a group with"))?;
        Ok(Self {
            socket,
            family: Arc::new(RegisteredFamily { requester, id: family.id }),
            buffer: Vec::with_capacity(DATAGRAM),
            malformed: 0,
        })
    }

    /// Has the kernel wait for the answer to each event, of every device enabled from now on that
    /// does not say otherwise (`nl_reply_supported`).
    ///
    /// The switch is the module's, not ours: it also concerns the devices of other daemons, and it
    /// stays on when this process ends. Beside a running tcmu-runner leave it alone.
    ///
    /// # Errors
    /// [`NetlinkError::Refused`] without `CAP_NET_ADMIN` in the first user namespace.
    pub fn enable_replies(&self) -> Result<(), NetlinkError> {
        // An event that finds no room must not just vanish when its creator waits for our answer.
        // With this the multicast itself fails, and the creator gets ENOBUFS.
        self.socket.set_broadcast_error(true).map_err(|source| NetlinkError::Socket {
            action: "report lost events to the sender of",
            source,
        })?;
        let feature = Attribute::u8(wire::TCMU_ATTR_SUPP_KERN_CMD_REPLY, 1);
        let message = Message::new(wire::TCMU_CMD_SET_FEATURES, VERSION, vec![feature]);
        self.family.send("TCMU_CMD_SET_FEATURES", message)
    }

    /// The next event about a device of ours, or `None` if there is none now. Never blocks.
    ///
    /// Events of foreign devices, unknown commands and malformed messages are logged and skipped.
    ///
    /// # Errors
    /// [`NetlinkError::Socket`] if the socket fails.
    pub fn recv(&mut self) -> Result<Option<Event>, NetlinkError> {
        loop {
            self.buffer.clear();
            let flags = libc::MSG_DONTWAIT | libc::MSG_TRUNC;
            let (length, sender) = match self.socket.recv_from(&mut self.buffer, flags) {
                Ok(received) => received,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(None),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(source) => {
                    return Err(NetlinkError::Socket { action: "receive from", source });
                }
            };
            if sender.port_number() != 0 {
                debug!(port = sender.port_number(), "netlink message that is not the kernel's");
                continue;
            }
            if length > self.buffer.len() {
                self.malformed += 1;
                warn!(length, "netlink message cut short");
                continue;
            }
            match event::read(&self.buffer, self.family.id, &self.family) {
                Ok(Some(event)) => return Ok(Some(event)),
                Ok(None) => {}
                Err(error) => {
                    self.malformed += 1;
                    warn!(%error, "malformed netlink message");
                }
            }
        }
    }

    /// How many messages so far made no sense.
    pub fn malformed(&self) -> u64 {
        self.malformed
    }
}

impl AsFd for Netlink {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

/// A large receive buffer: beyond the system's limit if we may, else up to it.
fn enlarge(socket: &Socket) -> Result<(), Errno> {
    setsockopt(socket, sockopt::RcvBufForce, &RECEIVE_BUFFER)
        .or_else(|_| setsockopt(socket, sockopt::RcvBuf, &RECEIVE_BUFFER))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Module, Roots};

    #[test]
    fn the_group_can_be_joined_exactly_when_the_module_is_there() {
        match Netlink::join() {
            Ok(mut netlink) => {
                assert!(Module::new(&Roots::default()).is_loaded());
                assert_eq!(netlink.malformed(), 0);
                netlink.recv().unwrap();
            }
            Err(error) => {
                assert!(matches!(error, NetlinkError::FamilyMissing), "{error}");
                assert!(!Module::new(&Roots::default()).is_loaded());
            }
        }
    }

    #[test]
    fn the_receive_buffer_is_as_large_as_the_system_allows() {
        let socket = Socket::new(NETLINK_GENERIC).unwrap();
        let before = socket.get_rx_buf_sz().unwrap();
        enlarge(&socket).unwrap();
        assert!(socket.get_rx_buf_sz().unwrap() > before);
    }
}
