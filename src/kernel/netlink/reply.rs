//! Answers the kernel waits for.

use std::error::Error;
use std::fmt;
use std::sync::Arc;

use nix::errno::Errno;
use tracing::{debug, warn};

use super::requester::Requester;
use super::wire::{self, Attribute, Message};
use super::{NetlinkError, VERSION};

/// Which kind of event an answer belongs to. An answer of another kind is refused by the kernel,
/// and whoever waits for the right one then waits for ever.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Done {
    /// TCMU_CMD_ADDED_DEVICE_DONE
    Added,
    /// TCMU_CMD_REMOVED_DEVICE_DONE
    Removed,
    /// TCMU_CMD_RECONFIG_DEVICE_DONE
    Reconfigured,
}

impl Done {
    fn command(self) -> u8 {
        match self {
            Self::Added => wire::TCMU_CMD_ADDED_DEVICE_DONE,
            Self::Removed => wire::TCMU_CMD_REMOVED_DEVICE_DONE,
            Self::Reconfigured => wire::TCMU_CMD_RECONFIG_DEVICE_DONE,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Added => "TCMU_CMD_ADDED_DEVICE_DONE",
            Self::Removed => "TCMU_CMD_REMOVED_DEVICE_DONE",
            Self::Reconfigured => "TCMU_CMD_RECONFIG_DEVICE_DONE",
        }
    }
}

/// Where messages to the family go.
pub(super) trait Family: Send + Sync {
    /// Sends a message, which the kernel calls `request`, and has it acknowledged.
    fn send(&self, request: &'static str, message: Message) -> Result<(), NetlinkError>;
}

/// The family as the kernel registered it.
#[derive(Debug)]
pub(super) struct RegisteredFamily {
    pub(super) requester: Requester,
    pub(super) id: u16,
}

impl Family for RegisteredFamily {
    fn send(&self, request: &'static str, message: Message) -> Result<(), NetlinkError> {
        self.requester.request(request, self.id, message).map(drop)
    }
}

/// An answer that has to be given, exactly once: a second one could meet the next event of the same
/// device.
pub(super) struct Reply {
    family: Arc<dyn Family>,
    done: Done,
    device_id: u32,
    sent: bool,
}

impl Reply {
    /// The answer to an event of this kind about the device with LIO's number `device_id`.
    pub(super) fn new(family: Arc<dyn Family>, done: Done, device_id: u32) -> Self {
        Self { family, done, device_id, sent: false }
    }

    /// Gives the answer. That nobody waits for it is no error.
    pub(super) fn send(mut self, result: Result<(), Errno>) -> Result<(), NetlinkError> {
        self.send_once(result)
    }

    fn send_once(&mut self, result: Result<(), Errno>) -> Result<(), NetlinkError> {
        self.sent = true;
        let status = result.map_or_else(|errno| -(errno as i32), |()| 0);
        let message = Message::new(
            self.done.command(),
            VERSION,
            vec![
                Attribute::i32(wire::TCMU_ATTR_CMD_STATUS, status),
                Attribute::u32(wire::TCMU_ATTR_DEVICE_ID, self.device_id),
            ],
        );
        match self.family.send(self.done.name(), message) {
            Err(NetlinkError::Refused { source: Errno::ENODEV, request }) => {
                debug!(device_id = self.device_id, request, "nobody waits for an answer");
                Ok(())
            }
            sent => sent,
        }
    }
}

impl fmt::Debug for Reply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} for device {}", self.done.name(), self.device_id)
    }
}

impl Drop for Reply {
    fn drop(&mut self) {
        if self.sent {
            return;
        }
        warn!(device_id = self.device_id, "an event was dropped unanswered; answering EIO");
        if let Err(error) = self.send_once(Err(Errno::EIO)) {
            warn!(
                device_id = self.device_id,
                error = &error as &dyn Error,
                "an event stays unanswered"
            );
        }
    }
}

#[cfg(test)]
pub(super) mod tests {
    use std::sync::Mutex;

    use super::*;

    /// A family that remembers what it was sent, and refuses it if told to.
    #[derive(Default)]
    pub(crate) struct Recorder {
        sent: Mutex<Vec<Message>>,
        refusal: Option<Errno>,
    }

    impl Recorder {
        /// Command and status of each message, all for device 7.
        pub(crate) fn answers(&self) -> Vec<(u8, i32)> {
            let sent = self.sent.lock().unwrap();
            sent.iter()
                .map(|message| {
                    let number = |kind| message.need(kind).unwrap().to_u32().unwrap();
                    assert_eq!(number(wire::TCMU_ATTR_DEVICE_ID), 7);
                    (message.command(), number(wire::TCMU_ATTR_CMD_STATUS).cast_signed())
                })
                .collect()
        }
    }

    impl Family for Recorder {
        fn send(&self, request: &'static str, message: Message) -> Result<(), NetlinkError> {
            self.sent.lock().unwrap().push(message);
            self.refusal.map_or(Ok(()), |source| Err(NetlinkError::Refused { request, source }))
        }
    }

    #[test]
    fn an_answer_matches_its_event_and_is_given_once() {
        for (done, command) in [(Done::Added, 4), (Done::Removed, 5), (Done::Reconfigured, 6)] {
            let family = Arc::new(Recorder::default());
            Reply::new(family.clone(), done, 7).send(Ok(())).unwrap();
            Reply::new(family.clone(), done, 7).send(Err(Errno::EINVAL)).unwrap();
            assert_eq!(family.answers(), [(command, 0), (command, -libc::EINVAL)]);
        }
    }

    #[test]
    fn an_answer_forgotten_is_an_error() {
        let family = Arc::new(Recorder::default());
        drop(Reply::new(family.clone(), Done::Added, 7));
        assert_eq!(family.answers(), [(4, -libc::EIO)]);
    }

    #[test]
    fn an_answer_nobody_waits_for_is_no_error() {
        let unwanted = Recorder { refusal: Some(Errno::ENODEV), ..Recorder::default() };
        Reply::new(Arc::new(unwanted), Done::Added, 7).send(Ok(())).unwrap();
        let forbidden = Recorder { refusal: Some(Errno::EPERM), ..Recorder::default() };
        let error = Reply::new(Arc::new(forbidden), Done::Added, 7).send(Ok(())).unwrap_err();
        assert_eq!(error.to_string(), "the kernel refused TCMU_CMD_ADDED_DEVICE_DONE");
    }
}
