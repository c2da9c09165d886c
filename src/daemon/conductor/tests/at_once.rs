use super::*;

/// A medium of zeros that never waits, and notes what it is asked for.
#[derive(Default)]
struct Noting {
    ops: Mutex<Vec<Lane>>,
    /// What each op of bulk takes at least.
    takes: Duration,
}

impl Backstore for Noting {
    fn geometry(&self) -> Geometry {
        geometry(1024)
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities::default()
    }

    fn at_once(
        &self,
        op: Op,
        buffer: &mut Buffer,
        urgent: bool,
    ) -> Option<Result<OpOutput, BackstoreError>> {
        self.ops.lock().unwrap().push(if urgent { Lane::Heartbeat } else { Lane::Bulk });
        let until = clock::now().after(if urgent { Duration::ZERO } else { self.takes });
        while clock::now() < until {
            hint::spin_loop();
        }
        if !op.writes() {
            buffer.fill(0, buffer.len(), 0);
        }
        Some(Ok(OpOutput::Done))
    }

    fn submit(&self, request: Request) {
        unreachable!("{request:?} could be done at once");
    }

    fn resize(&self, _blocks: BlockCount) -> Result<(), OpenError> {
        unreachable!("nobody asks for it")
    }
}

/// Has a unit find all of these on its ring when it begins; for which lanes its medium is asked for something, in turn.
fn found_together(commands: &[(Vec<u8>, Data)]) -> Vec<Lane> {
    found_by(Noting::default(), commands)
}

fn found_by(medium: Noting, commands: &[(Vec<u8>, Data)]) -> Vec<Lane> {
    let medium = Arc::new(medium);
    let uio = SimulatedUio::new(Options::default());
    // Before anybody is there to take the first of them.
    let ring = uio.attach();
    for (cdb, data) in commands {
        uio.submit(cdb, data.clone());
    }
    let lu = Lu::before(thread::Builder::new(), medium.clone(), uio, ring);
    for _ in commands {
        assert_eq!(lu.uio.next_answer().status, GOOD);
    }
    assert!(matches!(lu.stop(), End::Stopped));
    std::mem::take(&mut *medium.ops.lock().unwrap())
}

/// How many ops of bulk came before the first of a heartbeat.
fn bulk_before(ops: &[Lane]) -> usize {
    ops.iter().position(|lane| *lane == Lane::Heartbeat).unwrap()
}

fn heartbeat(lba: u8) -> (Vec<u8>, Data) {
    (compare_and_write(lba).to_vec(), Data::Out(vec![0; 1024]))
}

fn bulk(blocks: u8) -> (Vec<u8>, Data) {
    (write(100, blocks).to_vec(), Data::Out(vec![0; 512 * usize::from(blocks)]))
}

#[test]
fn a_heartbeat_hardly_waits_for_short_bulk_in_front_of_it() {
    let mut commands = vec![bulk(32); 64];
    commands.push(heartbeat(3));
    let before = bulk_before(&found_together(&commands));
    assert!(before <= 8, "{before} of 16 KiB each");
    let mut commands = vec![bulk(1); 200];
    commands.push(heartbeat(3));
    let before = bulk_before(&found_together(&commands));
    assert!(before <= 32, "{before} that count as 4 KiB each");
}

#[test]
fn nor_for_a_medium_that_is_slow_at_once() {
    let mut commands = vec![bulk(8); 64];
    commands.push(heartbeat(3));
    let slow = Noting { takes: Duration::from_micros(500), ..Noting::default() };
    assert_eq!(bulk_before(&found_by(slow, &commands)), 8, "four, and 2 ms");
}

#[test]
fn and_not_at_all_for_long_bulk() {
    let mut commands = vec![bulk(33); 64];
    commands.push(heartbeat(3));
    assert_eq!(bulk_before(&found_together(&commands)), 0);
}

#[test]
fn a_storm_of_heartbeats_lets_bulk_begin() {
    let mut commands = vec![bulk(33); 4];
    commands.extend((0..64).map(heartbeat));
    let ops = found_together(&commands);
    let begun: Vec<_> = (0..ops.len()).filter(|nth| ops[*nth] == Lane::Bulk).collect();
    // Each reads and writes. Between two of bulk's are as many as its share is for.
    let heartbeats: Vec<_> = begun.iter().zip(0..).map(|(at, before)| (at - before) / 2).collect();
    assert_eq!(heartbeats, [16, 32, 48, 64]);
}
