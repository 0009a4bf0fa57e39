//! `pantry-keeper restore`.

use super::server;
use crate::archive::namespace::{Kind, Namespace, printable};
use crate::cli::args::RestoreArguments;
use crate::cli::exit::{CommandError, ExitStatus};
use crate::cli::output;
use crate::context::Context;
use crate::mongo::uri::MongoUri;
use crate::report::{IndexPolicy, IndexProblem, RestoreReport, Restored};
use crate::restore::{self, Prepared, RestoreError, Selection, is_auth_version};
use crate::settings::{NamespacePattern, Refusal, Rename, Settings, without_bom};
use crate::store::repository::{RepositoryError, RepositoryLockError};
use crate::sys::humanize;
use crate::sys::lock::LockError;
use crate::sys::redact::Secret;
use chrono_tz::Tz;
use std::ffi::OsString;
use std::io::{BufRead, IsTerminal, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::time::Duration;

/// Stands for a connection string until its pipe is open.
pub(crate) const HIDDEN: &str = "--to=/dev/fd/";
/// Longer names of collections are cut in tables.
const LONGEST_NAME: usize = 48;
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
        Err(error) => Err(format!("--to {error}: {}", error.advice())),
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
    let prepared = restore::prepare(settings, ctx, uri, &arguments.name, selection).await;
    let prepared = prepared.map_err(refused)?;
    let preview = shown_before(&prepared.report, settings.time_zone);
    if !output.json {
        output::print(&preview);
    }
    let said = prepared.report.warnings.len();
    for warning in &prepared.report.warnings {
        tracing::warn!("{warning}");
    }
    if arguments.dry_run {
        return Ok(dry_run(&prepared, output.json));
    }
    if let Some(refusal) = prepared.refusal() {
        return Err(refused(refusal));
    }
    if !arguments.yes {
        if output.json {
            eprint!("{preview}");
        }
        match confirm(ctx).await {
            Answer::Yes => {}
            Answer::No => return Err(refused(RestoreError::Stopped)),
            Answer::NoTerminal => {
                return Err(CommandError::usage(
                    "there is no terminal to ask on: confirm with --yes",
                ));
            }
        }
    }
    let report = restore::execute(prepared, settings, ctx)
        .await
        .map_err(refused)?;
    let lines = shown_after(&report, said);
    if report.restored {
        tracing::info!("{lines}");
    } else {
        tracing::error!("{lines}");
    }
    if output.json {
        output::json(&report);
    }
    Ok(ExitStatus::of(report.restored))
}

/// Says whether the restore could be done.
fn dry_run(prepared: &Prepared, as_json: bool) -> ExitStatus {
    if as_json {
        output::json(&prepared.report);
    }
    let refusal = prepared.refusal();
    if let Some(refusal) = &refusal {
        tracing::error!("{refusal}");
    }
    ExitStatus::of(refusal.is_none())
}

fn selection(arguments: &RestoreArguments) -> Result<Selection, String> {
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

enum Answer {
    Yes,
    No,
    /// Stdin is not a terminal.
    NoTerminal,
}

async fn confirm(ctx: &Context) -> Answer {
    if !std::io::stdin().is_terminal() {
        return Answer::NoTerminal;
    }
    eprint!("Restore this? Type yes: ");
    let _ = std::io::stderr().flush();
    let answered = ctx.stop.blocking(|_| {
        let mut line = String::new();
        std::io::stdin().lock().read_line(&mut line).map(|_| line)
    });
    match answered.await {
        Ok(Ok(line)) if ["yes", "y"].contains(&line.trim().to_lowercase().as_str()) => Answer::Yes,
        _ => Answer::No,
    }
}

fn refused(error: RestoreError, ctx: &Context) -> CommandError {
    let message = ctx.redactor.redact(&error.to_string()).into_owned();
    match error {
        RestoreError::Repository(error) => error.into(),
        RestoreError::Lock(RepositoryLockError::Lock(LockError::Held(_))) => {
            CommandError::busy("nothing was restored", message)
        }
        RestoreError::NothingChosen { .. }
        | RestoreError::Name(_)
        | RestoreError::Lock(RepositoryLockError::Repository(RepositoryError::NotAName(_))) => {
            CommandError::usage_of("nothing was restored", message)
        }
        _ => CommandError::failed("nothing was restored", message),
    }
}

/// What a restore would do, namespace by namespace.
fn shown_before(report: &RestoreReport, time_zone: Tz) -> String {
    let head = [
        "IN THE ARCHIVE",
        "DOCUMENTS",
        "ON THE SERVER",
        "NOW",
        "WHAT HAPPENS",
    ]
    .map(str::to_owned);
    let rows = report.namespaces.iter().map(|one| {
        let now = match (one.exists, one.live_documents) {
            (false, _) => "-".to_owned(),
            (true, Some(documents)) => humanize::count(documents),
            (true, None) => "there".into(),
        };
        let happens = match (one.exists, report.drop) {
            _ if is_auth_version(&one.to) => "read, not restored",
            (true, true) => "backed up, dropped, restored",
            (true, false) => "REFUSED: it exists",
            (false, _) => "restored",
        };
        let documents = if one.kind == Kind::View {
            "view".into()
        } else {
            humanize::count(one.documents)
        };
        [
            shortened(&one.namespace),
            documents,
            shortened(&one.to),
            now,
            happens.into(),
        ]
    });
    let mut text = format!(
        "{} of {}, into {}\n\n{}\n",
        report.archive,
        output::time(report.made_at, time_zone),
        report.hosts,
        output::table(std::iter::once(head).chain(rows).collect(), &[1, 3]),
    );
    text.push_str(&format!(
        "{} of {} in {}\n",
        humanize::counted(report.documents, "document"),
        humanize::bytes(report.bytes),
        humanize::counted(report.namespaces.len() as u64, "namespace"),
    ));
    if report.oplog_entries > 0 {
        let operations = humanize::counted(report.oplog_entries, "operation");
        text.push_str(&format!(
            "then {operations} of the oplog, so that all is of one point in time\n"
        ));
    }
    if report.indexes.archived > 0 {
        let indexes = humanize::indexes(report.indexes.archived);
        text.push_str(&match report.indexes.policy {
            IndexPolicy::All => format!("then {indexes} built\n"),
            IndexPolicy::Possible => {
                format!("then {indexes} built, those that the server refuses left out\n")
            }
            IndexPolicy::None => format!("{indexes} not built, as asked\n"),
        });
    }
    text
}

/// Names may be longer than any terminal is wide.
fn shortened(namespace: &Namespace) -> String {
    let text = namespace.to_string();
    match text.char_indices().nth(LONGEST_NAME) {
        Some((at, _)) => format!("{}…", &text[..at]),
        None => text,
    }
}

/// How a restore ended, one line or more. The first warnings were `said` before it began.
fn shown_after(report: &RestoreReport, said: usize) -> String {
    let took = humanize::duration(Duration::from_secs_f64(report.elapsed_seconds));
    let mut lines = Vec::new();
    if report.restored {
        lines.push(format!(
            "restored {} in {} from {} into {}, in {took}: {}{}",
            humanize::counted(report.documents, "document"),
            humanize::counted(report.namespaces.len() as u64, "namespace"),
            report.archive,
            report.hosts,
            match report.unchecked.is_empty() {
                true => "all that the archive holds of them is there",
                false => "mongorestore reports no failure, but not all of it could be checked",
            },
            missing_indexes(report),
        ));
    } else {
        lines.push(format!(
            "{} was NOT restored completely into {}:",
            report.archive, report.hosts
        ));
        lines.extend(report.namespaces.iter().filter_map(complaint));
        lines.extend(report.problems.iter().cloned());
    }
    lines.extend(report.unchecked.iter().cloned());
    lines.extend(report.indexes.problems.iter().map(index_problem));
    if let Some(safety) = &report.safety_archive {
        lines.push(format!(
            "what was there before is in {safety}; remove it when you no longer need it"
        ));
    }
    lines.extend(
        report
            .warnings
            .iter()
            .skip(said)
            .map(|warning| format!("note: {warning}")),
    );
    lines.join("\n")
}

/// What a restore that was told to go on without some indexes did without.
fn missing_indexes(report: &RestoreReport) -> String {
    let refused = report.indexes.problems.len() as u64;
    match (report.indexes.policy, report.indexes.archived) {
        (IndexPolicy::Possible, _) if refused > 0 => {
            format!(
                ", but for {} that the server refused",
                humanize::indexes(refused)
            )
        }
        (IndexPolicy::None, archived @ 1..) => {
            format!(", but for {}", humanize::indexes(archived))
        }
        _ => String::new(),
    }
}

/// An index that is not there, and the command that makes it.
fn index_problem(problem: &IndexProblem) -> String {
    format!(
        "{}: its index {} {}; in mongosh:\n    {}",
        problem.namespace,
        printable(&problem.name),
        problem.problem,
        problem.command
    )
}

/// One line about a namespace that is not as it should be.
fn complaint(one: &Restored) -> Option<String> {
    let problem = one.problem.as_ref()?;
    let named = one
        .differences
        .as_ref()
        .map(ToString::to_string)
        .filter(|text| !text.is_empty());
    Some(format!(
        "{}: {problem}{}",
        one.to,
        named.map(|text| format!(": {text}")).unwrap_or_default()
    ))
}
