//! One block as a compare-and-set register: what it may hold, given what was asked of it and answered so far.
//!
//! Just-in-time linearization (Lowe, "Testing for linearizability", 2017): an operation is put in its
//! place no sooner than it has to be, at its end, together with those still open operations that make it
//! possible. What may have happened then is a set of states. Reads and miscompares change nothing, so each
//! counts as soon as a state satisfies it.

use crate::digest::Digest;

/// So many operations on one block may be open at once.
pub(super) const PENDING_MAX: u32 = u64::BITS;

/// So many states may have to be told apart; sixty-four writers of one block at once would have more.
const STATES_MAX: usize = 1024;

/// What an operation is to one block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Effect {
    /// It saw this there.
    Read(Digest),
    /// It saw that this was not there.
    Miscompare(Digest),
    /// It puts this there, or something that nobody can tell.
    Write(Option<Digest>),
    /// It finds one and puts the other there.
    Swap { test: Digest, set: Digest },
}

impl Effect {
    /// Whether it only looks.
    pub(super) const fn observes(self) -> bool {
        matches!(self, Self::Read(_) | Self::Miscompare(_))
    }

    /// What a block that holds `value` holds after it; `None` if it cannot happen then. Also an observation
    /// leads somewhere, if the block may have held anything: to what was seen.
    fn leads_to(self, value: Option<Digest>) -> Option<Option<Digest>> {
        match self {
            Self::Read(seen) => (value.is_none() || value == Some(seen)).then_some(Some(seen)),
            Self::Miscompare(test) => (value != Some(test)).then_some(value),
            Self::Write(set) => Some(set),
            Self::Swap { test, set } => {
                (value.is_none() || value == Some(test)).then_some(Some(set))
            }
        }
    }
}

/// An operation that is open: its place among those that are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Slot(u32);

impl Slot {
    const fn bit(self) -> u64 {
        1 << self.0
    }
}

/// What may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct State {
    /// What the block holds; `None` is anything.
    value: Option<Digest>,
    /// Which of the open operations have happened.
    done: u64,
}

/// Why the states could not be followed any further.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stuck {
    /// There is no order in which it could have ended so.
    Impossible,
    /// There are more states than [`STATES_MAX`].
    TooMany,
}

/// All that may be of one block.
#[derive(Debug)]
pub(super) struct Search {
    states: Vec<State>,
    /// By slot; what is not in `open` means nothing.
    effects: Vec<Effect>,
    open: u64,
    /// Of the open ones: those that only look.
    observers: u64,
    /// Of the open ones: those that may never have happened.
    optional: u64,
}

impl Search {
    /// A block that holds `value`, or anything, with nothing open.
    pub(super) fn at_rest(value: Option<Digest>) -> Self {
        let states = vec![State { value, done: 0 }];
        Self { states, effects: Vec::new(), open: 0, observers: 0, optional: 0 }
    }

    /// The same as [`Search::at_rest`], in the memory that there is.
    pub(super) fn rest(&mut self, value: Option<Digest>) {
        self.states.clear();
        self.states.push(State { value, done: 0 });
        (self.open, self.observers, self.optional) = (0, 0, 0);
    }

    /// What the block holds, if that is all there is to say of it: nothing is open, and there is one state.
    pub(super) fn resting(&self) -> Option<Option<Digest>> {
        match self.states[..] {
            [State { value, .. }] if self.open == 0 => Some(value),
            _ => None,
        }
    }

    /// What the block holds now, if only one thing is possible.
    pub(super) fn value(&self) -> Option<Digest> {
        let mut values = self.values();
        let first = values.next().flatten();
        first.filter(|_| values.all(|value| value == first))
    }

    /// All that the block may hold now.
    pub(super) fn values(&self) -> impl Iterator<Item = Option<Digest>> {
        self.states.iter().map(|state| state.value)
    }

    /// An operation begins, which certainly happens before it ends, or may happen. `None` if there are
    /// [`PENDING_MAX`] already.
    pub(super) fn begin(&mut self, effect: Effect, certain: bool) -> Option<Slot> {
        let slot = Slot((!self.open).trailing_zeros());
        if slot.0 >= PENDING_MAX {
            return None;
        }
        let nth = slot.0 as usize;
        if nth < self.effects.len() {
            self.effects[nth] = effect;
        } else {
            self.effects.push(effect);
        }
        self.open |= slot.bit();
        if effect.observes() {
            self.observers |= slot.bit();
            let seen = |state: &State| effect.leads_to(state.value) == Some(state.value);
            self.states.iter_mut().filter(|state| seen(state)).for_each(|state| {
                state.done |= slot.bit();
            });
        }
        if !certain {
            self.optional |= slot.bit();
        }
        Some(slot)
    }

    /// An operation ends: it has happened; or if it only may have, it will not happen any more.
    ///
    /// # Errors
    /// If that cannot be, or cannot be told; the states are as they were, and the operation is still open.
    pub(super) fn end(&mut self, slot: Slot) -> Result<(), Stuck> {
        let bit = slot.bit();
        let certain = self.optional & bit == 0;
        match &mut self.states[..] {
            // Nothing else is open: most of the time.
            [state] if self.open == bit && certain => {
                if state.done & bit == 0 {
                    let effect = self.effects[slot.0 as usize];
                    state.value = effect.leads_to(state.value).ok_or(Stuck::Impossible)?;
                }
            }
            _ => {
                let begun = self.states.len();
                self.reach(bit)?;
                if certain && self.states.iter().all(|state| state.done & bit == 0) {
                    self.states.truncate(begun);
                    return Err(Stuck::Impossible);
                }
                let mut nth = 0;
                self.states.retain(|state| {
                    nth += 1;
                    state.done & bit != 0 || (!certain && nth <= begun)
                });
            }
        }
        self.close(slot);
        Ok(())
    }

    /// Nothing is known of the block any more: what is open may have happened, may happen or not.
    pub(super) fn forget(&mut self) {
        self.states.clear();
        self.states.push(State { value: None, done: self.observers });
        self.optional = self.open;
    }

    /// Ends an operation of which it does not matter any more whether it happened.
    pub(super) fn close(&mut self, slot: Slot) {
        let others = !slot.bit();
        self.open &= others;
        self.observers &= others;
        self.optional &= others;
        self.states.iter_mut().for_each(|state| state.done &= others);
    }

    /// Adds the states that open operations lead to, up to those in which the one of `bit` has happened.
    ///
    /// # Errors
    /// If there are too many; then none is added.
    fn reach(&mut self, bit: u64) -> Result<(), Stuck> {
        let begun = self.states.len();
        let mut next = 0;
        while let Some(&state) = self.states.get(next) {
            next += 1;
            if state.done & bit != 0 {
                continue;
            }
            for slot in bits(self.open & !state.done) {
                let effect = self.effects[slot.0 as usize];
                let Some(value) = effect.leads_to(state.value) else { continue };
                let after = self.seen(State { value, done: state.done | slot.bit() });
                if !self.states.iter().any(|other| self.covers(*other, after)) {
                    self.states.push(after);
                }
            }
            if self.states.len() > STATES_MAX {
                self.states.truncate(begun);
                return Err(Stuck::TooMany);
            }
        }
        Ok(())
    }

    /// The state with all observers that it satisfies.
    fn seen(&self, mut state: State) -> State {
        for slot in bits(self.observers & !state.done) {
            if self.effects[slot.0 as usize].leads_to(state.value) == Some(state.value) {
                state.done |= slot.bit();
            }
        }
        state
    }

    /// Whether whatever can follow `state` can follow `other`: it holds the same, what must happen is as far,
    /// more was seen, and no more was used up of what may happen.
    fn covers(&self, other: State, state: State) -> bool {
        let must = self.open & !self.observers & !self.optional;
        let same_value = match (other.value, state.value) {
            (None, _) => true,
            (Some(other), Some(state)) => other == state,
            (Some(_), None) => false,
        };
        same_value
            && (other.done ^ state.done) & must == 0
            && state.done & self.observers & !other.done == 0
            && other.done & self.optional & !state.done & !self.observers == 0
    }
}

fn bits(mut set: u64) -> impl Iterator<Item = Slot> {
    std::iter::from_fn(move || {
        let slot = Slot(set.trailing_zeros());
        (set != 0).then(|| {
            set &= set - 1;
            slot
        })
    })
}
