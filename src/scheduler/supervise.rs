//! One run after the other: begun, watched over, and noted.

use super::Service;
use super::trigger::Trigger;
use super::upkeep::BEAT;
use super::worker::{self, WorkerFailure, WorkerRequest};
use crate::schedule::in_words;
use crate::schedule::timetable::Step;
use crate::state::{Ended, RunningBackup};
use crate::sys::humanize;
use crate::sys::logging::SCHEDULER;
use chrono::{DateTime, Utc};

impl Service<'_> {
    /// Makes one backup. False when someone else is at work in the folder, so that it has to be tried again.
    pub(super) async fn run(&mut self, trigger: Trigger) -> bool {
        let now = (self.ctx.now)();
        let slot = self.slot_of(trigger, now);
        trigger.say(self.settings.time_zone, now);
        let label = trigger.label();
        self.systemd.status(&format!("making a backup: {label}"));
        if let Some(slot) = slot {
            self.timetable.begin(&mut self.ledger, slot, now);
        }
        self.running = Some(RunningBackup {
            at: now,
            trigger: label.into(),
        });
        self.keep_ledger();
        let request = WorkerRequest {
            trigger: label.into(),
            unsaved: self.status.unsaved(),
            drill: false,
            offsite: false,
        };
        let ended = self.supervise(&request).await.unwrap_or_else(|failure| {
            self.record_dead_worker(now, label, &failure);
            worker::Ended::Finished
        });
        self.running = None;
        self.metrics_file.due_now();
        match ended {
            worker::Ended::Busy => {
                self.forget_start();
                self.wait_for_the_folder(trigger);
                false
            }
            worker::Ended::Stopped => {
                self.waiting.end();
                // It is made up for at the next start.
                self.forget_start();
                true
            }
            worker::Ended::Finished | worker::Ended::TooEarly => {
                self.waiting.end();
                self.finish(slot, now);
                self.copying.due_now();
                true
            }
        }
    }

    /// The slot that a run is for.
    fn slot_of(&mut self, trigger: Trigger, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
        match trigger {
            Trigger::Slot { slot, .. } => Some(slot),
            // One run does for what was missed as well.
            Trigger::Start => match self.timetable.step(&mut self.ledger, now) {
                Step::Due { slot, .. } | Step::Missed { slot, .. } => Some(slot),
                Step::Wait { .. } => None,
            },
            Trigger::Asked => None,
        }
    }

    fn record_dead_worker(
        &mut self,
        began_at: DateTime<Utc>,
        label: &str,
        failure: &WorkerFailure,
    ) {
        let ended = Ended::Failed {
            stage: "running".into(),
            error: failure.error.clone(),
        };
        self.record(began_at, (self.ctx.now)(), label, ended);
        self.fail("running", &failure.error, failure.advice);
    }

    /// A run that was not made does not count as started.
    fn forget_start(&mut self) {
        self.ledger.begun = None;
        self.keep_ledger();
    }

    fn finish(&mut self, slot: Option<DateTime<Utc>>, began_at: DateTime<Utc>) {
        let now = self.look_at_the_clock();
        let failed = || self.status.state().alerts.failing().is_some();
        let skipped = match slot {
            Some(slot) => self.timetable.finish(&mut self.ledger, slot, now),
            // The slot may have more luck.
            None if failed() => 0,
            None => self.timetable.stand_in(&mut self.ledger, began_at, now),
        };
        if skipped > 0 {
            tracing::warn!(
                target: SCHEDULER,
                "{} came due while this one was at work, and {} skipped",
                humanize::counted(u64::from(skipped), "run"),
                if skipped == 1 { "is" } else { "are" }
            );
        }
        self.keep_ledger();
        self.announce();
    }

    /// Runs, while signs of life are given and questions are answered.
    pub(super) async fn supervise(
        &mut self,
        request: &WorkerRequest,
    ) -> Result<worker::Ended, WorkerFailure> {
        self.at_work_since = Some((self.ctx.now)());
        let running = worker::run(request, self.settings.timeout, self.ctx);
        tokio::pin!(running);
        let mut beat = tokio::time::interval(self.systemd.pulse_or(BEAT));
        let cancel = self.ctx.cancel.clone();
        let report = loop {
            tokio::select! {
                biased;
                report = &mut running => break report,
                _ = beat.tick() => {
                    self.alive();
                    self.give_sign();
                }
                _ = cancel.requested(), if !self.systemd.is_told_of_the_end() => self.systemd.stopping(),
                Some(()) = self.asked.recv() => {
                    let what = if request.drill { "a drill is at work; ask again after it" } else { "a backup is being made already" };
                    tracing::info!(target: SCHEDULER, "{what}");
                }
            }
        };
        report.map(|report| {
            self.status.adopt(report.unsaved);
            self.sender.post(report.queued);
            report.ended
        })
    }

    /// Nothing makes up for it, so that its owner has to know.
    pub(super) fn missed(&mut self, slot: DateTime<Utc>, count: u32) {
        self.waiting.end();
        let now = (self.ctx.now)();
        let when = in_words(slot, self.settings.time_zone, now);
        let runs = humanize::counted(u64::from(count), "run");
        let error = format!(
            "{runs} missed, the last of {when}; BACKUP_CATCH_UP is false, so nothing makes up for it"
        );
        let stage = "the machine was off";
        let back_up = self.ctx.runtime.run("backup");
        let advice = format!("Set BACKUP_CATCH_UP to true, or back up now: {back_up}");
        self.keep_ledger();
        self.record(
            slot,
            now,
            "scheduled",
            Ended::Failed {
                stage: stage.into(),
                error: error.clone(),
            },
        );
        self.fail(stage, &error, &advice);
        self.announce();
    }
}
