//! Finding, creating, opening and locking the file, and saying exactly why that cannot be done.

use std::fs::{self, File, Metadata, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use nix::unistd::{AccessFlags, access};
use pulsefield_backstore::{Claim, OpenError};

/// A file of the right size, locked for as long as it is open.
pub(crate) struct Image {
    pub(crate) file: File,
    /// Who keeps others off the file, if not this open file itself.
    pub(crate) claim: Option<Claim>,
    /// Removes the file again if it was created and is not to be kept.
    pub(crate) draft: Draft,
}

/// A file that was just created, or none: removed on drop unless it is kept.
pub(crate) struct Draft(Option<PathBuf>);

impl Draft {
    pub(crate) fn keep(mut self) {
        self.0 = None;
    }
}

impl Drop for Draft {
    fn drop(&mut self) {
        if let Some(path) = &self.0 {
            // Nothing more can be done about a file that cannot be removed; the reason why it is
            // removed is what gets reported.
            drop(fs::remove_file(path));
        }
    }
}

/// Says whether [`Image::open`] would find or could create `path`. Its size remains to be seen.
pub(crate) fn check(path: &Path, read_only: bool) -> Result<(), OpenError> {
    match find(path, read_only)? {
        // The lock is held for a moment only: that is how one learns that somebody else holds it.
        Some(_) => open_claimed(path, read_only, None).map(drop),
        None => check_folder(path),
    }
}

impl Image {
    /// Opens `path`, which must be `bytes` long, or creates it. A file that `predecessor` is on is
    /// not locked once more, but left to that.
    pub(crate) fn open(
        path: &Path,
        bytes: u64,
        read_only: bool,
        predecessor: Option<&Claim>,
    ) -> Result<Self, OpenError> {
        if find(path, read_only)?.is_none() {
            return Self::create(path, bytes);
        }
        let (file, claim) = open_claimed(path, read_only, predecessor)?;
        let metadata = file.metadata().map_err(refused("examine", path))?;
        require_regular(path, &metadata)?;
        let found = metadata.len();
        let remedy = if found < bytes {
            "give the logical unit that size, or grow the file with truncate(1)"
        } else {
            "give the logical unit that size, or cut the file with truncate(1) and lose its end"
        };
        if found != bytes {
            return Err(OpenError::Size { path: text(path), found, wanted: bytes, remedy });
        }
        Ok(Self { file, claim, draft: Draft(None) })
    }

    fn create(path: &Path, bytes: u64) -> Result<Self, OpenError> {
        check_folder(path)?;
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create_new(true)
            // A disk's contents are nobody's but the administrator's.
            .mode(0o600)
            .open(path)
            .map_err(refused("create", path))?;
        let draft = Draft(Some(path.to_owned()));
        lock(&file, path)?;
        file.set_len(bytes).map_err(refused("extend", path))?;
        // Durable data in a file whose name is not durable would be lost with the name.
        let folder = path.parent().unwrap_or(Path::new("/"));
        file.sync_all()
            .and_then(|()| File::open(folder)?.sync_all())
            .map_err(refused("sync", path))?;
        Ok(Self { file, claim: None, draft })
    }
}

/// The file's metadata if there is a regular file, `None` if there is nothing and it may be
/// created. Looks before anything is opened: to open a device can have effects of its own.
fn find(path: &Path, read_only: bool) -> Result<Option<Metadata>, OpenError> {
    match fs::metadata(path) {
        Ok(metadata) => require_regular(path, &metadata).map(|()| Some(metadata)),
        Err(error) if error.kind() == io::ErrorKind::NotFound && !read_only => Ok(None),
        Err(error) => Err(refused("open", path)(error)),
    }
}

fn require_regular(path: &Path, metadata: &Metadata) -> Result<(), OpenError> {
    match metadata.is_file() {
        true => Ok(()),
        false => Err(OpenError::other_kind(path, metadata.file_type(), "regular file", "file")),
    }
}

fn check_folder(path: &Path) -> Result<(), OpenError> {
    // Only `/` has no parent, and that exists.
    let folder = path.parent().unwrap_or(path);
    match access(folder, AccessFlags::W_OK | AccessFlags::X_OK) {
        Ok(()) => Ok(()),
        Err(nix::Error::ENOENT | nix::Error::ENOTDIR) => {
            Err(OpenError::NoFolder { path: text(path), folder: text(folder) })
        }
        Err(errno) => Err(refused("create", path)(errno.into())),
    }
}

/// Opens the file and locks it, unless `predecessor` is on it; then that comes back too.
fn open_claimed(
    path: &Path,
    read_only: bool,
    predecessor: Option<&Claim>,
) -> Result<(File, Option<Claim>), OpenError> {
    let file = OpenOptions::new().read(true).write(!read_only).open(path).map_err(|source| {
        let denied = matches!(
            source.kind(),
            io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem
        );
        if denied && !read_only {
            OpenError::NotWritable { path: text(path), source }
        } else {
            refused("open", path)(source)
        }
    })?;
    let is_on = |claim: &Claim| file.metadata().and_then(|metadata| claim.is_on(&metadata));
    if let Some(claim) = predecessor
        && is_on(claim).map_err(refused("examine", path))?
    {
        return Ok((file, Some(claim.clone())));
    }
    lock(&file, path)?;
    Ok((file, None))
}

/// Takes the file for us alone, by whatever name it was reached: flock(2) locks the inode, and
/// conflicts between two open files of one process as well.
fn lock(file: &File, path: &Path) -> Result<(), OpenError> {
    file.try_lock().map_err(|error| match error {
        TryLockError::WouldBlock => OpenError::InUse { path: text(path) },
        TryLockError::Error(source) => refused("lock", path)(source),
    })
}

fn refused(action: &'static str, path: &Path) -> impl Fn(io::Error) -> OpenError {
    let path = text(path);
    move |source| OpenError::Io { action, path: path.clone(), source }
}

fn text(path: &Path) -> String {
    path.display().to_string()
}
