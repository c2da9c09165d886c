use super::*;
use crate::polling::SpareProcessors;

#[test]
fn a_unit_that_looks_for_work_answers_as_any_other_and_sleeps_in_the_end() {
    let spare = SpareProcessors::new(1);
    for cfgstring in ["null/", "ram/"] {
        let lu = Lu::on(cfgstring);
        lu.mailbox.send(Message::SetPolling(Some(spare.clone())));
        for _ in 0..200 {
            lu.write(1, b'A');
        }
        // Whatever it is told while it looks it hears.
        for number in 1..20 {
            lu.probe(number);
        }
        wait_until(|| spare.left() == 1);
        assert!(matches!(lu.stop(), End::Stopped));
    }
}
