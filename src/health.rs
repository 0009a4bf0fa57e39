//! Whether the newest verified backup is as fresh as the schedule promises, and the scheduler alive.

use crate::offsite;
use crate::report::{ArchiveSummary, Explain, HealthReport, last_good};
use crate::retention::hold::ARCHIVE_OR_CLOCK;
use crate::schedule::in_words;
use crate::settings::Settings;
use crate::state::{State, StateStore};
use crate::store::repository::Repository;
use crate::sys::humanize;
use crate::sys::lock::{Holder, Lock};
use chrono::{DateTime, TimeDelta, Utc};
use std::fs;

/// The scheduler gives a sign of life every five minutes; three that are missing are no accident.
const LONGEST_SILENCE: TimeDelta = TimeDelta::minutes(16);
/// Without a scheduler for so long, there is not meant to be one.
const LATELY: TimeDelta = TimeDelta::days(7);
/// What a run may need beside BACKUP_TIMEOUT: a machine that boots, a clock that is being set.
const SLACK: TimeDelta = TimeDelta::minutes(30);
/// An archive may be this much younger than now: clocks are corrected by seconds all the time.
const AHEAD: TimeDelta = TimeDelta::minutes(5);

/// Looks at the folder alone; nothing is asked of the server.
pub(crate) fn look(settings: &Settings, now: DateTime<Utc>) -> HealthReport {
    let repository = Repository::of(settings);
    let state = StateStore::new(repository.own_folder()).state();
    let newest = repository.newest_good();
    judge(settings, &repository, &state, newest.as_ref(), true, now)
}

/// The same for who has looked already: `newest` is the newest archive that was verified. With `needs_scheduler`, it is wrong
/// that there is none.
pub(crate) fn judge(
    settings: &Settings,
    repository: &Repository,
    state: &State,
    newest: Option<&ArchiveSummary>,
    needs_scheduler: bool,
    now: DateTime<Utc>,
) -> HealthReport {
    let disk = repository.bears_traces(settings.require_mount);
    let mut problems = Vec::new();
    // Of what is on a disk that is not there, nothing else is known.
    problems.extend(
        disk.as_ref()
            .err()
            .map(|error| error.problem(settings.runtime).to_string()),
    );
    if disk.is_ok() {
        if needs_scheduler {
            let holder = Lock::holder(&repository.scheduler_path());
            problems.extend(scheduler_problem(holder, now));
        }
        problems.extend(state_problem(settings, state));
        problems.extend(future_problem(settings, newest, now));
        // What the clock has not reached yet hides what is missing.
        let past = newest
            .filter(|newest| is_future(newest, now))
            .map(|_| newest_past(repository, now));
        let fresh = past.as_ref().map_or(newest, Option::as_ref);
        problems.extend(backup_problem(settings, state, fresh, now));
        problems.extend(drill_problem(settings, state, now));
        problems.extend(offsite_problems(settings, repository, now));
    }
    let base = state
        .ledger
        .as_ref()
        .map_or(now, |ledger| ledger.goes_on_from(now));
    HealthReport {
        healthy: problems.is_empty(),
        problems,
        newest_archive: newest.map(|newest| newest.archive.clone()),
        newest_made_at: newest.and_then(|newest| newest.made_at),
        drilled_at: state.drill.as_ref().map(|drill| drill.at),
        drilled_archive: state.drill.as_ref().map(|drill| drill.archive.clone()),
        failing_since: state.alerts.failing().map(|failing| failing.since),
        next_run_at: settings.schedule.next_after(base, settings.time_zone),
    }
}

/// Whether a scheduler is at work in the folder and has given a sign of life.
pub(crate) fn scheduler_is_alive(repository: &Repository, now: DateTime<Utc>) -> bool {
    scheduler_problem(Lock::holder(&repository.scheduler_path()), now).is_none()
}

/// Whether there is a backup, as fresh as the schedule promises.
pub(crate) fn has_fresh_backup(
    settings: &Settings,
    state: &State,
    newest: Option<&ArchiveSummary>,
    now: DateTime<Utc>,
) -> bool {
    newest.is_some_and(|newest| !is_future(newest, now))
        && state_problem(settings, state).is_none()
        && backup_problem(settings, state, newest, now).is_none()
}

/// Whether there was a scheduler in the last days; where there was none for longer, something else starts the runs.
pub(crate) fn had_scheduler_lately(repository: &Repository, now: DateTime<Utc>) -> bool {
    let last_beat = fs::metadata(repository.scheduler_path()).and_then(|lock| lock.modified());
    last_beat.is_ok_and(|at| (now - DateTime::<Utc>::from(at)).abs() <= LATELY)
}

fn scheduler_problem(holder: Option<Holder>, now: DateTime<Utc>) -> Option<String> {
    let Some(holder) = holder else {
        return Some(
            "no scheduler is at work in this folder: start it (docker compose up -d, systemctl start pantry-keeper, \
             pantry-keeper run)"
                .into(),
        );
    };
    // In either direction: a sign from the future says nothing about now.
    let silence = (now - DateTime::<Utc>::from(holder.last_beat?)).abs();
    (silence > LONGEST_SILENCE).then(|| {
        let silence = humanize::duration(silence.to_std().unwrap_or_default());
        format!("the scheduler has given no sign of life for {silence}: restart it")
    })
}

fn offsite_problems(
    settings: &Settings,
    repository: &Repository,
    now: DateTime<Utc>,
) -> Vec<String> {
    if settings.offsite.places.is_empty() {
        return Vec::new();
    }
    let listed = repository.list().unwrap_or_default();
    offsite::problems(
        settings,
        &offsite::record::read(repository, &settings.offsite.places),
        &listed,
        now,
    )
}

fn drill_problem(settings: &Settings, state: &State, now: DateTime<Utc>) -> Option<String> {
    if !settings.drill.is_set_up() {
        return None;
    }
    let last = state.drill.as_ref();
    if let Some((drill, problem)) = last.and_then(|drill| Some((drill, drill.problem.as_ref()?))) {
        let at = drill
            .at
            .with_timezone(&settings.time_zone)
            .format("%-d %B %Y at %H:%M");
        let problem = problem.lines().next().unwrap_or_default();
        let outcome = match drill.inconclusive {
            true => "could not be carried out".to_owned(),
            false => format!("did not prove {}", drill.archive),
        };
        return Some(format!(
            "the drill of {at} {outcome}: {problem}; try again: `{}`",
            settings.runtime.run("drill")
        ));
    }
    let (schedule, ledger) = (
        settings.drill.schedule.as_ref()?,
        state.drill_ledger.as_ref()?,
    );
    let promised = schedule.last_in(
        ledger.since,
        now - longest_run(settings),
        settings.time_zone,
    )?;
    // One from the future tells nothing.
    if last.is_some_and(|drill| drill.at >= promised && drill.at <= now + AHEAD) {
        return None;
    }
    Some(format!(
        "there was no drill of {}: `{}` makes up for it",
        in_words(promised, settings.time_zone, now),
        settings.runtime.run("drill")
    ))
}

/// While it is not known how the last runs ended, nothing vouches for the next.
fn state_problem(settings: &Settings, state: &State) -> Option<String> {
    let problem = state.problem.as_ref()?;
    let hides = problem.hides_failures();
    hides.then(|| format!("{problem}: {}", problem.help(settings.runtime)))
}

/// How long after its slot a run may still be at work.
fn longest_run(settings: &Settings) -> TimeDelta {
    TimeDelta::from_std(settings.timeout).unwrap_or(TimeDelta::days(1)) + SLACK
}

fn is_future(archive: &ArchiveSummary, now: DateTime<Utc>) -> bool {
    archive.made_at.is_some_and(|made_at| made_at > now + AHEAD)
}

/// The newest verified archive that is not of a time yet to come.
fn newest_past(repository: &Repository, now: DateTime<Utc>) -> Option<ArchiveSummary> {
    let listed = repository.list().unwrap_or_default();
    let past = listed.into_iter().filter(|one| !is_future(one, now));
    last_good(&past.collect::<Vec<_>>()).cloned()
}

fn future_problem(
    settings: &Settings,
    newest: Option<&ArchiveSummary>,
    now: DateTime<Utc>,
) -> Option<String> {
    let newest = newest.filter(|newest| is_future(newest, now))?;
    let made = newest
        .made_at?
        .with_timezone(&settings.time_zone)
        .format("%-d %B %Y at %H:%M");
    Some(format!(
        "the newest archive, {}, is of {made}, which is yet to come: {ARCHIVE_OR_CLOCK}",
        newest.archive
    ))
}

fn backup_problem(
    settings: &Settings,
    state: &State,
    newest: Option<&ArchiveSummary>,
    now: DateTime<Utc>,
) -> Option<String> {
    if let Some(failing) = state.alerts.failing() {
        return Some(format!(
            "backups have been failing since {} ({}): `{}` says why",
            failing
                .since
                .with_timezone(&settings.time_zone)
                .format("%-d %B %Y at %H:%M %Z"),
            humanize::counted(u64::from(failing.runs), "failed run"),
            settings.runtime.run("doctor")
        ));
    }
    // Slots of an earlier schedule were another promise.
    let ledger = state.ledger.as_ref()?;
    let promised = settings.schedule.last_in(
        ledger.since,
        now - longest_run(settings),
        settings.time_zone,
    )?;
    let made_at = newest.and_then(|newest| newest.made_at);
    if made_at.is_some_and(|made_at| made_at >= ledger.does_from(promised)) {
        return None;
    }
    let promised = in_words(promised, settings.time_zone, now);
    Some(match newest {
        Some(newest) => format!(
            "there is no backup of {promised}; the newest is {}",
            newest.archive
        ),
        None => format!("there is no backup of {promised}, and none before it"),
    })
}
