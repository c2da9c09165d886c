//! What faults cost a command that none of them hits: `cargo bench -p pulsefield-faults`.
//!
//! The same READs go through the same device server, whose medium answers at once: past nothing, as
//! the conductor has it while nothing was ever armed; past a saboteur from whom all was disarmed; and
//! past one with rules for other commands. The ways take turns, so that a busy machine slows all of
//! them, and the median of the rounds counts.

use std::num::NonZeroU8;
use std::sync::Arc;
use std::time::{Duration, Instant as Clock};

use pulsefield_backstore::{Capabilities, Geometry, OpOutput};
use pulsefield_data::Buffer;
use pulsefield_engine::{Action, DeviceServer, Incoming, Lane, LuConfig};
use pulsefield_faults::{
    Deed, Disarm, Fault, Plan, Rule, Saboteur, SceneId, Unit, Verdict, When, Where,
};
use pulsefield_units::{BlockCount, BlockLength, Cdb, Instant, Lba, LbaRange};

const COMMANDS: u32 = 100_000;
const ROUNDS: usize = 31;

const GEOMETRY: Geometry =
    Geometry { block_length: BlockLength::B512, blocks: BlockCount::new(1 << 20) };

/// What the device server knows a command by.
#[derive(Debug)]
enum Token {
    Command,
    Scene(SceneId),
}

impl From<SceneId> for Token {
    fn from(id: SceneId) -> Self {
        Self::Scene(id)
    }
}

/// A way past which commands go.
struct Way {
    name: &'static str,
    saboteur: Option<Saboteur<Token>>,
    rounds: Vec<Duration>,
}

impl Way {
    fn new(name: &'static str, saboteur: Option<Saboteur<Token>>) -> Self {
        Self { name, saboteur, rounds: Vec::new() }
    }

    /// Nanoseconds a command.
    fn median(&mut self) -> f64 {
        self.rounds.sort_unstable();
        self.rounds[ROUNDS / 2].as_secs_f64() * 1e9 / f64::from(COMMANDS)
    }
}

fn saboteur(armed: bool) -> Saboteur<Token> {
    let mut saboteur = Saboteur::new(Unit {
        geometry: GEOMETRY,
        metadata: Vec::new(),
        compare_and_write_blocks_max: NonZeroU8::MIN,
        command_time_out: Duration::from_secs(30),
    });
    let last = LbaRange::new(Lba::new((1 << 20) - 1), BlockCount::new(1)).expect("one block");
    let rule = |lane| Rule {
        name: "elsewhere".to_owned(),
        place: Where { blocks: vec![last], lane: Some(lane), ..Where::default() },
        when: When::default(),
        fault: Fault::Drop { limit: None },
        verdict: Verdict::InitiatorSees,
    };
    let rules = Lane::ALL.map(rule).into();
    let plan = Plan { seed: 1, lasting: None, hits: None, rules };
    saboteur.arm(Instant::default(), Arc::new(plan), "lun");
    if !armed {
        saboteur.disarm(Instant::default(), &Disarm::All);
    }
    saboteur
}

/// Sends the commands one after the other, each as far as to its answer.
fn round(server: &mut DeviceServer<Token, ()>, way: &mut Way) {
    let cdb = Cdb::new(&[0x28, 0, 0, 0, 0, 8, 0, 0, 8, 0]);
    let mut data = Buffer::heap(4096);
    let now = Instant::default();
    let started = Clock::now();
    for _ in 0..COMMANDS {
        let incoming = Incoming { token: Token::Command, tag: Some(0), cdb, data };
        let incoming = match &mut way.saboteur {
            None => Some(incoming),
            Some(saboteur) => saboteur.on_command(now, incoming, 1),
        };
        if let Some(incoming) = incoming {
            server.on_command(now, incoming);
        }
        data = loop {
            let deed = way.saboteur.as_mut().filter(|saboteur| !saboteur.is_quiet());
            if let Some(Deed::Send(incoming)) = deed.and_then(|saboteur| saboteur.poll(now)) {
                server.on_command(now, incoming);
            }
            let action = server.poll_action(now).expect("a READ goes on");
            if let Action::Submit { tag, buffer, .. } = action {
                server.on_op_done(now, tag, Ok(OpOutput::Done), buffer);
            } else if let Action::Answer(answer) = action {
                if let Token::Scene(id) = answer.token {
                    unreachable!("no rule hits these commands, and one did: {id:?}");
                }
                break answer.data;
            } else {
                unreachable!("a READ needs nothing else: {action:?}");
            }
        };
    }
    way.rounds.push(started.elapsed());
}

fn main() {
    let mut server = DeviceServer::new(LuConfig::default(), GEOMETRY, Capabilities::default(), ());
    let mut ways = [
        Way::new("nothing was ever armed", None),
        Way::new("nothing was ever armed, again", None),
        Way::new("all was disarmed", Some(saboteur(false))),
        Way::new("two rules for other blocks", Some(saboteur(true))),
    ];
    for _ in 0..ROUNDS {
        for way in &mut ways {
            round(&mut server, way);
        }
    }
    let base = ways[0].median();
    for way in &mut ways {
        let nanos = way.median();
        println!(
            "{:32} {nanos:7.1} ns a command, {:+5.1} %",
            way.name,
            (nanos / base - 1.0) * 100.0
        );
    }
}
