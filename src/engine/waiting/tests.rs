use pulsefield_backstore::{Extent, Geometry, Mapping, Op, OpOutput, OpTag};
use pulsefield_data::Buffer;
use pulsefield_units::{BlockCount, Cdb};

use super::*;
use crate::event::Event;
use crate::server::{Action, Incoming};
use crate::space::{PoolLimits, SpaceReport};
use crate::testing::{Setup, cdb, range};
use crate::{LuConfig, limits};

/// Who waited for how long, as retirements tell it.
#[derive(Default)]
struct Retirements(Vec<(Option<u16>, Waited)>);

impl Observer for Retirements {
    fn observe(&mut self, _now: Instant, event: &Event<'_>) {
        if let Event::Retired { tag, waited, .. } = event {
            self.0.push((*tag, *waited));
        }
    }
}

/// A device server whose medium answers when the test says, at the second that the test says.
struct Timeline {
    server: DeviceServer<u16, Retirements>,
    at_medium: Vec<(Op, OpTag, Buffer)>,
}

const fn second(seconds: u64) -> Instant {
    Instant::from_nanos(seconds * 1_000_000_000)
}

const fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

impl Timeline {
    fn new(config: LuConfig) -> Self {
        let Setup { geometry, capabilities, .. } = Setup::default();
        let geometry = Geometry { blocks: BlockCount::new(1024), ..geometry };
        let server = DeviceServer::new(config, geometry, capabilities, Retirements::default());
        Self { server, at_medium: Vec::new() }
    }

    fn send(&mut self, at: u64, tag: u16, cdb: &[u8], bytes: usize) {
        let incoming =
            Incoming { token: tag, tag: Some(tag), cdb: Cdb::new(cdb), data: Buffer::heap(bytes) };
        self.server.on_command(second(at), incoming);
        self.poll(at);
    }

    /// The medium answers its oldest op.
    fn finish(&mut self, at: u64, output: OpOutput) {
        let (_, tag, buffer) = self.at_medium.remove(0);
        self.server.on_op_done(second(at), tag, Ok(output), buffer);
        self.poll(at);
    }

    fn poll(&mut self, at: u64) {
        while let Some(action) = self.server.poll_action(second(at)) {
            if let Action::Submit { op, tag, buffer, .. } = action {
                self.at_medium.push((op, tag, buffer));
            }
        }
    }

    fn stage(&mut self, tag: u16) -> Option<(Stage, Instant)> {
        self.server.whereabouts(tag).map(|Whereabouts { stage, since, .. }| (stage, since))
    }

    fn waited(&self, tag: u16) -> Waited {
        let mut of_tag = self.server.observer().0.iter().filter(|(of, _)| *of == Some(tag));
        of_tag.next().expect("it has retired").1
    }
}

#[test]
fn a_command_that_meets_nobody_waits_for_nothing() {
    let mut line = Timeline::new(LuConfig::default());
    line.send(1, 7, &cdb::read(0, 1), 512);
    assert_eq!(line.stage(7), Some((Stage::Medium, second(1))));
    line.finish(5, OpOutput::Done);
    assert_eq!(line.waited(7), Waited::default(), "it was with the medium");
    assert_eq!(line.stage(7), None);
}

#[test]
fn who_wants_blocks_in_use_waits_for_them() {
    let mut line = Timeline::new(LuConfig::default());
    line.send(1, 7, &cdb::write(0, 8), 4096);
    line.send(2, 8, &cdb::compare_and_write(4, 1), 1024);
    let blocks = Some(range(4, 1));
    let (stage, since, lane) = (Stage::Blocks, second(2), Lane::Heartbeat);
    let parked = Whereabouts { stage, since, lane, blocks };
    assert_eq!(line.server.whereabouts(8), Some(parked));
    line.finish(5, OpOutput::Done);
    assert_eq!(line.stage(8), Some((Stage::Medium, second(5))));
    line.finish(6, OpOutput::Done);
    line.finish(7, OpOutput::Done);
    assert_eq!(line.waited(8), Waited { blocks: seconds(3), ..Waited::default() });
}

#[test]
fn who_finds_no_slot_waits_for_one() {
    let mut line = Timeline::new(LuConfig::default());
    let slots = u16::try_from(limits::BULK_SLOTS).unwrap();
    for tag in 0..=slots {
        line.send(1, tag, &cdb::read(tag.into(), 1), 512);
    }
    assert_eq!(line.stage(slots), Some((Stage::Slot, second(1))));
    line.finish(4, OpOutput::Done);
    line.at_medium.rotate_right(1);
    line.finish(9, OpOutput::Done);
    assert_eq!(line.waited(slots), Waited { slot: seconds(3), ..Waited::default() });
}

#[test]
fn who_stands_at_the_gate_waits_for_the_pool() {
    let pool = PoolLimits { name: "gold".to_owned(), limit: 4096, thresholds: Vec::new() };
    let mut line = Timeline::new(LuConfig { pool: Some(pool), ..LuConfig::default() });
    line.server.on_space(SpaceReport { allocated: 4096, used: 4096 });
    line.send(1, 7, &cdb::write(0, 8), 4096);
    assert_eq!(line.stage(7), Some((Stage::Pool, second(1))));
    let extent = Extent { mapping: Mapping::Mapped, blocks: BlockCount::new(8) };
    line.finish(3, OpOutput::Extent(extent));
    assert_eq!(line.stage(7), Some((Stage::Medium, second(3))));
    line.finish(4, OpOutput::Done);
    assert_eq!(line.waited(7), Waited { pool: seconds(2), ..Waited::default() });
}

#[test]
fn what_is_aborted_while_it_waits_has_waited_until_then() {
    let mut line = Timeline::new(LuConfig::default());
    line.send(1, 7, &cdb::write(0, 8), 4096);
    line.send(1, 8, &cdb::write(0, 8), 4096);
    line.server.on_abort(second(9), &[8]);
    line.poll(9);
    assert_eq!(line.waited(8), Waited { blocks: seconds(8), ..Waited::default() });
}
