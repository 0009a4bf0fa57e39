//! The commands that do one thing and end: from what was asked for to what is printed.

use crate::cli::args::{Output, PruneArguments};
use crate::store::repository::Repository;
pub mod drill;
pub mod notify_test;
pub mod restore;
pub mod verify;

use crate::archive::file_name;
use crate::backup;
use crate::cli::{BUSY, DONE, FAILED, WRONG, failure, json, output, refuse, say};
use crate::context::Context;
use crate::doctor;
use crate::health;
use crate::prune;
use crate::report::{BackupReport, ListReport, PruneReport};
use crate::scheduler::worker::{self, WorkerReport, WorkerRequest};
use crate::settings::Settings;
use crate::state::StateStore;
use crate::store::repository::{RepositoryError, RepositoryLockError};
use crate::sys::lock::{Lock, LockError};
use crate::sys::logging;
use serde::Serialize;
use std::io::Read;
use std::sync::atomic::AtomicBool;

/// One run of the scheduler, which reads what we print.
pub async fn once(settings: &Settings, ctx: &Context) -> u8 {
    // Settings::load made sure of it.
    let Some(uri) = &settings.mongodb else {
        return WRONG;
    };
    let mut orders = Vec::new();
    let read = std::io::stdin().lock().read_to_end(&mut orders);
    let Some(orders) = read
        .ok()
        .and_then(|_| serde_json::from_slice::<WorkerRequest>(&orders).ok())
    else {
        eprintln!("this is for the scheduler; use `pantry-keeper backup`");
        return WRONG;
    };
    let mut status =
        StateStore::new(Repository::of(settings).own_folder()).with_unsaved(orders.unsaved);
    if orders.drill {
        let Some(uri) = &settings.drill.uri else {
            return WRONG;
        };
        let outcome =
            crate::drill::run(settings, uri, ctx, &mut status, "latest", &orders.trigger).await;
        if outcome.is_busy() {
            tracing::info!("another drill is at work; trying again in a minute");
        }
        let ended = match (outcome.is_busy(), outcome.was_asked()) {
            (true, _) => worker::Ended::Busy,
            (_, true) => worker::Ended::Stopped,
            _ => worker::Ended::Finished,
        };
        json(&WorkerReport {
            ended,
            posted: outcome.posted,
            unsaved: status.unsaved(),
        });
        return DONE;
    }
    let next_run = settings
        .schedule
        .next_after((ctx.now)(), settings.time_zone);
    let outcome = backup::run(settings, uri, ctx, &mut status, &orders.trigger, next_run).await;
    let ended = match &outcome.result {
        Err(failed) if failed.is_busy() => {
            tracing::info!("{failed}; trying again in a minute");
            worker::Ended::Busy
        }
        Err(failed) if failed.was_asked() => worker::Ended::Stopped,
        _ => worker::Ended::Finished,
    };
    json(&WorkerReport {
        ended,
        posted: outcome.posted,
        unsaved: status.unsaved(),
    });
    DONE
}

pub async fn backup(settings: &Settings, ctx: &Context, output: &Output) -> u8 {
    // Settings::load made sure of it.
    let Some(uri) = &settings.mongodb else {
        return WRONG;
    };
    let repository = Repository::of(settings);
    let mut status = StateStore::new(repository.own_folder());
    let scheduled = Lock::holder(&repository.scheduler_path()).is_some();
    let next_run = settings
        .schedule
        .next_after((ctx.now)(), settings.time_zone)
        .filter(|_| scheduled);
    let outcome = backup::run(settings, uri, ctx, &mut status, "by hand", next_run).await;
    notify_test::send(settings, ctx, &repository, outcome.posted.unkept).await;
    match outcome.result {
        Ok(report) => {
            if output.json {
                #[derive(Serialize)]
                struct Made<'r> {
                    #[serde(flatten)]
                    report: &'r BackupReport,
                    retention: Option<&'r PruneReport>,
                }
                json(&Made {
                    report: &report,
                    retention: outcome.pruned.as_ref(),
                });
            }
            DONE
        }
        Err(failed) => {
            if failed.is_busy() || failed.was_asked() {
                tracing::error!("no backup was made: {failed}");
            }
            if output.json {
                failure(&ctx.redactor.redact(&failed.to_string()));
            }
            if failed.is_busy() { BUSY } else { FAILED }
        }
    }
}

pub fn list(settings: &Settings, ctx: &Context, output: &Output) -> u8 {
    let (repository, now) = (Repository::of(settings), (ctx.now)());
    let mut archives = match repository.list() {
        Ok(archives) => archives,
        Err(error) => return refuse(&error, output),
    };
    let state = StateStore::new(repository.own_folder()).state();
    let plan = prune::plan(settings, &archives, &state, now);
    let halted = plan.halt.as_ref().map(ToString::to_string);
    prune::explain(&mut archives, &plan);
    let free_bytes = repository.free_bytes();
    let report = ListReport {
        folder: repository.folder().display().to_string(),
        archives_bytes: archives.iter().map(|archive| archive.archive_bytes).sum(),
        full_at: backup::full_at(settings, &archives, free_bytes, now),
        archives,
        free_bytes,
        halted,
        before_restores: repository
            .safety_stems()
            .unwrap_or_default()
            .iter()
            .map(|stem| file_name::archive(stem))
            .collect(),
    };
    if output.json {
        json(&report);
    } else {
        say(&output::list(&report, settings.time_zone, now));
    }
    DONE
}

pub fn prune(settings: &Settings, ctx: &Context, arguments: &PruneArguments) -> u8 {
    let (repository, now, output) = (Repository::of(settings), (ctx.now)(), &arguments.output);
    // A folder that is not there, or not the disk it should be, is not made up for want of something to remove.
    if let Err(error) = repository.stems() {
        return refuse(&error, output);
    }
    if !repository.own_folder().is_dir() && !arguments.dry_run {
        return refuse(
            &RepositoryError::Empty(repository.folder().to_owned()),
            output,
        );
    }
    let lock = match arguments.dry_run {
        true => None,
        false => match repository.lock(settings.require_mount) {
            Ok(lock) => Some(lock),
            Err(RepositoryLockError::Repository(error)) => return refuse(&error, output),
            Err(error) => {
                tracing::error!("nothing was removed: {error}");
                if output.json {
                    failure(&error.to_string());
                }
                return if matches!(error, RepositoryLockError::Lock(LockError::Held(_))) {
                    BUSY
                } else {
                    FAILED
                };
            }
        },
    };
    let mut status = StateStore::new(repository.own_folder());
    if arguments.accept_shrink {
        let (accepted, saved) = status.change(|state| state.shrunk.take());
        if let Err(error) = saved {
            tracing::error!("it could not be noted that this is accepted: {error}");
            if output.json {
                failure(&error.to_string());
            }
            return FAILED;
        }
        match accepted {
            Some(shrunk) => tracing::info!(
                "accepted as gone: {}",
                prune::named(&shrunk.losses).join(", ")
            ),
            None => tracing::info!("nothing had shrunk"),
        }
    }
    let archives = match repository.list() {
        Ok(archives) => archives,
        Err(error) => return refuse(&error, output),
    };
    let plan = prune::plan(settings, &archives, &status.state(), now);
    let report = prune::apply(&repository, plan, lock.as_ref(), &AtomicBool::new(false));
    for removed in report.removed.iter().filter(|_| !report.dry_run) {
        tracing::info!(target: logging::RECORD, "removed {}", removed.archive);
    }
    for failure in &report.not_removed {
        tracing::error!("could not remove {}: {}", failure.archive, failure.problem);
    }
    if output.json {
        json(&report);
    } else {
        say(&output::prune(&report, settings.time_zone, now));
    }
    if report.not_removed.is_empty() {
        DONE
    } else {
        FAILED
    }
}

pub async fn doctor(settings: &Settings, ctx: &Context, output: &Output) -> u8 {
    let Some(uri) = &settings.mongodb else {
        return WRONG;
    };
    let Ok(report) = doctor::look(settings, uri, ctx).await else {
        tracing::error!("stopped as asked");
        if output.json {
            failure("stopped as asked");
        }
        return FAILED;
    };
    if output.json {
        json(&report);
    } else {
        say(&output::doctor(&report));
    }
    if report.well { DONE } else { FAILED }
}

pub fn health(settings: &Settings, ctx: &Context, output: &Output) -> u8 {
    let now = (ctx.now)();
    let report = health::look(settings, now);
    if output.json {
        json(&report);
    } else {
        say(&output::health(&report, settings.time_zone, now));
    }
    if report.healthy { DONE } else { FAILED }
}
