//! Retention, carried out: the plan for the folder as it is, and the removal of what the plan lets go.

use crate::catalog::Catalog;
use crate::lock::Lock;
use crate::report::{KeptArchive, Listed, NotRemoved, PruneReport, RemovedArchive};
use crate::retention::{self, Archive, Halt, Plan};
use crate::settings::Settings;
use crate::shrink::Loss;
use crate::status::State;
use crate::{name, units};
use chrono::{DateTime, Utc};

/// Collections named in a message; the rest are counted.
const LOSSES_NAMED: usize = 10;

/// The archives as retention sees them.
pub fn archives(listed: &[Listed]) -> Vec<Archive> {
    let archive = |one: &Listed| Archive {
        name: one.archive.clone(),
        made_at: one.made_by_manifest(),
        verified: one.verified_at.is_some() && one.damage.is_none(),
        bytes: one.archive_bytes,
    };
    listed.iter().map(archive).collect()
}

/// What stays and what goes now.
pub fn plan(settings: &Settings, listed: &[Listed], state: &State, now: DateTime<Utc>) -> Plan {
    let plan = retention::plan(&archives(listed), &settings.retention, settings.time_zone, now);
    match (&plan.halt, shrunk(state), state.alarm.failing()) {
        (None, Some(reason), _) => plan.halted(Halt::Other(reason)),
        (None, None, Some(failing)) => {
            let since = failing.since.with_timezone(&settings.time_zone).format("%-d %B %Y");
            plan.halted(Halt::Other(format!("backups fail since {since}: nothing is removed until one succeeds")))
        }
        _ => plan,
    }
}

/// What a backup lost, and what to do about it; none while all is there.
pub fn shrunk(state: &State) -> Option<String> {
    let shrunk = state.shrunk.as_ref()?;
    let mut lines = named(&shrunk.losses);
    lines.push(format!(
        "{} still has it all. Until it is back, nothing is removed; if this is as it should be, accept it with: \
         pantry-keeper prune --accept-shrink",
        shrunk.archive
    ));
    Some(lines.join("\n"))
}

/// What was lost, one text each; only the first ones of many.
pub fn named(losses: &[Loss]) -> Vec<String> {
    let mut named: Vec<String> = losses.iter().take(LOSSES_NAMED).map(ToString::to_string).collect();
    if let Some(more @ 1..) = losses.len().checked_sub(LOSSES_NAMED) {
        named.push(format!("and {} more", units::count(more as u64)));
    }
    named
}

/// Says of each archive why it stays and when it goes.
pub fn explain(listed: &mut [Listed], plan: &Plan) {
    for kept in &plan.keep {
        if let Some(one) = listed.iter_mut().find(|one| one.archive == kept.archive.name) {
            one.kept = kept.reasons.iter().map(ToString::to_string).collect();
            one.goes_at = kept.goes_at;
        }
    }
}

/// Carries a plan out, or only shows it when there is no lock.
pub fn apply(catalog: &Catalog, plan: Plan, lock: Option<&Lock>) -> PruneReport {
    let mut report = PruneReport {
        folder: catalog.folder().display().to_string(),
        dry_run: lock.is_none(),
        halted: plan.halt.map(|halt| halt.to_string()),
        kept: Vec::new(),
        removed: Vec::new(),
        not_removed: Vec::new(),
        freed_bytes: 0,
    };
    for kept in plan.keep {
        report.kept.push(KeptArchive {
            archive: kept.archive.name,
            made_at: kept.archive.made_at,
            reasons: kept.reasons.iter().map(ToString::to_string).collect(),
            goes_at: kept.goes_at,
        });
    }
    for archive in plan.go {
        let stem = archive.name.strip_suffix(name::EXTENSION).unwrap_or(&archive.name);
        match lock.map_or(Ok(()), |lock| catalog.remove(lock, stem)) {
            Ok(()) => {
                report.freed_bytes += archive.bytes;
                let (made_at, archive_bytes) = (archive.made_at, archive.bytes);
                report.removed.push(RemovedArchive { archive: archive.name, made_at, archive_bytes });
            }
            // One that stays does not keep the others.
            Err(error) => {
                report.not_removed.push(NotRemoved { archive: archive.name, problem: error.to_string() });
            }
        }
    }
    report
}
