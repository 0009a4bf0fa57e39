//! mongodump and mongorestore: whether they are there, new enough, and take the connection string as the driver does.

use super::findings::Findings;
use crate::archive::namespace::{Kind, Namespace};
use crate::context::Context;
use crate::mongo::error::ServerError;
use crate::mongo::inventory::Examination;
use crate::mongo::mongodump;
use crate::mongo::option_advice::with_option;
use crate::mongo::tool::Tool;
use crate::mongo::uri::MongoUri;
use crate::report::{Explain, Problem};
use crate::settings::Settings;
use crate::sys::cancel::Interruption;
use std::time::Duration;

/// mongodump mostly connects in less than a second, or keeps trying in silence. It makes two connections one after the other, each
/// of which may take as long as the driver's.
const LONGEST_PROBE: Duration = Duration::from_secs(25);

/// Both tools; mongodump is also let connect.
pub(super) async fn tools(
    findings: &mut Findings,
    settings: &Settings,
    uri: &MongoUri,
    ctx: &Context,
    examined: &Result<Examination, ServerError>,
) -> Result<(), Interruption> {
    let server_version = examined
        .as_ref()
        .ok()
        .map(|examination| examination.facts.server.version.as_str());
    for name in ["mongodump", "mongorestore"] {
        match ctx.cancel.or(Tool::find(name, ctx.path())).await? {
            Ok(tool) => {
                version(findings, name, &tool, server_version);
                if name == "mongodump" {
                    let probing = probe(findings, settings, uri, ctx, tool, examined);
                    ctx.cancel.or(probing).await?;
                }
            }
            Err(error) => findings.problem(name, error.problem(ctx.runtime)),
        }
    }
    Ok(())
}

/// Lets the real mongodump connect. Where nothing is there at all, it would only take its time to say the same.
async fn probe(
    findings: &mut Findings,
    settings: &Settings,
    uri: &MongoUri,
    ctx: &Context,
    tool: Tool,
    examined: &Result<Examination, ServerError>,
) {
    if examined.as_ref().is_err_and(ServerError::is_absence) {
        return;
    }
    let options = ctx.tool_options(tool, uri, settings.stall_timeout).await;
    let namespace = probed_namespace(settings, examined);
    let probed = mongodump::probe(&options, &namespace, LONGEST_PROBE).await;
    match (probed, examined) {
        (Ok(()), Ok(_)) => findings.fine("connection", "mongodump connects and reads as well"),
        // It connected, and was told what it may not do.
        (Ok(()), Err(ServerError::Role { .. })) => {}
        (Ok(()), Err(_)) => findings.advice(
            "connection",
            "mongodump connects, though this program does not",
            "what is said about the server above is what the two take differently",
        ),
        (Err(error), Ok(_)) => findings.problem(
            "connection",
            Problem::new(
                format!("this program connects, and mongodump does not: {error}"),
                error.help(ctx.runtime).unwrap_or_else(|| {
                    format!(
                        "if the server is slow to answer, {}; otherwise mongodump takes {} in another way: check its options, \
                         TLS files above all",
                        with_option(uri.setting(), "connectTimeoutMS=30000"),
                        uri.setting()
                    )
                }),
            ),
        ),
        // One server, one finding.
        (Err(_), Err(_)) => {}
    }
}

/// A collection that is to be backed up; on an empty server, one that need not be there.
fn probed_namespace(settings: &Settings, examined: &Result<Examination, ServerError>) -> Namespace {
    let chosen = &settings.databases;
    let found = examined.iter().flat_map(|one| &one.facts.found);
    let withheld = |database: &String| {
        let mut facts = examined.iter().map(|one| &one.facts);
        database == "admin" && facts.any(|facts| facts.admin_withheld)
    };
    let mut wanted = found.filter(|found| {
        let Namespace {
            database,
            collection,
        } = &found.namespace;
        found.kind == Kind::Collection
            && (chosen.is_empty() || chosen.contains(database))
            && !withheld(database)
            // mongodump's parser takes such a value for a quoted one.
            && !collection.starts_with('"')
    });
    match wanted.next() {
        Some(found) => found.namespace.clone(),
        None => {
            let any = match withheld(&"admin".to_owned()) {
                true => "test",
                false => "admin",
            };
            let database = chosen.first().map_or(any, String::as_str);
            Namespace::new(database, "system.version".to_owned())
        }
    }
}

fn version(findings: &mut Findings, name: &'static str, tool: &Tool, server_version: Option<&str>) {
    let text = format!("{} ({})", tool.version, tool.program.display());
    let old = server_version.and_then(|server| Some((server, tool.too_old_for(server)?)));
    let Some((server, (wanted, serious))) = old else {
        return findings.fine(name, text);
    };
    let fix = format!(
        "install MongoDB Database Tools {wanted} or later, or use a newer Pantry Keeper image"
    );
    match serious {
        true => findings.wrong(
            name,
            format!("{text} is older than MongoDB {server} needs"),
            &fix,
        ),
        false => findings.advice(
            name,
            format!("{text} was made before MongoDB {server}, for an earlier release of it"),
            &fix,
        ),
    }
}
