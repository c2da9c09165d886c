//! Heartbeats as a unit sees them go by.

use std::time::Duration;

use pulsefield_faults::Fault;

use super::*;
use crate::hosts::Host;
use crate::hosts::tests::{cleared, sector};

impl Lu {
    fn hosts(&self) -> Vec<Host> {
        let (reply, hosts) = unbounded();
        self.mailbox.send(Message::ReportHosts { reply });
        hosts.recv_timeout(PATIENCE).unwrap()
    }

    /// A COMPARE AND WRITE of the block `lba`; its status.
    fn change(&self, lba: u8, old: &[u8], new: &[u8]) -> u8 {
        self.execute(&compare_and_write(lba), Data::Out([old, new].concat())).status
    }
}

/// The slots that are in use, and how many intervals there were between the pulses in each.
fn slots(hosts: &[Host]) -> Vec<(u64, u64)> {
    hosts.iter().map(|host| (host.slot, host.intervals.count())).collect()
}

#[test]
fn hosts_are_known_by_the_heartbeats_that_they_write() {
    let lu = Lu::on("ram/");
    assert_eq!(lu.hosts(), []);
    assert_eq!(lu.change(3, &block(0), &sector(3, 7)), GOOD);
    assert_eq!(lu.change(3, &sector(3, 7), &sector(3, 7)), GOOD);
    // Hosts whose ATS heartbeats are switched off write them.
    let written = lu.execute(&write(4, 1), Data::Out(sector(4, 8).to_vec()));
    assert_eq!((written.status, slots(&lu.hosts())), (GOOD, vec![(3, 1), (4, 0)]));
    // Neither was written: another host's turn was missed, and reading is not pulsing.
    assert_eq!(lu.change(4, &block(0), &sector(4, 9)), CHECK_CONDITION);
    assert_eq!(lu.read(3), sector(3, 7));
    assert_eq!(slots(&lu.hosts()), [(3, 1), (4, 0)]);
    assert_eq!(lu.change(3, &sector(3, 7), &cleared(3)), GOOD);
    assert_eq!(slots(&lu.hosts()), [(4, 0)]);
}

#[test]
fn other_data_in_the_heartbeat_lane_is_no_heartbeat() {
    let lu = Lu::on("ram/");
    // A lock, the magic alone, and a heartbeat that was compared with and overwritten.
    let mut lock = block(0);
    lock[..4].copy_from_slice(&0x10c0_0001_u32.to_le_bytes());
    assert_eq!(lu.change(0, &block(0), &lock), GOOD);
    let mut magic = block(0);
    magic[..4].copy_from_slice(&0xabcd_ef02_u32.to_le_bytes());
    assert_eq!(lu.change(1, &block(0), &magic), GOOD);
    assert_eq!(lu.change(2, &block(0), &block(1)), GOOD);
    assert_eq!(lu.hosts(), []);
}

#[test]
fn a_heartbeat_that_a_fault_delays_counts_when_it_is_answered() {
    let lu = Lu::on("ram/");
    lu.arm(Fault::Stall { duration: Duration::from_millis(20) });
    let before = clock::now();
    assert_eq!(lu.change(3, &block(0), &sector(3, 7)), GOOD);
    assert!(lu.hosts()[0].last.since(before) >= Duration::from_millis(20));
}
