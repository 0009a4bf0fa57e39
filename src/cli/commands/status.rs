//! `pantry-keeper status`, and the hidden command that serves the page.

use crate::cli::args::Output;
use crate::cli::exit::{CommandError, ExitStatus};
use crate::cli::output;
use crate::context::Context;
use crate::settings::Settings;
use crate::status::snapshot::Reader;
use crate::status::{server, terminal};

pub(crate) fn status(
    settings: &Settings,
    ctx: &Context,
    output: &Output,
) -> Result<ExitStatus, CommandError> {
    let report = Reader::new(settings).look((ctx.now)()).status;
    if output.json {
        output::json(&report)?;
    } else {
        output::print(&terminal::text(&report, settings.time_zone))?;
    }
    Ok(ExitStatus::Done)
}

/// Serves the page until it is ended. What it says goes to stderr alone: the scheduler writes the log files.
pub(crate) async fn serve(settings: &Settings, ctx: &Context) -> Result<ExitStatus, CommandError> {
    let Some(address) = settings.status.listen else {
        return Err(CommandError::usage("STATUS_LISTEN is not set"));
    };
    // When memory runs out, this is what goes first; where that cannot be said, nothing is lost.
    let _ = std::fs::write("/proc/self/oom_score_adj", "500");
    server::serve(settings, address, ctx)
        .await
        .map_err(|error| CommandError::failed("the status page", error.to_string()))?;
    Ok(ExitStatus::Done)
}
