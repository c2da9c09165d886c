//! The thread, and who is connected.

use std::collections::BTreeMap;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::thread::{self, JoinHandle};
use std::time::Instant;

use mio::{Events, Interest, Poll, Token, Waker};
use thiserror::Error;

use crate::conversation::Conversation;
use crate::{Service, Terms};

const LISTENER: Token = Token(usize::MAX);
const STOP: Token = Token(usize::MAX - 1);

/// A service, offered until this is dropped.
#[derive(Debug)]
pub struct Server {
    name: &'static str,
    stop: Waker,
    thread: Option<JoinHandle<()>>,
}

/// Why a service cannot be offered.
#[derive(Debug, Error)]
#[error("cannot {action} the socket")]
pub struct StartError {
    /// What was tried, as a verb that the name of the socket can follow.
    pub action: &'static str,
    /// What the operating system said.
    pub source: io::Error,
}

impl Server {
    /// Offers `service` on these terms.
    ///
    /// # Errors
    /// If the operating system has no descriptor or no thread left.
    pub fn start(terms: Terms, mut service: impl Service) -> Result<Self, StartError> {
        let refused = |action| move |source| StartError { action, source };
        let poll = Poll::new().map_err(refused("wait for clients of"))?;
        poll.registry()
            .register(service.listener(), LISTENER, Interest::READABLE)
            .map_err(refused("listen at"))?;
        let stop = Waker::new(poll.registry(), STOP).map_err(refused("wait for clients of"))?;
        let clients = Clients { terms, poll, service, conversations: BTreeMap::new(), next: 0 };
        let thread = thread::Builder::new()
            .name(terms.name.to_owned())
            .spawn(move || clients.serve())
            .map_err(refused("start a thread for"))?;
        Ok(Self { name: terms.name, stop, thread: Some(thread) })
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let server = self.name;
        if let Err(error) = self.stop.wake() {
            // Without the wake-up the thread would be waited for in vain.
            tracing::error!(server, %error, "the thread for clients cannot be told to stop");
            return;
        }
        if self.thread.take().is_some_and(|thread| thread.join().is_err()) {
            tracing::error!(server, "the thread for clients has panicked");
        }
    }
}

/// Everything the thread owns.
struct Clients<S: Service> {
    terms: Terms,
    poll: Poll,
    service: S,
    /// By number, which is also the token, so in the order they came and in that of their deadlines.
    conversations: BTreeMap<usize, (Instant, Conversation<S::Stream>)>,
    next: usize,
}

impl<S: Service> Clients<S> {
    fn serve(mut self) {
        let server = self.terms.name;
        let mut events = Events::with_capacity(self.terms.clients_max + 2);
        loop {
            let first = self.conversations.first_key_value().zip(self.terms.patience);
            let timeout =
                first.map(|((_, (since, _)), patience)| patience.saturating_sub(since.elapsed()));
            match self.poll.poll(&mut events, timeout) {
                Ok(()) => {}
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => {
                    tracing::error!(server, %error, "clients are no longer served");
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
            if let Some(patience) = self.terms.patience {
                self.conversations.retain(|_, (since, _)| since.elapsed() < patience);
            }
        }
    }

    /// Takes in everybody who knocks: readiness is told only once.
    fn admit(&mut self) {
        let server = self.terms.name;
        loop {
            match self.service.accept().and_then(|stream| self.begin(stream)) {
                Ok(()) => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                // One that is gone again already, or no descriptor left: there will be another event.
                Err(error) => {
                    tracing::warn!(server, %error, "a client was turned away");
                    return;
                }
            }
        }
    }

    fn begin(&mut self, mut stream: S::Stream) -> io::Result<()> {
        if self.conversations.len() == self.terms.clients_max {
            self.conversations.pop_first();
        }
        let number = self.next;
        self.next += 1;
        let interest = Interest::READABLE | Interest::WRITABLE;
        self.poll.registry().register(&mut stream, Token(number), interest)?;
        self.conversations.insert(number, (Instant::now(), Conversation::new(stream)));
        Ok(())
    }

    fn turn(&mut self, number: usize) {
        let server = self.terms.name;
        // An event may still be on its way for a conversation that is over.
        let Some((_, conversation)) = self.conversations.get_mut(&number) else { return };
        let (service, idle_talk) = (&mut self.service, self.terms.idle_talk_bytes_max);
        // Unwind safety: a conversation that panicked is over, and a service keeps its own state whole.
        let turn = catch_unwind(AssertUnwindSafe(|| {
            conversation.go_on(|said| service.answer(said), idle_talk)
        }));
        match turn {
            Ok(Err(error)) if error.kind() == io::ErrorKind::WouldBlock => return,
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::debug!(server, %error, "a client went away"),
            Err(_) => tracing::error!(server, "the answer to a client ended in a panic"),
        }
        self.conversations.remove(&number);
    }
}
