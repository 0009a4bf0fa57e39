//! Carrying a restore out: the safety backup, the documents, the indexes, and whether all of it is there.

use super::feed::{Load, most_readers};
use super::indexes::{BuildOutcome, IndexBuilder};
use super::preflight;
use super::reconcile;
use super::{Prepared, RestoreError};
use crate::archive::file_name;
use crate::archive::namespace::Namespace;
use crate::backup::archive_job;
use crate::context::Context;
use crate::mongo::mongorestore::{LoadError, LoadOutcome};
use crate::mongo::uri::MongoUri;
use crate::report::{IndexPolicy, RestoreReport};
use crate::settings::{NamespacePattern, OplogMode, Settings};
use crate::store::repository::Repository;
use std::collections::HashSet;
use std::sync::Arc;

/// Restores what was prepared. What went wrong on the way is in the report; an error means that nothing was changed.
pub(crate) async fn execute(
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
        .filter(|one| one.exists && !preflight::is_auth_version(&one.to))
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
    prepared.report.dry_run = false;
    let loaded = load(&prepared, settings)
        .run(settings, ctx, &ctx.stop)
        .await;
    reconcile::take_output(&mut prepared, &loaded);
    finish(&mut prepared, loaded, settings, ctx).await;
    let mut report = prepared.report;
    report.restored = report.problems.is_empty()
        && report.namespaces.iter().all(|one| one.problem.is_none())
        && report.indexes.is_as_asked();
    report.elapsed_seconds = prepared.begun.elapsed().as_secs_f64();
    prepared.target.close().await;
    Ok(report)
}

/// What follows once mongorestore has ended, as far as it came.
async fn finish(prepared: &mut Prepared, loaded: LoadOutcome, settings: &Settings, ctx: &Context) {
    match loaded.result {
        Err(LoadError::Interrupted(reason)) => prepared.report.problems.push(format!(
            "{reason}: what was restored so far may be incomplete. The archive is as it was; run it again with --drop"
        )),
        Err(error) => {
            prepared.report.problems.push(error.to_string());
            reconcile::documents(prepared, ctx).await;
            if prepared.report.indexes.archived > 0 {
                let why = "indexes were not built, since not all documents came";
                prepared.report.problems.push(why.into());
            }
        }
        Ok(()) => {
            reconcile::documents(prepared, ctx).await;
            let built = build_indexes(prepared, settings, ctx).await;
            reconcile::definitions(prepared, &built, ctx).await;
        }
    }
}

/// After the documents were counted: from then on, a TTL index may remove some.
async fn build_indexes(prepared: &Prepared, settings: &Settings, ctx: &Context) -> BuildOutcome {
    if prepared.selection.indexes == IndexPolicy::None {
        return BuildOutcome::unbuilt(&prepared.indexes);
    }
    let builder = IndexBuilder {
        target: &prepared.target,
        limit: settings.stall_timeout,
        screen: &ctx.screen,
        cancel: &ctx.stop,
    };
    builder.run(&prepared.indexes).await
}

fn load(prepared: &Prepared, settings: &Settings) -> Load {
    let operations = (prepared.operations_fed > 0).then(|| {
        let (selection, untouchable) = (prepared.selection.clone(), prepared.untouchable.clone());
        Box::new(move |from: &Namespace| selection.target_of_operation(from, &untouchable))
            as Box<_>
    });
    Load {
        contents: Arc::clone(&prepared.contents),
        steps: prepared.steps.clone(),
        uri: prepared.uri.clone(),
        tool: prepared.tool.clone(),
        drop: prepared.selection.drop,
        readers: most_readers(settings),
        operations,
    }
}

/// Those of a backup of exactly what will be dropped; of `admin`, whole: users are dumped with nothing else of it left out.
fn safety_settings<'n>(
    settings: &Settings,
    databases: Vec<String>,
    dropped: &[Namespace],
    there: impl Iterator<Item = &'n Namespace>,
) -> Settings {
    let exclude = there
        .filter(|namespace| databases.contains(&namespace.database) && !dropped.contains(namespace))
        .filter(|namespace| namespace.database != "admin")
        .filter_map(|namespace| {
            NamespacePattern::exactly(&namespace.database, &namespace.collection)
        })
        .collect();
    Settings {
        databases,
        exclude,
        oplog: OplogMode::Off,
        prefix: file_name::safety_prefix(&settings.prefix),
        ..settings.clone()
    }
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
    let there = facts.found.iter().map(|found| &found.namespace);
    let settings = safety_settings(settings, databases, existing, there);
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
