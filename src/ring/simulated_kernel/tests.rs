//! The simulated kernel against a [`Ring`].

// Numbers of commands become bytes of their data.
#![allow(clippy::cast_possible_truncation)]

use std::collections::VecDeque;
use std::sync::Mutex;
use std::thread;

use super::*;
use crate::{Answer, CommandToken, DataIn, Entry, Ring, RingCommand};

mod histories;

const NOW: Instant = Instant::from_nanos(0);
const READ: [u8; 10] = [0x28, 0, 0, 0, 0, 0, 0, 0, 8, 0];
const DIRT: u8 = 0xa5;

const FEATURES: Features =
    Features { out_of_order: true, read_length: true, task_management: true, keep_buffer: true };

/// Small enough to wrap and to fill up.
fn small() -> Options {
    Options {
        ring_bytes: 1000,
        data_blocks: 16,
        tmr_notification: true,
        scatter: true,
        dirt: Some(DIRT),
        ..Options::default()
    }
}

fn device(options: Options) -> (SimulatedKernel, Ring) {
    let kernel = SimulatedKernel::new(options).unwrap();
    let ring = Ring::attach(kernel.mapping()).unwrap();
    (kernel, ring)
}

fn after(seconds: u64) -> Instant {
    NOW.after(Duration::from_secs(seconds))
}

fn commands(ring: &mut Ring) -> Vec<RingCommand> {
    let mut commands = Vec::new();
    while let Some(entry) = ring.next_entry().unwrap() {
        match entry {
            Entry::Command(command) => commands.push(command),
            Entry::Tmr(tmr) => panic!("unexpected {tmr:?}"),
        }
    }
    commands
}

fn good(ring: &mut Ring, command: RingCommand) {
    drop(command.data_in);
    let answer = Answer { status: GOOD, sense: None, data_in: DataIn::All };
    ring.complete(command.token, answer, command.data);
}

fn statuses(finished: Vec<Finished>) -> Vec<(Submitted, u8)> {
    finished.into_iter().map(|finished| (finished.handle, finished.status)).collect()
}

#[test]
fn four_commands_can_be_answered_in_any_order() {
    for out_of_order in [true, false] {
        let mut orders = vec![vec![]];
        for nth in 0..4 {
            orders = orders
                .iter()
                .flat_map(|order| {
                    (0..=order.len()).map(move |at| {
                        let mut order: Vec<usize> = order.clone();
                        order.insert(at, nth);
                        order
                    })
                })
                .collect();
        }
        assert_eq!(orders.len(), 24);
        let features = Features { out_of_order, ..FEATURES };
        let (mut kernel, mut ring) = device(Options { features, ..small() });
        for order in orders {
            let handles: Vec<_> =
                (0..4).map(|_| kernel.submit(NOW, &READ, Data::In(600)).unwrap()).collect();
            let mut taken: Vec<_> = commands(&mut ring).into_iter().map(Some).collect();
            let mut seen = Vec::new();
            for nth in order {
                let mut command = taken[nth].take().unwrap();
                command.data.fill(0, 600, nth as u8);
                good(&mut ring, command);
                if ring.publish() {
                    seen.extend(kernel.doorbell(NOW));
                }
            }
            assert_eq!(seen.len(), 4);
            for finished in seen {
                let nth = handles.iter().position(|handle| *handle == finished.handle).unwrap();
                assert_eq!(finished.data_in, [nth as u8; 600]);
            }
            assert!(!kernel.is_broken() && kernel.posted() == 0 && ring.in_flight() == 0);
        }
    }
}

#[test]
fn nothing_is_allocated_for_a_command_but_once() {
    let (mut kernel, mut ring) = device(small());
    for _ in 0..100 {
        kernel.submit(NOW, &READ, Data::In(3 * 4096)).unwrap();
        kernel.submit(NOW, &READ, Data::In(4096)).unwrap();
        for command in commands(&mut ring) {
            good(&mut ring, command);
        }
        assert!(ring.publish());
        kernel.doorbell(NOW);
        assert_eq!((ring.leases.len(), ring.data_area.spare()), (2, 2));
    }
}

#[test]
fn data_goes_out_through_scattered_blocks() {
    let (mut kernel, mut ring) = device(small());
    let out: Vec<u8> = (0..10_000u32).map(|n| (n % 251) as u8).collect();
    let write = [0x2a, 0, 0, 0, 0, 0, 0, 0, 20, 0];
    kernel.submit(NOW, &write, Data::Out(out.clone())).unwrap();
    let command = commands(&mut ring).remove(0);
    assert_eq!(command.cdb.as_bytes(), [&write[..], &[0; 6]].concat());
    assert_eq!(command.data.segments().len(), 3, "no two blocks are neighbours");
    let mut seen = vec![0; command.data.len()];
    command.data.read_at(0, &mut seen);
    assert_eq!(seen, out);
    good(&mut ring, command);
    assert!(ring.publish());
    assert_eq!(kernel.doorbell(NOW)[0].data_in, []);

    let (mut kernel, mut ring) = device(Options { scatter: false, ..small() });
    kernel.submit(NOW, &write, Data::Out(out)).unwrap();
    let command = commands(&mut ring).remove(0);
    assert_eq!(command.data.segments().len(), 1, "neighbouring blocks share a vector");
    good(&mut ring, command);
}

#[test]
fn both_directions_at_once() {
    let (mut kernel, mut ring) = device(small());
    let data = Data::Bidirectional { out: vec![7; 5000], expected: 4100 };
    kernel.submit(NOW, &[0x53; 10], data).unwrap();
    let mut command = commands(&mut ring).remove(0);
    assert_eq!((command.data.len(), command.data_in.len()), (5000, 4100));
    command.data_in.fill(0, 100, 9);
    good(&mut ring, command);
    assert!(ring.publish());
    let finished = kernel.doorbell(NOW).remove(0);
    assert_eq!(finished.data_in, [vec![9; 100], vec![0; 4000]].concat());
}

#[test]
fn short_data_in_reports_a_residual_and_leaks_nothing() {
    for (read_length, sent, data_in, residual) in [
        (true, 36, vec![1; 36], 4060),
        (true, 0, vec![0; 4096], 0),
        (false, 36, [vec![1; 36], vec![0; 4060]].concat(), 0),
    ] {
        let features = Features { read_length, ..FEATURES };
        let (mut kernel, mut ring) = device(Options { features, ..small() });
        kernel.submit(NOW, &[0x12, 0, 0, 0x10, 0, 0], Data::In(4096)).unwrap();
        let mut command = commands(&mut ring).remove(0);
        command.data.fill(0, sent, 1);
        let short = DataIn::Short(sent as u32);
        let answer = Answer { status: GOOD, sense: None, data_in: short };
        ring.complete(command.token, answer, command.data);
        assert!(ring.publish());
        let finished = kernel.doorbell(NOW).remove(0);
        assert_eq!(finished.data_in, data_in);
        assert_eq!(finished.residual, residual);
    }
}

#[test]
fn sense_data_arrives_and_data_does_not() {
    let (mut kernel, mut ring) = device(small());
    let handle = kernel.submit(NOW, &READ, Data::In(4096)).unwrap();
    let command = commands(&mut ring).remove(0);
    let sense = std::array::from_fn(|at| at as u8);
    let answer = Answer { status: CHECK_CONDITION, sense: Some(&sense), data_in: DataIn::All };
    ring.complete(command.token, answer, command.data);
    assert!(ring.publish());
    let expected =
        Finished { sense: Some(sense), ..Finished::with_status(handle, CHECK_CONDITION) };
    assert_eq!(kernel.doorbell(NOW), [expected]);
}

#[test]
fn a_command_waits_for_room_and_is_posted_by_the_doorbell() {
    let (mut kernel, mut ring) = device(Options { tmr_notification: false, ..small() });
    let handles: Vec<_> = (0..12).map(|_| kernel.submit(NOW, &READ, Data::None).unwrap()).collect();
    assert_eq!(kernel.posted(), 7, "of 128 bytes each, less the byte that stays free");
    assert_eq!(kernel.waiting(), 5);
    let events = kernel.event_count();
    let mut seen = Vec::new();
    while seen.len() < handles.len() {
        for command in commands(&mut ring) {
            good(&mut ring, command);
        }
        assert!(ring.publish());
        seen.extend(statuses(kernel.doorbell(NOW)));
    }
    assert_eq!(seen, handles.iter().map(|handle| (*handle, GOOD)).collect::<Vec<_>>());
    assert_eq!(kernel.event_count(), events + 5);
}

#[test]
fn data_blocks_run_out_too() {
    let (mut kernel, mut ring) = device(small());
    let half = Data::In(9 * 4096);
    let first = kernel.submit(NOW, &READ, half.clone()).unwrap();
    kernel.submit(NOW, &READ, half).unwrap();
    assert_eq!((kernel.posted(), kernel.waiting()), (1, 1));
    let too_much = kernel.submit(NOW, &READ, Data::In(17 * 4096));
    assert!(too_much.is_ok(), "it is looked at only when its turn comes");
    let mut command = commands(&mut ring).remove(0);
    command.data.fill(0, 9 * 4096, 0);
    good(&mut ring, command);
    assert!(ring.publish());
    assert_eq!(
        statuses(kernel.doorbell(NOW)),
        [(first, GOOD), (too_much.unwrap(), CHECK_CONDITION)]
    );
    assert_eq!((kernel.posted(), kernel.waiting()), (1, 0));
    for command in commands(&mut ring) {
        good(&mut ring, command);
    }
}

#[test]
fn what_cannot_ever_fit_is_refused() {
    let (mut kernel, _ring) = device(small());
    let refused = |data| SimulatedKernel::submit(&mut kernel, NOW, &READ, data);
    assert_eq!(
        [Data::In(17 * 4096), Data::Out(vec![0; 1 << 20])].map(refused),
        [Err(Refused::InvalidFieldInCdb), Err(Refused::InvalidFieldInCdb),]
    );
    let (mut kernel, _ring) = device(Options { ring_bytes: 240, ..small() });
    assert_eq!(kernel.submit(NOW, &READ, Data::None), Err(Refused::InvalidFieldInCdb));
}

#[test]
fn waiting_for_room_ends_in_time() {
    let options = Options { queue_full_time_out: Some(Duration::from_secs(5)), ..small() };
    let (mut kernel, mut ring) = device(options);
    let handles: Vec<_> = (0..8).map(|_| kernel.submit(NOW, &READ, Data::None).unwrap()).collect();
    assert_eq!(kernel.tick(after(4)), []);
    assert_eq!(statuses(kernel.tick(after(5))), [(handles[7], TASK_SET_FULL)]);
    for command in commands(&mut ring) {
        good(&mut ring, command);
    }

    let options = Options { queue_full_time_out: Some(Duration::ZERO), ..small() };
    let (mut kernel, _ring) = device(options);
    for _ in 0..7 {
        kernel.submit(NOW, &READ, Data::None).unwrap();
    }
    assert_eq!(kernel.submit(NOW, &READ, Data::None), Err(Refused::TaskSetFull));
}

#[test]
fn an_expired_command_keeps_its_blocks_until_it_is_answered() {
    let (mut kernel, mut ring) = device(small());
    let handle = kernel.submit(NOW, &READ, Data::In(16 * 4096)).unwrap();
    let finished = kernel.tick(after(30)).remove(0);
    assert_eq!(finished, Finished::communication_failure(handle));
    let later = kernel.submit(after(30), &READ, Data::In(4096)).unwrap();
    assert_eq!((kernel.posted(), kernel.waiting()), (1, 1), "its blocks are still taken");
    assert_eq!(kernel.tick(after(59)), []);

    let mut command = commands(&mut ring).remove(0);
    command.data.fill(0, 16 * 4096, 0);
    good(&mut ring, command);
    assert!(ring.publish());
    assert_eq!(kernel.doorbell(after(59)), [], "the initiator has its answer");
    for command in commands(&mut ring) {
        good(&mut ring, command);
    }
    assert!(ring.publish());
    assert_eq!(statuses(kernel.doorbell(after(59))), [(later, GOOD)]);
    assert!(!kernel.is_broken());
}

#[test]
fn aborted_commands_are_named_and_still_answered() {
    let (mut kernel, mut ring) = device(Options { ring_bytes: 904, ..small() });
    let handles: Vec<_> = (0..8).map(|_| kernel.submit(NOW, &READ, Data::None).unwrap()).collect();
    let hit = [handles[1], handles[6], handles[7]];
    let ended = kernel.task_management(TmrKind::LunReset, &hit);
    assert_eq!(statuses(ended), [(handles[7], TASK_ABORTED)], "it was not on the ring yet");
    let ids = [hit[0], hit[1]].map(|handle| kernel.cmd_id(handle).unwrap());

    let taken = commands(&mut ring);
    assert_eq!(taken.len(), 7);
    let mut seen = Vec::new();
    for command in taken {
        good(&mut ring, command);
        assert!(ring.publish());
        seen.extend(kernel.doorbell(NOW));
    }
    assert_eq!(seen.len(), 7, "aborted ones included");
    match ring.next_entry().unwrap() {
        Some(Entry::Tmr(tmr)) => {
            assert_eq!(tmr, crate::Tmr { kind: TmrKind::LunReset, command_ids: ids.to_vec() });
        }
        other => panic!("the ring was full before, now there is room for it: {other:?}"),
    }
    assert!(ring.publish());

    let (mut kernel, mut ring) = device(Options { tmr_notification: false, ..small() });
    kernel.task_management(TmrKind::LunReset, &[]);
    assert!(ring.next_entry().unwrap().is_none(), "only if it is switched on");
}

#[test]
fn a_blocked_device_takes_answers_and_no_commands() {
    let (mut kernel, mut ring) = device(small());
    let handles: Vec<_> = (0..8).map(|_| kernel.submit(NOW, &READ, Data::None).unwrap()).collect();
    let mut taken = commands(&mut ring);
    good(&mut ring, taken.remove(0));
    assert!(ring.publish());
    assert_eq!(statuses(kernel.block()), [(handles[0], GOOD), (handles[7], BUSY)]);
    assert_eq!(kernel.block(), []);
    assert_eq!(kernel.submit(NOW, &READ, Data::None), Err(Refused::Busy));
    for command in taken {
        good(&mut ring, command);
    }
    assert!(ring.publish());
    assert_eq!(kernel.doorbell(NOW).len(), 6);
    kernel.unblock();
    assert!(kernel.submit(NOW, &READ, Data::None).is_ok());
}

#[test]
fn a_reset_ring_starts_anew() {
    for reset in [Reset::Busy, Reset::Fail] {
        let (mut kernel, mut ring) = device(small());
        let handles: Vec<_> =
            (0..8).map(|_| kernel.submit(NOW, &READ, Data::In(8)).unwrap()).collect();
        let tokens: Vec<CommandToken> =
            commands(&mut ring).into_iter().map(|command| command.token).collect();
        drop(ring);
        drop(tokens);
        let ended = kernel.reset_ring(NOW, reset);
        assert_eq!(ended.len(), 7);
        let status = if reset == Reset::Busy { BUSY } else { CHECK_CONDITION };
        assert!(ended.iter().all(|finished| finished.status == status));

        let mut ring = Ring::attach(kernel.mapping()).unwrap();
        let mut taken = commands(&mut ring);
        assert_eq!(taken.len(), 1, "what waited for room is posted at once");
        let mut command = taken.remove(0);
        command.data.fill(0, 8, 1);
        good(&mut ring, command);
        assert!(ring.publish());
        assert_eq!(statuses(kernel.doorbell(NOW)), [(handles[7], GOOD)]);
    }
}

#[test]
fn a_wrong_id_breaks_the_device_until_it_is_reset() {
    let (mut kernel, _ring) = device(small());
    kernel.submit(NOW, &READ, Data::None).unwrap();
    kernel.mapping.write(MAILBOX_SIZE + 4, &77u16);
    kernel.mailbox.publish_tail(128);
    assert_eq!(kernel.doorbell(NOW), []);
    assert!(kernel.is_broken());
    assert_eq!(kernel.submit(NOW, &READ, Data::None), Err(Refused::CommunicationFailure));
    assert_eq!(kernel.reset_ring(NOW, Reset::Busy).len(), 1);
    assert!(!kernel.is_broken());
    kernel.submit(NOW, &READ, Data::None).unwrap();

    kernel.mapping.write(MAILBOX_SIZE, &0u32);
    kernel.mailbox.publish_tail(128);
    assert_eq!(kernel.doorbell(NOW), []);
    assert!(kernel.is_broken(), "an altered length");
}

#[test]
fn flags_of_an_answer_have_their_effect() {
    let (mut kernel, _ring) = device(small());
    let handle = kernel.submit(NOW, &READ, Data::None).unwrap();
    kernel.mapping.write(MAILBOX_SIZE + 7, &crate::abi::UFLAG_UNKNOWN_OP);
    kernel.mailbox.publish_tail(128);
    assert_eq!(kernel.doorbell(NOW), [Finished::communication_failure(handle)]);

    let handle = kernel.submit(NOW, &READ, Data::Out(vec![1; 16 * 4096])).unwrap();
    let cmd_id = kernel.cmd_id(handle).unwrap();
    let start = MAILBOX_SIZE + 128;
    kernel.mapping.write(start + 7, &crate::abi::UFLAG_KEEP_BUF);
    kernel.mapping.write(start + 8, &GOOD);
    kernel.mailbox.publish_tail(kernel.head);
    assert_eq!(statuses(kernel.doorbell(NOW)), [(handle, GOOD)]);
    assert_eq!(kernel.posted(), 0);
    kernel.submit(NOW, &READ, Data::In(1)).unwrap();
    assert_eq!(kernel.waiting(), 1, "the blocks are kept");
    assert_eq!(kernel.free_kept_buffer(NOW, cmd_id + 1), None);
    assert_eq!(kernel.free_kept_buffer(NOW, cmd_id), Some(vec![]));
    assert_eq!((kernel.posted(), kernel.waiting()), (1, 0));
}

#[test]
fn every_id_can_be_in_flight() {
    let (mut kernel, mut ring) = device(Options { ring_bytes: 128 * 65_600, ..Options::default() });
    for _ in 0..65_535 {
        kernel.submit(NOW, &READ, Data::None).unwrap();
    }
    assert_eq!(kernel.submit(NOW, &READ, Data::None), Err(Refused::TaskSetFull));
    let mut taken = commands(&mut ring);
    assert_eq!((taken.len(), ring.in_flight()), (65_535, 65_535));
    assert_eq!(taken.last().unwrap().token.cmd_id(), 65_535);
    while let Some(command) = taken.pop() {
        good(&mut ring, command);
    }
    assert!(ring.publish());
    assert_eq!(kernel.doorbell(NOW).len(), 65_535);
    assert_eq!((kernel.posted(), kernel.is_broken()), (0, false));
}

#[test]
fn a_device_thread_serves_an_initiator_thread() {
    const COMMANDS: u64 = 5000;
    let kernel = Mutex::new(SimulatedKernel::new(small()).unwrap());
    let mut ring = Ring::attach(kernel.lock().unwrap().mapping()).unwrap();
    let finished = Mutex::new(Vec::new());
    thread::scope(|scope| {
        scope.spawn(|| {
            let mut answered = 0;
            let deadline = std::time::Instant::now() + Duration::from_secs(60);
            while answered < COMMANDS {
                assert!(std::time::Instant::now() < deadline, "a command was lost");
                // Read without the lock: only the mailbox orders this thread after the other.
                while let Some(Entry::Command(mut command)) = ring.next_entry().unwrap() {
                    let tag = command.cdb.as_bytes()[5];
                    command.data.fill(0, command.data.len(), tag);
                    good(&mut ring, command);
                    answered += 1;
                }
                if ring.publish() {
                    let ended = kernel.lock().unwrap().doorbell(NOW);
                    finished.lock().unwrap().extend(ended);
                } else {
                    assert!(!kernel.lock().unwrap().is_broken());
                    thread::yield_now();
                }
            }
        });
        for nth in 0..COMMANDS {
            let mut read = READ;
            read[5] = nth as u8;
            kernel.lock().unwrap().submit(NOW, &read, Data::In(5000)).unwrap();
        }
    });
    let finished = finished.into_inner().unwrap();
    assert_eq!(finished.len() as u64, COMMANDS);
    for Finished { handle: Submitted(nth), data_in, .. } in finished {
        assert!(data_in.iter().all(|byte| *byte == nth as u8), "command {nth}");
    }
}

#[test]
fn ids_are_the_lowest_free_and_used_again_at_once() {
    let (mut kernel, mut ring) = device(small());
    let mut expected = VecDeque::from([1, 2, 3, 2]);
    let mut submit = |kernel: &mut SimulatedKernel| {
        let handle = kernel.submit(NOW, &READ, Data::None).unwrap();
        assert_eq!(kernel.cmd_id(handle), expected.pop_front());
    };
    for _ in 0..3 {
        submit(&mut kernel);
    }
    let mut taken = commands(&mut ring);
    good(&mut ring, taken.remove(1));
    assert!(ring.publish());
    kernel.doorbell(NOW);
    submit(&mut kernel);
    taken.extend(commands(&mut ring));
    for command in taken {
        good(&mut ring, command);
    }
}
