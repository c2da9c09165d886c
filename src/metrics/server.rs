//! The door where Prometheus asks: HTTP/1.1 on one address, `GET /metrics` and nothing else.
//!
//! One thread serves every client without ever waiting for any of them: who sends slowly, or does not
//! read, holds up nobody. A request is bounded in bytes and a conversation in time, and so is the number
//! of clients. No client can have the page made more often than four times a second: it is made of
//! what the threads of the logical units tell, which have better things to do.

mod conversation;

use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use mio::net::{TcpListener, TcpStream};
use mio::{Events, Interest, Poll, Token, Waker};
use thiserror::Error;

use conversation::{Conversation, Turn};

/// How many clients are listened to at once. One more, and the oldest is dropped: who has been
/// connected for longest without getting an answer has the least claim.
const CLIENTS_MAX: usize = 16;

/// How long a conversation may take, from connecting to having read the answer. Prometheus gives up
/// after ten seconds unless it is told otherwise.
const PATIENCE: Duration = Duration::from_secs(10);

/// For how long a page is good for others who ask.
const PAGE_GOOD_FOR: Duration = Duration::from_millis(250);

const LISTENER: Token = Token(usize::MAX);
const STOP: Token = Token(usize::MAX - 1);

/// What makes the page; called from the thread of the server, and asked for a whole page each time.
pub(crate) type MakePage = Box<dyn Fn() -> String + Send>;

/// Metrics, served until this is dropped.
#[derive(Debug)]
pub struct Server {
    address: SocketAddr,
    stop: Waker,
    thread: Option<JoinHandle<()>>,
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
        let mut listener = TcpListener::bind(address).map_err(refused("listen at"))?;
        let bound = listener.local_addr().map_err(refused("listen at"))?;
        let poll = Poll::new().map_err(refused("wait for clients of"))?;
        poll.registry()
            .register(&mut listener, LISTENER, Interest::READABLE)
            .map_err(refused("wait for clients of"))?;
        let stop = Waker::new(poll.registry(), STOP).map_err(refused("wait for clients of"))?;
        let page = FreshPage { make: Box::new(make_page), made: None };
        let clients = Clients { poll, listener, page, conversations: BTreeMap::new(), next: 0 };
        let thread = thread::Builder::new()
            .name("metrics".to_owned())
            .spawn(move || clients.serve())
            .map_err(refused("start a thread for"))?;
        Ok(Self { address: bound, stop, thread: Some(thread) })
    }

    /// Where it listens.
    pub const fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Err(error) = self.stop.wake() {
            // Without the wake-up the thread would be waited for in vain.
            tracing::error!(%error, "the thread for metrics cannot be told to stop");
            return;
        }
        if self.thread.take().is_some_and(|thread| thread.join().is_err()) {
            tracing::error!("the thread for metrics has panicked");
        }
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

/// Everything the thread owns.
struct Clients {
    poll: Poll,
    listener: TcpListener,
    page: FreshPage,
    /// By number, which is also the token, so in the order they came and in that of their deadlines.
    conversations: BTreeMap<usize, (Instant, Conversation)>,
    next: usize,
}

impl Clients {
    fn serve(mut self) {
        let mut events = Events::with_capacity(CLIENTS_MAX + 2);
        loop {
            let due = self.conversations.first_key_value().map(|(_, (deadline, _))| *deadline);
            let timeout = due.map(|due| due.saturating_duration_since(Instant::now()));
            match self.poll.poll(&mut events, timeout) {
                Ok(()) => {}
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => {
                    tracing::error!(%error, "metrics are no longer served");
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
            let now = Instant::now();
            self.conversations.retain(|_, (deadline, _)| *deadline > now);
        }
    }

    /// Takes in everybody who knocks: readiness is told only once.
    fn admit(&mut self) {
        loop {
            match self.listener.accept() {
                Ok((stream, _)) => self.begin(stream),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                // One that is gone again already, or no descriptor left: there will be another event.
                Err(error) => {
                    tracing::warn!(%error, "somebody who asked for metrics was turned away");
                    return;
                }
            }
        }
    }

    fn begin(&mut self, mut stream: TcpStream) {
        if self.conversations.len() == CLIENTS_MAX {
            self.conversations.pop_first();
        }
        let number = self.next;
        self.next += 1;
        let interest = Interest::READABLE | Interest::WRITABLE;
        match self.poll.registry().register(&mut stream, Token(number), interest) {
            Ok(()) => {
                let conversation = Conversation::new(stream);
                self.conversations.insert(number, (Instant::now() + PATIENCE, conversation));
            }
            Err(error) => {
                tracing::warn!(%error, "somebody who asked for metrics was turned away");
            }
        }
    }

    fn turn(&mut self, number: usize) {
        // An event may still be on its way for a conversation that is over.
        let Some((_, conversation)) = self.conversations.get_mut(&number) else { return };
        let page = &mut self.page;
        match conversation.turn(|| page.get(Instant::now())) {
            Turn::Waiting => {}
            Turn::Over => {
                self.conversations.remove(&number);
            }
        }
    }
}

#[cfg(test)]
mod tests;
