//! `pantry-keeper verify`.

use crate::archive::file_name;
use crate::archive::source::Source;
use crate::archive::verify;
use crate::archive::verify::SealedAs;
use crate::archive::verify::report::VerifyReport;
use crate::backup::archive_job;
use crate::cli::args::VerifyArguments;
use crate::cli::exit::{CommandError, ExitStatus};
use crate::cli::output;
use crate::context::Context;
use crate::settings::Settings;
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
    let repository = Repository::of(settings);
    let mut reports = Vec::new();
    for stem in chosen(&repository, arguments)? {
        let report = verify_one(settings, ctx, &repository, &stem).await;
        let report = report.ok_or_else(|| CommandError::stopped("verifying was not finished"))?;
        archive_job::record_verification(&repository, &stem, &report, (ctx.now)());
        let (line, lines) = output::verify(&report);
        if report.sound {
            tracing::info!(target: logging::RECORD, "{line}");
        } else {
            tracing::error!(target: logging::RECORD, "{line}");
        }
        if !arguments.output.json {
            output::print(&lines);
        }
        reports.push(report);
    }
    let sound = reports.iter().all(|report| report.sound);
    if arguments.output.json {
        output::json(&VerifyDocument {
            sound,
            archives: &reports,
        });
    }
    Ok(ExitStatus::of(sound))
}

fn chosen(
    repository: &Repository,
    arguments: &VerifyArguments,
) -> Result<Vec<String>, RepositoryError> {
    if !arguments.all {
        return Ok(vec![repository.find(&arguments.name)?]);
    }
    let stems = repository.stems()?;
    if stems.is_empty() {
        return Err(RepositoryError::Empty(repository.folder().to_owned()));
    }
    Ok(stems)
}

/// None when it was stopped.
async fn verify_one(
    settings: &Settings,
    ctx: &Context,
    repository: &Repository,
    stem: &str,
) -> Option<VerifyReport> {
    let begun = Instant::now();
    let name = file_name::archive(stem);
    let repository = repository.clone();
    let opened = repository.open_file(stem);
    let bytes = opened.as_ref().ok().map(Source::length);
    let meter = Meter::new("verifying", Unit::Bytes, bytes, &ctx.screen);
    let (threads, shown, stem) = (settings.threads, Arc::clone(&meter), stem.to_owned());
    let reading = ctx.cancel.blocking(move |cancelled| {
        let moved = |bytes| shown.set(bytes);
        let options = verify::Options {
            threads,
            cancelled,
            moved: &moved,
        };
        read(&repository, &stem, &name, &options)
    });
    let mut report = showing(&meter, reading).await.ok()?.ok()?;
    report.elapsed_seconds = begun.elapsed().as_secs_f64();
    Some(report)
}

/// Reads one archive: all of it, or of a sealed one without its key what can be told from outside.
fn read(
    repository: &Repository,
    stem: &str,
    name: &str,
    options: &verify::Options,
) -> Result<VerifyReport, verify::Interrupted> {
    let file = match repository.open_file(stem) {
        Ok(file) => file,
        Err(error) => return Ok(VerifyReport::unreadable(name, error.to_string())),
    };
    let known = repository.sealed_record(stem).map(|record| SealedAs {
        archive_bytes: record.archive_bytes,
        sha256: record.sha256,
        documents: record.manifest.documents,
        bytes: record.manifest.bytes,
    });
    let (keyring, sidecar) = (repository.keyring(), repository.sidecar(stem));
    let report = verify::verify_file(name, file, keyring, known.as_ref(), &sidecar, options)?;
    if report.sound && !report.namespaces.is_empty() {
        repository.note_opened(stem);
    }
    Ok(report)
}
