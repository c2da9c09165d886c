//! Hours of record in a few lines.

use std::collections::BTreeMap;

use pulsefield_engine::Lane;
use pulsefield_record::Record;

use crate::finding::FindingKind;
use crate::host::{Host, Hosts};
use crate::told::Told;

/// So many of the slowest commands are kept.
pub const WORST_MAX: usize = 5;

/// What there was in the record.
#[derive(Clone, Debug)]
pub struct Summary<'r> {
    /// The first and the last record of those that are told of, if there is any.
    pub span: Option<(&'r Record, &'r Record)>,
    /// How many commands are recorded. Of bulk the older are overwritten first.
    pub commands: u64,
    /// How many of them were COMPARE AND WRITE.
    pub ats: u64,
    /// The hosts that pulsed, by UUID and then by address.
    pub hosts: Vec<Host>,
    /// The commands of the heartbeat lane that took longest, the longest first; up to [`WORST_MAX`].
    pub worst: Vec<Told<'r>>,
    /// How many MISCOMPAREs there were of each finding; those of which there was none are left out.
    pub miscompares: BTreeMap<FindingKind, u64>,
}

impl<'r> Summary<'r> {
    pub(crate) fn of(
        records: &'r [Record],
        commands: impl Iterator<Item = Told<'r>> + Clone,
        findings: impl Iterator<Item = FindingKind>,
    ) -> Self {
        let mut hosts = Hosts::default();
        commands.clone().for_each(|told| hosts.take(told));
        let of_lane = |told: &Told<'_>| told.command.lane == Some(Lane::Heartbeat);
        let mut worst: Vec<_> = commands.clone().filter(of_lane).collect();
        worst.sort_by_key(|told| std::cmp::Reverse(told.command.took()));
        worst.truncate(WORST_MAX);
        let mut miscompares = BTreeMap::new();
        for kind in findings {
            *miscompares.entry(kind).or_insert(0) += 1;
        }
        Self {
            span: records.first().zip(records.last()),
            commands: commands.clone().count() as u64,
            ats: commands.filter(Told::is_ats).count() as u64,
            hosts: hosts.finish(),
            worst,
            miscompares,
        }
    }
}
