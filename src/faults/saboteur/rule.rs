//! A rule that is armed for one logical unit, with all it has counted and kept.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use pulsefield_backstore::Geometry;
use pulsefield_data::Buffer;
use pulsefield_units::{Cdb, Instant, LbaRange};
use pulsefield_vmfs::Object;

use crate::reach::brings_blocks;
use crate::saboteur::facts::Facts;
use crate::saboteur::log::Cause;
use crate::saboteur::memory::Memory;
use crate::saboteur::plays::{self, Play, Stage, applies};
use crate::saboteur::rng::{Rng, Stream};
use crate::saboteur::trigger::Trigger;
use crate::saboteur::turn::Turns;
use crate::{Fault, Rule, VmfsSelector};

/// Names an armed plan among those of one logical unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PlanId(u64);

impl PlanId {
    /// The plan with this number.
    pub const fn new(number: u64) -> Self {
        Self(number)
    }

    /// The plan's number: it counts up from 0 and is not used twice.
    pub const fn as_u64(self) -> u64 {
        self.0
    }
}

impl fmt::Display for PlanId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Names a rule among those that are armed for one logical unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct RuleId {
    pub(crate) plan: PlanId,
    /// Its position in the plan.
    pub(crate) position: usize,
}

/// A command that comes in.
pub(crate) struct Cue<'a> {
    pub(crate) now: Instant,
    pub(crate) cdb: &'a Cdb,
    pub(crate) data: &'a Buffer,
    pub(crate) facts: &'a Facts,
    /// The shape of the unit's medium.
    pub(crate) geometry: Geometry,
    /// What a command that is never to be answered is held at most.
    pub(crate) command_time_out: Duration,
    /// Commands in flight, this one included.
    pub(crate) in_flight: usize,
}

/// A rule that is armed.
#[derive(Debug)]
pub(crate) struct Armed {
    id: RuleId,
    rule: Rule,
    name: Arc<str>,
    trigger: Trigger,
    /// What its effects are drawn from.
    drawn: Rng,
    /// Hits, and what follows from them, that changed something.
    effects: u64,
    /// Until when a hit has consequences for every command that the rule is for.
    lasting: Option<Instant>,
    memory: Memory,
    turns: Turns,
    /// Whether `caw.flap` was last seen with COMPARE AND WRITE.
    supported: bool,
}

/// What a rule makes of a command that it hits.
pub(crate) struct Decision {
    pub(crate) cause: Cause,
    pub(crate) play: Play,
}

impl Armed {
    /// Arms a rule of a plan with this seed.
    pub(crate) fn new(id: RuleId, now: Instant, seed: u64, rule: Rule) -> Self {
        let stream = |stream| Rng::new(seed, id.position as u64, stream);
        Self {
            id,
            name: rule.name.as_str().into(),
            trigger: Trigger::new(now, stream(Stream::Hits)),
            drawn: stream(Stream::Effects),
            effects: 0,
            lasting: None,
            memory: Memory::default(),
            turns: Turns::default(),
            supported: true,
            rule,
        }
    }

    /// The rule.
    pub(crate) const fn rule(&self) -> &Rule {
        &self.rule
    }

    /// How many commands came that the rule is for, while it was awake.
    pub(crate) const fn counted(&self) -> u64 {
        self.trigger.counted()
    }

    /// How many of them it hit.
    pub(crate) const fn hits(&self) -> u64 {
        self.trigger.hits()
    }

    /// How many commands it changed something for, as far as can be told: see [`RuleReport::effects`].
    ///
    /// [`RuleReport::effects`]: crate::RuleReport::effects
    pub(crate) const fn effects(&self) -> u64 {
        self.effects
    }

    /// Counts a command for which it changed something.
    pub(crate) const fn count_effect(&mut self) {
        self.effects += 1;
    }

    pub(crate) const fn id(&self) -> RuleId {
        self.id
    }

    pub(crate) fn name(&self) -> Arc<str> {
        self.name.clone()
    }

    pub(crate) const fn turns(&mut self) -> &mut Turns {
        &mut self.turns
    }

    pub(crate) const fn memory(&mut self) -> &mut Memory {
        &mut self.memory
    }

    /// Whether a hit goes on to have consequences.
    pub(crate) fn lasts(&self, now: Instant) -> bool {
        self.lasting.is_some_and(|until| until > now)
    }

    /// What the rule makes of a command, the one with this number among all since it was armed; `None`
    /// if it does not hit it. A rule whose plan is `spent` selects nothing any more.
    pub(crate) fn consider(
        &mut self,
        cue: &Cue<'_>,
        command: u64,
        spent: bool,
    ) -> Option<Decision> {
        if self.is_unsupported(cue.now)
            && let Some(play) = plays::answer::denial(&cue.facts.command)
        {
            return Some(Decision { cause: Cause::Lasting, play });
        }
        if !self.is_for(cue) {
            return None;
        }
        let cause = if self.lasts(cue.now) && applies(&self.rule.fault, cue, &self.memory) {
            Cause::Lasting
        } else if !spent
            && applies(&self.rule.fault, cue, &self.memory)
            && !self.is_supported_for_now()
            && self.trigger.hits_next(&self.rule.when, cue.now, command, cue.in_flight)
        {
            self.lasting = plays::hold::lasting(&self.rule.fault, cue.now);
            Cause::Selected
        } else {
            return None;
        };
        let stage = Stage {
            cue,
            rule: self.id,
            place: &self.rule.place,
            until: self.lasting,
            rng: &mut self.drawn,
            memory: &mut self.memory,
        };
        Some(Decision { cause, play: plays::play(&self.rule.fault, stage) })
    }

    /// Keeps what the command brings, if that may be wanted for a later one.
    pub(crate) fn note(&mut self, cue: &Cue<'_>) {
        if matches!(self.rule.fault, Fault::StaleCompare { .. })
            && self.is_for(cue)
            && let Some(pair) = plays::compare_and_write::Pair::of(cue.facts, cue.data)
        {
            self.memory.keep(pair.range, pair.test);
        }
    }

    /// Whether what the command writes over may be wanted for a later one.
    pub(crate) fn records(&self, cue: &Cue<'_>) -> bool {
        matches!(self.rule.fault, Fault::WriteRevert { .. })
            && plays::replaces(cue.facts)
            && self.is_for(cue)
    }

    /// Whether COMPARE AND WRITE has come or gone since this was last asked.
    pub(crate) fn has_flapped(&mut self, now: Instant) -> bool {
        let Fault::CawFlap { off, on } = self.rule.fault else { return false };
        let supported = !self.trigger.is_awake(&self.rule.when, now)
            || plays::answer::is_on(self.trigger.armed(), now, off, on);
        std::mem::replace(&mut self.supported, supported) != supported
    }

    /// Whether there shall be no COMPARE AND WRITE.
    fn is_unsupported(&self, now: Instant) -> bool {
        let fault = &self.rule.fault;
        matches!(fault, Fault::CawUnsupported) && self.trigger.is_awake(&self.rule.when, now)
            || matches!(fault, Fault::CawFlap { .. }) && !self.supported
    }

    /// Whether it is one that comes and goes, and this is not the time.
    const fn is_supported_for_now(&self) -> bool {
        matches!(self.rule.fault, Fault::CawFlap { .. }) && self.supported
    }

    /// Whether the rule is for a command.
    fn is_for(&self, cue: &Cue<'_>) -> bool {
        let Cue { facts, data, .. } = cue;
        let place = &self.rule.place;
        let blocks =
            || place.blocks.is_empty() || place.blocks.iter().any(|own| facts.touches(*own));
        place.lane.is_none_or(|lane| lane == facts.lane)
            && place.is_for_command(&facts.command, facts.opcode)
            && blocks()
            && place.vmfs.as_ref().is_none_or(|selector| brings(facts, data, selector))
    }
}

/// Whether a block that the command brings is the VMFS object that is meant.
fn brings(facts: &Facts, data: &Buffer, selector: &VmfsSelector) -> bool {
    let block = facts.block();
    if !brings_blocks(&facts.command) {
        return false;
    }
    let mut sector = [0; 512];
    (0..data.len() / block).any(|nth| {
        data.read_at(nth * block, &mut sector);
        Object::decode(&sector).is_some_and(|object| selector.matches(&object))
    })
}

/// The first of the blocks that the command touches and the rule is for.
pub(crate) fn first_block(facts: &Facts, own: &[LbaRange]) -> Option<u64> {
    let run = facts.run()?;
    let starts = own.iter().filter(|own| own.overlaps(run)).map(|own| own.start().max(run.start()));
    Some(starts.min().unwrap_or(run.start()).as_u64())
}
