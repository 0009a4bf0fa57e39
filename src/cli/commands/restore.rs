//! `pantry-keeper restore`.

use super::server;
use crate::cli::args::RestoreArguments;
use crate::cli::exit::{CommandError, ExitStatus};
use crate::cli::output;
use crate::context::Context;
use crate::mongo::uri::MongoUri;
use crate::offsite;
use crate::report::RestoreReport;
use crate::restore::{self, RestoreError, RestorePlan, Selection};
use crate::settings::{NamespacePattern, Refusal, Rename, Settings, without_bom};
use crate::store::repository::{RepositoryError, RepositoryLockError};
use crate::sys::cancel::Interruption;
use crate::sys::redact::Secret;
use std::ffi::OsString;
use std::io::{BufRead, IsTerminal, Read};
use std::os::unix::fs::OpenOptionsExt;

/// Stands for a connection string until its pipe is open.
pub(crate) const HIDDEN: &str = "--to=/dev/fd/";
/// A connection string is one line.
const LONGEST_FILE: u64 = 64 * 1024;

/// How the program starts itself again.
pub(crate) struct Restart {
    pub arguments: Vec<OsString>,
    /// What goes into pipes instead, in the order of [`HIDDEN`] among the arguments.
    pub hidden: Vec<Secret>,
}

/// Arguments under which to start again, when a password is among them: everybody on this machine can read them. It goes
/// into a pipe instead, which the one who starts again reads like a file.
pub(crate) fn without_passwords(arguments: &[OsString]) -> Option<Restart> {
    let mut hidden = Vec::new();
    let mut kept: Vec<OsString> = Vec::new();
    let mut after_to = false;
    for argument in arguments {
        let text = argument.to_string_lossy();
        let value = if after_to {
            Some(text.as_ref())
        } else {
            text.strip_prefix("--to=")
        };
        after_to = !after_to && text == "--to";
        match value.filter(|value| value.contains("://") && value.contains('@')) {
            Some(uri) => {
                hidden.push(Secret::new(uri));
                if kept.last().is_some_and(|last| last == "--to") {
                    kept.pop();
                }
                kept.push(HIDDEN.into());
            }
            None => kept.push(argument.clone()),
        }
    }
    (!hidden.is_empty()).then_some(Restart {
        arguments: kept,
        hidden,
    })
}

/// The target of `--to`, and everything in it that must not be shown.
pub(crate) fn target(to: &str) -> Result<MongoUri, String> {
    let text = match to.contains("://") {
        true => to.to_owned(),
        false => {
            let mut text = String::new();
            std::fs::OpenOptions::new()
                .read(true)
                .custom_flags(rustix::fs::OFlags::NONBLOCK.bits() as i32)
                .open(to)
                .and_then(|file| file.take(LONGEST_FILE).read_to_string(&mut text))
                .map_err(|error| {
                    format!("--to: {to} is neither a connection string nor a file that holds one: {error}")
                })?;
            without_bom(text.trim_end_matches(['\r', '\n'])).to_owned()
        }
    };
    match MongoUri::parse(&text) {
        Ok(uri) => Ok(uri.given_as("--to")),
        Err(error) => Err(format!("--to {error}: {}", error.help())),
    }
}

pub(crate) async fn restore(
    settings: &Settings,
    ctx: &Context,
    arguments: &RestoreArguments,
    to: Option<&MongoUri>,
) -> Result<ExitStatus, CommandError> {
    let output = &arguments.output;
    let uri = match to {
        Some(to) => to,
        None => server(settings)?,
    };
    let refused = |error| refused(error, ctx);
    let selection = selection(arguments).map_err(CommandError::usage)?;
    let within = arguments.source.within();
    let located = offsite::locate(settings, ctx, &arguments.name, within).await;
    let located = located.map_err(|error| refused(error.into()))?;
    let plan = restore::prepare(settings, ctx, uri, &located, selection).await;
    let plan = plan.map_err(refused)?;
    let planned = plan.preview();
    let preview = output::restore::before(&planned, settings.time_zone);
    if !output.json {
        output::print(&preview)?;
    }
    for warning in &plan.warnings {
        tracing::warn!("{warning}");
    }
    if arguments.dry_run {
        return dry_run(&plan, &planned, output.json, ctx);
    }
    if let Some(refusal) = plan.refusal() {
        return Err(refused(refusal));
    }
    if !arguments.yes {
        ask(&preview, output.json, ctx).await?;
    }
    let told = planned.warnings.len();
    // Of thousands of collections it is large, and the restore takes its time.
    drop((planned, preview));
    let report = restore::execute(plan, settings, ctx)
        .await
        .map_err(refused)?;
    let lines = output::restore::after(&report, told);
    if report.restored {
        tracing::info!("{lines}");
    } else {
        tracing::error!("{lines}");
    }
    if output.json {
        output::json(&report)?;
    }
    Ok(ExitStatus::of(report.restored))
}

/// Goes on only after a yes. Who wants JSON on stdout has not seen what will happen yet.
pub(super) async fn ask(preview: &str, as_json: bool, ctx: &Context) -> Result<(), CommandError> {
    let shown = match as_json {
        true => output::say(preview),
        false => Ok(()),
    };
    if !std::io::stdin().is_terminal() {
        return Err(CommandError::usage(
            "there is no terminal to ask on: confirm with --yes",
        ));
    }
    // A question that nobody could read has no answer.
    shown?;
    output::say("Restore this? Type yes: ")?;
    match is_confirmed(ctx).await {
        true => Ok(()),
        false => Err(refused(Interruption::Cancelled.into(), ctx)),
    }
}

/// Says whether the restore could be done.
fn dry_run(
    plan: &RestorePlan,
    planned: &RestoreReport,
    as_json: bool,
    ctx: &Context,
) -> Result<ExitStatus, CommandError> {
    if as_json {
        output::json(planned)?;
    }
    let refusal = plan.refusal();
    if let Some(refusal) = &refusal {
        tracing::error!("{}", ctx.explain(refusal));
    }
    Ok(ExitStatus::of(refusal.is_none()))
}

pub(super) fn selection(arguments: &RestoreArguments) -> Result<Selection, String> {
    fn all<T>(
        texts: &[String],
        option: &str,
        parse: fn(&str) -> Result<T, Refusal>,
    ) -> Result<Vec<T>, String> {
        let read = |text: &String| {
            parse(text).map_err(|refusal| {
                format!(
                    "{option} {text:?} {}: {}",
                    refusal.problem, refusal.accepted
                )
            })
        };
        texts.iter().map(read).collect()
    }
    Ok(Selection {
        include: all(&arguments.include, "--include", NamespacePattern::parse)?,
        exclude: all(&arguments.exclude, "--exclude", NamespacePattern::parse)?,
        renames: all(&arguments.rename, "--rename", Rename::parse)?,
        drop: arguments.drop,
        oplog: !arguments.no_oplog,
        indexes: arguments.indexes.into(),
    })
}

async fn is_confirmed(ctx: &Context) -> bool {
    let answered = ctx.cancel.blocking(|_| {
        let mut line = String::new();
        std::io::stdin().lock().read_line(&mut line).map(|_| line)
    });
    match answered.await {
        Ok(Ok(line)) => ["yes", "y"].contains(&line.trim().to_lowercase().as_str()),
        _ => false,
    }
}

pub(super) fn refused(error: RestoreError, ctx: &Context) -> CommandError {
    let message = ctx.explain(&error);
    match error {
        RestoreError::Repository(error) => error.into(),
        RestoreError::Locate(error) if error.is_usage() => CommandError::usage(message),
        _ if error.is_busy() => CommandError::busy("nothing was restored", message),
        RestoreError::NothingChosen { .. }
        | RestoreError::Name(_)
        | RestoreError::Match(_)
        | RestoreError::Lock(RepositoryLockError::Repository(RepositoryError::NotAName(_))) => {
            CommandError::usage_of("nothing was restored", message)
        }
        _ => CommandError::failed("nothing was restored", message),
    }
}
