//! Copies elsewhere: every verified archive is sent, proven to be there, and kept there by a policy of its own.
//!
//! It reads top to bottom in `sync.rs`. It is work of its own, in a process of its own: a backup neither waits for it nor
//! fails with it. That copies are behind is told by [`problems`], in mails, by `health` and by `list`.

mod checksums;
mod copies;
pub(crate) mod fetch;
#[cfg(test)]
mod late_tests;
mod locate;
pub(crate) mod record;
mod retention;
mod sealed_note;
pub(crate) mod sync;
pub(crate) mod verify;

use crate::archive::file_name;
use crate::context::Context;
use crate::report::{ArchiveSummary, CopyState, CopySummary};
use crate::settings::{OffsitePlace, OffsiteVerify, Settings};
use crate::store::remote::{Access, Proof, Store, StoreError, StoreErrorKind, Transfer, Way};
use crate::store::repository::Repository;
use crate::sys::humanize;
use crate::sys::progress::Meter;
use chrono::{DateTime, TimeDelta, Utc};
use record::{CopyRecord, PlaceRecord, Record};
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

pub(crate) use copies::{Copies, Copy, copies};
pub(crate) use locate::{LocateError, Within, locate};

/// How long it is told that all copies at a place were gone.
const VANISHED_IS_NEWS: TimeDelta = TimeDelta::days(7);
/// Clocks are corrected by seconds all the time; what is further ahead than this was made on one that was wrong.
const CLOCK_DRIFT: TimeDelta = TimeDelta::minutes(5);

/// What a copy must have gone through to count.
pub(crate) fn needed(settings: &Settings) -> Proof {
    match settings.offsite.verify {
        OffsiteVerify::Checksum => Proof::Confirmed,
        OffsiteVerify::Read => Proof::Read,
    }
}

/// Opens a place, if it answers.
pub(crate) async fn open(
    settings: &Settings,
    ctx: &Context,
    place: &OffsitePlace,
) -> Result<Store, StoreError> {
    let scratch = scratch(&Repository::of(settings));
    let access = Access {
        credentials: &settings.offsite.credentials,
        environment: &ctx.environment,
        redactor: &ctx.redactor,
        now: ctx.now,
        bandwidth: settings.offsite.bandwidth,
        scratch: &scratch,
    };
    let opening = async {
        if let OffsitePlace::Folder(path) = place {
            // A share of the network that hangs is looked at on a thread of its own first.
            let (path, backup_dir) = (path.clone(), settings.backup_dir.clone());
            let look = move || is_same_folder(&path, &backup_dir);
            if tokio::task::spawn_blocking(look).await.unwrap_or_default() {
                return Err(StoreError::new(
                    StoreErrorKind::NoPlace,
                    "it is BACKUP_DIR itself, by another name",
                    "name a folder on another disk in OFFSITE_URL",
                ));
            }
        }
        Store::open(place, &access).await
    };
    answered(settings, opening).await
}

fn is_same_folder(one: &Path, other: &Path) -> bool {
    let id = |path| fs::metadata(path).map(|found| (found.dev(), found.ino()));
    matches!((id(one), id(other)), (Ok(one), Ok(other)) if one == other)
}

/// Asks a place for something small, and gives up when there is no answer.
async fn answered<T>(
    settings: &Settings,
    asking: impl Future<Output = Result<T, StoreError>>,
) -> Result<T, StoreError> {
    answered_within(settings.stall_timeout, asking).await
}

async fn answered_within<T>(
    limit: Duration,
    asking: impl Future<Output = Result<T, StoreError>>,
) -> Result<T, StoreError> {
    let answer = tokio::time::timeout(limit, asking).await;
    answer.unwrap_or_else(|_| {
        let summary = format!("no answer within {} s", limit.as_secs());
        Err(StoreError::new(StoreErrorKind::Unreachable, summary, ""))
    })
}

/// What is known of the copies of each of `archives`, without looking.
pub(crate) fn explain(settings: &Settings, record: &Record, archives: &mut [ArchiveSummary]) {
    for archive in archives {
        let copies = settings.offsite.places.iter().map(|place| {
            let (known, place) = (record.of(place), place.to_string());
            let copy = known.and_then(|known| {
                let sealed = format!("{}{}", archive.archive, file_name::SEALED_EXTENSION);
                let sealed = || known.copies.get(&sealed);
                known.copies.get(&archive.archive).or_else(sealed)
            });
            CopySummary {
                place,
                state: copy.map_or(CopyState::Absent, CopyRecord::state),
                proven_at: copy.map(|copy| copy.at),
            }
        });
        archive.copies = copies.collect();
    }
}

/// The way to a place, for what connects by itself.
fn way(settings: &Settings, ctx: &Context, place: &OffsitePlace) -> Way {
    Way {
        place: place.clone(),
        credentials: settings.offsite.credentials.clone(),
        environment: ctx.environment.clone(),
        redactor: ctx.redactor.clone(),
        now: ctx.now,
        cancel: ctx.cancel.clone(),
        stall_timeout: settings.stall_timeout,
        scratch: scratch(&Repository::of(settings)),
    }
}

/// Where lies what must be a file to be sent. Swept at the beginning of a round.
fn scratch(repository: &Repository) -> PathBuf {
    repository.own_folder().join("sending")
}

/// Whether a copy of this name is one of this archive: as it lies here, or sealed on its way.
fn is_copy_of(copy: &str, archive: &str) -> bool {
    let sealed = || copy.strip_prefix(archive) == Some(file_name::SEALED_EXTENSION);
    copy == archive || sealed()
}

/// What is wrong with the copies, each in words with what to do about it. `listed` are the archives here.
pub(crate) fn problems(
    settings: &Settings,
    record: &Record,
    listed: &[ArchiveSummary],
    now: DateTime<Utc>,
) -> Vec<String> {
    let problems = distinct_problems(settings, record, listed, now).into_iter();
    problems.map(|problem| problem.text).collect()
}

/// Something that is wrong with the copies at a place.
pub(crate) struct CopyProblem {
    /// The same as long as it is the same problem, whatever numbers `text` says.
    pub about: String,
    pub text: String,
}

/// The same, each with what tells it from others.
pub(crate) fn distinct_problems(
    settings: &Settings,
    record: &Record,
    listed: &[ArchiveSummary],
    now: DateTime<Utc>,
) -> Vec<CopyProblem> {
    let mut problems = Vec::new();
    for place in &settings.offsite.places {
        let mut push = |kind: &str, text: String| {
            let about = format!("{kind} {place}");
            problems.push(CopyProblem { about, text });
        };
        let Some(known) = record.of(place) else {
            if let Some(text) = never_begun(settings, place, listed, now) {
                push("behind", text);
            }
            continue;
        };
        for (archive, copy) in &known.copies {
            if let Some(damage) = &copy.damage {
                let text = format!(
                    "the copy of {archive} at {place} {damage}\n\
                     it is neither used nor replaced: see why, then remove it there; it is sent again if the archive is still here"
                );
                push(&format!("damaged {archive}"), text);
            }
        }
        if let Some(text) = vanished(settings, place, known, now) {
            push("vanished", text);
        }
        let waiting = waiting_since(settings, known, listed, now);
        let lag = waiting.map(|since| (now - since).to_std().unwrap_or_default());
        if let Some(lag) = lag.filter(|lag| *lag > settings.offsite.max_lag) {
            let why = known.problem.as_ref().map(|why| format!(": {why}"));
            let why = why.unwrap_or_default();
            push(
                "behind",
                format!("the copy at {place} is {} behind{why}", in_days(lag)),
            );
        }
    }
    problems
}

/// What to say of a place whose copies were all gone at once. It stays news for some days, for whoever looks now and then.
fn vanished(
    settings: &Settings,
    place: &OffsitePlace,
    known: &PlaceRecord,
    now: DateTime<Utc>,
) -> Option<String> {
    let vanished = known.vanished.as_ref()?;
    (now - vanished.at < VANISHED_IS_NEWS).then(|| {
        let (what, were) = match vanished.copies {
            1 => ("the only copy".to_owned(), "was"),
            copies => (format!("all {copies} copies"), "were"),
        };
        let at = vanished.at.with_timezone(&settings.time_zone);
        format!(
            "{what} at {place} {were} gone on {}, and nobody here removed them\n\
             see who has the credentials, and what rules there are for how long files stay; what is still here is sent again",
            at.format("%-d %B %Y at %H:%M")
        )
    })
}

/// What to say of a place that nothing is known of, although there is something that should long be there.
fn never_begun(
    settings: &Settings,
    place: &OffsitePlace,
    listed: &[ArchiveSummary],
    now: DateTime<Utc>,
) -> Option<String> {
    let good = listed.iter().filter(|one| one.is_good());
    let oldest = good.filter_map(ArchiveSummary::made_by_manifest).min()?;
    let age = (now - oldest).to_std().unwrap_or_default();
    (age > settings.offsite.max_lag).then(|| {
        format!(
            "no copy has ever been sent to {place}, and there are archives that are {} old\n\
             `pantry-keeper run` and `pantry-keeper backup` send them; `{}` tells whether they can",
            in_days(age),
            settings.runtime.run("doctor")
        )
    })
}

/// Since when the newest archives wait for their copies; none when the newest is there.
pub(crate) fn waiting_since(
    settings: &Settings,
    known: &PlaceRecord,
    listed: &[ArchiveSummary],
    now: DateTime<Utc>,
) -> Option<DateTime<Utc>> {
    // Those under an earlier BACKUP_PREFIX do not make up for what is missing of this one.
    let copies = known.copies.iter();
    let copies = copies.filter(|(name, _)| is_ours(&settings.prefix, name));
    let copies = copies.map(|(_, copy)| copy);
    waiting_for(copies, needed(settings), listed, now, known.since)
}

/// The same, by the copies there and since when they go there.
fn waiting_for<'c>(
    copies: impl Iterator<Item = &'c CopyRecord>,
    needed: Proof,
    listed: &[ArchiveSummary],
    now: DateTime<Utc>,
    since: Option<DateTime<Utc>>,
) -> Option<DateTime<Utc>> {
    // Archives that were made while the clock was ahead tell nothing: all others would seem older, and to be there.
    let is_past = |made_at: &DateTime<Utc>| *made_at <= now + CLOCK_DRIFT;
    let there = copies.filter(|copy| copy.counts(needed));
    let newest_there = there.filter_map(|copy| copy.made_at).filter(is_past).max();
    let here = listed.iter().filter(|one| one.is_good());
    let waiting = here
        .filter_map(ArchiveSummary::made_by_manifest)
        .filter(is_past)
        .filter(|made_at| newest_there.is_none_or(|there| *made_at > there))
        .min()?;
    // Archives from before there was such a place have not waited since then.
    let since = since.map(|since| since.min(now));
    Some(since.map_or(waiting, |since| waiting.max(since)))
}

fn in_days(time: Duration) -> String {
    match time.as_secs() / 86_400 {
        0 => humanize::duration(time),
        days => humanize::counted(days, "day"),
    }
}

/// Whether a file elsewhere is one of ours: an archive, or its checksum.
fn is_ours(prefix: &str, name: &str) -> bool {
    let stem = file_name::stem_of_either(name);
    stem.is_some_and(|stem| file_name::time_of(prefix, stem).is_some())
}

/// Does something while its progress is shown, and ends it when nothing moves.
async fn moving<T>(
    settings: &Settings,
    transfer: &Transfer,
    meter: &Arc<Meter>,
    work: impl Future<Output = Result<T, StoreError>>,
) -> Result<T, StoreError> {
    let work = transfer.unless_stalled(settings.stall_timeout, work);
    tokio::pin!(work);
    let mut look = tokio::time::interval(Duration::from_millis(200));
    loop {
        tokio::select! {
            biased;
            result = &mut work => return result,
            _ = look.tick() => {
                meter.set(transfer.moved());
                meter.show();
            }
        }
    }
}
