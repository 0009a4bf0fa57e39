//! `pantry-keeper list --offsite`, `verify --offsite` and `fetch`: copies elsewhere.

use crate::archive::file_name;
use crate::cli::args::{FetchArguments, Output, VerifyArguments};
use crate::cli::exit::{CommandError, ExitStatus};
use crate::cli::output;
use crate::context::Context;
use crate::offsite::verify::{VerifiedCopy, find};
use crate::offsite::{self, Copies, Copy, record};
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
        output::json(&ListDocument { places: &places });
    } else {
        for place in &places {
            output::print(&output::copies(place, settings.time_zone, (ctx.now)()));
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
            tracing::error!(target: logging::RECORD, "{}: {problem}", place.place);
        }
    }
    let mut verified = Vec::new();
    for (at, place) in places.iter().enumerate() {
        for copy in place
            .copies
            .iter()
            .filter(|copy| is_chosen(&places, arguments, copy))
        {
            let reading =
                offsite::verify::verify(settings, ctx, &settings.offsite.places[at], copy);
            let one = ctx.cancel.or(reading).await;
            let one = one.map_err(|_| CommandError::stopped("verifying was not finished"))?;
            let (line, lines) = output::verified_copy(&one);
            match one.sound {
                true => tracing::info!(target: logging::RECORD, "{line}"),
                false => tracing::error!(target: logging::RECORD, "{line}"),
            }
            if !arguments.output.json {
                output::print(&lines);
            }
            verified.push(one);
        }
    }
    if verified.is_empty() && !unreachable {
        return Err(none(arguments, &arguments.name));
    }
    let sound = !unreachable && !verified.is_empty() && verified.iter().all(|one| one.sound);
    if arguments.output.json {
        output::json(&VerifyDocument {
            sound,
            copies: &verified,
        });
    }
    Ok(ExitStatus::of(sound))
}

fn is_chosen(places: &[Copies], arguments: &VerifyArguments, copy: &Copy) -> bool {
    arguments.all
        || find(places, &arguments.name).is_some_and(|(_, found)| found.archive == copy.archive)
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
    let Some((at, copy)) = find(&places, &arguments.name) else {
        let problem = places.iter().find_map(|place| {
            let problem = place.problem.as_ref()?;
            Some(format!("{}: {problem}", place.place))
        });
        return Err(problem.map_or_else(
            || no_copy(&arguments.name),
            |problem| CommandError::failed("nothing was fetched", problem),
        ));
    };
    let repository = Repository::of(settings);
    let names = [copy.archive.as_str(), file_name::unsealed(&copy.archive)];
    if let Some(here) = names.into_iter().find(|name| repository.find(name).is_ok()) {
        return Err(CommandError::failed(
            "nothing was fetched",
            format!("{here} is here already, and is not replaced"),
        ));
    }
    let locked = repository.lock(false).map_err(|error| match error {
        RepositoryLockError::Lock(error) => {
            CommandError::busy("nothing was fetched", error.to_string())
        }
        RepositoryLockError::Repository(error) => CommandError::from(error),
    })?;
    let place = &settings.offsite.places[at];
    let fetched = offsite::fetch::fetch(settings, ctx, &locked, place, copy).await;
    let report = fetched.map_err(|error| {
        let message = ctx.redactor.redact(&error.to_string()).into_owned();
        CommandError::failed("nothing was fetched", message)
    })?;
    let path = repository.archive_path(file_name::stem_of(&copy.archive).unwrap_or(&copy.archive));
    let line = format!(
        "{} is here, from {}, and is sound",
        path.display(),
        places[at].place
    );
    tracing::info!(target: logging::RECORD, "{line}");
    if arguments.output.json {
        output::json(&FetchDocument {
            archive: &copy.archive,
            path: path.display().to_string(),
            place: &places[at].place,
            archive_bytes: report.archive_bytes,
        });
    } else {
        output::print(&format!("✓ {line}\n"));
    }
    Ok(ExitStatus::Done)
}
