//! From connecting to losing the bus: who owns the name, and what follows from it.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use futures_lite::StreamExt;
use thiserror::Error;
use zbus::Connection;
use zbus::connection::Builder;
use zbus::fdo::{self, DBusProxy, ObjectManager, RequestNameFlags};

use super::Presence;
use super::r0::{Handler, ROOT_PATH, Registration, SERVICE_NAME, SUBTYPE_PATH};
use crate::ControlPlane;
use crate::protocol::DbusState;

/// How long the bus or tcmu-runner may take to answer: what libdbus and GDBus give any call.
const PATIENCE: Duration = Duration::from_secs(25);

/// What it takes to be on the bus.
pub(super) struct Session {
    /// Where the bus is.
    pub(super) bus: Box<dyn Fn() -> Builder<'static> + Send + Sync>,
    pub(super) plane: Arc<dyn ControlPlane>,
    pub(super) presence: Arc<Presence>,
}

/// Why the daemon is not on the bus, or no longer.
#[derive(Debug, Error)]
pub(super) enum SessionError {
    #[error("cannot connect: {0}")]
    Connect(zbus::Error),
    #[error("cannot queue for {SERVICE_NAME}: {0}")]
    Queue(zbus::Error),
    #[error("the bus fails: {0}")]
    Bus(#[from] zbus::Error),
    #[error("the bus does not say who owns {SERVICE_NAME}: {0}")]
    Owner(#[from] fdo::Error),
    #[error("the bus closed the connection")]
    Closed,
}

impl Session {
    /// Is on the bus for as long as there is one.
    pub(super) async fn hold(&self) -> Result<Infallible, SessionError> {
        // The handler first: objects below a manager are announced when they come.
        let connection = self
            .bus()
            .serve_at(SUBTYPE_PATH, Handler::new(Arc::clone(&self.plane)))
            .serve_at(ROOT_PATH, ObjectManager)
            .build()
            .await
            .map_err(SessionError::Connect)?;
        let bus = DBusProxy::new(&connection).await?;
        // Before the name is asked for, so that no change of its owner is missed.
        let mut changes = bus.receive_name_owner_changed_with_args(&[(0, SERVICE_NAME)]).await?;
        // No flag: wait in the queue, and let nobody push in.
        connection
            .request_name_with_flags(SERVICE_NAME, RequestNameFlags::empty())
            .await
            .map_err(SessionError::Queue)?;
        let mut registration = None;
        loop {
            registration = self.follow(&connection, &bus, registration).await?;
            changes.next().await.ok_or(SessionError::Closed)?;
        }
    }

    /// Takes the place that the name's present owner leaves us.
    async fn follow(
        &self,
        connection: &Connection,
        bus: &DBusProxy<'_>,
        registration: Option<Registration>,
    ) -> Result<Option<Registration>, SessionError> {
        let owner = match bus.get_name_owner(SERVICE_NAME.try_into()?).await {
            Ok(owner) => owner,
            // Between two owners; the change to the next one is on its way.
            Err(fdo::Error::NameHasNoOwner(_)) => return Ok(registration),
            Err(error) => return Err(error.into()),
        };
        if let Some(registration) = registration {
            if *registration.owner() == owner {
                return Ok(Some(registration));
            }
            registration.leave().await?;
        }
        if connection.unique_name() == Some(&owner) {
            self.enter(DbusState::Owner);
            return Ok(None);
        }
        match Registration::with(owner, self.bus(), &self.plane).await {
            Ok(registration) => {
                self.enter(DbusState::Registered { with: registration.owner().to_string() });
                Ok(Some(registration))
            }
            Err(error) => {
                self.enter(DbusState::Waiting { reason: error.to_string() });
                Ok(None)
            }
        }
    }

    fn bus(&self) -> Builder<'static> {
        (self.bus)().method_timeout(PATIENCE)
    }

    fn enter(&self, state: DbusState) {
        // The bus also tells us of the change that our own request has made.
        if self.presence.state() == state {
            return;
        }
        if matches!(state, DbusState::Waiting { .. }) {
            tracing::warn!(dbus = %state, "targetcli cannot offer user:pulsefield");
        } else {
            tracing::info!(dbus = %state, "targetcli can offer user:pulsefield");
        }
        self.presence.set(state);
    }
}
