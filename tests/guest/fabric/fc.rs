//! Fibre Channel: `tcm_fc` and the `fcoe` initiator at the two ends of a veth pair, in VN2VN mode.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};

use super::Fabric;
use crate::command::run;
use crate::disk::Transport;
use crate::examples::Example;

/// The initiator's end of the pair, and the name of the port on it.
const INITIATOR_INTERFACE: &str = "ve0";
const INITIATOR_PORT: &str = "0x200002000000aa01";
const TARGET: &str = "naa.200002000000aa02";
const PARAMETERS: &str = "/sys/module/libfcoe/parameters";

/// LIO's `tcm_fc`.
#[derive(Debug)]
pub struct Fc;

impl Fabric for Fc {
    fn transport(&self) -> Transport {
        Transport::Fc
    }

    fn example(&self) -> Example {
        Example::Fc
    }

    fn log_in(&self) -> Result<()> {
        if has_port(INITIATOR_PORT)? {
            return Ok(());
        }
        // A frame of the target's that comes in before the new port has its `lport` is a NULL pointer
        // in the kernel (`fcoe_ctlr_vn_recv` of `drivers/scsi/fcoe/fcoe_ctlr.c`, 6.1): none comes in
        // on an interface that is down.
        set_link("down")?;
        command("create_vn2vn")?;
        set_link("up")
    }

    fn log_out(&self) -> Result<()> {
        command("destroy")
    }

    fn target(&self) -> Result<(String, String)> {
        Ok(("/tcm_fc".to_owned(), TARGET.to_owned()))
    }
}

fn command(parameter: &str) -> Result<()> {
    fs::write(Path::new(PARAMETERS).join(parameter), INITIATOR_INTERFACE)
        .with_context(|| format!("{parameter} on {INITIATOR_INTERFACE}"))
}

fn set_link(state: &str) -> Result<()> {
    run("ip", ["link", "set", INITIATOR_INTERFACE, state]).output().map(drop)
}

fn has_port(name: &str) -> Result<bool> {
    for host in fs::read_dir("/sys/class/fc_host").context("listing Fibre Channel ports")? {
        let port = fs::read_to_string(host?.path().join("port_name"))?;
        if port.trim() == name {
            return Ok(true);
        }
    }
    Ok(false)
}
