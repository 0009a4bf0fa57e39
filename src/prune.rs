//! Retention, carried out: the plan for the folder as it is, and the removal of what the plan lets go.

use crate::archive::file_name;
use crate::report::{
    ArchiveSummary, KeptArchive, NotRemoved, Problem, PruneReport, RemovedArchive,
};
use crate::retention::archive::Archive;
use crate::retention::hold::RetentionHold;
use crate::retention::policy::{self, Kept, Plan};
use crate::retention::shrink::Loss;
use crate::settings::Settings;
use crate::state::State;
use crate::store::locked::LockedRepository;
use crate::store::repository::Repository;
use crate::sys::atomic_file::FileError;
use crate::sys::humanize;
use crate::sys::runtime::Runtime;
use chrono::{DateTime, Utc};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};

/// Collections named in a message; the rest are counted.
const LOSSES_NAMED: usize = 10;

/// The archives as retention sees them.
pub(crate) fn archives(listed: &[ArchiveSummary]) -> Vec<Archive> {
    let archive = |one: &ArchiveSummary| Archive {
        name: one.archive.clone(),
        made_at: one.made_by_manifest(),
        verified: one.verified_at.is_some() && one.damage.is_none(),
        bytes: one.archive_bytes,
    };
    listed.iter().map(archive).collect()
}

/// What stays and what goes now.
pub(crate) fn plan(
    settings: &Settings,
    listed: &[ArchiveSummary],
    state: &State,
    now: DateTime<Utc>,
) -> Plan {
    let plan = policy::plan(
        &archives(listed),
        &settings.retention,
        settings.time_zone,
        now,
    );
    // Where there was only no room for more, keeping what is old would keep it so.
    let no_room = state
        .alerts
        .failing()
        .is_some_and(|failing| failing.no_room);
    let hold = match no_room {
        true => hold_beside_failing(settings, state),
        false => hold(settings, state),
    };
    match hold {
        Some(hold) if plan.halt.is_none() => plan.halted(hold),
        _ => plan,
    }
}

/// Why nothing may go, however old.
pub(crate) fn hold(settings: &Settings, state: &State) -> Option<RetentionHold> {
    let failing = || {
        let since = state.alerts.failing()?.since;
        let since = since.with_timezone(&settings.time_zone);
        Some(Problem::new(
            format!(
                "backups have been failing since {}",
                since.format("%-d %B %Y")
            ),
            format!(
                "see backup.log, or run `{}`; the next success ends this",
                settings.runtime.run("doctor")
            ),
        ))
    };
    hold_beside_failing(settings, state).or_else(|| failing().map(other))
}

/// The same, whether backups fail or not.
fn hold_beside_failing(settings: &Settings, state: &State) -> Option<RetentionHold> {
    let runtime = settings.runtime;
    forgotten(runtime, state)
        .or_else(|| shrunk(runtime, state))
        .map(other)
}

fn other(problem: Problem) -> RetentionHold {
    RetentionHold::Other {
        reason: problem.summary,
        help: problem.help,
    }
}

/// What is no longer known of earlier backups, and what to do about it; none while all is.
pub(crate) fn forgotten(runtime: Runtime, state: &State) -> Option<Problem> {
    let problem = state.problem.as_ref()?;
    Some(Problem::new(problem.to_string(), problem.help(runtime)))
}

/// Why nothing is removed for now, and what to do about it.
pub(crate) fn halted(plan: &Plan) -> Option<String> {
    let halt = plan.halt.as_ref()?;
    Some(match halt.help() {
        Some(help) => format!("{halt}\n{help}"),
        None => halt.to_string(),
    })
}

/// What a backup lost, and what to do about it; none while all is there.
pub(crate) fn shrunk(runtime: Runtime, state: &State) -> Option<Problem> {
    let shrunk = state.shrunk.as_ref()?;
    let mut lines = list_losses(&shrunk.losses);
    lines.push(format!("{} still has it all", shrunk.archive));
    Some(Problem::new(
        lines.join("\n"),
        format!(
            "until it is back, nothing is removed; if this is as it should be, accept it with: {}",
            runtime.run("prune --accept-shrink")
        ),
    ))
}

/// What was lost, one text each; only the first ones of many.
pub(crate) fn list_losses(losses: &[Loss]) -> Vec<String> {
    let mut named: Vec<String> = losses
        .iter()
        .take(LOSSES_NAMED)
        .map(ToString::to_string)
        .collect();
    if let Some(more @ 1..) = losses.len().checked_sub(LOSSES_NAMED) {
        named.push(format!("and {} more", humanize::count(more as u64)));
    }
    named
}

/// Says of each archive why it stays and when it goes.
pub(crate) fn explain(listed: &mut [ArchiveSummary], plan: &Plan) {
    let mut kept: BTreeMap<&str, &Kept> = plan
        .keep
        .iter()
        .map(|kept| (kept.archive.name.as_str(), kept))
        .collect();
    for one in listed {
        if let Some(kept) = kept.remove(one.archive.as_str()) {
            one.kept = kept.reasons.iter().map(ToString::to_string).collect();
            one.goes_at = kept.goes_at;
        }
    }
}

/// What a plan would do, with nothing removed.
pub(crate) fn preview(repository: &Repository, plan: Plan) -> PruneReport {
    let dry_run = PruneReport {
        dry_run: true,
        ..PruneReport::empty(repository.folder())
    };
    execute(dry_run, plan, |_| Ok(()), &AtomicBool::new(false))
}

/// Carries a plan out. Goes no further once `cancelled` is set.
pub(crate) fn apply(
    repository: &LockedRepository,
    plan: Plan,
    cancelled: &AtomicBool,
) -> PruneReport {
    let report = PruneReport::empty(repository.folder());
    execute(report, plan, |stem| repository.remove(stem), cancelled)
}

fn execute(
    mut report: PruneReport,
    plan: Plan,
    remove: impl Fn(&str) -> Result<(), FileError>,
    cancelled: &AtomicBool,
) -> PruneReport {
    report.halted = halted(&plan);
    for kept in plan.keep {
        report.kept.push(KeptArchive {
            archive: kept.archive.name,
            made_at: kept.archive.made_at,
            reasons: kept.reasons.iter().map(ToString::to_string).collect(),
            goes_at: kept.goes_at,
        });
    }
    for archive in plan.go {
        if cancelled.load(Ordering::Relaxed) {
            break;
        }
        let stem = file_name::stem_of(&archive.name).unwrap_or(&archive.name);
        match remove(stem) {
            Ok(()) => {
                report.freed_bytes += archive.bytes;
                let (made_at, archive_bytes) = (archive.made_at, archive.bytes);
                report.removed.push(RemovedArchive {
                    archive: archive.name,
                    made_at,
                    archive_bytes,
                });
            }
            // One that stays does not keep the others.
            Err(error) => {
                report.not_removed.push(NotRemoved {
                    archive: archive.name,
                    problem: error.to_string(),
                });
            }
        }
    }
    report
}
