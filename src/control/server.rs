//! The daemon's end of the control socket.
//!
//! One thread serves every client, a request a connection, without ever waiting for any of them: a
//! client that says nothing, or does not read its answer, holds up nobody. Only root can connect
//! (mode 0600), yet a line is bounded, and so is the number of clients.

mod conversation;
mod endpoint;

use std::collections::BTreeMap;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::{self, JoinHandle};

use mio::{Events, Interest, Poll, Token, Waker};
use thiserror::Error;

use crate::ControlPlane;
use conversation::{Conversation, Turn};
use endpoint::Endpoint;

/// How many clients are listened to at once. One more, and the oldest is dropped: who has been
/// connected for longest without finishing one request has the least claim.
const MAX_CLIENTS: usize = 32;

const LISTENER: Token = Token(usize::MAX);
const STOP: Token = Token(usize::MAX - 1);

/// The control socket, served until this is dropped.
#[derive(Debug)]
pub struct Server {
    stop: Waker,
    thread: Option<JoinHandle<()>>,
}

/// Why the control socket cannot be served.
#[derive(Debug, Error)]
pub enum ServeError {
    /// A living daemon has it.
    #[error("another daemon serves {path}", path = path.display())]
    AlreadyServed {
        /// The control socket.
        path: PathBuf,
    },
    /// Something is there that this daemon has not put there.
    #[error("{path} exists and is not a socket", path = path.display())]
    NotASocket {
        /// The control socket, or what should be it.
        path: PathBuf,
    },
    /// The operating system refused something.
    #[error("cannot {action} {path}", path = path.display())]
    Io {
        /// What was tried, as a verb.
        action: &'static str,
        /// On which file.
        path: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
}

impl Server {
    /// Serves `plane` at `path`, replacing a socket that a dead daemon left there.
    ///
    /// # Errors
    /// If a living daemon serves that path, or it cannot be made.
    pub fn start(path: &Path, plane: Arc<dyn ControlPlane>) -> Result<Self, ServeError> {
        let mut endpoint = Endpoint::open(path)?;
        let io_error = |action| {
            let path = path.to_owned();
            move |source| ServeError::Io { action, path, source }
        };
        let poll = Poll::new().map_err(io_error("wait for clients of"))?;
        poll.registry()
            .register(endpoint.listener(), LISTENER, Interest::READABLE)
            .map_err(io_error("listen at"))?;
        let stop = Waker::new(poll.registry(), STOP).map_err(io_error("wait for clients of"))?;
        let clients = Clients { poll, endpoint, plane, conversations: BTreeMap::new(), next: 0 };
        let thread = thread::Builder::new()
            .name("control".to_owned())
            .spawn(move || clients.serve())
            .map_err(io_error("start a thread for"))?;
        Ok(Self { stop, thread: Some(thread) })
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Err(error) = self.stop.wake() {
            // Without the wake-up the thread would be waited for in vain.
            tracing::error!(%error, "the control socket cannot be told to stop");
            return;
        }
        if self.thread.take().is_some_and(|thread| thread.join().is_err()) {
            tracing::error!("the control socket's thread has panicked");
        }
    }
}

/// Everything the thread owns.
struct Clients {
    poll: Poll,
    endpoint: Endpoint,
    plane: Arc<dyn ControlPlane>,
    /// By number, which is also the token, so in the order they came.
    conversations: BTreeMap<usize, Conversation>,
    next: usize,
}

impl Clients {
    fn serve(mut self) {
        let mut events = Events::with_capacity(MAX_CLIENTS + 2);
        loop {
            match self.poll.poll(&mut events, None) {
                Ok(()) => {}
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => {
                    tracing::error!(%error, "the control socket is no longer served");
                    return;
                }
            }
            for event in &events {
                match event.token() {
                    STOP => return,
                    LISTENER => self.admit(),
                    Token(number) => self.turn(number),
                }
            }
        }
    }

    /// Takes in everybody who knocks: readiness is told only once.
    fn admit(&mut self) {
        loop {
            match self.endpoint.listener().accept() {
                Ok((stream, _)) => self.begin(stream),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => {
                    tracing::warn!(%error, "a client of the control socket was turned away");
                    return;
                }
            }
        }
    }

    fn begin(&mut self, mut stream: mio::net::UnixStream) {
        if self.conversations.len() == MAX_CLIENTS {
            self.conversations.pop_first();
        }
        let number = self.next;
        self.next += 1;
        let interest = Interest::READABLE | Interest::WRITABLE;
        match self.poll.registry().register(&mut stream, Token(number), interest) {
            Ok(()) => {
                self.conversations.insert(number, Conversation::new(stream));
            }
            Err(error) => {
                tracing::warn!(%error, "a client of the control socket was turned away");
            }
        }
    }

    fn turn(&mut self, number: usize) {
        // An event may still be on its way for a conversation that is over.
        let Some(conversation) = self.conversations.get_mut(&number) else {
            return;
        };
        // Unwind safety: a conversation that panicked is over, and a plane keeps its own state whole.
        let turn = catch_unwind(AssertUnwindSafe(|| conversation.turn(self.plane.as_ref())));
        match turn {
            Ok(Turn::Waiting) => {}
            Ok(Turn::Over) => {
                self.conversations.remove(&number);
            }
            Err(_) => {
                tracing::error!("a question at the control socket ended in a panic");
                self.conversations.remove(&number);
            }
        }
    }
}

#[cfg(test)]
mod tests;
