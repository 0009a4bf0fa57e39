//! The backup folder: whether it can be written, what is in it, how long its disk will do, and what is remembered of runs.

use super::findings::Findings;
use crate::archive::file_name;
use crate::archive::namespace::printable;
use crate::backup;
use crate::context::Context;
use crate::prune;
use crate::report::{ArchiveSummary, Explain};
use crate::retention::forecast;
use crate::settings::Settings;
use crate::state::{State, StateStore};
use crate::store::repository::{Repository, RepositoryError, RepositoryLockError};
use crate::sys::humanize;
use crate::sys::lock::LockError;
use chrono::{DateTime, Utc};

pub(super) fn folder(findings: &mut Findings, settings: &Settings, ctx: &Context) {
    let now = (ctx.now)();
    let repository = Repository::of(settings);
    let folder = settings.backup_dir.display().to_string();
    if let Err(error) = ready(&repository, settings) {
        return findings.problem("folder", error.problem(ctx.runtime));
    }
    let listed = match repository.list() {
        Ok(listed) => listed,
        Err(RepositoryError::NoFolder(_)) => {
            return findings.advice(
                "folder",
                format!("{folder}: no backup was made there yet"),
                "",
            );
        }
        Err(error) => return findings.problem("folder", error.problem(ctx.runtime)),
    };
    let newest = crate::report::last_good(&listed).map(|last| last.archive.as_str());
    let last = newest
        .map(|last| format!(", the last good one {last}"))
        .unwrap_or_default();
    findings.fine(
        "folder",
        format!(
            "{folder} is writable: {}{last}",
            humanize::counted(listed.len() as u64, "archive")
        ),
    );
    for damaged in listed.iter().filter(|one| one.damage.is_some()) {
        findings.wrong(
            "archives",
            format!("{} is damaged", damaged.archive),
            &format!(
                "`{}` says where; keep it for what can still be read, or move it away",
                settings.runtime.run(&format!("verify {}", damaged.archive))
            ),
        );
    }
    permissions(findings, &repository, newest);
    others(findings, settings, &repository);
    disk(findings, settings, &repository, &listed, now);
    let state = StateStore::new(repository.own_folder()).state();
    last_run(findings, settings, &state);
    retention(findings, settings, &listed, &state, now);
}

fn permissions(findings: &mut Findings, repository: &Repository, newest: Option<&str>) {
    let open = newest.filter(|name| !file_name::is_sealed(name) && repository.is_open_to_all(name));
    if let Some(name) = open {
        findings.advice(
            "archives",
            format!("{name} can be read by every user of the machine"),
            "a disk that keeps no permissions (exFAT, FAT, NTFS, a Windows share) gets them where it is mounted, with uid=… and \
             umask=077 in its options; on others: chmod 600. Or seal the archives: ENCRYPT_LOCAL",
        );
    }
}

fn ready(repository: &Repository, settings: &Settings) -> Result<(), RepositoryError> {
    // Looking makes nothing: a folder of ours on a disk that is not there would look as if it were.
    match repository.own_folder().is_dir() {
        false => repository.could_begin(settings.require_mount),
        true => match repository.lock(settings.require_mount) {
            Ok(_) | Err(RepositoryLockError::Lock(LockError::Held(_))) => repository.try_writing(),
            Err(RepositoryLockError::Repository(error)) => Err(error),
            Err(RepositoryLockError::Lock(LockError::File(error))) => Err(error.into()),
        },
    }
}

/// Others that make archives into the same folder: what is remembered of runs is not kept apart. One whose archives are all
/// older than ours was renamed.
fn others(findings: &mut Findings, settings: &Settings, repository: &Repository) {
    let time = |stem: &String| file_name::time_of(&settings.prefix, stem);
    let stems = repository.stems().unwrap_or_default();
    let Some(first) = stems.iter().filter_map(time).min() else {
        return;
    };
    let others = repository.others().unwrap_or_default();
    let at_work = others.iter().filter(|(_, newest)| **newest > first);
    let names: Vec<String> = at_work.map(|(prefix, _)| printable(prefix)).collect();
    if names.is_empty() {
        return;
    }
    findings.advice(
        "folder",
        format!(
            "archives of another BACKUP_PREFIX are made here too: {}",
            humanize::first_and_more(&names, 3)
        ),
        "give each prefix a BACKUP_DIR of its own: in one folder, what one of them lost, and whether its runs fail, counts for \
         all of them. If you only renamed it and back again, leave it",
    );
}

fn disk(
    findings: &mut Findings,
    settings: &Settings,
    repository: &Repository,
    listed: &[ArchiveSummary],
    now: DateTime<Utc>,
) {
    let free_bytes = repository.free_bytes();
    let need_bytes = forecast::next_archive_bytes(&prune::archives(listed));
    match (free_bytes, need_bytes) {
        (Some(free), Some(need)) if free < need => findings.wrong(
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
            match backup::full_at(settings, listed, free_bytes, now) {
                Some(at) => findings.advice(
                    "disk",
                    format!(
                        "{text}; full in {}, at this pace",
                        humanize::counted((at - now).num_days().max(0) as u64, "day")
                    ),
                    "make room, keep fewer archives (RETENTION_DAYS), or move BACKUP_DIR to a larger disk",
                ),
                None => findings.fine("disk", text),
            }
        }
        (None, _) => findings.advice("disk", "its free space cannot be told", ""),
    }
}

fn last_run(findings: &mut Findings, settings: &Settings, state: &State) {
    let problem = state.problem.as_ref();
    if let Some(problem) = problem.filter(|problem| problem.hides_failures()) {
        findings.wrong(
            "last run",
            problem.to_string(),
            &problem.help(settings.runtime),
        );
    }
    if let Some(failing) = state.alerts.failing() {
        let since = failing
            .since
            .with_timezone(&settings.time_zone)
            .format("%-d %B %Y at %H:%M %Z");
        findings.wrong(
            "last run",
            format!("it failed, and backups have been failing since {since}"),
            "see backup.log and what is wrong here",
        );
    }
}

fn retention(
    findings: &mut Findings,
    settings: &Settings,
    listed: &[ArchiveSummary],
    state: &State,
    now: DateTime<Utc>,
) {
    if let Some(halt) = prune::plan(settings, listed, state, now).halt {
        findings.advice(
            "retention",
            format!("nothing is removed for now: {halt}"),
            halt.help().unwrap_or("see backup.log"),
        );
    }
}
