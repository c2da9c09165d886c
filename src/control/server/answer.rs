//! A line in, a line out.

use pulsefield_settings::nearest;
use serde::Deserialize;

use crate::protocol::{Envelope, MAX_REQUEST_BYTES, Request, Response, VERSION};
use crate::{ControlPlane, FaultError, UnitError};

/// The answer to what a client has said so far; `None` if its line has not ended.
pub(super) fn answer(plane: &dyn ControlPlane, said: &[u8]) -> Option<Vec<u8>> {
    let response = match said.iter().position(|byte| *byte == b'\n') {
        Some(end) => respond(plane, &said[..end]),
        None if said.len() >= MAX_REQUEST_BYTES => {
            error(format!("a request is one line of at most {MAX_REQUEST_BYTES} bytes"))
        }
        None => return None,
    };
    let mut line =
        serde_json::to_vec(&Envelope::new(response)).expect("strings, numbers and lists");
    line.push(b'\n');
    Some(line)
}

/// The version alone, which every version of the protocol has in its lines.
#[derive(Deserialize)]
struct Versioned {
    version: u32,
}

fn respond(plane: &dyn ControlPlane, line: &[u8]) -> Response {
    match serde_json::from_slice(line) {
        Ok(Versioned { version: VERSION }) => {}
        Ok(Versioned { version }) => {
            return error(format!(
                "the request is of protocol version {version}, this daemon speaks {VERSION}"
            ));
        }
        Err(fault) => return error(format!("not a request: {fault}")),
    }
    match serde_json::from_slice(line) {
        Ok(Envelope { message, .. }) => carry_out(plane, message),
        Err(fault) => error(format!("not a request: {fault}")),
    }
}

fn carry_out(plane: &dyn ControlPlane, request: Request) -> Response {
    match request {
        Request::Status => Response::Status(plane.status()),
        Request::LunList => Response::LunList { luns: plane.luns() },
        Request::LunShow { name } => match plane.lun(&name) {
            Some(lun) => Response::LunShow(Box::new(lun)),
            None => error(no_such_lun(plane, &name)),
        },
        Request::Latency { lun, clear } => match plane.latency(lun.as_deref(), clear) {
            Ok(luns) => Response::Latency { luns },
            Err(fault) => not_asked(plane, &fault),
        },
        Request::Hosts { lun } => match plane.hosts(lun.as_deref()) {
            Ok(luns) => Response::Hosts { luns },
            Err(fault) => not_asked(plane, &fault),
        },
        Request::Reload => match plane.reload() {
            Ok(changed) => Response::Reload { changed },
            Err(fault) => error(format!("the configuration stays as it was: {}", chain(&fault))),
        },
        Request::FaultArm(request) => {
            about_faults(plane, plane.arm_faults(&request), |armed| Response::FaultArm { armed })
        }
        Request::FaultDisarm { lun, rule } => {
            let disarmed = plane.disarm_faults(lun.as_deref(), rule.as_deref());
            about_faults(plane, disarmed, |rules| Response::FaultDisarm { rules })
        }
        Request::FaultList { lun } => {
            let list = plane.faults(lun.as_deref());
            about_faults(plane, list, |luns| Response::FaultList { luns })
        }
        Request::FaultLog { lun } => {
            let log = plane.fault_log(lun.as_deref());
            about_faults(plane, log, |hits| Response::FaultLog { hits })
        }
        Request::FaultExport { lun } => {
            about_faults(plane, plane.export_faults(&lun), |plan| Response::FaultExport { plan })
        }
    }
}

fn about_faults<T>(
    plane: &dyn ControlPlane,
    result: Result<T, FaultError>,
    response: impl FnOnce(T) -> Response,
) -> Response {
    match result {
        Ok(value) => response(value),
        Err(FaultError::Unit(fault)) => not_asked(plane, &fault),
        Err(fault) => error(chain(&fault)),
    }
}

fn not_asked(plane: &dyn ControlPlane, fault: &UnitError) -> Response {
    match fault {
        UnitError::NoSuchLun(name) => error(no_such_lun(plane, name)),
        UnitError::NotServing(_) | UnitError::NoAnswer(_) => error(fault.to_string()),
    }
}

const fn error(message: String) -> Response {
    Response::Error { message }
}

/// An error with its causes, on one line.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}

fn no_such_lun(plane: &dyn ControlPlane, name: &str) -> String {
    let luns = plane.luns();
    match nearest(name, luns.iter().map(|lun| lun.name.as_str())) {
        Some(other) => format!("no logical unit \"{name}\"; did you mean \"{other}\"?"),
        None => format!("no logical unit \"{name}\""),
    }
}
