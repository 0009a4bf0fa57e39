//! Retention: which archives stay, which go, and why. It only plans, so that what will go can be shown first.
//!
//! Why this is safe: only a verified archive with a manifest may go, the newest of those never do, and nothing goes
//! while the clock is in doubt, since a wrong clock makes every archive look old.

#[cfg(test)]
mod tests;

use super::archive::{Archive, Dated};
use super::hold::{self, RetentionHold};
use crate::sys::time_zone::Tz;
use chrono::{DateTime, TimeDelta, Utc};
use std::collections::HashSet;
use std::fmt;

/// Which archives stay; each field is a count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct RetentionPolicy {
    /// Archives older than this many days of 24 hours go.
    pub days: u32,
    /// Never fewer verified archives than this, at least 1.
    pub min_keep: u32,
    /// One per day for this many days that have one.
    pub daily: u32,
    /// One per ISO week for this many weeks that have one.
    pub weekly: u32,
    /// One per month for this many months that have one.
    pub monthly: u32,
    /// One per year for this many years that have one.
    pub yearly: u32,
}

/// Why an archive stays.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Reason {
    Young,
    Minimum,
    Daily,
    Weekly,
    Monthly,
    Yearly,
    NotVerified,
    NoManifest,
    /// It would go, but nothing does for now; see [`Plan::halt`].
    Halted,
}

/// The rules of a policy, in the order of the flags of [`rules_met`].
const RULES: [Reason; 6] = [
    Reason::Young,
    Reason::Minimum,
    Reason::Daily,
    Reason::Weekly,
    Reason::Monthly,
    Reason::Yearly,
];

impl fmt::Display for Reason {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Reason::Young => "young enough",
            Reason::Minimum => "among the newest",
            Reason::Daily => "newest of its day",
            Reason::Weekly => "newest of its week",
            Reason::Monthly => "newest of its month",
            Reason::Yearly => "newest of its year",
            Reason::NotVerified => "not verified",
            Reason::NoManifest => "has no manifest",
            Reason::Halted => "nothing goes for now",
        })
    }
}

/// An archive that stays.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Kept {
    pub archive: Archive,
    /// At least one.
    pub reasons: Vec<Reason>,
    /// The last moment at which it stays, where its age alone decides that.
    pub goes_at: Option<DateTime<Utc>>,
}

/// What stays and what goes: together all archives, each in the order they came in.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Plan {
    pub keep: Vec<Kept>,
    pub go: Vec<Archive>,
    /// Why nothing goes; also where nothing would have gone, as a wrong clock gives new archives wrong times.
    pub halt: Option<RetentionHold>,
}

/// Plans which of `archives` stay and which go. `now` is taken after the last backup ended; days, weeks, months and
/// years are those of `tz`.
pub(crate) fn plan(
    archives: &[Archive],
    policy: &RetentionPolicy,
    tz: Tz,
    now: DateTime<Utc>,
) -> Plan {
    let mut order: Vec<(Dated, usize)> = archives
        .iter()
        .enumerate()
        .filter(|(_, archive)| archive.verified)
        .filter_map(|(index, archive)| Some((Dated::new(archive.made_at?, tz), index)))
        .collect();
    order.sort_by_key(|(dated, index)| (dated.made_at, &archives[*index].name));
    let (dated, indexes): (Vec<Dated>, Vec<usize>) = order.into_iter().unzip();

    let halt = RetentionHold::behind(archives, now)
        .or_else(|| leap(archives, &dated, &indexes, policy, now));
    let mut met = vec![[false; RULES.len()]; archives.len()];
    for (flags, index) in rules_met(&dated, policy, now).into_iter().zip(indexes) {
        met[index] = flags;
    }
    let mut plan = Plan {
        keep: Vec::new(),
        go: Vec::new(),
        halt,
    };
    for (archive, met) in archives.iter().zip(met) {
        let archive = archive.clone();
        let mut reasons: Vec<Reason> = RULES
            .into_iter()
            .zip(met)
            .filter_map(|(rule, met)| met.then_some(rule))
            .collect();
        reasons.extend((!archive.verified).then_some(Reason::NotVerified));
        reasons.extend(archive.made_at.is_none().then_some(Reason::NoManifest));
        if reasons.is_empty() && plan.halt.is_some() {
            reasons.push(Reason::Halted);
        }
        if reasons.is_empty() {
            plan.go.push(archive);
            continue;
        }
        // An archive that is not among the newest of anything today will not be later: only its age can hold it.
        let by_age = reasons == [Reason::Young] && plan.halt.is_none();
        let goes_at = archive
            .made_at
            .filter(|_| by_age)
            .and_then(|at| at.checked_add_signed(policy.longest_age()));
        plan.keep.push(Kept {
            archive,
            reasons,
            goes_at,
        });
    }
    plan
}

/// A clock that has leapt, with the archives on both sides of the leap. `dated` are those with these indexes.
fn leap(
    archives: &[Archive],
    dated: &[Dated],
    indexes: &[usize],
    policy: &RetentionPolicy,
    now: DateTime<Utc>,
) -> Option<RetentionHold> {
    let last_before = hold::leap(dated, policy.newest(), now)?;
    let name = |position: usize| Some(archives[*indexes.get(position)?].name.clone());
    let after_at = dated.get(last_before + 1);
    Some(RetentionHold::ClockLeap {
        before: name(last_before)?,
        before_at: dated[last_before].made_at,
        after: name(last_before + 1),
        after_at: after_at.map_or(now, |after| after.made_at),
    })
}

impl Plan {
    /// The same, but nothing goes, for this reason.
    pub(crate) fn halted(mut self, halt: RetentionHold) -> Self {
        for archive in self.go.drain(..) {
            self.keep.push(Kept {
                archive,
                reasons: vec![Reason::Halted],
                goes_at: None,
            });
        }
        for kept in &mut self.keep {
            kept.goes_at = None;
        }
        self.halt = Some(halt);
        self
    }
}

/// For each of `dated`, oldest first, whether it goes. Behind the newest archive's time, this says nothing.
pub(crate) fn going(dated: &[Dated], policy: &RetentionPolicy, now: DateTime<Utc>) -> Vec<bool> {
    if hold::leap(dated, policy.newest(), now).is_some() {
        return vec![false; dated.len()];
    }
    rules_met(dated, policy, now)
        .iter()
        .map(|met| !met.contains(&true))
        .collect()
}

/// For each of `dated`, oldest first, which of [`RULES`] hold it.
fn rules_met(
    dated: &[Dated],
    policy: &RetentionPolicy,
    now: DateTime<Utc>,
) -> Vec<[bool; RULES.len()]> {
    let mut met = vec![[false; RULES.len()]; dated.len()];
    for (met, dated) in met.iter_mut().zip(dated) {
        met[0] = now - dated.made_at <= policy.longest_age();
    }
    for met in met.iter_mut().rev().take(policy.newest()) {
        met[1] = true;
    }
    for (bucket, count) in [policy.daily, policy.weekly, policy.monthly, policy.yearly]
        .into_iter()
        .enumerate()
    {
        // A set, not just the last key: where clocks are set back across midnight, one day is in two pieces.
        let mut seen = HashSet::new();
        for (met, dated) in met.iter_mut().zip(dated).rev() {
            if seen.len() >= count as usize {
                break;
            }
            met[2 + bucket] = seen.insert(dated.buckets[bucket]);
        }
    }
    met
}

impl RetentionPolicy {
    fn longest_age(&self) -> TimeDelta {
        TimeDelta::days(i64::from(self.days))
    }

    /// How many always stay; at least one.
    fn newest(&self) -> usize {
        self.min_keep.max(1) as usize
    }
}
