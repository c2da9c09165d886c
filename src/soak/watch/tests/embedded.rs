//! A unit within the process that is recorded as the daemon records, with and without a fault.

use pulsefield_backstore::{Cfgstring, Geometry, Handler as _, OpenSpec};
use pulsefield_control::config::Config;
use pulsefield_embedded::{Data, EmbeddedUnit, Nexus, Options, Target};
use pulsefield_engine::LuConfig;
use pulsefield_faults::Plan;
use pulsefield_ram::RamHandler;
use pulsefield_units::{BlockCount, BlockLength, Cdb};

use super::*;

const HOSTS: [Nexus; 2] = [Nexus(1), Nexus(2)];

/// Has two hosts want the same lock, both taking it for free, with this plan armed; watches the record.
fn contention(plan: Option<&str>) -> (Conclusion, Run) {
    let folder = tempfile::tempdir().unwrap();
    let text = format!("[record]\ndirectory = \"{}\"\n", folder.path().display());
    let config = Config::parse("pulsefield.toml", &text).unwrap();
    let (name, ram): (_, Cfgstring) = ("test".to_owned(), "ram/".parse().unwrap());
    let geometry = Geometry { block_length: BlockLength::B512, blocks: BlockCount::new(1 << 16) };
    let medium = RamHandler.open(&OpenSpec { name, config: ram, geometry, claim: None }).unwrap();
    let mut unit = EmbeddedUnit::new(medium, LuConfig::default()).unwrap();
    unit.record(&config, "ds1");
    let mut target = Target::new(Options::default()).unwrap();
    {
        let mut daemon = unit.serve(target.take_over(clock::now()).unwrap());
        if let Some(text) = plan {
            daemon.arm(Plan::parse("plan", text).unwrap());
        }
        let mut send = |host: usize, opcode, lba: u64, data: Vec<u8>| {
            let mut cdb = [0; 16];
            (cdb[0], cdb[13]) = (opcode, 1);
            cdb[2..10].copy_from_slice(&lba.to_be_bytes());
            target.submit(clock::now(), HOSTS[host], &Cdb::new(&cdb), Data::Out(data));
            target.serve(clock::now(), &mut daemon).unwrap();
        };
        for (host, lba, image) in [(0, SLOT_A, in_use(A, 0, 0)), (1, SLOT_B, in_use(B, 1, 0))] {
            send(host, 0x8a, lba, image.to_vec());
        }
        send(0, 0x8a, LOCK, free(4).to_vec());
        let ats = |test: [u8; 512], set: [u8; 512]| [test, set].concat();
        send(0, 0x89, SLOT_A, ats(in_use(A, 0, 0), in_use(A, 0, 3)));
        send(1, 0x89, SLOT_B, ats(in_use(B, 1, 0), in_use(B, 1, 3)));
        send(0, 0x89, LOCK, ats(free(4), locked(A, 5)));
        send(1, 0x89, LOCK, ats(free(4), locked(B, 5)));
    }
    let path = folder.path().join("ds1.pulserec").display().to_string();
    let mut out = Vec::new();
    let conclusion = watch(&options(&[&path]), &mut out).unwrap();
    (conclusion, json::read(std::str::from_utf8(&out).unwrap()).unwrap())
}

#[test]
fn a_healthy_unit_passes() {
    let (conclusion, run) = contention(None);
    assert_eq!(conclusion, Conclusion::Held, "{:#?}", run.promises);
    assert_eq!(promise(&run, "information").checked, 1);
    assert_eq!(run.setup.hosts.len(), 2);
    assert_eq!((run.setup.units[0].bytes, run.setup.units[0].block_bytes), (32 << 20, 512));
}

#[test]
fn false_equality_is_caught() {
    let plan = "[[rule]]\nname = \"lies\"\nfault = \"miscompare.false-equal\"\n";
    let (conclusion, run) = contention(Some(plan));
    assert_eq!(conclusion, Conclusion::Failed);
    assert_eq!(broken(&run), ["lock-exclusion", "linearizable"]);
    let reason = run.judgement.reasons.last().unwrap();
    assert!(reason.starts_with("ds1: rule \"lies\" of a plan of faults has hit "), "{reason}");
    assert_eq!(run.faults[0].rule, "lies");
}
