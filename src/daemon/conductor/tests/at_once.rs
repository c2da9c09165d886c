use super::*;

/// A medium of zeros that never waits, and notes what it is asked for.
#[derive(Default)]
struct Noting {
    ops: Mutex<Vec<Noted>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Noted {
    urgent: bool,
    /// How much it moves.
    bytes: usize,
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
        self.ops.lock().unwrap().push(Noted { urgent, bytes: buffer.len() });
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

/// Has a unit find all of these on its ring when it begins; what its medium is asked for in turn.
fn found_together(commands: &[(Vec<u8>, Data)]) -> Vec<Noted> {
    let medium = Arc::new(Noting::default());
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
    let ops = found_together(&commands);
    let before = ops.iter().position(|op| op.urgent).unwrap();
    assert_eq!(before, 8, "of 16 KiB each");
    let mut commands = vec![bulk(1); 200];
    commands.push(heartbeat(3));
    let ops = found_together(&commands);
    assert_eq!(ops.iter().position(|op| op.urgent), Some(32), "they count as 4 KiB each");
}

#[test]
fn and_not_at_all_for_long_bulk() {
    let mut commands = vec![bulk(33); 64];
    commands.push(heartbeat(3));
    assert!(found_together(&commands)[0].urgent);
}

#[test]
fn a_storm_of_heartbeats_lets_bulk_begin() {
    let mut commands = vec![bulk(33); 4];
    commands.extend((0..64).map(heartbeat));
    let ops = found_together(&commands);
    let begun: Vec<_> = (0..ops.len()).filter(|nth| !ops[*nth].urgent).collect();
    // Each reads and writes. Between two of bulk's are as many as make up its share, and its answer takes one
    // look as well.
    let heartbeats: Vec<_> = begun.iter().zip(0..).map(|(at, before)| (at - before) / 2).collect();
    assert_eq!(heartbeats, [8, 24, 40, 56]);
}
