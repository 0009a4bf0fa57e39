//! `restore --match`: single documents back, next to what is there.
//!
//! ```text
//! find → verify the collection → look at the target → compare what fits → preview
//!     → [ asked for ] → save what will be replaced → insert, replace → read back → report
//! ```
//!
//! Why this is safe: everything before the brackets only looks. What is absent is inserted, which never overwrites. What is there
//! is replaced only if the very version was saved, in an archive that was synced, read back and named before; the server is
//! told to replace only what still equals it, and hands back what it replaced. Nothing counts as restored that was not read
//! back, byte for byte. Interrupted, it can be run again: what is there already is left.

mod present;
mod save;
mod source;
mod survey;
mod target;
mod write;

use super::contents::{self, Contents};
use super::error::RestoreError;
use super::plan::Live;
use super::selection::Selection;
use super::steps::{RestoreStep, steps};
use crate::archive::namespace::Kind;
use crate::context::Context;
use crate::mongo::documents_by_id::Documents;
use crate::mongo::target::Target;
use crate::mongo::uri::MongoUri;
use crate::query::Query;
use crate::report::{Explain, IndexReport, MatchReport, Problem, RestoreReport, Restored};
use crate::settings::Settings;
use crate::store::located::Located;
use crate::sys::humanize::{counted, first_and_more};
use save::Saved;
use source::{Only, Reading, Source};
use std::sync::Arc;
use std::time::{Duration, Instant};
use write::Written;

/// Collections named when one is wanted.
const NAMED: usize = 12;
/// What is remembered of each document that is replaced takes memory. Whoever replaces more wants the whole collection back.
const MOST_REPLACED: usize = 250_000;
/// A server that takes longer to say that it is there is not asked how much it holds.
const LONGEST_SILENCE: Duration = Duration::from_secs(10);

/// Which documents are wanted, and what becomes of those that are there already.
pub(crate) struct Matching {
    pub query: Query,
    /// As it was asked.
    pub text: String,
    pub replace: bool,
}

/// What a restore of single documents will do.
pub(crate) struct MatchPlan {
    contents: Arc<Contents>,
    target: Target,
    step: RestoreStep,
    query: Arc<Query>,
    live: Live,
    report: MatchReport,
    read: Reading,
    /// What fits, where it is little.
    only: Option<Only>,
    pub warnings: Vec<String>,
    limit: Duration,
    begun: Instant,
}

/// Looks at the archive and at the target, and refuses what cannot work. Changes nothing.
pub(crate) async fn prepare(
    settings: &Settings,
    ctx: &Context,
    uri: &MongoUri,
    located: &Located,
    selection: &Selection,
    matching: Matching,
) -> Result<MatchPlan, RestoreError> {
    let begun = Instant::now();
    let cancel = &ctx.cancel;
    let contents = contents::open(settings, ctx, cancel, located, selection).await?;
    let step = only_step(&contents, selection)?;
    let connecting = Target::connect(uri, settings.stall_timeout);
    let target = cancel.or(connecting).await??;
    let mut warnings = contents.warnings.clone();
    let live = target::inspect(&contents, &step, &target, cancel, &mut warnings).await?;
    if selection.oplog {
        warnings.extend(target::warning_of_oplog(&contents, &step, cancel).await?);
    }
    let report = MatchReport {
        query: matching.text,
        replace: matching.replace,
        ..MatchReport::default()
    };
    let mut plan = MatchPlan {
        contents,
        target,
        step,
        query: Arc::new(matching.query),
        live,
        report: MatchReport::default(),
        read: Reading::default(),
        only: None,
        warnings,
        limit: settings.stall_timeout,
        begun,
    };
    let surveyed = survey::survey(&plan.source(), &plan.documents(), ctx, report).await?;
    (plan.report, plan.read, plan.only) = surveyed;
    if plan.read.fit == 0 {
        return Err(plan.nothing_fits());
    }
    match plan.report.replace && plan.report.different > MOST_REPLACED as u64 {
        true => Err(plan.too_many()),
        false => Ok(plan),
    }
}

/// The one collection that is chosen.
fn only_step(contents: &Contents, selection: &Selection) -> Result<RestoreStep, RestoreError> {
    let mut chosen = steps(contents, selection)?;
    let names: Vec<String> = chosen
        .iter()
        .map(|step| contents[step.source].namespace.to_string())
        .collect();
    let (Some(step), true) = (chosen.pop(), chosen.is_empty()) else {
        let names = first_and_more(&names, NAMED);
        return Err(RestoreError::Match(Problem::new(
            format!("--match takes documents of one collection, and these are chosen: {names}"),
            "name the one with --include, such as --include shop.orders",
        )));
    };
    let archived = &contents[step.source];
    let what = match archived.kind {
        Kind::View => Some("is a view: its documents are those of other collections"),
        Kind::TimeSeries => Some(
            "is a time series, which a server stores in another form than document by document",
        ),
        _ if archived.namespace.is_servers_own()
            || archived.namespace.collection.starts_with("system.") =>
        {
            Some("is the server's own")
        }
        _ => None,
    };
    match what {
        Some(what) => Err(RestoreError::Match(Problem::new(
            format!(
                "no single documents can be restored of {}: it {what}",
                archived.namespace
            ),
            "restore all of it, without --match",
        ))),
        None => Ok(step),
    }
}

impl MatchPlan {
    fn source(&self) -> Source {
        Source {
            contents: Arc::clone(&self.contents),
            id: self.step.source,
            query: Arc::clone(&self.query),
            only: self.only.clone(),
        }
    }

    fn documents(&self) -> Documents<'_> {
        self.target.by_id(&self.step.to, self.limit)
    }

    fn tool_version(&self) -> String {
        let origin = &self.contents.origin;
        origin.tool_version.clone().unwrap_or_default()
    }

    fn nothing_fits(&self) -> RestoreError {
        RestoreError::Match(Problem::new(
            format!(
                "no document of {} in {} fits --match; its {} were read",
                self.contents[self.step.source].namespace,
                self.contents.name,
                counted(self.report.documents_read, "document")
            ),
            format!(
                "try the query with `pantry-keeper show {} {} --match …`, in this archive or an older one",
                self.contents.name, self.contents[self.step.source].namespace
            ),
        ))
    }

    fn too_many(&self) -> RestoreError {
        RestoreError::Unsuitable(Problem::new(
            format!(
                "more than {} would be replaced one by one",
                counted(MOST_REPLACED as u64, "document")
            ),
            format!(
                "restore all of {} instead, with --drop or --rename",
                self.contents[self.step.source].namespace
            ),
        ))
    }

    /// What is going to happen, as it is shown before.
    pub(crate) fn preview(&self) -> RestoreReport {
        let archived = &self.contents[self.step.source];
        let restored = Restored {
            namespace: archived.namespace.clone(),
            kind: archived.kind,
            to: self.step.to.clone(),
            documents: archived.totals.documents,
            bytes: archived.totals.bytes,
            live_documents: self.live.documents,
            exists: self.live.exists,
            inserted: None,
            failures: None,
            on_server: None,
            problem: None,
            differences: None,
        };
        RestoreReport {
            archive: self.contents.name.clone(),
            place: self.contents.place(),
            made_at: self.contents.made_at,
            hosts: self.target.hosts().to_owned(),
            dry_run: true,
            restored: false,
            drop: false,
            safety_archive: None,
            documents: self.read.fit,
            bytes: self.read.fit_bytes,
            namespaces: vec![restored],
            indexes: IndexReport::default(),
            matched: Some(self.report.clone()),
            oplog_entries: 0,
            problems: Vec::new(),
            unchecked: Vec::new(),
            warnings: self.warnings.clone(),
            elapsed_seconds: 0.0,
        }
    }

    /// Whether there is anything that stands in the way of a document.
    pub(crate) fn has_failures(&self) -> bool {
        self.report.failed() > 0
    }
}

/// Restores what was planned. What went wrong on the way is in the report; an error means that nothing was changed.
pub(crate) async fn execute(
    plan: MatchPlan,
    settings: &Settings,
    ctx: &Context,
) -> Result<RestoreReport, RestoreError> {
    let saved = match plan.report.replace && plan.report.different > 0 {
        true => save::save(&plan, settings, ctx).await?,
        false => Saved::default(),
    };
    if let Some(archive) = &saved.archive {
        tracing::info!("what is about to be replaced is safe in {archive}");
    }
    if !plan.live.exists && plan.report.absent > 0 {
        target::create(&plan, &ctx.cancel).await?;
    }
    let written = write::write(&plan, &saved, ctx).await;
    let report = report(&plan, saved, written, ctx).await;
    plan.target.close().await;
    Ok(report)
}

async fn report(plan: &MatchPlan, saved: Saved, written: Written, ctx: &Context) -> RestoreReport {
    let mut report = plan.preview();
    let failed = written.report.failed();
    let mut problems = Vec::new();
    if let Some(error) = &written.ended {
        let why = match error {
            // Of what was read before, something may have been restored.
            RestoreError::Damaged { name, damage } => {
                format!("{name} could not be read to its end: {damage}")
            }
            other => other.problem(ctx.runtime).to_string(),
        };
        problems.push(format!(
            "{why}; run the same again: what is there by now is left as it is"
        ));
    }
    if written.unknown > 0 {
        problems.push(format!(
            "{} sent last, and whether the server has written them was not seen",
            counted(written.unknown, "document")
        ));
    }
    problems.extend(written.concern.map(|why| {
        format!("what was written may not stay, since not enough members of the set have it: {why}")
    }));
    let answers = plan.target.answers(LONGEST_SILENCE);
    if written.ended.is_none() && answers.await {
        let counting = plan.target.estimate(&plan.step.to);
        let there = ctx.cancel.or(counting).await;
        report.namespaces[0].on_server = there.ok().and_then(Result::ok).flatten();
    }
    let one = &mut report.namespaces[0];
    one.inserted = Some(written.report.inserted + written.report.replaced);
    one.failures = Some(failed);
    if failed > 0 {
        one.problem = Some(format!("{} not restored", counted(failed, "document")));
    }
    report.dry_run = false;
    report.restored = failed == 0 && problems.is_empty();
    report.problems = problems;
    report.safety_archive = saved.archive;
    report.matched = Some(written.report);
    report.elapsed_seconds = plan.begun.elapsed().as_secs_f64();
    report
}
