//! Everything that is known before anything is changed.

use super::compatibility;
use super::contents::{self, ArchivedId, Contents};
use super::error::RestoreError;
use super::indexes::{IndexCatalog, describe_left_out};
use super::preflight;
use super::replay::OplogEffects;
use super::selection::{self, Selection};
use crate::archive::namespace::{Kind, Namespace};
use crate::context::Context;
use crate::mongo::client::Target;
use crate::mongo::tool::Tool;
use crate::mongo::uri::MongoUri;
use crate::report::{IndexPolicy, IndexReport, Problem, RestoreReport, Restored};
use crate::settings::Settings;
use crate::store::located::Located;
use crate::sys::cancel::Cancel;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Instant;

const CHANGE_IT: &str = "change --rename";

/// One namespace to restore.
#[derive(Debug, Clone)]
pub(crate) struct RestoreStep {
    pub source: ArchivedId,
    pub to: Namespace,
    /// Its options and indexes, as mongorestore is told them.
    pub metadata: String,
}

/// What a restore will do, and what is on the target now.
pub(crate) struct RestorePlan {
    pub contents: Arc<Contents>,
    pub target: Target,
    pub uri: MongoUri,
    pub tool: Tool,
    pub selection: Selection,
    pub steps: Vec<RestoreStep>,
    /// What the target has under the name of each step.
    pub live: Vec<Live>,
    pub oplog: OplogEffects,
    /// The indexes that are to be there in the end.
    pub indexes: IndexCatalog,
    /// What should be known before.
    pub warnings: Vec<String>,
    pub begun: Instant,
}

/// What is on the target under a name.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Live {
    pub exists: bool,
    /// None where it is not there, or may not be counted.
    pub documents: Option<u64>,
}

/// Looks at the archive and at the target, and refuses what cannot work. Changes nothing.
pub(crate) async fn prepare(
    settings: &Settings,
    ctx: &Context,
    uri: &MongoUri,
    located: &Located,
    selection: Selection,
) -> Result<RestorePlan, RestoreError> {
    let begun = Instant::now();
    let cancel = &ctx.cancel;
    let tool = cancel.or(Tool::find("mongorestore", ctx.path())).await??;
    let contents = contents::open(settings, ctx, cancel, located, &selection).await?;
    let steps = steps(&contents, &selection)?;
    let target = cancel
        .or(Target::connect(uri, settings.stall_timeout))
        .await??;
    let live = inspect_target(&steps, &target, cancel).await?;
    let indexes = IndexCatalog::new(&contents, &steps);
    let server_version = &target.facts.server.version;
    let mut warnings = contents.warnings.clone();
    warnings.extend(compatibility::warnings(
        &contents.origin,
        server_version,
        &tool,
    ));
    let mut plan = RestorePlan {
        contents,
        target,
        uri: uri.clone(),
        tool,
        selection,
        steps,
        live,
        oplog: OplogEffects::default(),
        indexes,
        warnings,
        begun,
    };
    plan.inspect_oplog(cancel).await?;
    plan.check_replay(cancel).await?;
    plan.warnings.extend(plan.warning_of_users());
    if plan.selection.indexes != IndexPolicy::None {
        let left_out = describe_left_out(&plan.indexes, &Namespace::clone);
        plan.warnings.extend(left_out);
    }
    Ok(plan)
}

/// What becomes of each namespace of the archive that was chosen.
pub(crate) fn steps(
    contents: &Contents,
    selection: &Selection,
) -> Result<Vec<RestoreStep>, RestoreError> {
    if let Some(unused) = selection.unused_rename(contents.all().map(|(_, one)| &one.namespace)) {
        let summary = format!("--rename {unused} fits nothing that is to be restored");
        return Err(RestoreError::Name(Problem::new(summary, CHANGE_IT)));
    }
    let mut taken: HashMap<Namespace, Namespace> = HashMap::new();
    let mut steps = Vec::new();
    for (source, one) in contents.all().filter(|(_, one)| one.kind != Kind::Oplog) {
        let to = selection.target(&one.namespace);
        if let Some(problem) = selection::unfit_name(&one.namespace, &to) {
            return Err(RestoreError::Name(match one.namespace == to {
                true => Problem::new(
                    format!("{to} cannot be restored: {problem}"),
                    format!("leave it out with --exclude, or {CHANGE_IT}"),
                ),
                false => Problem::new(
                    format!("{} cannot become {to}: {problem}", one.namespace),
                    CHANGE_IT,
                ),
            }));
        }
        if let Some(other) = taken.insert(to.clone(), one.namespace.clone()) {
            let summary = format!("{other} and {} would both become {to}", one.namespace);
            return Err(RestoreError::Name(Problem::new(summary, CHANGE_IT)));
        }
        steps.push(RestoreStep {
            source,
            to,
            metadata: one.metadata.clone(),
        });
    }
    Ok(steps)
}

/// What is there already, and how much of it.
async fn inspect_target(
    steps: &[RestoreStep],
    target: &Target,
    cancel: &Cancel,
) -> Result<Vec<Live>, RestoreError> {
    let found = target.facts.found.iter();
    let kinds: HashMap<&Namespace, Kind> =
        found.map(|found| (&found.namespace, found.kind)).collect();
    let system = preflight::system_collections(steps, target, cancel).await?;
    let mut live = Vec::with_capacity(steps.len());
    for RestoreStep { to, .. } in steps {
        let there = kinds.get(to).copied();
        let there = there.or(system.contains(to).then_some(Kind::Collection));
        let documents = match there {
            Some(Kind::Collection) => cancel.or(target.estimate(to)).await??,
            _ => None,
        };
        live.push(Live {
            exists: there.is_some(),
            documents,
        });
    }
    Ok(live)
}

impl RestorePlan {
    /// Finds out which operations of the oplog belong to what is restored.
    async fn inspect_oplog(&mut self, cancel: &Cancel) -> Result<(), RestoreError> {
        if let Some(oplog) = self.contents.oplog().filter(|_| self.selection.oplog) {
            let inspecting = OplogEffects::inspect(self, oplog, cancel);
            (self.oplog, self.indexes) = inspecting.await?;
        }
        Ok(())
    }

    /// The targets that are there already. What is only read does not count.
    pub(super) fn existing(&self) -> Vec<&Namespace> {
        let steps = self.steps.iter().zip(&self.live);
        steps
            .filter(|(step, live)| live.exists && !preflight::is_auth_version(&step.to))
            .map(|(step, _)| &step.to)
            .collect()
    }

    /// What is going to happen, as it is shown before.
    pub(crate) fn preview(&self) -> RestoreReport {
        let steps = self.steps.iter().zip(&self.live);
        let namespaces: Vec<Restored> = steps
            .map(|(step, live)| {
                let archived = &self.contents[step.source];
                Restored {
                    namespace: archived.namespace.clone(),
                    kind: archived.kind,
                    to: step.to.clone(),
                    documents: archived.totals.documents,
                    bytes: archived.totals.bytes,
                    live_documents: live.documents,
                    exists: live.exists,
                    inserted: None,
                    failures: None,
                    on_server: None,
                    problem: None,
                    differences: None,
                }
            })
            .collect();
        RestoreReport {
            archive: self.contents.name.clone(),
            place: self.contents.place(),
            made_at: self.contents.made_at,
            hosts: self.target.hosts().to_owned(),
            dry_run: true,
            restored: false,
            drop: self.selection.drop,
            safety_archive: None,
            documents: namespaces.iter().map(|one| one.documents).sum(),
            bytes: namespaces.iter().map(|one| one.bytes).sum(),
            namespaces,
            indexes: IndexReport {
                policy: self.selection.indexes,
                archived: self.indexes.len() as u64,
                ..IndexReport::default()
            },
            matched: None,
            oplog_entries: self.oplog.entries,
            problems: Vec::new(),
            unchecked: Vec::new(),
            warnings: self.warnings.clone(),
            elapsed_seconds: 0.0,
        }
    }
}
