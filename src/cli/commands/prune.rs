//! `pantry-keeper prune`.

use crate::cli::args::PruneArguments;
use crate::cli::exit::{CommandError, ExitStatus};
use crate::cli::output;
use crate::context::Context;
use crate::prune;
use crate::retention::policy::Plan;
use crate::settings::Settings;
use crate::state::StateStore;
use crate::state::alerts::Concern;
use crate::store::locked::LockedRepository;
use crate::store::repository::{Repository, RepositoryError, RepositoryLockError};
use crate::sys::lock::LockError;
use crate::sys::logging;
use chrono::{DateTime, Utc};
use std::sync::atomic::AtomicBool;

pub(crate) fn prune(
    settings: &Settings,
    ctx: &Context,
    arguments: &PruneArguments,
) -> Result<ExitStatus, CommandError> {
    let (repository, now) = (Repository::of(settings), (ctx.now)());
    // A folder that is not there, or not the disk it should be, is not made up for want of something to remove.
    repository.stems()?;
    if !repository.own_folder().is_dir() && !arguments.dry_run {
        return Err(RepositoryError::Empty(repository.folder().to_owned()).into());
    }
    let report = if arguments.dry_run {
        let plan = plan(settings, &repository, now)?;
        prune::preview(&repository, plan)
    } else {
        let repository = lock(settings, &repository, ctx)?;
        if arguments.accept_shrink {
            accept_shrink(&mut StateStore::new(repository.own_folder()))?;
        }
        let plan = plan(settings, &repository, now)?;
        prune::apply(&repository, plan, &AtomicBool::new(false))
    };
    for removed in report.removed.iter().filter(|_| !report.dry_run) {
        tracing::info!(target: logging::RECORD, "removed {}", removed.archive);
    }
    for failure in &report.not_removed {
        tracing::error!("could not remove {}: {}", failure.archive, failure.problem);
    }
    if arguments.output.json {
        output::json(&report)?;
    } else {
        output::print(&output::archives::prune(&report, settings.time_zone, now))?;
    }
    Ok(ExitStatus::of(report.not_removed.is_empty()))
}

fn plan(
    settings: &Settings,
    repository: &Repository,
    now: DateTime<Utc>,
) -> Result<Plan, CommandError> {
    let archives = repository.list()?;
    let state = StateStore::new(repository.own_folder()).state();
    Ok(prune::plan(settings, &archives, &state, now))
}

fn lock(
    settings: &Settings,
    repository: &Repository,
    ctx: &Context,
) -> Result<LockedRepository, CommandError> {
    repository.lock(settings.require_mount).map_err(|error| {
        let message = ctx.explain(&error);
        match error {
            RepositoryLockError::Repository(error) => error.into(),
            RepositoryLockError::Lock(LockError::Held(_)) => {
                CommandError::busy("nothing was removed", message)
            }
            RepositoryLockError::Lock(LockError::File(_)) => {
                CommandError::failed("nothing was removed", message)
            }
        }
    })
}

/// The owner says that what the last backup lost is meant to be gone, and what was forgotten too.
fn accept_shrink(store: &mut StateStore) -> Result<(), CommandError> {
    let (accepted, saved) = store.change(|state| {
        // The next loss is news, even of the same collection.
        state.alerts.forget(Concern::Shrunk);
        state.alerts.forget(Concern::Held);
        state.shrunk.take()
    });
    let settled = saved.and_then(|()| store.let_damaged_go());
    let settled = settled.map_err(|error| {
        CommandError::failed("could not save that this is accepted", error.to_string())
    })?;
    if let Some(file) = &settled {
        tracing::info!(
            "accepted that the notes on earlier backups are lost; the damaged ones lie in {}",
            file.display()
        );
    }
    match accepted {
        Some(shrunk) => {
            tracing::info!(
                "accepted as gone: {}",
                prune::list_losses(&shrunk.losses).join(", ")
            );
        }
        None if settled.is_none() => tracing::info!("nothing had shrunk"),
        None => {}
    }
    Ok(())
}
