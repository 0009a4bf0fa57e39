//! Takes up where the last scheduler left off.

use super::Service;
use crate::health;
use crate::notify::notifier::Notifier;
use crate::schedule::timetable::StartedRun;
use crate::state::{Ended, RunningBackup, State};
use crate::sys::logging::SCHEDULER;
use chrono::{DateTime, SubsecRound as _, Utc};

impl Service<'_> {
    pub(super) fn open(&mut self, now: DateTime<Utc>) {
        let newest = self.repository.newest_good();
        let state = self.status.state();
        let is_fresh = health::has_fresh_backup(self.settings, &state, newest.as_ref(), now);
        let newest = newest.and_then(|newest| newest.made_by_manifest());
        let beside = cut_off_beside_the_schedule(&state, newest);
        let opened = self.timetable.open(state.ledger, newest, now);
        self.ledger = opened.ledger;
        if let Some(begun) = opened.interrupted {
            self.interrupted(begun.at, "scheduled", now);
            if opened.gave_up {
                self.given_up(&begun);
            }
        } else if let Some(running) = beside {
            self.interrupted(running.at, &running.trigger, now);
        }
        let notifier = Notifier::new(self.settings, self.uri, self.ctx, self.next());
        let started = notifier.started(&mut self.status, is_fresh);
        if started.wrote {
            tracing::info!(target: SCHEDULER, "started, after that had failed before");
        }
        self.sender.post(started);
        self.keep_ledger();
        self.open_drills(now);
        self.beat();
    }

    fn interrupted(&mut self, began_at: DateTime<Utc>, trigger: &str, now: DateTime<Utc>) {
        let at = began_at
            .with_timezone(&self.settings.time_zone)
            .format("%-d %B at %H:%M");
        tracing::warn!(target: SCHEDULER, "the run of {at} was interrupted: the power went, or it was killed");
        self.record(began_at, now, trigger, Ended::Interrupted);
    }

    fn given_up(&mut self, begun: &StartedRun) {
        let error = format!(
            "the run was begun {} times and interrupted each time; it is left out until the next one is due",
            begun.times
        );
        self.fail(
            "starting again",
            &error,
            "See whether the machine runs out of power or memory: look at dmesg.",
        );
    }
}

/// A backup that was begun, that no slot is still due for, and that left no archive.
fn cut_off_beside_the_schedule(
    state: &State,
    newest: Option<DateTime<Utc>>,
) -> Option<RunningBackup> {
    let for_a_slot = state
        .ledger
        .as_ref()
        .is_some_and(|ledger| ledger.begun.is_some());
    let running = state.running.as_ref().filter(|_| !for_a_slot)?;
    // Archives may be dated in whole seconds.
    let began_at = running.at.trunc_subsecs(0);
    let made = newest.is_some_and(|made| made >= began_at);
    (!made).then(|| running.clone())
}
