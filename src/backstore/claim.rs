//! What keeps others off a medium, and how it passes from one open medium to the next.

use std::fs::{File, Metadata};
use std::io;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _};
use std::sync::Arc;

/// An open file that keeps its medium for one logical unit alone, for as long as any copy of this
/// lives: by the lock it holds (flock(2)), or by the claim on a device it was opened with
/// (open(2), `O_EXCL`).
///
/// Both belong to the open file and not to the process, so a medium that is opened a second time is
/// in its own way. That happens when a unit in use gets other options for the medium it has: then the
/// second takes the claim of the first over.
#[derive(Clone, Debug)]
pub struct Claim(Arc<File>);

impl Claim {
    /// The claim that `file` holds.
    pub const fn new(file: Arc<File>) -> Self {
        Self(file)
    }

    /// Whether it is on the file or device that `metadata` describes, by whatever path that was
    /// found.
    ///
    /// # Errors
    /// What the operating system says if the claimed file cannot be examined.
    pub fn is_on(&self, metadata: &Metadata) -> io::Result<bool> {
        let claimed = self.0.metadata()?;
        let both = |is: fn(&Metadata) -> bool| is(&claimed) && is(metadata);
        Ok(if both(|it| it.file_type().is_block_device()) {
            // Several nodes may stand for one device.
            claimed.rdev() == metadata.rdev()
        } else {
            (claimed.dev(), claimed.ino()) == (metadata.dev(), metadata.ino())
        })
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn a_file_is_the_same_by_any_of_its_names_and_no_other() {
        let folder = tempfile::tempdir().unwrap();
        let [one, link, other] = ["one", "link", "other"].map(|name| folder.path().join(name));
        let claim = Claim::new(Arc::new(File::create(&one).unwrap()));
        fs::hard_link(&one, &link).unwrap();
        File::create(&other).unwrap();
        for (path, same) in [(&one, true), (&link, true), (&other, false)] {
            assert_eq!(claim.is_on(&fs::metadata(path).unwrap()).unwrap(), same);
        }
    }
}
