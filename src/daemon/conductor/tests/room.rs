use super::*;

#[test]
fn how_full_the_data_area_was_is_known() {
    let (medium, requests) = held_medium(1 << 20);
    // A MiB.
    let lu = Lu::with_options(medium, Options { data_blocks: 256, ..Options::default() });
    // Of 64 KiB, the most that one command may take then.
    let reads: Vec<_> = (0..8).map(|_| lu.submit(&read(0, 128), Data::In(64 << 10))).collect();
    // All of them are in flight before the first ends.
    let requests: Vec<_> = reads.iter().map(|_| requests.recv_timeout(PATIENCE).unwrap()).collect();
    for request in requests {
        request.complete(Ok(OpOutput::Done));
    }
    for read in reads {
        assert_eq!(lu.uio.answer(read).status, GOOD);
    }
    lu.probe(1);
    assert_eq!(lu.counters.data_area_bytes.load(), 1 << 20);
    assert_eq!(lu.counters.data_area_peak_percent.load(), 50);
    assert!(lu.counters.ring_peak_percent.load() > 0);
    let refused = lu.execute(&read(0, 129), Data::In(129 * 512));
    assert_eq!((refused.status, refused.sense.unwrap()[12]), (CHECK_CONDITION, 0x24));
}
