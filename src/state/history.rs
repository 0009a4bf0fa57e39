//! How runs ended, and which of them are remembered.

use chrono::{DateTime, NaiveDate, Utc};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Runs that are remembered: two years of weekly ones, and some.
pub(super) const RUNS_KEPT: usize = 120;
/// Of the runs before these, one of each of so many days stays: enough for a calendar of half a year.
pub(super) const DAYS_KEPT: usize = 200;

/// One run, as history has it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Run {
    pub began_at: DateTime<Utc>,
    pub ended_at: DateTime<Utc>,
    /// Why it ran, in words.
    pub trigger: String,
    pub ended: Ended,
}

/// How a run ended.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "outcome")]
pub(crate) enum Ended {
    Done {
        archive: String,
        archive_bytes: u64,
        documents: u64,
        bytes: u64,
        removed: Vec<String>,
        warnings: Vec<String>,
        #[serde(default)]
        steps: Vec<StepTime>,
    },
    Failed {
        stage: String,
        error: String,
    },
    /// A restore of the archive was compared with it and found equal.
    Drilled {
        archive: String,
        documents: u64,
        bytes: u64,
        #[serde(default)]
        steps: Vec<StepTime>,
    },
    DrillFailed {
        archive: String,
        error: String,
    },
    /// Told to stop, or killed.
    Interrupted,
}

/// How long one step of a run took.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct StepTime {
    /// A word, such as `dump`; later versions may know others.
    pub step: String,
    pub seconds: f64,
}

impl StepTime {
    pub(crate) fn new(step: &str, seconds: f64) -> Self {
        StepTime {
            step: step.to_owned(),
            seconds,
        }
    }
}

impl Run {
    /// How bad it is; of the runs of a day long ago, only the worst is remembered.
    fn badness(&self) -> u8 {
        match &self.ended {
            Ended::Failed { .. } => 4,
            Ended::DrillFailed { .. } => 3,
            Ended::Interrupted => 2,
            Ended::Done { .. } => 1,
            Ended::Drilled { .. } => 0,
        }
    }
}

/// The newest runs, and before these the worst of each day.
pub(super) fn thinned(runs: Vec<Run>) -> Vec<Run> {
    let newest = runs.len().saturating_sub(RUNS_KEPT);
    let mut days: BTreeMap<NaiveDate, Run> = BTreeMap::new();
    let mut recent = Vec::new();
    for (position, run) in runs.into_iter().enumerate() {
        let day = run.began_at.date_naive();
        if position >= newest {
            recent.push(run);
        } else if days
            .get(&day)
            .is_none_or(|worst| worst.badness() <= run.badness())
        {
            days.insert(day, run);
        }
    }
    let too_many = days.len().saturating_sub(DAYS_KEPT);
    days.into_values().skip(too_many).chain(recent).collect()
}
