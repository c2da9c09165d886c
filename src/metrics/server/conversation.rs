//! One client: a request in, an answer out, and the connection ends.
//!
//! Source: RFC 9110 (HTTP semantics) and RFC 9112 (HTTP/1.1). Of a request only its first line means
//! anything here; header fields are read to their end and not looked at.

use std::io::{self, Read, Write};
use std::net::Shutdown;
use std::sync::Arc;

use mio::net::TcpStream;

/// The most bytes of a request, up to the empty line that ends its header fields.
pub(super) const REQUEST_BYTES_MAX: usize = 8 << 10;

/// The most bytes that a client may send after its request.
const IDLE_TALK_BYTES_MAX: usize = 64 << 10;

/// What the page is.
const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// Where it is.
const PATH: &str = "/metrics";

/// A connection on its way from request to answer.
#[derive(Debug)]
pub(super) struct Conversation {
    stream: TcpStream,
    state: State,
}

#[derive(Debug)]
enum State {
    /// The request so far.
    Asking(Vec<u8>),
    /// The answer, and how much of it is sent.
    Answering { bytes: Vec<u8>, sent: usize },
    /// It is sent. What the client still says is read and dropped, up to so many bytes: closing a
    /// connection with unread bytes resets it, and the answer could be lost with that.
    Listening { left: usize },
}

/// How a conversation stands when nothing more can be done for it at once.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Turn {
    /// The client has to send, or to read.
    Waiting,
    /// The client has got its answer, or is gone.
    Over,
}

impl Conversation {
    pub(super) const fn new(stream: TcpStream) -> Self {
        Self { stream, state: State::Asking(Vec::new()) }
    }

    /// Goes on until the client has to do something; `page` is asked for if that is what it wants.
    pub(super) fn turn(&mut self, page: impl FnOnce() -> Option<Arc<str>>) -> Turn {
        match self.go_on(page) {
            Ok(()) => Turn::Over,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Turn::Waiting,
            Err(error) => {
                tracing::debug!(%error, "somebody who asked for metrics went away");
                Turn::Over
            }
        }
    }

    fn go_on(&mut self, page: impl FnOnce() -> Option<Arc<str>>) -> io::Result<()> {
        if let State::Asking(request) = &mut self.state {
            let Some(reply) = read_request(&mut self.stream, request)? else { return Ok(()) };
            self.state = State::Answering { bytes: reply.with(page), sent: 0 };
        }
        if let State::Answering { bytes, sent } = &mut self.state {
            while *sent < bytes.len() {
                match self.stream.write(&bytes[*sent..]) {
                    Ok(length) => *sent += length,
                    Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                    Err(error) => return Err(error),
                }
            }
            self.stream.shutdown(Shutdown::Write)?;
            self.state = State::Listening { left: IDLE_TALK_BYTES_MAX };
        }
        if let State::Listening { left } = &mut self.state {
            while *left > 0 {
                match read_some(&mut self.stream, &mut [0; 4096])? {
                    0 => return Ok(()),
                    length => *left = left.saturating_sub(length),
                }
            }
        }
        Ok(())
    }
}

/// Reads on until the request says what it wants; `None` if the client has gone before that.
fn read_request(stream: &mut TcpStream, request: &mut Vec<u8>) -> io::Result<Option<Reply>> {
    loop {
        if let Some(reply) = Reply::to(request) {
            return Ok(Some(reply));
        }
        let mut bytes = [0; 1024];
        match read_some(stream, &mut bytes)? {
            0 => return Ok(None),
            length => request.extend_from_slice(&bytes[..length]),
        }
    }
}

fn read_some(stream: &mut TcpStream, into: &mut [u8]) -> io::Result<usize> {
    loop {
        match stream.read(into) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            result => return result,
        }
    }
}

/// What a request is answered with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Reply {
    Page,
    BadRequest,
    NotFound,
    MethodNotAllowed,
    TooLong,
}

impl Reply {
    /// The answer to a request, once enough of it is there to know.
    fn to(request: &[u8]) -> Option<Self> {
        let within = &request[..request.len().min(REQUEST_BYTES_MAX)];
        let is_whole = within.windows(4).any(|bytes| bytes == b"\r\n\r\n");
        if !is_whole {
            return (request.len() >= REQUEST_BYTES_MAX).then_some(Self::TooLong);
        }
        let line = within.split(|byte| *byte == b'\r').next().unwrap_or_default();
        let mut words = line.split(|byte| *byte == b' ');
        let (method, target, version) = (words.next(), words.next(), words.next());
        let (Some(method), Some(target), Some(b"HTTP/1.1" | b"HTTP/1.0"), None) =
            (method, target, version, words.next())
        else {
            return Some(Self::BadRequest);
        };
        let path = target.split(|byte| *byte == b'?').next().unwrap_or_default();
        Some(match (path == PATH.as_bytes(), method) {
            (false, _) => Self::NotFound,
            (true, b"GET") => Self::Page,
            (true, _) => Self::MethodNotAllowed,
        })
    }

    /// The whole answer, as bytes; with the page if that is wanted.
    fn with(self, page: impl FnOnce() -> Option<Arc<str>>) -> Vec<u8> {
        const PLAIN: &str = "text/plain; charset=utf-8";
        match self {
            Self::Page => match page() {
                Some(page) => answer("200 OK", CONTENT_TYPE, &page),
                None => answer("500 Internal Server Error", PLAIN, "the journal says why\n"),
            },
            Self::BadRequest => answer("400 Bad Request", PLAIN, "not a request of HTTP/1.1\n"),
            Self::NotFound => answer("404 Not Found", PLAIN, "metrics are at /metrics\n"),
            Self::MethodNotAllowed => {
                answer("405 Method Not Allowed\r\nAllow: GET", PLAIN, "metrics can be read\n")
            }
            Self::TooLong => {
                answer("431 Request Header Fields Too Large", PLAIN, "too long a request\n")
            }
        }
    }
}

fn answer(status: &str, content_type: &str, body: &str) -> Vec<u8> {
    let length = body.len();
    let mut bytes = format!(
        "HTTP/1.1 {status}\r\nContent-Type: {content_type}\r\nContent-Length: {length}\r\n\
         Connection: close\r\n\r\n"
    )
    .into_bytes();
    bytes.extend_from_slice(body.as_bytes());
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_its_first_line() {
        for (request, reply) in [
            (&b"GET /metrics HTTP/1.1\r\nHost: a\r\nAccept: */*\r\n\r\n"[..], Reply::Page),
            (b"GET /metrics HTTP/1.0\r\n\r\n", Reply::Page),
            (b"GET /metrics?format=text HTTP/1.1\r\n\r\nand more", Reply::Page),
            (b"GET / HTTP/1.1\r\n\r\n", Reply::NotFound),
            (b"POST /metricsx HTTP/1.1\r\n\r\n", Reply::NotFound),
            (b"HEAD /metrics HTTP/1.1\r\n\r\n", Reply::MethodNotAllowed),
            (b"get /metrics HTTP/1.1\r\n\r\n", Reply::MethodNotAllowed),
            (b"GET /metrics\r\n\r\n", Reply::BadRequest),
            (b"GET  /metrics HTTP/1.1\r\n\r\n", Reply::BadRequest),
            (b"GET /metrics HTTP/2\r\n\r\n", Reply::BadRequest),
            (b"\r\n\r\n", Reply::BadRequest),
            (b"\xff\xfe\x00\r\n\r\n", Reply::BadRequest),
        ] {
            let text = String::from_utf8_lossy(request);
            assert_eq!(Reply::to(request), Some(reply), "{text}");
            let part = &request[..request.len().min(4)];
            assert_eq!(Reply::to(part).is_some(), part == request, "the beginning of {text}");
        }
    }

    #[test]
    fn a_request_that_does_not_end_is_too_long() {
        let mut request = b"GET /metrics HTTP/1.1\r\nX: ".to_vec();
        request.resize(REQUEST_BYTES_MAX - 1, b'x');
        assert_eq!(Reply::to(&request), None);
        request.extend_from_slice(b"x\r\n\r\n");
        assert_eq!(Reply::to(&request), Some(Reply::TooLong));
    }

    #[test]
    fn an_answer_says_how_long_it_is_and_that_it_is_the_last() {
        let page = || Some(Arc::from("é\n"));
        let text = String::from_utf8(Reply::Page.with(page)).unwrap();
        assert_eq!(
            text,
            "HTTP/1.1 200 OK\r\nContent-Type: text/plain; version=0.0.4; charset=utf-8\r\n\
             Content-Length: 3\r\nConnection: close\r\n\r\né\n"
        );
        let text = String::from_utf8(Reply::MethodNotAllowed.with(|| None)).unwrap();
        assert!(text.starts_with("HTTP/1.1 405 Method Not Allowed\r\nAllow: GET\r\n"), "{text}");
        assert!(Reply::Page.with(|| None).starts_with(b"HTTP/1.1 500 "));
    }
}
