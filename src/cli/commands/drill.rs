//! `pantry-keeper drill`.

use super::server;
use crate::cli::args::DrillArguments;
use crate::cli::exit::{CommandError, ExitStatus};
use crate::cli::output;
use crate::context::Context;
use crate::drill::{self, Wanted};
use crate::notify::sender;
use crate::restore::RestoreError;
use crate::settings::Settings;
use crate::state::StateStore;
use crate::store::repository::Repository;

pub(crate) async fn drill(
    settings: &Settings,
    ctx: &Context,
    arguments: &DrillArguments,
) -> Result<ExitStatus, CommandError> {
    let uri = match (&settings.drill.uri, arguments.same_server) {
        (_, true) => server(settings)?,
        (Some(uri), false) => uri,
        (None, false) => {
            return Err(CommandError::usage(
                "DRILL_URI is not set: give the connection string of a scratch server, or say --same-server to drill on \
                 the one that is backed up, in databases of other names",
            ));
        }
    };
    let repository = Repository::of(settings);
    let mut state = StateStore::new(repository.own_folder());
    let wanted = Wanted {
        name: &arguments.name,
        within: arguments.source.within(),
    };
    let outcome = drill::run(settings, uri, ctx, &mut state, &wanted, "drill by hand").await;
    let (busy, slip, too_early) = (outcome.is_busy(), outcome.is_slip(), outcome.too_early);
    sender::send_now(settings, ctx, outcome.queued.unkept).await;
    let report = outcome.result.map_err(|error| match error {
        error if too_early => {
            let backup = ctx.runtime.run("backup");
            CommandError::usage(format!(
                "nothing to drill: {error}; make a backup first: {backup}"
            ))
        }
        RestoreError::Repository(error) if slip => error.into(),
        error if slip => CommandError::usage(ctx.explain(&error)),
        error => {
            let message = ctx.explain(&error);
            if busy {
                CommandError::busy("nothing was drilled", message)
            } else {
                // The drill has logged it, for the scheduler's drills too.
                CommandError::told(message)
            }
        }
    })?;
    if arguments.output.json {
        output::json(&report)?;
    }
    Ok(ExitStatus::of(report.proven))
}
