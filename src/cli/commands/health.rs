//! `pantry-keeper health`.

use crate::cli::args::Output;
use crate::cli::exit::{CommandError, ExitStatus};
use crate::cli::output;
use crate::context::Context;
use crate::health;
use crate::settings::Settings;

pub(crate) fn health(
    settings: &Settings,
    ctx: &Context,
    output: &Output,
) -> Result<ExitStatus, CommandError> {
    let now = (ctx.now)();
    let report = health::look(settings, now);
    if output.json {
        output::json(&report)?;
    } else {
        output::print(&output::health(&report, settings.time_zone, now))?;
    }
    Ok(ExitStatus::of(report.healthy))
}
