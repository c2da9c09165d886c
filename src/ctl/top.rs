//! `pulsefield top`: the room of that name, on the control socket and the records.

mod latest;

use std::env;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use pulsefield_control::{Client, ClientError};
use pulsefield_top::{Daemon, Order, Sample};

use crate::commands::CommandError;
use crate::fault;
use latest::Latest;

/// The daemon behind a control socket, and what it records.
struct Asked {
    client: Client,
    latest: Mutex<Latest>,
}

impl Asked {
    fn new(client: Client, directory: PathBuf) -> Self {
        Self { client, latest: Mutex::new(Latest::of(directory)) }
    }
}

impl Daemon for Asked {
    type Error = ClientError;

    fn look(&self) -> Result<Sample, ClientError> {
        let mut sample = Sample::ask(&self.client)?;
        // Whatever a look that panicked has left is as good as nothing.
        let mut latest = self.latest.lock().unwrap_or_else(PoisonError::into_inner);
        latest.look(&mut sample);
        Ok(sample)
    }

    fn carry_out(&self, order: &Order) -> Result<String, String> {
        match order {
            Order::Arm { lun, fault } => {
                let request = fault::typed(lun, fault).map_err(|error| error.to_string())?;
                self.client.arm_faults(request).map_err(|error| one_line(&error))?;
                Ok(format!("{fault} is armed for {lun}"))
            }
            Order::Disarm { lun } => {
                let disarmed = self.client.disarm_faults(Some(lun), None);
                let rules = disarmed.map_err(|error| one_line(&error))?;
                Ok(format!("{rules} rules of {lun} disarmed"))
            }
        }
    }
}

/// What is wrong with a plan takes several lines; the first says it.
fn one_line(error: &ClientError) -> String {
    error.to_string().lines().next().unwrap_or_default().to_owned()
}

pub(crate) fn once(
    socket: &Path,
    directory: PathBuf,
    json: bool,
    out: &mut dyn Write,
) -> Result<(), CommandError> {
    let (sample, screen) = pulsefield_top::once(&Asked::new(Client::new(socket), directory))?;
    match json {
        true => {
            serde_json::to_writer_pretty(&mut *out, &sample).map_err(io::Error::from)?;
            writeln!(out)?;
        }
        false => out.write_all(screen.as_bytes())?,
    }
    Ok(())
}

pub(crate) fn watch(socket: &Path, directory: PathBuf) -> Result<(), CommandError> {
    let client = Client::new(socket);
    // One that does not run is told of in words and with a code, not on a screen.
    client.status()?;
    let colours = env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
    let asked = Arc::new(Asked::new(client, directory));
    pulsefield_top::watch(&asked, colours).map_err(CommandError::Draw)
}
