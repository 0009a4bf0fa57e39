//! Looks at everything a backup depends on, and says what to do about what it finds.

mod clock;
mod encrypt;
mod findings;
mod folder;
mod notifications;
mod offsite;
mod server;
mod tools;

use crate::context::Context;
use crate::mongo::error::ServerError;
use crate::mongo::inventory;
use crate::mongo::uri::MongoUri;
use crate::report::{DoctorReport, Explain, FindingVerdict};
use crate::settings::{self, Settings};
use crate::sys::cancel::Interruption;
use findings::Findings;
use std::time::Duration;

/// The longest that one check may take.
const LIMIT: Duration = Duration::from_secs(30);

/// Inspects everything. Only a request to stop ends it early.
pub(crate) async fn inspect(
    settings: &Settings,
    uri: &MongoUri,
    ctx: &Context,
) -> Result<DoctorReport, Interruption> {
    let (cancel, now) = (&ctx.cancel, (ctx.now)());
    let limit = LIMIT.min(settings.stall_timeout);
    let mut findings = Findings::default();
    let examining = inventory::examine(uri, &settings.databases, limit);
    let examined = cancel.or(examining).await?;
    match &examined {
        Ok(examination) => server::server(&mut findings, settings, uri, examination),
        Err(error) => findings.problem("server", error.problem(ctx.runtime)),
    }
    if let Err(ServerError::Credentials { .. }) = &examined
        && let Some(hint) = settings::env_file_hint(uri, &ctx.environment)
    {
        findings.advice("password", hint, "");
    }
    server::unknown_options(&mut findings, uri);
    tools::tools(&mut findings, settings, uri, ctx, &examined).await?;
    if let Some(drill) = &settings.drill.uri {
        match cancel.or(inventory::examine(drill, &[], limit)).await? {
            Ok(examination) => server::drill(&mut findings, drill, &examination),
            Err(error) => findings.problem("drill", error.problem(ctx.runtime)),
        }
    }
    folder::folder(&mut findings, settings, ctx);
    encrypt::encrypt(&mut findings, settings);
    let server_clock = examined.ok().and_then(|examination| examination.clock);
    clock::clock(&mut findings, settings, server_clock, now);
    cancel
        .or(notifications::notifications(
            &mut findings,
            settings,
            &ctx.redactor,
        ))
        .await?;
    cancel
        .or(offsite::offsite(&mut findings, settings, ctx))
        .await?;
    clock::schedule(&mut findings, settings, now);
    let findings = findings.redacted(|text| ctx.redactor.redact(&text).into_owned());
    let well = findings
        .iter()
        .all(|finding| finding.verdict != FindingVerdict::Wrong);
    Ok(DoctorReport {
        well,
        findings,
        next_runs: clock::next_runs(settings, now),
    })
}
