//! Making one archive, from leftovers to the final name. It reads top to bottom:
//!
//! ```text
//! sweep → mongodump there? → [ ask the server → room? → dump into an archive → sync → read back ] → commit
//! ```
//!
//! What is in brackets is tried again when its failure may pass.

pub(crate) use super::error::{Failed, JobError, Stage};
pub(crate) use super::selection::leaves_out;

use super::commit::UncommittedArchive;
use super::proof::{Dumped, Proof};
use super::selection::{DumpSelection, unindexed_warning};
use crate::archive::manifest::Manifest;
use crate::archive::namespace::Namespace;
use crate::archive::verify::report::VerifyReport;
use crate::context::Context;
use crate::mongo::client::{self, Facts};
use crate::mongo::mongodump::{self, DumpError, Part};
use crate::mongo::supervise::ToolOptions;
use crate::mongo::tool::Tool;
use crate::mongo::uri::MongoUri;
use crate::report::{BackupReport, Explain};
use crate::settings::{OplogMode, Settings};
use crate::store::locked::LockedRepository;
use crate::store::repository::Repository;
use crate::store::summary::VerificationRecord;
use crate::sys::atomic_file::Partial;
use crate::sys::cancel::Cancel;
use crate::sys::humanize;
use crate::sys::progress::{Meter, Unit};
use chrono::{DateTime, Utc};
use std::cell::Cell;
use std::sync::Arc;
use std::time::Duration;
use tokio::task::JoinSet;
use tokio::time::Instant;

/// The first wait before another attempt; each further one is three times as long.
const FIRST_WAIT: Duration = Duration::from_secs(2);

/// Blocks that may wait to be compressed. mongodump hands over 16 MiB at a time and asks the server for more only when it is
/// rid of them. Taking in much of that at once keeps the server busy while we compress.
const WAITING: usize = 7;

/// What the archive will probably need of the disk: bytes, and the documents they are reckoned for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct SpaceEstimate {
    pub bytes: u64,
    pub documents: u64,
}

/// Makes one verified archive in a folder that is locked.
pub(crate) async fn backup(
    settings: &Settings,
    uri: &MongoUri,
    ctx: &Context,
    repository: &LockedRepository,
    need: Option<SpaceEstimate>,
) -> Result<BackupReport, Failed> {
    let stage = Cell::new(Stage::Folder);
    let made = make(settings, uri, ctx, repository, need, &stage).await;
    made.map_err(|error| Failed {
        stage: stage.get(),
        error,
    })
}

async fn make(
    settings: &Settings,
    uri: &MongoUri,
    ctx: &Context,
    repository: &LockedRepository,
    need: Option<SpaceEstimate>,
    stage: &Cell<Stage>,
) -> Result<BackupReport, JobError> {
    let begun = Instant::now();
    let cancel = ctx.cancel.by(begun + settings.timeout);
    let swept = repository.sweep();
    if swept > 0 {
        tracing::info!(
            "removed {} of an interrupted backup",
            humanize::counted(swept, "leftover file")
        );
    }
    stage.set(Stage::Tool);
    let mut attempts = Attempts {
        left: settings.retries,
        wait: FIRST_WAIT,
        number: 1,
    };
    let tool = attempts.mongodump(ctx, &cancel).await?;
    let options = ctx.tool_options(tool, uri, settings.stall_timeout).await;
    let (mut oplog, mut overflowed) = (settings.oplog, false);
    let mut warnings = Vec::new();
    let made = loop {
        let attempt = Attempt {
            proof: Proof {
                settings,
                ctx,
                cancel: &cancel,
                repository,
                stage,
            },
            uri,
            options: &options,
            oplog,
            need,
            is_first: attempts.number == 1,
        };
        match attempt.run().await {
            Ok(made) => break made,
            // The first time, it may have been the connection that was lost.
            Err(error @ JobError::Dump(DumpError::Overflow { .. }))
                if !overflowed && attempts.left > 0 =>
            {
                overflowed = true;
                attempts.after(error, &cancel).await?;
            }
            Err(JobError::Dump(DumpError::Oplog { reason } | DumpError::Overflow { reason }))
                if oplog == OplogMode::Auto =>
            {
                warnings.push(format!("not of one point in time: {reason}"));
                tracing::warn!("{reason}; dumping again without the oplog");
                oplog = OplogMode::Off;
            }
            Err(error @ JobError::Dump(DumpError::Overflow { .. })) => return Err(error),
            Err(error) => attempts.after(error, &cancel).await?,
        }
    };
    warnings.extend(made.warnings.iter().cloned());
    stage.set(Stage::Name);
    made.commit(repository, begun, attempts.number, warnings, ctx)
}

/// How often is left to try.
struct Attempts {
    left: u32,
    wait: Duration,
    number: u32,
}

impl Attempts {
    /// mongodump, as soon as the machine has what it takes to start it.
    async fn mongodump(&mut self, ctx: &Context, cancel: &Cancel) -> Result<Tool, JobError> {
        loop {
            match cancel.or(Tool::find("mongodump", ctx.path())).await? {
                Ok(tool) => return Ok(tool),
                Err(error) => self.after(error.into(), cancel).await?,
            }
        }
    }

    /// Waits for the next attempt, or gives the error back when there is none.
    async fn after(&mut self, error: JobError, cancel: &Cancel) -> Result<(), JobError> {
        // A collection that was dropped on the way is gone now; that is worth one more look even without retries.
        let dropped =
            matches!(error, JobError::Dump(DumpError::Dropped { .. })) && self.number == 1;
        if !error.is_transient() || (self.left == 0 && !dropped) {
            return Err(error);
        }
        tracing::warn!(
            "attempt {} failed: {error}; trying again in {}",
            self.number,
            humanize::duration(self.wait)
        );
        cancel.or(tokio::time::sleep(self.wait)).await?;
        self.left = self.left.saturating_sub(1);
        self.number += 1;
        self.wait *= 3;
        Ok(())
    }
}

/// One try, with all it needs.
struct Attempt<'j> {
    proof: Proof<'j>,
    uri: &'j MongoUri,
    options: &'j ToolOptions,
    oplog: OplogMode,
    need: Option<SpaceEstimate>,
    is_first: bool,
}

impl Attempt<'_> {
    async fn run(&self) -> Result<UncommittedArchive, JobError> {
        self.proof.stage.set(Stage::Server);
        let asking = client::ask(
            self.uri,
            &self.proof.settings.databases,
            self.proof.settings.stall_timeout,
        );
        let facts = self.proof.cancel.or(asking).await??;
        let selection = DumpSelection::new(self.proof.settings, &facts, self.oplog)?;
        selection.announce(&facts);
        self.proof.stage.set(Stage::Folder);
        self.check_room(&selection, &facts).await?;
        self.proof.stage.set(Stage::Dump);
        let (dump_begun, stem) = (Instant::now(), self.proof.free_stem());
        let partial = self.proof.repository.begin(&stem)?;
        let mut unindexed = Vec::new();
        let dumping = self.dump(&selection, &facts, &partial, &stem, &mut unindexed);
        let (manifest, archive_bytes) = dumping.await?;
        let mut warnings = selection.missing(&facts, &manifest)?;
        warnings.extend(unindexed_warning(&unindexed));
        let dump_seconds = dump_begun.elapsed().as_secs_f64();
        tracing::info!(
            "dumped {} from {} in {dump_seconds:.1} s: {} of BSON, {} compressed",
            humanize::counted(manifest.documents, "document"),
            humanize::counted(manifest.namespaces.len() as u64, "namespace"),
            humanize::bytes(manifest.bytes),
            humanize::bytes(archive_bytes),
        );
        let dumped = Dumped {
            partial,
            stem,
            manifest,
            archive_bytes,
            dump_seconds,
            warnings,
        };
        self.proof.prove(dumped).await
    }

    /// Fails early if the archive will not fit: a full disk takes everything else on it down as well.
    async fn check_room(&self, selection: &DumpSelection, facts: &Facts) -> Result<(), JobError> {
        let (Some(need), Some(free_bytes)) = (self.need, self.proof.repository.free_bytes()) else {
            return Ok(());
        };
        if free_bytes >= need.bytes {
            return Ok(());
        }
        // Before giving up, see whether the server still holds as much as the last time.
        let counting = client::estimate(self.uri, selection.collections(facts));
        let counted = self
            .proof
            .cancel
            .or(tokio::time::timeout(
                self.proof.settings.stall_timeout,
                counting,
            ))
            .await?;
        let part = match counted {
            Ok(Ok(documents)) if need.documents > 0 => {
                (documents as f64 / need.documents as f64).min(1.0)
            }
            _ => 1.0,
        };
        let need_bytes = (need.bytes as f64 * part) as u64;
        if free_bytes >= need_bytes {
            return Ok(());
        }
        let folder = self.proof.repository.folder().display().to_string();
        Err(JobError::NoRoom {
            need_bytes,
            free_bytes,
            folder,
        })
    }

    async fn dump(
        &self,
        selection: &DumpSelection,
        facts: &Facts,
        partial: &Partial,
        stem: &str,
        unindexed: &mut Vec<Namespace>,
    ) -> Result<(Manifest, u64), JobError> {
        let failed = |error| self.proof.write_error(error);
        let mut sink = self
            .proof
            .sink(partial, stem, facts.server.clone(), WAITING)?;
        let meter = Meter::new("dumping", Unit::Documents, None, &self.proof.ctx.screen);
        let _counting = self.count(selection, facts, &meter);
        for part in &selection.parts {
            let wanted = selection.filter();
            let part = Part {
                refuse_unindexed: self.is_first,
                ..part.clone()
            };
            let result =
                mongodump::run(self.options, &part, wanted, sink, &meter, self.proof.cancel).await;
            sink = match result {
                Ok(received) => {
                    unindexed.extend(received.unindexed);
                    received.sink
                }
                Err(DumpError::Sink(error)) => return Err(failed(error)),
                Err(DumpError::Interrupted(reason)) => return Err(reason.into()),
                Err(error) => return Err(JobError::Dump(error)),
            };
        }
        let finished_at = (self.proof.ctx.now)();
        let finished = self
            .proof
            .cancel
            .blocking(move |_| sink.finish(finished_at))
            .await?;
        let (written, manifest) = finished.map_err(failed)?;
        Ok((manifest, written.archive_bytes))
    }

    /// Finds out beside the dump how much there is to do. Ends when what is returned is dropped.
    fn count(&self, selection: &DumpSelection, facts: &Facts, meter: &Arc<Meter>) -> JoinSet<()> {
        let namespaces = selection.collections(facts);
        let (uri, meter) = (self.uri.clone(), Arc::clone(meter));
        let mut tasks = JoinSet::new();
        tasks.spawn(async move {
            // A dump that is over before its progress is shown is not worth the server's effort.
            tokio::time::sleep(meter.first_shown_after()).await;
            match client::estimate(&uri, namespaces).await {
                Ok(total) => meter.set_total(total),
                Err(error) => tracing::debug!("no estimate of the documents: {error}"),
            }
        });
        tasks
    }
}

/// Keeps what a `verify` found out; it is worth a note, and no failure when there is no room for one.
pub(crate) fn record_verification(
    repository: &Repository,
    stem: &str,
    report: &VerifyReport,
    now: DateTime<Utc>,
) {
    let damage = (!report.sound).then(|| {
        report
            .faults()
            .next()
            .unwrap_or_else(|| "it is not sound".into())
    });
    let verification = VerificationRecord {
        at: now,
        archive_bytes: report.archive_bytes,
        damage,
        drilled_at: None,
    };
    if let Err(error) = repository.record_verification(stem, verification) {
        tracing::debug!("the result is not kept: {error}");
    }
}
