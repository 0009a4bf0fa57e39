//! Bringing data back. It reads top to bottom:
//!
//! ```text
//! find → verify what will be read → choose and rename → ask the target → preview
//!     → [ asked for ] → safety backup → load documents → count → build indexes → compare → report
//! ```
//!
//! Everything before the brackets only looks. The archive itself is never written to.

mod compatibility;

mod contents;
mod definition;
mod diff;
mod documents;
mod execute;
mod feed;
mod indexes;
mod interleave;
mod oplog;
mod preflight;
mod reconcile;
mod replay;
mod selection;

pub(crate) use contents::Contents;
pub(crate) use definition::StoredDefinition;
pub(crate) use diff::{CompareError, run as compare};
pub(crate) use execute::execute;
pub(crate) use feed::{Load, most_readers};
pub(crate) use indexes::{BuildEnd, BuildOutcome, IndexBuilder, IndexCatalog, describe_left_out};
pub(crate) use preflight::is_auth_version;
pub(crate) use selection::Selection;

use crate::archive::namespace::{Kind, Namespace};
use crate::archive::verify;
use crate::context::Context;
use crate::mongo::client::{ServerError, Target};
use crate::mongo::mongorestore::LoadError;
use crate::mongo::tool::{Tool, ToolError};
use crate::mongo::uri::MongoUri;
use crate::report::{IndexPolicy, IndexReport, RestoreReport, Restored};
use crate::settings::Settings;
use crate::store::repository::Repository;
use crate::store::repository::{RepositoryError, RepositoryLockError};
use crate::sys::atomic_file::FileError;
use crate::sys::cancel::{Cancel, Interruption};
use crate::sys::progress::showing;
use crate::sys::progress::{Meter, Unit};
use contents::Broken;
use replay::OperationError;
use std::cell::RefCell;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Instant;

/// Why nothing was restored, or not everything.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RestoreError {
    #[error(transparent)]
    Repository(#[from] RepositoryError),
    #[error(transparent)]
    File(#[from] FileError),
    #[error(transparent)]
    Tool(#[from] ToolError),
    #[error(transparent)]
    Server(#[from] ServerError),
    #[error(transparent)]
    Load(LoadError),
    #[error(
        "{name} is damaged, and nothing of it was restored:\n{damage}\ntry an older archive: `pantry-keeper list` shows them"
    )]
    Damaged { name: String, damage: String },
    #[error("{name} cannot be read: {what}")]
    OtherFormat { name: String, what: String },
    #[error("{name} holds nothing of what --include and --exclude leave; it holds {held}")]
    NothingChosen { name: String, held: String },
    #[error("{0} change --rename")]
    Name(String),
    #[error(
        "there already, on {hosts}: {existing}\n\
         restore beside them with {rename}, or replace them with --drop (they are backed up first)"
    )]
    Exists {
        hosts: String,
        existing: String,
        rename: String,
    },
    #[error(
        "there already, on {hosts}: {existing}; the archive's would be mixed with them. Replace all users and roles with \
         --drop (they are backed up first), or leave them out with --exclude"
    )]
    UsersExist { hosts: String, existing: String },
    #[error(
        "replacing users and roles takes the user who restores away, and nothing can be restored after that; restore the \
         rest first, with --exclude 'admin.system.*', and then these alone: --include 'admin.system.*' --drop"
    )]
    UsersBesideOthers,
    #[error(
        "{namespace} is there already, and mongorestore never drops a collection of the server's own; leave it out with \
         --exclude '{namespace}', or drop it first, in mongosh: {command}"
    )]
    NeverDropped {
        namespace: Namespace,
        command: String,
    },
    #[error(
        "the user in {setting} may not replay the oplog of this archive; restore without it: --no-oplog (documents are then \
         as each collection was when it was dumped), or in mongosh, as an administrator: {grant}"
    )]
    ReplayNotAllowed {
        setting: &'static str,
        grant: String,
    },
    #[error("{0}; restore without the oplog: --no-oplog")]
    Oplog(#[from] oplog::Unfit),
    #[error("no safety backup could be made, so nothing was dropped or restored: {0}")]
    Safety(String),
    #[error(transparent)]
    Lock(#[from] RepositoryLockError),
    #[error("stopped as asked")]
    Stopped,
    #[error("{0}")]
    Interrupted(#[from] Interruption),
    #[error(
        "the scratch databases {stem}_… are there already, and are not the drill's own; try again"
    )]
    ScratchTaken { stem: String },
}

impl From<LoadError> for RestoreError {
    fn from(error: LoadError) -> Self {
        match error {
            LoadError::Interrupted(reason) => RestoreError::Interrupted(reason),
            other => RestoreError::Load(other),
        }
    }
}

/// One namespace to restore.
#[derive(Debug, Clone)]
pub(crate) struct Step {
    /// Its place in [`Contents::holdings`].
    pub holding: usize,
    pub to: Namespace,
    /// Its options and indexes, as mongorestore is told them.
    pub metadata: String,
}

/// Everything that is known before anything is changed.
pub(crate) struct Prepared {
    pub contents: Arc<Contents>,
    pub target: Target,
    pub uri: MongoUri,
    pub tool: Tool,
    pub steps: Vec<Step>,
    pub selection: Selection,
    pub report: RestoreReport,
    begun: Instant,
    /// Namespaces on the target that the oplog must leave alone.
    untouchable: HashSet<Namespace>,
    /// Of the targets, those that the oplog changes: their documents are no longer those of the dump.
    replayed: HashSet<Namespace>,
    /// The indexes that are to be there in the end.
    indexes: IndexCatalog,
    /// Operations of the oplog that mongorestore is to apply.
    operations_fed: u64,
}

/// Looks at the archive and at the target, and refuses what cannot work. Changes nothing.
pub(crate) async fn prepare(
    settings: &Settings,
    ctx: &Context,
    uri: &MongoUri,
    name: &str,
    selection: Selection,
) -> Result<Prepared, RestoreError> {
    let begun = Instant::now();
    let stem = Repository::of(settings).find(name)?;
    let tool = ctx
        .stop
        .or(Tool::find("mongorestore", ctx.path()))
        .await??;
    let contents = open(settings, ctx, &ctx.stop, &stem, &selection).await?;
    let steps = plan(&contents, &selection)?;
    let target = ctx
        .stop
        .or(Target::connect(uri, settings.stall_timeout))
        .await??;
    let mut report = preview(&contents, &steps, &target, &selection, &ctx.stop).await?;
    report.warnings.extend(compatibility::warnings(
        &contents.origin,
        &target.facts.server.version,
        &tool,
    ));
    let indexes = IndexCatalog::new(&contents, &steps);
    let mut prepared = Prepared {
        contents,
        target,
        uri: uri.clone(),
        tool,
        steps,
        selection,
        report,
        begun,
        untouchable: HashSet::new(),
        replayed: HashSet::new(),
        indexes,
        operations_fed: 0,
    };
    prepared.inspect_oplog(&ctx.stop).await?;
    prepared.check_replay(&ctx.stop).await?;
    prepared.warn_of_users();
    prepared.report.indexes = prepared.planned_indexes();
    Ok(prepared)
}

/// Opens and verifies an archive, as far as it is wanted, with progress.
pub(crate) async fn open(
    settings: &Settings,
    ctx: &Context,
    cancel: &Cancel,
    stem: &str,
    selection: &Selection,
) -> Result<Arc<Contents>, RestoreError> {
    let repository = Repository::of(settings);
    let meter = Meter::new("verifying", Unit::Bytes, None, &ctx.screen);
    let (threads, stem, selection, shown) = (
        settings.threads,
        stem.to_owned(),
        selection.clone(),
        Arc::clone(&meter),
    );
    let opening = cancel.blocking(move |stop| {
        let moved = |bytes| shown.set(bytes);
        let options = verify::Options {
            threads,
            stop,
            moved: &moved,
        };
        Contents::open(
            &repository,
            &stem,
            &|namespace| selection.chooses(namespace),
            &options,
        )
    });
    let contents = showing(&meter, opening).await??;
    Ok(Arc::new(contents))
}

/// What becomes of each namespace of the archive that was chosen.
pub(crate) fn plan(contents: &Contents, selection: &Selection) -> Result<Vec<Step>, RestoreError> {
    if let Some(unused) =
        selection.unused_rename(contents.holdings.iter().map(|one| &one.namespace))
    {
        return Err(RestoreError::Name(format!(
            "--rename {unused} fits nothing that is to be restored;"
        )));
    }
    let mut taken: HashMap<Namespace, Namespace> = HashMap::new();
    let mut steps = Vec::new();
    for (holding, one) in contents
        .holdings
        .iter()
        .enumerate()
        .filter(|(_, one)| one.kind != Kind::Oplog)
    {
        let to = selection.target(&one.namespace);
        if let Some(problem) = selection::unfit_name(&one.namespace, &to) {
            return Err(RestoreError::Name(match one.namespace == to {
                true => {
                    format!("{to} cannot be restored: {problem}; leave it out with --exclude, or")
                }
                false => format!("{} cannot become {to}: {problem};", one.namespace),
            }));
        }
        if let Some(other) = taken.insert(to.clone(), one.namespace.clone()) {
            return Err(RestoreError::Name(format!(
                "{other} and {} would both become {to};",
                one.namespace
            )));
        }
        steps.push(Step {
            holding,
            to,
            metadata: one.metadata.clone(),
        });
    }
    Ok(steps)
}

async fn preview(
    contents: &Contents,
    steps: &[Step],
    target: &Target,
    selection: &Selection,
    stop: &Cancel,
) -> Result<RestoreReport, RestoreError> {
    let live: HashMap<&Namespace, Kind> = target
        .facts
        .found
        .iter()
        .map(|found| (&found.namespace, found.kind))
        .collect();
    let system = preflight::system_collections(steps, target, stop).await?;
    let mut namespaces = Vec::new();
    for step in steps {
        let holding = &contents.holdings[step.holding];
        let there = live.get(&step.to).copied();
        let there = there.or(system.contains(&step.to).then_some(Kind::Collection));
        let live_documents = match there {
            Some(Kind::Collection) => stop.or(target.estimate(&step.to)).await??,
            _ => None,
        };
        namespaces.push(Restored {
            namespace: holding.namespace.clone(),
            kind: holding.kind,
            to: step.to.clone(),
            documents: holding.totals.documents,
            bytes: holding.totals.bytes,
            live_documents,
            exists: there.is_some(),
            inserted: None,
            failures: None,
            on_server: None,
            problem: None,
            differences: None,
        });
    }
    Ok(RestoreReport {
        archive: contents.name.clone(),
        made_at: contents.made_at,
        hosts: target.hosts().to_owned(),
        dry_run: true,
        restored: false,
        drop: selection.drop,
        safety_archive: None,
        documents: namespaces.iter().map(|one| one.documents).sum(),
        bytes: namespaces.iter().map(|one| one.bytes).sum(),
        namespaces,
        indexes: IndexReport::default(),
        oplog_entries: 0,
        problems: Vec::new(),
        unchecked: Vec::new(),
        warnings: contents.warnings.clone(),
        elapsed_seconds: 0.0,
    })
}

impl Prepared {
    /// Finds out which operations of the oplog belong to what is restored.
    async fn inspect_oplog(&mut self, stop: &Cancel) -> Result<(), RestoreError> {
        let Some(oplog) = self.contents.oplog().filter(|_| self.selection.oplog) else {
            return Ok(());
        };
        let held: HashSet<Namespace> = self.steps.iter().map(|step| step.to.clone()).collect();
        // What the dump does not hold was made while it ran. If the target has one of that name, it is another one.
        let there = self
            .target
            .facts
            .found
            .iter()
            .map(|found| found.namespace.clone());
        self.untouchable = there
            .filter(|namespace| !held.contains(namespace))
            .collect();
        let (contents, selection, untouchable) = (
            Arc::clone(&self.contents),
            self.selection.clone(),
            self.untouchable.clone(),
        );
        let mut read = OplogEffects {
            entries: 0,
            fed: 0,
            indexes: self.indexes.clone(),
            touched: HashSet::new(),
        };
        let looking = stop.blocking(move |stop| {
            let touched = RefCell::new(HashSet::new());
            let target = |from: &Namespace| {
                let to = selection.target_of_operation(from, &untouchable)?;
                touched.borrow_mut().insert(to.clone());
                Some(to)
            };
            let outcome = contents.each(&|index| index == oplog, stop, &mut |_, content| {
                replay::each_operation(content, &target, &mut |entry| {
                    read.entries += u64::from(oplog::does_something(&entry));
                    let fed = read.indexes.replay(entry);
                    read.fed += u64::from(fed.as_ref().is_some_and(oplog::does_something));
                    Ok(())
                })
            });
            match outcome {
                Ok(()) => {
                    read.touched = touched.into_inner();
                    Ok(read)
                }
                Err(Broken::Visitor(OperationError::Unfit(unfit))) => Err(unfit.into()),
                Err(Broken::Archive(damage)) => Err(RestoreError::Damaged {
                    name: contents.name.clone(),
                    damage,
                }),
                Err(Broken::Visitor(other)) => Err(RestoreError::Damaged {
                    name: contents.name.clone(),
                    damage: other.to_string(),
                }),
            }
        });
        let read = looking.await??;
        self.report.oplog_entries = read.entries;
        self.operations_fed = read.fed;
        self.indexes = read.indexes;
        self.replayed = read.touched;
        Ok(())
    }

    /// What will become of indexes, and which of their options nobody needs.
    fn planned_indexes(&mut self) -> IndexReport {
        let policy = self.selection.indexes;
        if policy != IndexPolicy::None {
            let left_out = describe_left_out(&self.indexes, &Namespace::clone);
            self.report.warnings.extend(left_out);
        }
        IndexReport {
            policy,
            archived: self.indexes.len() as u64,
            ..IndexReport::default()
        }
    }
}

/// What an oplog does to what is restored.
struct OplogEffects {
    /// Operations that change something.
    entries: u64,
    /// Of those, the ones for mongorestore; the others are about indexes alone.
    fed: u64,
    indexes: IndexCatalog,
    touched: HashSet<Namespace>,
}
