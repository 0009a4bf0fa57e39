//! `pantry-keeper doctor`.

use super::server;
use crate::cli::args::Output;
use crate::cli::exit::{CommandError, ExitStatus};
use crate::cli::output;
use crate::context::Context;
use crate::doctor;
use crate::settings::Settings;

pub(crate) async fn doctor(
    settings: &Settings,
    ctx: &Context,
    output: &Output,
) -> Result<ExitStatus, CommandError> {
    let inspected = doctor::inspect(settings, server(settings)?, ctx).await;
    let report = inspected.map_err(|_| CommandError::stopped(""))?;
    if output.json {
        output::json(&report)?;
    } else {
        output::print(&output::doctor(&report))?;
    }
    Ok(ExitStatus::of(report.well))
}
