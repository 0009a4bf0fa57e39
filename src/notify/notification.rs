//! What happened, as data. It is kept like this until every channel has it; each channel says it in its own form.

use crate::sys::time_zone::Tz;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// Something that its owner should learn. It holds no secrets: all that goes into it is redacted before.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Notification {
    /// The same however often it is tried.
    pub id: String,
    #[serde(alias = "kind")]
    pub event: Event,
    #[serde(default)]
    pub severity: Severity,
    pub written_at: DateTime<Utc>,
    #[serde(default)]
    pub origin: Origin,
    #[serde(default)]
    pub facts: Facts,
    /// What to do about it.
    #[serde(default)]
    pub help: Vec<String>,
    /// The channels that have it already, and of one that tells several people those who need it no more.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub delivered_to: BTreeSet<String>,
    /// How often a channel was handed it without a word on whether it has arrived.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub unanswered: BTreeMap<String, u32>,
    /// What an earlier version wrote, which kept finished mails.
    #[serde(flatten)]
    pub mail: Option<FinishedMail>,
}

/// After so many times without an answer, one counts as arrived: it may have been there each time. By the waits between
/// attempts, these take more than five hours, within which most servers come to themselves.
const MOST_UNANSWERED: u32 = 6;

impl Notification {
    /// Counts that a channel was handed it without an answer; whether that was the last time, of which it says the number.
    pub(crate) fn count_unanswered(&mut self, channel: &str) -> Option<u32> {
        let count = self.unanswered.entry(channel.to_owned()).or_default();
        *count = count.saturating_add(1);
        (*count >= MOST_UNANSWERED).then_some(*count)
    }
}

/// A mail as version 0.1 kept it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct FinishedMail {
    pub subject: String,
    pub text: String,
    pub html: String,
}

/// What it is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Event {
    Failed,
    StillFailing,
    Recovered,
    Warning,
    Receipt,
    DrillFailed,
    DrillStillFailing,
    DrillRecovered,
    DrillReceipt,
    /// A copy elsewhere is not what was sent.
    CopyDiffers,
    /// Copies elsewhere, which were behind or damaged, are complete again.
    CopiesComplete,
    /// The scheduler started, which it could not before.
    StartedAgain,
    /// The scheduler stands still: it waits for a disk that does not answer.
    Stalled,
    /// The scheduler goes on, after it stood still.
    Resumed,
    Test,
    /// Any backup that succeeded, for those who watch from elsewhere.
    BackupDone,
    /// Any backup that did not.
    BackupNotDone,
    /// The scheduler started after it could not, for those who watch from elsewhere.
    SchedulerUp,
    /// Any copy that is not what was sent, for those who watch from elsewhere.
    CopyNotSame,
    DrillDone,
    DrillNotDone,
}

/// Which notifications a channel wants.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Interest {
    /// News: what people want to read, and not too often.
    News,
    /// How each backup ended.
    EveryBackup,
    /// How each drill ended.
    EveryDrill,
}

impl Event {
    /// Whom it is for.
    pub(crate) fn interest(self) -> Interest {
        match self {
            Event::BackupDone | Event::BackupNotDone | Event::SchedulerUp | Event::CopyNotSame => {
                Interest::EveryBackup
            }
            Event::DrillDone | Event::DrillNotDone => Interest::EveryDrill,
            _ => Interest::News,
        }
    }

    /// Whether a newer one of this kind makes `older` needless.
    pub(crate) fn replaces(self, older: Event) -> bool {
        match self {
            Event::StillFailing | Event::DrillStillFailing => self == older,
            // Those who watch want to know how the last one ended.
            _ => self.interest() != Interest::News && self.interest() == older.interest(),
        }
    }

    /// The lowest go first when there are too many: what only repeats or confirms, before what brings news.
    pub(crate) fn eviction_rank(self) -> u8 {
        match self {
            Event::StillFailing
            | Event::Receipt
            | Event::DrillStillFailing
            | Event::DrillReceipt
            | Event::Warning
            | Event::Test => 0,
            Event::Failed
            | Event::Recovered
            | Event::DrillFailed
            | Event::DrillRecovered
            | Event::CopyDiffers
            | Event::CopiesComplete
            | Event::StartedAgain
            | Event::Stalled
            | Event::Resumed => 1,
            Event::CopyNotSame
            | Event::BackupDone
            | Event::BackupNotDone
            | Event::SchedulerUp
            | Event::DrillDone
            | Event::DrillNotDone => 2,
        }
    }
}

/// How bad it is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Severity {
    Good,
    #[default]
    Attention,
    Bad,
}

/// Which Pantry Keeper it comes from.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Origin {
    /// What the archives' names start with: tells one Pantry Keeper of an owner's from another.
    pub prefix: String,
    /// The server's hosts; never its credentials.
    pub hosts: String,
    /// The backup folder.
    pub folder: String,
    /// The name of the owner's time zone.
    pub time_zone: String,
}

impl Origin {
    pub(crate) fn time_zone(&self) -> Tz {
        self.time_zone.parse().unwrap_or(Tz::UTC)
    }
}

/// What is known. What does not apply is none or empty.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Facts {
    /// What was being done: `dumping`.
    pub stage: Option<String>,
    /// What went wrong.
    pub error: Option<String>,
    /// What a drill found different, or why it could not be carried out; then `error` has it, too.
    pub problems: Vec<String>,
    /// What the owner should look at, each with what to do about it.
    pub concerns: Vec<String>,
    /// When the first of the failing runs failed.
    pub failing_since: Option<DateTime<Utc>>,
    /// How many runs have failed since.
    pub failed_runs: Option<u32>,
    /// Which day of failing it is, 1 for the first.
    pub day: Option<u32>,
    /// The archive that would be restored now.
    pub last_good: Option<LastGood>,
    /// Whether the folder could be looked at for it.
    pub folder_readable: Option<bool>,
    /// The one that was made, or drilled.
    pub archive: Option<String>,
    pub archive_bytes: Option<u64>,
    pub documents: Option<u64>,
    /// BSON bytes of all documents.
    pub bytes: Option<u64>,
    pub namespaces: Option<u64>,
    pub indexes: Option<u64>,
    pub point_in_time: Option<bool>,
    pub elapsed_seconds: Option<f64>,
    pub compare_seconds: Option<f64>,
    /// Archives that were removed since they are old enough.
    pub removed: Vec<String>,
    /// When the next run is due; none when no scheduler is at work.
    pub next_run_at: Option<DateTime<Utc>>,
    /// Tells one run from another: a UUID.
    pub run_id: Option<String>,
    /// Settings that a test is about, none of them secret.
    pub settings: Vec<(String, String)>,
    /// The end of the log.
    pub log: Vec<String>,
}

/// An archive that can be restored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct LastGood {
    pub archive: String,
    pub made_at: DateTime<Utc>,
    pub archive_bytes: u64,
    pub documents: u64,
}
