//! PERSISTENT RESERVE OUT with parameter lists that are wrong: refused, and what stood before stands.
//!
//! No REGISTER with SPEC_I_PT and wrong TransportIDs is among them: `core_scsi3_decode_spec_i_port` refuses
//! it, but keeps the reference to the LUN that it took for the sender's registration, and whoever deletes
//! that LUN then waits for ever (`core_disable_device_list_for_node`).

use anyhow::{Result, anyhow, ensure};

use super::{Initiator, Initiators};
use crate::cdb;
use crate::persist::{Registrant, Type, Verdict, standing};
use crate::reply::Answer;
use crate::report::Report;
use crate::sg::Data;

const KEY: u64 = 0xa1;
const REGISTER: u8 = 0;
const RESERVE: u8 = 1;
const RELEASE: u8 = 2;
const PREEMPT: u8 = 4;
const REGISTER_AND_MOVE: u8 = 7;
const SPEC_I_PT: u8 = 0x08;
const LENGTH_ERROR: Answer = Answer::Check(0x05, 0x1a, 0x00);
const PARAMETER_LIST: Answer = Answer::Check(0x05, 0x26, 0x00);
/// 02h/08h/00h LOGICAL UNIT COMMUNICATION FAILURE.
const COMMUNICATION_FAILURE: Answer = Answer::Check(0x02, 0x08, 0x00);

/// One parameter list, and what must be said to it.
struct Case {
    name: &'static str,
    cdb: [u8; 10],
    list: Vec<u8>,
    answer: Answer,
}

pub(super) fn run(report: &mut Report, initiators: &Initiators) -> Result<()> {
    report.step("PERSISTENT RESERVE OUT with lists that are wrong");
    let [_, iscsi, fc, srp] = &*initiators.each else { return Err(anyhow!("not four fabrics")) };
    let owner = Registrant::new(&fc.disk, KEY);
    let kind = Type::WriteExclusiveRegistrantsOnly;
    // Both are RESERVATION CONFLICT by SPC-5; the kernel answers so only where there is a reservation.
    for (name, action) in [
        ("RESERVE with no key (the kernel's way, target_core_pr.c:2285)", RESERVE),
        ("RELEASE with no key (the kernel's way, target_core_pr.c:2524)", RELEASE),
    ] {
        let cdb = cdb::persistent_reserve_out(action, 5, 24);
        let seen = send(iscsi, &cdb, &cdb::reservation_list(KEY, 0, 0))?;
        report.equal(name, COMMUNICATION_FAILURE, seen);
    }
    ensure!(owner.register(false)? == Verdict::Done, "REGISTER failed");
    ensure!(owner.reserve(kind)? == Verdict::Done, "RESERVE failed");
    let before = standing(&srp.disk)?;
    for sender in [fc, iscsi, srp] {
        let mut cases = for_everybody();
        if sender.disk == fc.disk {
            cases.extend(for_the_holder());
        }
        let mut wrong = Vec::new();
        for case in &cases {
            let seen = send(sender, &case.cdb, &case.list)?;
            if seen != case.answer {
                wrong.push(format!("{}: expected {}; seen {seen}", case.name, case.answer));
            }
        }
        let name = format!("{} wrong lists over {}", cases.len(), sender.disk.transport);
        report.none(&name, &wrong);
        report.equal("what stands after them", before.clone(), standing(&srp.disk)?);
    }
    ensure!(owner.clear()? == Verdict::Done, "CLEAR failed");
    Ok(())
}

fn send(initiator: &Initiator, cdb: &[u8], list: &[u8]) -> Result<Answer> {
    let data = if list.is_empty() { Data::None } else { Data::Out(list) };
    Ok(initiator.device.send(cdb, data)?.answer())
}

/// Whoever sends it: REGISTER is open to all.
#[rustfmt::skip]
fn for_everybody() -> Vec<Case> {
    let register = |length| cdb::persistent_reserve_out(REGISTER, 0, length);
    let list = |flags| cdb::reservation_list(0, 0xee, flags).to_vec();
    let longer = |flags, bytes: &[u8]| [&list(flags), bytes].concat();
    let case = |name, cdb, list, answer| Case { name, cdb, list, answer };
    vec![
        case("no list", register(0), Vec::new(), LENGTH_ERROR),
        case("a list of 8 bytes", register(8), list(0)[..8].to_vec(), LENGTH_ERROR),
        case("a list of 23 bytes", register(23), list(0)[..23].to_vec(), LENGTH_ERROR),
        case("a list of 25 bytes", register(25), longer(0, &[0]), LENGTH_ERROR),
        case("a list of 512 bytes", register(512), longer(0, &[0; 488]), LENGTH_ERROR),
    ]
}

/// Those that meet the reservation first when anybody else sends them.
#[rustfmt::skip]
fn for_the_holder() -> Vec<Case> {
    let list = |key, other| cdb::reservation_list(key, other, 0).to_vec();
    let out = cdb::persistent_reserve_out;
    let case = |name, cdb, list, answer| Case { name, cdb, list, answer };
    vec![
        case("an unknown service action", out(0x1f, 0, 24), list(KEY, 0), Answer::INVALID_FIELD),
        case("SPEC_I_PT with RESERVE", out(RESERVE, 5, 24), cdb::reservation_list(KEY, 0, SPEC_I_PT).to_vec(), PARAMETER_LIST),
        case("RESERVE with type 0h", out(RESERVE, 0, 24), list(KEY, 0), Answer::INVALID_FIELD),
        case("RESERVE with type 2h", out(RESERVE, 2, 24), list(KEY, 0), Answer::INVALID_FIELD),
        case("RESERVE with type Fh", out(RESERVE, 0x0f, 24), list(KEY, 0), Answer::INVALID_FIELD),
        case("RESERVE of an element", out(RESERVE, 0x25, 24), list(KEY, 0), PARAMETER_LIST),
        case("RESERVE with a wrong key", out(RESERVE, 5, 24), list(0xbad, 0), Answer::RESERVATION_CONFLICT),
        case("PREEMPT of no key", out(PREEMPT, 5, 24), list(KEY, 0), PARAMETER_LIST),
        case("PREEMPT with a wrong key", out(PREEMPT, 5, 24), list(0xbad, KEY), Answer::RESERVATION_CONFLICT),
        case("REGISTER AND MOVE to nobody", out(REGISTER_AND_MOVE, 0, 24), list(KEY, 0xee), PARAMETER_LIST),
        case("REGISTER with a wrong key", out(REGISTER, 0, 24), list(0xbad, 0), Answer::RESERVATION_CONFLICT),
    ]
}
