//! The daemon's end of the control socket.
//!
//! A request a connection. Only root can connect (mode 0600), yet a line is bounded, and so is the number of
//! clients.

mod answer;
mod endpoint;

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use mio::event::Source;
use mio::net::UnixStream;
use pulsefield_clients::{Service, StartError, Terms};
use thiserror::Error;

use crate::ControlPlane;
use endpoint::Endpoint;

/// How many clients are listened to at once.
const MAX_CLIENTS: usize = 32;

/// The control socket, served until this is dropped.
#[derive(Debug)]
pub struct Server {
    /// Held as long as it is served.
    _clients: pulsefield_clients::Server,
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
        let endpoint = Endpoint::open(path)?;
        let terms = Terms {
            name: "control",
            clients_max: MAX_CLIENTS,
            patience: None,
            idle_talk_bytes_max: 0,
        };
        let clients = pulsefield_clients::Server::start(terms, Answering { endpoint, plane });
        clients.map(|_clients| Self { _clients }).map_err(|StartError { action, source }| {
            let path = path.to_owned();
            ServeError::Io { action, path, source }
        })
    }
}

/// What answers at the control socket.
struct Answering {
    endpoint: Endpoint,
    plane: Arc<dyn ControlPlane>,
}

impl Service for Answering {
    type Stream = UnixStream;

    fn listener(&mut self) -> &mut dyn Source {
        self.endpoint.listener()
    }

    fn accept(&mut self) -> io::Result<UnixStream> {
        self.endpoint.listener().accept().map(|(stream, _)| stream)
    }

    fn answer(&mut self, said: &[u8]) -> Option<Vec<u8>> {
        answer::answer(self.plane.as_ref(), said)
    }
}

#[cfg(test)]
mod tests;
