//! Small text files of sysfs and configfs: one value each, and few ways to fail.

use std::ffi::{OsStr, OsString};
use std::fmt::Display;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use thiserror::Error;

/// Why an attribute of the kernel could not be read or set.
#[derive(Debug, Error)]
pub enum AttributeError {
    /// What the attribute belongs to has been removed.
    #[error("{} is gone", .0.display())]
    Gone(PathBuf),
    /// The owner is there but has no such attribute: the kernel is older than it.
    #[error("this kernel has no {}", .attribute.display())]
    Unsupported {
        /// The file that is missing.
        attribute: PathBuf,
    },
    /// The kernel does not take the value, or not now.
    #[error("the kernel refuses {value:?} for {}", .attribute.display())]
    Refused {
        /// The file that was written.
        attribute: PathBuf,
        /// What was written.
        value: String,
        /// What the kernel said.
        source: io::Error,
    },
    /// The attribute reads as something this version of Pulsefield does not understand.
    #[error("{} reads {text:?}, which makes no sense", .attribute.display())]
    Malformed {
        /// The file that was read.
        attribute: PathBuf,
        /// What it said.
        text: String,
    },
    /// The operating system failed in another way.
    #[error("read {}", .attribute.display())]
    Io {
        /// The file that was read.
        attribute: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
}

/// A directory of attributes: a device, a group, a module.
#[derive(Clone, Debug)]
pub(crate) struct Directory {
    path: PathBuf,
}

impl Directory {
    pub(crate) fn new(path: PathBuf) -> Self {
        Self { path }
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// The directory `name` below this one.
    pub(crate) fn child(&self, name: impl AsRef<Path>) -> Self {
        Self { path: self.path.join(name) }
    }

    /// The names of all directories below this one, in order.
    pub(crate) fn children(&self) -> Result<Vec<OsString>, AttributeError> {
        let io = |source: io::Error| self.failed(Path::new(""), source);
        let mut names = Vec::new();
        for entry in fs::read_dir(&self.path).map_err(io)? {
            let entry = entry.map_err(io)?;
            if entry.file_type().map_err(io)?.is_dir() {
                names.push(entry.file_name());
            }
        }
        names.sort();
        Ok(names)
    }

    /// The text of an attribute, without the newline at its end.
    pub(crate) fn read(&self, attribute: &str) -> Result<String, AttributeError> {
        let mut file = self.open(attribute, OpenOptions::new().read(true))?;
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes).map_err(|source| self.failed(attribute, source))?;
        let text = String::from_utf8(bytes).map_err(|error| {
            self.malformed(attribute, String::from_utf8_lossy(error.as_bytes()).as_ref())
        })?;
        Ok(text.trim_end_matches('\n').to_owned())
    }

    /// An attribute that is one value, such as a number.
    pub(crate) fn read_value<T: FromStr>(&self, attribute: &str) -> Result<T, AttributeError> {
        let text = self.read(attribute)?;
        text.trim().parse().map_err(|_| self.malformed(attribute, &text))
    }

    /// An attribute that is 0 or 1.
    pub(crate) fn read_flag(&self, attribute: &str) -> Result<bool, AttributeError> {
        self.read_value::<u32>(attribute).map(|value| value != 0)
    }

    /// Sets an attribute.
    pub(crate) fn write(&self, attribute: &str, value: impl Display) -> Result<(), AttributeError> {
        self.open_for_writing(attribute)?.write(value)
    }

    /// Opens an attribute that is to be set more than once.
    pub(crate) fn open_for_writing(
        &self,
        attribute: &str,
    ) -> Result<WritableAttribute, AttributeError> {
        let file = self.open(attribute, OpenOptions::new().write(true).truncate(true))?;
        Ok(WritableAttribute { file, directory: self.clone(), path: self.path.join(attribute) })
    }

    /// The error for an attribute that reads as nonsense.
    pub(crate) fn malformed(&self, attribute: &str, text: &str) -> AttributeError {
        AttributeError::Malformed { attribute: self.path.join(attribute), text: text.to_owned() }
    }

    fn open(&self, attribute: &str, how: &OpenOptions) -> Result<File, AttributeError> {
        how.open(self.path.join(attribute)).map_err(|source| {
            // A missing file is a missing feature only while its owner still stands.
            if source.kind() == io::ErrorKind::NotFound && self.path.exists() {
                AttributeError::Unsupported { attribute: self.path.join(attribute) }
            } else {
                self.failed(attribute, source)
            }
        })
    }

    fn failed(&self, attribute: impl AsRef<OsStr>, source: io::Error) -> AttributeError {
        if is_gone(&source) {
            AttributeError::Gone(self.path.clone())
        } else {
            AttributeError::Io { attribute: self.path.join(attribute.as_ref()), source }
        }
    }
}

/// An attribute that is open for writing.
#[derive(Debug)]
pub(crate) struct WritableAttribute {
    file: File,
    directory: Directory,
    path: PathBuf,
}

impl WritableAttribute {
    /// Sets it, in one pwrite(2): the kernel takes each write as a whole value.
    pub(crate) fn write(&self, value: impl Display) -> Result<(), AttributeError> {
        let value = value.to_string();
        self.file.write_all_at(value.as_bytes(), 0).map_err(|source| {
            if is_gone(&source) {
                AttributeError::Gone(self.directory.path.clone())
            } else {
                AttributeError::Refused { attribute: self.path.clone(), value, source }
            }
        })
    }
}

/// configfs answers ENOENT, sysfs ENODEV, on a file whose owner was removed while it was open.
fn is_gone(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::ENOENT | libc::ENODEV))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_file_is_a_missing_feature_only_while_its_owner_stands() {
        let root = tempfile::tempdir().unwrap();
        let there = Directory::new(root.path().to_owned());
        assert!(matches!(there.read("x"), Err(AttributeError::Unsupported { .. })));
        assert!(matches!(there.write("x", 1), Err(AttributeError::Unsupported { .. })));
        let gone = there.child("gone");
        assert!(
            matches!(gone.read("x"), Err(AttributeError::Gone(path)) if path.ends_with("gone"))
        );
        assert!(matches!(gone.write("x", 1), Err(AttributeError::Gone(_))));
        assert!(matches!(gone.children(), Err(AttributeError::Gone(_))));
    }

    #[test]
    fn values_are_read_as_the_kernel_writes_them() {
        let root = tempfile::tempdir().unwrap();
        let directory = Directory::new(root.path().to_owned());
        for (name, text) in
            [("number", "512\n"), ("flag", "1\n"), ("text", "a b\n"), ("bad", "x\n")]
        {
            fs::write(root.path().join(name), text).unwrap();
        }
        fs::write(root.path().join("bytes"), [0xff, 0xfe]).unwrap();
        assert_eq!(directory.read_value::<u32>("number").unwrap(), 512);
        assert!(directory.read_flag("flag").unwrap());
        assert_eq!(directory.read("text").unwrap(), "a b");
        assert!(matches!(directory.read_flag("bad"), Err(AttributeError::Malformed { .. })));
        assert!(matches!(directory.read("bytes"), Err(AttributeError::Malformed { .. })));
    }

    #[test]
    fn writing_replaces_and_never_creates() {
        let root = tempfile::tempdir().unwrap();
        let directory = Directory::new(root.path().to_owned());
        fs::write(root.path().join("x"), "1024\n").unwrap();
        directory.write("x", 7).unwrap();
        assert_eq!(directory.read("x").unwrap(), "7");
        assert!(directory.write("y", 7).is_err());
        assert!(!root.path().join("y").exists());
    }
}
