//! Looks at the archive and at the target, and comes to a plan.

use super::compatibility;
use super::contents;
use super::error::RestoreError;
use super::indexes::{IndexCatalog, describe_left_out};
use super::plan::{Live, OplogEffects, RestorePlan};
use super::preflight;
use super::replay;
use super::selection::Selection;
use super::steps::{RestoreStep, steps};
use super::system::system_collections;
use crate::archive::namespace::{Kind, Namespace};
use crate::context::Context;
use crate::mongo::client::Facts;
use crate::mongo::target::Target;
use crate::mongo::tool::Tool;
use crate::mongo::uri::MongoUri;
use crate::report::IndexPolicy;
use crate::settings::Settings;
use crate::store::located::Located;
use crate::sys::cancel::Cancel;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Instant;

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
    let steps: Arc<[RestoreStep]> = steps(&contents, &selection)?.into();
    let target = cancel
        .or(Target::connect(uri, settings.stall_timeout))
        .await??;
    let there = present(&steps, &target, &target.facts, cancel).await?;
    let live = inspect_target(&steps, &there, &target, cancel).await?;
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
    if let Some(oplog) = plan.contents.oplog().filter(|_| plan.selection.oplog) {
        let inspecting = replay::inspect(&plan, oplog, cancel);
        (plan.oplog, plan.indexes) = inspecting.await?;
    }
    preflight::check_replay(&plan, cancel).await?;
    plan.warnings.extend(preflight::warning_of_users(&plan));
    let of_room = cancel.or(preflight::warning_of_room(&plan)).await?;
    plan.warnings.extend(of_room);
    if plan.selection.indexes != IndexPolicy::None {
        let left_out = describe_left_out(&plan.indexes, &Namespace::clone);
        plan.warnings.extend(left_out);
    }
    Ok(plan)
}

/// Which of the targets are there, by what `facts` say of the server.
pub(super) async fn present(
    steps: &[RestoreStep],
    target: &Target,
    facts: &Facts,
    cancel: &Cancel,
) -> Result<HashMap<Namespace, Kind>, RestoreError> {
    let found = facts.found.iter();
    let mut kinds: HashMap<&Namespace, Kind> =
        found.map(|found| (&found.namespace, found.kind)).collect();
    let system = system_collections(steps, target, cancel).await?;
    kinds.extend(system.iter().map(|namespace| (namespace, Kind::Collection)));
    let there = steps
        .iter()
        .filter_map(|step| Some((step.to.clone(), *kinds.get(&step.to)?)));
    Ok(there.collect())
}

/// What is there already, and how much of it.
async fn inspect_target(
    steps: &[RestoreStep],
    there: &HashMap<Namespace, Kind>,
    target: &Target,
    cancel: &Cancel,
) -> Result<Vec<Live>, RestoreError> {
    let mut live = Vec::with_capacity(steps.len());
    for RestoreStep { to, .. } in steps {
        let there = there.get(to);
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
