//! The socket in the file system: whose it is, and how one daemon follows another.
//!
//! A lock beside the socket says whether its daemon lives. The kernel drops it however the daemon
//! ends, so a socket whose lock is free is stale, and two daemons that start at once cannot both
//! take it. The new socket is made under another name and renamed when only root can connect to it.

use std::fs::{self, DirBuilder, File, OpenOptions, Permissions, TryLockError};
use std::io;
use std::os::unix::fs::{DirBuilderExt, FileTypeExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use mio::net::UnixListener;

use super::ServeError;

/// A bound control socket; its file goes away with it.
#[derive(Debug)]
pub(super) struct Endpoint {
    listener: UnixListener,
    path: PathBuf,
    /// Held as long as the socket is ours.
    _lock: File,
}

impl Endpoint {
    /// Binds `path`, whose folder is made if only that is missing.
    pub(super) fn open(path: &Path) -> Result<Self, ServeError> {
        if let Some(folder) = path.parent() {
            match DirBuilder::new().mode(0o700).create(folder) {
                Err(source) if source.kind() != io::ErrorKind::AlreadyExists => {
                    return Err(refused("create", folder)(source));
                }
                Ok(()) | Err(_) => {}
            }
        }
        let lock = lock(path)?;
        match fs::symlink_metadata(path) {
            Ok(found) if !found.file_type().is_socket() => {
                return Err(ServeError::NotASocket { path: path.to_owned() });
            }
            Ok(_) | Err(_) => {}
        }
        let listener = bind(path)?;
        Ok(Self { listener, path: path.to_owned(), _lock: lock })
    }

    pub(super) const fn listener(&mut self) -> &mut UnixListener {
        &mut self.listener
    }
}

impl Drop for Endpoint {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_file(&self.path) {
            tracing::warn!(%error, path = %self.path.display(), "the control socket stays behind");
        }
    }
}

fn lock(path: &Path) -> Result<File, ServeError> {
    let lock_path = beside(path, ".lock");
    let lock = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(&lock_path)
        .map_err(refused("open", &lock_path))?;
    match lock.try_lock() {
        Ok(()) => Ok(lock),
        Err(TryLockError::WouldBlock) => Err(ServeError::AlreadyServed { path: path.to_owned() }),
        Err(TryLockError::Error(source)) => Err(refused("lock", &lock_path)(source)),
    }
}

fn bind(path: &Path) -> Result<UnixListener, ServeError> {
    let unready = beside(path, ".new");
    match fs::remove_file(&unready) {
        Err(source) if source.kind() != io::ErrorKind::NotFound => {
            return Err(refused("remove", &unready)(source));
        }
        Ok(()) | Err(_) => {}
    }
    let listener = UnixListener::bind(&unready).map_err(refused("bind", &unready))?;
    fs::set_permissions(&unready, Permissions::from_mode(0o600))
        .map_err(refused("restrict", &unready))?;
    fs::rename(&unready, path).map_err(refused("create", path))?;
    Ok(listener)
}

fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}

fn refused(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> ServeError {
    let path = path.to_owned();
    move |source| ServeError::Io { action, path, source }
}
