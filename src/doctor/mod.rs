//! Looks at everything a backup depends on, and says what to do about what it finds.

use crate::archive::manifest::Topology;
use crate::backup;
use crate::context::Context;
use crate::mongo::client::{self, Examination};
use crate::mongo::tool::Tool;
use crate::mongo::uri::MongoUri;
use crate::notify::channels::mail;
use crate::prune;
use crate::report::{DoctorReport, Finding, FindingVerdict, NextRun};
use crate::retention::forecast;
use crate::schedule::in_words;
use crate::settings::{NotifyOn, OplogMode, Settings};
use crate::state::StateStore;
use crate::store::repository::Repository;
use crate::store::repository::{RepositoryError, RepositoryLockError};
use crate::sys::cancel::Interruption;
use crate::sys::humanize;
use crate::sys::lock::{Lock, LockError};
use chrono::{DateTime, Datelike, TimeDelta, Utc};
use std::time::Duration;

/// The longest that one check may take.
const LIMIT: Duration = Duration::from_secs(30);
/// Clocks that differ by more are not merely imprecise.
const CLOCK_DIFFERENCE: TimeDelta = TimeDelta::minutes(5);
/// No clock that is right shows an earlier year.
const FIRST_YEAR: i32 = 2025;
const NEXT_RUNS: usize = 5;

/// Looks at everything. Only being told to stop ends it early.
pub async fn look(
    settings: &Settings,
    uri: &MongoUri,
    ctx: &Context,
) -> Result<DoctorReport, Interruption> {
    let stop = &ctx.stop;
    let mut notes = Notes::default();
    let limit = LIMIT.min(settings.stall_timeout);
    let examined = stop
        .or(client::examine(uri, &settings.databases, limit))
        .await?;
    match &examined {
        Ok(examination) => server_notes(&mut notes, settings, uri, examination),
        Err(error) => notes.wrong("server", error.to_string(), ""),
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
    }
    if let Some(drill) = &settings.drill.uri {
        match stop.or(client::examine(drill, &[], limit)).await? {
            Ok(examination) => drill_notes(&mut notes, drill, &examination),
            Err(error) => notes.wrong("drill", error.to_string(), ""),
        }
    }
    let now = (ctx.now)();
    folder_notes(&mut notes, settings, now);
    clock_notes(
        &mut notes,
        settings,
        examined.ok().and_then(|examination| examination.clock),
        now,
    );
    match &settings.mail {
        None => notes.advice(
            "mail",
            "off: nobody is told when a backup fails",
            "set SMTP_HOST, EMAIL_FROM and EMAIL_TO",
        ),
        Some(mail) => match stop
            .or(mail::probe(mail, &ctx.redactor, mail::LONGEST_TALK))
            .await?
        {
            Ok(()) if settings.notify_on == NotifyOn::Never => {
                notes.advice(
                    "mail",
                    "works, but NOTIFY_ON is never: nobody is told when a backup fails",
                    "",
                );
            }
            Ok(()) => notes.fine(
                "mail",
                format!(
                    "{}:{} takes mail from {} for {}",
                    mail.host,
                    mail.port,
                    mail.from,
                    mail.to.join(", ")
                ),
            ),
            Err(error) => notes.wrong("mail", error.to_string(), ""),
        },
    }
    schedule_notes(&mut notes, settings, now);
    let upcoming = settings
        .schedule
        .upcoming(now, settings.time_zone, NEXT_RUNS);
    let next_runs = upcoming.into_iter().map(|next| {
        let local = next
            .at
            .with_timezone(&settings.time_zone)
            .format("%a %-d %b %Y %H:%M:%S %Z (UTC%:z)")
            .to_string();
        NextRun {
            at: next.at,
            local,
            note: next.note,
        }
    });
    let redact = |text: String| ctx.redactor.redact(&text).into_owned();
    let findings: Vec<Finding> = notes
        .0
        .into_iter()
        .map(|f| Finding {
            text: redact(f.text),
            fix: f.fix.map(redact),
            ..f
        })
        .collect();
    let well = findings
        .iter()
        .all(|finding| finding.verdict != FindingVerdict::Wrong);
    Ok(DoctorReport {
        well,
        findings,
        next_runs: next_runs.collect(),
    })
}

#[derive(Default)]
struct Notes(Vec<Finding>);

impl Notes {
    fn add(&mut self, area: &'static str, verdict: FindingVerdict, text: String, fix: &str) {
        // Errors of ours end with what to do about them; lists have a line for each of their items.
        let ends_at = ["; ", "\n"]
            .iter()
            .filter_map(|end| Some((text.find(end)?, end.len())))
            .min();
        let (text, own_fix) = match ends_at {
            Some((at, length)) if fix.is_empty() && verdict != FindingVerdict::Fine => {
                (text[..at].to_owned(), text[at + length..].to_owned())
            }
            _ => (text, fix.to_owned()),
        };
        self.0.push(Finding {
            area,
            verdict,
            text,
            fix: Some(own_fix).filter(|fix| !fix.is_empty()),
        });
    }

    fn fine(&mut self, area: &'static str, text: impl Into<String>) {
        self.add(area, FindingVerdict::Fine, text.into(), "");
    }

    fn advice(&mut self, area: &'static str, text: impl Into<String>, fix: &str) {
        self.add(area, FindingVerdict::Advice, text.into(), fix);
    }

    fn wrong(&mut self, area: &'static str, text: impl Into<String>, fix: &str) {
        self.add(area, FindingVerdict::Wrong, text.into(), fix);
    }
}

fn server_notes(notes: &mut Notes, settings: &Settings, uri: &MongoUri, examination: &Examination) {
    let (server, facts) = (&examination.facts.server, &examination.facts);
    notes.fine(
        "server",
        format!(
            "{}: MongoDB {}, {}, {} in {}",
            server.hosts,
            server.version,
            server.topology.words(),
            humanize::counted(facts.found.len() as u64, "collection"),
            humanize::counted(facts.databases.len() as u64, "database"),
        ),
    );
    for name in settings
        .databases
        .iter()
        .filter(|name| !facts.databases.contains(name))
    {
        notes.wrong(
            "databases",
            format!("there is no database named {name:?}"),
            "check BACKUP_DATABASES",
        );
    }
    let grant = crate::mongo::privileges::grant(uri).map(|grant| format!("in mongosh, as an administrator: {grant}")).unwrap_or_default();
    match examination.unreadable(&settings.databases) {
        None if examination.roles.is_none() => {
            notes.fine("roles", "the server asks for no password")
        }
        None => notes.fine("roles", "the user may read what is to be backed up"),
        Some(None) => notes.wrong(
            "roles",
            "the user does not have the role \"backup\"",
            &grant,
        ),
        Some(Some(databases)) => {
            notes.wrong(
                "roles",
                format!("the user may not read {}", databases.join(", ")),
                &grant,
            );
        }
    }
    let whole = settings.databases.is_empty() && settings.exclude.is_empty();
    match (settings.oplog, examination.oplog) {
        (OplogMode::Off, _) => {}
        (OplogMode::On, None) => notes.wrong(
            "point in time",
            "BACKUP_OPLOG is on, but this server has no oplog",
            "make it a replica set of one, or set BACKUP_OPLOG to auto",
        ),
        (_, Some(_)) if !whole => notes.advice(
            "point in time",
            "no: with BACKUP_DATABASES or BACKUP_EXCLUDE, databases are dumped one after the other",
            "",
        ),
        (_, Some(false)) => notes.wrong("point in time", "the user may not read the oplog", &grant),
        (_, Some(true)) => notes.fine("point in time", "yes: the oplog is included"),
        (OplogMode::Auto, None) if server.topology == Topology::Sharded => notes.advice(
            "point in time",
            "no: a sharded cluster is not dumped at one point in time across its shards",
            "use Percona Backup for MongoDB where that matters",
        ),
        _ => notes.advice(
            "point in time",
            "no: a standalone server has no oplog, so what is written during a backup may be half in it",
            "make it a replica set of one (--replSet) where that matters",
        ),
    }
}

fn tool_notes(notes: &mut Notes, name: &'static str, tool: &Tool, server_version: Option<&str>) {
    let text = format!("{} ({})", tool.version, tool.program.display());
    let old = server_version.and_then(|server| Some((server, tool.too_old_for(server)?)));
    let Some((server, (wanted, serious))) = old else {
        return notes.fine(name, text);
    };
    let fix = format!(
        "install MongoDB Database Tools {wanted} or later, or use a newer Pantry Keeper image"
    );
    match serious {
        true => notes.wrong(
            name,
            format!("{text} is older than MongoDB {server} needs"),
            &fix,
        ),
        false => notes.advice(
            name,
            format!("{text} was made before MongoDB {server}, for an earlier release of it"),
            &fix,
        ),
    }
}

fn drill_notes(notes: &mut Notes, uri: &MongoUri, examination: &Examination) {
    let text = format!(
        "{} (MongoDB {}) takes trial restores",
        uri.hosts(),
        examination.facts.server.version
    );
    match examination.restores() {
        true => notes.fine("drill", text),
        false => {
            let user = uri.user().unwrap_or("(nobody)");
            let fix = format!(
                "in its mongosh, as an administrator: db.getSiblingDB(\"admin\").grantRolesToUser(\"{user}\", \
                 [\"restore\", \"backup\"])"
            );
            notes.wrong(
                "drill",
                format!(
                    "the user in DRILL_URI may not restore on {} and read it back",
                    uri.hosts()
                ),
                &fix,
            );
        }
    }
}

fn folder_notes(notes: &mut Notes, settings: &Settings, now: DateTime<Utc>) {
    let repository = Repository::of(settings);
    let folder = settings.backup_dir.display().to_string();
    // Looking makes nothing: a folder of ours on a disk that is not there would look as if it were.
    let ready = match repository.own_folder().is_dir() {
        false => repository.could_begin(settings.require_mount),
        true => match repository.lock(settings.require_mount) {
            Ok(_) | Err(RepositoryLockError::Lock(LockError::Held(_))) => repository.try_writing(),
            Err(RepositoryLockError::Repository(error)) => Err(error),
            Err(RepositoryLockError::Lock(LockError::File(error))) => Err(error.into()),
        },
    };
    if let Err(error) = ready {
        return notes.wrong("folder", error.to_string(), "");
    }
    let listed = match repository.list() {
        Ok(listed) => listed,
        Err(RepositoryError::NoFolder(_)) => {
            return notes.advice(
                "folder",
                format!("{folder}: no backup was made there yet"),
                "",
            );
        }
        Err(error) => return notes.wrong("folder", error.to_string(), ""),
    };
    let last = crate::report::last_good(&listed).map(|last| last.archive.as_str());
    let last = last
        .map(|last| format!(", the last good one {last}"))
        .unwrap_or_default();
    notes.fine(
        "folder",
        format!(
            "{folder} is writable: {}{last}",
            humanize::counted(listed.len() as u64, "archive")
        ),
    );
    for damaged in listed.iter().filter(|one| one.damage.is_some()) {
        notes.wrong(
            "archives",
            format!("{} is damaged", damaged.archive),
            "`pantry-keeper verify` says where; keep it for what can still be read, or move it away",
        );
    }
    let free_bytes = repository.free_bytes();
    let need_bytes = forecast::next_archive_bytes(&prune::archives(&listed));
    match (free_bytes, need_bytes) {
        (Some(free), Some(need)) if free < need => notes.wrong(
            "disk",
            format!(
                "{} free, and the next backup will need about {}",
                humanize::bytes(free),
                humanize::bytes(need)
            ),
            "make room, or move BACKUP_DIR to a larger disk",
        ),
        (Some(free), need) => {
            let need = need.map(|need| {
                format!(
                    ", the next backup will need about {}",
                    humanize::bytes(need)
                )
            });
            let text = format!("{} free{}", humanize::bytes(free), need.unwrap_or_default());
            match backup::full_at(settings, &listed, free_bytes, now) {
                Some(at) => notes.advice(
                    "disk",
                    format!(
                        "{text}; full in {}, at this pace",
                        humanize::counted((at - now).num_days().max(0) as u64, "day")
                    ),
                    "make room, keep fewer archives (RETENTION_DAYS), or move BACKUP_DIR to a larger disk",
                ),
                None => notes.fine("disk", text),
            }
        }
        (None, _) => notes.advice("disk", "its free space cannot be told", ""),
    }
    let state = StateStore::new(repository.own_folder()).state();
    if let Some(failing) = state.alerts.failing() {
        let since = failing
            .since
            .with_timezone(&settings.time_zone)
            .format("%-d %B %Y at %H:%M %Z");
        notes.wrong(
            "last run",
            format!("it failed, and backups have been failing since {since}"),
            "see backup.log and what is wrong here",
        );
    }
    if let Some(halt) = prune::plan(settings, &listed, &state, now).halt {
        let halt = halt.to_string();
        let (why, what_to_do) = halt.rsplit_once('\n').unwrap_or((&halt, "see backup.log"));
        notes.advice(
            "retention",
            format!("nothing is removed for now: {why}"),
            what_to_do,
        );
    }
}

fn clock_notes(
    notes: &mut Notes,
    settings: &Settings,
    server: Option<DateTime<Utc>>,
    now: DateTime<Utc>,
) {
    let local = now
        .with_timezone(&settings.time_zone)
        .format("%A %-d %B %Y %H:%M:%S %Z");
    let fix =
        "set this machine's clock, or let it be set over the network: timedatectl set-ntp true";
    let newest = Repository::of(settings)
        .newest_good()
        .and_then(|newest| newest.made_at);
    let difference = server.map(|server| (server - now).abs());
    if now.year() < FIRST_YEAR {
        notes.wrong(
            "clock",
            format!("it shows {local}, which is long past"),
            fix,
        );
    } else if newest.is_some_and(|newest| newest > now + CLOCK_DIFFERENCE) {
        notes.wrong(
            "clock",
            format!("it shows {local}, which is before the newest archive"),
            fix,
        );
    } else if let Some(off) = difference.filter(|off| *off > CLOCK_DIFFERENCE) {
        let off = humanize::duration(off.to_std().unwrap_or_default());
        notes.wrong(
            "clock",
            format!("it shows {local}, {off} off the MongoDB server's clock"),
            fix,
        );
    } else {
        notes.fine("clock", local.to_string());
    }
}

fn schedule_notes(notes: &mut Notes, settings: &Settings, now: DateTime<Utc>) {
    let schedule = format!("{} in {}", settings.schedule, settings.time_zone);
    let next = settings.schedule.next_after(now, settings.time_zone);
    let next = next
        .map(|next| format!("; next {}", in_words(next, settings.time_zone, now)))
        .unwrap_or_default();
    match Lock::holder(&Repository::of(settings).scheduler_path()) {
        Some(_) => notes.fine("schedule", format!("{schedule}{next}")),
        None => notes.advice(
            "schedule",
            format!("{schedule}, but no scheduler is at work in this folder"),
            "start one with `pantry-keeper run`, or have something else run `pantry-keeper backup`",
        ),
    }
}
