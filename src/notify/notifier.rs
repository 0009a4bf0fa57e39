//! Which notifications a run brings, and what they know.

mod copies;
mod drills;
mod pings;
mod stalls;
mod starts;

pub(crate) use copies::DifferingCopy;
pub(crate) use stalls::{Stall, StallNews};

use crate::context::Context;
use crate::mongo::uri::MongoUri;
use crate::notify::channels::{self, Channel};
use crate::notify::notification::{
    Event, Facts, Interest, LastGood, Notification, Origin, Severity,
};
use crate::notify::outbox::{Outbox, Queued};
use crate::notify::remark::Remark;
use crate::report::{BackupReport, Problem, PruneReport, last_good};
use crate::settings::{NotifyOn, Settings};
use crate::state::alerts::{AlertHistory, Topic};
use crate::state::{Ended, StateStore, warn_unsaved};
use crate::store::repository::Repository;
use chrono::{DateTime, Utc};
use std::cell::OnceCell;
use std::sync::Arc;

/// A failure that is to be told.
pub(crate) struct Failure<'f> {
    /// What was being done: `dumping`.
    pub stage: &'f str,
    /// Holds no secrets.
    pub problem: Problem,
    /// What else to do about it; may be empty.
    pub help: String,
    /// Whether there was no room for the archive.
    pub no_room: bool,
}

/// Where notifications are written and put into the outbox.
pub(crate) struct Notifier<'o> {
    settings: &'o Settings,
    uri: &'o MongoUri,
    ctx: &'o Context,
    next_run: Option<DateTime<Utc>>,
    channels: Vec<Arc<dyn Channel>>,
    outbox: Outbox,
    /// Of the run that was begun.
    run_id: OnceCell<String>,
}

impl<'o> Notifier<'o> {
    pub(crate) fn new(
        settings: &'o Settings,
        uri: &'o MongoUri,
        ctx: &'o Context,
        next_run: Option<DateTime<Utc>>,
    ) -> Self {
        let channels = channels::of(settings, &ctx.redactor);
        Notifier {
            settings,
            uri,
            ctx,
            next_run,
            outbox: Outbox::of(settings, &channels, ctx),
            channels,
            run_id: OnceCell::new(),
        }
    }

    /// Puts them into the outbox.
    fn queue(&self, notifications: impl IntoIterator<Item = Notification>) -> Queued {
        let mut queued = Queued::default();
        for notification in notifications {
            queued.wrote = true;
            if self.outbox.keep(notification.clone()).is_some() {
                queued.unkept.push(notification);
            }
        }
        queued
    }

    /// Counts a failure and notes it; the notification about it, if one is due.
    pub(crate) fn failure(&self, status: &mut StateStore, failure: &Failure) -> Queued {
        let mut alerts = status.state().alerts;
        let news = self.failure_news(&mut alerts, failure);
        let ping = self.failure_ping(&alerts, failure);
        self.drop_held();
        // The outbox first: once it counts as written, nobody will write it again.
        let queued = self.queue(news.into_iter().chain(ping));
        warn_unsaved(status.change(|state| state.alerts = alerts).1);
        queued
    }

    /// A failure that was not told on its day, since there had been many or nobody was to be told, is told later.
    pub(crate) fn reminder(&self, status: &mut StateStore) -> Queued {
        let mut alerts = status.state().alerts;
        let untold = alerts
            .failing()
            .is_some_and(|failing| !failing.was_notified());
        if !untold || !self.has_readers() {
            return Queued::default();
        }
        let due = alerts.failure_due((self.ctx.now)(), self.settings.time_zone);
        let mut runs = status.runs().into_iter().rev();
        let last = runs.find_map(|run| match run.ended {
            Ended::Failed { stage, error } => Some((stage, error)),
            _ => None,
        });
        let (Some(day), Some((stage, error))) = (due, last) else {
            return Queued::default();
        };
        let failure = Failure {
            stage: &stage,
            problem: Problem::new(error, ""),
            help: String::new(),
            no_room: false,
        };
        let queued = self.queue([self.failed(&alerts, Some(day), &failure)]);
        warn_unsaved(status.change(|state| state.alerts = alerts).1);
        queued
    }

    /// What a backup that succeeded has to say.
    pub(crate) fn success(
        &self,
        status: &mut StateStore,
        report: &BackupReport,
        pruned: &PruneReport,
        remarks: Vec<Remark>,
    ) -> Queued {
        let topics = remarks.iter().flat_map(|remark| remark.topics.clone());
        let topics: Vec<Topic> = topics.collect();
        let mut alerts = status.state().alerts;
        let recovered = alerts.succeeded();
        let remind = self.has_readers() && alerts.concerns_due(&topics, (self.ctx.now)());
        let mut facts = backup_facts(report, pruned);
        facts.concerns = remarks
            .iter()
            .map(|remark| self.ctx.redactor.redact(&remark.text).into_owned())
            .collect();
        let ping = self.ping(Event::BackupDone, Severity::Good, facts.clone(), Vec::new());
        let ping = self.unless_held(&report.archive, ping);
        let news = match recovered {
            Some(failing) => {
                facts.failing_since = Some(failing.since);
                facts.failed_runs = Some(failing.runs);
                Some((Event::Recovered, Severity::Good))
            }
            None if remind => Some((Event::Warning, Severity::Attention)),
            None if self.settings.notify_on == NotifyOn::Always => {
                Some((Event::Receipt, Severity::Good))
            }
            None => None,
        };
        let news = news.filter(|_| self.has_readers());
        let news =
            news.map(|(event, severity)| self.notification(event, severity, facts, Vec::new()));
        let queued = self.queue(news.into_iter().chain(ping));
        warn_unsaved(status.change(|state| state.alerts = alerts).1);
        queued
    }

    fn failure_news(&self, alerts: &mut AlertHistory, failure: &Failure) -> Option<Notification> {
        let day = self.count_failure(alerts, failure.no_room)?;
        Some(self.failed(alerts, Some(day), failure))
    }

    /// Counts a failure; as which day of failing it is to be told now, if it is.
    fn count_failure(&self, alerts: &mut AlertHistory, no_room: bool) -> Option<u32> {
        let now = (self.ctx.now)();
        alerts.failed(now, no_room);
        // What nobody is told counts as untold, for the day on which somebody is.
        self.has_readers()
            .then(|| alerts.failure_due(now, self.settings.time_zone))
            .flatten()
    }

    /// What is known of runs that fail.
    fn failed(&self, alerts: &AlertHistory, day: Option<u32>, failure: &Failure) -> Notification {
        let event = match day {
            Some(2..) => Event::StillFailing,
            _ => Event::Failed,
        };
        let repository = Repository::of(self.settings);
        let disk = repository.bears_traces(self.settings.require_mount);
        let listed = disk.and_then(|()| repository.list());
        let newest = listed.as_ref().ok().and_then(|listed| last_good(listed));
        let last_good = newest.and_then(|good| {
            Some(LastGood {
                archive: good.archive.clone(),
                made_at: good.made_at?,
                archive_bytes: good.archive_bytes,
                documents: good.documents?,
            })
        });
        let facts = Facts {
            stage: Some(failure.stage.to_owned()),
            error: Some(failure.problem.summary.clone()),
            failing_since: alerts.failing().map(|failing| failing.since),
            failed_runs: alerts.failing().map(|failing| failing.runs),
            day,
            last_good,
            folder_readable: Some(listed.is_ok()),
            log: self.ctx.tail.lines(),
            ..Facts::default()
        };
        let doctor = self.ctx.runtime.run("doctor");
        let doctor = format!("Have everything looked at, and be told what to do: {doctor}");
        let help = failure.problem.help.clone().into_iter();
        let help = help.chain([failure.help.clone(), doctor]);
        let help = help.filter(|help| !help.is_empty()).collect();
        self.notification(event, Severity::Bad, facts, help)
    }

    fn notification(
        &self,
        event: Event,
        severity: Severity,
        facts: Facts,
        help: Vec<String>,
    ) -> Notification {
        let written_at = (self.ctx.now)();
        Notification {
            id: id(&self.settings.prefix, written_at),
            event,
            severity,
            written_at,
            origin: origin(self.settings, self.uri.hosts()),
            facts: Facts {
                next_run_at: self.next_run,
                ..facts
            },
            help,
            delivered_to: Default::default(),
            unanswered: Default::default(),
            mail: None,
        }
    }

    /// Whether somebody reads the news.
    fn has_readers(&self) -> bool {
        self.outbox.has_recipient(Interest::News) && self.settings.notify_on != NotifyOn::Never
    }
}

fn id(prefix: &str, written_at: DateTime<Utc>) -> String {
    format!("{prefix}.{}", written_at.format("%Y%m%dT%H%M%S%.6f"))
}

/// Where notifications of these settings come from.
pub(crate) fn origin(settings: &Settings, hosts: &str) -> Origin {
    Origin {
        prefix: settings.prefix.clone(),
        hosts: hosts.to_owned(),
        folder: settings.backup_dir.display().to_string(),
        time_zone: settings.time_zone.name().to_owned(),
    }
}

fn backup_facts(report: &BackupReport, pruned: &PruneReport) -> Facts {
    let removed = pruned.removed.iter();
    Facts {
        archive: Some(report.archive.clone()),
        archive_bytes: Some(report.archive_bytes),
        documents: Some(report.documents),
        bytes: Some(report.bytes),
        namespaces: Some(report.namespaces),
        point_in_time: Some(report.point_in_time),
        elapsed_seconds: Some(report.elapsed_seconds),
        removed: removed.map(|removed| removed.archive.clone()).collect(),
        ..Facts::default()
    }
}
