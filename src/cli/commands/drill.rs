//! `pantry-keeper drill`.

use crate::cli::args::DrillArguments;
use crate::cli::{BUSY, DONE, FAILED, WRONG, failure, json, refuse};
use crate::context::Context;
use crate::drill;
use crate::restore::RestoreError;
use crate::settings::Settings;
use crate::state::StateStore;
use crate::store::repository::Repository;
use crate::sys::logging;

pub async fn drill(settings: &Settings, ctx: &Context, arguments: &DrillArguments) -> u8 {
    let output = &arguments.output;
    let uri = match (
        arguments.same_server,
        &settings.drill.uri,
        &settings.mongodb,
    ) {
        (true, _, Some(uri)) | (false, Some(uri), _) => uri,
        _ => {
            let problem = "DRILL_URI is not set: give the connection string of a scratch server, or say --same-server to \
                           drill on that of MONGODB_URI, in databases of other names";
            eprint!("{}", logging::one_event(problem));
            if output.json {
                failure(problem);
            }
            return WRONG;
        }
    };
    let repository = Repository::of(settings);
    let mut status = StateStore::new(repository.own_folder());
    let outcome = drill::run(
        settings,
        uri,
        ctx,
        &mut status,
        &arguments.name,
        "drill by hand",
    )
    .await;
    let (busy, slip) = (outcome.is_busy(), outcome.is_slip());
    super::notify_test::send(settings, ctx, &repository, outcome.posted.unkept).await;
    match outcome.result {
        Ok(report) => {
            if output.json {
                json(&report);
            }
            if report.proven { DONE } else { FAILED }
        }
        Err(RestoreError::Repository(error)) if slip => refuse(&error, output),
        Err(error) => {
            let text = ctx.redactor.redact(&error.to_string()).into_owned();
            if busy {
                tracing::error!("nothing was drilled: {text}");
            }
            if output.json {
                failure(&text);
            }
            if busy { BUSY } else { FAILED }
        }
    }
}
