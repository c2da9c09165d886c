//! Loopback: the target's LUNs appear on a SCSI host of the same kernel, at once.

use anyhow::Result;

use super::Fabric;
use crate::disk::Transport;
use crate::examples::Example;

const TARGET: &str = "naa.50014050000000a1";

/// LIO's `tcm_loop`.
#[derive(Debug)]
pub struct Loopback;

impl Fabric for Loopback {
    fn transport(&self) -> Transport {
        Transport::Loopback
    }

    fn example(&self) -> Example {
        Example::Loopback
    }

    fn log_in(&self) -> Result<()> {
        // The kernel scans a LUN when it is linked.
        Ok(())
    }

    fn log_out(&self) -> Result<()> {
        // And forgets it when it is unlinked.
        Ok(())
    }

    fn target(&self) -> Result<(String, String)> {
        Ok(("/loopback".to_owned(), TARGET.to_owned()))
    }
}
