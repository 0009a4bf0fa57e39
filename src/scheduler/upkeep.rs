//! What the scheduler does now and then: signs of life, looks at the clock, saves what the disk did not take.

use super::{AGAIN, Service};
use crate::notify::notifier::Notifier;
use crate::schedule::{in_words, moment};
use crate::state::State;
use crate::sys::lock::Lock;
use crate::sys::logging::SCHEDULER;
use chrono::{DateTime, Utc};
use std::time::Duration;
use tokio::time::Instant;

/// How often a sign of life is given.
pub(super) const BEAT: Duration = Duration::from_secs(5 * 60);

/// When what is done now and then was done last.
pub(super) struct Upkeep {
    pub beat_at: Option<Instant>,
    pub saved_at: Option<Instant>,
}

impl Service<'_> {
    /// What is done now and then while nothing else is.
    pub(super) fn keep_up(&mut self, upkeep: &mut Upkeep) {
        if upkeep.beat_at.is_none_or(|last| last.elapsed() >= BEAT) {
            upkeep.beat_at = Some(Instant::now());
            self.beat();
        }
        if upkeep.saved_at.is_none_or(|last| last.elapsed() >= AGAIN) {
            upkeep.saved_at = Some(Instant::now());
            // What was not written before has been said already.
            let _ = self.status.save();
            let notifier = Notifier::new(self.settings, self.uri, self.ctx, self.next());
            let queued = notifier.reminder(&mut self.status);
            self.sender.post(queued);
        }
    }

    pub(super) fn look_at_the_clock(&mut self) -> DateTime<Utc> {
        let now = (self.ctx.now)();
        let at_work_since = self.at_work_since.take();
        if let Some(words) = self.clock.jump(now) {
            tracing::info!(target: SCHEDULER, "{words}");
            // What came due during a run was kept waiting by it. Anything else fell into the time that is not there.
            self.timetable.awake_since = at_work_since.filter(|since| *since <= now).or(Some(now));
            self.timetable.jumped(&mut self.ledger, now);
            self.keep_ledger();
            if let Some(drills) = &mut self.drills {
                drills.jumped(now);
            }
            self.beat();
            self.announce();
        }
        now
    }

    pub(super) fn announce(&self) {
        if let Some(next) = self.next() {
            let words = in_words(next, self.settings.time_zone, (self.ctx.now)());
            tracing::info!(target: SCHEDULER, "next backup: {words}");
            self.systemd.status(&format!(
                "next backup: {}",
                moment(next, self.settings.time_zone)
            ));
        }
        if let Some(next) = self
            .drills
            .as_ref()
            .and_then(|drills| drills.next((self.ctx.now)()))
        {
            let words = in_words(next, self.settings.time_zone, (self.ctx.now)());
            tracing::info!(target: SCHEDULER, "next drill: {words}");
        }
    }

    /// Saves the ledger, and what is at work.
    pub(super) fn keep_ledger(&mut self) {
        let (ledger, running) = (self.ledger.clone(), self.running.clone());
        let change = |state: &mut State| {
            state.ledger = Some(ledger);
            state.running = running;
        };
        if let (_, Err(error)) = self.status.change(change) {
            tracing::warn!(target: SCHEDULER, "could not save state, will retry: {error}");
        }
    }

    pub(super) fn beat(&mut self) {
        let path = self.repository.scheduler_path();
        if !self.lock.is_at(&path) && path.exists() {
            // The disk was unplugged and is back: the lock that we hold is on a file that nobody can reach any more.
            match Lock::take(&path, self.repository.folder()) {
                Ok(lock) => self.lock = lock,
                Err(error) => tracing::error!(target: SCHEDULER, "{error}"),
            }
        }
        self.give_sign();
    }

    pub(super) fn give_sign(&mut self) {
        let problem = self.lock.beat((self.ctx.now)().into()).err();
        if let Some(error) = problem.as_ref().filter(|_| !self.is_mute) {
            let path = self.repository.scheduler_path();
            tracing::warn!(
                target: SCHEDULER,
                "no sign of life can be given, so that `health` will take this for dead: {} cannot be changed: {error}",
                path.display()
            );
        }
        self.is_mute = problem.is_some();
    }
}
