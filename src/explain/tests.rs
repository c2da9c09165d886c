//! Whatever happens: nothing panics, and where everybody does as he should, nothing but contention is found.

use proptest::prelude::*;
use pulsefield_record::{ImageRole, Record};
use pulsefield_units::Instant;

use crate::testing::{A, B, Sector, Tape, clear, data, hosts, in_generation, lock, slot};
use crate::{Account, Deadlines, FindingKind};

fn any_sector() -> impl Strategy<Value = Sector> {
    let host = || prop_oneof![Just(A), Just(B)];
    prop_oneof![
        4 => (host(), 0..5_u64).prop_map(|(host, third)| slot(host, third * 3)),
        2 => (host(), 0..3_u64, 4..9_u64).prop_map(|(host, stamp, generation)| in_generation(host, stamp, generation)),
        1 => (4..9_u64).prop_map(clear),
        4 => (1..5_u64, proptest::option::of(host())).prop_map(|(token, host)| lock(token, host)),
        1 => (0..3_u8).prop_map(data),
    ]
}

// There are few of them.
#[allow(clippy::large_enum_variant)]
#[derive(Clone, Debug)]
enum Step {
    Ats(Sector, Sector),
    Miscompare(Option<Sector>, Sector, Sector),
    Other(u8, Option<(ImageRole, Sector)>),
    Hit,
    Abort,
    Restart,
    Lose(u64),
    Bare,
    Odd(u64, u64, u64, u32),
}

fn any_step() -> impl Strategy<Value = Step> {
    let kept = || {
        let role = prop_oneof![
            Just(ImageRole::Written),
            Just(ImageRole::Repeated),
            Just(ImageRole::UnmapList),
            Just(ImageRole::Expected),
        ];
        proptest::option::of((role, any_sector()))
    };
    let found = proptest::option::of(any_sector());
    prop_oneof![
        6 => (any_sector(), any_sector()).prop_map(|(old, new)| Step::Ats(old, new)),
        6 => (found, any_sector(), any_sector())
            .prop_map(|(found, old, new)| Step::Miscompare(found, old, new)),
        3 => (any::<u8>(), kept()).prop_map(|(opcode, kept)| Step::Other(opcode, kept)),
        2 => (prop_oneof![Just(0x8a), Just(0x93), Just(0x42), Just(0x48)], kept())
            .prop_map(|(opcode, kept)| Step::Other(opcode, kept)),
        1 => Just(Step::Hit),
        1 => Just(Step::Abort),
        1 => Just(Step::Restart),
        1 => (0..9_u64).prop_map(Step::Lose),
        1 => Just(Step::Bare),
        1 => (any::<u64>(), any::<u64>(), any::<u64>(), any::<u32>())
            .prop_map(|(arrived, started, ended, bytes)| Step::Odd(arrived, started, ended, bytes)),
    ]
}

fn play(steps: Vec<(u64, Step)>) -> Vec<Record> {
    let mut tape = Tape::new();
    let mut now = 0;
    for (later, step) in steps {
        now += later;
        tape.at(now);
        match step {
            Step::Ats(old, new) => tape.ats(&old, &new),
            Step::Miscompare(None, old, new) => tape.miscompare(&old, &new),
            Step::Miscompare(Some(found), old, new) => tape.found(&found).miscompare(&old, &new),
            Step::Other(opcode, kept) => {
                tape.other(opcode, kept.as_ref().map(|(role, sector)| (*role, sector)))
            }
            Step::Hit => tape.ats(&data(0), &data(1)).hit("a rule", 9_000),
            Step::Abort => tape.abort(),
            Step::Restart => tape.restart(),
            Step::Lose(records) => tape.lose(records),
            Step::Bare => tape.miscompare(&data(0), &data(1)).but(|it| {
                (it.blocks, it.started, it.ended) = (None, None, None);
                it.images.clear();
            }),
            Step::Odd(arrived, started, ended, bytes) => {
                let odd = Instant::from_nanos;
                tape.miscompare(&slot(A, 0), &slot(A, 3)).but(|it| {
                    (it.arrived, it.started) = (odd(arrived), Some(odd(started)));
                    (it.ended, it.data_bytes) = (Some(odd(ended)), bytes);
                    if let Some(sense) = &mut it.sense {
                        sense.information = Some(ended);
                    }
                    it.images[0].offset = started;
                })
            }
        };
    }
    tape.records()
}

proptest! {
    // Each is a tape of many commands.
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_sequence_is_explained(steps in proptest::collection::vec((0..20_000_u64, any_step()), 0..60)) {
        let records = play(steps);
        let account = Account::of(&records, 0, Deadlines::default());
        for miscompare in &account.miscompares {
            prop_assert!(!miscompare.finding.to_string().is_empty());
            prop_assert!(!miscompare.finding.kind().advice().is_empty());
            miscompare.difference();
            miscompare.host();
        }
        account.late.iter().for_each(|late| assert!(!late.to_string().is_empty()));
        let counted: u64 = account.summary.miscompares.values().sum();
        prop_assert_eq!(counted, account.miscompares.len() as u64);
        hosts(&records);
    }

    /// Hosts that read a lock, and after at most half a second try to take or release it by what they
    /// read; and one that pulses beside them.
    #[test]
    fn hosts_that_look_first_only_contend(
        turns in proptest::collection::vec((0..2_usize, 1..150_u64, any::<bool>()), 1..120),
    ) {
        let mut tape = Tape::new();
        let mut on_medium = lock(4, None);
        tape.at(0).ats(&lock(3, Some(A)), &on_medium);
        let mut seen: [Option<(u64, Sector)>; 2] = [None, None];
        let mut token = 4;
        let mut now = 1;
        for (host, later, looks) in turns {
            now += later;
            tape.at(now);
            let fresh = seen[host].filter(|(when, _)| !looks && now - when <= 500);
            let Some((_, expected)) = fresh else {
                seen[host] = Some((now, on_medium));
                tape.other(0x88, None);
                continue;
            };
            token += 1;
            let wanted = lock(token, (token % 2 == 1).then_some([A, B][host]));
            if expected == on_medium {
                tape.ats(&expected, &wanted);
                on_medium = wanted;
            } else {
                tape.found(&on_medium).miscompare(&expected, &wanted);
            }
            seen[host] = None;
        }
        let records = tape.records();
        let account = Account::of(&records, 0, Deadlines::default());
        let others: Vec<_> = account
            .miscompares
            .iter()
            .map(|miscompare| &miscompare.finding)
            .filter(|finding| finding.kind() != FindingKind::Contention)
            .collect();
        prop_assert!(others.is_empty(), "{others:?}");
        prop_assert!(account.late.is_empty());
    }
}

#[test]
fn a_clean_hour_has_nothing_to_explain() {
    let mut tape = Tape::new();
    for nth in 0..1_200 {
        tape.at(nth * 3_000).ats(&slot(A, nth * 3), &slot(A, nth * 3 + 3));
    }
    let records = tape.records();
    let account = Account::of(&records, 0, Deadlines::default());
    assert!(account.miscompares.is_empty() && account.late.is_empty());
    assert_eq!((account.summary.ats, account.summary.hosts[0].pulses), (1_200, 1_200));
    assert_eq!(account.summary.worst.len(), crate::WORST_MAX);
    assert!(account.summary.miscompares.is_empty());
}

#[test]
fn what_is_before_the_first_record_told_of_is_evidence() {
    let mut tape = Tape::new();
    tape.at(0).ats(&lock(4, None), &lock(5, Some(B)));
    tape.at(2).found(&lock(5, Some(B))).miscompare(&lock(4, None), &lock(5, Some(A)));
    let records = tape.records();
    let told = |first| {
        let account = Account::of(&records, first, Deadlines::default());
        let kinds = account.miscompares.iter().map(|it| it.finding.kind());
        (kinds.collect::<Vec<_>>(), account.summary.ats)
    };
    assert_eq!(told(0), (vec![FindingKind::Contention], 2));
    assert_eq!(told(2), (vec![FindingKind::Contention], 1));
    assert_eq!(told(99), (vec![], 0));
}

#[test]
fn of_a_long_compare_the_block_that_differs_is_explained() {
    let long = |first: &Sector, second: &Sector| [first.as_slice(), second].concat();
    let mut tape = Tape::new();
    // Two blocks; the second is the one that another command wrote.
    tape.at(0).ats(&data(1), &data(2)).but(|it| {
        it.blocks = it.blocks.and_then(|blocks| {
            let second = blocks.start().checked_add(blocks.blocks())?;
            pulsefield_units::LbaRange::new(second, blocks.blocks())
        });
    });
    tape.at(10).miscompare(&data(0), &data(0)).but(|it| {
        it.blocks = it.blocks.and_then(|blocks| {
            pulsefield_units::LbaRange::new(blocks.start(), pulsefield_units::BlockCount::new(2))
        });
        it.data_bytes = 2048;
        it.images[0].bytes = long(&data(7), &data(1));
        it.images[1].bytes = long(&data(8), &data(8));
        it.sense.as_mut().unwrap().information = Some(512);
    });
    let records = tape.records();
    let account = Account::of(&records, 0, Deadlines::default());
    let miscompare = &account.miscompares[0];
    assert_eq!(miscompare.lba().as_u64(), crate::testing::LBA + 1);
    assert_eq!(miscompare.expected(), Some(&data(1)[..]));
    assert_eq!(miscompare.finding.kind(), FindingKind::Unknown, "what it found is not recorded");
}
