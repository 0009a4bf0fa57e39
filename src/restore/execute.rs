//! Carrying a restore out: the safety backup, the documents, the indexes, and whether all of it is there.

use super::error::RestoreError;
use super::feed::{Load, most_readers};
use super::indexes::{BuildOutcome, IndexBuilder};
use super::plan::RestorePlan;
use super::preflight::NAMED;
use super::prepare;
use super::reconcile::Reconciliation;
use super::system::{is_auth_version, is_users_or_roles};
use crate::archive::file_name;
use crate::archive::namespace::Namespace;
use crate::backup::archive_job;
use crate::context::Context;
use crate::mongo::mongorestore::{LoadError, LoadOutcome};
use crate::mongo::uri::MongoUri;
use crate::report::{IndexPolicy, RestoreReport};
use crate::settings::{NamespacePattern, OplogMode, Settings};
use crate::store::locked::LockedRepository;
use crate::store::repository::Repository;
use crate::sys::cancel::Cancel;
use crate::sys::humanize::first_and_more;
use std::collections::HashSet;
use std::sync::Arc;

/// Restores what was planned. What went wrong on the way is in the report; an error means that nothing was changed.
pub(crate) async fn execute(
    plan: RestorePlan,
    settings: &Settings,
    ctx: &Context,
) -> Result<RestoreReport, RestoreError> {
    if let Some(refusal) = plan.refusal() {
        return Err(refusal);
    }
    let existing: Vec<Namespace> = plan.existing().into_iter().cloned().collect();
    let folder = lock_folder(&plan, settings, !existing.is_empty())?;
    let mut safety_archive = None;
    if let Some(repository) = folder.as_ref().filter(|_| !existing.is_empty()) {
        let safety = back_up_first(settings, ctx, &plan.uri, &existing, repository).await?;
        tracing::info!("what is about to be dropped is safe in {safety}");
        safety_archive = Some(safety);
    }
    refuse_what_appeared(&plan, &existing, settings, &ctx.cancel).await?;
    drop_saved(&plan, &existing, safety_archive.as_deref(), settings).await?;
    tracing::info!(
        "restoring; if interrupted, run the same command again with --drop, and with {} for its name; the archive is never modified",
        plan.contents.name
    );
    let loaded = load(&plan, settings).run(settings, ctx, &ctx.cancel).await;
    let mut reconciliation = Reconciliation::new(&plan, ctx, &loaded);
    finish(&mut reconciliation, loaded, settings).await;
    let report = reconciliation.into_report(safety_archive);
    plan.target.close().await;
    drop(folder);
    Ok(report)
}

/// Keeps backups out of a server that is half restored: such an archive would be the latest. Where nothing is to be saved, and
/// the folder cannot be locked, as on a disk that is read-only, no backup can be made there either.
fn lock_folder(
    plan: &RestorePlan,
    settings: &Settings,
    saves: bool,
) -> Result<Option<LockedRepository>, RestoreError> {
    let backed_up = settings.mongodb.as_ref().map(MongoUri::hosts);
    if !saves && backed_up != Some(plan.uri.hosts()) {
        return Ok(None);
    }
    let safety = Settings {
        prefix: file_name::safety_prefix(&settings.prefix),
        ..settings.clone()
    };
    match Repository::of(&safety).lock(settings.require_mount) {
        Ok(locked) => Ok(Some(locked)),
        Err(error) if saves || error.is_busy() => Err(error.into()),
        Err(_) => Ok(None),
    }
}

/// Looks again: the question and the safety backup took their time, and what appeared meanwhile is in no archive.
async fn refuse_what_appeared(
    plan: &RestorePlan,
    existing: &[Namespace],
    settings: &Settings,
    cancel: &Cancel,
) -> Result<(), RestoreError> {
    let looking = plan.target.look_again(settings.stall_timeout);
    let facts = cancel.or(looking).await??;
    let there = prepare::present(&plan.steps, &plan.target, &facts, cancel).await?;
    let mut appeared: Vec<String> = there
        .keys()
        .filter(|to| !existing.contains(to) && !is_auth_version(to))
        .map(ToString::to_string)
        .collect();
    appeared.sort();
    if appeared.is_empty() {
        return Ok(());
    }
    Err(RestoreError::Appeared {
        hosts: plan.target.hosts().to_owned(),
        appeared: first_and_more(&appeared, NAMED),
    })
}

/// Drops what was saved, and nothing else: mongorestore with --drop takes whatever has the name by the time it gets there.
/// Users and roles are left to it, since the server takes them as a whole.
async fn drop_saved(
    plan: &RestorePlan,
    saved: &[Namespace],
    safety_archive: Option<&str>,
    settings: &Settings,
) -> Result<(), RestoreError> {
    for namespace in saved.iter().filter(|to| !is_users_or_roles(to)) {
        let dropping = plan
            .target
            .drop_collection(namespace, settings.stall_timeout);
        dropping.await.map_err(|error| RestoreError::NotDropped {
            namespace: namespace.clone(),
            reason: error.to_string(),
            safety: safety_archive.unwrap_or_default().to_owned(),
        })?;
    }
    Ok(())
}

/// What follows once mongorestore has ended, as far as it came.
async fn finish(reconciliation: &mut Reconciliation<'_>, loaded: LoadOutcome, settings: &Settings) {
    let plan = reconciliation.plan;
    match loaded.result {
        Err(LoadError::Interrupted(reason)) => reconciliation.problems.push(format!(
            "{reason}: what was restored so far may be incomplete. The archive is as it was; run it again with --drop, and \
             with {} for its name",
            plan.contents.name
        )),
        Err(error) => {
            reconciliation.problems.push(error.to_string());
            reconciliation.documents().await;
            if plan.indexes.len() > 0 {
                let why = "indexes were not built, since not all documents came";
                reconciliation.problems.push(why.into());
            }
        }
        Ok(()) => {
            reconciliation.documents().await;
            let built = build_indexes(plan, settings, reconciliation.ctx).await;
            reconciliation.definitions(&built).await;
        }
    }
}

/// After the documents were counted: from then on, a TTL index may remove some.
async fn build_indexes(plan: &RestorePlan, settings: &Settings, ctx: &Context) -> BuildOutcome {
    if plan.selection.indexes == IndexPolicy::None {
        return BuildOutcome::unbuilt(&plan.indexes);
    }
    let builder = IndexBuilder {
        target: &plan.target,
        threads: settings.threads,
        limit: settings.stall_timeout,
        screen: &ctx.screen,
        cancel: &ctx.cancel,
    };
    builder.run(&plan.indexes).await
}

fn load(plan: &RestorePlan, settings: &Settings) -> Load {
    let operations = (plan.oplog.fed > 0).then(|| {
        let (selection, untouchable) = (plan.selection.clone(), plan.oplog.untouchable.clone());
        Box::new(move |from: &Namespace| selection.target_of_operation(from, &untouchable))
            as Box<_>
    });
    Load {
        contents: Arc::clone(&plan.contents),
        steps: Arc::clone(&plan.steps),
        uri: plan.uri.clone(),
        tool: plan.tool.clone(),
        drop: plan.selection.drop && plan.existing().into_iter().any(is_users_or_roles),
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
    repository: &LockedRepository,
) -> Result<String, RestoreError> {
    let mut databases: Vec<String> = existing
        .iter()
        .map(|namespace| namespace.database.clone())
        .collect();
    databases.sort();
    databases.dedup();
    let facts = ctx
        .cancel
        .or(crate::mongo::client::ask(
            uri,
            &databases,
            settings.stall_timeout,
        ))
        .await??;
    let there = facts.found.iter().map(|found| &found.namespace);
    let settings = safety_settings(settings, databases, existing, there);
    tracing::info!("backing up first what will be dropped");
    let report = archive_job::backup(&settings, uri, ctx, repository, None).await;
    let report = report.map_err(|failed| RestoreError::Safety(ctx.explain(&failed.error)))?;
    let stem = repository.find(&report.archive)?;
    let manifest = repository
        .manifest(&stem)
        .ok_or_else(|| RestoreError::Safety("it cannot be read back".into()))?;
    let saved: HashSet<&Namespace> = manifest
        .namespaces
        .iter()
        .map(|entry| &entry.namespace)
        .collect();
    match existing.iter().find(|namespace| !saved.contains(namespace)) {
        Some(lost) => Err(RestoreError::Safety(format!("it lacks {lost}"))),
        None => Ok(report.archive),
    }
}
