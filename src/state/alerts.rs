//! What the owner has been told so far; `notify::policy` decides on it.

use chrono::{DateTime, NaiveDate, Utc};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// What the owner has been told so far; kept over restarts.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct AlertHistory {
    pub failing: Option<Failing>,
    pub first_failures: Option<Today>,
    pub concerns: BTreeMap<Concern, DateTime<Utc>>,
    /// When the owner was last told that a concern is over.
    pub cleared_at: Option<DateTime<Utc>>,
}

/// Runs fail since the last that succeeded.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Failing {
    /// When the first of them failed.
    pub since: DateTime<Utc>,
    /// How many.
    pub runs: u32,
    /// The local day on which the owner was last told; none when that was not yet.
    #[serde(alias = "mailed_on")]
    pub notified_on: Option<NaiveDate>,
}

/// How often something happened on one day.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Today {
    pub date: NaiveDate,
    pub count: u32,
}

/// What a backup that succeeded may still have to say.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Concern {
    /// Namespaces or documents are gone that were there before.
    Shrunk,
    /// The clock cannot be trusted to say what is old.
    Clock,
    /// The disk will soon be full.
    Filling,
    /// An old archive could not be removed.
    NotRemoved,
    /// Copies elsewhere are behind, or damaged.
    Offsite,
    /// The run itself had a warning.
    Warned,
}
