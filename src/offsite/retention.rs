//! Which copies stay: the plan that is made for archives, over the copies that are proven to be there.

use super::record::PlaceRecord;
use super::{is_copy_of, is_ours, needed};
use crate::prune;
use crate::report::ArchiveSummary;
use crate::retention::archive::Archive;
use crate::retention::policy::{self, Plan};
use crate::settings::Settings;
use crate::state::State;
use chrono::{DateTime, Utc};

/// What stays and goes there. `coming` are archives that are not there yet, and count as if they were.
pub(super) fn plan(
    settings: &Settings,
    state: &State,
    known: &PlaceRecord,
    coming: &[&ArchiveSummary],
    now: DateTime<Utc>,
) -> Plan {
    let needed = needed(settings);
    let mut all: Vec<Archive> = known
        .copies
        .iter()
        // Those under an earlier BACKUP_PREFIX are another series, of which nothing is known here.
        .filter(|(name, _)| is_ours(&settings.prefix, name))
        .map(|(name, copy)| Archive {
            name: name.clone(),
            made_at: copy.made_at,
            verified: copy.counts(needed),
            bytes: copy.bytes,
        })
        .collect();
    for one in coming {
        if !all
            .iter()
            .any(|other| is_copy_of(&other.name, &one.archive))
        {
            all.push(Archive {
                name: one.archive.clone(),
                made_at: one.made_by_manifest(),
                verified: true,
                bytes: one.archive_bytes,
            });
        }
    }
    let plan = policy::plan(&all, &settings.offsite.retention, settings.time_zone, now);
    match prune::hold(settings, state) {
        Some(hold) if plan.halt.is_none() => plan.halted(hold),
        _ => plan,
    }
}
