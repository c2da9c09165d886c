//! The door where Prometheus asks: HTTP/1.1 on one address, `GET /metrics` and nothing else.
//!
//! A request is bounded in bytes and a conversation in time, and so is the number of clients. No client can have the page made more often than four times a second: it is made of
//! what the threads of the logical units tell, which have better things to do.

mod reply;

use std::io;
use std::net::SocketAddr;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::{Duration, Instant};

use mio::event::Source;
use mio::net::{TcpListener, TcpStream};
use pulsefield_clients::{Service, StartError, Terms};
use thiserror::Error;

use reply::Reply;

/// How many clients are listened to at once.
const CLIENTS_MAX: usize = 16;

/// The most bytes that a client may send after its request.
const IDLE_TALK_BYTES_MAX: usize = 64 << 10;

/// How long a conversation may take, from connecting to having read the answer. Prometheus gives up
/// after ten seconds unless it is told otherwise.
const PATIENCE: Duration = Duration::from_secs(10);

/// For how long a page is good for others who ask.
const PAGE_GOOD_FOR: Duration = Duration::from_millis(250);

/// What makes the page; called from the thread of the server, and asked for a whole page each time.
pub(crate) type MakePage = Box<dyn Fn() -> String + Send>;

/// Metrics, served until this is dropped.
#[derive(Debug)]
pub struct Server {
    address: SocketAddr,
    /// Held as long as the page is served.
    _clients: pulsefield_clients::Server,
}

/// Why metrics cannot be served.
#[derive(Debug, Error)]
#[error("cannot {action} {address}")]
pub struct ListenError {
    /// What was tried, as a verb.
    action: &'static str,
    /// Where.
    address: SocketAddr,
    /// What the operating system said.
    source: io::Error,
}

impl Server {
    /// Serves what `make_page` makes at `address`; with port 0, at a free one.
    ///
    /// # Errors
    /// If the address is not this machine's, or is in use.
    pub fn start(
        address: SocketAddr,
        make_page: impl Fn() -> String + Send + 'static,
    ) -> Result<Self, ListenError> {
        let refused = |action| move |source| ListenError { action, address, source };
        let listener = TcpListener::bind(address).map_err(refused("listen at"))?;
        let bound = listener.local_addr().map_err(refused("listen at"))?;
        let page = FreshPage { make: Box::new(make_page), made: None };
        let terms = Terms {
            name: "metrics",
            clients_max: CLIENTS_MAX,
            patience: Some(PATIENCE),
            idle_talk_bytes_max: IDLE_TALK_BYTES_MAX,
        };
        let clients = pulsefield_clients::Server::start(terms, Door { listener, page })
            .map_err(|StartError { action, source }| refused(action)(source))?;
        Ok(Self { address: bound, _clients: clients })
    }

    /// Where it listens.
    pub const fn address(&self) -> SocketAddr {
        self.address
    }
}

/// The page, made anew when the last one is too old.
struct FreshPage {
    make: MakePage,
    made: Option<(Instant, Arc<str>)>,
}

impl FreshPage {
    /// The page; `None` if whoever makes it has panicked.
    fn get(&mut self, now: Instant) -> Option<Arc<str>> {
        if let Some((made, page)) = &self.made
            && now.duration_since(*made) < PAGE_GOOD_FOR
        {
            return Some(page.clone());
        }
        // Unwind safety: a page is made from nothing, and a panic leaves none.
        let page: Arc<str> = catch_unwind(AssertUnwindSafe(|| (self.make)())).ok()?.into();
        self.made = Some((now, page.clone()));
        Some(page)
    }
}

/// What answers where Prometheus asks.
struct Door {
    listener: TcpListener,
    page: FreshPage,
}

impl Service for Door {
    type Stream = TcpStream;

    fn listener(&mut self) -> &mut dyn Source {
        &mut self.listener
    }

    fn accept(&mut self) -> io::Result<TcpStream> {
        self.listener.accept().map(|(stream, _)| stream)
    }

    fn answer(&mut self, said: &[u8]) -> Option<Vec<u8>> {
        Reply::to(said).map(|reply| reply.with(|| self.page.get(Instant::now())))
    }
}

#[cfg(test)]
mod tests;
