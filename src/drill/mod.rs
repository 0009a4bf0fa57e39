//! Proving that an archive can be restored, by restoring it. It reads top to bottom:
//!
//! ```text
//! lock → leftovers of a drill that was cut off → verify → is there room → restore documents into scratch databases
//!     → compare documents → build indexes → compare indexes and options → drop → history → notifications
//! ```
//!
//! Indexes come after the comparison of documents: what has expired must not vanish while it is compared, and a TTL index
//! gets the very time to live that the archive has, whatever a server takes at most. It is compared like any other option.
//!
//! Scratch databases have names that nobody else uses; they are written down before they are made, and dropped whatever
//! happens. Nothing else on the server is touched.

mod attempt;
mod scratch;

use crate::archive::file_name;
use crate::archive::namespace::Kind;
use crate::backup::{Notifier, Queued};
use crate::context::Context;
use crate::mongo::target::Target;
use crate::mongo::tool::Tool;
use crate::mongo::uri::MongoUri;
use crate::notify::notification::Interest;
use crate::offsite::{self, Within};
use crate::report::DrillReport;
use crate::restore::{self, Contents, RestoreError, Selection};
use crate::settings::Settings;
use crate::state::{Ended, LastDrill, Run, State, StateStore, StepTime, warn_unsaved};
use crate::store::located::Located;
use crate::store::repository::{Repository, RepositoryError};
use crate::sys::lock::Lock;
use attempt::Attempt;
use scratch::Scratch;
use tokio::time::Instant;

/// How a drill ended.
pub(crate) struct Outcome {
    pub result: Result<DrillReport, RestoreError>,
    pub queued: Queued,
    /// There is no archive, and there never was one: nothing was tried, and nothing has failed.
    pub too_early: bool,
}

impl Outcome {
    /// Whether another drill is at work.
    pub(crate) fn is_busy(&self) -> bool {
        self.result.as_ref().is_err_and(RestoreError::is_busy)
    }

    /// Whether there is no such archive: nothing was tried, and nothing has failed.
    pub(crate) fn is_slip(&self) -> bool {
        use RepositoryError::{NoSuchArchive, NotAName};
        match &self.result {
            Err(RestoreError::Repository(error)) => {
                matches!(error, NotAName(_) | NoSuchArchive { .. })
            }
            Err(RestoreError::Locate(error)) => error.is_usage(),
            _ => false,
        }
    }

    /// Whether it was told to stop.
    pub(crate) fn was_cancelled(&self) -> bool {
        self.result.as_ref().is_err_and(RestoreError::was_cancelled)
    }
}

/// Which archive is drilled.
pub(crate) struct Wanted<'w> {
    pub name: &'w str,
    pub within: Within,
}

/// Drills one archive and sees to everything that follows from it.
pub(crate) async fn run(
    settings: &Settings,
    uri: &MongoUri,
    ctx: &Context,
    status: &mut StateStore,
    wanted: &Wanted<'_>,
    trigger: &str,
) -> Outcome {
    let began_at = (ctx.now)();
    let repository = Repository::of(settings);
    let notifier = Notifier::new(settings, uri, ctx, None);
    let result = drill(settings, uri, ctx, &repository, status, wanted, &notifier).await;
    let mut outcome = Outcome {
        too_early: result.as_ref().is_err_and(RestoreError::found_no_archives)
            && never_had_one(settings, &repository, &status.state()),
        result,
        queued: Queued::default(),
    };
    if outcome.is_busy() || outcome.is_slip() || outcome.too_early {
        return outcome;
    }
    log_result(&outcome, ctx);
    let ended = match outcome.was_cancelled() {
        true => Ended::Interrupted,
        false => {
            let last = last_drill(&outcome.result, ctx, wanted.name);
            let report = outcome.result.as_ref().ok();
            record_in_archive(&repository, &last, report);
            outcome.queued = notifier.drilled(status, &last, report);
            ended(last, report)
        }
    };
    let run = Run {
        began_at,
        ended_at: (ctx.now)(),
        trigger: trigger.into(),
        ended,
    };
    warn_unsaved(status.record(run));
    outcome
}

/// Whether no archive was ever made in this folder. One that lost its archives, or another disk in its place, is no new one.
fn never_had_one(settings: &Settings, repository: &Repository, state: &State) -> bool {
    let is_the_disk = repository.bears_traces(settings.require_mount).is_ok();
    let proven = |drill: &LastDrill| drill.problem.is_none();
    is_the_disk
        && state.problem.is_none()
        && state.compared.is_none()
        && !state.drill.as_ref().is_some_and(proven)
}

fn log_result(outcome: &Outcome, ctx: &Context) {
    match &outcome.result {
        Ok(report) if report.proven => tracing::info!("{report}"),
        Ok(report) => tracing::error!("{report}"),
        Err(_) if outcome.was_cancelled() => tracing::info!("the drill was stopped as asked"),
        Err(error) => tracing::error!("the drill failed: {}", ctx.explain(error)),
    }
}

fn last_drill(result: &Result<DrillReport, RestoreError>, ctx: &Context, name: &str) -> LastDrill {
    let at = (ctx.now)();
    match result {
        Ok(report) => LastDrill {
            at,
            archive: report.archive.clone(),
            problem: report.problems.first().cloned(),
            inconclusive: false,
        },
        Err(error) => LastDrill {
            at,
            archive: name.to_owned(),
            problem: Some(ctx.explain(error)),
            inconclusive: !error.is_about_the_archive(),
        },
    }
}

/// `list` shows it.
fn record_in_archive(repository: &Repository, last: &LastDrill, report: Option<&DrillReport>) {
    // What was proven is that archive, and not the copy of it that lies elsewhere.
    if report.is_some_and(|report| report.proven && report.place.is_none())
        && let Some(stem) = file_name::stem_of(&last.archive)
        && let Err(error) = repository.record_drill(stem, last.at)
    {
        tracing::debug!("the drill's result is not kept: {error}");
    }
}

fn ended(last: LastDrill, report: Option<&DrillReport>) -> Ended {
    match report.filter(|report| report.proven) {
        Some(report) => Ended::Drilled {
            archive: last.archive,
            documents: report.documents,
            bytes: report.bytes,
            steps: vec![
                StepTime::new("restore", report.restore_seconds),
                StepTime::new("compare", report.compare_seconds),
            ],
        },
        None => Ended::DrillFailed {
            archive: last.archive,
            error: last.problem.unwrap_or_default(),
        },
    }
}

async fn drill(
    settings: &Settings,
    uri: &MongoUri,
    ctx: &Context,
    repository: &Repository,
    status: &mut StateStore,
    wanted: &Wanted<'_>,
    notifier: &Notifier<'_>,
) -> Result<DrillReport, RestoreError> {
    let located = offsite::locate(settings, ctx, wanted.name, wanted.within).await?;
    let _lock: Lock = repository.lock_drill()?;
    let beginning = notifier.begin(Interest::EveryDrill);
    let drilled = prove(settings, uri, ctx, status, &located).await;
    beginning.finish(ctx).await;
    drilled
}

async fn prove(
    settings: &Settings,
    uri: &MongoUri,
    ctx: &Context,
    status: &mut StateStore,
    located: &Located,
) -> Result<DrillReport, RestoreError> {
    let begun = Instant::now();
    let cancel = ctx.cancel.by(begun + settings.timeout);
    let tool = cancel.or(Tool::find("mongorestore", ctx.path())).await??;
    let target = cancel
        .or(Target::connect(uri, settings.stall_timeout))
        .await??;
    scratch::sweep(status, &target).await;
    let all = Selection::default();
    let contents = match restore::open(settings, ctx, &cancel, located, &all).await {
        Err(RestoreError::NothingChosen { name, .. }) => {
            let report = nothing_to_prove(name, located, &target, begun);
            target.close().await;
            return Ok(report);
        }
        opened => opened?,
    };
    cancel.or(check_room(&contents, &target)).await??;
    let (scratch, steps) = Scratch::plan(&contents, &target, (ctx.now)())?;
    scratch.write_down(status, &target);
    tracing::info!(
        "drilling {}: restoring into {} on {}",
        contents.name,
        scratch.label(),
        target.hosts()
    );
    let attempt = Attempt {
        settings,
        uri,
        ctx,
        cancel: &cancel,
        contents: &contents,
        tool,
        target: &target,
        steps: steps.into(),
    };
    let tried = attempt.run(begun).await;
    let dropped = scratch
        .drop_all(&target, status, cancel.is_cancelled(), ctx)
        .await;
    target.close().await;
    let mut report = tried?;
    report.warnings.extend(dropped.err());
    report.elapsed_seconds = begun.elapsed().as_secs_f64();
    Ok(report)
}

/// A drill must never be what fills a server's disk.
async fn check_room(contents: &Contents, target: &Target) -> Result<(), RestoreError> {
    let restored = contents.all().filter(|(_, one)| one.kind != Kind::Oplog);
    let documents = restored.clone().map(|(_, one)| one.totals.bytes).sum();
    let databases = restored.map(|(_, one)| one.namespace.database.as_str());
    match target.short_of_room(documents, databases).await {
        Some(free) => Err(RestoreError::NoRoom {
            hosts: target.hosts().to_owned(),
            free,
            documents,
        }),
        None => Ok(()),
    }
}

/// Of an archive without collections, such as the first one of a new server: whatever it lacks, it lacks nothing that it had.
fn nothing_to_prove(
    archive: String,
    located: &Located,
    target: &Target,
    begun: Instant,
) -> DrillReport {
    DrillReport {
        archive,
        place: located.place().map(str::to_owned),
        hosts: target.hosts().to_owned(),
        proven: true,
        documents: 0,
        bytes: 0,
        namespaces: 0,
        indexes: 0,
        problems: Vec::new(),
        warnings: vec!["the archive holds no collections: there was nothing to restore".into()],
        server_version: Some(target.facts.server.version.clone()),
        restore_seconds: 0.0,
        compare_seconds: 0.0,
        elapsed_seconds: begun.elapsed().as_secs_f64(),
    }
}
