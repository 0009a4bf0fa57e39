//! `pantry-keeper run`: the scheduler.

use super::server;
use crate::cli::exit::{CommandError, ExitStatus};
use crate::context::Context;
use crate::scheduler::{self, End};
use crate::settings::Settings;
use tokio::sync::mpsc;

pub(crate) async fn run(
    settings: &Settings,
    ctx: &Context,
    backup_now: mpsc::Receiver<()>,
) -> Result<ExitStatus, CommandError> {
    let uri = server(settings)?;
    Ok(match scheduler::run(settings, uri, ctx, backup_now).await {
        End::Stopped => ExitStatus::Done,
        End::Failed => ExitStatus::Failed,
        End::Busy => ExitStatus::Busy,
    })
}
