//! What logical units keep when the daemon ends: a folder with one small file for each, named after
//! its unit serial number, so that it stays with the unit when that is renamed or moved.
//!
//! A file is replaced as a whole: written beside the old one, synchronized, and renamed over it. So
//! whatever happens there is the old state or the new one.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use pulsefield_engine::{Operation, SavedState};
use pulsefield_scsi::SetIdentifyingInformation;
use pulsefield_scsi::mode_page::ModeSettings;
use serde::{Deserialize, Serialize};
use thiserror::Error;

/// The longest name of a file that is used, in bytes: what Linux' file systems take, less the ending.
const NAME_BYTES_MAX: usize = 240;

/// Why a unit's state cannot be had or kept.
#[derive(Debug, Error)]
pub(crate) enum StateError {
    #[error("the unit has no serial number to keep its state under")]
    Nameless,
    #[error("the serial number of {0} bytes is too long for the name of a file")]
    LongName(usize),
    #[error("{}", path.display())]
    Io { path: PathBuf, source: io::Error },
    #[error("{} makes no sense", path.display())]
    Malformed { path: PathBuf, source: toml::de::Error },
    #[error("{} holds {length} bytes of identifying information", path.display())]
    LongInformation { path: PathBuf, length: usize },
}

/// Where the state of all units is kept.
#[derive(Clone, Debug)]
pub(crate) struct StateFolder(PathBuf);

/// A file of the folder.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct StateFile {
    #[serde(skip_serializing_if = "Option::is_none")]
    modes: Option<Modes>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    identifying_information: Vec<u8>,
    #[serde(skip_serializing_if = "Option::is_none")]
    unfinished: Option<Unfinished>,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Unfinished {
    Format,
    Sanitize,
    SanitizeWithUnrestrictedExit,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Modes {
    write_cache_enabled: bool,
    descriptor_sense: bool,
    software_write_protect: bool,
}

impl StateFolder {
    /// The folder at `path`, which need not be there before something is saved.
    pub(crate) fn new(path: impl Into<PathBuf>) -> Self {
        Self(path.into())
    }

    /// The state of the unit with this serial number: nothing, if it has never saved any.
    pub(crate) fn load(&self, serial: &str) -> Result<SavedState, StateError> {
        let path = self.file(serial)?;
        let text = match fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Ok(SavedState::default());
            }
            Err(source) => return Err(StateError::Io { path, source }),
        };
        let file: StateFile = match toml::from_str(&text) {
            Ok(file) => file,
            Err(source) => return Err(StateError::Malformed { path, source }),
        };
        let length = file.identifying_information.len();
        if length > SetIdentifyingInformation::LENGTH_MAX.into() {
            return Err(StateError::LongInformation { path, length });
        }
        Ok(file.into())
    }

    /// Puts the state of the unit with this serial number on stable storage.
    ///
    /// # Panics
    /// Never: booleans and bytes are all TOML has to hold.
    pub(crate) fn save(&self, serial: &str, state: &SavedState) -> Result<(), StateError> {
        let path = self.file(serial)?;
        let text = toml::to_string(&StateFile::from(state)).expect("booleans and bytes");
        self.replace(&path, &text).map_err(|source| StateError::Io { path, source })
    }

    fn replace(&self, path: &Path, text: &str) -> io::Result<()> {
        fs::create_dir_all(&self.0)?;
        let new = path.with_extension("new");
        let mut file = File::create(&new)?;
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        fs::rename(&new, path)?;
        // The new name is on stable storage only when its folder is.
        File::open(&self.0)?.sync_all()
    }

    /// The file of the unit with this serial number, whatever bytes that is made of.
    fn file(&self, serial: &str) -> Result<PathBuf, StateError> {
        if serial.is_empty() {
            return Err(StateError::Nameless);
        }
        let name: String = serial.bytes().map(escape).collect();
        if name.len() > NAME_BYTES_MAX {
            return Err(StateError::LongName(serial.len()));
        }
        Ok(self.0.join(format!("{name}.toml")))
    }
}

/// A byte as itself if it means nothing in any path, else as % and two hexadecimal digits.
fn escape(byte: u8) -> String {
    match byte {
        b'0'..=b'9' | b'A'..=b'Z' | b'a'..=b'z' | b'-' | b'_' => char::from(byte).to_string(),
        _ => format!("%{byte:02X}"),
    }
}

impl From<StateFile> for SavedState {
    fn from(file: StateFile) -> Self {
        let modes = file.modes.map(|modes| ModeSettings {
            write_cache_enabled: modes.write_cache_enabled,
            descriptor_sense: modes.descriptor_sense,
            software_write_protect: modes.software_write_protect,
        });
        let unfinished = file.unfinished.map(|unfinished| match unfinished {
            Unfinished::Format => Operation::Format,
            Unfinished::Sanitize => Operation::Sanitize { unrestricted_exit: false },
            Unfinished::SanitizeWithUnrestrictedExit => {
                Operation::Sanitize { unrestricted_exit: true }
            }
        });
        Self { modes, identifying_information: file.identifying_information, unfinished }
    }
}

impl From<&SavedState> for StateFile {
    fn from(state: &SavedState) -> Self {
        let modes = state.modes.map(|modes| Modes {
            write_cache_enabled: modes.write_cache_enabled,
            descriptor_sense: modes.descriptor_sense,
            software_write_protect: modes.software_write_protect,
        });
        let unfinished = state.unfinished.map(|operation| match operation {
            Operation::Format => Unfinished::Format,
            Operation::Sanitize { unrestricted_exit: false } => Unfinished::Sanitize,
            Operation::Sanitize { unrestricted_exit: true } => {
                Unfinished::SanitizeWithUnrestrictedExit
            }
        });
        Self { modes, identifying_information: state.identifying_information.clone(), unfinished }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MODES: ModeSettings = ModeSettings {
        write_cache_enabled: false,
        descriptor_sense: true,
        software_write_protect: true,
    };

    fn state(information: &[u8]) -> SavedState {
        SavedState {
            modes: Some(MODES),
            identifying_information: information.to_vec(),
            unfinished: None,
        }
    }

    #[test]
    fn what_is_saved_is_loaded_again_by_its_serial_number_alone() {
        let directory = tempfile::tempdir().unwrap();
        let folder = StateFolder::new(directory.path().join("units"));
        assert_eq!(folder.load("one").unwrap(), SavedState::default());
        folder.save("one", &state(b"rack 7\xff\0")).unwrap();
        folder.save("../two", &state(b"")).unwrap();
        assert_eq!(folder.load("one").unwrap(), state(b"rack 7\xff\0"));
        assert_eq!(folder.load("../two").unwrap(), state(b""));
        folder.save("one", &SavedState::default()).unwrap();
        assert_eq!(folder.load("one").unwrap(), SavedState::default());
        let files = fs::read_dir(directory.path().join("units")).unwrap();
        let mut names: Vec<_> = files.map(|file| file.unwrap().file_name()).collect();
        names.sort();
        assert_eq!(names, ["%2E%2E%2Ftwo.toml", "one.toml"], "nothing is left beside them");
    }

    #[test]
    fn an_operation_that_was_not_finished_is_kept() {
        let directory = tempfile::tempdir().unwrap();
        let folder = StateFolder::new(directory.path());
        for operation in [
            Operation::Format,
            Operation::Sanitize { unrestricted_exit: false },
            Operation::Sanitize { unrestricted_exit: true },
        ] {
            let state = SavedState { unfinished: Some(operation), ..SavedState::default() };
            folder.save("x", &state).unwrap();
            assert_eq!(folder.load("x").unwrap(), state);
        }
    }

    #[test]
    fn a_serial_number_that_makes_no_name_is_refused() {
        let folder = StateFolder::new("/nonexistent");
        assert!(matches!(folder.load(""), Err(StateError::Nameless)));
        let long = "7".repeat(241);
        assert!(matches!(folder.load(&long), Err(StateError::LongName(241))));
        assert!(matches!(folder.save(&long, &state(b"")), Err(StateError::LongName(_))));
    }

    #[test]
    fn a_file_that_makes_no_sense_is_an_error_and_stays() {
        let directory = tempfile::tempdir().unwrap();
        let folder = StateFolder::new(directory.path());
        let path = directory.path().join("x.toml");
        fs::write(&path, "mode = 1").unwrap();
        assert!(matches!(folder.load("x"), Err(StateError::Malformed { .. })));
        fs::write(&path, format!("identifying_information = {:?}", [0; 513])).unwrap();
        assert!(matches!(folder.load("x"), Err(StateError::LongInformation { length: 513, .. })));
        assert!(path.exists());
        assert!(matches!(folder.load("x/../y"), Ok(state) if state == SavedState::default()));
    }

    #[test]
    fn a_folder_that_cannot_be_written_is_an_error() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("file");
        fs::write(&file, "").unwrap();
        let error = StateFolder::new(file).save("x", &state(b"")).unwrap_err();
        assert!(matches!(error, StateError::Io { .. }));
    }
}
