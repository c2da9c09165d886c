use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::atomic::{AtomicU64, Ordering};

use super::reply::REQUEST_BYTES_MAX;
use super::*;

const GET: &[u8] = b"GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n";

fn anywhere() -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], 0))
}

fn serve(page: &'static str) -> Server {
    Server::start(anywhere(), move || page.to_owned()).unwrap()
}

fn connect(server: &Server) -> TcpStream {
    TcpStream::connect(server.address()).unwrap()
}

/// Everything the server says to `request`, until it closes the connection.
fn says(server: &Server, request: &[u8]) -> String {
    let mut stream = connect(server);
    stream.write_all(request).unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    text
}

#[test]
fn the_page_is_at_one_place_and_can_only_be_read() {
    let server = serve("pulsefield_things_total 3\n");
    let page = says(&server, GET);
    assert!(page.starts_with("HTTP/1.1 200 OK\r\n"), "{page}");
    assert!(page.ends_with("\r\n\r\npulsefield_things_total 3\n"), "{page}");
    for (request, status) in [
        (&b"GET /metric HTTP/1.1\r\n\r\n"[..], "404 "),
        (b"DELETE /metrics HTTP/1.1\r\n\r\n", "405 "),
        (b"hello\r\n\r\n", "400 "),
        (b"POST /metrics HTTP/1.1\r\nContent-Length: 3\r\n\r\nabc", "405 "),
    ] {
        let answer = says(&server, request);
        assert!(answer.starts_with(&format!("HTTP/1.1 {status}")), "{answer}");
    }
}

#[test]
fn a_request_may_come_in_pieces_and_may_not_be_endless() {
    let server = serve("x 1\n");
    let mut slow = connect(&server);
    for piece in GET.chunks(3) {
        slow.write_all(piece).unwrap();
    }
    let endless = says(&server, &vec![b'x'; REQUEST_BYTES_MAX]);
    assert!(endless.starts_with("HTTP/1.1 431 "), "{endless}");
    let mut text = String::new();
    slow.read_to_string(&mut text).unwrap();
    assert!(text.ends_with("x 1\n"), "{text}");
}

#[test]
fn clients_that_say_nothing_make_room_for_others() {
    let server = serve("x 1\n");
    let mut idle: Vec<TcpStream> = (0..CLIENTS_MAX).map(|_| connect(&server)).collect();
    assert!(says(&server, GET).ends_with("x 1\n"));
    // The oldest was dropped for that, and the others are still listened to.
    assert_eq!(idle[0].read(&mut [0]).unwrap(), 0);
    let last = idle.last_mut().unwrap();
    last.write_all(GET).unwrap();
    let mut text = String::new();
    last.read_to_string(&mut text).unwrap();
    assert!(text.ends_with("x 1\n"), "{text}");
}

#[test]
fn a_client_that_does_not_read_holds_up_nobody() {
    // More than the buffers of both ends hold.
    let server = Server::start(anywhere(), || "x 1\n".repeat(8 << 20)).unwrap();
    let mut deaf = connect(&server);
    deaf.write_all(GET).unwrap();
    let other = says(&server, b"GET / HTTP/1.1\r\n\r\n");
    assert!(other.starts_with("HTTP/1.1 404 "), "{other}");
    let mut text = Vec::new();
    deaf.read_to_end(&mut text).unwrap();
    assert!(text.ends_with(b"x 1\nx 1\n") && text.len() > 32 << 20);
}

#[test]
fn whoever_asks_again_at_once_hears_the_same() {
    let made = AtomicU64::new(0);
    let make = move || made.fetch_add(1, Ordering::Relaxed).to_string();
    let mut page = FreshPage { make: Box::new(make), made: None };
    let start = Instant::now();
    let mut at = |millis| page.get(start + Duration::from_millis(millis)).unwrap();
    assert_eq!(
        [0, 249, 250, 499, 500].map(&mut at).map(|page| page.to_string()),
        ["0", "0", "1", "1", "2"]
    );
}

#[test]
fn a_panic_costs_one_page() {
    let made = AtomicU64::new(0);
    let make = move || match made.fetch_add(1, Ordering::Relaxed) {
        0 => panic!("a bug of the daemon"),
        _ => "x 1\n".to_owned(),
    };
    let server = Server::start(anywhere(), make).unwrap();
    assert!(says(&server, GET).starts_with("HTTP/1.1 500 "));
    assert!(says(&server, GET).ends_with("x 1\n"));
}

#[test]
fn an_address_in_use_is_named() {
    let server = serve("");
    let address = server.address();
    let error = Server::start(address, String::new).unwrap_err();
    assert_eq!(error.to_string(), format!("cannot listen at {address}"));
    drop(server);
    // Free again as soon as it is dropped.
    drop(Server::start(address, String::new).unwrap());
}
