//! One run, from the lock to the notification. It reads top to bottom:
//!
//! ```text
//! lock → what was there before → make the archive → has it shrunk? → retention → history → notifications
//! ```
//!
//! Retention is reached after a verified success only. Nothing that goes wrong behind the archive undoes it.

pub(crate) mod archive_job;
mod commit;
mod error;
pub(crate) mod handed;
mod proof;
mod sealing;
mod selection;

pub(crate) use crate::notify::notifier::{Failure, Notifier};
pub(crate) use crate::notify::outbox::Queued;

use crate::archive::file_name;
use crate::archive::manifest::Manifest;
use crate::context::Context;
use crate::mongo::uri::MongoUri;
use crate::notify::notification::Interest;
use crate::offsite;
use crate::prune;
use crate::report::{ArchiveSummary, BackupReport, PruneReport, last_good};
use crate::retention::forecast;
use crate::retention::hold::RetentionHold;
use crate::retention::shrink;
use crate::settings::Settings;
use crate::state::alerts::{AlertHistory, Concern};
use crate::state::{Ended, Run, Shrunk, State, StateStore, StepTime, warn_unsaved};
use crate::store::locked::LockedRepository;
use crate::store::repository::{Repository, RepositoryError};
use crate::sys::humanize;
use archive_job::{Failed, JobError, SpaceEstimate, Stage};
use chrono::{DateTime, TimeDelta, Utc};
use std::sync::Arc;
use std::time::Duration;

/// A disk that will be full sooner than this is mentioned in notifications.
const FULL_SOON: TimeDelta = TimeDelta::days(30);
/// How long the removal of one archive may go on once we are told to stop.
const LAST_REMOVAL: Duration = Duration::from_secs(2);

/// How a run ended.
pub(crate) struct Outcome {
    pub result: Result<BackupReport, Failed>,
    /// What retention did; none when it was not reached.
    pub pruned: Option<PruneReport>,
    /// Notifications that were due.
    pub queued: Queued,
}

/// Makes a backup and sees to everything that follows from it.
pub(crate) async fn run(
    settings: &Settings,
    uri: &MongoUri,
    ctx: &Context,
    status: &mut StateStore,
    trigger: &str,
    next_run: Option<DateTime<Utc>>,
) -> Outcome {
    let began_at = (ctx.now)();
    let notifier = Notifier::new(settings, uri, ctx, next_run);
    let repository = Repository::of(settings);
    let made = match repository.lock(settings.require_mount) {
        Ok(locked) => {
            let beginning = notifier.begin(Interest::EveryBackup);
            let made = make(settings, uri, ctx, &Arc::new(locked), status).await;
            beginning.finish(ctx).await;
            made
        }
        Err(error) => Err(Failed {
            stage: Stage::Folder,
            error: error.into(),
        }),
    };
    let (result, pruned, queued, ended) = match made {
        Ok((report, pruned, concerns)) => {
            tracing::info!("{}", summary(&report, &pruned, repository.free_bytes()));
            let queued = notifier.success(status, &report, &pruned, concerns);
            let ended = done(&report, &pruned);
            (Ok(report), Some(pruned), queued, Some(ended))
        }
        Err(failed) if failed.is_busy() => (Err(failed), None, Queued::default(), None),
        Err(failed) if failed.was_cancelled() => (
            Err(failed),
            None,
            Queued::default(),
            Some(Ended::Interrupted),
        ),
        Err(failed) => {
            let (queued, ended) = tell(ctx, &notifier, status, &failed);
            (Err(failed), None, queued, Some(ended))
        }
    };
    if let Some(ended) = ended {
        let ended_at = (ctx.now)();
        warn_unsaved(status.record(Run {
            began_at,
            ended_at,
            trigger: trigger.into(),
            ended,
        }));
    }
    Outcome {
        result,
        pruned,
        queued,
    }
}

/// Says why a run failed, in the log and to the owner.
fn tell(
    ctx: &Context,
    notifier: &Notifier,
    status: &mut StateStore,
    failed: &Failed,
) -> (Queued, Ended) {
    let problem = ctx.problem(&failed.error);
    let text = problem.to_string();
    tracing::error!("the backup failed while {}: {text}", failed.stage.label());
    let failure = Failure {
        stage: failed.stage.label(),
        problem,
        help: failed.stage.help(ctx.runtime()),
    };
    let queued = notifier.failure(status, &failure);
    let stage = failed.stage.label().into();
    (queued, Ended::Failed { stage, error: text })
}

/// What lay in the folder before a run.
struct Before {
    /// The archive to hold the new one against, and what it holds.
    last: Option<(String, Manifest)>,
    need: Option<SpaceEstimate>,
}

impl Before {
    /// `compared` is the last archive that was held against one before it. A newer one may be there whose run was cut off
    /// in that moment; it may have lost what that one still has.
    fn of(
        repository: &Repository,
        compared: Option<&str>,
        sealed: bool,
    ) -> Result<Self, RepositoryError> {
        let listed = match repository.list() {
            // The first one makes it.
            Err(RepositoryError::NoFolder(_)) => Vec::new(),
            listed => listed?,
        };
        let good = |one: &&ArchiveSummary| one.is_good() && Some(one.archive.as_str()) == compared;
        let last = listed
            .iter()
            .find(good)
            .or_else(|| last_good(&listed))
            .and_then(|last| {
                let stem = file_name::stem_of(&last.archive)?;
                Some((last.archive.clone(), repository.manifest(stem)?))
            });
        let bytes = forecast::next_archive_bytes(&prune::archives(&listed));
        let documents = last.as_ref().map(|(_, manifest)| manifest.documents);
        let need = bytes
            .zip(documents)
            .map(|(bytes, documents)| SpaceEstimate {
                // While an archive is sealed, it is there twice.
                bytes: if sealed { 2 * bytes } else { bytes },
                documents,
            });
        Ok(Before { last, need })
    }
}

type Made = (BackupReport, PruneReport, Vec<(Concern, String)>);

async fn make(
    settings: &Settings,
    uri: &MongoUri,
    ctx: &Context,
    repository: &Arc<LockedRepository>,
    status: &mut StateStore,
) -> Result<Made, Failed> {
    let in_folder = |error: JobError| Failed {
        stage: Stage::Folder,
        error,
    };
    let (looked_at, compared) = (Arc::clone(repository), status.state().compared);
    let sealed = settings.encrypt.local;
    let before = ctx
        .cancel
        .blocking(move |_| Before::of(&looked_at, compared.as_deref(), sealed))
        .await
        .map_err(|reason| in_folder(reason.into()))?;
    let before = before.map_err(|error| in_folder(error.into()))?;
    let report = archive_job::backup(settings, uri, ctx, repository, before.need).await?;

    // From here on there is an archive; nothing may turn the run into a failure any more.
    let now = (ctx.now)();
    let compared = compare(settings, repository, &before, &report, status, now);
    let (pruned, clock, full_at) =
        retain(settings, repository, compared, status.state(), ctx).await;
    let mut concerns = Vec::new();
    concerns.extend(
        prune::shrunk(&status.state()).map(|problem| (Concern::Shrunk, problem.to_string())),
    );
    concerns.extend(clock.map(|text| {
        (
            Concern::Clock,
            format!("old archives are not removed: {text}"),
        )
    }));
    let full_soon = full_at.filter(|at| *at - now <= FULL_SOON);
    concerns.extend(full_soon.map(|at| (Concern::Filling, filling(at, now, settings))));
    concerns.extend(pruned.not_removed.iter().map(|failure| {
        (
            Concern::NotRemoved,
            format!(
                "{} could not be removed: {}",
                failure.archive, failure.problem
            ),
        )
    }));
    concerns.extend(offsite(settings, repository, now));
    for (_, text) in &concerns {
        tracing::warn!("{text}");
    }
    concerns.extend(
        report
            .warnings
            .iter()
            .map(|text| (Concern::Warned, text.clone())),
    );
    Ok((report, pruned, concerns))
}

/// What is wrong with the copies elsewhere. The archive just made has not had the time to get there.
fn offsite(
    settings: &Settings,
    repository: &Repository,
    now: DateTime<Utc>,
) -> Vec<(Concern, String)> {
    if settings.offsite.places.is_empty() {
        return Vec::new();
    }
    let (record, listed) = (
        offsite::record::read(repository, &settings.offsite.places),
        repository.list().unwrap_or_default(),
    );
    let problems = offsite::problems(settings, &record, &listed, now);
    let problems = problems.into_iter();
    problems.map(|text| (Concern::Offsite, text)).collect()
}

/// Removes what retention lets go; beside that what the clock keeps from going, and when the disk will be full.
async fn retain(
    settings: &Settings,
    repository: &Arc<LockedRepository>,
    compared: bool,
    state: State,
    ctx: &Context,
) -> (PruneReport, Option<String>, Option<DateTime<Utc>>) {
    let now = (ctx.now)();
    let (settings, in_folder) = (settings.clone(), Arc::clone(repository));
    // Failing is what ends with this run.
    let state = State {
        alerts: AlertHistory::default(),
        ..state
    };
    let pruning = ctx.cancel.blocking_to_its_end(LAST_REMOVAL, move |stop| {
        let Ok(mut listed) = in_folder.list() else {
            return (PruneReport::empty(in_folder.folder()), None, None);
        };
        let mut plan = prune::plan(&settings, &listed, &state, now);
        if !compared && plan.halt.is_none() {
            plan = plan.halted(RetentionHold::Other {
                reason: "the new archive could not be held against the one before it".into(),
                help: None,
            });
        }
        let halt = plan.halt.as_ref();
        let clock = halt.is_some_and(RetentionHold::is_about_the_clock);
        let clock = prune::halted(&plan).filter(|_| clock);
        let pruned = prune::apply(&in_folder, plan, stop);
        listed.retain(|one| {
            !pruned
                .removed
                .iter()
                .any(|removed| removed.archive == one.archive)
        });
        let full_at = full_at(&settings, &listed, in_folder.free_bytes(), now);
        (pruned, clock, full_at)
    });
    pruning
        .await
        .unwrap_or_else(|| (PruneReport::empty(repository.folder()), None, None))
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

fn done(report: &BackupReport, pruned: &PruneReport) -> Ended {
    Ended::Done {
        archive: report.archive.clone(),
        archive_bytes: report.archive_bytes,
        documents: report.documents,
        bytes: report.bytes,
        removed: pruned
            .removed
            .iter()
            .map(|removed| removed.archive.clone())
            .collect(),
        warnings: report.warnings.clone(),
        steps: vec![
            StepTime::new("dump", report.dump_seconds),
            StepTime::new("verify", report.verify_seconds),
        ],
    }
}

/// The line that ends a run.
fn summary(report: &BackupReport, pruned: &PruneReport, free_bytes: Option<u64>) -> String {
    let removed = match pruned.removed.len() {
        0 => String::new(),
        some => format!(", {} removed", humanize::counted(some as u64, "old one")),
    };
    let free = free_bytes
        .map(|free| format!(", {} free", humanize::bytes(free)))
        .unwrap_or_default();
    format!(
        "backup complete and verified: {} ({}, {}, in {}); {} kept{removed}{free}",
        report.path,
        humanize::counted(report.documents, "document"),
        humanize::bytes(report.archive_bytes),
        humanize::duration(Duration::from_secs_f64(report.elapsed_seconds)),
        humanize::counted(pruned.kept.len() as u64, "archive"),
    )
}
