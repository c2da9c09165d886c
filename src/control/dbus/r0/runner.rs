//! Registration with a tcmu-runner that owns the name.

use std::sync::Arc;

use thiserror::Error;
use zbus::Connection;
use zbus::connection::Builder;
use zbus::names::OwnedUniqueName;

use super::{HANDLER_NAME, HANDLER_PATH, Handler, MANAGER_INTERFACE, MANAGER_PATH, SUBTYPE};
use crate::ControlPlane;

/// Why tcmu-runner does not pass questions on to us.
#[derive(Debug, Error)]
pub(in crate::dbus) enum RegisterError {
    /// The bus, or the other end of the call, failed.
    #[error("registering with tcmu-runner failed: {0}")]
    Bus(#[from] zbus::Error),
    /// tcmu-runner said no.
    #[error("tcmu-runner refused the registration: {0}")]
    Refused(String),
}

/// A place in tcmu-runner's list of handlers. tcmu-runner watches [`HANDLER_NAME`], so it lasts as
/// long as the connection that owns it.
#[derive(Debug)]
pub(in crate::dbus) struct Registration {
    with: OwnedUniqueName,
    connection: Connection,
}

impl Registration {
    /// Registers with `owner`, the connection that has the main name.
    pub(in crate::dbus) async fn with(
        owner: OwnedUniqueName,
        bus: Builder<'static>,
        plane: &Arc<dyn ControlPlane>,
    ) -> Result<Self, RegisterError> {
        let description = plane.config_description();
        let connection = bus
            .serve_at(HANDLER_PATH, Handler::new(Arc::clone(plane)))
            .name(HANDLER_NAME)
            // tcmu-runner's bus policy lets any user own names of this kind: let none take ours.
            .allow_name_replacements(false)
            .build()
            .await?;
        let reply = connection
            .call_method(
                Some(&owner),
                MANAGER_PATH,
                Some(MANAGER_INTERFACE),
                "RegisterHandler",
                &(SUBTYPE, description.as_str()),
            )
            .await?;
        match reply.body().deserialize::<(bool, String)>()? {
            (true, _) => Ok(Self { with: owner, connection }),
            (false, reason) => Err(RegisterError::Refused(reason)),
        }
    }

    /// Whom it is with.
    pub(in crate::dbus) const fn owner(&self) -> &OwnedUniqueName {
        &self.with
    }

    /// Gives the place up; [`HANDLER_NAME`] is free when this returns.
    pub(in crate::dbus) async fn leave(self) -> zbus::Result<()> {
        self.connection.release_name(HANDLER_NAME).await?;
        self.connection.close().await
    }
}
