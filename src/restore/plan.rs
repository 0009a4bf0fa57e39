//! Everything that is known before anything is changed.

use super::contents::Contents;
use super::indexes::IndexCatalog;
use super::selection::Selection;
use super::steps::RestoreStep;
use super::system::is_auth_version;
use crate::archive::namespace::Namespace;
use crate::mongo::target::Target;
use crate::mongo::tool::Tool;
use crate::mongo::uri::MongoUri;
use crate::report::{IndexReport, RestoreReport, Restored};
use std::collections::HashSet;
use std::sync::Arc;
use std::time::Instant;

/// What a restore will do, and what is on the target now.
pub(crate) struct RestorePlan {
    pub contents: Arc<Contents>,
    pub target: Target,
    pub uri: MongoUri,
    pub tool: Tool,
    pub selection: Selection,
    pub steps: Arc<[RestoreStep]>,
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

/// What an oplog does to what is restored.
#[derive(Debug, Default)]
pub(crate) struct OplogEffects {
    /// Operations that change something.
    pub entries: u64,
    /// Of those, the ones for mongorestore; the others are about indexes alone.
    pub fed: u64,
    /// Targets whose documents are no longer those of the dump.
    pub replayed: HashSet<Namespace>,
    /// Namespaces on the target that it must leave alone.
    pub untouchable: HashSet<Namespace>,
}

impl RestorePlan {
    /// The targets that are there already. What is only read does not count.
    pub(super) fn existing(&self) -> Vec<&Namespace> {
        let steps = self.steps.iter().zip(&self.live);
        steps
            .filter(|(step, live)| live.exists && !is_auth_version(&step.to))
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
