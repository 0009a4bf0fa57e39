//! Drills on a schedule of their own. They never come before a backup that is due, and one that was missed is made up for.

use super::worker::{self, WorkerRequest};
use super::{AGAIN, Service};
use crate::backup::Notifier;
use crate::schedule::timetable::{Ledger, Step, Timetable};
use crate::settings::Settings;
use crate::state::{Ended, LastDrill};
use crate::sys::logging::SCHEDULER;
use chrono::{DateTime, Utc};
use tokio::time::Instant;

const TRIGGER: &str = "scheduled drill";

/// When drills happen.
pub(super) struct Drills<'s> {
    timetable: Timetable<'s>,
    ledger: Option<Ledger>,
    not_before: Instant,
}

impl<'s> Drills<'s> {
    /// None where they are not scheduled.
    pub(super) fn of(settings: &'s Settings) -> Option<Self> {
        let schedule = settings.drill.schedule.as_ref()?;
        let timetable = Timetable {
            schedule,
            time_zone: settings.time_zone,
            catch_up: true,
            awake_since: None,
        };
        Some(Drills {
            timetable,
            ledger: None,
            not_before: Instant::now(),
        })
    }

    pub(super) fn jumped(&mut self, now: DateTime<Utc>) {
        if let Some(ledger) = &mut self.ledger {
            self.timetable.jumped(ledger, now);
        }
    }

    pub(super) fn next(&self, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
        match self.timetable.step(&mut self.ledger.clone()?, now) {
            Step::Wait { next } => next,
            Step::Due { slot, .. } | Step::Missed { slot, .. } => Some(slot),
        }
    }
}

impl Service<'_> {
    /// Takes up where the last scheduler left off.
    pub(super) fn open_drills(&mut self, now: DateTime<Utc>) {
        let Some(drills) = &mut self.drills else {
            return;
        };
        let state = self.status.state();
        let opened =
            drills
                .timetable
                .open(state.drill_ledger, state.drill.map(|last| last.at), now);
        drills.ledger = Some(opened.ledger);
        if let Some(begun) = opened.interrupted.filter(|_| opened.gave_up) {
            let error = format!(
                "the drill was begun {} times and interrupted each time; the next one is tried when it is due",
                begun.times
            );
            self.drill_died(begun.at, &error);
        }
        self.keep_drill_ledger();
    }

    /// The slot of a drill that is due.
    pub(super) fn drill_due(&mut self, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
        let drills = self
            .drills
            .as_mut()
            .filter(|drills| Instant::now() >= drills.not_before)?;
        let ledger = drills.ledger.as_mut()?;
        let before = ledger.clone();
        let step = drills.timetable.step(ledger, now);
        let changed = *ledger != before;
        if changed {
            self.keep_drill_ledger();
        }
        match step {
            Step::Due { slot, .. } => Some(slot),
            Step::Wait { .. } | Step::Missed { .. } => None,
        }
    }

    pub(super) async fn drill(&mut self, slot: DateTime<Utc>) {
        tracing::info!(target: SCHEDULER, "starting a drill: scheduled");
        self.systemd.status("drilling the latest archive");
        let began_at = (self.ctx.now)();
        self.with_drill_ledger(|timetable, ledger| timetable.begin(ledger, slot, began_at));
        let request = WorkerRequest {
            trigger: TRIGGER.into(),
            unsaved: self.status.unsaved(),
            drill: true,
            offsite: false,
        };
        let ended = match self.supervise(&request).await {
            Ok(ended) => ended,
            Err(died) => {
                self.drill_died(began_at, &died.error);
                worker::Ended::Finished
            }
        };
        self.metrics_file.due_now();
        match ended {
            worker::Ended::Finished | worker::Ended::TooEarly => {
                let now = self.look_at_the_clock();
                self.with_drill_ledger(|timetable, ledger| {
                    timetable.finish(ledger, slot, now);
                    if ended == worker::Ended::TooEarly {
                        // Before the first archive, no drill could be expected.
                        ledger.since = ledger.since.max(now);
                    }
                });
                self.announce();
            }
            worker::Ended::Busy | worker::Ended::Stopped => {
                self.with_drill_ledger(|_, ledger| ledger.begun = None);
                if let Some(drills) = &mut self.drills {
                    drills.not_before = Instant::now() + AGAIN;
                }
            }
        }
    }

    /// A drill that told nothing: it was killed.
    fn drill_died(&mut self, began_at: DateTime<Utc>, error: &str) {
        tracing::error!(target: SCHEDULER, "{error}");
        let now = (self.ctx.now)();
        let last = LastDrill {
            at: now,
            archive: "the latest archive".into(),
            problem: Some(error.into()),
            inconclusive: true,
        };
        let uri = self.settings.drill.uri.as_ref().unwrap_or(self.uri);
        let queued = Notifier::new(self.settings, uri, self.ctx, None).drilled(
            &mut self.status,
            &last,
            None,
        );
        self.sender.post(queued);
        self.record(
            began_at,
            now,
            TRIGGER,
            Ended::DrillFailed {
                archive: last.archive,
                error: error.into(),
            },
        );
    }

    fn with_drill_ledger(&mut self, change: impl FnOnce(&Timetable, &mut Ledger)) {
        if let Some(drills) = &mut self.drills
            && let Some(ledger) = &mut drills.ledger
        {
            change(&drills.timetable, ledger);
        }
        self.keep_drill_ledger();
    }

    fn keep_drill_ledger(&mut self) {
        let ledger = self
            .drills
            .as_ref()
            .and_then(|drills| drills.ledger.clone());
        if let (_, Err(error)) = self.status.change(|state| state.drill_ledger = ledger) {
            tracing::warn!(target: SCHEDULER, "could not save state, will retry: {error}");
        }
    }
}
