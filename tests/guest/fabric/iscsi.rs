//! iSCSI over two portals of the loopback interface, with open-iscsi as initiator.

use anyhow::Result;

use super::Fabric;
use crate::command::run;
use crate::disk::Transport;
use crate::examples::Example;

/// The target's name.
pub const TARGET: &str = "iqn.2026-01.io.pulsefield:lab";
/// Where it listens: two, so that there are two sessions and two paths.
pub const PORTALS: [&str; 2] = ["127.0.0.1", "127.0.0.2"];
/// iscsiadm's exit code for "there is no session".
const NO_SESSION: i32 = 21;

/// LIO's `iscsi_target_mod`.
#[derive(Debug)]
pub struct Iscsi;

impl Fabric for Iscsi {
    fn transport(&self) -> Transport {
        Transport::Iscsi
    }

    fn example(&self) -> Example {
        Example::Iscsi
    }

    fn log_in(&self) -> Result<()> {
        run("systemctl", ["start", "iscsid.service"]).output()?;
        let rescan = run("iscsiadm", ["--mode", "session", "--rescan"]).ended()?;
        if rescan.code != NO_SESSION {
            return Ok(());
        }
        let discover = ["--mode", "discovery", "--type", "sendtargets", "--portal", PORTALS[0]];
        run("iscsiadm", discover).output()?;
        run("iscsiadm", ["--mode", "node", "--login"]).output().map(drop)
    }

    fn log_out(&self) -> Result<()> {
        run("iscsiadm", ["--mode", "node", "--logout"]).output().map(drop)
    }

    fn target(&self) -> Result<(String, String)> {
        Ok(("/iscsi".to_owned(), TARGET.to_owned()))
    }

    fn paths(&self) -> usize {
        PORTALS.len()
    }
}
