//! Starting and ending the daemon.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use pulsefield_control::config::{Config, ConfigError};
use pulsefield_control::dbus::{DbusService, Presence};
use pulsefield_control::protocol::DbusState;
use pulsefield_control::{ControlPlane, ServeError, Server};
use pulsefield_kernel::{
    AttributeError, LoadError, Module, Netlink, NetlinkError, Roots, runner_pid, scan,
};
use pulsefield_metrics as metrics;
use sd_notify::NotifyState;
use thiserror::Error;
use tracing::{error, info, warn};

use crate::errand::Errands;
use crate::exposition::Exposition;
use crate::logging::Logging;
use crate::lun::Commons;
use crate::media::Media;
use crate::plane::Plane;
use crate::plans::Plans;
use crate::pool::Pools;
use crate::saved_state::StateFolder;
use crate::supervisor::{News, Supervisor, launch};
use crate::table::SharedTable;
use crate::watchdog::{Watchdog, notify};
use crate::{announcements, signals};

/// How long the first attempt at D-Bus may take before the daemon says it is ready.
const DBUS_PATIENCE: Duration = Duration::from_secs(3);

/// Where the daemon reads, listens and keeps things.
#[derive(Clone, Debug)]
pub struct ServeOptions {
    /// The configuration file; it may be missing.
    pub config: PathBuf,
    /// The control socket.
    pub socket: PathBuf,
    /// The folder in which logical units keep what they save.
    pub state: PathBuf,
}

/// Why the daemon does not start, or does not go on.
#[derive(Debug, Error)]
pub enum StartError {
    /// The configuration file is wrong.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The kernel has no TCMU.
    #[error(transparent)]
    Load(#[from] LoadError),
    /// The kernel's announcements cannot be heard.
    #[error(transparent)]
    Netlink(#[from] NetlinkError),
    /// The module's parameters cannot be set.
    #[error(transparent)]
    Module(#[from] AttributeError),
    /// The control socket cannot be served.
    #[error(transparent)]
    Socket(#[from] ServeError),
    /// The operating system refused something.
    #[error("cannot {action}")]
    Io {
        /// What was tried.
        action: &'static str,
        /// What the operating system said.
        source: io::Error,
    },
}

fn io_error(action: &'static str) -> impl FnOnce(io::Error) -> StartError {
    move |source| StartError::Io { action, source }
}

/// Runs the daemon until a signal ends it.
///
/// # Errors
/// Why it does not start; [`StartError::Netlink`] also if the kernel's announcements can no longer
/// be heard, after all units were closed. Once it has started, whatever happens to a logical unit or
/// to D-Bus is logged and does not end it.
pub fn serve(options: &ServeOptions) -> Result<(), StartError> {
    let config = Config::load_or_default(&options.config)?;
    let plans = Plans::load(&config, &options.config)?;
    let logging = Logging::start(config.daemon.log);
    become_io_flusher();
    let signals = signals::block().map_err(io_error("block signals"))?;
    let roots = Roots::default();
    let netlink = join_kernel(&roots)?;

    let started = Instant::now();
    let use_dbus = config.daemon.dbus;
    let metrics_address = config.metrics.listen;
    let presence = Arc::new(Presence::new(match use_dbus {
        true => DbusState::Connecting,
        false => DbusState::Disabled,
    }));
    let table = SharedTable::new(config, plans);
    let media = Arc::new(Media::new());
    let pools = Pools::default();
    let exposition = Exposition::new(table.clone(), pools.clone());
    let (sender, news) = crossbeam_channel::unbounded();
    let plane: Arc<dyn ControlPlane> = Arc::new(Plane {
        table: table.clone(),
        media: media.clone(),
        presence: presence.clone(),
        config_path: options.config.clone(),
        roots: roots.clone(),
        logging,
        started,
    });
    let stop = sender.clone();
    signals::watch(signals, plane.clone(), move || {
        // The supervisor is gone only when the process ends.
        let _ = stop.send(News::Stop);
    })
    .map_err(io_error("start a thread"))?;

    // Announcements first, then the scan: a device that appears in between is named by both, and
    // none is missed.
    announcements::listen(netlink, sender.clone()).map_err(io_error("start a thread"))?;
    let devices = scan(&roots).map_err(io_error("look for UIO devices"))?;
    let ours = devices.into_iter().filter(|device| device.name.is_ours()).collect();
    let mut supervisor = Supervisor {
        table: table.clone(),
        commons: Commons {
            roots,
            media,
            table,
            pools,
            errands: Errands::start().map_err(io_error("start a thread"))?,
            states: StateFolder::new(options.state.join("units")),
        },
        launch: Box::new(launch),
        watchdog: Watchdog::new(),
        sender,
        news,
        stopping: false,
        deaf: None,
    };
    supervisor.adopt(ours);

    let control = Server::start(&options.socket, plane.clone())?;
    let metrics = metrics_address.and_then(|address| serve_metrics(address, exposition));
    let dbus = match use_dbus {
        true => {
            Some(DbusService::start(plane, presence.clone()).map_err(io_error("start a thread"))?)
        }
        false => None,
    };
    info!(dbus = %presence.wait_settled(DBUS_PATIENCE), "ready");
    notify(&[NotifyState::Ready]);

    supervisor.run();
    notify(&[NotifyState::Stopping]);
    drop(dbus);
    supervisor.stop();
    drop((metrics, control));
    info!("stopped");
    supervisor.deaf.map_or(Ok(()), |error| Err(error.into()))
}

/// Serves metrics. That they cannot be had keeps nobody from disks.
fn serve_metrics(address: SocketAddr, exposition: Exposition) -> Option<metrics::Server> {
    match metrics::Server::start(address, move || exposition.page()) {
        Ok(server) => {
            info!(address = %server.address(), "metrics are served");
            Some(server)
        }
        Err(error) => {
            error!(error = &error as &dyn std::error::Error, "there are no metrics");
            None
        }
    }
}

/// Asks the kernel not to reclaim memory by writing to block devices on behalf of our threads
/// (`PR_SET_IO_FLUSHER`): such a device may be one of ours, mounted on this machine, and then wait
/// for the very thread that is to serve it. Every thread inherits this from the first.
fn become_io_flusher() {
    if let Err(error) = rustix::process::configure_io_flusher_behavior(true) {
        warn!(%error, "disks of ours that are mounted on this machine may hang when memory is low");
    }
}

/// Loads TCMU and joins its netlink group; ends what waits for the answer of a daemon that died.
fn join_kernel(roots: &Roots) -> Result<Netlink, StartError> {
    let module = Module::new(roots);
    module.load()?;
    let netlink = Netlink::join()?;
    netlink.enable_replies()?;
    match runner_pid(roots) {
        Ok(None) => module.block_netlink()?.reset()?,
        Ok(Some(pid)) => info!(pid, "tcmu-runner is running; its netlink requests are left alone"),
        Err(error) => warn!(%error, "whether tcmu-runner is running cannot be found out"),
    }
    Ok(netlink)
}
