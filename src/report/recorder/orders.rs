//! What hosts were told to do, and what became of it.

use std::collections::BTreeMap;
use std::time::Duration;

use super::timeline::Times;
use crate::run::Orders;

/// All orders by kind. There are a handful of kinds and of outcomes: enums of whoever tells them.
#[derive(Debug, Default)]
pub(super) struct AllOrders(BTreeMap<String, Told>);

#[derive(Debug, Default)]
struct Told {
    outcomes: BTreeMap<String, u64>,
    took: Times,
}

impl AllOrders {
    pub(super) fn count(&mut self, kind: &str, outcome: &str, took: Duration) {
        let told = entry(&mut self.0, kind);
        *entry(&mut told.outcomes, outcome) += 1;
        told.took.add(took);
    }

    pub(super) fn finish(self) -> Vec<Orders> {
        let orders = |(kind, told): (String, Told)| Orders {
            kind,
            outcomes: told.outcomes.into_iter().collect(),
            took: told.took.spread(),
        };
        self.0.into_iter().map(orders).collect()
    }
}

/// As `Entry::or_default`, with an allocation only for what is new.
fn entry<'m, T: Default>(map: &'m mut BTreeMap<String, T>, key: &str) -> &'m mut T {
    if !map.contains_key(key) {
        map.insert(key.to_owned(), T::default());
    }
    map.get_mut(key).expect("it is there now")
}
