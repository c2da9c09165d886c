use std::fs;
use std::sync::Arc;

use pulsefield_backstore::Backstore;
use pulsefield_control::config::Config;
use pulsefield_units::{BlockCount, Lba, LbaRange};

use super::*;
use crate::plans::Plans;
use crate::station::Station;
use crate::testing::{held_medium, serving_unit, station};

/// The tags of the parts that have ended, and whether they ended well.
fn ends(station: &Station) -> Vec<(u64, u64, Status)> {
    let mut ends = Vec::new();
    while let Some(message) = station.message() {
        if let Message::CopyEnd(end) = message {
            ends.push((end.asker, end.tag.0, end.outcome.status));
        }
    }
    ends
}

#[test]
fn a_part_is_answered_once_whatever_becomes_of_it() {
    let asker = station();
    let reply = |tag| CopyReply::new(asker.mailbox(), 9, OpTag(tag));
    let good = Outcome { status: Status::Good, sense: None, data_in: None };
    reply(1).tell(good, Buffer::empty());
    assert_eq!(ends(&asker), [(9, 1, Status::Good)]);
    drop(reply(2));
    assert_eq!(ends(&asker), [(9, 2, Status::CheckCondition)]);
    let range = LbaRange::new(Lba::new(0), BlockCount::new(1)).unwrap();
    let request =
        |tag| CopyRequest { op: CopyOp::Read(range), buffer: Buffer::heap(512), reply: reply(tag) };
    let other = station();
    let mailbox = other.mailbox();
    mailbox.send(Message::CopyRequest(request(3)));
    assert_eq!(ends(&asker), []);
    drop(other);
    assert_eq!(ends(&asker), [(9, 3, Status::CheckCondition)], "it lay there unread");
    mailbox.send(Message::CopyRequest(request(4)));
    assert_eq!(ends(&asker), [(9, 4, Status::CheckCondition)], "nobody was there");
}

#[test]
fn only_units_of_one_group_reach_one_another() {
    let directory = tempfile::tempdir().unwrap();
    let roots = Roots::under(directory.path());
    let text = "defaults.copy_group = \"a\"\n[lun.a2]\nvendor = \"ACME\"\n\
                naa = \"5001405abcdef012\"\n[lun.b1]\ncopy_group = \"b\"\n[lun.alone]\n\
                copy_group = \"\"\n[lun.alone2]\ncopy_group = \"\"\n";
    let table = SharedTable::new(Config::parse("test", text).unwrap(), Plans::default());
    let names = ["a1", "a2", "b1", "alone", "alone2", "nameless"];
    let mut stations = Vec::new();
    for (id, name) in (0..).map(LuId::new).zip(names) {
        let station = station();
        let medium = held_medium(64).0 as Arc<dyn Backstore>;
        let unit = serving_unit(name, &station, &medium);
        let device = format!("sys/kernel/config/target/core/user_0/{name}");
        let wwn = directory.path().join(device).join("wwn");
        fs::create_dir_all(&wwn).unwrap();
        let serial = if name == "nameless" { "" } else { name };
        let text = format!("T10 VPD Unit Serial Number: {serial}\n");
        fs::write(wwn.join("vpd_unit_serial"), text).unwrap();
        table.lock().units.insert(id, unit);
        stations.push(station);
    }
    let reached = |id| {
        let reachable = reachable(&table, &roots, LuId::new(id));
        reachable.into_iter().map(|other| other.peer).collect::<Vec<_>>()
    };
    let peer = |id| {
        let (name, geometry) = (names[id as usize], held_medium(64).0.geometry());
        let designators = Designators::new(&Identity::new(name), &table.lock().settings(name));
        CopyPeer { unit: LuId::new(id), designators, geometry }
    };
    assert_eq!(reached(0), [peer(1)]);
    assert_eq!(reached(1), [peer(0)]);
    for alone in [2, 3, 4, 99] {
        assert_eq!(reached(alone), []);
    }
}
