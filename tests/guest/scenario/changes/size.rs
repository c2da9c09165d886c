//! Growth and shrinkage of a unit that four initiators use: CAPACITY DATA HAS CHANGED reaches more than
//! one of them, and the capacity is right for all at once.

use std::time::Duration;

use anyhow::Result;

use super::{BLOCK, ready};
use crate::backstore::Backstore;
use crate::cdb;
use crate::reply::Answer;
use crate::report::Report;
use crate::sg::{Data, Device};
use crate::wait::wait_until;

/// 06h/2Ah/09h CAPACITY DATA HAS CHANGED.
const CAPACITY_CHANGED: Answer = Answer::Check(0x06, 0x2a, 0x09);
/// It is reported once a second, to whoever asks next.
const TOLD_LIMIT: Duration = Duration::from_secs(60);

pub(super) fn run(report: &mut Report, unit: &Backstore, devices: &[Device]) -> Result<()> {
    let original = unit.bytes()?;
    for (change, bytes) in [("growing", original * 2), ("shrinking", original)] {
        report.step(format!("{change} to {} MiB", bytes >> 20));
        unit.folder()?.write("attrib/dev_size", &bytes.to_string())?;
        let mut told = vec![false; devices.len()];
        let more_than_one = wait_until(TOLD_LIMIT, "two initiators to be told", || {
            for (device, told) in devices.iter().zip(&mut told) {
                *told |= ready(device)? == CAPACITY_CHANGED;
            }
            Ok(told.iter().filter(|&&told| told).count() > 1)
        });
        report.works(&format!("CAPACITY DATA HAS CHANGED after {change}"), more_than_one);
        let last = bytes / BLOCK as u64 - 1;
        let mut wrong = Vec::new();
        for device in devices {
            let capacity = device.capacity()?;
            if capacity.blocks != last + 1 {
                wrong.push(format!("{}: {} blocks", device.path().display(), capacity.blocks));
            }
        }
        report.none(&format!("initiators with another capacity after {change}"), &wrong);
        let [first, ..] = devices else { anyhow::bail!("no initiator") };
        report.works("a WRITE to the last block", first.write_block(last, &[7; BLOCK]));
        let beyond = first.send(&cdb::write_16(last + 1, 1), Data::Out(&[7; BLOCK]))?.answer();
        report.equal("a WRITE beyond it", Answer::LBA_OUT_OF_RANGE, beyond);
    }
    Ok(())
}
