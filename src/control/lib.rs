//! How the daemon is told what to do, and asked how it is: configuration, control socket, D-Bus.
//!
//! Floor 3: `units`, `settings`, and the crates that read JSON and speak D-Bus. What the daemon can be
//! asked for is one trait, [`ControlPlane`]; [`Server`] answers it on a Unix socket in the words of
//! [`protocol`], [`Client`] asks there, and [`dbus`] offers targetcli its share of it on the system
//! bus. Nothing here knows a ring, a command or a medium, so all of it is tested against a plane
//! made up in the test.

mod client;
pub mod config;
pub mod dbus;
mod plane;
pub mod protocol;
mod server;
#[cfg(test)]
mod testing;

pub use client::{Client, ClientError};
pub use plane::{ControlPlane, FaultError, UnitError};
pub use server::{ServeError, Server};

/// Where the daemon listens and the command line asks, unless either is told otherwise.
pub const CONTROL_SOCKET: &str = "/run/pulsefield/control.sock";

/// Where the configuration is read from, unless the daemon is told otherwise.
pub const CONFIG_FILE: &str = "/etc/pulsefield/pulsefield.toml";

/// Where the daemon keeps what must outlive it, unless it is told otherwise.
pub const STATE_FOLDER: &str = "/var/lib/pulsefield";

/// Where logical units are recorded, unless the configuration says otherwise: in memory, and there for as
/// long as the machine runs.
pub const RECORD_FOLDER: &str = "/run/pulsefield/record";

/// Where copies of records are kept that are taken when something goes wrong, unless the configuration says
/// otherwise.
pub const RECORD_DUMPS_FOLDER: &str = "/var/lib/pulsefield/record";
