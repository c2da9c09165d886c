//! What the configuration says about faults, and how a unit shows that some are armed.

use std::num::NonZeroU64;

use pulsefield_faults::{Fault, Plan, Rule, Select, Verdict, When, Where};
use pulsefield_scsi::parameter::Ascii;

use super::*;
use crate::station::FaultOrders;

/// A plan that refuses the first command of the medium, and then has nothing left to do.
fn once() -> Arc<Plan> {
    let when = When { select: Select::Nth(NonZeroU64::MIN), ..When::default() };
    let rule = Rule {
        name: "once".to_owned(),
        place: Where { lane: Some(Lane::Bulk), ..Where::default() },
        when,
        fault: Fault::ReservationConflict,
        verdict: Verdict::RetryHides,
    };
    Arc::new(Plan { seed: 1, lasting: None, hits: Some(1), rules: vec![rule] })
}

fn orders(plan: Option<Arc<Plan>>) -> Message {
    let product = Some(Ascii::new("FAULTS ARMED"));
    Message::ConfigureFaults(FaultOrders { lun: "ds1".to_owned(), plan, product })
}

/// A unit that knows of its port groups, which are part of standard INQUIRY data.
fn lu() -> Lu {
    let lu = Lu::on("ram/");
    let inquiry = lu.submit(&[0x12, 0, 0, 0, 36, 0], Data::In(36));
    assert_eq!(lu.asked(), Asked::Query(Query::PortGroups));
    lu.mailbox.send(Message::PortGroups(Vec::new()));
    lu.uio.answer(inquiry);
    lu
}

fn product(lu: &Lu) -> String {
    let inquiry = lu.execute(&[0x12, 0, 0, 0, 36, 0], Data::In(36));
    String::from_utf8(inquiry.data_in[16..32].to_vec()).unwrap()
}

#[test]
fn a_unit_says_in_its_product_that_faults_are_armed_and_stops_saying_it() {
    let lu = lu();
    assert_eq!(product(&lu), "PULSEFIELD LUN  ");
    lu.mailbox.send(orders(Some(once())));
    assert_eq!(product(&lu), "FAULTS ARMED    ");
    assert_eq!(lu.counters.faults_armed.load(), 1);
    let refused = |lu: &Lu| lu.execute(&read(0, 1), Data::In(512)).status != GOOD;
    // INQUIRY DATA HAS CHANGED, and then the fault.
    while !refused(&lu) {}
    wait_until(|| {
        lu.execute(&read(0, 1), Data::In(512));
        lu.counters.faults_armed.load() == 0
    });
    assert_eq!(product(&lu), "PULSEFIELD LUN  ");
}

#[test]
fn the_same_plan_again_goes_on_and_another_takes_its_place() {
    let lu = Lu::on("ram/");
    let report = |lu: &Lu| {
        let (reply, report) = unbounded();
        lu.mailbox.send(Message::ReportFaults { since: u64::MAX, reply });
        report.recv_timeout(PATIENCE).unwrap()
    };
    lu.mailbox.send(orders(Some(once())));
    let first = report(&lu).plans[0].id;
    lu.mailbox.send(orders(Some(once())));
    assert_eq!(report(&lu).plans[0].id, first);
    let other = Plan { seed: 2, ..(*once()).clone() };
    lu.mailbox.send(orders(Some(Arc::new(other))));
    let plans = report(&lu).plans;
    assert_eq!((plans.len(), plans[0].plan.seed), (1, 2));
    lu.mailbox.send(orders(None));
    assert_eq!(report(&lu).plans, []);
}
