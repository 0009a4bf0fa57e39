//! What commands found out, as data: the same facts become a line for a person, a JSON document or a mail.

pub(crate) mod fields;
mod inspect;
mod matched;
mod problem;
mod restore;
mod status;

pub(crate) use inspect::{
    CollectionDifference, DiffReport, DifferenceState, DocumentChange, DocumentDifference,
    ExtractReport, FieldDifference, ShowReport, ShownCollection, ShownIndex,
};
pub(crate) use matched::MatchReport;
pub(crate) use problem::{Explain, Problem};
pub(crate) use restore::{
    Differences, DrillReport, IndexPolicy, IndexProblem, IndexReport, RestoreReport, Restored,
};

pub(crate) use status::{
    Day, DayOutcome, RunOutcome, RunReport, StatusReport, StepReport, Verdict,
};

use chrono::{DateTime, Utc};
use serde::Serialize;
use std::path::Path;

/// A backup that was made, read back and verified.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct BackupReport {
    /// The file's name.
    pub archive: String,
    pub path: String,
    pub started_at: DateTime<Utc>,
    pub archive_bytes: u64,
    pub documents: u64,
    /// BSON bytes of all documents.
    pub bytes: u64,
    pub namespaces: u64,
    pub sha256: String,
    pub point_in_time: bool,
    pub server_version: String,
    pub mongodump_version: String,
    /// Attempts it took; 1 when the first succeeded.
    pub attempts: u32,
    pub dump_seconds: f64,
    pub verify_seconds: f64,
    pub elapsed_seconds: f64,
    /// What went right but should be known.
    pub warnings: Vec<String>,
}

/// One archive in the folder.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct ArchiveSummary {
    /// The file's name.
    pub archive: String,
    /// When its dump began; from the manifest, or else from the name.
    pub made_at: Option<DateTime<Utc>>,
    pub archive_bytes: u64,
    pub documents: Option<u64>,
    pub namespaces: Option<u64>,
    pub point_in_time: Option<bool>,
    /// When it was last read from end to end and found sound.
    pub verified_at: Option<DateTime<Utc>>,
    /// When a drill last proved that all of it comes back.
    pub drilled_at: Option<DateTime<Utc>>,
    /// What is wrong with it, as far as a glance shows or the last `verify` found.
    pub damage: Option<String>,
    /// Why it stays; nothing when it goes after the next backup.
    pub kept: Vec<String>,
    /// When it goes, where its age alone decides that.
    pub goes_at: Option<DateTime<Utc>>,
    /// Its copies elsewhere, one for each place that is to have one.
    pub copies: Vec<CopySummary>,
}

/// An archive's copy at one place, as far as is known.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct CopySummary {
    pub place: String,
    pub state: CopyState,
    /// When that was found out; none when it was not.
    pub proven_at: Option<DateTime<Utc>>,
}

/// What is known of a copy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum CopyState {
    /// There is none yet, or none any more.
    Absent,
    /// It was sent, and nothing more is known.
    Sent,
    /// The service says that it has all of it, with this checksum.
    Confirmed,
    /// It was read back and is the same.
    Read,
    /// It is not what was sent.
    Damaged,
}

impl ArchiveSummary {
    /// Whether it was verified and says when it was made: one that counts.
    pub(crate) fn is_good(&self) -> bool {
        self.verified_at.is_some() && self.made_by_manifest().is_some()
    }

    /// When it was made, by its manifest alone: a name can be given to anything.
    pub(crate) fn made_by_manifest(&self) -> Option<DateTime<Utc>> {
        // Documents are known from the manifest only.
        self.documents.and(self.made_at)
    }
}

/// The folder's archives, oldest first.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct ListReport {
    pub folder: String,
    pub archives: Vec<ArchiveSummary>,
    pub archives_bytes: u64,
    pub free_bytes: Option<u64>,
    /// When the disk will be full at this pace, if that is within a year and the next 500 backups.
    pub full_at: Option<DateTime<Utc>>,
    /// Why nothing is removed for now.
    pub halted: Option<String>,
    /// Archives that hold what restores replaced; they stay until somebody removes them.
    pub before_restores: Vec<String>,
}

/// What retention did, or would do.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct PruneReport {
    pub folder: String,
    /// Only shown: nothing was removed.
    pub dry_run: bool,
    /// Why nothing may go for now, and what to do about it.
    pub halted: Option<String>,
    pub kept: Vec<KeptArchive>,
    /// Archives that went, or would go.
    pub removed: Vec<RemovedArchive>,
    /// Archives that could not be removed.
    pub not_removed: Vec<NotRemoved>,
    pub freed_bytes: u64,
}

impl PruneReport {
    /// Of a folder in which nothing was looked at, and nothing removed.
    pub(crate) fn empty(folder: &Path) -> Self {
        PruneReport {
            folder: folder.display().to_string(),
            dry_run: false,
            halted: None,
            kept: Vec::new(),
            removed: Vec::new(),
            not_removed: Vec::new(),
            freed_bytes: 0,
        }
    }
}

/// An archive that stays.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct KeptArchive {
    pub archive: String,
    pub made_at: Option<DateTime<Utc>>,
    /// Why it stays.
    pub reasons: Vec<String>,
    /// When it goes, where its age alone decides that.
    pub goes_at: Option<DateTime<Utc>>,
}

/// An archive that was old enough.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct RemovedArchive {
    pub archive: String,
    pub made_at: Option<DateTime<Utc>>,
    pub archive_bytes: u64,
}

/// An archive that should have gone.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct NotRemoved {
    pub archive: String,
    pub problem: String,
}

/// Whether the backups are as fresh as promised.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct HealthReport {
    pub healthy: bool,
    /// What is wrong, and what to do about it.
    pub problems: Vec<String>,
    pub newest_archive: Option<String>,
    pub newest_made_at: Option<DateTime<Utc>>,
    /// When the last drill was, and of which archive.
    pub drilled_at: Option<DateTime<Utc>>,
    pub drilled_archive: Option<String>,
    pub failing_since: Option<DateTime<Utc>>,
    pub next_run_at: Option<DateTime<Utc>>,
}

/// What `doctor` found out.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct DoctorReport {
    /// Nothing is wrong; there may be advice.
    pub well: bool,
    pub findings: Vec<Finding>,
    /// The next runs, with what daylight saving time does to them.
    pub next_runs: Vec<NextRun>,
}

/// One thing that was looked at.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct Finding {
    pub area: &'static str,
    pub verdict: FindingVerdict,
    pub text: String,
    /// What to do about it.
    pub fix: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum FindingVerdict {
    Fine,
    /// Not wrong, but worth knowing.
    Advice,
    Wrong,
}

/// A run to come.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct NextRun {
    pub at: DateTime<Utc>,
    /// The same in local time.
    pub local: String,
    pub note: Option<String>,
}

/// The newest archive that was verified.
pub(crate) fn last_good(listed: &[ArchiveSummary]) -> Option<&ArchiveSummary> {
    let good = listed.iter().filter(|one| one.is_good());
    good.max_by_key(|one| (one.made_at, &one.archive))
}
