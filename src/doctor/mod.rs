//! Looks at everything a backup depends on, and says what to do about what it finds.

mod clock;
mod findings;
mod folder;
mod mail;
mod server;
mod tools;

use crate::context::Context;
<<<<<<< HEAD
use crate::mongo::client;
use crate::mongo::uri::MongoUri;
use crate::report::{DoctorReport, FindingVerdict};
use crate::settings::Settings;
=======
use crate::mongo::client::{self, Examination, ServerError};
use crate::mongo::tool::Tool;
use crate::mongo::uri::MongoUri;
use crate::notify::channels::mail;
use crate::prune;
use crate::report::{DoctorReport, Finding, FindingVerdict, NextRun};
use crate::retention::forecast;
use crate::schedule::in_words;
use crate::settings::{self, NotifyOn, OplogMode, Settings};
use crate::state::StateStore;
use crate::store::repository::Repository;
use crate::store::repository::{RepositoryError, RepositoryLockError};
>>>>>>> main
use crate::sys::cancel::Interruption;
use findings::Findings;
use std::time::Duration;

/// The longest that one check may take.
const LIMIT: Duration = Duration::from_secs(30);

/// Inspects everything. Only a request to stop ends it early.
pub async fn inspect(
    settings: &Settings,
    uri: &MongoUri,
    ctx: &Context,
) -> Result<DoctorReport, Interruption> {
    let (stop, now) = (&ctx.stop, (ctx.now)());
    let limit = LIMIT.min(settings.stall_timeout);
    let mut findings = Findings::default();
    let examining = client::examine(uri, &settings.databases, limit);
    let examined = stop.or(examining).await?;
    match &examined {
<<<<<<< HEAD
        Ok(examination) => server::server(&mut findings, settings, uri, examination),
        Err(error) => findings.problem("server", error.problem(Some(ctx.runtime()))),
=======
        Ok(examination) => server_notes(&mut notes, settings, uri, examination),
        Err(error) => notes.wrong("server", error.to_string(), ""),
    }
    if let Err(ServerError::Credentials { .. }) = &examined
        && let Some(hint) = settings::env_file_hint(uri, &ctx.environment)
    {
        notes.advice("password", hint, "");
    }
    let version = examined
        .as_ref()
        .ok()
        .map(|examination| examination.facts.server.version.as_str());
    for name in ["mongodump", "mongorestore"] {
        let found = stop.or(Tool::find(name, ctx.path())).await?;
        match found {
            Ok(tool) => tool_notes(&mut notes, name, &tool, version),
            Err(error) => notes.wrong(name, error.to_string(), ""),
        }
>>>>>>> main
    }
    server::unknown_options(&mut findings, uri);
    tools::tools(&mut findings, settings, uri, ctx, &examined).await?;
    if let Some(drill) = &settings.drill.uri {
        match stop.or(client::examine(drill, &[], limit)).await? {
            Ok(examination) => server::drill(&mut findings, drill, &examination),
            Err(error) => findings.problem("drill", error.problem(Some(ctx.runtime()))),
        }
    }
    folder::folder(&mut findings, settings, now);
    let server_clock = examined.ok().and_then(|examination| examination.clock);
    clock::clock(&mut findings, settings, server_clock, now);
    stop.or(mail::mail(&mut findings, settings, &ctx.redactor))
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
