//! Random histories: both ends of a small ring, judged by what the initiators see.

use std::collections::BTreeMap;

use proptest::prelude::*;
use pulsefield_data::Buffer;

use super::*;

/// One step of a random history. Indices are taken modulo what there is.
#[derive(Clone, Debug)]
enum Step {
    /// With so many bytes out and in; `None` for a direction that is not used.
    Submit {
        out: Option<usize>,
        expected: Option<usize>,
    },
    /// Read at most so many entries.
    Read(usize),
    Answer(usize, Ending),
    Publish,
    Abort(usize),
    /// So many seconds pass.
    Wait(u64),
}

#[derive(Clone, Copy, Debug)]
enum Ending {
    Good,
    Short(u32),
    Sense,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let len = prop_oneof![Just(0usize), 1..600usize, 4000..13_000usize];
    let some = len.prop_map(Some);
    let submit = (prop_oneof![Just(None), some.clone()], prop_oneof![Just(None), some])
        .prop_map(|(out, expected)| Step::Submit { out, expected });
    let ending = prop_oneof![
        3 => Just(Ending::Good),
        2 => (0..14_000u32).prop_map(Ending::Short),
        1 => Just(Ending::Sense),
    ];
    let step = prop_oneof![
        6 => submit,
        4 => (1..4usize).prop_map(Step::Read),
        6 => (any::<usize>(), ending).prop_map(|(nth, ending)| Step::Answer(nth, ending)),
        4 => Just(Step::Publish),
        1 => any::<usize>().prop_map(Step::Abort),
        1 => (1..20u64).prop_map(Step::Wait),
    ];
    proptest::collection::vec(step, 1..120)
}

/// The byte at `at` of the data of command `nth`; never [`DIRT`], never 0.
fn byte_of(nth: u64, at: usize) -> u8 {
    1 + ((nth as usize * 37 + at) % 150) as u8
}

fn bytes_of(nth: u64, len: usize) -> Vec<u8> {
    (0..len).map(|at| byte_of(nth, at)).collect()
}

/// Both ends of the ring, and what each initiator must see.
struct World {
    now: Instant,
    kernel: SimulatedKernel,
    ring: Ring,
    submitted: BTreeMap<Submitted, Data>,
    in_hand: Vec<RingCommand>,
    answers: BTreeMap<u64, Ending>,
    finished: BTreeMap<Submitted, Finished>,
}

impl World {
    fn new(options: Options) -> Self {
        let (kernel, ring) = device(options);
        Self {
            now: NOW,
            kernel,
            ring,
            submitted: BTreeMap::new(),
            in_hand: Vec::new(),
            answers: BTreeMap::new(),
            finished: BTreeMap::new(),
        }
    }

    fn step(&mut self, step: Step) {
        match step {
            Step::Submit { out, expected } => self.submit(out, expected),
            Step::Read(most) => {
                for _ in 0..most {
                    self.read();
                }
            }
            Step::Answer(nth, ending) => {
                if !self.in_hand.is_empty() {
                    let command = self.in_hand.swap_remove(nth % self.in_hand.len());
                    self.answer(command, ending);
                }
            }
            Step::Publish => self.publish(),
            Step::Abort(nth) => {
                let open: Vec<_> = self.open().collect();
                if !open.is_empty() {
                    let hit = open[nth % open.len()];
                    let ended = self.kernel.task_management(TmrKind::AbortTask, &[hit]);
                    self.end(ended);
                }
            }
            Step::Wait(seconds) => {
                self.now = self.now.after(Duration::from_secs(seconds));
                let ended = self.kernel.tick(self.now);
                self.end(ended);
            }
        }
        assert!(!self.kernel.is_broken());
    }

    fn open(&self) -> impl Iterator<Item = Submitted> {
        self.submitted.keys().filter(|handle| !self.finished.contains_key(handle)).copied()
    }

    fn submit(&mut self, out: Option<usize>, expected: Option<usize>) {
        let nth = self.kernel.next_handle;
        let mut cdb = [0x88; 16];
        cdb[8..].copy_from_slice(&nth.to_be_bytes());
        let data = match (out.map(|len| bytes_of(nth, len)), expected) {
            (None, None) => Data::None,
            (Some(out), None) => Data::Out(out),
            (None, Some(expected)) => Data::In(expected),
            (Some(out), Some(expected)) => Data::Bidirectional { out, expected },
        };
        if let Ok(handle) = self.kernel.submit(self.now, &cdb, data.clone()) {
            self.submitted.insert(handle, data);
        }
    }

    fn number(command: &RingCommand) -> u64 {
        u64::from_be_bytes(command.cdb.as_bytes()[8..16].try_into().unwrap())
    }

    fn read(&mut self) {
        match self.ring.next_entry().unwrap() {
            Some(Entry::Command(command)) => {
                assert_eq!(command.malformed, None);
                let nth = Self::number(&command);
                let data = &self.submitted[&Submitted(nth)];
                assert_eq!(command.data.len(), data.first_len());
                assert_eq!(command.data_in.len(), data.second_len());
                let out = data.out();
                assert_eq!(command.data.first_difference(0, out), None, "Data-Out of {nth}");
                self.in_hand.push(command);
            }
            Some(Entry::Tmr(tmr)) => assert_eq!(tmr.kind, TmrKind::AbortTask),
            None => {}
        }
    }

    fn answer(&mut self, command: RingCommand, ending: Ending) {
        let nth = Self::number(&command);
        let RingCommand { token, mut data, mut data_in, .. } = command;
        let submitted = &self.submitted[&Submitted(nth)];
        let sense = [nth as u8; SENSE_BUFFERSIZE];
        let sent = match ending {
            Ending::Good => DataIn::All,
            Ending::Short(sent) => DataIn::Short(sent),
            Ending::Sense => DataIn::All,
        };
        let write = |buffer: &mut Buffer| {
            let len = match ending {
                Ending::Good => buffer.len(),
                Ending::Short(sent) => buffer.len().min(sent as usize),
                Ending::Sense => 0,
            };
            buffer.write_at(0, &bytes_of(nth, len));
        };
        match submitted {
            Data::In(_) => write(&mut data),
            Data::Bidirectional { .. } => write(&mut data_in),
            Data::None | Data::Out(_) => {}
        }
        drop(data_in);
        let (status, sense) = match ending {
            Ending::Good | Ending::Short(_) => (GOOD, None),
            Ending::Sense => (CHECK_CONDITION, Some(&sense)),
        };
        self.ring.complete(token, Answer { status, sense, data_in: sent }, data);
        self.answers.insert(nth, ending);
    }

    fn publish(&mut self) {
        if self.ring.publish() {
            let ended = self.kernel.doorbell(self.now);
            self.end(ended);
        }
    }

    fn end(&mut self, ended: Vec<Finished>) {
        for finished in ended {
            let handle = finished.handle;
            assert!(self.submitted.contains_key(&handle));
            assert!(self.finished.insert(handle, finished).is_none(), "{handle:?} ended twice");
        }
    }

    /// Reads, answers and publishes until nothing is left, then judges.
    fn settle(mut self) {
        // Each turn makes room for one waiting command at least.
        for _ in 0..=self.submitted.len() + 1 {
            for _ in 0..64 {
                self.read();
            }
            for command in std::mem::take(&mut self.in_hand) {
                self.answer(command, Ending::Good);
            }
            self.publish();
        }
        assert_eq!(self.open().next(), None, "the ring stands still");
        assert_eq!((self.kernel.posted(), self.kernel.waiting()), (0, 0));
        assert_eq!((self.ring.in_flight(), self.ring.lost()), (0, 0));
        let read_length = self.ring.features().read_length;
        for (handle, finished) in &self.finished {
            self.judge(*handle, finished, read_length);
        }
    }

    fn judge(&self, handle: Submitted, finished: &Finished, read_length: bool) {
        if *finished == Finished::communication_failure(handle)
            || matches!(finished.status, TASK_SET_FULL | TASK_ABORTED)
        {
            return; // the kernel's own answer: too late, or aborted before it was posted
        }
        let Submitted(nth) = handle;
        let padded = |sent: usize, len: usize| {
            let mut bytes = bytes_of(nth, sent);
            bytes.resize(len, 0);
            bytes
        };
        let ending = self.answers[&nth];
        let (data_in, residual) = match (&self.submitted[&handle], ending) {
            (_, Ending::Sense) | (Data::None | Data::Out(_), _) => (vec![], 0),
            (Data::In(len), Ending::Short(sent)) if (sent as usize) < *len => {
                let sent = sent as usize;
                if read_length && sent > 0 {
                    (bytes_of(nth, sent), len - sent)
                } else {
                    (padded(sent, *len), 0)
                }
            }
            (Data::Bidirectional { expected, .. }, Ending::Short(sent)) => {
                (padded((sent as usize).min(*expected), *expected), 0)
            }
            (Data::In(len) | Data::Bidirectional { expected: len, .. }, _) => {
                (bytes_of(nth, *len), 0)
            }
        };
        assert_eq!(finished.data_in, data_in, "Data-In of {nth}");
        assert_eq!(finished.residual, residual);
        let sense = matches!(ending, Ending::Sense).then_some([nth as u8; SENSE_BUFFERSIZE]);
        assert_eq!(finished.sense, sense);
        assert_eq!(finished.status, if sense.is_some() { CHECK_CONDITION } else { GOOD });
    }
}

proptest! {
    #[test]
    fn every_command_is_answered_once_with_its_own_data(
        steps in steps(),
        (out_of_order, read_length, scatter) in any::<(bool, bool, bool)>(),
        ring_bytes in prop_oneof![Just(504u32), Just(1000), Just(2048)],
    ) {
        let features = Features { out_of_order, read_length, ..FEATURES };
        let mut world = World::new(Options { features, scatter, ring_bytes, ..small() });
        for step in steps {
            world.step(step);
        }
        world.settle();
    }
}
