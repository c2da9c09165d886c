//! [`Promise::LockExclusion`]: nobody believes to have a lock that another one with a valid lease
//! believes to have.
//!
//! A claim counts while its host's lease is valid: for 16 s ([`LEASE`]) from the moment at which it
//! *asked* for its last pulse that counts, since that is when the stamp it wrote is from. A host that
//! was frozen still believes to have its locks; its claims do not count until it pulses again, and then they do,
//! also against whoever took the locks meanwhile. Until a host's first pulse is told its claims do not count.
//!
//! Memory: the claims that stand, and one lease for each host and unit.

use std::collections::BTreeMap;

use pulsefield_units::Instant;
use pulsefield_vmfs::LEASE;

use crate::ledger::Ledger;
use crate::words::Moment;
use crate::{Breach, Checker, Claim, ClaimMode, HostId, Promise, Pulse, UnitId, Verdict};

/// Whether locks exclude each other.
#[derive(Debug)]
pub struct LockExclusion {
    ledger: Ledger,
    /// Who claims a lock, in the order of taking.
    claims: BTreeMap<(UnitId, u64), Vec<Claim>>,
    /// When the last pulse that counts was asked for.
    pulses: BTreeMap<(UnitId, HostId), Instant>,
}

impl Default for LockExclusion {
    fn default() -> Self {
        let ledger = Ledger::new(Promise::LockExclusion);
        Self { ledger, claims: BTreeMap::new(), pulses: BTreeMap::new() }
    }
}

impl Checker for LockExclusion {
    fn ledger(&self) -> &Ledger {
        &self.ledger
    }

    fn pulsed(&mut self, pulse: &Pulse) {
        if pulse.alive {
            self.renew(pulse);
        }
    }

    fn taken(&mut self, claim: &Claim) {
        self.ledger.count();
        let others = self.claims.entry((claim.unit, claim.lock)).or_default();
        let pulses = &self.pulses;
        let is_valid = |it: &Claim| is_valid_at(pulses.get(&(it.unit, it.host)), claim.at);
        if is_valid(claim) {
            let conflicts = others.iter().filter(|it| conflict(it, claim) && is_valid(it));
            conflicts.for_each(|other| self.ledger.breach(|| breach(other, claim, claim.at)));
        }
        others.push(*claim);
    }

    fn left(&mut self, left: &Claim) {
        let Some(claims) = self.claims.get_mut(&(left.unit, left.lock)) else { return };
        let own = |it: &Claim| it.host == left.host && it.mode == left.mode;
        let exactly = claims.iter().position(|it| own(it) && it.token == left.token);
        if let Some(nth) = exactly.or_else(|| claims.iter().position(own)) {
            claims.remove(nth);
        }
        if claims.is_empty() {
            self.claims.remove(&(left.unit, left.lock));
        }
    }

    fn forgotten(&mut self, host: HostId) {
        self.claims.values_mut().for_each(|claims| claims.retain(|it| it.host != host));
        self.claims.retain(|_, claims| !claims.is_empty());
        self.pulses.retain(|(_, owner), _| *owner != host);
    }

    fn missed(&mut self, unit: UnitId) {
        self.claims.retain(|(of, _), _| *of != unit);
        self.pulses.retain(|(of, _), _| *of != unit);
    }

    fn finish(self: Box<Self>, _at: Instant) -> Verdict {
        self.ledger.verdict(Vec::new())
    }
}

impl LockExclusion {
    /// A lease goes on. If it had run out meanwhile, the claims of its host count again, and somebody else may
    /// have taken the locks.
    fn renew(&mut self, pulse: &Pulse) {
        let key = (pulse.unit, pulse.host);
        let before = self.pulses.get(&key).copied();
        if before.is_some_and(|before| before >= pulse.invoked) {
            return;
        }
        self.pulses.insert(key, pulse.invoked);
        if is_valid_at(before.as_ref(), pulse.returned) {
            return;
        }
        let locks = self.claims.range((pulse.unit, 0)..=(pulse.unit, u64::MAX));
        for claims in locks.map(|(_, claims)| claims) {
            for own in claims.iter().filter(|it| it.host == pulse.host) {
                for other in claims.iter().filter(|it| conflict(it, own)) {
                    let both = own.at.max(other.at).max(pulse.invoked);
                    let was_told = is_valid_at(before.as_ref(), both);
                    let lease = self.pulses.get(&(other.unit, other.host));
                    if !was_told
                        && is_valid_at(Some(&pulse.invoked), both)
                        && is_valid_at(lease, both)
                    {
                        self.ledger.breach(|| breach(other, own, both));
                    }
                }
            }
        }
    }
}

/// Whether a lease that was last renewed then is valid at this moment.
fn is_valid_at(renewed: Option<&Instant>, at: Instant) -> bool {
    renewed.is_some_and(|renewed| at < renewed.after(LEASE))
}

/// Whether two claims on the same lock exclude each other.
fn conflict(one: &Claim, other: &Claim) -> bool {
    one.host != other.host && (one.mode != other.mode || one.mode == ClaimMode::Exclusive)
}

fn breach(earlier: &Claim, later: &Claim, at: Instant) -> Breach {
    let told = |claim: &Claim| {
        let Claim { host, mode, token, at, .. } = claim;
        format!("host {} ({} since {}, token {token})", host.0, mode.name(), Moment(*at))
    };
    let what = format!(
        "lock at byte {} of the volume is claimed by {} and by {}, both with valid leases",
        later.lock,
        told(earlier),
        told(later)
    );
    Breach { at, unit: Some(later.unit), hosts: vec![earlier.host, later.host], what }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::history::{UNIT, at, breach, judge, pulse};
    use crate::{Event, Standing};

    fn claim(host: u32, when: u64, mode: ClaimMode) -> Claim {
        let token = u64::from(host) * 100 + 5;
        Claim { host: HostId(host), unit: UNIT, at: at(when), lock: 0x72_0000, mode, token }
    }

    fn taken(host: u32, when: u64, mode: ClaimMode) -> Event {
        Event::Taken(claim(host, when, mode))
    }

    fn verdict(events: &[Event]) -> Verdict {
        judge(LockExclusion::default(), events)
    }

    use ClaimMode::{Exclusive, MultiWriter, ReadOnly};

    #[test]
    fn two_owners_of_a_lock_are_a_breach_with_both_tokens() {
        let verdict = verdict(&[
            pulse(1, (0, 10), true),
            pulse(2, (0, 10), true),
            taken(1, 100, Exclusive),
            taken(2, 200, Exclusive),
        ]);
        let breach = breach(&verdict);
        assert_eq!(breach.hosts, [HostId(1), HostId(2)]);
        assert_eq!(
            breach.what,
            "lock at byte 7471104 of the volume is claimed by host 1 (exclusive since 0.100000 s, token 105) \
             and by host 2 (exclusive since 0.200000 s, token 205), both with valid leases"
        );
    }

    #[test]
    fn modes_that_go_together_and_modes_that_do_not() {
        let together = |one, other| {
            let pulses = [pulse(1, (0, 10), true), pulse(2, (0, 10), true)];
            let claims = [taken(1, 100, one), taken(2, 200, other)];
            verdict(&[pulses, claims].concat()).standing == Standing::Held
        };
        assert!(together(ReadOnly, ReadOnly) && together(MultiWriter, MultiWriter));
        assert!(!together(ReadOnly, MultiWriter) && !together(MultiWriter, Exclusive));
        assert!(!together(Exclusive, ReadOnly));
    }

    #[test]
    fn what_was_left_or_forgotten_is_free() {
        let pulses = [pulse(1, (0, 10), true), pulse(2, (0, 10), true)];
        let gone = Event::Forgotten { host: HostId(1), at: at(150) };
        for end in [Event::Left(claim(1, 150, Exclusive)), gone] {
            let events = [taken(1, 100, Exclusive), end, taken(2, 200, Exclusive)];
            assert_eq!(verdict(&[&pulses[..], &events].concat()).standing, Standing::Held);
        }
    }

    #[test]
    fn a_lock_may_be_broken_once_the_lease_has_run_out_and_not_before() {
        let broken_at = |when| {
            verdict(&[
                pulse(1, (1000, 1010), true),
                taken(1, 1100, Exclusive),
                pulse(2, (when - 500, when - 400), true),
                taken(2, when, Exclusive),
            ])
        };
        assert_eq!(broken_at(17_000).standing, Standing::Held);
        assert_eq!(broken_at(16_999).standing, Standing::Broken);
    }

    #[test]
    fn an_owner_that_pulses_again_after_its_lock_was_broken_is_a_breach() {
        let broken = [
            pulse(1, (1000, 1010), true),
            taken(1, 1100, Exclusive),
            pulse(2, (19_000, 19_010), true),
            taken(2, 20_000, Exclusive),
        ];
        let pulse_at = |times| verdict(&[&broken[..], &[pulse(1, times, true)]].concat());
        assert_eq!(pulse_at((21_000, 21_010)).standing, Standing::Broken);
        // Asked for before the lock was broken, and told later.
        assert_eq!(pulse_at((16_500, 21_010)).standing, Standing::Broken);
        // It has heard before that the lock is lost.
        let left = Event::Left(claim(1, 20_500, Exclusive));
        let resumed = pulse(1, (21_000, 21_010), true);
        assert_eq!(verdict(&[&broken[..], &[left, resumed]].concat()).standing, Standing::Held);
    }

    #[test]
    fn a_pulse_that_does_not_count_renews_nothing() {
        let verdict = verdict(&[
            pulse(1, (1000, 1010), true),
            taken(1, 1100, Exclusive),
            pulse(1, (4000, 12_000), false),
            pulse(2, (16_000, 16_100), true),
            taken(2, 17_500, Exclusive),
        ]);
        assert_eq!(verdict.standing, Standing::Held);
    }
}
