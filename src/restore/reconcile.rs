//! Whether all that should be there is there: mongorestore's figures and the server's, against the archive's.

use super::definition::StoredDefinition;
use super::diff::{self, Pair};
use super::indexes::{BuildEnd, BuildOutcome};
use super::preflight;
use super::{Prepared, Step};
use crate::archive::namespace::{Kind, Namespace};
use crate::context::Context;
use crate::mongo::client::Definition;
use crate::mongo::mongorestore::LoadOutcome;
use crate::report::{IndexPolicy, Restored};
use crate::sys::humanize::{self, count, counted};
use crate::sys::progress::{Meter, Unit};
use std::collections::HashMap;
use std::error::Error;
use std::fmt;
use std::time::Duration;

/// Complaints of mongorestore that are passed on.
const COMPLAINTS: usize = 5;
/// A server that takes longer to say that it is there is not asked what it holds.
const LONGEST_SILENCE: Duration = Duration::from_secs(10);

/// Takes over what mongorestore printed.
pub(super) fn take_output(prepared: &mut Prepared, loaded: &LoadOutcome) {
    let output = &loaded.output;
    let all_sent = loaded.result.is_ok();
    for one in &mut prepared.report.namespaces {
        let finished = output
            .finished
            .get(&format!("{}.{}", one.to.database, one.to.collection));
        one.inserted = finished.map(|finished| finished.inserted);
        one.failures = finished.map(|finished| finished.failures);
        one.problem = match finished {
            Some(finished) if finished.failures > 0 => Some(format!(
                "{} could not be inserted",
                counted(finished.failures, "document")
            )),
            Some(finished) if finished.inserted != one.documents => Some(format!(
                "mongorestore inserted {} of {}",
                count(finished.inserted),
                counted(one.documents, "document")
            )),
            None if !all_sent && one.kind != Kind::View => {
                Some("not restored, or not to its end".into())
            }
            _ => None,
        };
    }
    let report = &mut prepared.report;
    let complaints = output.complaints.iter().take(COMPLAINTS);
    report
        .problems
        .extend(complaints.map(|complaint| format!("mongorestore: {complaint}")));
    let more = output.complaints.len().saturating_sub(COMPLAINTS) as u64 + output.more_complaints;
    if more > 0 {
        let more = count(more);
        report
            .problems
            .push(format!("mongorestore: and {more} more like these"));
    }
    if all_sent
        && let Some(total) = output.total
        && total.failures > 0
        && report.namespaces.iter().all(|one| one.problem.is_none())
    {
        let failures = counted(total.failures, "document");
        report.problems.push(format!(
            "{failures} could not be inserted; mongorestore does not say where"
        ));
    }
    if all_sent && prepared.operations_fed > 0 && output.applied.unwrap_or_default() == 0 {
        report.problems.push("the oplog was not replayed".into());
    }
}

/// Inspects what documents the server holds now, and names what is missing.
pub(super) async fn documents(prepared: &mut Prepared, ctx: &Context) {
    let mut expiring = Vec::new();
    if !prepared.target.answers(LONGEST_SILENCE).await {
        let problem = format!("{} does not answer any more", prepared.target.hosts());
        prepared.report.warnings.push(not_compared(&problem));
    } else if let Err(problem) = inspect_documents(prepared, ctx, &mut expiring).await {
        prepared.report.warnings.push(not_compared(problem));
    }
    for one in &mut prepared.report.namespaces {
        if preflight::is_auth_version(&one.to) {
            continue;
        }
        // Their own replacement may have taken our user away.
        if preflight::is_users_or_roles(&one.to) && one.on_server.is_none() && one.problem.is_none()
        {
            prepared.report.unchecked.push(preflight::how_to_count(one));
            continue;
        }
        let counted = one.inserted == Some(one.documents);
        let there = one.on_server.is_some_and(|there| there >= one.documents);
        if !counted && !there && one.problem.is_none() && !expiring.contains(&one.to) {
            one.problem =
                Some("neither mongorestore nor the server says that all of it is there".into());
        }
    }
}

fn not_compared(problem: impl fmt::Display) -> String {
    format!("what the server holds now could not be compared: {problem}")
}

/// `expiring` becomes the targets from which documents have begun to expire.
async fn inspect_documents(
    prepared: &mut Prepared,
    ctx: &Context,
    expiring: &mut Vec<Namespace>,
) -> Result<(), Box<dyn Error>> {
    let mut suspects: Vec<Pair> = Vec::new();
    let mut warnings = Vec::new();
    for (step, one) in prepared.steps.iter().zip(&mut prepared.report.namespaces) {
        if preflight::is_auth_version(&step.to) {
            continue;
        }
        // The oplog has made it another collection; a time series counts in another way than it stores.
        let counted_alone = one.kind == Kind::Collection && !prepared.replayed.contains(&step.to);
        if counted_alone {
            let mut there = ctx.stop.or(prepared.target.estimate(&step.to)).await??;
            if there.is_some_and(|there| there != one.documents) {
                there = ctx.stop.or(prepared.target.count(&step.to)).await??;
            }
            one.on_server = there;
            let metadata = &prepared.contents.holdings[step.holding].metadata;
            if there.is_some_and(|there| there < one.documents)
                && has_begun_to_expire(one, metadata)
            {
                expiring.push(step.to.clone());
                warnings.push(format!(
                    "{}: {} of {} are there: by its options, what has expired is removed",
                    step.to,
                    count(there.unwrap_or_default()),
                    counted(one.documents, "document")
                ));
            } else {
                warnings.extend(compare_counts(one));
            }
        }
        // What is not there counts zero as well.
        let nothing_counted =
            (!counted_alone || one.documents == 0) && !preflight::is_users_or_roles(&step.to);
        if nothing_counted {
            let definition = prepared.target.definition(&step.to);
            if ctx.stop.or(definition).await??.is_none() {
                one.problem.get_or_insert_with(|| "it is not there".into());
            }
        }
        if one.problem.is_some() && counted_alone {
            suspects.push((step.holding, step.to.clone()));
        }
    }
    prepared.report.warnings.extend(warnings);
    if suspects.is_empty() {
        return Ok(());
    }
    name_differences(prepared, ctx, &suspects).await
}

/// Holds the count of the server against the archive's. What should be known though nothing is missing.
fn compare_counts(one: &mut Restored) -> Option<String> {
    let there = one.on_server?;
    if there < one.documents {
        one.problem.get_or_insert_with(|| {
            format!(
                "the server holds {} of {}",
                count(there),
                counted(one.documents, "document")
            )
        });
    }
    (there > one.documents).then(|| {
        format!(
            "{}: {} are there, {} more than the archive holds: somebody else is writing",
            one.to,
            counted(there, "document"),
            count(there - one.documents)
        )
    })
}

/// Whether documents may be gone again because they expired. TTL indexes are built only after this was asked; by its own
/// options, a collection's documents expire as soon as they are inserted, which mongorestore must have said of them all.
fn has_begun_to_expire(one: &Restored, metadata: &str) -> bool {
    one.inserted == Some(one.documents)
        && StoredDefinition::parse(metadata).is_some_and(|stored| stored.expiry().is_some())
}

async fn name_differences(
    prepared: &mut Prepared,
    ctx: &Context,
    suspects: &[Pair],
) -> Result<(), Box<dyn Error>> {
    let meter = Meter::new("comparing", Unit::Bytes, None, &ctx.screen);
    let (contents, target) = (&prepared.contents, &prepared.target);
    let mut differences = diff::run(contents, suspects, target, &meter, &ctx.stop).await?;
    for (step, one) in prepared.steps.iter().zip(&mut prepared.report.namespaces) {
        one.differences = differences.remove(&step.holding);
    }
    Ok(())
}

/// Holds options and indexes of all that was restored against the archive's, and says how building ended.
pub(super) async fn definitions(prepared: &mut Prepared, built: &BuildOutcome, ctx: &Context) {
    let mut found = HashMap::new();
    match &built.end {
        BuildEnd::Complete => {
            if let Err(problem) = inspect_definitions(prepared, ctx, &mut found).await {
                prepared.report.warnings.push(not_compared(problem));
            }
        }
        BuildEnd::Interrupted(reason) => prepared.report.problems.push(format!(
            "{reason}, while indexes were built: the documents are there. Build the missing indexes with the commands \
             below, or run it again with --drop"
        )),
        BuildEnd::Server(error) => prepared.report.problems.push(format!(
            "the documents are there, but not all indexes could be built: {error}"
        )),
    }
    for (step, one) in prepared.steps.iter().zip(&mut prepared.report.namespaces) {
        // What the oplog changed, it may have changed the options of.
        if prepared.replayed.contains(&step.to) {
            continue;
        }
        let metadata = &prepared.contents.holdings[step.holding].metadata;
        let stored = StoredDefinition::parse(metadata).unwrap_or_default();
        let definition = found.get(&step.to);
        if let Some(difference) = definition.and_then(|found| stored.option_difference(found)) {
            one.problem.get_or_insert(difference);
        }
    }
    let indexes = &mut prepared.report.indexes;
    indexes.built = built.built();
    if indexes.policy == IndexPolicy::None {
        if indexes.archived > 0 {
            let left_out = humanize::indexes(indexes.archived);
            prepared.report.warnings.push(format!(
                "{left_out} of the archive not built, as asked with --indexes none: only those of _id are there"
            ));
        }
        return;
    }
    for (namespace, specs) in prepared.indexes.collections() {
        let there = found
            .get(namespace)
            .and_then(|found| found.indexes.as_deref());
        let problems = built.problems(namespace, specs, there);
        indexes.problems.extend(problems);
    }
}

async fn inspect_definitions(
    prepared: &Prepared,
    ctx: &Context,
    found: &mut HashMap<Namespace, Definition>,
) -> Result<(), Box<dyn Error>> {
    let is_users = |step: &&Step| !step.to.collection.starts_with("system.");
    let restored = prepared.steps.iter().filter(is_users).map(|step| &step.to);
    let indexed = prepared
        .indexes
        .collections()
        .map(|(namespace, _)| namespace);
    for namespace in restored.chain(indexed) {
        if found.contains_key(namespace) {
            continue;
        }
        let definition = ctx.stop.or(prepared.target.definition(namespace)).await??;
        found.extend(definition.map(|definition| (namespace.clone(), definition)));
    }
    Ok(())
}
