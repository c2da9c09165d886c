//! Revision 0 of what is on the bus: names, paths and signatures as tcmu-runner made them and
//! targetcli-fb expects them. Frozen; the contract is theirs, not ours.
//!
//! | object | interface | members |
//! |---|---|---|
//! | [`ROOT_PATH`] | `org.freedesktop.DBus.ObjectManager` | the standard ones |
//! | [`SUBTYPE_PATH`] | `org.kernel.TCMUService1` | `CheckConfig(s) → (b, s)`, `ConfigDesc` |
//! | [`HANDLER_PATH`], while tcmu-runner owns the name | the same | the same |

mod handler;
mod runner;

pub(super) use handler::Handler;
pub(super) use runner::Registration;

/// The name that targetcli calls.
pub(super) const SERVICE_NAME: &str = "org.kernel.TCMUService1";

/// The object manager that targetcli asks for the kinds of user backstore.
pub(super) const ROOT_PATH: &str = "/org/kernel/TCMUService1";

/// Our kind of user backstore; its last element becomes `user:pulsefield`.
pub(super) const SUBTYPE_PATH: &str = "/org/kernel/TCMUService1/pulsefield";

/// The TCMU subtype: what a device's configuration string begins with, and targetcli shows.
pub(super) const SUBTYPE: &str = "pulsefield";

/// The name an external handler of this subtype owns while it is registered with tcmu-runner.
pub(super) const HANDLER_NAME: &str = "org.kernel.TCMUService1.HandlerManager1.pulsefield";

/// Where tcmu-runner looks for that handler's object.
pub(super) const HANDLER_PATH: &str = "/org/kernel/TCMUService1/HandlerManager1/pulsefield";

/// Where tcmu-runner takes registrations.
pub(super) const MANAGER_PATH: &str = "/org/kernel/TCMUService1/HandlerManager1";

/// The interface of registrations.
pub(super) const MANAGER_INTERFACE: &str = "org.kernel.TCMUService1.HandlerManager1";
