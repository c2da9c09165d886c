//! `pulsefield top`: the room of that name, on the control socket.

use std::env;
use std::io::{self, Write};
use std::path::Path;
use std::sync::Arc;

use pulsefield_control::{Client, ClientError};
use pulsefield_top::{Daemon, Order, Sample};

use crate::commands::CommandError;
use crate::fault;

/// The daemon behind a control socket.
struct Asked(Client);

impl Daemon for Asked {
    type Error = ClientError;

    fn look(&self) -> Result<Sample, ClientError> {
        Sample::ask(&self.0)
    }

    fn carry_out(&self, order: &Order) -> Result<String, String> {
        match order {
            Order::Arm { lun, fault } => {
                let request = fault::typed(lun, fault).map_err(|error| error.to_string())?;
                self.0.arm_faults(request).map_err(|error| one_line(&error))?;
                Ok(format!("{fault} is armed for {lun}"))
            }
            Order::Disarm { lun } => {
                let rules =
                    self.0.disarm_faults(Some(lun), None).map_err(|error| one_line(&error))?;
                Ok(format!("{rules} rules of {lun} disarmed"))
            }
        }
    }
}

/// What is wrong with a plan takes several lines; the first says it.
fn one_line(error: &ClientError) -> String {
    error.to_string().lines().next().unwrap_or_default().to_owned()
}

pub(crate) fn once(socket: &Path, json: bool, out: &mut dyn Write) -> Result<(), CommandError> {
    let (sample, screen) = pulsefield_top::once(&Asked(Client::new(socket)))?;
    match json {
        true => {
            serde_json::to_writer_pretty(&mut *out, &sample).map_err(io::Error::from)?;
            writeln!(out)?;
        }
        false => out.write_all(screen.as_bytes())?,
    }
    Ok(())
}

pub(crate) fn watch(socket: &Path) -> Result<(), CommandError> {
    let client = Client::new(socket);
    // One that does not run is told of in words and with a code, not on a screen.
    client.status()?;
    let colours = env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
    pulsefield_top::watch(&Arc::new(Asked(client)), colours).map_err(CommandError::Draw)
}
