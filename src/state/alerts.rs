//! What the owner has been told so far; `notify::policy` decides on it.

use chrono::{DateTime, NaiveDate, Utc};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// What the owner has been told so far; kept over restarts.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "Stored", into = "Stored")]
pub(crate) struct AlertHistory {
    pub failing: Option<Failing>,
    pub first_failures: Option<Today>,
    /// When each topic was last told.
    pub concerns: BTreeMap<Topic, DateTime<Utc>>,
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
    /// Whether there was no room for any of them, so that nothing is wrong with what they were to back up.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub no_room: bool,
}

/// How often something happened on one day.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Today {
    pub date: NaiveDate,
    pub count: u32,
}

/// What a backup that succeeded may still have to say.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
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
    /// Nothing is removed, since it is not known what earlier backups had.
    Held,
}

/// One thing that a concern is about. It is news by itself, however lately others of its kind were told.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Topic {
    pub concern: Concern,
    /// The namespace, or the place; empty where there is but one. No secrets, and nothing that changes from run to run.
    pub about: String,
}

/// As it lies on the disk. Earlier versions kept `concerns` alone, and know no other names than those they had.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default)]
struct Stored {
    failing: Option<Failing>,
    first_failures: Option<Today>,
    concerns: BTreeMap<String, DateTime<Utc>>,
    told: Option<BTreeMap<String, DateTime<Utc>>>,
    cleared_at: Option<DateTime<Utc>>,
}

const NAMES: [(Concern, &str); 7] = [
    (Concern::Shrunk, "shrunk"),
    (Concern::Clock, "clock"),
    (Concern::Filling, "filling"),
    (Concern::NotRemoved, "not_removed"),
    (Concern::Offsite, "offsite"),
    (Concern::Warned, "warned"),
    (Concern::Held, "held"),
];

impl Concern {
    fn name(self) -> &'static str {
        let mut names = NAMES.iter();
        names.find(|(one, _)| *one == self).map_or("", |one| one.1)
    }

    /// None for one of a later version.
    fn of_name(name: &str) -> Option<Self> {
        let mut names = NAMES.iter();
        names.find(|(_, one)| *one == name).map(|one| one.0)
    }

    fn is_known_to_version_0_1(self) -> bool {
        self != Concern::Held
    }
}

impl Topic {
    pub(crate) fn new(concern: Concern, about: impl Into<String>) -> Self {
        Topic {
            concern,
            about: about.into(),
        }
    }

    fn stored(&self) -> String {
        format!("{} {}", self.concern.name(), self.about)
    }

    fn of_stored(stored: &str) -> Option<Self> {
        let (concern, about) = stored.split_once(' ')?;
        Some(Topic::new(Concern::of_name(concern)?, about))
    }
}

impl AlertHistory {
    /// What the file says, and what was noted while it could not be read.
    pub(super) fn with_later(self, later: AlertHistory) -> AlertHistory {
        let failing = match (self.failing, later.failing) {
            (Some(earlier), Some(later)) => Some(Failing {
                since: earlier.since.min(later.since),
                runs: earlier.runs.saturating_add(later.runs),
                notified_on: earlier.notified_on.max(later.notified_on),
                no_room: earlier.no_room && later.no_room,
            }),
            (earlier, later) => earlier.or(later),
        };
        let mut concerns = self.concerns;
        concerns.extend(later.concerns);
        AlertHistory {
            failing,
            first_failures: later.first_failures.or(self.first_failures),
            concerns,
            cleared_at: later.cleared_at.max(self.cleared_at),
        }
    }
}

impl From<Stored> for AlertHistory {
    fn from(stored: Stored) -> Self {
        // What a later version was concerned about, this one cannot tell.
        let concerns = match stored.told {
            Some(told) => told
                .iter()
                .filter_map(|(topic, at)| Some((Topic::of_stored(topic)?, *at)))
                .collect(),
            None => stored
                .concerns
                .iter()
                .filter_map(|(name, at)| Some((Topic::new(Concern::of_name(name)?, ""), *at)))
                .collect(),
        };
        AlertHistory {
            failing: stored.failing,
            first_failures: stored.first_failures,
            concerns,
            cleared_at: stored.cleared_at,
        }
    }
}

impl From<AlertHistory> for Stored {
    fn from(history: AlertHistory) -> Self {
        let mut concerns = BTreeMap::new();
        for (topic, at) in &history.concerns {
            if topic.concern.is_known_to_version_0_1() {
                let last = concerns.entry(topic.concern.name().to_owned());
                let last = last.or_insert(*at);
                *last = (*last).max(*at);
            }
        }
        let told = history.concerns.iter();
        let told = told.map(|(topic, at)| (topic.stored(), *at)).collect();
        Stored {
            failing: history.failing,
            first_failures: history.first_failures,
            concerns,
            told: Some(told),
            cleared_at: history.cleared_at,
        }
    }
}
