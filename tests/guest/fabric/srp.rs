//! SRP: `ib_srpt` and `ib_srp` at the two ends of a soft RoCE device that talks to itself.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};

use super::Fabric;
use crate::command::run;
use crate::disk::Transport;
use crate::examples::Example;

const DEVICE: &str = "/sys/class/infiniband/rxe0";
const INITIATOR: &str = "/sys/class/infiniband_srp/srp-rxe0-1";
const REMOTE_PORTS: &str = "/sys/class/srp_remote_ports";
const DESTINATION: &str = "192.168.99.1:5555";

/// LIO's `ib_srpt`.
#[derive(Debug)]
pub struct Srp;

impl Fabric for Srp {
    fn transport(&self) -> Transport {
        Transport::Srp
    }

    fn example(&self) -> Example {
        Example::Srp
    }

    fn log_in(&self) -> Result<()> {
        run("modprobe", ["ib_srp"]).output()?;
        if fs::read_dir(REMOTE_PORTS).is_ok_and(|mut ports| ports.next().is_some()) {
            return Ok(());
        }
        let guid = id("node_guid")?;
        let target = format!("id_ext={guid},ioc_guid={guid},dest={DESTINATION}");
        fs::write(Path::new(INITIATOR).join("add_target"), target).context("logging in")
    }

    fn log_out(&self) -> Result<()> {
        for port in fs::read_dir(REMOTE_PORTS).context("listing SRP targets")? {
            fs::write(port?.path().join("delete"), "1").context("logging out")?;
        }
        Ok(())
    }

    fn target(&self) -> Result<(String, String)> {
        Ok(("/srpt".to_owned(), format!("ib.{}", id("ports/1/gids/0")?)))
    }
}

/// An identifier of the device, without colons.
fn id(attribute: &str) -> Result<String> {
    let text = fs::read_to_string(Path::new(DEVICE).join(attribute))
        .with_context(|| format!("reading the {attribute} of the RDMA device"))?;
    Ok(text.trim().replace(':', ""))
}
