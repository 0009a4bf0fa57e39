//! What a target is like into which single documents go.

use super::MatchPlan;
use crate::archive::namespace::{Kind, Namespace};
use crate::mongo::target::Target;
use crate::report::Problem;
use crate::restore::RestoreError;
use crate::restore::contents::{Broken, Contents};
use crate::restore::definition::{StoredDefinition, is_capped};
use crate::restore::oplog;
use crate::restore::plan::Live;
use crate::restore::replay::{OperationError, read_through};
use crate::restore::steps::RestoreStep;
use crate::sys::cancel::Cancel;
use crate::sys::humanize::counted;
use mongodb::bson::Document;
use std::sync::Arc;

/// Options that only old servers knew, or that say nothing of what is stored.
const NOT_CREATED: [&str; 3] = ["autoIndexId", "flags", "temp"];
const BESIDE: &str = "restore them beside it, with --rename";

/// What is there, if single documents can go there.
pub(super) async fn inspect(
    contents: &Contents,
    step: &RestoreStep,
    target: &Target,
    cancel: &Cancel,
    warnings: &mut Vec<String>,
) -> Result<Live, RestoreError> {
    let to = &step.to;
    let stored = StoredDefinition::parse(&contents[step.source].metadata);
    let found = target.facts.found.iter().find(|one| one.namespace == *to);
    let Some(found) = found else {
        let stored = stored.map_err(|problem| not_to_be_made(to, &problem))?;
        if stored.is_capped() {
            return Err(capped(to));
        }
        warnings.push(made_new(to, &stored));
        warnings.extend(warning_of_expiry(to, &stored.options, &[]));
        return Ok(Live::default());
    };
    let what = match found.kind {
        Kind::View => Some("a view"),
        Kind::TimeSeries => Some("a time series"),
        Kind::Collection | Kind::Oplog => None,
    };
    if let Some(what) = what {
        let summary = format!(
            "{to} is {what} on {}: no documents can be put into it",
            target.hosts()
        );
        return Err(RestoreError::Unsuitable(Problem::new(summary, BESIDE)));
    }
    if let Some(there) = cancel.or(target.definition(to)).await?? {
        if is_capped(&there.options) {
            return Err(capped(to));
        }
        let indexes = there.indexes.unwrap_or_default();
        warnings.extend(warning_of_expiry(to, &there.options, &indexes));
    }
    Ok(Live {
        exists: true,
        documents: cancel.or(target.estimate(to)).await??,
    })
}

/// It would not be the collection that was archived.
fn not_to_be_made(to: &Namespace, problem: &str) -> RestoreError {
    let summary = format!("{to} is not there, and cannot be made as it was: {problem}");
    RestoreError::Unsuitable(Problem::new(
        summary,
        "create it first, or restore into a collection that is there, with --rename",
    ))
}

fn capped(to: &Namespace) -> RestoreError {
    let summary = format!("{to} is capped: each document that goes in may push an older one out");
    RestoreError::Unsuitable(Problem::new(
        summary,
        "restore all of it beside, with --rename and without --match",
    ))
}

fn made_new(to: &Namespace, stored: &StoredDefinition) -> String {
    let own = |index: &&Document| index.get_str("name").is_ok_and(|name| name != "_id_");
    let indexes = match stored.indexes.iter().filter(own).count() as u64 {
        0 => String::new(),
        1 => ", without the index that the archive has for it".into(),
        more => format!(", without the {more} indexes that the archive has for it"),
    };
    format!("{to} is not there: it is created with the options of the archive{indexes}")
}

/// Documents that expire may be gone again before anybody has seen them.
fn warning_of_expiry(to: &Namespace, options: &Document, indexes: &[Document]) -> Option<String> {
    let mut all = indexes.iter().chain([options]);
    all.any(|one| one.contains_key("expireAfterSeconds")).then(|| {
        format!("documents of {to} expire: the server soon removes again what is older than it may be")
    })
}

/// Says that the documents are those of the dump, where the oplog changes any of that collection.
pub(super) async fn warning_of_oplog(
    contents: &Arc<Contents>,
    step: &RestoreStep,
    cancel: &Cancel,
) -> Result<Option<String>, RestoreError> {
    let Some(oplog) = contents.oplog() else {
        return Ok(None);
    };
    let namespace = contents[step.source].namespace.clone();
    let (reading, about) = (Arc::clone(contents), namespace.clone());
    let counting = cancel.blocking(move |cancelled| {
        let target = |from: &Namespace| (*from == about).then(|| from.clone());
        let (mut operations, mut effects) = (0, oplog::Effects::default());
        let read = read_through(&reading, oplog, &target, cancelled, &mut |operation| {
            operations += u64::from(effects.applies(&operation));
            Ok(())
        });
        match read {
            Ok(()) => Ok(Some(operations)),
            // Which collections it is about cannot be told.
            Err(Broken::Visitor(OperationError::Unfit(_))) => Ok(None),
            Err(Broken::Visitor(error)) => Err(error.to_string()),
            Err(Broken::Archive(problem)) => Err(problem),
        }
    });
    let operations = counting.await?.map_err(|damage| RestoreError::Damaged {
        name: contents.name.clone(),
        damage,
    })?;
    let changes = match operations {
        Some(0) => return Ok(None),
        Some(operations) => counted(operations, "operation"),
        None => "operations that cannot be told apart".into(),
    };
    Ok(Some(format!(
        "--match takes documents as they were dumped, as `show` does: {changes} of the oplog, which changed {namespace} during the \
         dump, are not replayed"
    )))
}

/// Makes the collection, which is not there, as the archive has it.
pub(super) async fn create(plan: &MatchPlan, cancel: &Cancel) -> Result<(), RestoreError> {
    let metadata = &plan.contents[plan.step.source].metadata;
    let stored = StoredDefinition::parse(metadata);
    let stored = stored.map_err(|problem| not_to_be_made(&plan.step.to, &problem))?;
    let mut options = stored.options;
    for unknown in NOT_CREATED {
        options.remove(unknown);
    }
    cancel
        .or(plan.target.create(&plan.step.to, &options))
        .await??;
    Ok(())
}
