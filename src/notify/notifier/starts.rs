//! What starts of the scheduler bring: that it cannot, and that it could again.

use super::{Failure, Notifier};
use crate::notify::notification::{Event, Facts, Interest, Notification, Severity};
use crate::notify::outbox::Queued;
use crate::report::Problem;
use crate::state::{StateStore, warn_unsaved};

impl Notifier<'_> {
    /// Whether somebody is told when the scheduler cannot start, or a backup fails.
    pub(crate) fn tells_failures(&self) -> bool {
        self.has_readers() || self.outbox.has_recipient(Interest::EveryBackup)
    }

    /// Notes that the scheduler cannot start, which is no run that failed.
    pub(crate) fn start_failure(&self, status: &mut StateStore, error: &str) -> Queued {
        let failure = Failure {
            stage: "starting",
            problem: Problem::new(error, ""),
            help: format!("After putting it right: {}", self.ctx.runtime.restart()),
            no_room: false,
        };
        let mut starting = status.state().starting;
        let news = self.failure_news(&mut starting, &failure);
        let ping = self.failure_ping(&starting, &failure);
        let queued = self.queue(news.into_iter().chain(ping));
        // The folder may well be what is wrong; that is being said already.
        let _ = status.change(|state| state.starting = starting);
        queued
    }

    /// Notes that the scheduler has started; the good news, if it was told that it could not. `is_fresh` says whether there
    /// is a backup, as fresh as the schedule promises.
    pub(crate) fn started(&self, status: &mut StateStore, is_fresh: bool) -> Queued {
        let mut state = status.state();
        let Some(failing) = state.starting.failing().cloned() else {
            return Queued::default();
        };
        let facts = Facts {
            failing_since: Some(failing.since),
            failed_runs: Some(failing.runs),
            ..Facts::default()
        };
        let was_told = state.starting.succeeded().is_some() && self.has_readers();
        let news = was_told.then(|| self.start_news(facts.clone()));
        let ping = self.up_ping(is_fresh, facts);
        let queued = self.queue(news.into_iter().chain(ping));
        let starting = state.starting;
        warn_unsaved(status.change(|state| state.starting = starting).1);
        queued
    }

    /// That the scheduler is at work again, for those who watch. They take it for a backup that succeeded, and its copies:
    /// the last one must be as good as that.
    pub(super) fn up_ping(&self, is_fresh: bool, facts: Facts) -> Option<Notification> {
        let is_as_good = is_fresh && self.settings.offsite.places.is_empty();
        is_as_good
            .then(|| self.ping(Event::SchedulerUp, Severity::Good, facts, Vec::new()))
            .flatten()
    }

    fn start_news(&self, facts: Facts) -> Notification {
        let mut news = self.notification(Event::StartedAgain, Severity::Good, facts, Vec::new());
        news.id.push_str(".started");
        news
    }
}
