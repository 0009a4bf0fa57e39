//! How long the disk will do, as far as that can be told.

use crate::prune;
use crate::report::ListReport;
use crate::retention::forecast;
use crate::settings::Settings;
use chrono::{DateTime, TimeDelta, Utc};

/// How long the disk of the archives will do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outlook {
    FullAt(DateTime<Utc>),
    /// For a year at least.
    NotWithinAYear,
    /// It does until then; backups are so frequent that no more of them are reckoned with.
    NotBefore(DateTime<Utc>),
    /// There is no archive to judge from, or no telling how much is free.
    Unknown,
}

impl Outlook {
    pub(super) fn of(settings: &Settings, list: &ListReport, now: DateTime<Utc>) -> Self {
        if let Some(at) = list.full_at {
            return Outlook::FullAt(at);
        }
        let year = now + TimeDelta::days(365);
        let until = list.free_bytes.and_then(|_| {
            let archives = prune::archives(&list.archives);
            forecast::looks_until(&archives, &settings.schedule, settings.time_zone, now, year)
        });
        match until {
            None => Outlook::Unknown,
            Some(until) if until < year => Outlook::NotBefore(until),
            Some(_) => Outlook::NotWithinAYear,
        }
    }
}
