//! The commands that do one thing and end: from what was asked for to what is printed.

use super::arguments::{Output, PruneArguments};
use super::{BUSY, DONE, FAILED, WRONG, failure, json, mail, print, refuse, say};
use crate::catalog::{CatalogError, LockOrCatalogError};
use crate::doctor;
use crate::drill;
use crate::health;
use crate::job::{self, Surroundings};
use crate::lock::{Lock, LockError};
use crate::logging;
use crate::name;
use crate::prune;
use crate::report::{BackupReport, ListReport, PruneReport};
use crate::run;
use crate::service::child::{self, Orders, Told};
use crate::settings::Settings;
use crate::status::Status;
use serde::Serialize;
use std::io::Read;
use std::sync::atomic::AtomicBool;

/// One run of the scheduler, which reads what we print.
pub async fn once(settings: &Settings, around: &Surroundings) -> u8 {
    // Settings::load made sure of it.
    let Some(uri) = &settings.mongodb else { return WRONG };
    let mut orders = Vec::new();
    let read = std::io::stdin().lock().read_to_end(&mut orders);
    let Some(orders) = read.ok().and_then(|_| serde_json::from_slice::<Orders>(&orders).ok()) else {
        eprintln!("this is for the scheduler; use `pantry-keeper backup`");
        return WRONG;
    };
    let mut status = Status::new(job::catalog(settings).own_folder()).with_unsaved(orders.unsaved);
    if orders.drill {
        let Some(uri) = &settings.drill.uri else { return WRONG };
        let outcome = drill::run(settings, uri, around, &mut status, "latest", &orders.trigger).await;
        if outcome.is_busy() {
            tracing::info!("another drill is at work; trying again in a minute");
        }
        let ended = match (outcome.is_busy(), outcome.was_asked()) {
            (true, _) => child::Ended::Busy,
            (_, true) => child::Ended::Stopped,
            _ => child::Ended::Finished,
        };
        json(&Told { ended, posted: outcome.posted, unsaved: status.unsaved() });
        return DONE;
    }
    let next_run = settings.schedule.next_after((around.now)(), settings.time_zone);
    let outcome = run::run(settings, uri, around, &mut status, &orders.trigger, next_run).await;
    let ended = match &outcome.result {
        Err(failed) if failed.is_busy() => {
            tracing::info!("{failed}; trying again in a minute");
            child::Ended::Busy
        }
        Err(failed) if failed.was_asked() => child::Ended::Stopped,
        _ => child::Ended::Finished,
    };
    json(&Told { ended, posted: outcome.posted, unsaved: status.unsaved() });
    DONE
}

pub async fn backup(settings: &Settings, around: &Surroundings, output: &Output) -> u8 {
    // Settings::load made sure of it.
    let Some(uri) = &settings.mongodb else { return WRONG };
    let catalog = job::catalog(settings);
    let mut status = Status::new(catalog.own_folder());
    let scheduled = Lock::holder(&catalog.scheduler_path()).is_some();
    let next_run = settings.schedule.next_after((around.now)(), settings.time_zone).filter(|_| scheduled);
    let outcome = run::run(settings, uri, around, &mut status, "by hand", next_run).await;
    mail::send(settings, around, &catalog, outcome.posted.unkept).await;
    match outcome.result {
        Ok(report) => {
            if output.json {
                #[derive(Serialize)]
                struct Made<'r> {
                    #[serde(flatten)]
                    report: &'r BackupReport,
                    retention: Option<&'r PruneReport>,
                }
                json(&Made { report: &report, retention: outcome.pruned.as_ref() });
            }
            DONE
        }
        Err(failed) => {
            if failed.is_busy() || failed.was_asked() {
                tracing::error!("no backup was made: {failed}");
            }
            if output.json {
                failure(&around.redactor.redact(&failed.to_string()));
            }
            if failed.is_busy() { BUSY } else { FAILED }
        }
    }
}

pub fn list(settings: &Settings, around: &Surroundings, output: &Output) -> u8 {
    let (catalog, now) = (job::catalog(settings), (around.now)());
    let mut archives = match catalog.list() {
        Ok(archives) => archives,
        Err(error) => return refuse(&error, output),
    };
    let state = Status::new(catalog.own_folder()).state();
    let plan = prune::plan(settings, &archives, &state, now);
    let halted = plan.halt.as_ref().map(ToString::to_string);
    prune::explain(&mut archives, &plan);
    let free_bytes = catalog.free_bytes();
    let report = ListReport {
        folder: catalog.folder().display().to_string(),
        archives_bytes: archives.iter().map(|archive| archive.archive_bytes).sum(),
        full_at: run::full_at(settings, &archives, free_bytes, now),
        archives,
        free_bytes,
        halted,
        before_restores: catalog.safety_stems().unwrap_or_default().iter().map(|stem| name::archive(stem)).collect(),
    };
    if output.json {
        json(&report);
    } else {
        say(&print::list(&report, settings.time_zone, now));
    }
    DONE
}

pub fn prune(settings: &Settings, around: &Surroundings, arguments: &PruneArguments) -> u8 {
    let (catalog, now, output) = (job::catalog(settings), (around.now)(), &arguments.output);
    // A folder that is not there, or not the disk it should be, is not made up for want of something to remove.
    if let Err(error) = catalog.stems() {
        return refuse(&error, output);
    }
    if !catalog.own_folder().is_dir() && !arguments.dry_run {
        return refuse(&CatalogError::Empty(catalog.folder().to_owned()), output);
    }
    let lock = match arguments.dry_run {
        true => None,
        false => match catalog.lock(settings.require_mount) {
            Ok(lock) => Some(lock),
            Err(LockOrCatalogError::Catalog(error)) => return refuse(&error, output),
            Err(error) => {
                tracing::error!("nothing was removed: {error}");
                if output.json {
                    failure(&error.to_string());
                }
                return if matches!(error, LockOrCatalogError::Lock(LockError::Held(_))) { BUSY } else { FAILED };
            }
        },
    };
    let mut status = Status::new(catalog.own_folder());
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
            Some(shrunk) => tracing::info!("accepted as gone: {}", prune::named(&shrunk.losses).join(", ")),
            None => tracing::info!("nothing had shrunk"),
        }
    }
    let archives = match catalog.list() {
        Ok(archives) => archives,
        Err(error) => return refuse(&error, output),
    };
    let plan = prune::plan(settings, &archives, &status.state(), now);
    let report = prune::apply(&catalog, plan, lock.as_ref(), &AtomicBool::new(false));
    for removed in report.removed.iter().filter(|_| !report.dry_run) {
        tracing::info!(target: logging::RECORD, "removed {}", removed.archive);
    }
    for failure in &report.not_removed {
        tracing::error!("could not remove {}: {}", failure.archive, failure.problem);
    }
    if output.json {
        json(&report);
    } else {
        say(&print::prune(&report, settings.time_zone, now));
    }
    if report.not_removed.is_empty() { DONE } else { FAILED }
}

pub async fn doctor(settings: &Settings, around: &Surroundings, output: &Output) -> u8 {
    let Some(uri) = &settings.mongodb else { return WRONG };
    let Ok(report) = doctor::look(settings, uri, around).await else {
        tracing::error!("stopped as asked");
        if output.json {
            failure("stopped as asked");
        }
        return FAILED;
    };
    if output.json {
        json(&report);
    } else {
        say(&print::doctor(&report));
    }
    if report.well { DONE } else { FAILED }
}

pub fn health(settings: &Settings, around: &Surroundings, output: &Output) -> u8 {
    let now = (around.now)();
    let report = health::look(settings, now);
    if output.json {
        json(&report);
    } else {
        say(&print::health(&report, settings.time_zone, now));
    }
    if report.healthy { DONE } else { FAILED }
}
