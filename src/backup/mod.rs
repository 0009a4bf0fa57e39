//! One run, from the lock to the notification. It reads top to bottom:
//!
//! ```text
//! lock → what was there before → make the archive → has it shrunk? → retention → history → notifications
//! ```
//!
//! Retention is reached after a verified success only. Nothing that goes wrong behind the archive undoes it.

mod aftermath;
pub(crate) mod archive_job;
mod commit;
mod error;
pub(crate) mod handed;
mod proof;
mod sealing;
mod selection;

pub(crate) use crate::notify::notifier::{Failure, Notifier};
pub(crate) use crate::notify::outbox::Queued;
pub(crate) use aftermath::full_at;

use crate::archive::file_name;
use crate::archive::manifest::Manifest;
use crate::context::Context;
use crate::mongo::uri::MongoUri;
use crate::notify::notification::Interest;
use crate::notify::remark::Remark;
use crate::prune;
use crate::report::{ArchiveSummary, BackupReport, PruneReport, last_good};
use crate::retention::forecast;
use crate::settings::Settings;
use crate::state::{Ended, Run, StateStore, StepTime, warn_unsaved};
use crate::store::locked::LockedRepository;
use crate::store::repository::{Repository, RepositoryError};
use crate::sys::humanize;
use aftermath::{make_room, settle};
use archive_job::{Failed, JobError, SpaceEstimate, Stage};
use chrono::{DateTime, Utc};
use std::sync::Arc;
use std::time::Duration;

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
        help: failed.stage.help(ctx.runtime),
        no_room: matches!(failed.error, JobError::NoRoom { .. }),
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

type Made = (BackupReport, PruneReport, Vec<Remark>);

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
    let mut made = archive_job::backup(settings, uri, ctx, repository, before.need).await;
    let mut made_room = PruneReport::empty(repository.folder());
    if made
        .as_ref()
        .is_err_and(|failed| matches!(failed.error, JobError::NoRoom { .. }))
    {
        made_room = make_room(settings, ctx, repository, status.state()).await;
        if !made_room.removed.is_empty() {
            made = archive_job::backup(settings, uri, ctx, repository, before.need).await;
        }
    }
    let report = made?;

    // From here on there is an archive; nothing may turn the run into a failure any more.
    let (mut pruned, concerns) = settle(settings, ctx, repository, status, &before, &report).await;
    pruned.freed_bytes += made_room.freed_bytes;
    pruned.removed.splice(0..0, made_room.removed);
    Ok((report, pruned, concerns))
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
