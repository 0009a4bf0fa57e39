//! `pantry-keeper verify`.

use crate::archive::file_name;
use crate::archive::verify;
use crate::archive::verify::report::VerifyReport;
use crate::backup::archive_job;
use crate::cli::args::VerifyArguments;
use crate::cli::{DONE, FAILED, failure, json, output, refuse, say};
use crate::context::Context;
use crate::settings::Settings;
use crate::store::repository::{Repository, RepositoryError};
use crate::sys::logging;
use crate::sys::progress::showing;
use crate::sys::progress::{Meter, Unit};
use serde::Serialize;
use std::sync::Arc;
use std::time::Instant;

pub async fn verify(settings: &Settings, ctx: &Context, arguments: &VerifyArguments) -> u8 {
    let repository = Repository::of(settings);
    let stems = if arguments.all {
        repository.stems().and_then(|stems| match stems.is_empty() {
            true => Err(RepositoryError::Empty(repository.folder().to_owned())),
            false => Ok(stems),
        })
    } else {
        repository.find(&arguments.name).map(|stem| vec![stem])
    };
    let stems = match stems {
        Ok(stems) => stems,
        Err(error) => return refuse(&error, &arguments.output),
    };
    let mut reports = Vec::new();
    for stem in stems {
        let Some(report) = verify_one(settings, ctx, &repository, &stem).await else {
            tracing::error!("verifying was not finished: stopped as asked");
            if arguments.output.json {
                failure("stopped as asked");
            }
            return FAILED;
        };
        archive_job::note(&repository, &stem, &report, (ctx.now)());
        let (line, lines) = output::verify(&report);
        if report.sound {
            tracing::info!(target: logging::RECORD, "{line}");
        } else {
            tracing::error!(target: logging::RECORD, "{line}");
        }
        if !arguments.output.json {
            say(&lines);
        }
        reports.push(report);
    }
    let sound = reports.iter().all(|report| report.sound);
    if arguments.output.json {
        #[derive(Serialize)]
        struct Verified<'r> {
            sound: bool,
            archives: &'r [VerifyReport],
        }
        json(&Verified {
            sound,
            archives: &reports,
        });
    }
    if sound { DONE } else { FAILED }
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
    let opened = repository.open(stem);
    let sidecar = repository.sidecar(stem);
    let bytes = opened
        .as_ref()
        .ok()
        .and_then(|file| file.metadata().ok())
        .map(|metadata| metadata.len());
    let meter = Meter::new("verifying", Unit::Bytes, bytes, &ctx.screen);
    let (threads, shown) = (settings.threads, Arc::clone(&meter));
    let reading = ctx.stop.blocking(move |stop| {
        let moved = |bytes| shown.set(bytes);
        let options = verify::Options {
            threads,
            stop,
            moved: &moved,
        };
        match opened {
            Ok(file) => verify::verify(&name, file, &sidecar, &options),
            Err(error) => Ok(VerifyReport::unreadable(&name, error.to_string())),
        }
    });
    let outcome = showing(&meter, reading).await.ok()?;
    let mut report = match outcome {
        Some(result) => result.ok()?,
        None => VerifyReport::unreadable(
            stem,
            "a part of Pantry Keeper stopped early; please report this".into(),
        ),
    };
    report.elapsed_seconds = begun.elapsed().as_secs_f64();
    Some(report)
}
