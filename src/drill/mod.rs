//! Proving that an archive can be restored, by restoring it. It reads top to bottom:
//!
//! ```text
//! lock → leftovers of a drill that was cut off → verify → restore into scratch databases
//!     → compare documents, indexes, options → drop → history → letters
//! ```
//!
//! Scratch databases have names that nobody else uses; they are written down before they are made, and dropped whatever
//! happens. Nothing else on the server is touched.

mod scratch;

use crate::archive::namespace::{Kind, Namespace};
use crate::backup::{Notifier, QueuedMail};
use crate::context::Context;
use crate::mongo::client::Target;
use crate::mongo::tool::Tool;
use crate::mongo::uri::MongoUri;
use crate::report::DrillReport;
use crate::restore::{
    self, CompareError, Contents, Load, RestoreError, Selection, Step, definition_differences,
};
use crate::settings::Settings;
use crate::state::{Ended, LastDrill, Run, StateStore};
use crate::store::repository::{Repository, RepositoryError, RepositoryLockError};
use crate::sys::cancel::Cancel;
use crate::sys::lock::{Lock, LockError};
use crate::sys::progress::{Meter, Unit};
use scratch::Scratch;
use std::sync::Arc;
use tokio::time::Instant;

/// Problems that are told in full; the rest are counted.
const PROBLEMS: usize = 20;

/// How a drill ended.
pub struct Outcome {
    pub result: Result<DrillReport, RestoreError>,
    pub queued: QueuedMail,
}

impl Outcome {
    /// Whether another drill is at work.
    pub fn is_busy(&self) -> bool {
        matches!(
            &self.result,
            Err(RestoreError::Lock(RepositoryLockError::Lock(
                LockError::Held(_)
            )))
        )
    }

    /// Whether there is no such archive: nothing was tried, and nothing has failed.
    pub fn is_slip(&self) -> bool {
        use RepositoryError::{NoSuchArchive, NotAName};
        matches!(
            &self.result,
            Err(RestoreError::Repository(NotAName(_) | NoSuchArchive { .. }))
        )
    }

    /// Whether it was told to stop.
    pub fn was_asked(&self) -> bool {
        matches!(
            &self.result,
            Err(RestoreError::Stopped
                | RestoreError::Interrupted(crate::sys::cancel::Interruption::Asked))
        )
    }
}

/// Drills one archive and sees to everything that follows from it.
pub async fn run(
    settings: &Settings,
    uri: &MongoUri,
    ctx: &Context,
    status: &mut StateStore,
    name: &str,
    trigger: &str,
) -> Outcome {
    let began_at = (ctx.now)();
    let repository = Repository::of(settings);
    let mut outcome = Outcome {
        result: drill(settings, uri, ctx, &repository, status, name).await,
        queued: QueuedMail::default(),
    };
    if outcome.is_busy() || outcome.is_slip() {
        return outcome;
    }
    match &outcome.result {
        Ok(report) => {
            let text = report.to_string();
            if report.proven {
                tracing::info!("{text}");
            } else {
                tracing::error!("{text}");
            }
        }
        Err(_) if outcome.was_asked() => tracing::info!("the drill was stopped as asked"),
        Err(error) => {
            tracing::error!(
                "the drill failed: {}",
                ctx.redactor.redact(&error.to_string())
            );
        }
    }
    let ended = if outcome.was_asked() {
        Ended::Interrupted
    } else {
        let at = (ctx.now)();
        let (archive, problem) = match &outcome.result {
            Ok(report) => (report.archive.clone(), report.problems.first().cloned()),
            Err(error) => (
                name.to_owned(),
                Some(ctx.redactor.redact(&error.to_string()).into_owned()),
            ),
        };
        let proven = outcome.result.as_ref().ok().filter(|report| report.proven);
        if proven.is_some()
            && let Some(stem) = archive.strip_suffix(crate::archive::file_name::EXTENSION)
            && let Err(error) = repository.record_drill(stem, at)
        {
            tracing::debug!("the drill's result is not kept: {error}");
        }
        let last = LastDrill {
            at,
            archive: archive.clone(),
            problem: problem.clone(),
        };
        let notifier = Notifier::new(settings, uri, ctx, None);
        outcome.queued = notifier.drilled(status, &last, outcome.result.as_ref().ok());
        match (proven, problem) {
            (Some(report), _) => Ended::Drilled {
                archive,
                documents: report.documents,
                bytes: report.bytes,
            },
            (None, problem) => Ended::DrillFailed {
                archive,
                error: problem.unwrap_or_default(),
            },
        }
    };
    let run = Run {
        began_at,
        ended_at: (ctx.now)(),
        trigger: trigger.into(),
        ended,
    };
    if let Err(error) = status.record(run) {
        tracing::warn!("could not save state, will retry: {error}");
    }
    outcome
}

async fn drill(
    settings: &Settings,
    uri: &MongoUri,
    ctx: &Context,
    repository: &Repository,
    status: &mut StateStore,
    name: &str,
) -> Result<DrillReport, RestoreError> {
    let begun = Instant::now();
    let stop = ctx.stop.by(begun + settings.timeout);
    let stem = repository.find(name)?;
    let _lock: Lock = repository.lock_drill()?;
    let tool = stop.or(Tool::find("mongorestore", ctx.path())).await??;
    let target = stop
        .or(Target::connect(uri, settings.stall_timeout))
        .await??;
    scratch::sweep(status, &target).await;
    let wishes = Selection::default();
    let contents = restore::open(settings, ctx, &stem, &wishes).await?;
    let (scratch, steps) = Scratch::plan(&contents, &target, (ctx.now)())?;
    scratch.write_down(status, &target);
    tracing::info!(
        "drilling {}: restoring into {} on {}",
        contents.name,
        scratch.words(),
        target.hosts()
    );
    let attempt = Attempt {
        settings,
        uri,
        ctx,
        stop: &stop,
        contents: &contents,
        tool,
        target: &target,
        steps,
    };
    let tried = attempt.run(begun).await;
    let dropped = scratch.drop_all(&target, status, stop.is_asked()).await;
    target.close().await;
    let mut report = tried?;
    report.warnings.extend(dropped.err());
    report.elapsed_seconds = begun.elapsed().as_secs_f64();
    Ok(report)
}

struct Attempt<'d> {
    settings: &'d Settings,
    uri: &'d MongoUri,
    ctx: &'d Context,
    stop: &'d Cancel,
    contents: &'d Arc<Contents>,
    tool: Tool,
    target: &'d Target,
    steps: Vec<Step>,
}

impl Attempt<'_> {
    async fn run(&self, begun: Instant) -> Result<DrillReport, RestoreError> {
        let load = Load {
            contents: Arc::clone(self.contents),
            steps: self.steps.clone(),
            uri: self.uri.clone(),
            tool: self.tool.clone(),
            drop: false,
            lanes: restore::most_lanes(self.settings),
            // What is proven is the archive; operations during the dump would make it another one.
            operations: None,
        };
        let (words, loaded) = load.run(self.settings, self.ctx, self.stop).await;
        loaded?;
        let restore_seconds = begun.elapsed().as_secs_f64();
        let mut problems: Vec<String> = words
            .complaints
            .iter()
            .map(|line| format!("mongorestore: {line}"))
            .collect();
        let compare_begun = Instant::now();
        problems.extend(self.documents().await?);
        let (indexes, differences) = self.definitions().await?;
        problems.extend(differences);
        let compare_seconds = compare_begun.elapsed().as_secs_f64();
        if let Some(more @ 1..) = problems.len().checked_sub(PROBLEMS) {
            problems.truncate(PROBLEMS);
            problems.push(format!("and {more} more"));
        }
        let holdings = self
            .steps
            .iter()
            .map(|step| &self.contents.holdings[step.holding]);
        Ok(DrillReport {
            archive: self.contents.name.clone(),
            hosts: self.target.hosts().to_owned(),
            proven: problems.is_empty(),
            documents: holdings.clone().map(|one| one.totals.documents).sum(),
            bytes: holdings.map(|one| one.totals.bytes).sum(),
            namespaces: self.steps.len() as u64,
            indexes,
            problems,
            warnings: self.contents.warnings.clone(),
            server_version: Some(self.target.facts.server.version.clone()),
            restore_seconds,
            compare_seconds,
            elapsed_seconds: 0.0,
        })
    }

    /// Every document, by `_id` and content.
    async fn documents(&self) -> Result<Vec<String>, RestoreError> {
        let holdings = &self.contents.holdings;
        let with_documents = self
            .steps
            .iter()
            .filter(|step| holdings[step.holding].kind != Kind::View);
        // Time series keep theirs elsewhere, and what is options only has none.
        let pairs: Vec<(usize, Namespace)> = with_documents
            .map(|step| (step.holding, step.to.clone()))
            .collect();
        let bytes = pairs
            .iter()
            .map(|(holding, _)| holdings[*holding].totals.bytes)
            .sum();
        let meter = Meter::new("comparing", Unit::Bytes, Some(bytes), &self.ctx.screen);
        let differences =
            match restore::compare(self.contents, &pairs, self.target, &meter, self.stop).await {
                Ok(differences) => differences,
                Err(CompareError::Interrupted(reason)) => return Err(reason.into()),
                Err(CompareError::Server(error)) => return Err(error.into()),
                Err(CompareError::Archive(problem)) => {
                    return Err(RestoreError::Damaged {
                        name: self.contents.name.clone(),
                        damage: problem,
                    });
                }
            };
        let differ = self.steps.iter().filter_map(|step| {
            let found = differences.get(&step.holding)?;
            let holding = &holdings[step.holding];
            let named = found.to_string();
            let named = if named.is_empty() {
                String::new()
            } else {
                format!(": {named}")
            };
            Some(format!(
                "{}: {} came back of {}{named}",
                holding.namespace,
                crate::sys::humanize::count(found.on_server),
                crate::sys::humanize::counted(found.documents, "document")
            ))
        });
        Ok(differ.collect())
    }

    /// Options and indexes of every collection.
    async fn definitions(&self) -> Result<(u64, Vec<String>), RestoreError> {
        let (mut indexes, mut problems) = (0, Vec::new());
        for step in &self.steps {
            let namespace = &self.contents.holdings[step.holding].namespace;
            match self.stop.or(self.target.definition(&step.to)).await?? {
                None => problems.push(format!("{namespace}: it did not come back")),
                Some(definition) => {
                    let (compared, differences) =
                        definition_differences(&step.metadata, &definition);
                    indexes += compared;
                    problems.extend(
                        differences
                            .into_iter()
                            .map(|problem| format!("{namespace}: {problem}")),
                    );
                }
            }
        }
        Ok((indexes, problems))
    }
}
