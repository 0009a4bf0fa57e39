//! Whether the disk will hold the archives to come: what the next one needs, and when there is no more room.

#[cfg(test)]
mod tests;

use crate::retention::archive::{Archive, Dated};
use crate::retention::policy::{self, RetentionPolicy};
use crate::schedule::Schedule;
use crate::sys::time_zone::Tz;
use chrono::{DateTime, TimeDelta, Utc};

/// The rate is read from so many of the newest verified archives.
const ARCHIVES_FOR_PACE: usize = 10;
/// No archive is expected to be larger than the one before it by more than this part of the last one: 1 / 4.
const GROWTH_CAP_DIVISOR: u64 = 4;

/// What the next archive may need beyond its probable size: 1 / 10 of that, or this many bytes.
const MARGIN_DIVISOR: u64 = 10;
const LEAST_MARGIN: u64 = 16_000_000;

/// No forecast goes further ahead than this many archives.
const MOST_SLOTS: usize = 500;
/// A backup takes a while, and what goes is decided after it.
const BACKUP_TAKES: TimeDelta = TimeDelta::minutes(1);

/// Bytes the next archive will probably need, with a margin of 10 % or 16 MB; `None` without any archive.
pub(crate) fn next_archive_bytes(archives: &[Archive]) -> Option<u64> {
    let rate = GrowthRate::of(archives)?;
    let probable = rate.last_bytes.saturating_add(rate.growth);
    Some(probable.saturating_add(LEAST_MARGIN.max(probable / MARGIN_DIVISOR)))
}

/// The first slot of `schedule` after `now` whose archive will not fit into `free_bytes`, at the rate so far and with
/// old archives going as `policy` says. `None` if that is not within `horizon` or the next 500 archives, or if there
/// is no archive to judge from.
pub(crate) fn full_at(
    archives: &[Archive],
    policy: &RetentionPolicy,
    schedule: &Schedule,
    tz: Tz,
    free_bytes: u64,
    now: DateTime<Utc>,
    horizon: TimeDelta,
) -> Option<DateTime<Utc>> {
    let rate = GrowthRate::of(archives)?;
    let end = now
        .checked_add_signed(horizon)
        .unwrap_or(DateTime::<Utc>::MAX_UTC);
    // Nothing goes before this, as the clock was ahead once.
    let newest = archives.iter().filter_map(|archive| archive.made_at).max();
    let mut folder = Folder::new(archives, tz);
    let mut free_bytes = free_bytes;
    let mut bytes = rate.last_bytes;
    let mut last_at = rate.last_at;
    let mut slot = now;
    for _ in 0..MOST_SLOTS {
        slot = schedule.next_after(slot, tz).filter(|slot| *slot <= end)?;
        bytes = bytes.saturating_add(rate.growth_over(last_at.map(|last_at| slot - last_at)));
        last_at = Some(slot);
        if bytes > free_bytes {
            return Some(slot);
        }
        free_bytes -= bytes;
        folder.add(Dated::new(slot, tz), bytes);
        let after = slot + BACKUP_TAKES;
        if newest.is_none_or(|newest| newest <= after) {
            free_bytes = free_bytes.saturating_add(folder.prune(policy, after));
        }
    }
    None
}

/// How far ahead [`full_at`] looks: to `end`, or to the last of the archives that it reckons with. `None` without any archive.
pub(crate) fn looks_until(
    archives: &[Archive],
    schedule: &Schedule,
    tz: Tz,
    now: DateTime<Utc>,
    end: DateTime<Utc>,
) -> Option<DateTime<Utc>> {
    GrowthRate::of(archives)?;
    let mut slot = now;
    for _ in 0..MOST_SLOTS {
        match schedule.next_after(slot, tz) {
            Some(next) if next <= end => slot = next,
            _ => return Some(end),
        }
    }
    Some(slot)
}

/// The verified archives, those to come too, oldest first; only they can go.
struct Folder {
    dated: Vec<Dated>,
    bytes: Vec<u64>,
}

impl Folder {
    fn new(archives: &[Archive], tz: Tz) -> Self {
        let (dated, bytes) = verified(archives)
            .into_iter()
            .map(|(at, archive)| (Dated::new(at, tz), archive.bytes))
            .unzip();
        Folder { dated, bytes }
    }

    fn add(&mut self, dated: Dated, bytes: u64) {
        let position = self
            .dated
            .partition_point(|other| other.made_at <= dated.made_at);
        self.dated.insert(position, dated);
        self.bytes.insert(position, bytes);
    }

    /// Takes out what goes; how many bytes that frees.
    fn prune(&mut self, policy: &RetentionPolicy, now: DateTime<Utc>) -> u64 {
        let goes = policy::going(&self.dated, policy, now);
        let freed = self
            .bytes
            .iter()
            .zip(&goes)
            .filter(|(_, goes)| **goes)
            .map(|(bytes, _)| *bytes);
        let freed = freed.fold(0, u64::saturating_add);
        let mut flags = goes.iter();
        self.dated.retain(|_| flags.next() != Some(&true));
        let mut flags = goes.iter();
        self.bytes.retain(|_| flags.next() != Some(&true));
        freed
    }
}

/// How large archives are, and how fast they grow.
#[derive(Debug, Default)]
struct GrowthRate {
    last_bytes: u64,
    last_at: Option<DateTime<Utc>>,
    /// By how much one archive is larger than the one before it.
    growth: u64,
    /// What that was seen over: so many bytes in so many seconds.
    seen: (u64, u64),
}

impl GrowthRate {
    /// `None` without any archive. Where none is verified, the largest says at least how much there may be.
    fn of(archives: &[Archive]) -> Option<Self> {
        let verified = verified(archives);
        let Some((last_at, last)) = verified.last() else {
            let last_bytes = archives.iter().map(|archive| archive.bytes).max()?;
            return Some(GrowthRate {
                last_bytes,
                ..GrowthRate::default()
            });
        };
        let newest = &verified[verified.len().saturating_sub(ARCHIVES_FOR_PACE)..];
        let mut steps: Vec<(i128, u64)> = newest
            .windows(2)
            .map(|pair| {
                let bytes = i128::from(pair[1].1.bytes) - i128::from(pair[0].1.bytes);
                (
                    bytes,
                    u64::try_from((pair[1].0 - pair[0].0).num_seconds()).unwrap_or(0),
                )
            })
            .collect();
        // Without the largest step: data that was brought in at once is no rate, and steady growth looks the same.
        if let Some(largest) = (0..steps.len()).max_by_key(|index| steps[*index].0) {
            steps.swap_remove(largest);
        }
        let grown =
            u64::try_from(steps.iter().map(|step| step.0).sum::<i128>().max(0)).unwrap_or(u64::MAX);
        let growth = grown
            .checked_div(steps.len() as u64)
            .unwrap_or(0)
            .min(last.bytes / GROWTH_CAP_DIVISOR);
        let seen = (grown, steps.iter().map(|step| step.1).sum());
        Some(GrowthRate {
            last_bytes: last.bytes,
            last_at: Some(*last_at),
            growth,
            seen,
        })
    }

    /// Growth from one archive to the next, `apart` later. Of a thinned-out row of archives the growth of months would
    /// be taken for that of a day; of several in an hour that of an hour for ever: hence the lesser of both readings.
    fn growth_over(&self, apart: Option<TimeDelta>) -> u64 {
        let (grown, seconds) = self.seen;
        let apart = apart.map_or(0, |apart| u64::try_from(apart.num_seconds()).unwrap_or(0));
        let by_time = (u128::from(grown) * u128::from(apart)).checked_div(u128::from(seconds));
        let by_time = by_time.map_or(self.growth, |bytes| {
            u64::try_from(bytes).unwrap_or(u64::MAX)
        });
        self.growth.min(by_time)
    }
}

/// Verified archives with a manifest, oldest first.
fn verified(archives: &[Archive]) -> Vec<(DateTime<Utc>, &Archive)> {
    let verified = archives.iter().filter(|archive| archive.verified);
    let mut dated: Vec<_> = verified
        .filter_map(|archive| Some((archive.made_at?, archive)))
        .collect();
    dated.sort_by_key(|(made_at, archive)| (*made_at, &archive.name));
    dated
}
