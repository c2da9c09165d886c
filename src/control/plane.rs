//! What the daemon can be asked for, by whatever door the question comes.

use crate::config::ConfigError;
use crate::protocol::{Change, LunDetail, LunSummary, Status};

/// The daemon as the control socket and D-Bus see it.
///
/// Called from the threads of those doors, several at once. Every answer describes one moment, and
/// asking twice is harmless: what is already so is not done again, and the answer says so.
pub trait ControlPlane: Send + Sync {
    /// How the daemon is.
    fn status(&self) -> Status;

    /// All logical units in brief, by name.
    fn luns(&self) -> Vec<LunSummary>;

    /// The logical unit `name` in full, if there is one.
    fn lun(&self, name: &str) -> Option<LunDetail>;

    /// Reads the configuration again and puts it in force; says what that changed.
    ///
    /// # Errors
    /// What is wrong with the file. The configuration in force stays as it is.
    fn reload(&self) -> Result<Vec<Change>, ConfigError>;

    /// Says whether a logical unit could be made of `cfgstring` (`<handler>/<locator>[;…]`, without
    /// the TCMU subtype). Changes nothing.
    ///
    /// # Errors
    /// The exact reason it could not, for the person who typed it.
    fn check_config(&self, cfgstring: &str) -> Result<(), String>;

    /// What a cfgstring looks like, for somebody who asks targetcli for help.
    fn config_description(&self) -> String;
}
