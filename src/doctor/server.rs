//! MongoDB as the driver sees it: what it is, what its user may do, and whether a backup is of one point in time.

use super::findings::Findings;
use crate::archive::manifest::Topology;
use crate::mongo::client::Found;
use crate::mongo::driver_options::DriverUri;
use crate::mongo::error::role_help;
use crate::mongo::inventory::{Examination, Unreadable};
use crate::mongo::privileges;
use crate::mongo::uri::MongoUri;
use crate::settings::{OplogMode, Settings};
use crate::sys::humanize;

pub(super) fn server(
    findings: &mut Findings,
    settings: &Settings,
    uri: &MongoUri,
    examination: &Examination,
) {
    let (server, facts) = (&examination.facts.server, &examination.facts);
    findings.fine(
        "server",
        format!(
            "{}: MongoDB {}, {}, {} in {}",
            server.hosts,
            server.version,
            server.topology.label(),
            humanize::counted(facts.found.len() as u64, "collection"),
            humanize::counted(facts.databases.len() as u64, "database"),
        ),
    );
    for name in settings
        .databases
        .iter()
        .filter(|name| !facts.databases.contains(name))
    {
        findings.wrong(
            "databases",
            format!("there is no database named {name:?}"),
            "check BACKUP_DATABASES",
        );
    }
    for pattern in &settings.exclude {
        let fits =
            |found: &Found| pattern.matches(&found.namespace.database, &found.namespace.collection);
        if !facts.found.iter().any(fits) {
            findings.advice(
                "databases",
                format!("there is no collection that BACKUP_EXCLUDE's {pattern} leaves out"),
                "check its spelling; it may also be for one that comes and goes",
            );
        }
    }
    let grant = privileges::grant(uri).unwrap_or_default();
    let fix = role_help(&grant, &examination.access.readable);
    roles(findings, settings, examination, &fix);
    point_in_time(findings, settings, examination, &fix);
}

fn roles(findings: &mut Findings, settings: &Settings, examination: &Examination, fix: &str) {
    match examination.unreadable(&settings.databases) {
        Unreadable::Nothing if examination.roles.is_none() => {
            findings.fine("roles", "the server asks for no password");
        }
        Unreadable::Nothing => findings.fine("roles", "the user may read what is to be backed up"),
        Unreadable::AllDatabases => {
            findings.wrong("roles", "the user does not have the role \"backup\"", fix);
        }
        Unreadable::Databases(databases) => {
            findings.wrong(
                "roles",
                format!("the user may not read {}", databases.join(", ")),
                fix,
            );
        }
    }
}

fn point_in_time(
    findings: &mut Findings,
    settings: &Settings,
    examination: &Examination,
    fix: &str,
) {
    let server = &examination.facts.server;
    let whole = settings.databases.is_empty() && settings.exclude.is_empty();
    match (settings.oplog, examination.oplog) {
        (OplogMode::Off, _) => {}
        (OplogMode::On, None) => findings.wrong(
            "point in time",
            "BACKUP_OPLOG is on, but this server has no oplog",
            "make it a replica set of one, or set BACKUP_OPLOG to auto",
        ),
        (_, Some(_)) if !whole => findings.advice(
            "point in time",
            "no: with BACKUP_DATABASES or BACKUP_EXCLUDE, databases are dumped one after the other",
            "",
        ),
        (_, Some(false)) => findings.wrong("point in time", "the user may not read the oplog", fix),
        (_, Some(true)) => findings.fine("point in time", "yes: the oplog is included"),
        (OplogMode::Auto, None) if server.topology == Topology::Sharded => findings.advice(
            "point in time",
            "no: a sharded cluster is not dumped at one point in time across its shards",
            "use Percona Backup for MongoDB where that matters",
        ),
        _ => findings.advice(
            "point in time",
            "no: a standalone server has no oplog, so what is written during a backup may be captured partially",
            "make it a replica set of one (--replSet) where that matters",
        ),
    }
}

/// Options of the connection string that neither changes anything by.
pub(super) fn unknown_options(findings: &mut Findings, uri: &MongoUri) {
    let dropped = DriverUri::of(uri).dropped;
    if !dropped.is_empty() {
        findings.advice(
            "options",
            format!(
                "{} means nothing to this program: {}",
                uri.setting(),
                dropped.join(", ")
            ),
            "check for typing errors; options of other drivers can stay",
        );
    }
}

pub(super) fn drill(findings: &mut Findings, uri: &MongoUri, examination: &Examination) {
    let hosts = uri.hosts();
    if examination.restores() {
        let version = &examination.facts.server.version;
        return findings.fine(
            "drill",
            format!("{hosts} (MongoDB {version}) takes trial restores"),
        );
    }
    let grant = privileges::grant_restore(uri).unwrap_or_default();
    findings.wrong(
        "drill",
        format!("the user in DRILL_URI may not restore on {hosts} and read it back"),
        &format!("in its mongosh, as an administrator: {grant}"),
    );
}
