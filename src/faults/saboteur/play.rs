//! How scripts are played, act by act.

use pulsefield_data::Buffer;
use pulsefield_engine::{Answer, Incoming, Outcome};
use pulsefield_scsi::{SenseKey, Status};
use pulsefield_units::{Instant, LbaRange};

use crate::saboteur::act::{Act, Errand};
use crate::saboteur::cdb;
use crate::saboteur::effect::has_shown;
use crate::saboteur::log::DataChange;
use crate::saboteur::plays::compare_and_write::miscompare;
use crate::saboteur::rule::RuleId;
use crate::saboteur::scene::{EXPIRED, Scene, SceneId, Sent, Waits};
use crate::saboteur::{Deed, Saboteur};

/// Commands that were answered and are to be carried out later; one more is carried out at once.
pub(crate) const LATE_MAX: usize = 4096;

impl<T: From<SceneId>> Saboteur<T> {
    /// Goes on with a scene that has waited long enough.
    pub(crate) fn resume(&mut self, now: Instant, id: SceneId) {
        let scene = self.scene(id);
        match std::mem::replace(&mut scene.waits, Waits::No) {
            Waits::No | Waits::Server(_) => {}
            Waits::Until(due) => {
                self.deadlines.remove(&(due, id));
            }
            Waits::Abort(due) => {
                if scene.aborted {
                    scene.outcome.get_or_insert(Outcome::status(Status::TaskAborted));
                } else {
                    scene.outcome = Some(EXPIRED);
                }
                self.deadlines.remove(&(due, id));
            }
            Waits::Turn(rule) => {
                if let Some(armed) = self.rule(rule) {
                    armed.turns().leave(id);
                }
            }
        }
        self.play(now, id);
    }

    /// Plays a scene until it waits for something or is over.
    pub(crate) fn play(&mut self, now: Instant, id: SceneId) {
        while self.scene(id).waits == Waits::No {
            let Some(act) = self.scene(id).script.pop_front() else {
                self.finish(now, id);
                return;
            };
            self.perform(now, id, act);
        }
    }

    fn perform(&mut self, now: Instant, id: SceneId, act: Act) {
        match act {
            Act::Wait(duration) => self.wait_until(id, now.after(duration)),
            Act::WaitUntil(due) => self.wait_until(id, due),
            Act::Hold(longest) => {
                let due = now.after(longest);
                self.scene(id).waits = Waits::Abort(due);
                self.deadlines.insert((due, id));
            }
            Act::TakeTurn(rule) => self.take_turn(id, rule),
            Act::Original => {
                let scene = self.scene(id);
                let (tag, cdb) = (Some(scene.tag), scene.cdb);
                let data = std::mem::take(&mut scene.data);
                self.send(id, Sent::Original, Incoming { token: id.into(), tag, cdb, data });
            }
            Act::Send(errand) => {
                let sent = if errand.independent { Sent::Aside } else { Sent::Errand };
                self.send_errand(id, sent, errand);
            }
            Act::ReadImage(range) => {
                let room = vec![0; self.scene(id).facts.bytes_in(range)];
                self.send_errand(id, Sent::Image, Errand::new(cdb::read(range), room));
            }
            Act::Compare { at, test } => {
                let scene = self.scene(id);
                let found = &scene.image[at..at + test.len()];
                let different = found.iter().zip(&test).position(|(found, test)| found != test);
                if let Some(offset) = different {
                    scene.outcome = Some(miscompare(offset));
                    scene.script.clear();
                }
            }
            Act::OnlyIfMiscompared => {
                let scene = self.scene(id);
                let sense = scene.outcome.and_then(|outcome| outcome.sense);
                if sense.is_none_or(|sense| sense.key != SenseKey::Miscompare) {
                    scene.script.clear();
                }
            }
            Act::WriteImage { range, at, bytes, fua } => {
                let mut image = std::mem::take(&mut self.scene(id).image);
                image[at..at + bytes.len()].copy_from_slice(&bytes);
                self.send_errand(id, Sent::Errand, Errand::new(cdb::write(range, fua), image));
            }
            Act::Remember(rules, range) => self.remember(id, &rules, range),
            Act::LayOver(rule, range, duration) => {
                let scene = self.scene(id);
                if scene.is_good() {
                    let image = std::mem::take(&mut scene.image);
                    self.overlays.lay(rule, range, image, now.after(duration));
                }
            }
            Act::ReadOverlaid => self.read_overlaid(id),
            Act::End(outcome) => self.scene(id).outcome = Some(outcome),
            Act::Alter(alteration) => {
                let scene = self.scene(id);
                let outcome = scene.outcome.as_mut();
                let change = outcome.and_then(|it| alteration.apply(it, &mut scene.data));
                self.note_change(id, change);
            }
            Act::Answer => self.answer_early(id),
            Act::AnswerIfAborted => {
                let scene = self.scene(id);
                if scene.aborted {
                    self.answer_early(id);
                } else {
                    scene.script.clear();
                }
            }
        }
    }

    fn wait_until(&mut self, id: SceneId, due: Instant) {
        self.scene(id).waits = Waits::Until(due);
        self.deadlines.insert((due, id));
    }

    fn take_turn(&mut self, id: SceneId, rule: RuleId) {
        let Some(armed) = self.rule(rule) else { return };
        let taken = armed.turns().take(id);
        let scene = self.scene(id);
        if taken {
            scene.turn = Some(rule);
        } else {
            scene.waits = Waits::Turn(rule);
        }
    }

    /// Keeps the image of what the command wrote over.
    fn remember(&mut self, id: SceneId, rules: &[RuleId], range: LbaRange) {
        let scene = self.scene(id);
        if !scene.is_good() {
            return;
        }
        let image = std::mem::take(&mut scene.image);
        for rule in rules {
            if let Some(armed) = self.rule(*rule) {
                armed.memory().keep(range, image.clone());
            }
        }
    }

    fn send(&mut self, id: SceneId, sent: Sent, incoming: Incoming<T>) {
        self.scene(id).waits = Waits::Server(sent);
        self.sent += 1;
        self.deeds.push_back(Deed::Send(incoming));
    }

    fn send_errand(&mut self, id: SceneId, sent: Sent, errand: Errand) {
        let Errand { cdb, data: bytes, independent } = errand;
        let scene = self.scene(id);
        // Once it is answered, the kernel gives the tag to another command.
        let tag = (scene.token.is_some() && !independent).then_some(scene.tag);
        let mut data = Buffer::heap(bytes.len());
        data.write_at(0, &bytes);
        self.send(id, sent, Incoming { token: id.into(), tag, cdb, data });
    }

    /// Lays the old images over what a READ brought.
    fn read_overlaid(&mut self, id: SceneId) {
        let (scene, overlays) = self.scene_and_overlays(id);
        let valid = scene.outcome.filter(|_| scene.is_good()).and_then(|outcome| outcome.data_in);
        let (Some(range), Some(valid)) = (scene.facts.run(), valid) else { return };
        let bytes = |data: &Buffer| {
            let mut bytes = vec![0; valid];
            data.read_at(0, &mut bytes);
            bytes
        };
        let before = bytes(&scene.data);
        overlays.apply(range, scene.facts.block(), &mut scene.data);
        let change = DataChange::between(&before, &bytes(&scene.data));
        self.note_change(id, Some(change));
    }

    /// Notes what was changed of a command's data.
    fn note_change(&mut self, id: SceneId, change: Option<DataChange>) {
        let hit = self.scene(id).hit;
        if let Some(hit) = hit.and_then(|(_, number)| self.log.hit(number)) {
            hit.data = change;
        }
    }

    /// Answers the command of a scene whose script goes on.
    fn answer_early(&mut self, id: SceneId) {
        self.answer(id);
        if self.answered_scenes() > LATE_MAX {
            self.scene(id).script.retain(|act| !matches!(act, Act::Wait(_)));
        }
    }

    /// Answers the command of a scene, if it is not answered yet.
    fn answer(&mut self, id: SceneId) {
        let scene = self.scene(id);
        let Some(token) = scene.token.take() else { return };
        let Outcome { status, sense, data_in } = scene.end();
        let lane = scene.facts.run().map(|_| scene.facts.lane);
        let data = std::mem::take(&mut scene.data);
        let hit = scene.hit;
        self.unanswered -= 1;
        if let Some(hit) = hit.and_then(|(_, number)| self.log.hit(number)) {
            hit.after = Some(Outcome { status, sense, data_in });
        }
        self.deeds.push_back(Deed::Answer(Answer { token, lane, status, sense, data_in, data }));
    }

    /// Ends a scene: its command is answered if it was not, and the next one has its turn.
    fn finish(&mut self, now: Instant, id: SceneId) {
        self.answer(id);
        let scene = self.remove_scene(id);
        self.count_effect(&scene);
        let Some(rule) = scene.turn else { return };
        let next = self.rule(rule).and_then(|armed| armed.turns().pass_on());
        if let Some(next) = next {
            self.scene(next).turn = Some(rule);
            // It goes on when it is polled, so that a long line of those who wait is no deep
            // recursion here.
            self.wait_until(next, now);
        }
    }

    /// Counts the hit of a scene that is over, if only now it shows that it changed something. A rule that was
    /// disarmed counts no more.
    fn count_effect(&mut self, scene: &Scene<T>) {
        let Some((rule, number)) = scene.hit else { return };
        let Some(fault) = self.rule(rule).map(|armed| armed.rule().fault) else { return };
        let last = scene.outcome.map(|outcome| outcome.status);
        let shows = self.log.hit(number).is_some_and(|hit| has_shown(&fault, hit, last));
        if shows && let Some(armed) = self.rule(rule) {
            armed.count_effect();
        }
    }
}
