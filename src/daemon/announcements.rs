//! The kernel's announcements: the thread that reads generic netlink.

use std::os::fd::AsFd as _;
use std::{io, thread};

use crossbeam_channel::Sender;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use pulsefield_kernel::Netlink;

use crate::supervisor::News;

/// Passes every event about a unit of ours to the supervisor, until the process ends or nothing can
/// be heard any more.
///
/// # Errors
/// If there can be no more threads.
pub(crate) fn listen(mut netlink: Netlink, supervisor: Sender<News>) -> io::Result<()> {
    thread::Builder::new().name("netlink".into()).spawn(move || {
        loop {
            match netlink.recv() {
                Ok(Some(event)) => {
                    if supervisor.send(News::Kernel(event.into())).is_err() {
                        return;
                    }
                }
                Ok(None) => wait(&netlink),
                Err(error) => {
                    // The supervisor is gone only when the process ends.
                    let _ = supervisor.send(News::Deaf(error));
                    return;
                }
            }
        }
    })?;
    Ok(())
}

fn wait(netlink: &Netlink) {
    let mut descriptors = [PollFd::new(netlink.as_fd(), PollFlags::POLLIN)];
    if let Err(error) = poll(&mut descriptors, PollTimeout::NONE) {
        // Interrupted: look again.
        tracing::debug!(%error, "poll");
    }
}
