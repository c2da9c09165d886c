//! A unit with armed faults: what they hold up is theirs alone, and the kernel always gets its answer.

use std::time::Duration;

use pulsefield_faults::{
    Delay, Disarm, Fault, FaultReport, Plan, PlanId, Rule, Verdict, When, Where,
};

use super::*;
use crate::change_medium::MediumChange;
use crate::station::FaultOrders;

const MS: Duration = Duration::from_millis(1);

fn plan(faults: impl IntoIterator<Item = Fault>) -> Plan {
    let rule = |fault| Rule {
        name: "r".to_owned(),
        place: Where::default(),
        when: When::default(),
        fault,
        verdict: Verdict::InitiatorSees,
    };
    Plan { seed: 1, lasting: None, hits: None, rules: faults.into_iter().map(rule).collect() }
}

impl Lu {
    pub(super) fn arm(&self, fault: Fault) -> PlanId {
        let (done, armed) = unbounded();
        let plan = Arc::new(plan([fault]));
        self.mailbox.send(Message::Arm { plan, lun: "ds1".to_owned(), done });
        armed.recv_timeout(PATIENCE).unwrap()
    }

    fn disarm(&self) -> usize {
        let (done, disarmed) = unbounded();
        self.mailbox.send(Message::Disarm { which: Disarm::All, done });
        disarmed.recv_timeout(PATIENCE).unwrap()
    }

    fn report(&self) -> FaultReport {
        let (reply, report) = unbounded();
        self.mailbox.send(Message::ReportFaults { since: 0, reply });
        report.recv_timeout(PATIENCE).unwrap()
    }
}

fn pulse(old: u8, new: u8) -> Data {
    Data::Out([block(old), block(new)].concat())
}

#[test]
fn a_unit_without_faults_reports_none_and_disarms_none() {
    let lu = Lu::on("ram/");
    assert_eq!(lu.report(), FaultReport::default());
    assert_eq!(lu.disarm(), 0);
}

#[test]
fn a_slow_heartbeat_holds_up_nobody_else() {
    let lu = Lu::on("ram/");
    // So slow that it is not answered before the others, however long this machine lets them wait.
    let delay = Delay::Fixed(Duration::from_secs(3600));
    lu.arm(Fault::CawSlow { delay, phase: pulsefield_faults::Phase::After });
    let slow = lu.submit(&compare_and_write(3), pulse(0, 1));
    // Applied, and not answered: others go by meanwhile.
    wait_until(|| lu.counters.compare_and_write_good.load() == 1);
    assert_eq!(lu.read(3), block(1));
    lu.write(4, 2);
    let report = lu.report();
    assert_eq!((report.hits.len(), report.plans[0].commands), (1, 3));
    assert_eq!(lu.disarm(), 1);
    assert_eq!(lu.uio.answer(slow).status, GOOD);
    assert!(matches!(lu.stop(), End::Stopped));
}

#[test]
fn what_is_never_to_be_answered_is_when_it_is_aborted_and_when_the_unit_stops() {
    let lu = Lu::on("ram/");
    lu.arm(Fault::CawStatusLost { limit: None });
    let aborted = lu.submit(&compare_and_write(3), pulse(0, 1));
    wait_until(|| lu.counters.compare_and_write_good.load() == 1);
    lu.probe(1);
    assert!(!lu.uio.has_answer());
    lu.uio.abort(&[aborted]);
    lu.uio.answer(aborted);
    assert_eq!(lu.read(3), block(1));
    let held = lu.submit(&compare_and_write(4), pulse(0, 1));
    wait_until(|| lu.counters.compare_and_write_good.load() == 2);
    let uio = lu.uio.clone();
    assert!(matches!(lu.stop(), End::Stopped));
    let answer = uio.answer(held);
    assert_eq!((answer.status, answer.sense.unwrap()[2]), (CHECK_CONDITION, 0x02));
}

#[test]
fn what_was_dropped_expires() {
    let lu = Lu::on("ram/");
    lu.arm(Fault::Drop { limit: Some(5 * MS) });
    let answer = lu.execute(&write(3, 1), Data::Out(block(1)));
    let sense = answer.sense.unwrap();
    assert_eq!((sense[2], sense[12], sense[13]), (0x02, 0x08, 0x00));
    assert_eq!(lu.disarm(), 1);
    assert_eq!(lu.read(3), block(0));
}

#[test]
fn what_was_dropped_expires_when_the_kernel_gives_up() {
    let lu = Lu::on("ram/");
    lu.arm(Fault::Drop { limit: None });
    lu.mailbox.send(Message::CommandTimeOut(5 * MS));
    let answer = lu.execute(&write(3, 1), Data::Out(block(1)));
    assert_eq!(answer.sense.unwrap()[2], 0x02);
}

#[test]
fn a_write_comes_after_its_abort_was_answered() {
    let lu = Lu::on("ram/");
    lu.arm(Fault::CawLateApply { delay: 20 * MS, limit: None });
    let late = lu.submit(&compare_and_write(3), pulse(0, 1));
    wait_until(|| !lu.report().hits.is_empty());
    lu.uio.abort(&[late]);
    assert_eq!(lu.uio.answer(late).status, TASK_ABORTED);
    wait_until(|| lu.counters.compare_and_write_good.load() == 1);
    assert_eq!(lu.read(3), block(1));
}

#[test]
fn what_comes_late_goes_to_the_medium_that_there_is_then() {
    let lu = Lu::on("ram/");
    // Later than the change, also on a machine that is busy.
    lu.arm(Fault::CawLateApply { delay: Duration::from_secs(1), limit: None });
    let late = lu.submit(&compare_and_write(3), pulse(0, 1));
    wait_until(|| !lu.report().hits.is_empty());
    lu.uio.abort(&[late]);
    lu.uio.answer(late);
    let medium = Media::new().open("test", "ram/", geometry(64), None).unwrap();
    let (done, changed) = unbounded();
    lu.mailbox.send(Message::ChangeMedium(MediumChange { medium, done }));
    changed.recv_timeout(PATIENCE).unwrap().unwrap();
    wait_until(|| lu.counters.compare_and_write_good.load() == 1);
    assert_eq!(lu.execute(&[0; 6], Data::None).status, CHECK_CONDITION, "another medium");
    assert_eq!(lu.read(3), block(1));
}

#[test]
fn disarming_lets_go_and_the_unit_is_as_before() {
    let lu = Lu::on("ram/");
    lu.arm(Fault::Latency { delay: Delay::Fixed(Duration::from_secs(3600)) });
    let held: Vec<_> = (0..8).map(|lba| lu.submit(&read(lba, 1), Data::In(512))).collect();
    wait_until(|| lu.report().hits.len() == held.len());
    assert_eq!(lu.disarm(), 1);
    for command in held {
        assert_eq!(lu.uio.answer(command).data_in, block(0));
    }
    lu.write(3, 1);
    assert!(matches!(lu.stop(), End::Stopped));
}

#[test]
fn arming_disarming_and_reloading_ten_thousand_times_under_load_loses_nothing() {
    let lu = Lu::on("ram/");
    let is_over = AtomicBool::new(false);
    let latency = || Fault::Latency { delay: Delay::Fixed(MS / 10) };
    let configured = Arc::new(plan([latency()]));
    let commands: u64 = thread::scope(|scope| {
        let over = Over(&is_over);
        let load = scope.spawn(|| {
            let mut turns = 0;
            while !is_over.load(Ordering::Relaxed) {
                let value = u8::try_from(turns % 251).unwrap();
                lu.write(value % 64, value);
                assert_eq!(lu.read(value % 64), block(value));
                turns += 1;
            }
            turns * 2
        });
        for turn in 0..10_000 {
            let plan = (turn % 2 == 0).then(|| configured.clone());
            let from_file = usize::from(plan.is_some());
            let orders = FaultOrders { lun: "ds1".to_owned(), plan, product: None };
            lu.mailbox.send(Message::ConfigureFaults(orders));
            lu.arm(latency());
            assert_eq!(lu.disarm(), 1 + from_file);
        }
        drop(over);
        load.join().unwrap()
    });
    assert!(commands > 0);
    let report = lu.report();
    assert!(report.plans.is_empty());
    assert!(report.next_hit <= commands, "no command is hit twice");
    assert_eq!(lu.counters.commands.load(), commands);
    assert_eq!(lu.counters.faults_armed.load(), 0);
    for lane in Lane::ALL.map(|lane| lu.counters.lane(lane)) {
        assert_eq!((lane.waiting.load(), lane.running.load()), (0, 0));
    }
    assert!(matches!(lu.stop(), End::Stopped));
}

#[test]
fn an_initiator_hears_of_its_unit_attention_and_not_the_saboteur() {
    let lu = Lu::on("ram/");
    lu.arm(Fault::CawNotAtomic { gap: Delay::Fixed(Duration::ZERO) });
    let config = LuConfig { medium_rotation_rate: 7200, ..LuConfig::default() };
    lu.mailbox.send(Message::Reconfigure(config));
    let first = lu.execute(&compare_and_write(3), pulse(0, 1));
    assert_eq!(first.sense.unwrap()[12..14], [0x3f, 0x03]);
    assert_eq!(lu.read(3), block(0));
}

#[test]
fn a_smaller_medium_is_known_to_the_faults() {
    let lu = Lu::on("ram/");
    lu.arm(Fault::LostWrite);
    let (done, settled) = unbounded();
    lu.mailbox.send(Message::Resize { blocks: BlockCount::new(32), done });
    settled.recv_timeout(PATIENCE).unwrap();
    assert_eq!(lu.execute(&[0; 6], Data::None).status, CHECK_CONDITION, "the capacity");
    lu.write(31, 1);
    let beyond = lu.execute(&write(32, 1), Data::Out(block(1)));
    assert_eq!(beyond.sense.unwrap()[12], 0x21, "is refused and not lost");
    assert_eq!(lu.read(31), block(0));
}

#[test]
fn faults_outlive_a_conductor() {
    let uio = SimulatedUio::new(Options::default());
    let medium = Media::new().open("test", "ram/", geometry(64), None).unwrap();
    let mut station = Station::new(uio.events(), LuConfig::default()).unwrap();
    let mailbox = station.mailbox();
    let (done, _armed) = unbounded();
    let plan = Arc::new(plan([Fault::Drop { limit: None }]));
    mailbox.send(Message::Arm { plan, lun: "ds1".to_owned(), done });
    let (asked_for, _asked) = unbounded();
    let surroundings = Listening::new(asked_for, mailbox.clone());
    let conductor = thread::spawn({
        let uio = uio.clone();
        move || {
            let mut conduct = || {
                let (ring, mut medium) = (uio.attach(), medium.clone());
                let (station, medium) = (&mut station, &mut medium);
                Conductor::new(station, &uio, &surroundings, ring, medium, Arc::default()).run()
            };
            let ends = [conduct(), conduct()];
            (ends, station.saboteur.unwrap().report(0))
        }
    });
    uio.submit(&write(3, 1), Data::Out(block(1)));
    wait_until(|| {
        let (reply, report) = unbounded();
        mailbox.send(Message::ReportFaults { since: 0, reply });
        !report.recv_timeout(PATIENCE).unwrap().hits.is_empty()
    });
    wait_until(|| {
        mailbox.remove();
        conductor.is_finished()
    });
    let (ends, report) = joined(conductor);
    assert!(ends.iter().all(|end| matches!(end, End::Gone)));
    assert_eq!((report.plans.len(), report.hits.len()), (1, 1));
}
