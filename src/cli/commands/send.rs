//! One notification of the scheduler, in a process of its own: it reads the request on stdin and prints what became of it,
//! on one line.

use crate::cli::exit::{CommandError, ExitStatus};
use crate::cli::output;
use crate::context::Context;
use crate::notify::channels;
use crate::scheduler::delivery::SendRequest;
use crate::settings::Settings;

pub(crate) async fn send(settings: &Settings, ctx: &Context) -> Result<ExitStatus, CommandError> {
    let request: SendRequest = serde_json::from_reader(std::io::stdin().lock()).map_err(|_| {
        CommandError::usage("this is for the scheduler; use `pantry-keeper notify-test`")
    })?;
    let channels = channels::patient(settings, &ctx.redactor);
    let mut channels = channels.iter();
    let channel = channels
        .find(|channel| channel.id() == request.channel)
        .ok_or_else(|| CommandError::usage("the settings have no such channel any more"))?;
    let delivery = channel.send(&request.notification).await;
    output::deliver(&format!("{}\n", serde_json::json!(delivery)))?;
    Ok(ExitStatus::Done)
}
