//! One client: a question in, an answer out, and the connection ends.

use std::io;

use crate::Stream;

/// A connection on its way from question to answer.
#[derive(Debug)]
pub(crate) struct Conversation<S> {
    stream: S,
    state: State,
}

#[derive(Debug)]
enum State {
    /// The question so far.
    Asking(Vec<u8>),
    /// The answer, and how much of it is sent.
    Answering { bytes: Vec<u8>, sent: usize },
    /// It is sent. What the client still says is dropped, up to so many bytes.
    Listening { left: usize },
}

impl<S: Stream> Conversation<S> {
    pub(crate) const fn new(stream: S) -> Self {
        Self { stream, state: State::Asking(Vec::new()) }
    }

    /// Goes on until the client has got its answer, or is gone.
    ///
    /// # Errors
    /// WOULDBLOCK if the client has to send, or to read; else why it is gone.
    pub(crate) fn go_on(
        &mut self,
        mut answer: impl FnMut(&[u8]) -> Option<Vec<u8>>,
        idle_talk_bytes_max: usize,
    ) -> io::Result<()> {
        loop {
            match &mut self.state {
                State::Asking(said) => {
                    if let Some(bytes) = answer(said) {
                        self.state = State::Answering { bytes, sent: 0 };
                        continue;
                    }
                    let mut bytes = [0; 4096];
                    match uninterrupted(|| self.stream.read(&mut bytes))? {
                        0 => return Ok(()),
                        length => said.extend_from_slice(&bytes[..length]),
                    }
                }
                State::Answering { bytes, sent } if *sent < bytes.len() => {
                    *sent += uninterrupted(|| self.stream.write(&bytes[*sent..]))?;
                }
                State::Answering { .. } => {
                    self.stream.end()?;
                    self.state = State::Listening { left: idle_talk_bytes_max };
                }
                State::Listening { left: 0 } => return Ok(()),
                State::Listening { left } => {
                    match uninterrupted(|| self.stream.read(&mut [0; 4096]))? {
                        0 => return Ok(()),
                        length => *left = left.saturating_sub(length),
                    }
                }
            }
        }
    }
}

fn uninterrupted(mut call: impl FnMut() -> io::Result<usize>) -> io::Result<usize> {
    loop {
        match call() {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            result => return result,
        }
    }
}
