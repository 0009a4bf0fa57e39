//! What a run has to know of the earlier ones.

use super::alerts::AlertHistory;
use super::problem::StateProblem;
use crate::retention::shrink::{self, Loss};
use crate::schedule::timetable::Ledger;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

/// What the next run has to know of the earlier ones.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct State {
    pub ledger: Option<Ledger>,
    /// The backup that the scheduler makes now, on the schedule or beside it.
    pub running: Option<RunningBackup>,
    #[serde(rename = "alarm")]
    pub alerts: AlertHistory,
    /// The same about starts of the scheduler.
    pub starting: AlertHistory,
    pub shrunk: Option<Shrunk>,
    /// The newest archive that was held against the one before it.
    pub compared: Option<String>,
    /// How the last drill ended, and what was told about drills.
    pub drill: Option<LastDrill>,
    #[serde(rename = "drill_alarm")]
    pub drill_alerts: AlertHistory,
    pub drill_ledger: Option<Ledger>,
    /// Scratch databases that may still be on a server.
    pub left_over: Vec<LeftOver>,
    /// Why this may not be all there was: what is not known must not be taken for something that never happened.
    #[serde(skip)]
    pub problem: Option<StateProblem>,
}

/// A backup that the scheduler has begun.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct RunningBackup {
    pub at: DateTime<Utc>,
    /// Why it is made.
    pub trigger: String,
}

/// How the last drill ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct LastDrill {
    pub at: DateTime<Utc>,
    pub archive: String,
    /// None when it proved the archive.
    pub problem: Option<String>,
    /// It could not be carried out, which says nothing about the archive.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub inconclusive: bool,
}

/// Databases that a drill made and has not dropped yet.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct LeftOver {
    pub hosts: String,
    pub databases: Vec<String>,
}

/// A backup lost what an earlier one had; until that is settled, nothing is removed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Shrunk {
    pub since: DateTime<Utc>,
    /// The last archive that has it all.
    pub archive: String,
    pub losses: Vec<Loss>,
}

impl State {
    /// What the file says, and what was noted while it could not be read. In doubt something is still lost, or failing.
    pub(super) fn with_later(self, later: State) -> State {
        let mut left_over = self.left_over;
        for one in later.left_over {
            if !left_over.contains(&one) {
                left_over.push(one);
            }
        }
        State {
            ledger: later.ledger.or(self.ledger),
            running: later.running,
            alerts: self.alerts.with_later(later.alerts),
            starting: self.starting.with_later(later.starting),
            shrunk: match (self.shrunk, later.shrunk) {
                (Some(earlier), Some(later)) => Some(Shrunk {
                    losses: shrink::merged(earlier.losses, later.losses),
                    ..earlier
                }),
                (earlier, later) => earlier.or(later),
            },
            compared: later.compared.or(self.compared),
            drill: later.drill.or(self.drill),
            drill_alerts: self.drill_alerts.with_later(later.drill_alerts),
            drill_ledger: later.drill_ledger.or(self.drill_ledger),
            left_over,
            problem: None,
        }
    }
}
