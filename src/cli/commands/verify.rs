//! `pantry-keeper verify`.

use crate::archive::source::Source;
use crate::archive::verify;
use crate::archive::verify::SealedAs;
use crate::archive::verify::report::VerifyReport;
use crate::backup::archive_job;
use crate::cli::args::VerifyArguments;
use crate::cli::exit::{CommandError, ExitStatus};
use crate::cli::output;
use crate::context::Context;
use crate::offsite::{self, LocateError};
use crate::settings::Settings;
use crate::store::located::Located;
use crate::store::repository::{Repository, RepositoryError};
use crate::sys::logging;
use crate::sys::progress::showing;
use crate::sys::progress::{Meter, Unit};
use serde::Serialize;
use std::sync::Arc;
use std::time::Instant;

/// The JSON document.
#[derive(Serialize)]
struct VerifyDocument<'r> {
    sound: bool,
    archives: &'r [VerifyReport],
}

pub(crate) async fn verify(
    settings: &Settings,
    ctx: &Context,
    arguments: &VerifyArguments,
) -> Result<ExitStatus, CommandError> {
    let mut reports = Vec::new();
    for located in chosen(settings, ctx, arguments).await? {
        let report = verify_one(settings, ctx, &located).await;
        let report = report.ok_or_else(|| CommandError::stopped("verifying was not finished"))?;
        if let Some(failure) = located.failure().filter(|_| !report.sound) {
            // What was not read is neither sound nor damaged.
            return Err(CommandError::failed("", ctx.explain(&failure)));
        }
        if let Some(repository) = located.repository() {
            archive_job::record_verification(repository, located.stem(), &report, (ctx.now)());
        }
        let (line, lines) = output::verify(&report);
        if report.sound {
            tracing::info!(target: logging::RECORD, "{line}");
        } else {
            tracing::error!(target: logging::RECORD, "{line}");
        }
        if !arguments.output.json {
            output::print(&lines)?;
        }
        reports.push(report);
    }
    let sound = reports.iter().all(|report| report.sound);
    if arguments.output.json {
        output::json(&VerifyDocument {
            sound,
            archives: &reports,
        })?;
    }
    Ok(ExitStatus::of(sound))
}

async fn chosen(
    settings: &Settings,
    ctx: &Context,
    arguments: &VerifyArguments,
) -> Result<Vec<Located>, CommandError> {
    if !arguments.all {
        let within = arguments.source.within();
        let located = offsite::locate(settings, ctx, &arguments.name, within).await;
        return Ok(vec![located.map_err(|error| not_found(error, ctx))?]);
    }
    let repository = Repository::of(settings);
    let stems = repository.stems()?;
    if stems.is_empty() {
        return Err(RepositoryError::Empty(repository.folder().to_owned()).into());
    }
    let here = |stem| Located::here(repository.clone(), stem);
    Ok(stems.into_iter().map(here).collect())
}

fn not_found(error: LocateError, ctx: &Context) -> CommandError {
    match error {
        LocateError::Repository(error) => error.into(),
        error if error.is_usage() => CommandError::usage(ctx.explain(&error)),
        error => CommandError::failed("nothing was verified", ctx.explain(&error)),
    }
}

/// None when it was stopped.
async fn verify_one(settings: &Settings, ctx: &Context, located: &Located) -> Option<VerifyReport> {
    let begun = Instant::now();
    let located = located.clone();
    let opened = located.open_file();
    let bytes = opened.as_ref().ok().map(Source::length);
    let meter = Meter::new("verifying", Unit::Bytes, bytes, &ctx.screen);
    let (threads, shown) = (settings.threads, Arc::clone(&meter));
    let reading = ctx.cancel.blocking(move |cancelled| {
        let moved = |bytes| shown.set(bytes);
        let options = verify::Options {
            threads,
            cancelled,
            moved: &moved,
        };
        read(&located, &options)
    });
    let mut report = showing(&meter, reading).await.ok()?.ok()?;
    report.elapsed_seconds = begun.elapsed().as_secs_f64();
    Some(report)
}

/// Reads one archive: all of it, or of a sealed one without its key what can be told from outside.
fn read(located: &Located, options: &verify::Options) -> Result<VerifyReport, verify::Interrupted> {
    let name = located.name();
    let file = match located.open_file() {
        Ok(file) => file,
        Err(error) => return Ok(VerifyReport::unreadable(&name, error.to_string())),
    };
    let repository = located.repository();
    let known = repository.and_then(|repository| repository.sealed_record(located.stem()));
    let known = known.map(|record| SealedAs {
        archive_bytes: record.archive_bytes,
        sha256: record.sha256,
        documents: record.manifest.documents,
        bytes: record.manifest.bytes,
    });
    let (keyring, sidecar) = (located.keyring(), located.sidecar());
    let report = verify::verify_file(&name, file, keyring, known.as_ref(), &sidecar, options)?;
    if let (true, Some(repository)) = (report.sound && !report.namespaces.is_empty(), repository) {
        repository.note_opened(located.stem());
    }
    Ok(report)
}
