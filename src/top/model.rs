//! The state machine behind the screen: samples and keys go in, rows come out.

use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, Instant};

use pulsefield_control::protocol::{HostPulse, LunLatency, LunState};

use crate::Sample;

/// How many of the last samples have a bar.
const HISTORY: usize = 60;

/// The longest that can be typed.
const TYPED_MAX: usize = 200;

/// OPERATION CODE of COMPARE AND WRITE.
const COMPARE_AND_WRITE: u8 = 0x89;

/// What is on the screen, and what keys do now.
#[derive(Debug, Default)]
pub struct Model {
    latest: Option<(Instant, Sample)>,
    before: Option<(Instant, Sample)>,
    /// The mean times of the commands in the heartbeat lane, in microseconds, by unit.
    history: BTreeMap<String, VecDeque<u64>>,
    /// When the number of miscompares was last seen to have grown, by unit.
    miscompared: BTreeMap<String, Instant>,
    selected: Option<String>,
    pane: Pane,
    mode: Mode,
    notice: Option<String>,
}

/// What the lower part shows of the selected unit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Pane {
    /// How long its commands take.
    #[default]
    Commands,
    /// Its slowest commands.
    Slowest,
    /// The faults that are armed for it.
    Faults,
    /// Its latest MISCOMPAREs.
    Miscompares,
}

/// What keys mean.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) enum Mode {
    #[default]
    Watching,
    /// A fault is being typed that is to be armed for a unit.
    Typing { lun: String, text: String },
    /// Whether this is to be done.
    Asking(Order),
}

/// A key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Key {
    /// The arrow.
    Up,
    /// The arrow.
    Down,
    /// What ends a line.
    Enter,
    /// Not after all.
    Escape,
    /// Takes the last character back.
    Backspace,
    /// Any other.
    Char(char),
}

/// Something to be done to a unit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Order {
    /// Arm a fault, as `FAULT [KEY=VALUE …]`.
    Arm {
        /// For which unit.
        lun: String,
        /// What was typed.
        fault: String,
    },
    /// Disarm all its faults.
    Disarm {
        /// Of which unit.
        lun: String,
    },
}

/// What follows from a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Then {
    /// Nothing but that the screen may look different.
    Draw,
    /// Do this, and [note](Model::note) how it went.
    Do(Order),
    /// End.
    Quit,
}

/// A unit as a line.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Row {
    pub(crate) name: String,
    pub(crate) state: &'static str,
    pub(crate) selected: bool,
    /// Commands a second since the sample before.
    pub(crate) commands: Option<f64>,
    pub(crate) compare_and_writes: Option<f64>,
    pub(crate) heartbeat_p99_us: Option<u64>,
    pub(crate) bulk_p99_us: Option<u64>,
    pub(crate) miscompares: u64,
    pub(crate) late: u64,
    /// How full its data area or its ring was at most, in percent.
    pub(crate) full_percent: u64,
    pub(crate) faults: u64,
}

/// How a host stands, by the age of its pulse.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Standing {
    /// It pulses.
    Alive,
    /// A pulse is overdue: more than 4 s, with one due every 3.
    Overdue,
    /// It has given up the pulse that was due: more than 8 s.
    Late,
    /// Others may take its locks: more than 16 s.
    Lost,
}

impl Standing {
    pub(crate) const fn of(host: &HostPulse) -> Self {
        match host.age_ms {
            ..=4_000 => Self::Alive,
            4_001..=8_000 => Self::Overdue,
            8_001..=16_000 => Self::Late,
            16_001.. => Self::Lost,
        }
    }

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Alive => "",
            Self::Overdue => "overdue",
            Self::Late => "LATE",
            Self::Lost => "LOST",
        }
    }
}

impl Model {
    /// Takes what the daemon has said at `now`.
    pub fn take(&mut self, now: Instant, sample: Sample) {
        let before = self.latest.take();
        for lun in &sample.latency {
            let old = before.as_ref().and_then(|(_, before)| before.latency_of(&lun.lun));
            let history = self.history.entry(lun.lun.clone()).or_default();
            history.push_back(mean_us(lun, old));
            if history.len() > HISTORY {
                history.pop_front();
            }
        }
        if let Some((_, before)) = &before {
            for lun in &sample.luns {
                let old = before.luns.iter().find(|old| old.name == lun.name);
                if old.is_some_and(|old| old.miscompares < lun.miscompares) {
                    self.miscompared.insert(lun.name.clone(), now);
                }
            }
        }
        let exists = |name: &String| sample.luns.iter().any(|lun| lun.name == *name);
        self.history.retain(|name, _| exists(name));
        self.miscompared.retain(|name, _| exists(name));
        if !self.selected.as_ref().is_some_and(exists) {
            self.selected = sample.luns.first().map(|lun| lun.name.clone());
        }
        self.before = before;
        self.latest = Some((now, sample));
    }

    /// Takes a key.
    pub fn press(&mut self, key: Key) -> Then {
        self.notice = None;
        match std::mem::take(&mut self.mode) {
            Mode::Watching => self.command(key),
            Mode::Typing { lun, text } => {
                self.mode = type_on(lun, text, key);
                Then::Draw
            }
            Mode::Asking(order) if matches!(key, Key::Char('y' | 'Y')) => Then::Do(order),
            Mode::Asking(_) => Then::Draw,
        }
    }

    fn command(&mut self, key: Key) -> Then {
        let lun = self.selected.clone();
        match (key, lun) {
            (Key::Char('q') | Key::Escape, _) => return Then::Quit,
            (Key::Up | Key::Char('k'), _) => self.select(-1),
            (Key::Down | Key::Char('j'), _) => self.select(1),
            (Key::Char('c'), _) => self.pane = Pane::Commands,
            (Key::Char('s'), _) => self.pane = Pane::Slowest,
            (Key::Char('f'), _) => self.pane = Pane::Faults,
            (Key::Char('m'), _) => self.pane = Pane::Miscompares,
            (Key::Char('a'), Some(lun)) => self.mode = Mode::Typing { lun, text: String::new() },
            (Key::Char('d'), Some(lun)) if self.faults_of(&lun) == 0 => {
                self.notice = Some(format!("no faults are armed for {lun}"));
            }
            (Key::Char('d'), Some(lun)) => self.mode = Mode::Asking(Order::Disarm { lun }),
            (Key::Enter | Key::Backspace | Key::Char(_), _) => {}
        }
        Then::Draw
    }

    /// Says something on the last line until a key is pressed: how an order went, or why there is
    /// nothing new.
    pub fn note(&mut self, notice: String) {
        self.notice = Some(notice);
    }

    fn select(&mut self, step: isize) {
        let Some((_, sample)) = &self.latest else { return };
        let at = sample.luns.iter().position(|lun| Some(&lun.name) == self.selected.as_ref());
        let to = at.unwrap_or_default().saturating_add_signed(step);
        if let Some(lun) = sample.luns.get(to) {
            self.selected = Some(lun.name.clone());
        }
    }

    fn faults_of(&self, lun: &str) -> u64 {
        let summary = self.sample().and_then(|sample| sample.luns.iter().find(|of| of.name == lun));
        summary.map_or(0, |lun| lun.faults_armed)
    }

    /// The latest sample.
    pub fn sample(&self) -> Option<&Sample> {
        self.latest.as_ref().map(|(_, sample)| sample)
    }

    pub(crate) const fn pane(&self) -> Pane {
        self.pane
    }

    pub(crate) const fn mode(&self) -> &Mode {
        &self.mode
    }

    pub(crate) fn notice(&self) -> Option<&str> {
        self.notice.as_deref()
    }

    pub(crate) fn selected(&self) -> Option<&str> {
        self.selected.as_deref()
    }

    /// The mean times of heartbeats of the selected unit, in microseconds, oldest first.
    pub(crate) fn history(&self) -> impl DoubleEndedIterator<Item = u64> {
        self.selected().and_then(|lun| self.history.get(lun)).into_iter().flatten().copied()
    }

    /// How long before the latest sample the selected unit was seen to miscompare.
    pub(crate) fn since_miscompare(&self) -> Option<Duration> {
        let (now, _) = self.latest.as_ref()?;
        let at = self.miscompared.get(self.selected.as_ref()?)?;
        Some(now.duration_since(*at))
    }

    /// The units as lines.
    pub(crate) fn rows(&self) -> Vec<Row> {
        let Some((now, sample)) = &self.latest else { return Vec::new() };
        let row = |lun: &pulsefield_control::protocol::LunSummary| {
            let latency = sample.latency_of(&lun.name);
            let old = self.before.as_ref().and_then(|(at, before)| {
                Some((now.duration_since(*at), before.latency_of(&lun.name)?))
            });
            let rate = |count: fn(&LunLatency) -> u64| {
                let (time, old) = old?;
                // Counts that have shrunk began anew in between.
                let grown = count(latency?).checked_sub(count(old))?;
                Some(grown as f64 / time.as_secs_f64()).filter(|rate| rate.is_finite())
            };
            Row {
                name: lun.name.clone(),
                state: match lun.state {
                    LunState::Opening => "opening",
                    LunState::Serving => "serving",
                    LunState::Failed { .. } => "FAILED",
                    LunState::Stopped => "stopped",
                },
                selected: self.selected.as_ref() == Some(&lun.name),
                commands: rate(all),
                compare_and_writes: rate(compare_and_writes),
                heartbeat_p99_us: latency.and_then(|lun| p99_us(lun, "heartbeat")),
                bulk_p99_us: latency.and_then(|lun| p99_us(lun, "bulk")),
                miscompares: lun.miscompares,
                late: latency.map_or(0, |lun| lun.late + lun.too_late),
                full_percent: lun.data_area_peak_percent.max(lun.ring_peak_percent),
                faults: lun.faults_armed,
            }
        };
        sample.luns.iter().map(row).collect()
    }

    /// The hosts of the selected unit, the one that is silent for longest first.
    pub(crate) fn hosts(&self) -> Vec<&HostPulse> {
        let Some(sample) = self.sample() else { return Vec::new() };
        let of_lun = sample.hosts.iter().filter(|lun| Some(lun.lun.as_str()) == self.selected());
        let mut hosts: Vec<_> = of_lun.flat_map(|lun| &lun.hosts).collect();
        hosts.sort_by_key(|host| std::cmp::Reverse(host.age_ms));
        hosts
    }
}

fn type_on(lun: String, mut text: String, key: Key) -> Mode {
    match key {
        Key::Escape => return Mode::Watching,
        Key::Enter if text.trim().is_empty() => return Mode::Watching,
        Key::Enter => return Mode::Asking(Order::Arm { lun, fault: text.trim().to_owned() }),
        Key::Backspace => drop(text.pop()),
        Key::Char(character) if text.len() < TYPED_MAX => text.push(character),
        Key::Char(_) | Key::Up | Key::Down => {}
    }
    Mode::Typing { lun, text }
}

fn all(lun: &LunLatency) -> u64 {
    lun.commands.iter().map(|command| command.count).sum()
}

fn compare_and_writes(lun: &LunLatency) -> u64 {
    let of = lun.commands.iter().filter(|command| command.opcode == Some(COMPARE_AND_WRITE));
    of.map(|command| command.count).sum()
}

/// The largest 99th percentile of a lane's commands.
fn p99_us(lun: &LunLatency, lane: &str) -> Option<u64> {
    let of_lane = lun.commands.iter().filter(|command| command.lane.as_deref() == Some(lane));
    of_lane.map(|command| command.total.p99_us).max()
}

/// The mean time of the commands in the heartbeat lane since `old`, in microseconds.
fn mean_us(lun: &LunLatency, old: Option<&LunLatency>) -> u64 {
    let total = |lun: &LunLatency| {
        let of_lane = lun.commands.iter().filter(|of| of.lane.as_deref() == Some("heartbeat"));
        of_lane.fold((0, 0), |(count, us), of| (count + of.count, us + of.sum_us))
    };
    let (count, us) = total(lun);
    let (old_count, old_us) = old.map_or((0, 0), total);
    let grown = count.checked_sub(old_count).zip(us.checked_sub(old_us));
    let (count, us) = grown.unwrap_or((count, us));
    us.checked_div(count).unwrap_or_default()
}

#[cfg(test)]
pub(crate) mod tests;
