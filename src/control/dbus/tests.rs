//! Against a bus of our own: `dbus-daemon` with a configuration that lets everybody do everything.

use std::fs;
use std::io::{BufRead, BufReader};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;

use futures_lite::StreamExt;
use tempfile::TempDir;
use zbus::fdo::{DBusProxy, ObjectManagerProxy, RequestNameFlags};
use zbus::{Connection, Proxy, block_on, interface};

use super::r0::{HANDLER_NAME, HANDLER_PATH, MANAGER_PATH, ROOT_PATH, SERVICE_NAME, SUBTYPE_PATH};
use super::*;
use crate::testing::FakePlane;

/// What anything here may take before the test fails.
const PATIENCE: Duration = Duration::from_secs(30);

struct Bus {
    daemon: Child,
    folder: TempDir,
}

impl Bus {
    fn folder() -> TempDir {
        tempfile::tempdir().unwrap()
    }

    fn start(folder: TempDir) -> Self {
        let config = folder.path().join("bus.conf");
        let socket = Self::socket(&folder);
        fs::write(
            &config,
            format!(
                r#"<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN"
                    "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
                <busconfig>
                  <listen>unix:path={}</listen>
                  <policy context="default">
                    <allow user="*"/><allow own="*"/>
                    <allow send_destination="*"/><allow eavesdrop="true"/>
                  </policy>
                </busconfig>"#,
                socket.display()
            ),
        )
        .unwrap();
        let mut daemon = Command::new("dbus-daemon")
            .arg(format!("--config-file={}", config.display()))
            .args(["--nofork", "--print-address=1"])
            .stdout(Stdio::piped())
            .spawn()
            .expect("these tests need dbus-daemon: apt-get install dbus");
        // It listens by the time it says where.
        let mut address = String::new();
        BufReader::new(daemon.stdout.take().unwrap()).read_line(&mut address).unwrap();
        assert!(address.starts_with("unix:path="), "dbus-daemon said {address:?}");
        Self { daemon, folder }
    }

    fn socket(folder: &TempDir) -> PathBuf {
        folder.path().join("bus.sock")
    }

    fn builder(&self) -> Builder<'static> {
        builder(&self.folder)
    }

    /// Ends the bus and leaves its folder, for another bus at the same address.
    fn stop(mut self) -> TempDir {
        self.end();
        std::mem::replace(&mut self.folder, Self::folder())
    }

    fn end(&mut self) {
        let _ = self.daemon.kill();
        let _ = self.daemon.wait();
    }
}

impl Drop for Bus {
    fn drop(&mut self) {
        self.end();
    }
}

fn builder(folder: &TempDir) -> Builder<'static> {
    let address = format!("unix:path={}", Bus::socket(folder).display());
    Builder::address(address.as_str()).method_timeout(PATIENCE)
}

/// A daemon's end on the bus in `folder`, and what it says of itself.
fn serve(folder: &TempDir) -> (DbusService, Arc<Presence>) {
    let address = format!("unix:path={}", Bus::socket(folder).display());
    let presence = Arc::new(Presence::new(DbusState::Connecting));
    let plane = FakePlane::with_luns(&[]);
    let bus = move || Builder::address(address.as_str());
    let service = DbusService::start_on(bus, plane, Arc::clone(&presence)).unwrap();
    (service, presence)
}

#[track_caller]
fn becomes(presence: &Presence, wanted: impl Fn(&DbusState) -> bool) -> DbusState {
    let state = presence.wait_while(PATIENCE, |state| !wanted(state));
    assert!(wanted(&state), "{state:?}");
    state
}

fn is_owner(state: &DbusState) -> bool {
    *state == DbusState::Owner
}

fn is_registered(state: &DbusState) -> bool {
    matches!(state, DbusState::Registered { .. })
}

async fn check(client: &Connection, path: &'static str, config: &str) -> (bool, String) {
    let proxy = Proxy::new(client, SERVICE_NAME, path, SERVICE_NAME).await.unwrap();
    proxy.call("CheckConfig", &config).await.unwrap()
}

#[test]
fn targetcli_finds_one_kind_of_backstore_and_can_ask_it() {
    let bus = Bus::start(Bus::folder());
    let (_service, presence) = serve(&bus.folder);
    assert_eq!(presence.wait_settled(PATIENCE), DbusState::Owner);
    block_on(async {
        let client = bus.builder().build().await.unwrap();
        // As targetcli-fb does: everything listed becomes a node, so nothing else may be.
        let manager = ObjectManagerProxy::new(&client, SERVICE_NAME, ROOT_PATH).await.unwrap();
        let objects = manager.get_managed_objects().await.unwrap();
        let [(path, interfaces)] = &objects.iter().collect::<Vec<_>>()[..] else {
            panic!("one object, not {objects:?}");
        };
        assert_eq!(path.as_str(), SUBTYPE_PATH);
        let [(interface, properties)] = &interfaces.iter().collect::<Vec<_>>()[..] else {
            panic!("one interface, not {interfaces:?}");
        };
        assert_eq!(interface.as_str(), SERVICE_NAME);
        assert_eq!(<&str>::try_from(&*properties["ConfigDesc"]).unwrap(), "ram/ is memory");

        assert_eq!(
            check(&client, SUBTYPE_PATH, "pulsefield/ram/").await,
            (true, "success".to_owned())
        );
        assert_eq!(
            check(&client, SUBTYPE_PATH, "pulsefield/tape/0").await,
            (false, "no medium for tape/0".to_owned())
        );
        for foreign in ["pulsefields/ram/", "ram/", "", "pulsefield"] {
            let (good, reason) = check(&client, SUBTYPE_PATH, foreign).await;
            assert!(!good && reason.ends_with("does not begin with pulsefield/"), "{reason}");
        }
    });
}

#[test]
fn the_signatures_are_those_targetcli_was_written_for() {
    let bus = Bus::start(Bus::folder());
    let (_service, presence) = serve(&bus.folder);
    becomes(&presence, is_owner);
    let xml = block_on(async {
        let client = bus.builder().build().await.unwrap();
        let proxy = Proxy::new(&client, SERVICE_NAME, SUBTYPE_PATH, SERVICE_NAME).await.unwrap();
        proxy.introspect().await.unwrap()
    });
    let start = xml.find("<interface name=\"org.kernel.TCMUService1\">").unwrap();
    let end = start + xml[start..].find("</interface>").unwrap();
    let lines: Vec<&str> = xml[start..end]
        .lines()
        .map(str::trim)
        .filter(|line| {
            line.starts_with("<method") || line.starts_with("<arg") || line.starts_with("<property")
        })
        .collect();
    assert_eq!(
        lines,
        [
            "<method name=\"CheckConfig\">",
            "<arg name=\"config\" type=\"s\" direction=\"in\"/>",
            "<arg type=\"b\" direction=\"out\"/>",
            "<arg type=\"s\" direction=\"out\"/>",
            "<property name=\"ConfigDesc\" type=\"s\" access=\"read\">",
        ]
    );
}

#[test]
fn only_root_and_the_daemons_own_user_may_have_configurations_checked() {
    // Another user can be played only by root; a build as anybody else leaves this to others.
    if fs::metadata("/proc/self").unwrap().uid() != 0 {
        return;
    }
    const NOBODY: u32 = 65_534;
    let bus = Bus::start(Bus::folder());
    fs::set_permissions(bus.folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
    let (_service, presence) = serve(&bus.folder);
    becomes(&presence, is_owner);
    let answer = Command::new("dbus-send")
        .arg(format!("--bus=unix:path={}", Bus::socket(&bus.folder).display()))
        .args(["--print-reply", &format!("--dest={SERVICE_NAME}"), SUBTYPE_PATH])
        .args(["org.kernel.TCMUService1.CheckConfig", "string:pulsefield/ram/"])
        .uid(NOBODY)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&answer.stderr);
    assert!(!answer.status.success() && said.contains("only root may"), "{said}");
}

/// The part of tcmu-runner that takes registrations.
struct FakeRunner {
    answer: (bool, &'static str),
    registered: mpsc::Sender<(String, String)>,
}

#[interface(name = "org.kernel.TCMUService1.HandlerManager1")]
impl FakeRunner {
    fn register_handler(&self, subtype: &str, cfg_desc: &str) -> (bool, String) {
        self.registered.send((subtype.to_owned(), cfg_desc.to_owned())).unwrap();
        (self.answer.0, self.answer.1.to_owned())
    }
}

/// A tcmu-runner that has queued for the name, and what registers with it.
struct Runner {
    connection: Connection,
    registrations: mpsc::Receiver<(String, String)>,
}

impl Runner {
    fn start(bus: &Bus, answer: (bool, &'static str)) -> Self {
        let (registered, registrations) = mpsc::channel();
        let runner = FakeRunner { answer, registered };
        let connection = block_on(async {
            let connection = bus.builder().serve_at(MANAGER_PATH, runner).build().await.unwrap();
            let flags = RequestNameFlags::empty();
            connection.request_name_with_flags(SERVICE_NAME, flags).await.unwrap();
            connection
        });
        Self { connection, registrations }
    }

    fn stop(self) {
        block_on(self.connection.close()).unwrap();
    }
}

#[test]
fn a_running_tcmu_runner_keeps_the_name_and_passes_questions_on() {
    let bus = Bus::start(Bus::folder());
    let runner = Runner::start(&bus, (true, "succeeded"));
    let (service, presence) = serve(&bus.folder);
    let registered = runner.registrations.recv_timeout(PATIENCE).unwrap();
    assert_eq!(registered, ("pulsefield".to_owned(), "ram/ is memory".to_owned()));
    let runner_name = runner.connection.unique_name().unwrap().to_string();
    assert_eq!(becomes(&presence, is_registered), DbusState::Registered { with: runner_name });
    block_on(async {
        let proxy =
            Proxy::new(&runner.connection, HANDLER_NAME, HANDLER_PATH, SERVICE_NAME).await.unwrap();
        let answer: (bool, String) = proxy.call("CheckConfig", &"pulsefield/ram/").await.unwrap();
        assert!(answer.0);
        let help: String = proxy.get_property("ConfigDesc").await.unwrap();
        assert_eq!(help, "ram/ is memory");
    });

    // It ends: the name is ours, and nobody's handler any more.
    runner.stop();
    becomes(&presence, is_owner);
    block_on(async {
        let client = bus.builder().build().await.unwrap();
        assert!(check(&client, SUBTYPE_PATH, "pulsefield/ram/").await.0);
        let dbus = DBusProxy::new(&client).await.unwrap();
        let names: Vec<String> =
            dbus.list_names().await.unwrap().iter().map(ToString::to_string).collect();
        assert!(!names.iter().any(|name| name == HANDLER_NAME), "{names:?}");
        let mut changes =
            dbus.receive_name_owner_changed_with_args(&[(0, SERVICE_NAME)]).await.unwrap();
        drop(service);
        assert!(changes.next().await.unwrap().args().unwrap().new_owner().is_none());
    });
}

#[test]
fn a_second_tcmu_runner_is_registered_with_too() {
    let bus = Bus::start(Bus::folder());
    let first = Runner::start(&bus, (true, ""));
    let second = Runner::start(&bus, (true, ""));
    let (_service, presence) = serve(&bus.folder);
    first.registrations.recv_timeout(PATIENCE).unwrap();
    first.stop();
    second.registrations.recv_timeout(PATIENCE).unwrap();
    let name = second.connection.unique_name().unwrap().to_string();
    becomes(&presence, |state| *state == DbusState::Registered { with: name.clone() });
}

#[test]
fn an_owner_that_refuses_is_waited_out() {
    let bus = Bus::start(Bus::folder());
    let runner = Runner::start(&bus, (false, "no room"));
    let (_service, presence) = serve(&bus.folder);
    let reason = "tcmu-runner refused the registration: no room".to_owned();
    assert_eq!(presence.wait_settled(PATIENCE), DbusState::Waiting { reason });
    runner.stop();
    becomes(&presence, is_owner);
}

#[test]
fn an_owner_that_is_no_tcmu_runner_is_waited_out() {
    let bus = Bus::start(Bus::folder());
    let other = block_on(bus.builder().name(SERVICE_NAME).build()).unwrap();
    // Without an object server nobody answers there; with one, the object is unknown.
    let _ = other.object_server();
    let (_service, presence) = serve(&bus.folder);
    assert!(matches!(presence.wait_settled(PATIENCE), DbusState::Waiting { .. }));
}

#[test]
fn without_a_bus_the_service_waits_and_stops_when_told() {
    let folder = Bus::folder();
    let (service, presence) = serve(&folder);
    let state = presence.wait_settled(PATIENCE);
    assert!(
        matches!(&state, DbusState::Absent { reason } if reason.starts_with("cannot connect")),
        "{state:?}"
    );
    drop(service);
}

#[test]
fn a_bus_that_goes_and_comes_is_joined_again() {
    let bus = Bus::start(Bus::folder());
    let (_service, presence) = serve(&bus.folder);
    becomes(&presence, is_owner);
    let folder = bus.stop();
    becomes(&presence, |state| matches!(state, DbusState::Absent { .. }));
    let _bus = Bus::start(folder);
    becomes(&presence, is_owner);
}
