//! Whole hosts with orders, some of which crash or freeze: whoever takes a lock takes it from nobody whose lease
//! still runs.

use std::collections::BTreeMap;
use std::time::Duration;

use proptest::prelude::*;
use pulsefield_units::Instant;
use pulsefield_vmfs::{DiskLock, LEASE, LockKind, LockMode};

use super::{LOCKS, exclusive, order};
use crate::testing::{Cluster, Fate, VOLUME};
use crate::{Claim, HeartbeatMode, Locking, Notice, Order, OrderId, OrderKind, Outcome};

/// Longer than the lease, what an order is tried for after it, and the time-outs of a few commands.
const SETTLED: Duration = Duration::from_secs(120);

/// What befalls a host.
#[derive(Clone, Debug)]
enum Event {
    Order(OrderKind),
    Crash,
    Start,
    Freeze(Duration),
}

/// Hosts that are up, on a volume with free locks, before anything happens to them.
struct Play {
    cluster: Cluster,
    orders: u64,
}

impl Play {
    fn new(hosts: usize, heartbeat: HeartbeatMode, locking: Locking) -> Self {
        let mut cluster = Cluster::new(hosts, heartbeat, locking);
        for lock in LOCKS {
            let free = DiskLock::never_taken(LockKind::FileDescriptor, lock);
            cluster.medium.put(lock, &free.encode());
        }
        cluster.run_until(|cluster| (0..hosts).all(|host| cluster.acquired(host).is_some()));
        Self { cluster, orders: 0 }
    }

    fn happen(&mut self, host: usize, event: Event) {
        let now = self.cluster.now;
        let host = &mut self.cluster.hosts[host];
        match event {
            Event::Crash => host.crash(now),
            Event::Start => host.start(now),
            Event::Freeze(duration) => host.freeze(now, duration),
            Event::Order(kind) => {
                self.orders += 1;
                host.order(now, Order { id: OrderId(self.orders), volume: VOLUME, kind });
            }
        }
        self.cluster.pump();
    }

    /// How each order ended: as often as it is told.
    fn outcomes(&self) -> BTreeMap<OrderId, Vec<crate::LockOutcome>> {
        let mut outcomes = BTreeMap::<_, Vec<_>>::new();
        for (_, _, notice) in &self.cluster.said {
            if let Notice::Finished { order, outcome, .. } = notice {
                outcomes.entry(*order).or_default().push(*outcome);
            }
        }
        outcomes
    }

    /// Locks that a host took while another one had them whose lease still ran.
    fn violations(&self) -> Vec<(Instant, Claim)> {
        let mut said: Vec<_> = self.cluster.said.iter().collect();
        said.sort_by_key(|(at, _, _)| *at);
        let mut hosts = vec![Believer::default(); self.cluster.hosts.len()];
        let mut violations = Vec::new();
        for (at, host, notice) in said {
            if let Notice::LockTaken(claim) = notice {
                let others = hosts.iter().enumerate().filter(|(nth, _)| nth != host);
                let robbed = others.filter(|(_, other)| other.is_robbed_by(*at, claim)).count();
                violations.extend((robbed > 0).then_some((*at, *claim)));
            }
            hosts[*host].hear(*at, notice);
        }
        violations
    }
}

/// A host, as its notices have it.
#[derive(Clone, Default)]
struct Believer {
    claims: Vec<Claim>,
    /// When its last pulse was asked for.
    pulsed: Instant,
}

impl Believer {
    fn hear(&mut self, at: Instant, notice: &Notice) {
        if let Notice::LockTaken(claim) = notice {
            self.claims.push(*claim);
        } else if let Notice::LockLeft(claim) = notice {
            self.claims.retain(|own| own != claim);
        } else if let Notice::Pulse { took, alive: true, .. } = notice {
            let asked = u128::from(at.as_nanos()) - took.as_nanos();
            self.pulsed = Instant::from_nanos(u64::try_from(asked).unwrap());
        } else if *notice == Notice::Started {
            // What it had before the crash is gone when it comes to its slot again, however soon that is.
            self.claims.clear();
        }
    }

    fn is_robbed_by(&self, at: Instant, claim: &Claim) -> bool {
        let excludes = |own: &Claim| {
            own.lock == claim.lock && (own.mode != claim.mode || own.mode == LockMode::Exclusive)
        };
        at < self.pulsed.after(LEASE) && self.claims.iter().any(excludes)
    }
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        12 => order().prop_map(Event::Order),
        1 => Just(Event::Crash),
        2 => Just(Event::Start),
        1 => (1..40_u64).prop_map(|seconds| Event::Freeze(Duration::from_secs(seconds))),
    ]
}

/// What befalls a command: mostly it takes some milliseconds.
fn fate() -> impl Strategy<Value = Fate> {
    prop_oneof![
        60 => (0..20_u64).prop_map(|millis| Fate::Slow(Duration::from_millis(millis))),
        1 => (0..10_u64).prop_map(|seconds| Fate::Slow(Duration::from_secs(seconds))),
        1 => Just(Fate::Unanswered),
        1 => Just(Fate::Dropped),
        2 => Just(Fate::Refused(Outcome::Busy)),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn nobody_is_robbed_while_its_lease_runs(
        heartbeat in proptest::sample::select(&HeartbeatMode::ALL[..]),
        locking in proptest::sample::select(&Locking::ALL[..]),
        events in proptest::collection::vec((0..4000_u64, 0..4_usize, event()), 0..40),
        fates in proptest::collection::vec(fate(), 1..600),
    ) {
        let mut play = Play::new(4, heartbeat, locking);
        let mut fates = fates.into_iter();
        play.cluster.fate = Box::new(move |_, _| fates.next().unwrap_or(Fate::Done));
        for (pause, host, event) in events {
            play.cluster.run(Duration::from_millis(pause));
            play.happen(host, event);
        }
        play.cluster.fate = Box::new(|_, _| Fate::Done);
        for host in 0..4 {
            play.happen(host, Event::Start);
        }
        play.cluster.run(SETTLED);
        let given = play.orders;
        // Whatever crashed hosts left behind is got out of the way.
        for lock in LOCKS {
            play.happen(0, Event::Order(exclusive(lock)));
        }
        play.cluster.run(SETTLED);
        prop_assert_eq!(play.violations(), []);
        let outcomes = play.outcomes();
        for order in 1..=play.orders {
            let outcome = outcomes.get(&OrderId(order));
            prop_assert_eq!(outcome.map(Vec::len), Some(1), "order {}", order);
            if order > given {
                prop_assert_eq!(&outcome.unwrap()[..], [crate::LockOutcome::Done]);
            }
        }
    }
}

/// The same check on a device that writes whatever it was told to compare: it is able to fail.
#[test]
fn on_a_medium_that_does_not_compare_somebody_is() {
    let mut play = Play::new(4, HeartbeatMode::Ats, Locking::AtsOnly);
    play.cluster.medium.compares = false;
    for host in 0..4 {
        play.happen(host, Event::Order(exclusive(LOCKS[0])));
    }
    play.cluster.run(SETTLED);
    assert!(!play.violations().is_empty());
}
