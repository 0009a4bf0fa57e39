//! Why a run is made, and how that is said.

use super::AGAIN;
use crate::schedule::in_words;
use crate::schedule::timetable::ON_TIME;
use crate::sys::humanize;
use crate::sys::logging::SCHEDULER;
use crate::sys::time_zone::Tz;
use chrono::{DateTime, TimeDelta, Utc};
use tokio::time::Instant;

/// Why a run is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Trigger {
    Slot {
        slot: DateTime<Utc>,
        late: TimeDelta,
        collapsed: u32,
    },
    Start,
    Asked,
}

impl Trigger {
    pub(super) fn label(self) -> &'static str {
        match self {
            Trigger::Slot { late, .. } if late > ON_TIME => "catch-up",
            Trigger::Slot { .. } => "scheduled",
            Trigger::Start => "at start",
            Trigger::Asked => "asked for by SIGUSR1",
        }
    }

    /// The slot that it is for; none beside the schedule.
    pub(super) fn slot(self) -> Option<DateTime<Utc>> {
        match self {
            Trigger::Slot { slot, .. } => Some(slot),
            Trigger::Start | Trigger::Asked => None,
        }
    }

    pub(super) fn say(self, time_zone: Tz, now: DateTime<Utc>) {
        match self {
            Trigger::Slot {
                slot,
                late,
                collapsed,
            } if late > ON_TIME => {
                let others = match collapsed {
                    0 => String::new(),
                    others => format!(
                        ", and {} before it",
                        humanize::counted(u64::from(others), "other")
                    ),
                };
                let missed = in_words(slot, time_zone, now);
                tracing::info!(target: SCHEDULER, "making up for the run of {missed}{others}");
            }
            _ => tracing::info!(target: SCHEDULER, "starting a backup: {}", self.label()),
        }
    }
}

/// A backup that was asked for beside the schedule.
pub(super) struct Asked {
    pub trigger: Option<Trigger>,
    /// When to see again whether someone else is still at work in the folder.
    pub not_before: Instant,
}

impl Asked {
    /// `done` is false when somebody else was at work.
    pub(super) fn after(&mut self, trigger: Trigger, done: bool) {
        if done {
            self.trigger = self.trigger.filter(|asked| *asked != trigger);
        } else {
            self.not_before = Instant::now() + AGAIN;
        }
    }
}
