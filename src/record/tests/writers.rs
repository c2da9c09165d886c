//! Who wrote a sector of metadata can be told, whichever command it was.

use super::*;

/// The last command that may have changed the sector.
fn writer(desk: &Desk, lba: u64) -> Command {
    let changed = |command: &Command| command.may_have_changed(Lba::new(lba));
    desk.commands().into_iter().rfind(changed).expect("somebody wrote it")
}

/// A recorder that has seen a pulse in sector 8193.
fn pulsed(desk: &Desk) -> Recorder {
    let mut recorder = desk.open();
    Told::ats(8193, b"a", b"b").tell(&mut recorder, 100);
    recorder
}

#[test]
fn by_a_write_in_whose_middle_it_is() {
    let desk = Desk::new(MIB);
    let mut recorder = pulsed(&desk);
    let mut write = Told::write(8000, 256, 0);
    write.data[193 * 512..][..4].copy_from_slice(b"oops");
    write.tell(&mut recorder, 200);
    let written = writer(&desk, 8193);
    assert_eq!(written.answered, at(200));
    let image = written.image(ImageRole::Written).unwrap();
    assert_eq!((image.offset, image.bytes.len()), (193 * 512, 4096));
    assert_eq!(image.bytes[..512], sector(b"oops"));
    // It is not pushed out by bulk.
    for nth in 0..20_000 {
        Told::write(0, 8, 1).tell(&mut recorder, 300 + nth);
    }
    assert_eq!(writer(&desk, 8193).answered, at(200));
    assert_eq!(desk.commands().last().unwrap().images, []);
}

#[test]
fn by_a_write_same() {
    let desk = Desk::new(MIB);
    let mut recorder = pulsed(&desk);
    Told::new(&[0x93; 16], Lane::Bulk, range(0, 100_000), &sector(b"again"))
        .tell(&mut recorder, 200);
    let repeated = writer(&desk, 8193).image(ImageRole::Repeated).cloned().unwrap();
    assert_eq!(repeated.bytes, sector(b"again"));
    // WRITE SAME with NDOB brings nothing, and writes zeros.
    Told::new(&[0x93; 16], Lane::Bulk, range(8000, 1000), &[]).tell(&mut recorder, 300);
    assert_eq!((writer(&desk, 8193).answered, writer(&desk, 8193).images), (at(300), vec![]));
}

#[test]
fn by_an_unmap_of_several_ranges() {
    let desk = Desk::new(MIB);
    let mut recorder = pulsed(&desk);
    let mut list = vec![0, 38, 0, 32, 0, 0, 0, 0];
    for (lba, blocks) in [(8192_u64, 8_u32), (99_000, 8)] {
        list.extend(lba.to_be_bytes());
        list.extend(blocks.to_be_bytes());
        list.extend([0; 4]);
    }
    // The last range is what it claims at its end.
    Told::new(&[0x42; 16], Lane::Bulk, range(99_000, 8), &list).tell(&mut recorder, 200);
    for nth in 0..20_000 {
        Told::write(0, 8, 1).tell(&mut recorder, 300 + nth);
    }
    let unmap = writer(&desk, 8193);
    assert_eq!(unmap.answered, at(200));
    assert_eq!(unmap.image(ImageRole::UnmapList).unwrap().bytes, list);
    assert!(!unmap.may_have_changed(Lba::new(8200)));
}

#[test]
fn by_a_part_of_a_copy_and_by_a_fault() {
    let desk = Desk::new(MIB);
    let mut recorder = pulsed(&desk);
    for (origin, micros) in [(Origin::Copy, 200), (Origin::Fault, 300)] {
        let own = Told { origin, ..Told::write(8192, 8, 3) };
        own.tell(&mut recorder, micros);
        let written = writer(&desk, 8193);
        assert_eq!((written.origin, written.answered), (origin, at(micros)));
        assert_eq!(written.image(ImageRole::Written).unwrap().bytes, [3; 7 * 512]);
    }
}

#[test]
fn by_a_sanitize() {
    let desk = Desk::new(MIB);
    let mut recorder = pulsed(&desk);
    let sanitize = Told::new(&[0x48; 10], Lane::Bulk, range(0, 1 << 21), &[]);
    sanitize.tell(&mut recorder, 200);
    assert_eq!(writer(&desk, 8193).answered, at(200));
}

#[test]
fn not_by_what_failed_to_compare_or_never_began() {
    let desk = Desk::new(MIB);
    let mut recorder = pulsed(&desk);
    Told::ats(8193, b"x", b"y").miscompared(0).tell(&mut recorder, 200);
    let refused = Told { lane: None, status: Status::Busy, ..Told::write(8193, 1, 1) };
    refused.tell(&mut recorder, 300);
    Told::new(&[0x88; 16], Lane::Bulk, range(8193, 1), &[]).tell(&mut recorder, 400);
    assert_eq!(writer(&desk, 8193).answered, at(100));
}
