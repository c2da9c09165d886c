use std::collections::HashSet;

use pulsefield_units::{BlockLength, Lba};

use super::*;

const UP: Presence = Presence::Up { bulk_in_flight: 0 };

fn scratch() -> Scratch {
    Scratch {
        block_length: BlockLength::B512,
        machines: (0..16).map(|nth| 0x72_0000 + nth * 8192).collect(),
        resources: (0..8).map(|nth| 0x91_0000 + nth * 8192).collect(),
        bulk: LbaRange::new(Lba::new(100_000), BlockCount::new(8192)).unwrap(),
        unmaps_to_zeros: true,
        copies: true,
    }
}

fn second(seconds: u64) -> Instant {
    Instant::default().after(Duration::from_secs(seconds))
}

/// All that a mix has hosts do within so many seconds, if nothing ever ends.
fn all(mix: &Mix, seed: u64, hosts: &[Presence], seconds: u64) -> Vec<(Instant, Deed)> {
    let count = u32::try_from(hosts.len()).unwrap();
    let mut work = Work::new(mix, seed, count, Instant::default());
    let scratch = scratch();
    let mut done = Vec::new();
    while let Some(now) = work.due().filter(|due| *due <= second(seconds)) {
        while let Some(deed) = work.next(now, &scratch, hosts) {
            done.push((now, deed));
        }
    }
    done
}

#[test]
fn a_seed_repeats_itself() {
    for name in Mix::names() {
        let mix = Mix::named(name).unwrap();
        let first = all(&mix, 7, &[UP; 4], 60);
        assert!(!first.is_empty(), "{name}");
        assert_eq!(first, all(&mix, 7, &[UP; 4], 60), "{name}");
        assert_ne!(first, all(&mix, 8, &[UP; 4], 60), "{name}");
    }
}

#[test]
fn the_mixed_mix_does_all_there_is() {
    let deeds = all(&Mix::named("mixed").unwrap(), 1, &[UP; 8], 300);
    let kinds: HashSet<_> = deeds
        .iter()
        .map(|(_, deed)| match deed {
            Deed::Order { kind: OrderKind::Exclusive { .. }, .. } => "exclusive",
            Deed::Order { kind: OrderKind::ReadOnly { .. }, .. } => "read-only",
            Deed::Order { kind: OrderKind::MultiWriter { .. }, .. } => "multi-writer",
            Deed::Order { kind: OrderKind::Transaction { .. }, .. } => "transaction",
            Deed::Io { io: Io::Read(_), .. } => "read",
            Deed::Io { io: Io::Write { .. }, .. } => "write",
            Deed::Io { io: Io::Unmap(_), .. } => "unmap",
            Deed::Io { io: Io::WriteZeros(_), .. } => "zeros",
            Deed::Io { io: Io::Copy { .. }, .. } => "copy",
            Deed::Io { .. } => "other",
            Deed::Crash { .. } => "crash",
            Deed::Freeze { .. } => "freeze",
            Deed::SwitchPulses { .. } => "switch",
            Deed::SwitchLocking { .. } => "locking",
        })
        .collect();
    assert_eq!(kinds.len(), 12, "{kinds:?}");
    assert!(!kinds.contains("other"));
}

#[test]
fn bulk_stays_in_its_region_and_the_offload_a_unit_lacks_is_left_out() {
    let mix = Mix::named("offload").unwrap();
    let mut work = Work::new(&mix, 3, 4, Instant::default());
    let scratch = Scratch { unmaps_to_zeros: false, copies: false, ..scratch() };
    let inside = |first: Lba, blocks: u64| {
        let range = LbaRange::new(first, BlockCount::new(blocks)).unwrap();
        assert!(scratch.bulk.contains(range), "{range:?}");
    };
    for _ in 0..10_000 {
        let now = work.due().unwrap();
        while let Some(deed) = work.next(now, &scratch, &[UP; 4]) {
            let Deed::Io { io, .. } = deed else { continue };
            if let Io::Read(range) | Io::WriteZeros(range) = io {
                inside(range.start(), range.blocks().as_u64());
            } else if let Io::Write { lba, data } = io {
                inside(lba, data.len() as u64 / 512);
            } else {
                panic!("{io:?}");
            }
        }
    }
}

#[test]
fn a_block_is_written_swapped_and_written_at_once_and_read() {
    let mix = Mix::parse("m", "[collisions]\nblocks = 1\n").unwrap();
    let deeds = all(&mix, 1, &[UP; 3], 10);
    let ios: Vec<_> = deeds
        .into_iter()
        .map(|(at, deed)| {
            let Deed::Io { host, io } = deed else { panic!("{deed:?}") };
            (at, host, io)
        })
        .collect();
    let (rounds, _) = ios.as_chunks::<4>();
    assert!(rounds.len() > 100);
    for [(_, _, first), one, other, (_, _, last)] in rounds {
        let Io::Write { lba, data: before } = first else { panic!("{first:?}") };
        assert_eq!((one.0, one.1 == other.1), (other.0, false), "two hosts, at one time");
        let mut both = [&one.2, &other.2];
        both.sort_by_key(|io| matches!(io, Io::Write { .. }));
        let [Io::CompareAndWrite { lba: swapped, test, set }, Io::Write { data, .. }] = both else {
            panic!("{both:?}")
        };
        assert_eq!((swapped, test), (lba, before));
        assert!(set != data && data != before && set != before);
        assert!(matches!(last, Io::Read(block) if block.start() == *lba));
    }
}

#[test]
fn a_transaction_has_different_locks() {
    let mix = Mix::parse("m", "[growth]\nlocks = 20\n").unwrap();
    for (_, deed) in all(&mix, 1, &[UP; 2], 5) {
        let Deed::Order { kind: OrderKind::Transaction { locks, .. }, .. } = deed else { panic!() };
        assert_eq!(locks.len(), 8, "as many as there are");
        assert_eq!(locks.iter().collect::<HashSet<_>>().len(), 8);
    }
}

#[test]
fn hosts_that_are_away_or_busy_are_left_alone() {
    let busy = Presence::Up { bulk_in_flight: 100 };
    let mix = Mix::named("mixed").unwrap();
    for (_, deed) in all(&mix, 5, &[Presence::Away, busy, Presence::Away], 200) {
        match deed {
            Deed::Order { host, .. }
            | Deed::SwitchPulses { host }
            | Deed::SwitchLocking { host } => assert_eq!(host, HostId(1)),
            Deed::Io { .. } => panic!("it has enough to do"),
            Deed::Crash { .. } | Deed::Freeze { .. } => panic!("most of them are away"),
        }
    }
}

#[test]
fn rates_are_what_the_mix_says() {
    let mix = Mix::parse("m", "[growth]\nevery = \"100ms\"\n").unwrap();
    let transactions = all(&mix, 1, &[UP; 4], 100).len();
    assert!((3_600..4_400).contains(&transactions), "{transactions}, 4 hosts, 10 a second each");
}
