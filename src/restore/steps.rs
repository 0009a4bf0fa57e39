//! Which namespaces of an archive are restored, and under which names.

use super::contents::{ArchivedId, Contents};
use super::error::RestoreError;
use super::selection::{self, Selection};
use crate::archive::namespace::{Kind, Namespace};
use crate::report::Problem;
use std::collections::HashMap;

const CHANGE_IT: &str = "change --rename";

/// One namespace to restore.
#[derive(Debug, Clone)]
pub(crate) struct RestoreStep {
    pub source: ArchivedId,
    pub to: Namespace,
    /// Options and indexes that mongorestore is told in place of the archive's.
    pub metadata: Option<String>,
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
        let unfit = selection::unfit_name(&one.namespace, &to);
        if let Some(problem) = unfit.or_else(|| selection::too_long(one.kind, &to)) {
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
            metadata: None,
        });
    }
    Ok(steps)
}
