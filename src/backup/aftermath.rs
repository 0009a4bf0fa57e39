//! What follows from a new archive: it is held against the last one, old ones go, and what is wrong is found.

use super::{Before, archive_job};
use crate::archive::file_name;
use crate::context::Context;
use crate::notify::remark::Remark;
use crate::offsite;
use crate::prune;
use crate::report::{ArchiveSummary, BackupReport, PruneReport};
use crate::retention::forecast;
use crate::retention::hold::RetentionHold;
use crate::retention::policy::Plan;
use crate::retention::shrink;
use crate::settings::Settings;
use crate::state::alerts::{AlertHistory, Concern, Topic};
use crate::state::{Shrunk, State, StateStore, warn_unsaved};
use crate::store::locked::LockedRepository;
use crate::store::repository::Repository;
use crate::sys::humanize;
use crate::sys::runtime::Runtime;
use chrono::{DateTime, TimeDelta, Utc};
use std::sync::Arc;
use std::time::Duration;

/// A disk that will be full sooner than this is mentioned in notifications.
const FULL_SOON: TimeDelta = TimeDelta::days(30);
/// How long the removal of one archive may go on once we are told to stop.
const LAST_REMOVAL: Duration = Duration::from_secs(2);

/// What retention did, and what is not as it should be.
pub(super) async fn settle(
    settings: &Settings,
    ctx: &Context,
    repository: &Arc<LockedRepository>,
    status: &mut StateStore,
    before: &Before,
    report: &BackupReport,
) -> (PruneReport, Vec<Remark>) {
    let now = (ctx.now)();
    let compared = compare(settings, repository, before, report, status, now);
    let (pruned, halt, full_at) = retain(settings, repository, compared, status.state(), ctx).await;
    let mut remarks = Vec::new();
    remarks.extend(losses(settings.runtime, &status.state()));
    remarks.extend(halt);
    let full_soon = full_at.filter(|at| *at - now <= FULL_SOON);
    remarks
        .extend(full_soon.map(|at| Remark::new(Concern::Filling, "", filling(at, now, settings))));
    remarks.extend(pruned.not_removed.iter().map(|failure| {
        let text = format!(
            "{} could not be removed: {}",
            failure.archive, failure.problem
        );
        Remark::new(Concern::NotRemoved, "", text)
    }));
    remarks.extend(offsite(settings, repository, now));
    for remark in &remarks {
        tracing::warn!("{}", remark.text);
    }
    let warnings = report.warnings.iter();
    remarks.extend(warnings.map(|text| Remark::of_text(Concern::Warned, text)));
    (pruned, remarks)
}

/// What is lost that an earlier backup had. Each namespace that joins the others is news.
fn losses(runtime: Runtime, state: &State) -> Option<Remark> {
    let text = prune::shrunk(runtime, state)?.to_string();
    let losses = state.shrunk.iter().flat_map(|shrunk| &shrunk.losses);
    let topics = losses.map(|loss| Topic::new(Concern::Shrunk, loss.namespace.to_string()));
    Some(Remark {
        topics: topics.collect(),
        text,
    })
}

/// What is wrong with the copies elsewhere. The archive just made has not had the time to get there.
fn offsite(settings: &Settings, repository: &Repository, now: DateTime<Utc>) -> Vec<Remark> {
    if settings.offsite.places.is_empty() {
        return Vec::new();
    }
    let (record, listed) = (
        offsite::record::read(repository, &settings.offsite.places),
        repository.list().unwrap_or_default(),
    );
    let problems = offsite::distinct_problems(settings, &record, &listed, now);
    let problems = problems.into_iter();
    problems
        .map(|problem| Remark::new(Concern::Offsite, &problem.about, problem.text))
        .collect()
}

/// Failing is no hold on what retention does in a run that succeeds, or that it is to make succeed.
fn without_failing(state: State) -> State {
    State {
        alerts: AlertHistory::default(),
        ..state
    }
}

/// Removes what retention lets go; beside that what keeps it from removing anything, and when the disk will be full.
async fn retain(
    settings: &Settings,
    repository: &Arc<LockedRepository>,
    compared: bool,
    state: State,
    ctx: &Context,
) -> (PruneReport, Option<Remark>, Option<DateTime<Utc>>) {
    let now = (ctx.now)();
    let (settings, in_folder) = (settings.clone(), Arc::clone(repository));
    let state = without_failing(state);
    let pruning = ctx.cancel.blocking_to_its_end(LAST_REMOVAL, move |stop| {
        let Ok(mut listed) = in_folder.list() else {
            return (PruneReport::empty(in_folder.folder()), None, None);
        };
        let mut plan = prune::plan(&settings, &listed, &state, now);
        if !compared && plan.halt.is_none() {
            plan = plan.halted(RetentionHold::Other {
                reason: "the new archive could not be held against the one before it".into(),
                help: Some("the log says why; the next backup tries again".into()),
            });
        }
        let halt = halt(&plan, &state);
        let pruned = prune::apply(&in_folder, plan, stop);
        listed.retain(|one| {
            !pruned
                .removed
                .iter()
                .any(|removed| removed.archive == one.archive)
        });
        let full_at = full_at(&settings, &listed, in_folder.free_bytes(), now);
        (pruned, halt, full_at)
    });
    pruning
        .await
        .unwrap_or_else(|| (PruneReport::empty(repository.folder()), None, None))
}

/// Where there is no room for a new archive, what retention lets go has to go before it: otherwise a full disk would stay
/// full, since retention follows a success. All else that holds it does so here, and the newest archives stay as ever.
pub(super) async fn make_room(
    settings: &Settings,
    ctx: &Context,
    repository: &Arc<LockedRepository>,
    state: State,
) -> PruneReport {
    let now = (ctx.now)();
    let (settings, in_folder) = (settings.clone(), Arc::clone(repository));
    let state = without_failing(state);
    let pruning = ctx.cancel.blocking_to_its_end(LAST_REMOVAL, move |stop| {
        let listed = in_folder.list().unwrap_or_default();
        // One that was not held against those before it may have lost what they still have.
        let newest = listed.iter().max_by_key(|one| one.made_by_manifest());
        if newest.map(|one| &one.archive) != state.compared.as_ref() {
            return PruneReport::empty(in_folder.folder());
        }
        let plan = prune::plan(&settings, &listed, &state, now);
        prune::apply(&in_folder, plan, stop)
    });
    let pruned = pruning.await;
    let pruned = pruned.unwrap_or_else(|| PruneReport::empty(repository.folder()));
    for removed in &pruned.removed {
        tracing::info!("removed {} to make room", removed.archive);
    }
    pruned
}

/// What to say of a plan that lets nothing go; what was lost is said by itself.
fn halt(plan: &Plan, state: &State) -> Option<Remark> {
    let hold = plan.halt.as_ref()?;
    let (concern, about) = match hold.is_about_the_clock() {
        true => (Concern::Clock, ""),
        false if state.problem.is_some() => (Concern::Held, "state"),
        false if state.shrunk.is_some() => return None,
        false => (Concern::Held, "comparison"),
    };
    let text = prune::halted(plan)?;
    let text = format!("old archives are not removed: {text}");
    Some(Remark::new(concern, about, text))
}

/// When the folder's disk will be full with these archives on it and these to come, within a year.
pub(crate) fn full_at(
    settings: &Settings,
    listed: &[ArchiveSummary],
    free_bytes: Option<u64>,
    now: DateTime<Utc>,
) -> Option<DateTime<Utc>> {
    let (archives, year) = (prune::archives(listed), TimeDelta::days(365));
    let (policy, schedule) = (&settings.retention, &settings.schedule);
    forecast::full_at(
        &archives,
        policy,
        schedule,
        settings.time_zone,
        free_bytes?,
        now,
        year,
    )
}

fn filling(at: DateTime<Utc>, now: DateTime<Utc>, settings: &Settings) -> String {
    let day = at.with_timezone(&settings.time_zone).format("%-d %B %Y");
    format!(
        "the disk of {} will be full in {}, on {day}, at this pace\n\
         make room, keep fewer archives (RETENTION_DAYS), or move BACKUP_DIR to a larger disk",
        settings.backup_dir.display(),
        humanize::counted((at - now).num_days().max(0) as u64, "day"),
    )
}

/// Holds the new archive against the last verified one, and remembers what is lost until it is back. Whether that could be
/// done, and noted.
fn compare(
    settings: &Settings,
    repository: &Repository,
    before: &Before,
    report: &BackupReport,
    status: &mut StateStore,
    now: DateTime<Utc>,
) -> bool {
    let stem = file_name::stem_of(&report.archive).unwrap_or(&report.archive);
    let Some(manifest) = repository.manifest(stem) else {
        return false;
    };
    let on_purpose = |namespace: &_| archive_job::leaves_out(settings, namespace);
    let (was_shrunk, saved) = status.change(|state| {
        let earlier = state.shrunk.take();
        let was_shrunk = earlier.is_some();
        let (since, archive, losses) = match earlier {
            Some(shrunk) => (shrunk.since, Some(shrunk.archive), shrunk.losses),
            None => (now, None, Vec::new()),
        };
        let still = shrink::still_lost(&losses, &manifest.namespaces, &on_purpose);
        let fresh = before
            .last
            .as_ref()
            .map(|(_, last)| shrink::losses(&last.namespaces, &manifest.namespaces, &on_purpose));
        let losses = shrink::merged(still, fresh.unwrap_or_default());
        let archive = archive.or_else(|| before.last.as_ref().map(|(archive, _)| archive.clone()));
        state.shrunk = archive
            .filter(|_| !losses.is_empty())
            .map(|archive| Shrunk {
                since,
                archive,
                losses,
            });
        state.compared = Some(report.archive.clone());
        was_shrunk && state.shrunk.is_none()
    });
    if was_shrunk {
        tracing::info!("what had been missing is back: old archives may go again");
    }
    let compared = saved.is_ok();
    warn_unsaved(saved);
    compared
}
