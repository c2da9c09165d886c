use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::thread;

use tempfile::TempDir;

use super::*;
use crate::protocol::{ArmRequest, Effect, MAX_REQUEST_BYTES};
use crate::testing::FakePlane;
use crate::{Client, ClientError};

struct Served {
    server: Option<Server>,
    path: PathBuf,
    _folder: TempDir,
}

impl Served {
    fn new(plane: Arc<FakePlane>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("run/control.sock");
        let server = Some(Server::start(&path, plane).unwrap());
        Self { server, path, _folder: folder }
    }

    fn client(&self) -> Client {
        Client::new(&self.path)
    }

    /// Everything the server says to `bytes`, until it closes the connection.
    fn says(&self, bytes: &[u8]) -> String {
        let mut stream = UnixStream::connect(&self.path).unwrap();
        stream.write_all(bytes).unwrap();
        let mut line = String::new();
        BufReader::new(stream).read_line(&mut line).unwrap();
        line
    }
}

#[test]
fn a_client_gets_what_it_asks_for() {
    let served = Served::new(FakePlane::with_luns(&["ds1", "ds2"]));
    let client = served.client();
    assert_eq!(client.status().unwrap().luns_total, 2);
    let names: Vec<String> = client.luns().unwrap().into_iter().map(|lun| lun.name).collect();
    assert_eq!(names, ["ds1", "ds2"]);
    assert_eq!(client.lun("ds2").unwrap().summary.name, "ds2");
    let hosts = client.hosts(None).unwrap();
    assert_eq!(hosts.iter().map(|lun| &*lun.lun).collect::<Vec<_>>(), ["ds1", "ds2"]);
    assert!(client.hosts(Some("ds3")).unwrap_err().to_string().starts_with("no logical unit"));
    let missing = client.lun("ds3").unwrap_err();
    assert!(matches!(missing, ClientError::Refused { .. }));
    assert!(missing.to_string().starts_with("no logical unit \"ds3\"; did you mean \"ds"));
    assert_eq!(client.reload().unwrap(), []);
}

#[test]
fn a_question_that_ends_in_a_panic_costs_the_others_nothing() {
    let served = Served::new(FakePlane::with_luns(&["ds1"]));
    assert!(served.client().lun("bug").is_err());
    assert_eq!(served.client().lun("ds1").unwrap().summary.name, "ds1");
}

#[test]
fn a_reload_says_what_changed_or_what_is_wrong() {
    let plane = FakePlane { luns: vec![], reloaded: "daemon.dbus = false" };
    let changed = Served::new(Arc::new(plane)).client().reload().unwrap();
    assert_eq!(changed.len(), 1);
    assert_eq!((changed[0].key.as_str(), changed[0].effect), ("daemon.dbus", Effect::AtRestart));

    let plane = FakePlane { luns: vec![], reloaded: "daemon.dbos = false" };
    let error = Served::new(Arc::new(plane)).client().reload().unwrap_err().to_string();
    assert!(error.contains("stays as it was"), "{error}");
    assert!(error.contains("fake.toml:1:8") && error.contains("\"dbus\"?"), "{error}");
}

#[test]
fn a_line_that_is_no_request_gets_an_answer_that_says_so() {
    let served = Served::new(FakePlane::with_luns(&[]));
    for (line, answer) in [
        (&b"\n"[..], "not a request"),
        (b"hello\n", "not a request"),
        (b"\xff\xfe\n", "not a request"),
        (b"{\"version\":1}\n", "not a request"),
        (b"{\"version\":1,\"request\":\"format\"}\n", "not a request"),
        (b"{\"version\":2,\"request\":\"status\"}\n", "protocol version 2"),
    ] {
        let said = served.says(line);
        assert!(said.contains("\"response\":\"error\"") && said.contains(answer), "{said}");
    }
    // Bytes after the line are nobody's: the answer ends the conversation.
    let said = served.says(b"{\"version\":1,\"request\":\"status\"}\n{\"version\":1,");
    assert!(said.contains("\"response\":\"status\""), "{said}");
    let said = served.says(&[b'x'; MAX_REQUEST_BYTES + 1]);
    assert!(said.contains("at most 262144 bytes"), "{said}");
}

#[test]
fn a_client_that_says_nothing_holds_up_nobody() {
    let served = Served::new(FakePlane::with_luns(&[]));
    let mut silent: Vec<UnixStream> =
        (0..MAX_CLIENTS).map(|_| UnixStream::connect(&served.path).unwrap()).collect();
    silent[0].write_all(b"{\"version\":1").unwrap();
    // One more than there is room for, so the oldest has to go, and only that one.
    served.client().status().unwrap();
    let mut rest = Vec::new();
    assert_eq!(silent[0].read_to_end(&mut rest).unwrap_or(0), 0);
    silent[1].write_all(b"{\"version\":1,\"request\":\"status\"}\n").unwrap();
    silent[1].read_to_end(&mut rest).unwrap();
    assert!(rest.starts_with(b"{\"version\":1,\"response\":\"status\""));
}

#[test]
fn an_answer_longer_than_the_socket_holds_arrives_whole() {
    let luns = vec!["a-logical-unit-with-a-rather-long-name"; 20_000];
    let served = Served::new(FakePlane::with_luns(&luns));
    assert_eq!(served.client().luns().unwrap().len(), 20_000);
}

#[test]
fn only_its_owner_can_connect_and_only_one_daemon_serves() {
    let mut served = Served::new(FakePlane::with_luns(&[]));
    assert_eq!(fs::metadata(&served.path).unwrap().permissions().mode() & 0o777, 0o600);
    let second = Server::start(&served.path, FakePlane::with_luns(&[]));
    assert!(matches!(second, Err(ServeError::AlreadyServed { .. })));
    served.client().status().unwrap();

    served.server = None;
    assert!(!served.path.exists());
    let error = served.client().status().unwrap_err();
    assert!(matches!(error, ClientError::NoDaemon { .. }));
    assert!(error.to_string().ends_with("is pulsefield.service running?"), "{error}");
    served.server = Some(Server::start(&served.path, FakePlane::with_luns(&[])).unwrap());
    served.client().status().unwrap();
}

#[test]
fn a_stale_socket_is_replaced_and_anything_else_is_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("control.sock");
    drop(UnixListener::bind(&path).unwrap());
    assert!(matches!(Client::new(&path).status(), Err(ClientError::NoDaemon { .. })));
    let server = Server::start(&path, FakePlane::with_luns(&[])).unwrap();
    Client::new(&path).status().unwrap();
    drop(server);

    fs::write(&path, "precious").unwrap();
    let refused = Server::start(&path, FakePlane::with_luns(&[]));
    assert!(matches!(refused, Err(ServeError::NotASocket { .. })));
    assert_eq!(fs::read(&path).unwrap(), b"precious");
}

#[test]
fn a_daemon_of_another_make_is_recognised() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("control.sock");
    for (answer, wanted) in [
        (&b"{\"version\":2,\"response\":\"error\",\"message\":\"x\"}\n"[..], "protocol version 1"),
        (b"220 ready\n", "protocol version 1"),
        (b"{\"version\":1,\"response\":\"lun-list\",\"luns\":[]}\n", "protocol version 1"),
        (b"", "went away"),
    ] {
        let _ = fs::remove_file(&path);
        let listener = UnixListener::bind(&path).unwrap();
        let stranger = thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            BufReader::new(&stream).read_line(&mut String::new()).unwrap();
            stream.write_all(answer).unwrap();
        });
        let error = Client::new(&path).status().unwrap_err().to_string();
        assert!(error.contains(wanted), "{error}");
        stranger.join().unwrap();
    }
}

#[test]
fn faults_are_asked_for_by_unit_and_by_rule() {
    let served = Served::new(FakePlane::with_luns(&["ds1"]));
    let client = served.client();
    let plan = |lun: Option<&str>| ArmRequest {
        lun: lun.map(str::to_owned),
        file: "p.toml".to_owned(),
        plan: "seed = 1".to_owned(),
        lasting_ms: None,
        hits: Some(3),
    };
    assert_eq!(client.arm_faults(plan(Some("ds1"))).unwrap()[0].lun, "ds1");
    let refused = |error: ClientError| error.to_string();
    assert_eq!(
        refused(client.arm_faults(plan(Some("ds2"))).unwrap_err()),
        "no logical unit \"ds2\"; did you mean \"ds1\"?"
    );
    assert!(refused(client.arm_faults(plan(None)).unwrap_err()).contains("the plan has rules for"));
    assert_eq!(client.disarm_faults(None, None).unwrap(), 2);
    assert_eq!(client.disarm_faults(Some("ds1"), None).unwrap(), 1);
    let refusal = refused(client.disarm_faults(None, Some("slow")).unwrap_err());
    assert_eq!(refusal, "no rule \"slow\" is armed");
    assert_eq!(client.faults(None).unwrap()[0].lun, "all");
    assert_eq!(client.fault_log(None).unwrap(), []);
    assert!(refused(client.fault_log(Some("ds1")).unwrap_err()).contains("does not answer"));
    assert!(refused(client.export_faults("ds1").unwrap_err()).contains("forgotten its first 7"));
}
