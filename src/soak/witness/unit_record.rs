//! Where the record of a run's unit is, if there is one.

use std::error::Error;
use std::path::Path;

use pulsefield_record::{Place, Source};
use pulsefield_report::Evidence;

/// What is known of what went through the unit, from its own side.
pub(crate) enum UnitRecord {
    /// Its record, which is followed from now on.
    Followed(Box<Source>),
    /// Nothing.
    None {
        /// Why not, in a clause.
        why: String,
    },
}

impl UnitRecord {
    /// The record of the unit `lun` in this folder. What it holds by now is of nothing that the run does.
    pub(crate) fn open(folder: &Path, lun: &str) -> Self {
        match Source::open(&Place::named(lun, folder), true) {
            Ok((source, _)) => Self::Followed(Box::new(source)),
            Err(error) => {
                let cause = error.source().map_or_else(String::new, |cause| format!(": {cause}"));
                Self::None { why: format!("the record of {lun} cannot be read: {error}{cause}") }
            }
        }
    }

    /// What a report says of it.
    pub(crate) fn evidence(&self) -> Evidence {
        match self {
            Self::Followed(source) => Evidence::Record { of: source.lun().to_owned() },
            Self::None { why } => Evidence::Hosts { why: why.clone() },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_a_record_there_is_a_reason() {
        let folder = tempfile::tempdir().unwrap();
        let none = UnitRecord::open(folder.path(), "ds1");
        let Evidence::Hosts { why } = none.evidence() else { panic!() };
        assert!(why.starts_with("the record of ds1 cannot be read: /"), "{why}");
        assert!(why.ends_with("ds1.pulserec: No such file or directory (os error 2)"), "{why}");
    }
}
