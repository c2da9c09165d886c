//! The saboteur: what stands between a transport and its device server while faults are armed.
//!
//! Every command comes in through [`Saboteur::on_command`]. One that no rule hits goes on at once, as
//! it is. One that a rule hits becomes a scene, whose script (`act.rs`) holds it up, sends the device
//! server this and that, and changes its answer; what the conductor has to do for that comes out of
//! [`Saboteur::poll`].
//!
//! Commands of the saboteur's own take part in the device server's range lock like any other: a
//! COMPARE AND WRITE that is made of a READ and a WRITE is as little atomic as that says, and nothing
//! else becomes less so. Nothing here sleeps or looks at a clock: [`Saboteur::next_deadline`] says
//! when to come back.
//!
//! Whatever a script does, each command is answered once: after its abort, after its time, or when the
//! unit stops ([`Saboteur::stop`]).

mod act;
mod alteration;
mod arming;
mod cdb;
mod delay;
mod digest;
mod effect;
mod facts;
mod log;
mod memory;
mod overlay;
mod play;
mod plays;
mod report;
mod rng;
mod rule;
mod scene;
#[cfg(test)]
mod testing;
mod trigger;
mod turn;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use pulsefield_data::Buffer;
use pulsefield_engine::{Answer, Incoming, Outcome, UnitAttention};
use pulsefield_scsi::{Command, Status};
use pulsefield_units::Instant;

use crate::Plan;
use act::Act;
use arming::ArmedPlan;
use effect::is_certain;
use facts::Facts;
use log::Log;
use overlay::Overlays;
use plays::{Play, read};
use rule::{Armed, Cue, Decision, RuleId};
use scene::{Scene, Sent, Waits};
use turn::Turns;

pub use facts::Unit;
pub use log::{Cause, DataChange, HITS_MAX, Hit};
pub use report::{Disarm, FaultReport, PlanReport, RuleReport};
pub use rule::PlanId;
pub use scene::SceneId;

/// Plans of which a saboteur knows after they were disarmed, for whoever wants to repeat what they did.
const KNOWN_PLANS_MAX: usize = 16;

/// What the conductor has to do for a saboteur.
#[derive(Debug)]
pub enum Deed<T> {
    /// Hand this command to the device server. The answer to one of the saboteur's own, whose token was
    /// made of a [`SceneId`], comes back through [`Saboteur::on_answer`].
    Send(Incoming<T>),
    /// Answer this command.
    Answer(Answer<T>),
    /// Have the device server raise this unit attention condition.
    Raise(UnitAttention),
}

/// The plans that are armed for one logical unit, and the commands that their rules have hit. `T` is
/// the transport's token for a command.
#[derive(Debug)]
pub struct Saboteur<T> {
    unit: Unit,
    plans: Vec<ArmedPlan>,
    next_plan: u64,
    /// The plans armed last, of which some may be disarmed.
    known: VecDeque<(PlanId, Arc<Plan>)>,
    scenes: BTreeMap<SceneId, Scene<T>>,
    next_scene: u64,
    pub(crate) deadlines: BTreeSet<(Instant, SceneId)>,
    pub(crate) deeds: VecDeque<Deed<T>>,
    pub(crate) overlays: Overlays,
    pub(crate) log: Log,
    /// Commands that became scenes and are not answered.
    pub(crate) unanswered: usize,
    /// Commands that the device server has been sent and has not answered.
    pub(crate) sent: usize,
    stopped: bool,
}

impl<T: From<SceneId>> Saboteur<T> {
    /// A saboteur of a unit for which nothing is armed.
    pub fn new(unit: Unit) -> Self {
        Self {
            unit,
            plans: Vec::new(),
            next_plan: 0,
            known: VecDeque::new(),
            scenes: BTreeMap::new(),
            next_scene: 0,
            deadlines: BTreeSet::new(),
            deeds: VecDeque::new(),
            overlays: Overlays::default(),
            log: Log::default(),
            unanswered: 0,
            sent: 0,
            stopped: false,
        }
    }

    /// Takes what has changed of the unit.
    pub fn set_unit(&mut self, unit: Unit) {
        self.unit = unit;
    }

    /// Arms the rules of a plan that are for the logical unit `lun`, after those that are armed.
    pub fn arm(&mut self, now: Instant, plan: Arc<Plan>, lun: &str) -> PlanId {
        let id = PlanId::new(self.next_plan);
        self.next_plan += 1;
        if self.known.len() == KNOWN_PLANS_MAX {
            self.known.pop_front();
        }
        self.known.push_back((id, plan.clone()));
        self.plans.push(ArmedPlan::new(id, now, plan, lun));
        id
    }

    /// Disarms rules; says how many there were. What they laid over the medium is lifted, and what they
    /// hold up is let go.
    pub fn disarm(&mut self, now: Instant, which: &Disarm) -> usize {
        let mut disarmed = Vec::new();
        for plan in &mut self.plans {
            let id = plan.id();
            plan.rules_mut().retain(|armed| {
                let meant = match which {
                    Disarm::All => true,
                    Disarm::Plan(plan) => *plan == id,
                    Disarm::Rules(name) => *name == armed.rule().name,
                };
                disarmed.extend(meant.then_some(armed.id()));
                !meant
            });
        }
        self.plans.retain(|plan| !plan.rules().is_empty());
        self.overlays.lift(|rule| disarmed.contains(&rule));
        let theirs = |scene: &Scene<T>| scene.hit.is_some_and(|(rule, _)| disarmed.contains(&rule));
        let held = self.scenes.iter().filter(|(_, scene)| theirs(scene));
        for scene in held.map(|(id, _)| *id).collect::<Vec<_>>() {
            self.let_go(now, scene);
        }
        disarmed.len()
    }

    /// How many rules are armed.
    pub fn armed_rules(&self) -> u64 {
        self.plans.iter().map(|plan| plan.rules().len() as u64).sum()
    }

    /// What is armed, and the hits from number `since` on.
    pub fn report(&self, since: u64) -> FaultReport {
        FaultReport {
            plans: self.plans.iter().map(PlanReport::of).collect(),
            known: self.known.iter().cloned().collect(),
            hits: self.log.since(since).cloned().collect(),
            next_hit: self.log.hits(),
        }
    }

    /// The number of the next hit.
    pub const fn next_hit(&self) -> u64 {
        self.log.hits()
    }

    /// The hits from number `since` on that are not forgotten, oldest first.
    pub fn hits(&self, since: u64) -> impl Iterator<Item = &Hit> {
        self.log.since(since)
    }

    /// Whether every command is answered, and nothing is to be applied later.
    #[cfg(test)]
    pub(crate) fn is_idle(&self) -> bool {
        self.scenes.is_empty() && self.deeds.is_empty()
    }

    /// Forgets the commands there are: transport and device server have broken down, and nobody waits
    /// for them any more. What is armed goes on.
    pub fn forget_commands(&mut self) {
        self.scenes.clear();
        self.deadlines.clear();
        self.deeds.clear();
        (self.unanswered, self.sent) = (0, 0);
        for armed in self.plans.iter_mut().flat_map(ArmedPlan::rules_mut) {
            *armed.turns() = Turns::default();
        }
    }

    /// Commands that rules hold, or the device server has for them, and that are not answered.
    pub const fn unanswered(&self) -> usize {
        self.unanswered
    }

    /// Commands that the device server has been sent by [`Deed::Send`] and has not answered.
    pub const fn sent(&self) -> usize {
        self.sent
    }

    /// Whether a command that comes in now needs to be shown: something is armed, or something that came before has yet
    /// to be sent.
    #[inline]
    pub fn looks_on(&self) -> bool {
        !self.deeds.is_empty() || !(self.plans.is_empty() || self.stopped)
    }

    /// Takes a command; gives it back if it goes on at once and as it is. `in_flight` are the commands of the unit
    /// that are not answered, this one included.
    pub fn on_command(
        &mut self,
        now: Instant,
        incoming: Incoming<T>,
        in_flight: usize,
    ) -> Option<Incoming<T>> {
        let Some(tag) = incoming.tag.filter(|_| !self.stopped) else { return self.pass(incoming) };
        if self.plans.is_empty() {
            return self.pass(incoming);
        }
        self.end_plans(now);
        for plan in &mut self.plans {
            plan.count_command();
        }
        let Some(facts) = Facts::of(&incoming.cdb, &incoming.data, &self.unit) else {
            return self.pass(incoming);
        };
        let cue = Cue {
            now,
            cdb: &incoming.cdb,
            data: &incoming.data,
            facts: &facts,
            geometry: self.unit.geometry,
            command_time_out: self.unit.command_time_out,
            in_flight,
        };
        self.raise_flaps(now);
        let decision = self.decide(&cue);
        for armed in self.plans.iter_mut().flat_map(ArmedPlan::rules_mut) {
            armed.note(&cue);
        }
        let (play, hit) = match decision {
            Some((play, hit)) => (play, Some(hit)),
            None => match self.recording(&cue) {
                Some(play) => (play, None),
                None => return self.pass(incoming),
            },
        };
        let Incoming { token, cdb, data, .. } = incoming;
        let scene = Scene {
            token: Some(token),
            tag,
            cdb,
            facts,
            data,
            script: play.acts.into(),
            waits: Waits::No,
            image: Vec::new(),
            outcome: None,
            aborted: false,
            hit,
            turn: None,
        };
        let id = SceneId(self.next_scene);
        self.next_scene += 1;
        self.scenes.insert(id, scene);
        self.unanswered += 1;
        self.play(now, id);
        None
    }

    /// Has a command go on as it is, after what was sent before it.
    fn pass(&mut self, incoming: Incoming<T>) -> Option<Incoming<T>> {
        if self.deeds.is_empty() {
            return Some(incoming);
        }
        self.deeds.push_back(Deed::Send(incoming));
        None
    }

    /// What is made of a command, and the rule and the entry of the log that say why; `None` if no rule
    /// hits it.
    fn decide(&mut self, cue: &Cue<'_>) -> Option<(Play, (RuleId, u64))> {
        let Self { plans, log, overlays, .. } = self;
        for plan in plans.iter_mut() {
            let command = plan.commands();
            let Some((armed, Decision { cause, play })) = plan.consider(cue) else { continue };
            let number = log.push(hit(armed, cue, command, cause, &play));
            let rule = armed.id();
            if is_certain(&armed.rule().fault, play.delay) {
                armed.count_effect();
            }
            if cause == Cause::Selected {
                plan.count_hit();
            }
            return Some((play, (rule, number)));
        }
        overlays.expire(cue.now);
        let range = cue.facts.run().filter(|_| matches!(cue.facts.command, Command::Read(_)))?;
        let rule = overlays.over(range)?;
        let plan = plans.iter().find(|plan| plan.id() == rule.plan)?;
        let armed = plan.rules().iter().find(|armed| armed.id() == rule)?;
        let play = read::overlaid();
        let number = log.push(hit(armed, cue, plan.commands(), Cause::Lasting, &play));
        Some((play, (rule, number)))
    }

    /// Has what the command writes over kept, if a rule wants to know it.
    fn recording(&self, cue: &Cue<'_>) -> Option<Play> {
        let rules = self.plans.iter().flat_map(ArmedPlan::rules);
        let recorders: Vec<_> = rules.filter(|armed| armed.records(cue)).map(Armed::id).collect();
        let range = cue.facts.run().filter(|_| !recorders.is_empty())?;
        let remember = Act::Remember(recorders, range);
        Some(Play::new(vec![Act::ReadImage(range), Act::Original, remember]))
    }

    /// Tells initiators where COMPARE AND WRITE has come or gone.
    fn raise_flaps(&mut self, now: Instant) {
        for armed in self.plans.iter_mut().flat_map(ArmedPlan::rules_mut) {
            if armed.has_flapped(now) {
                self.deeds.push_back(Deed::Raise(UnitAttention::InquiryDataHasChanged));
            }
        }
    }

    /// Disarms the plans that are over: those whose time is up, and those that have hit all that they
    /// may, once nothing of that lasts.
    fn end_plans(&mut self, now: Instant) {
        let over = |plan: &ArmedPlan| {
            let id = plan.id();
            let late = plan.end().is_some_and(|end| end <= now);
            let lasts = || {
                let theirs = |scene: &Scene<T>| scene.hit.is_some_and(|(rule, _)| rule.plan == id);
                plan.rules().iter().any(|armed| armed.lasts(now))
                    || self.scenes.values().any(theirs)
                    || self.overlays.any(|rule| rule.plan == id)
            };
            late || plan.is_spent() && !lasts()
        };
        for plan in
            self.plans.iter().filter(|plan| over(plan)).map(ArmedPlan::id).collect::<Vec<_>>()
        {
            self.disarm(now, &Disarm::Plan(plan));
        }
    }

    /// Takes an abort of the commands with these tags, before the device server does.
    pub fn on_abort(&mut self, now: Instant, tags: &[u16]) {
        let named =
            |scene: &Scene<T>| scene.token.is_some() && !scene.aborted && tags.contains(&scene.tag);
        let named = self.scenes.iter().filter(|(_, scene)| named(scene));
        for id in named.map(|(id, _)| *id).collect::<Vec<_>>() {
            let scene = self.scene(id);
            scene.aborted = true;
            match scene.waits {
                // Its end is on the way: the device server is told, too.
                Waits::No | Waits::Server(_) => {}
                Waits::Until(_) | Waits::Turn(_) => {
                    scene.script.clear();
                    self.resume(now, id);
                }
                Waits::Abort(_) => self.resume(now, id),
            }
        }
    }

    /// Lets go of every command, and hits no further one: the unit stops. What was to be applied after
    /// its answer is not.
    pub fn stop(&mut self, now: Instant) {
        self.stopped = true;
        for id in self.scenes.keys().copied().collect::<Vec<_>>() {
            self.let_go(now, id);
        }
    }

    /// Ends whatever a scene waits for on purpose, now and later. Without an initiator the scene ends;
    /// else the command goes on at once, and one that was never to be answered is.
    fn let_go(&mut self, now: Instant, id: SceneId) {
        let Some(scene) = self.scenes.get_mut(&id) else { return };
        if scene.token.is_none() {
            scene.script.clear();
        }
        scene
            .script
            .retain(|act| !matches!(act, Act::Wait(_) | Act::WaitUntil(_) | Act::TakeTurn(_)));
        for act in &mut scene.script {
            if let Act::Hold(longest) = act {
                *longest = Duration::ZERO;
            }
        }
        match scene.waits {
            Waits::No | Waits::Server(_) => {}
            Waits::Until(_) | Waits::Abort(_) | Waits::Turn(_) => self.resume(now, id),
        }
    }

    /// When [`Self::poll`] has something to do again, if nothing else happens before.
    pub fn next_deadline(&self) -> Option<Instant> {
        let ends = self.plans.iter().filter_map(ArmedPlan::end);
        self.deadlines.first().map(|(due, _)| *due).into_iter().chain(ends).min()
    }

    /// Whether there is nothing for [`Self::poll`] to do before something else comes in, whatever the time.
    pub fn is_waiting(&self) -> bool {
        self.deeds.is_empty() && self.next_deadline().is_none()
    }

    /// What to do next; `None` until something comes in or [`Self::next_deadline`] has passed.
    pub fn poll(&mut self, now: Instant) -> Option<Deed<T>> {
        if self.plans.iter().filter_map(ArmedPlan::end).any(|end| end <= now) {
            self.end_plans(now);
        }
        while let Some((due, id)) = self.deadlines.first().copied()
            && due <= now
        {
            self.resume(now, id);
        }
        self.deeds.pop_front()
    }

    /// Takes the device server's answer to what [`Deed::Send`] handed to it in the name of `id`, and the
    /// buffer that went with it.
    ///
    /// # Panics
    /// If nothing was sent in that name: the device server answered twice.
    pub fn on_answer(&mut self, now: Instant, id: SceneId, outcome: Outcome, data: Buffer) {
        self.sent -= 1;
        let Self { scenes, log, .. } = self;
        let scene = scenes.get_mut(&id).expect("a scene that waits");
        let Waits::Server(sent) = scene.waits else { panic!("an errand was answered twice") };
        scene.waits = Waits::No;
        match sent {
            Sent::Original => {
                scene.data = data;
                scene.outcome = Some(outcome);
            }
            Sent::Errand | Sent::Aside | Sent::Image if outcome.status != Status::Good => {
                scene.outcome = Some(Outcome { data_in: None, ..outcome });
                scene.script.clear();
            }
            Sent::Errand | Sent::Aside => scene.outcome = Some(Outcome::GOOD),
            Sent::Image => {
                scene.image.resize(data.len(), 0);
                data.read_at(0, &mut scene.image);
            }
        }
        if scene.token.is_some() {
            // How it ended first: whatever a script makes of it comes after.
            if sent.may_end_command(&outcome)
                && let Some(hit) = scene.hit.and_then(|(_, number)| log.hit(number))
            {
                hit.before.get_or_insert(outcome);
            }
            if scene.aborted {
                scene.script.clear();
            }
        }
        self.play(now, id);
    }

    /// Scenes whose commands are answered, and that go on.
    pub(crate) fn answered_scenes(&self) -> usize {
        self.scenes.len() - self.unanswered
    }

    /// The scene with this name.
    ///
    /// # Panics
    /// If it is over.
    pub(crate) fn scene(&mut self, id: SceneId) -> &mut Scene<T> {
        self.scenes.get_mut(&id).expect("a scene that is not over")
    }

    /// The scene with this name, and the images that lie over reads.
    ///
    /// # Panics
    /// As [`Self::scene`].
    pub(crate) fn scene_and_overlays(&mut self, id: SceneId) -> (&mut Scene<T>, &Overlays) {
        (self.scenes.get_mut(&id).expect("a scene that is not over"), &self.overlays)
    }

    /// Takes a scene that is over.
    pub(crate) fn remove_scene(&mut self, id: SceneId) -> Scene<T> {
        self.scenes.remove(&id).expect("a scene that is not over")
    }

    /// A rule, unless it was disarmed.
    pub(crate) fn rule(&mut self, id: RuleId) -> Option<&mut Armed> {
        let plan = self.plans.iter_mut().find(|plan| plan.id() == id.plan)?;
        plan.rules_mut().iter_mut().find(|armed| armed.id() == id)
    }
}

/// The entry of the log about a command that a rule hits now.
fn hit(armed: &Armed, cue: &Cue<'_>, command: u64, cause: Cause, play: &Play) -> Hit {
    Hit {
        number: 0,
        plan: armed.id().plan,
        rule: armed.name(),
        counted: armed.counted(),
        command,
        at: cue.now,
        opcode: cue.facts.opcode,
        blocks: cue.facts.run(),
        cause,
        delay: play.delay,
        before: None,
        after: None,
        data: play.data,
    }
}

#[cfg(test)]
mod tests;
