//! `pantry-keeper backup`.

use super::server;
use crate::backup::{self, Notifier};
use crate::cli::args::Output;
use crate::cli::exit::{CommandError, ExitStatus};
use crate::cli::output;
use crate::context::Context;
use crate::notify::sender;
use crate::offsite::{self, sync::RoundEnd};
use crate::report::{BackupReport, PruneReport};
use crate::settings::Settings;
use crate::state::StateStore;
use crate::store::repository::Repository;
use crate::sys::lock::Lock;
use serde::Serialize;

/// The JSON document.
#[derive(Serialize)]
struct BackupDocument<'r> {
    #[serde(flatten)]
    report: &'r BackupReport,
    retention: Option<&'r PruneReport>,
}

pub(crate) async fn backup(
    settings: &Settings,
    ctx: &Context,
    output: &Output,
) -> Result<ExitStatus, CommandError> {
    let uri = server(settings)?;
    let repository = Repository::of(settings);
    let mut state = StateStore::new(repository.own_folder());
    let scheduled = Lock::holder(&repository.scheduler_path()).is_some();
    let next_run = settings
        .schedule
        .next_after((ctx.now)(), settings.time_zone);
    let next_run = next_run.filter(|_| scheduled);
    let outcome = backup::run(settings, uri, ctx, &mut state, "by hand", next_run).await;
    sender::send_now(settings, ctx, outcome.queued.unkept).await;
    let report = outcome.result.map_err(|failed| {
        let message = ctx.explain(&failed.error);
        if failed.is_busy() {
            CommandError::busy("no backup was made", message)
        } else if failed.was_cancelled() {
            CommandError::failed("no backup was made", message)
        } else {
            // The run has logged it, for the scheduler's runs too.
            CommandError::told(message)
        }
    })?;
    let printed = match output.json {
        true => output::json(&BackupDocument {
            report: &report,
            retention: outcome.pruned.as_ref(),
        }),
        false => Ok(()),
    };
    // The archive is here and told; what becomes of its copies changes nothing about that.
    let notifier = Notifier::new(settings, uri, ctx, next_run);
    let round = offsite::sync::round(settings, ctx, &notifier).await;
    if round.queued.wrote {
        sender::send_now(settings, ctx, round.queued.unkept).await;
    }
    match round.end {
        RoundEnd::Complete | RoundEnd::Behind => {}
        RoundEnd::Busy => tracing::info!("copies elsewhere are being sent already"),
        RoundEnd::Stopped => tracing::warn!(
            "stopped before all copies were sent; they are sent after the next backup"
        ),
    }
    printed?;
    Ok(ExitStatus::Done)
}
