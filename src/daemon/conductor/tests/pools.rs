//! A unit in a pool of space, on a medium that knows what it takes.

use pulsefield_engine::PoolLimits;

use super::*;

/// Blocks of a page, which is what memory is given out in.
const PAGE: u8 = 8;

fn in_a_pool(lu: &Lu, pages: u64) {
    let limit = pages * 4096;
    let pool = PoolLimits { name: "gold".to_owned(), limit, thresholds: vec![limit] };
    let config = LuConfig { pool: Some(pool), ..LuConfig::default() };
    lu.mailbox.send(Message::Reconfigure(config));
    assert_eq!(sense(lu, &[0; 6], Data::None), Some((0x06, 0x3f, 0x03)), "VPD page B2h differs");
    assert_eq!(sense(lu, &[0; 6], Data::None), Some((0x06, 0x2a, 0x01)), "and mode page 1Ch/02h");
}

/// The sense key, code and qualifier that a command ends with, if it does.
fn sense(lu: &Lu, cdb: &[u8], data: Data) -> Option<(u8, u8, u8)> {
    lu.execute(cdb, data).sense.map(|sense| (sense[2], sense[12], sense[13]))
}

#[test]
fn a_full_pool_refuses_new_blocks_until_some_are_given_back() {
    let lu = Lu::on("ram/");
    in_a_pool(&lu, 2);
    lu.write(0, 1);
    lu.write(PAGE, 1);
    assert_eq!(sense(&lu, &[0; 6], Data::None), Some((0x06, 0x38, 0x07)), "the threshold");
    let third = write(2 * PAGE, 1);
    assert_eq!(sense(&lu, &third, Data::Out(block(1))), Some((0x07, 0x27, 0x07)));
    lu.write(1, 2);
    assert_eq!(lu.read(1), block(2), "its page has space");
    let mut list = vec![0, 22, 0, 16, 0, 0, 0, 0];
    list.extend([0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, PAGE, 0, 0, 0, 0]);
    assert_eq!(sense(&lu, &[0x42, 0, 0, 0, 0, 0, 0, 0, 24, 0], Data::Out(list)), None);
    lu.write(2 * PAGE, 1);
    assert_eq!(sense(&lu, &[0; 6], Data::None), Some((0x06, 0x38, 0x07)), "reached once more");
    // Out of the pool, out of the limit.
    lu.mailbox.send(Message::Reconfigure(LuConfig::default()));
    assert_eq!(sense(&lu, &[0; 6], Data::None), Some((0x06, 0x3f, 0x03)));
    assert_eq!(sense(&lu, &[0; 6], Data::None), Some((0x06, 0x2a, 0x01)));
    lu.write(3 * PAGE, 1);
    assert!(matches!(lu.stop(), End::Stopped));
}
