//! Clients of a socket, each with one question: what the control socket and the door of metrics have in common.
//!
//! Floor 1: mio. One thread serves every client without ever waiting for any of them: who sends slowly, or
//! does not read, holds up nobody. What a question is and how it is answered is the [`Service`]'s; what of it
//! is bounded, and how, are its [`Terms`].

mod conversation;
mod server;

use std::io::{self, Read, Write};
use std::net::Shutdown;
use std::time::Duration;

use mio::event::Source;
use mio::net::{TcpStream, UnixStream};

pub use server::{Server, StartError};

/// Whom clients ask. Everything here is called from the server's thread.
pub trait Service: Send + 'static {
    /// A connection to one client.
    type Stream: Stream;

    /// What becomes readable when somebody knocks.
    fn listener(&mut self) -> &mut dyn Source;

    /// Takes in one who has knocked.
    ///
    /// # Errors
    /// As `accept`: WOULDBLOCK if nobody is there.
    fn accept(&mut self) -> io::Result<Self::Stream>;

    /// The answer to what a client has said so far; `None` if that is not all yet. It must answer what has
    /// become too long. If this panics, the client is dropped, and the others are served on.
    fn answer(&mut self, said: &[u8]) -> Option<Vec<u8>>;
}

/// What clients may expect, and what not.
#[derive(Clone, Copy, Debug)]
pub struct Terms {
    /// What the thread is called, and who speaks in the log.
    pub name: &'static str,
    /// How many clients are listened to at once. One more, and the oldest is dropped: who has been
    /// connected for longest without getting an answer has the least claim.
    pub clients_max: usize,
    /// How long a conversation may take, from connecting to having read the answer.
    pub patience: Option<Duration>,
    /// So many bytes that a client says after its question are read and dropped: closing a connection with
    /// unread bytes may reset it, and the answer could be lost with that.
    pub idle_talk_bytes_max: usize,
}

/// A connection that does not block.
pub trait Stream: Source + Read + Write + Send {
    /// Says that nothing more will come.
    ///
    /// # Errors
    /// If the client is gone.
    fn end(&self) -> io::Result<()>;
}

impl Stream for TcpStream {
    fn end(&self) -> io::Result<()> {
        self.shutdown(Shutdown::Write)
    }
}

impl Stream for UnixStream {
    fn end(&self) -> io::Result<()> {
        self.shutdown(Shutdown::Write)
    }
}
