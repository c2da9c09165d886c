//! The object that speaks for one TCMU subtype.

use std::sync::Arc;

use zbus::fdo::{self, DBusProxy};
use zbus::message::Header;
use zbus::{Connection, interface};

use super::SUBTYPE;
use crate::ControlPlane;

/// Answers targetcli, directly or through tcmu-runner.
pub(in crate::dbus) struct Handler {
    plane: Arc<dyn ControlPlane>,
}

impl Handler {
    pub(in crate::dbus) const fn new(plane: Arc<dyn ControlPlane>) -> Self {
        Self { plane }
    }
}

#[interface(name = "org.kernel.TCMUService1")]
impl Handler {
    /// Says whether a user backstore could be made of `config`, `pulsefield/<cfgstring>`; if not,
    /// the second half of the answer is what targetcli shows its user.
    async fn check_config(
        &self,
        config: &str,
        #[zbus(connection)] connection: &Connection,
        #[zbus(header)] header: Header<'_>,
    ) -> fdo::Result<(bool, String)> {
        refuse_strangers(connection, &header).await?;
        let cfgstring = config.strip_prefix(SUBTYPE).and_then(|rest| rest.strip_prefix('/'));
        let checked = match cfgstring {
            Some(cfgstring) => self.plane.check_config(cfgstring),
            None => Err(format!("\"{config}\" does not begin with {SUBTYPE}/")),
        };
        Ok(match checked {
            // The word that tcmu-runner says.
            Ok(()) => (true, "success".to_owned()),
            Err(reason) => (false, reason),
        })
    }

    /// What a cfgstring looks like, for targetcli's help.
    #[zbus(property(emits_changed_signal = "const"))]
    fn config_desc(&self) -> String {
        self.plane.config_description()
    }
}

/// Lets root ask, and the user that the daemon runs as. A check looks at files with the daemon's
/// eyes; anybody else could find out with it which files exist. Our bus policy says the same, but
/// tcmu-runner's, where it is installed, lets everybody call the name.
async fn refuse_strangers(connection: &Connection, header: &Header<'_>) -> fdo::Result<()> {
    let (Some(caller), Some(own)) = (header.sender(), connection.unique_name()) else {
        return Err(fdo::Error::AccessDenied("a bus says who calls".to_owned()));
    };
    let bus = DBusProxy::new(connection).await?;
    let caller = bus.get_connection_unix_user(caller.clone().into()).await?;
    if caller == 0 || caller == bus.get_connection_unix_user(own.as_ref().into()).await? {
        return Ok(());
    }
    Err(fdo::Error::AccessDenied("only root may have configurations checked".to_owned()))
}
