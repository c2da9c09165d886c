//! The paths to one logical unit that a user has named, opened and claimed.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use thiserror::Error;

use crate::device::{Claim, OpenError, SgDevice};
use crate::naa::Naa;
use crate::unit::{LogicalUnit, UnitError};

/// Paths to one logical unit, which nobody else on this machine uses as long as this lives.
#[derive(Debug)]
pub struct Paths {
    unit: LogicalUnit,
    devices: Vec<Arc<SgDevice>>,
    _claims: Vec<Claim>,
}

/// Why paths cannot be used.
#[derive(Debug, Error)]
pub enum PathsError {
    /// One of them cannot be opened or claimed.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// One is named twice, by its block device and its generic one perhaps.
    #[error("{} is a path that was given already", node.display())]
    Twice {
        /// The path.
        node: PathBuf,
    },
    /// What one of them leads to is no disk for a volume.
    #[error("{} cannot be used", node.display())]
    Unit {
        /// The path.
        node: PathBuf,
        /// Why.
        source: UnitError,
    },
    /// Two lead to different units.
    #[error("{} leads to {}, and {} to {}: give paths to one logical unit", first.0.display(), first.1, other.0.display(), other.1)]
    Different {
        /// One of them, and the unit.
        first: Box<(PathBuf, Naa)>,
        /// Another, and its unit.
        other: Box<(PathBuf, Naa)>,
    },
    /// There are several, and one leads to a unit without a name, of which nobody knows whether it is the same.
    #[error("{} leads to a unit without an NAA identifier: it cannot be told whether others are paths to it, too", node.display())]
    Nameless {
        /// The path.
        node: PathBuf,
    },
    /// Nobody may write to the unit.
    #[error("{} is write-protected", node.display())]
    WriteProtected {
        /// The path.
        node: PathBuf,
    },
}

impl Paths {
    /// Opens and claims the paths behind these nodes, and asks by each of them what it leads to.
    ///
    /// # Errors
    /// [`PathsError`]. Nothing was written.
    ///
    /// # Panics
    /// If there is no node.
    pub fn open(nodes: &[PathBuf]) -> Result<Self, PathsError> {
        let (mut devices, mut claims, mut units) = (Vec::new(), Vec::new(), Vec::new());
        for node in nodes {
            let device = SgDevice::open(node)?;
            let same = |other: &Arc<SgDevice>| other.path().address == device.path().address;
            if devices.iter().any(same) {
                return Err(PathsError::Twice { node: node.clone() });
            }
            claims.push(Claim::take(device.path())?);
            let unit = LogicalUnit::ask(&device)
                .map_err(|source| PathsError::Unit { node: node.clone(), source })?;
            units.push((node.as_path(), unit));
            devices.push(Arc::new(device));
        }
        let unit = only_unit(units)?;
        Ok(Self { unit, devices, _claims: claims })
    }

    /// The unit, as it was when the first path was asked.
    pub const fn unit(&self) -> &LogicalUnit {
        &self.unit
    }

    /// The paths, in the order in which they were named.
    pub fn devices(&self) -> &[Arc<SgDevice>] {
        &self.devices
    }
}

/// The unit that all of these are.
fn only_unit(units: Vec<(&Path, LogicalUnit)>) -> Result<LogicalUnit, PathsError> {
    for (node, unit) in &units {
        let node = || node.to_path_buf();
        if unit.write_protected {
            return Err(PathsError::WriteProtected { node: node() });
        }
        if units.len() > 1 && unit.naa.is_none() {
            return Err(PathsError::Nameless { node: node() });
        }
    }
    let named = |(node, unit): &(&Path, LogicalUnit)| Some((node.to_path_buf(), unit.naa.clone()?));
    let mut names = units.iter().filter_map(named);
    if let Some(first) = names.next()
        && let Some(other) = names.find(|(_, naa)| *naa != first.1)
    {
        return Err(PathsError::Different { first: Box::new(first), other: Box::new(other) });
    }
    Ok(units.into_iter().next().expect("there is a path").1)
}

#[cfg(test)]
mod tests {
    use pulsefield_units::{BlockCount, BlockLength};

    use super::*;

    fn unit(naa: Option<&str>) -> LogicalUnit {
        LogicalUnit {
            vendor: "LIO-ORG".to_owned(),
            product: "pulsefield".to_owned(),
            revision: "0001".to_owned(),
            naa: naa.map(|it| it.parse().unwrap()),
            blocks: BlockCount::new(1 << 21),
            block_length: BlockLength::B512,
            compare_and_write_max: 1,
            unmap_max: 0,
            unmaps_to_zeros: false,
            third_party_copy: true,
            write_protected: false,
        }
    }

    fn together<const N: usize>(units: [LogicalUnit; N]) -> Result<LogicalUnit, String> {
        let nodes = ["/dev/sda", "/dev/sdb"].into_iter().map(Path::new);
        only_unit(nodes.zip(units).collect()).map_err(|error| error.to_string())
    }

    const ONE: Option<&str> = Some("naa.6001405a00000001");
    const TWO: Option<&str> = Some("naa.6001405a00000002");

    #[test]
    fn paths_are_of_one_unit_by_its_name() {
        assert_eq!(together([unit(ONE), unit(ONE)]), Ok(unit(ONE)));
        assert_eq!(together([unit(None)]), Ok(unit(None)), "one path needs no name");
        let words = "/dev/sda leads to naa.6001405a00000001, and /dev/sdb to \
                     naa.6001405a00000002: give paths to one logical unit";
        assert_eq!(together([unit(ONE), unit(TWO)]), Err(words.to_owned()));
        let nameless = together([unit(ONE), unit(None)]).unwrap_err();
        assert!(nameless.starts_with("/dev/sdb leads to a unit without"), "{nameless}");
    }

    #[test]
    fn what_is_write_protected_is_refused() {
        let protected = LogicalUnit { write_protected: true, ..unit(ONE) };
        let refused = together([protected]).unwrap_err();
        assert_eq!(refused, "/dev/sda is write-protected");
    }

    #[test]
    fn the_first_node_that_is_no_path_is_told() {
        let error = Paths::open(&[PathBuf::from("/dev/null")]).unwrap_err();
        assert_eq!(error.to_string(), "/dev/null is no SCSI disk");
    }
}
