//! One run of the scheduler, in a process of its own: it reads the request on stdin and prints its report.

use super::server;
use crate::backup;
use crate::cli::exit::{CommandError, ExitStatus};
use crate::cli::output;
use crate::context::Context;
use crate::drill::{self, Wanted};
use crate::notify::notifier::Notifier;
use crate::notify::outbox::Queued;
use crate::offsite::{self, Within, sync::RoundEnd};
use crate::scheduler::worker::{Ended, WorkerReport, WorkerRequest};
use crate::settings::Settings;
use crate::state::{StateStore, Unsaved};
use crate::store::repository::Repository;
use std::io::Read;

/// How a run ended, and the notifications that could not be kept.
struct Run {
    ended: Ended,
    queued: Queued,
}

pub(crate) async fn worker(settings: &Settings, ctx: &Context) -> Result<ExitStatus, CommandError> {
    let mut request = Vec::new();
    let request: WorkerRequest = std::io::stdin()
        .lock()
        .read_to_end(&mut request)
        .ok()
        .and_then(|_| serde_json::from_slice(&request).ok())
        .ok_or_else(|| {
            CommandError::usage("this is for the scheduler; use `pantry-keeper backup`")
        })?;
    if request.offsite {
        return copy(settings, ctx).await;
    }
    let own_folder = Repository::of(settings).own_folder();
    let mut state = StateStore::new(own_folder).with_unsaved(request.unsaved);
    let run = if request.drill {
        run_drill(settings, ctx, &mut state, &request.trigger).await?
    } else {
        run_backup(settings, ctx, &mut state, &request.trigger).await?
    };
    output::json(&WorkerReport {
        ended: run.ended,
        queued: run.queued,
        unsaved: state.unsaved(),
    })?;
    Ok(ExitStatus::Done)
}

async fn copy(settings: &Settings, ctx: &Context) -> Result<ExitStatus, CommandError> {
    let next_run = settings
        .schedule
        .next_after((ctx.now)(), settings.time_zone);
    let notifier = Notifier::new(settings, server(settings)?, ctx, next_run);
    let round = offsite::sync::round(settings, ctx, &notifier).await;
    let ended = match round.end {
        RoundEnd::Complete | RoundEnd::Behind => Ended::Finished,
        RoundEnd::Busy => Ended::Busy,
        RoundEnd::Stopped => Ended::Stopped,
    };
    output::json(&WorkerReport {
        ended,
        queued: round.queued,
        unsaved: Unsaved::default(),
    })?;
    Ok(ExitStatus::Done)
}

async fn run_drill(
    settings: &Settings,
    ctx: &Context,
    state: &mut StateStore,
    trigger: &str,
) -> Result<Run, CommandError> {
    let uri = settings
        .drill
        .uri
        .as_ref()
        .ok_or_else(|| CommandError::usage("DRILL_URI is not set"))?;
    // By itself, it reads nothing from elsewhere: that may cost something.
    let wanted = Wanted {
        name: "latest",
        within: Within::Here,
    };
    let outcome = drill::run(settings, uri, ctx, state, &wanted, trigger).await;
    if outcome.is_busy() {
        tracing::info!("another drill is at work; trying again in a minute");
    }
    let ended = match (outcome.is_busy(), outcome.was_cancelled()) {
        (true, _) => Ended::Busy,
        (_, true) => Ended::Stopped,
        _ if outcome.too_early => Ended::TooEarly,
        _ => Ended::Finished,
    };
    if let Err(error) = outcome.result.as_ref()
        && outcome.too_early
    {
        tracing::info!("nothing to drill: {error}; the next drill comes when it is due");
    }
    Ok(Run {
        ended,
        queued: outcome.queued,
    })
}

async fn run_backup(
    settings: &Settings,
    ctx: &Context,
    state: &mut StateStore,
    trigger: &str,
) -> Result<Run, CommandError> {
    let next_run = settings
        .schedule
        .next_after((ctx.now)(), settings.time_zone);
    let outcome = backup::run(settings, server(settings)?, ctx, state, trigger, next_run).await;
    let ended = match &outcome.result {
        Err(failed) if failed.is_busy() => {
            tracing::info!("{failed}; trying again in a minute");
            Ended::Busy
        }
        Err(failed) if failed.was_cancelled() => Ended::Stopped,
        _ => Ended::Finished,
    };
    Ok(Run {
        ended,
        queued: outcome.queued,
    })
}
