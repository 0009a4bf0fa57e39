//! `pantry-keeper restore --match`.

use super::restore::{ask, refused, selection};
use super::server;
use crate::cli::args::RestoreArguments;
use crate::cli::exit::{CommandError, ExitStatus};
use crate::cli::output;
use crate::context::Context;
use crate::mongo::uri::MongoUri;
use crate::offsite;
use crate::query::Query;
use crate::restore::matched::{self, Matching};
use crate::settings::Settings;

pub(crate) async fn restore(
    settings: &Settings,
    ctx: &Context,
    arguments: &RestoreArguments,
    text: &str,
    to: Option<&MongoUri>,
) -> Result<ExitStatus, CommandError> {
    let as_json = arguments.output.json;
    let query = Query::parse(text);
    let query = query.map_err(|error| CommandError::usage(format!("--match: {error}")))?;
    let uri = match to {
        Some(to) => to,
        None => server(settings)?,
    };
    let refused = |error| refused(error, ctx);
    let matching = Matching {
        query,
        text: text.to_owned(),
        replace: arguments.replace,
    };
    let selection = selection(arguments).map_err(CommandError::usage)?;
    let within = arguments.source.within();
    let located = offsite::locate(settings, ctx, &arguments.name, within).await;
    let located = located.map_err(|error| refused(error.into()))?;
    let plan = matched::prepare(settings, ctx, uri, &located, &selection, matching).await;
    let plan = plan.map_err(refused)?;
    let planned = plan.preview();
    let preview = output::matched::before(&planned, settings.time_zone);
    if !as_json {
        output::print(&preview)?;
    }
    for warning in &plan.warnings {
        tracing::warn!("{warning}");
    }
    if arguments.dry_run {
        if as_json {
            output::json(&planned)?;
        }
        return Ok(ExitStatus::of(!plan.has_failures()));
    }
    if !arguments.yes {
        ask(&preview, as_json, ctx).await?;
    }
    let report = matched::execute(plan, settings, ctx)
        .await
        .map_err(refused)?;
    let lines = output::matched::after(&report, arguments.to.is_some());
    match report.restored {
        true => tracing::info!("{lines}"),
        false => tracing::error!("{lines}"),
    }
    if as_json {
        output::json(&report)?;
    }
    Ok(ExitStatus::of(report.restored))
}
