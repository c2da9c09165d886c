//! Events by their identifiers, for lines that name one and have no other words that are known:
//! what vobd and hostd pass on, `[esx.problem.vmfs.heartbeat.timedout] UUID NAME`.

use crate::scan::Scan;
use crate::{Event, Uuid, Volume};

/// What an identifier begins with: of observations in vobd.log, of events that hostd sends on, and
/// of observations in version 4.
const NAMESPACES: [&str; 3] = ["[vob.", "[esx.problem.", "[vprob."];

/// What the name of a device begins with.
const DEVICES: [&str; 4] = ["naa.", "eui.", "t10.", "mpx."];

/// What the first identifier in `message` says, if it is one that matters here.
pub(super) fn read(message: &str) -> Option<Event> {
    let mut scan = NAMESPACES.iter().find_map(|namespace| {
        let mut scan = Scan::new(message);
        scan.until(namespace).map(|_| scan)
    })?;
    let id = scan.until("]")?;
    // hostd puts brackets around identifier and arguments: `([…] UUID NAME) was sent …`.
    let arguments = scan.rest().split_once(") was sent").map_or(scan.rest(), |(inside, _)| inside);
    let mut arguments = Scan::new(arguments);
    arguments.spaces();
    let volume = volume(arguments);
    let device = arguments
        .rest()
        .split([' ', '"', '\'', '[', ']'])
        .find(|word| DEVICES.iter().any(|kind| word.starts_with(kind)))
        .map(|word| word.trim_end_matches('.').to_owned());
    match id {
        "vmfs.heartbeat.timedout" => Some(Event::HeartbeatTimedOut { volume }),
        "vmfs.heartbeat.recovered" => Some(Event::HeartbeatReclaimed { record: None, volume }),
        "vmfs.heartbeat.unrecoverable" => Some(Event::HeartbeatUnrecoverable { volume }),
        "vmfs.heartbeat.corruptondisk" => {
            Some(Event::HeartbeatCorrupt { offset: None, record: None, volume })
        }
        "vmfs.lock.corruptondisk" => Some(Event::LockCorrupt { volume }),
        "vmfs.ats.support.lost" => Some(Event::AtsSupportLost { volume }),
        "scsi.device.io.latency.high" => {
            Some(Event::LatencyDeteriorated { device: device?, times: None })
        }
        "storage.apd.start" => Some(Event::AllPathsDown { device }),
        "storage.apd.timeout" => Some(Event::AllPathsDownTimedOut { device }),
        "storage.connectivity.lost" => Some(Event::ConnectivityLost { device }),
        _ => None,
    }
}

/// `UUID NAME`; the name is the rest of the line.
fn volume(mut arguments: Scan<'_>) -> Option<Volume> {
    let uuid = Uuid::scan(&mut arguments)?;
    let label = Some(arguments.rest().trim()).filter(|label| !label.is_empty());
    Some(Volume { uuid: Some(uuid), label: label.map(str::to_owned) })
}
