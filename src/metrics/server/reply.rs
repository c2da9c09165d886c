//! A request of HTTP, and what it is answered with.
//!
//! Source: RFC 9110 (HTTP semantics) and RFC 9112 (HTTP/1.1). Of a request only its first line means
//! anything here; header fields are read to their end and not looked at.

use std::sync::Arc;

/// The most bytes of a request, up to the empty line that ends its header fields.
pub(super) const REQUEST_BYTES_MAX: usize = 8 << 10;

/// What the page is.
const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// Where it is.
const PATH: &str = "/metrics";

/// What a request is answered with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reply {
    Page,
    BadRequest,
    NotFound,
    MethodNotAllowed,
    TooLong,
}

impl Reply {
    /// The answer to a request, once enough of it is there to know.
    pub(super) fn to(request: &[u8]) -> Option<Self> {
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
    pub(super) fn with(self, page: impl FnOnce() -> Option<Arc<str>>) -> Vec<u8> {
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
