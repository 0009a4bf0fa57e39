//! `pantry-keeper list --offsite`, `verify --offsite` and `fetch`: copies elsewhere.

use crate::archive::file_name;
use crate::archive::verify::report::VerifyReport;
use crate::cli::args::{FetchArguments, Output, VerifyArguments};
use crate::cli::exit::{CommandError, ExitStatus};
use crate::cli::output::{self, OutputError};
use crate::context::Context;
use crate::offsite::verify::{VerifiedCopy, candidates, find};
use crate::offsite::{self, Copies, Copy, record};
use crate::prune;
use crate::settings::Settings;
use crate::state::StateStore;
use crate::store::repository::{Repository, RepositoryLockError};
use crate::sys::logging;
use serde::Serialize;

/// The JSON document of `list --offsite`.
#[derive(Serialize)]
struct ListDocument<'r> {
    places: &'r [Copies],
}

/// The JSON document of `verify --offsite`.
#[derive(Serialize)]
struct VerifyDocument<'r> {
    sound: bool,
    copies: &'r [VerifiedCopy],
}

/// The JSON document of `fetch`.
#[derive(Serialize)]
struct FetchDocument<'r> {
    archive: &'r str,
    path: String,
    place: &'r str,
    archive_bytes: u64,
}

/// Looks at every place.
async fn look(settings: &Settings, ctx: &Context) -> Result<Vec<Copies>, CommandError> {
    if settings.offsite.places.is_empty() {
        return Err(CommandError::usage(
            "OFFSITE_URL is not set: there are no copies elsewhere",
        ));
    }
    let repository = Repository::of(settings);
    let state = StateStore::new(repository.own_folder()).state();
    let (record, local) = (
        record::read(&repository, &settings.offsite.places),
        repository.list().unwrap_or_default(),
    );
    let mut found = Vec::new();
    for place in &settings.offsite.places {
        let looking = offsite::copies(settings, ctx, place, &record, &local, &state);
        let copies = ctx.cancel.or(looking).await;
        found.push(copies.map_err(|_| CommandError::stopped("not all places were looked at"))?);
    }
    Ok(found)
}

pub(crate) async fn list(
    settings: &Settings,
    ctx: &Context,
    output: &Output,
) -> Result<ExitStatus, CommandError> {
    let places = look(settings, ctx).await?;
    if output.json {
        output::json(&ListDocument { places: &places })?;
    } else {
        for place in &places {
            output::print(&output::copies(place, settings.time_zone, (ctx.now)()))?;
        }
    }
    Ok(ExitStatus::of(
        places.iter().all(|place| place.problem.is_none()),
    ))
}

pub(crate) async fn verify(
    settings: &Settings,
    ctx: &Context,
    arguments: &VerifyArguments,
) -> Result<ExitStatus, CommandError> {
    let places = look(settings, ctx).await?;
    let mut unreachable = false;
    for place in &places {
        if let Some(problem) = &place.problem {
            unreachable = true;
            tracing::error!("{}: {problem}", place.place);
        }
    }
    let (mut verified, mut lacking) = (Vec::new(), Vec::new());
    for (at, place) in places.iter().enumerate() {
        // What could not be looked at was told.
        if place.problem.is_some() {
            continue;
        }
        let chosen = chosen(place, arguments);
        if chosen.is_empty() {
            lacking.push(format!("{}: {}", place.place, none_there(arguments)));
        }
        for copy in chosen {
            let place = &settings.offsite.places[at];
            let reading = offsite::verify::verify(settings, ctx, place, copy);
            let one = ctx.cancel.or(reading).await;
            let one = one.map_err(|_| CommandError::stopped("verifying was not finished"))?;
            let (line, lines) = output::verified_copy(&one);
            match one.sound {
                true => tracing::info!(target: logging::RECORD, "{line}"),
                false => tracing::error!(target: logging::RECORD, "{line}"),
            }
            if !arguments.output.json {
                output::print(&lines)?;
            }
            verified.push(one);
        }
    }
    if verified.is_empty() && !unreachable {
        return Err(none(arguments, &arguments.name));
    }
    for line in &lacking {
        tracing::error!("{line}");
    }
    let all_there = !unreachable && lacking.is_empty();
    let sound = all_there && verified.iter().all(|one| one.sound);
    if arguments.output.json {
        output::json(&VerifyDocument {
            sound,
            copies: &verified,
        })?;
    }
    Ok(ExitStatus::of(sound))
}

/// The copies at a place that are to be read: all of them, the one of this name, or the newest there.
fn chosen<'c>(place: &'c Copies, arguments: &VerifyArguments) -> Vec<&'c Copy> {
    match arguments.all {
        true => place.copies.iter().collect(),
        false => find(place, &arguments.name).into_iter().collect(),
    }
}

fn none_there(arguments: &VerifyArguments) -> String {
    match arguments.all || arguments.name == "latest" {
        true => "there is no copy there".to_owned(),
        false => format!("there is no copy of {:?} there", arguments.name),
    }
}

fn none(arguments: &VerifyArguments, name: &str) -> CommandError {
    match arguments.all || name == "latest" {
        true => CommandError::failed("", "there are no copies elsewhere yet"),
        false => no_copy(name),
    }
}

fn no_copy(name: &str) -> CommandError {
    CommandError::usage(format!(
        "there is no copy of {name:?} elsewhere: `pantry-keeper list --offsite` shows them"
    ))
}

pub(crate) async fn fetch(
    settings: &Settings,
    ctx: &Context,
    arguments: &FetchArguments,
) -> Result<ExitStatus, CommandError> {
    let places = look(settings, ctx).await?;
    for place in &places {
        if let Some(problem) = &place.problem {
            tracing::warn!("could not look at {}: {problem}", place.place);
        }
    }
    let candidates = candidates(&places, &arguments.name);
    let Some((_, first)) = candidates.first() else {
        return Err(nothing_to_fetch(&places, &arguments.name));
    };
    let repository = Repository::of(settings);
    let names = [first.archive.as_str(), file_name::unsealed(&first.archive)];
    if let Some(here) = names.into_iter().find(|name| repository.find(name).is_ok()) {
        return Err(CommandError::failed(
            "nothing was fetched",
            format!("{here} is here already, and is not replaced"),
        ));
    }
    let fetching = repository.lock_fetch().map_err(|error| match error {
        RepositoryLockError::Lock(error) => CommandError::busy(
            "nothing was fetched",
            format!("{error}: it brings a copy home; try again after it"),
        ),
        RepositoryLockError::Repository(error) => CommandError::from(error),
    })?;
    let mut left = candidates.iter();
    while let Some((at, copy)) = left.next() {
        let place = &settings.offsite.places[*at];
        let error = match offsite::fetch::fetch(settings, ctx, &fetching, place, copy).await {
            Ok(report) => {
                let place = &places[*at].place;
                fetched(&repository, copy, place, &report, &arguments.output)?;
                warn_short_stay(settings, ctx, &repository, &copy.archive);
                return Ok(ExitStatus::Done);
            }
            Err(error) => error,
        };
        let message = ctx.redactor.redact(&error.to_string()).into_owned();
        if !error.is_of_the_copy() || left.len() == 0 {
            return Err(CommandError::failed("nothing was fetched", message));
        }
        tracing::warn!("{place}: {message}; trying the next copy");
    }
    Err(no_copy(&arguments.name))
}

/// Why there is nothing to bring home.
fn nothing_to_fetch(places: &[Copies], name: &str) -> CommandError {
    let problem = places.iter().find_map(|place| {
        let problem = match &place.problem {
            Some(problem) => problem.clone(),
            None => {
                let copy = find(place, name).filter(|copy| !copy.is_whole)?;
                format!(
                    "the copy of {} is not whole: it has no .sha256",
                    copy.archive
                )
            }
        };
        Some(format!("{}: {problem}", place.place))
    });
    problem.map_or_else(
        || no_copy(name),
        |problem| CommandError::failed("nothing was fetched", problem),
    )
}

/// Says so where retention would take it away again, after what may have been hours of fetching.
fn warn_short_stay(settings: &Settings, ctx: &Context, repository: &Repository, archive: &str) {
    let Ok(listed) = repository.list() else {
        return;
    };
    let state = StateStore::new(repository.own_folder()).state();
    let plan = prune::plan(settings, &listed, &state, (ctx.now)());
    if plan.go.iter().any(|going| going.name == archive) {
        tracing::warn!(
            "RETENTION_DAYS no longer keeps {archive}: the next backup removes it again; \
             to keep it, copy it out of BACKUP_DIR before, or raise RETENTION_DAYS"
        );
    }
}

/// Says what was brought home.
fn fetched(
    repository: &Repository,
    copy: &Copy,
    place: &str,
    report: &VerifyReport,
    output: &Output,
) -> Result<(), OutputError> {
    let path = repository.archive_path(file_name::stem_of(&copy.archive).unwrap_or(&copy.archive));
    let line = format!("{} is here, from {place}, and is sound", path.display());
    tracing::info!(target: logging::RECORD, "{line}");
    if output.json {
        output::json(&FetchDocument {
            archive: &copy.archive,
            path: path.display().to_string(),
            place,
            archive_bytes: report.archive_bytes,
        })
    } else {
        output::print(&format!("✓ {line}\n"))
    }
}
