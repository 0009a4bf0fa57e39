//! How things are, at one look: what the page, the terminal and a machine that asks are told.

use super::HealthReport;
use chrono::{DateTime, NaiveDate, Utc};
use serde::Serialize;

/// How things are.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct StatusReport {
    pub verdict: Verdict,
    /// The same in one sentence.
    pub summary: String,
    /// When this was so.
    pub as_of_at: DateTime<Utc>,
    pub version: &'static str,
    pub health: HealthReport,
    /// What is not wrong, but should be seen to.
    pub warnings: Vec<String>,
    /// Since when the scheduler has been making a backup.
    pub running_since: Option<DateTime<Utc>>,
    pub next_drill_at: Option<DateTime<Utc>>,
    pub archives: u64,
    pub damaged_archives: u64,
    pub archives_bytes: u64,
    pub free_bytes: Option<u64>,
    /// When the disk will be full at this pace, if that is within a year and the next 500 backups.
    pub full_at: Option<DateTime<Utc>>,
    /// Messages to the owner that wait to be sent.
    pub notifications_waiting: u64,
    /// Days in local time, the oldest first: from the Monday of 25 weeks ago to today.
    pub days: Vec<Day>,
    /// The last runs, the newest first.
    pub runs: Vec<RunReport>,
}

/// How things are, in a word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Verdict {
    Well,
    /// Backups are as fresh as promised, but something should be seen to.
    Warned,
    Unwell,
    /// There is no backup yet, and none was due.
    Empty,
}

/// What became of a day's backups.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub(crate) struct Day {
    pub date: NaiveDate,
    pub outcome: DayOutcome,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum DayOutcome {
    /// No backup was made, and none failed.
    None,
    Good,
    /// There is a backup, but something went wrong on the way.
    Warned,
    Failed,
}

/// A run, as it is told.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct RunReport {
    pub began_at: DateTime<Utc>,
    pub elapsed_seconds: f64,
    /// Why it ran, in words.
    pub trigger: String,
    pub outcome: RunOutcome,
    pub archive: Option<String>,
    pub archive_bytes: Option<u64>,
    pub documents: Option<u64>,
    /// BSON bytes of all documents.
    pub bytes: Option<u64>,
    /// Archives that retention let go afterwards.
    pub removed: u64,
    pub steps: Vec<StepReport>,
    /// Why it failed.
    pub error: Option<String>,
    pub warnings: Vec<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum RunOutcome {
    /// A backup was made and verified.
    Done,
    Failed,
    /// A drill proved an archive.
    Drilled,
    DrillFailed,
    Interrupted,
}

/// How long one step of a run took.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct StepReport {
    /// Such as `dump`, `verify`, `restore`, `compare`.
    pub step: String,
    pub elapsed_seconds: f64,
}
