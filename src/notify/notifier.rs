//! Which mails a run brings, and what they say.

use crate::context::Context;
use crate::mongo::uri::MongoUri;
use crate::notify::outbox::Outbox;
use crate::notify::templates::{
    self, Ending, FailedDrill, FailureMail, LastGood, MailContext, Notification,
};
use crate::report::{BackupReport, DrillReport, PruneReport, last_good};
use crate::schedule::in_words;
use crate::settings::{NotifyOn, Settings};
use crate::state::alerts::{AlertHistory, Concern, Failing};
use crate::state::{Ended, LastDrill, StateStore, warn_unsaved};
use crate::store::repository::Repository;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

/// What became of the letters that were due.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct QueuedMail {
    /// Whether there was any: there may be something in the outbox to be sent.
    pub wrote: bool,
    /// Those that the outbox's disk did not take.
    pub unkept: Vec<Notification>,
}

/// Where letters are written and put into the outbox.
pub(crate) struct Notifier<'o> {
    settings: &'o Settings,
    uri: &'o MongoUri,
    ctx: &'o Context,
    next_run: Option<DateTime<Utc>>,
    outbox: Outbox,
}

impl<'o> Notifier<'o> {
    pub(crate) fn new(
        settings: &'o Settings,
        uri: &'o MongoUri,
        ctx: &'o Context,
        next_run: Option<DateTime<Utc>>,
    ) -> Self {
        let outbox = Outbox::new(Repository::of(settings).outbox_folder());
        Notifier {
            settings,
            uri,
            ctx,
            next_run,
            outbox,
        }
    }

    fn put(&self, notification: Option<Notification>) -> QueuedMail {
        let unkept = notification
            .clone()
            .filter(|notification| self.outbox.keep(notification.clone()).is_some());
        QueuedMail {
            wrote: notification.is_some(),
            unkept: unkept.into_iter().collect(),
        }
    }

    fn sender(&self) -> MailContext<'_> {
        let (now, time_zone) = ((self.ctx.now)(), self.settings.time_zone);
        MailContext {
            prefix: &self.settings.prefix,
            hosts: self.uri.hosts(),
            folder: self.settings.backup_dir.display().to_string(),
            time_zone,
            now,
            next_run: self.next_run.map(|next| in_words(next, time_zone, now)),
        }
    }

    /// Notes that a run failed; the mail about it, if one is due. `error` holds no secrets.
    pub(crate) fn failure(
        &self,
        status: &mut StateStore,
        stage: &str,
        error: &str,
        advice: &str,
    ) -> QueuedMail {
        let mut alerts = status.state().alerts;
        let notification = self.told(&mut alerts, stage, error, advice);
        // The letter first: once it counts as written, nobody will write it again.
        let queued = self.put(notification);
        warn_unsaved(status.change(|state| state.alerts = alerts).1);
        queued
    }

    /// Counts a failure; the letter about it, if one is due.
    fn told(
        &self,
        alerts: &mut AlertHistory,
        stage: &str,
        error: &str,
        advice: &str,
    ) -> Option<Notification> {
        let now = (self.ctx.now)();
        alerts.failed(now);
        // What nobody is told counts as untold, for the day on which mail is turned on.
        let day = self
            .wanted()
            .then(|| alerts.failure_due(now, self.settings.time_zone))
            .flatten()?;
        Some(self.trouble(alerts.failing()?, day, stage, error, advice))
    }

    /// Notes that the scheduler cannot start, which is no run that failed; the mail about it, if one is due.
    pub(crate) fn start_failure(&self, status: &mut StateStore, error: &str) -> QueuedMail {
        let advice = "After putting it right: docker compose restart pantry-keeper";
        let mut starting = status.state().starting;
        let notification = self.told(&mut starting, "starting", error, advice);
        let queued = self.put(notification);
        // The folder may well be what is wrong; that is being said already.
        let _ = status.change(|state| state.starting = starting);
        queued
    }

    /// A failure that was not told on its day, since there had been many or mail was off, is told later.
    pub(crate) fn reminder(&self, status: &mut StateStore) -> QueuedMail {
        let mut alerts = status.state().alerts;
        let untold = alerts.failing().is_some_and(|failing| !failing.was_told());
        if !untold || !self.wanted() {
            return QueuedMail::default();
        }
        let due = alerts.failure_due((self.ctx.now)(), self.settings.time_zone);
        let last = status
            .runs()
            .into_iter()
            .rev()
            .find_map(|run| match run.ended {
                Ended::Failed { stage, error } => Some((stage, error)),
                _ => None,
            });
        let (Some(day), Some((stage, error)), Some(failing)) = (due, last, alerts.failing()) else {
            return QueuedMail::default();
        };
        let queued = self.put(Some(self.trouble(failing, day, &stage, &error, "")));
        warn_unsaved(status.change(|state| state.alerts = alerts).1);
        queued
    }

    /// The mail about runs that fail, for the day it is due on.
    fn trouble(
        &self,
        failing: &Failing,
        day: u32,
        stage: &str,
        error: &str,
        advice: &str,
    ) -> Notification {
        let (since, runs) = (failing.since, failing.runs);
        let listed = Repository::of(self.settings).list();
        let last_good = listed
            .as_ref()
            .ok()
            .and_then(|listed| last_good(listed))
            .and_then(|good| {
                let (archive, made_at, documents) =
                    (good.archive.clone(), good.made_at?, good.documents?);
                Some(LastGood {
                    archive,
                    made_at,
                    archive_bytes: good.archive_bytes,
                    documents,
                })
            });
        let folder_read = listed.is_ok();
        let doctor = "pantry-keeper doctor looks at everything and says what to do; in Docker: \
                      docker compose exec pantry-keeper pantry-keeper doctor";
        let advice = [advice, doctor]
            .into_iter()
            .filter(|advice| !advice.is_empty())
            .map(str::to_owned)
            .collect();
        let log = self.ctx.tail.lines();
        let error = error.to_owned();
        templates::failed(
            &self.sender(),
            &FailureMail {
                stage,
                error,
                advice,
                since,
                runs,
                day,
                last_good,
                folder_read,
                log,
            },
        )
    }

    pub(crate) fn success(
        &self,
        status: &mut StateStore,
        report: &BackupReport,
        pruned: &PruneReport,
        concerns: Vec<(Concern, String)>,
    ) -> QueuedMail {
        let now = (self.ctx.now)();
        let kinds: Vec<Concern> = concerns.iter().map(|(concern, _)| *concern).collect();
        let mut alerts = status.state().alerts;
        let (ended, remind) = (
            alerts.succeeded(),
            self.wanted() && alerts.concerns_due(&kinds, now),
        );
        let ending = Ending {
            report,
            removed: pruned
                .removed
                .iter()
                .map(|removed| removed.archive.clone())
                .collect(),
            concerns: concerns
                .into_iter()
                .map(|(_, text)| self.ctx.redactor.redact(&text).into_owned())
                .collect(),
        };
        let always = self.settings.notify_on == NotifyOn::Always;
        let notification = match ended {
            Some(failing) => Some(templates::recovered(
                &self.sender(),
                failing.since,
                failing.runs,
                &ending,
            )),
            None if remind => Some(templates::warning(&self.sender(), &ending)),
            None if always => Some(templates::receipt(&self.sender(), &ending)),
            None => None,
        };
        let queued = self.put(notification.filter(|_| self.wanted()));
        warn_unsaved(status.change(|state| state.alerts = alerts).1);
        queued
    }

    /// Notes how a drill ended; the mail about it, if one is due. `last` holds no secrets.
    pub(crate) fn drilled(
        &self,
        status: &mut StateStore,
        last: &LastDrill,
        report: Option<&DrillReport>,
    ) -> QueuedMail {
        let now = (self.ctx.now)();
        let mut alerts = status.state().drill_alerts;
        let notification = match (&last.problem, report) {
            (Some(problem), _) => {
                alerts.failed(now);
                let day = self
                    .wanted()
                    .then(|| alerts.failure_due(now, self.settings.time_zone))
                    .flatten();
                day.zip(alerts.failing()).map(|(day, failing)| {
                    let problems = report
                        .map_or_else(|| vec![problem.clone()], |report| report.problems.clone());
                    let (since, log) = (failing.since, self.ctx.tail.lines());
                    let drill = FailedDrill {
                        archive: &last.archive,
                        problems,
                        since,
                        day,
                        log,
                    };
                    templates::drill_failed(&self.sender(), &drill)
                })
            }
            (None, Some(report)) => match alerts.succeeded() {
                Some(failing) => Some(templates::drill_recovered(
                    &self.sender(),
                    failing.since,
                    report,
                )),
                None if self.settings.notify_on == NotifyOn::Always => {
                    Some(templates::drill_receipt(&self.sender(), report))
                }
                None => None,
            },
            (None, None) => None,
        };
        let queued = self.put(notification.filter(|_| self.wanted()));
        warn_unsaved(
            status
                .change(|state| {
                    state.drill_alerts = alerts;
                    state.drill = Some(last.clone());
                })
                .1,
        );
        queued
    }

    fn wanted(&self) -> bool {
        self.settings.mail.is_some() && self.settings.notify_on != NotifyOn::Never
    }
}
