//! Carrying a restore out: the safety backup, the stream for mongorestore, and what became of it.

use super::contents::{Broken, Contents};
use super::documents;
use super::interleave;
use super::oplog::{self, Unfit};
use super::reconcile;
use super::{Prepared, RestoreError, Step};
use crate::archive::container::reason;
use crate::archive::file_name;
use crate::archive::namespace::{Announced, DumpSink, Kind, Namespace, StreamHeader, Totals};
use crate::archive::verify::ArchivedNamespace;
use crate::backup::archive_job;
use crate::context::Context;
use crate::mongo::mongorestore::{self, Feed, FeedError, LoadError, RestoreOptions, Words};
use crate::mongo::tool::Tool;
use crate::mongo::uri::MongoUri;
use crate::report::RestoreReport;
use crate::settings::{NamespacePattern, OplogMode, Settings};
use crate::store::repository::Repository;
use crate::sys::cancel::Cancel;
use crate::sys::progress::{Meter, Unit};
use crc_fast::{CrcAlgorithm, Digest};
use mongodb::bson::Document;
use std::collections::{HashMap, HashSet};
use std::io::Read;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Handed to mongorestore at a time, in bytes.
const WINDOW_BYTES: usize = 256 * 1024;

/// Where operations on a namespace go; none when they are left out.
pub type Operations = Box<dyn Fn(&Namespace) -> Option<Namespace> + Send>;

/// What mongorestore is given, and where it puts it.
pub struct Load {
    pub contents: Arc<Contents>,
    pub steps: Vec<Step>,
    pub uri: MongoUri,
    pub tool: Tool,
    pub drop: bool,
    /// How many collections may be under way at once.
    pub lanes: usize,
    /// Where operations of the oplog go; none when it is not replayed.
    pub operations: Option<Operations>,
}

impl Load {
    /// Streams the archive into mongorestore, with progress.
    pub async fn run(
        self,
        settings: &Settings,
        ctx: &Context,
        stop: &Cancel,
    ) -> (Words, Result<(), LoadError>) {
        let order = RestoreOptions {
            tool: self.tool.clone(),
            uri: self.uri.without_database(),
            environment: ctx.environment.clone(),
            redactor: ctx.redactor.clone(),
            stall_timeout: settings.stall_timeout,
            drop: self.drop,
            replay: self.operations.is_some(),
        };
        let bytes = self
            .steps
            .iter()
            .map(|step| self.contents.holdings[step.holding].totals.bytes)
            .sum();
        let meter = Meter::new("restoring", Unit::Bytes, Some(bytes), &ctx.screen);
        let flag = Arc::new(AtomicBool::new(false));
        let seen = Arc::clone(&flag);
        let loaded =
            mongorestore::run(&order, move |writer| self.feed(writer, &seen), &meter, stop).await;
        flag.store(true, Ordering::Relaxed);
        loaded
    }

    fn feed(&self, mut writer: Feed, stop: &AtomicBool) -> Result<(), FeedError> {
        let origin = &self.contents.origin;
        writer.header(&StreamHeader {
            server_version: origin.server_version.clone().unwrap_or_default(),
            tool_version: origin.tool_version.clone().unwrap_or_default(),
        })?;
        let oplog = self.contents.oplog().filter(|_| self.operations.is_some());
        let mut targets: HashMap<usize, Namespace> = HashMap::new();
        for step in &self.steps {
            let holding = &self.contents.holdings[step.holding];
            let metadata = step.metadata.clone();
            writer.announce(Announced {
                namespace: step.to.clone(),
                kind: holding.kind,
                metadata,
            })?;
            targets.insert(step.holding, step.to.clone());
        }
        if let Some(oplog) = oplog {
            let namespace = self.contents.holdings[oplog].namespace.clone();
            writer.announce(Announced {
                namespace,
                kind: Kind::Oplog,
                metadata: String::new(),
            })?;
        }
        // Views, and collections that are options only.
        for step in self
            .steps
            .iter()
            .filter(|step| self.contents.holdings[step.holding].file.is_none())
        {
            writer.begin(&step.to)?;
            writer.end(Totals::default())?;
        }
        let fed = interleave::feed(self, &targets, self.lanes, &mut writer, stop)?;
        let rest = |index: usize| targets.contains_key(&index) && !fed.contains(&index);
        let documents = self.contents.each(&rest, stop, &mut |index, content| {
            let (holding, to) = (&self.contents.holdings[index], &targets[&index]);
            writer.begin(to)?;
            copy(content, &mut writer, holding)?;
            writer.end(holding.totals).map_err(FeedError::from)
        });
        documents.map_err(broken)?;
        // Last, and on its own: mongorestore wants everything else before.
        if let (Some(oplog), Some(operations)) = (oplog, &self.operations) {
            let replay = self
                .contents
                .each(&|index| index == oplog, stop, &mut |_, content| {
                    writer.begin(&self.contents.holdings[oplog].namespace)?;
                    let (mut crc, mut totals) =
                        (Digest::new(CrcAlgorithm::Crc64Xz), Totals::default());
                    let operated = each_operation(content, operations, &mut |entry| {
                        let bytes = entry
                            .to_vec()
                            .map_err(|error| OperationError::Other(error.to_string()))?;
                        crc.update(&bytes);
                        totals.documents += 1;
                        totals.bytes += bytes.len() as u64;
                        writer.data(&bytes).map_err(OperationError::Pipe)
                    });
                    operated.map_err(|error| match error {
                        OperationError::Pipe(error) => FeedError::Pipe(error),
                        other => FeedError::Archive(other.to_string()),
                    })?;
                    totals.crc64 = crc.finalize();
                    writer.end(totals).map_err(FeedError::from)
                });
            replay.map_err(broken)?;
        }
        writer.finish().map_err(FeedError::from)
    }
}

fn broken(broken: Broken<FeedError>) -> FeedError {
    match broken {
        Broken::Archive(problem) => FeedError::Archive(problem),
        Broken::Visitor(error) => error,
    }
}

/// Hands documents on, and makes sure that they are still what was verified.
fn copy(
    content: &mut dyn Read,
    writer: &mut Feed,
    holding: &ArchivedNamespace,
) -> Result<(), FeedError> {
    let mut window = vec![0; WINDOW_BYTES];
    let (mut crc, mut bytes) = (Digest::new(CrcAlgorithm::Crc64Xz), 0);
    loop {
        let read = content
            .read(&mut window)
            .map_err(|error| broken_in(holding, &error))?;
        if read == 0 {
            break;
        }
        crc.update(&window[..read]);
        bytes += read as u64;
        writer.data(&window[..read])?;
    }
    if (bytes, crc.finalize()) == (holding.totals.bytes, holding.totals.crc64) {
        Ok(())
    } else {
        Err(changed(holding))
    }
}

/// What was read is not what was read before.
pub fn changed(holding: &ArchivedNamespace) -> FeedError {
    FeedError::Archive(format!(
        "{} is no longer what was verified: the disk may be failing",
        holding.namespace
    ))
}

/// What was read before cannot be read again.
pub fn broken_in(holding: &ArchivedNamespace, error: &std::io::Error) -> FeedError {
    FeedError::Archive(format!("{}: {}", holding.namespace, reason(error)))
}

/// Why an oplog could not be read through.
#[derive(Debug, thiserror::Error)]
pub enum OperationError {
    #[error(transparent)]
    Unfit(#[from] Unfit),
    #[error("{0}")]
    Pipe(std::io::Error),
    #[error("the oplog: {0}")]
    Other(String),
}

/// Shows the operations that are to be replayed, as they are to be replayed.
pub fn each_operation(
    content: &mut dyn Read,
    target: &oplog::Target,
    visit: &mut dyn FnMut(&Document) -> Result<(), OperationError>,
) -> Result<(), OperationError> {
    let (mut failed, mut first) = (None, true);
    let read = documents::each(content, |raw| {
        let entry = Document::try_from(raw).map_err(std::io::Error::other)?;
        // mongodump begins with the last operation before the dump, which the dump holds already; only where a transaction
        // was under way does it begin earlier, and then with that. Left out, it spares a quiet server the whole replay.
        if std::mem::take(&mut first) && matches!(entry.get_str("op"), Ok("i" | "u" | "d")) {
            return Ok(());
        }
        let visited = match oplog::rewrite(entry, target) {
            Ok(Some(entry)) => visit(&entry),
            Ok(None) => Ok(()),
            Err(unfit) => Err(unfit.into()),
        };
        visited.map_err(|error| {
            failed = Some(error);
            std::io::ErrorKind::Other.into()
        })
    });
    match (failed, read) {
        (Some(error), _) => Err(error),
        (None, read) => read.map_err(|error| OperationError::Other(reason(&error))),
    }
}

/// mongorestore takes four at once; each takes memory of it, and time of a processor.
pub fn most_lanes(settings: &Settings) -> usize {
    settings.threads.get().min(4)
}

/// Restores what was prepared. What went wrong on the way is in the report; an error means that nothing was changed.
pub async fn carry_out(
    mut prepared: Prepared,
    settings: &Settings,
    ctx: &Context,
) -> Result<RestoreReport, RestoreError> {
    if let Some(refusal) = prepared.refusal() {
        return Err(refusal);
    }
    let existing: Vec<Namespace> = prepared
        .report
        .namespaces
        .iter()
        .filter(|one| one.exists)
        .map(|one| one.to.clone())
        .collect();
    if !existing.is_empty() {
        let safety = back_up_first(settings, ctx, &prepared.uri, &existing).await?;
        tracing::info!("what is about to be dropped is safe in {safety}");
        prepared.report.safety_archive = Some(safety);
    }
    tracing::info!(
        "restoring; should this be interrupted, the archive stays as it is: run the same command again, with --drop"
    );
    let operations = (prepared.report.oplog_entries > 0).then(|| {
        let (wishes, untouchable) = (prepared.wishes.clone(), prepared.untouchable.clone());
        Box::new(move |from: &Namespace| wishes.target_of_operation(from, &untouchable)) as Box<_>
    });
    let load = Load {
        contents: Arc::clone(&prepared.contents),
        steps: prepared.steps.clone(),
        uri: prepared.uri.clone(),
        tool: prepared.tool.clone(),
        drop: prepared.wishes.drop,
        lanes: most_lanes(settings),
        operations,
    };
    prepared.report.dry_run = false;
    let (words, loaded) = load.run(settings, ctx, &ctx.stop).await;
    reconcile::fill_in(&mut prepared, &words, &loaded);
    match loaded {
        Err(LoadError::Interrupted(reason)) => prepared.report.problems.push(format!(
            "{reason}: what was restored so far may be incomplete. The archive is as it was; run it again with --drop"
        )),
        loaded => {
            prepared.report.problems.extend(loaded.err().map(|error| error.to_string()));
            reconcile::ask(&mut prepared, ctx).await;
        }
    }
    let mut report = prepared.report;
    report.restored =
        report.problems.is_empty() && report.namespaces.iter().all(|one| one.problem.is_none());
    report.elapsed_seconds = prepared.begun.elapsed().as_secs_f64();
    prepared.target.close().await;
    Ok(report)
}

/// Makes an archive of what will be dropped. It lies beside the others under a prefix of its own, so that retention neither
/// counts it nor removes it.
async fn back_up_first(
    settings: &Settings,
    ctx: &Context,
    uri: &MongoUri,
    existing: &[Namespace],
) -> Result<String, RestoreError> {
    let mut databases: Vec<String> = existing
        .iter()
        .map(|namespace| namespace.database.clone())
        .collect();
    databases.sort();
    databases.dedup();
    let failed = |problem: String| RestoreError::Safety(ctx.redactor.redact(&problem).into_owned());
    let facts = ctx
        .stop
        .or(crate::mongo::client::ask(
            uri,
            &databases,
            settings.stall_timeout,
        ))
        .await??;
    let dropped: HashSet<&Namespace> = existing.iter().collect();
    let beside = facts
        .found
        .iter()
        .map(|found| &found.namespace)
        .filter(|namespace| !dropped.contains(namespace));
    let exclude = beside
        .filter(|namespace| databases.contains(&namespace.database))
        .filter_map(|namespace| {
            NamespacePattern::exactly(&namespace.database, &namespace.collection)
        })
        .collect();
    let settings = Settings {
        databases,
        exclude,
        oplog: OplogMode::Off,
        prefix: file_name::safety_prefix(&settings.prefix),
        ..settings.clone()
    };
    let repository = Repository::of(&settings).lock(settings.require_mount)?;
    tracing::info!("backing up first what will be dropped");
    let report = archive_job::backup(&settings, uri, ctx, &repository, None).await;
    let report = report.map_err(|error| failed(error.to_string()))?;
    let stem = repository.find(&report.archive)?;
    let manifest = repository
        .manifest(&stem)
        .ok_or_else(|| failed("it cannot be read back".into()))?;
    let saved: HashSet<&Namespace> = manifest
        .namespaces
        .iter()
        .map(|entry| &entry.namespace)
        .collect();
    match existing.iter().find(|namespace| !saved.contains(namespace)) {
        Some(lost) => Err(failed(format!("it lacks {lost}"))),
        None => Ok(report.archive),
    }
}
