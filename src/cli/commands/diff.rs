//! `pantry-keeper diff`.

use super::server;
use super::show::{failure, with_archive};
use crate::archive::namespace::Namespace;
use crate::cli::args::DiffArguments;
use crate::cli::exit::{CommandError, ExitStatus};
use crate::cli::output;
use crate::context::Context;
use crate::inspect::diff::{self, Other, Tell};
use crate::inspect::{Archive, InspectError};
use crate::mongo::target::Target;
use crate::offsite::Within;
use crate::report::{DiffReport, DocumentDifference};
use crate::settings::Settings;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

/// Documents of one collection that a JSON document names; the rest are counted.
const LISTED: usize = 1000;

pub(crate) async fn diff(
    settings: &Settings,
    ctx: &Context,
    arguments: &DiffArguments,
) -> Result<ExitStatus, CommandError> {
    let within = arguments.source.within();
    let from = open(settings, ctx, &arguments.name, within).await?;
    let to = match &arguments.other {
        Some(other) => Other::Archive(open(settings, ctx, other, within).await?),
        None => Other::Live(Box::new(connect(settings, ctx).await?)),
    };
    let listed = Arc::new(Mutex::new(BTreeMap::new()));
    let teller = |namespace: &Namespace| match (arguments.documents, arguments.output.json) {
        (false, _) => None,
        (true, true) => Some(list(namespace, &listed)),
        (true, false) => Some(print(namespace)),
    };
    let report = diff::diff(ctx, &from, &to, &teller).await;
    let mut report = report.map_err(|error| failure(&error, ctx))?;
    if let Other::Live(target) = to {
        target.close().await;
    }
    for warning in &report.warnings {
        tracing::warn!("{warning}");
    }
    if arguments.output.json {
        let mut listed = listed.lock().unwrap_or_else(PoisonError::into_inner);
        add_listed(&mut report, arguments.documents, &mut listed);
        output::json(&report)?;
    } else {
        output::print(&output::inspect::diff(&report))?;
    }
    Ok(ExitStatus::Done)
}

async fn open(
    settings: &Settings,
    ctx: &Context,
    name: &str,
    within: Within,
) -> Result<Arc<Archive>, CommandError> {
    let archive = with_archive(settings, ctx, (name, within), |_, _, archive, _| {
        Ok(Arc::new(archive))
    });
    archive.await
}

async fn connect(settings: &Settings, ctx: &Context) -> Result<Target, CommandError> {
    let connecting = Target::connect(server(settings)?, settings.stall_timeout);
    let connected = ctx.cancel.or(connecting).await.map_err(InspectError::from);
    let target = connected.and_then(|target| target.map_err(InspectError::from));
    target.map_err(|error| failure(&error, ctx))
}

/// Documents that differ, and how many more do.
type Listed = BTreeMap<Namespace, (Vec<DocumentDifference>, u64)>;

fn list(namespace: &Namespace, listed: &Arc<Mutex<Listed>>) -> Tell {
    let (namespace, listed) = (namespace.clone(), Arc::clone(listed));
    Box::new(move |difference| {
        let mut listed = listed.lock().unwrap_or_else(PoisonError::into_inner);
        let (documents, more) = listed.entry(namespace.clone()).or_default();
        match documents.len() < LISTED {
            true => documents.push(difference),
            false => *more += 1,
        }
    })
}

fn print(namespace: &Namespace) -> Tell {
    let mut head = Some(format!("{namespace}\n"));
    Box::new(move |difference| {
        let head = head.take().unwrap_or_default();
        // What keeps it from being written keeps the report from it as well, and is told then.
        let _ = output::print(&format!("{head}{}", output::inspect::document(&difference)));
    })
}

fn add_listed(report: &mut DiffReport, asked: bool, listed: &mut Listed) {
    for one in &mut report.collections {
        let found = listed.remove(&one.namespace);
        let (documents, more) = found.unwrap_or_default();
        one.differences = asked.then_some(documents);
        one.differences_left_out = more;
    }
}
