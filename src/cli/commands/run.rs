//! `pantry-keeper run`: the scheduler.

use super::server;
use crate::cli::exit::{CommandError, ExitStatus};
use crate::context::Context;
use crate::scheduler::stall::StallWatch;
use crate::scheduler::{self, End};
use crate::settings::Settings;
use crate::sys::logging::LogFiles;
use tokio::sync::mpsc;

pub(crate) async fn run(
    settings: &Settings,
    ctx: &Context,
    backup_now: mpsc::Receiver<()>,
    log_files: &LogFiles,
) -> Result<ExitStatus, CommandError> {
    let uri = server(settings)?;
    let stall_watch = StallWatch::start(settings, uri, ctx);
    log_files.open();
    let ended = scheduler::run(settings, uri, ctx, backup_now, stall_watch).await;
    Ok(match ended {
        End::Stopped => ExitStatus::Done,
        End::Failed => ExitStatus::Failed,
        End::Busy => ExitStatus::Busy,
    })
}
