//! Archives, as far as retention is concerned.

use crate::sys::time_zone::Tz;
use chrono::{DateTime, Datelike, Utc};

/// One archive in the folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Archive {
    /// What names it to the user; no two are the same.
    pub name: String,
    /// When its dump began, from its manifest; `None` if it has none.
    pub made_at: Option<DateTime<Utc>>,
    /// Whether it was read from end to end and is sound.
    pub verified: bool,
    pub bytes: u64,
}

/// When a verified archive was made, and the local day, ISO week, month and year that this was in.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Dated {
    pub made_at: DateTime<Utc>,
    pub(super) buckets: [i32; 4],
}

impl Dated {
    pub(crate) fn new(made_at: DateTime<Utc>, tz: Tz) -> Self {
        let local = made_at.with_timezone(&tz);
        // An ISO week belongs to a year of its own: 2024-12-30 is in week 1 of 2025.
        let week = local.iso_week();
        let week = week.year() * 100 + week.week() as i32;
        let month = local.year() * 100 + local.month() as i32;
        Dated {
            made_at,
            buckets: [local.num_days_from_ce(), week, month, local.year()],
        }
    }
}
