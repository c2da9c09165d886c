//! Mixes: which kinds of work hosts do, and how much of each.
//!
//! ```toml
//! # A mix of one's own. What is not there is not done; what is there has defaults.
//! [growth]
//! every = "200ms"     # of each host
//! locks = 3
//!
//! [freeze]
//! every = "1min"      # of all hosts together
//! lasting = "10s..25s"
//! ```

use pulsefield_settings::{Diagnostic, Section, nearest};
use thiserror::Error;

use crate::work::{
    Bulk, Collisions, Crash, Freeze, Growth, Offload, PowerOn, Sharing, Status, Switching, VMotion,
};

/// What hosts do besides pulsing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Mix {
    /// Storms of virtual machines that start.
    pub power_on: Option<PowerOn>,
    /// Files that grow.
    pub growth: Option<Growth>,
    /// Virtual machines that move.
    pub vmotion: Option<VMotion>,
    /// Files that several hosts have open.
    pub sharing: Option<Sharing>,
    /// Hosts that crash.
    pub crash: Option<Crash>,
    /// Hosts that freeze.
    pub freeze: Option<Freeze>,
    /// Hosts that change how they pulse.
    pub pulses: Option<Switching>,
    /// Hosts that change whether they use ATS at all. It takes a volume on which they may reserve the device instead.
    pub lock_modes: Option<Switching>,
    /// Reads and writes of virtual machines.
    pub bulk: Option<Bulk>,
    /// What hosts leave to the array.
    pub offload: Option<Offload>,
    /// Questions which blocks are mapped.
    pub status: Option<Status>,
    /// COMPARE AND WRITE and WRITE of the same blocks at once.
    pub collisions: Option<Collisions>,
}

/// The mixes that have names, in the order in which they are listed.
const READY_MADE: [(&str, &str); 10] = [
    ("mixed", include_str!("mixes/mixed.toml")),
    ("power-on-storm", include_str!("mixes/power-on-storm.toml")),
    ("file-growth", include_str!("mixes/file-growth.toml")),
    ("vmotion", include_str!("mixes/vmotion.toml")),
    ("host-crash", include_str!("mixes/host-crash.toml")),
    ("host-freeze", include_str!("mixes/host-freeze.toml")),
    ("bulk", include_str!("mixes/bulk.toml")),
    ("offload", include_str!("mixes/offload.toml")),
    ("plain-writes", include_str!("mixes/plain-writes.toml")),
    ("collisions", include_str!("mixes/collisions.toml")),
];

/// There is no mix of this name.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("there is no mix \"{name}\"{}", meant(*nearest))]
pub struct UnknownMix {
    name: String,
    nearest: Option<&'static str>,
}

fn meant(nearest: Option<&str>) -> String {
    match nearest {
        Some(name) => format!("; did you mean \"{name}\"?"),
        None => {
            let names: Vec<_> = Mix::names().collect();
            format!(", and no such file; there are {}", names.join(", "))
        }
    }
}

impl Mix {
    /// The mix that is meant if none is named.
    pub const DEFAULT: &str = READY_MADE[0].0;

    /// The names of the ready-made mixes.
    pub fn names() -> impl Iterator<Item = &'static str> {
        READY_MADE.iter().map(|(name, _)| *name)
    }

    /// The ready-made mix of this name.
    ///
    /// # Errors
    /// If there is none; with the name that was probably meant.
    ///
    /// # Panics
    /// If a ready-made mix is none, which a test rules out.
    pub fn named(name: &str) -> Result<Self, UnknownMix> {
        match READY_MADE.iter().find(|(known, _)| *known == name) {
            Some((name, text)) => Ok(Self::parse(name, text).expect("a test has read it")),
            None => {
                let nearest = nearest(name, Self::names());
                Err(UnknownMix { name: name.to_owned(), nearest })
            }
        }
    }

    /// Reads a mix; errors call it `file`.
    ///
    /// # Errors
    /// The first thing that is wrong in it, and where.
    pub fn parse(file: &str, text: &str) -> Result<Self, Box<Diagnostic>> {
        let mut file = Section::parse(file, text)?;
        let mix = Self {
            power_on: work(&mut file, "power-on", PowerOn::read)?,
            growth: work(&mut file, "growth", Growth::read)?,
            vmotion: work(&mut file, "vmotion", VMotion::read)?,
            sharing: work(&mut file, "sharing", Sharing::read)?,
            crash: work(&mut file, "crash", Crash::read)?,
            freeze: work(&mut file, "freeze", Freeze::read)?,
            pulses: work(&mut file, "pulses", Switching::read)?,
            lock_modes: work(&mut file, "locking", Switching::read)?,
            bulk: work(&mut file, "bulk", Bulk::read)?,
            offload: work(&mut file, "offload", Offload::read)?,
            status: work(&mut file, "status", Status::read)?,
            collisions: work(&mut file, "collisions", Collisions::read)?,
        };
        file.finish()?;
        Ok(mix)
    }
}

/// What `read` makes of the table `key`, if it is there.
fn work<'f, T>(
    file: &mut Section<'f>,
    key: &'static str,
    read: fn(Section<'f>) -> Result<T, Box<Diagnostic>>,
) -> Result<Option<T>, Box<Diagnostic>> {
    file.item(key).map(|item| read(item.into_section()?)).transpose()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn every_ready_made_mix_can_be_read() {
        for (name, text) in READY_MADE {
            let mix = Mix::parse(name, text).unwrap_or_else(|error| panic!("{error}"));
            assert_ne!(mix, Mix::default(), "{name} does something");
            assert_eq!(Mix::named(name), Ok(mix));
        }
        assert_eq!(Mix::DEFAULT, "mixed");
    }

    #[test]
    fn what_is_mistyped_is_said_with_its_place() {
        let mistake = |text| Mix::parse("my.toml", text).unwrap_err();
        let wrong = mistake("[growth]\nevery = \"1s\"\nlock = 3\n");
        assert_eq!((wrong.line(), wrong.column()), (3, 1));
        assert!(wrong.to_string().contains("did you mean \"locks\"?"), "{wrong}");
        let wrong = mistake("[bluk]\n");
        assert!(wrong.to_string().contains("did you mean \"bulk\"?"), "{wrong}");
        for text in [
            "growth = 1",
            "[growth]\nevery = \"0s\"",
            "[growth]\nlocks = 0",
            "[freeze]\nlasting = \"9s..8s\"",
            "[bulk]\nreads = \"101%\"",
            "[bulk]\nlength = 0",
            "[power-on]\nmachines = 10001",
        ] {
            assert!(mistake(text).to_string().starts_with("my.toml:"), "{text}");
        }
    }

    #[test]
    fn what_is_not_said_has_defaults() {
        let mix = Mix::parse("my.toml", "[growth]\nlocks = 5\n").unwrap();
        let growth = mix.growth.unwrap();
        assert_eq!((growth.locks, growth.every), (5, Duration::from_millis(500)));
        assert_eq!(mix.bulk, None);
    }

    #[test]
    fn an_unknown_mix_is_refused_with_the_nearest() {
        let words = |name| Mix::named(name).unwrap_err().to_string();
        assert_eq!(words("mixd"), "there is no mix \"mixd\"; did you mean \"mixed\"?");
        assert!(words("zzz").ends_with("host-freeze, bulk, offload, plain-writes, collisions"));
    }
}
