//! Which notifications a run brings, and what they know.

mod copies;

pub(crate) use copies::DifferingCopy;

use crate::context::Context;
use crate::mongo::uri::MongoUri;
use crate::notify::channels::{self, Channel};
use crate::notify::notification::{
    Event, Facts, Interest, LastGood, Notification, Origin, Severity,
};
use crate::notify::outbox::{Outbox, Queued};
use crate::report::{BackupReport, DrillReport, Problem, PruneReport, last_good};
use crate::settings::{NotifyOn, Settings};
use crate::state::alerts::{AlertHistory, Concern};
use crate::state::{Ended, LastDrill, StateStore, warn_unsaved};
use crate::store::repository::Repository;
use chrono::{DateTime, Utc};
use sha2::{Digest, Sha256};
use std::cell::OnceCell;
use std::sync::Arc;
use tokio::task::JoinHandle;

/// A failure that is to be told.
pub(crate) struct Failure<'f> {
    /// What was being done: `dumping`.
    pub stage: &'f str,
    /// Holds no secrets.
    pub problem: Problem,
    /// What else to do about it; may be empty.
    pub help: String,
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

/// Tells those who watch that a run has begun.
pub(crate) struct Beginning(Vec<JoinHandle<()>>);

impl Beginning {
    /// Waits until they know, or cannot be told: they must not learn of the end first.
    pub(crate) async fn finish(self, ctx: &Context) {
        for task in self.0 {
            let abort = task.abort_handle();
            if ctx.cancel.or(task).await.is_err() {
                abort.abort();
            }
        }
    }
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
            outbox: Outbox::of(settings, &channels),
            channels,
            run_id: OnceCell::new(),
        }
    }

    /// Begins a backup or a drill, beside which those who watch are told.
    pub(crate) fn begin(&self, interest: Interest) -> Beginning {
        let id = self.run_id.get_or_init(|| self.new_run_id());
        let channels = self.channels.iter();
        let watching = channels.filter(|channel| channel.interest() == interest);
        let tasks = watching.map(|channel| {
            let (channel, id) = (Arc::clone(channel), id.clone());
            tokio::spawn(async move { channel.begin(&id).await })
        });
        Beginning(tasks.collect())
    }

    /// A UUID that no other run has.
    fn new_run_id(&self) -> String {
        let now = (self.ctx.now)().to_rfc3339();
        let process = std::process::id();
        let text = format!(
            "{} {} {now} {process}",
            self.settings.prefix,
            self.uri.hosts()
        );
        let mut digest = Sha256::digest(text);
        // Version 8, which leaves to everybody how it is made.
        digest[6] = digest[6] & 0x0f | 0x80;
        digest[8] = digest[8] & 0x3f | 0x80;
        let hex: String = digest
            .iter()
            .take(16)
            .map(|byte| format!("{byte:02x}"))
            .collect();
        let parts = [
            &hex[..8],
            &hex[8..12],
            &hex[12..16],
            &hex[16..20],
            &hex[20..],
        ];
        parts.join("-")
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

    /// Notes that the scheduler cannot start, which is no run that failed.
    pub(crate) fn start_failure(&self, status: &mut StateStore, error: &str) -> Queued {
        let failure = Failure {
            stage: "starting",
            problem: Problem::new(error, ""),
            help: format!("After putting it right: {}", self.ctx.runtime().restart()),
        };
        let mut starting = status.state().starting;
        let news = self.failure_news(&mut starting, &failure);
        let ping = self.failure_ping(&starting, &failure);
        let queued = self.queue(news.into_iter().chain(ping));
        // The folder may well be what is wrong; that is being said already.
        let _ = status.change(|state| state.starting = starting);
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
        };
        let queued = self.queue([self.failed(&alerts, Some(day), &failure)]);
        warn_unsaved(status.change(|state| state.alerts = alerts).1);
        queued
    }

    /// What a backup that succeeded has to say. `concerns` may hold secrets.
    pub(crate) fn success(
        &self,
        status: &mut StateStore,
        report: &BackupReport,
        pruned: &PruneReport,
        concerns: Vec<(Concern, String)>,
    ) -> Queued {
        let kinds: Vec<Concern> = concerns.iter().map(|(concern, _)| *concern).collect();
        let mut alerts = status.state().alerts;
        let recovered = alerts.succeeded();
        let remind = self.has_readers() && alerts.concerns_due(&kinds, (self.ctx.now)());
        let mut facts = backup_facts(report, pruned);
        let concerns = concerns.into_iter().map(|(_, text)| text);
        facts.concerns = concerns
            .map(|text| self.ctx.redactor.redact(&text).into_owned())
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

    /// Notes how a drill ended; the notification about it, if one is due. `last` holds no secrets.
    pub(crate) fn drilled(
        &self,
        status: &mut StateStore,
        last: &LastDrill,
        report: Option<&DrillReport>,
    ) -> Queued {
        let mut alerts = status.state().drill_alerts;
        let news = match (&last.problem, report) {
            (Some(problem), _) => self.drill_failure(&mut alerts, last, problem, report),
            (None, Some(report)) => self.drill_success(&mut alerts, report),
            (None, None) => None,
        };
        let ping = self.drill_ping(last, report);
        let news = news.filter(|_| self.has_readers());
        let queued = self.queue(news.into_iter().chain(ping));
        let change = status.change(|state| {
            state.drill_alerts = alerts;
            state.drill = Some(last.clone());
        });
        warn_unsaved(change.1);
        queued
    }

    fn drill_failure(
        &self,
        alerts: &mut AlertHistory,
        last: &LastDrill,
        problem: &str,
        report: Option<&DrillReport>,
    ) -> Option<Notification> {
        let day = self.count_failure(alerts)?;
        let event = match day {
            0 | 1 => Event::DrillFailed,
            _ => Event::DrillStillFailing,
        };
        let problems = report.map(|report| report.problems.clone());
        let facts = Facts {
            archive: Some(last.archive.clone()),
            problems: problems.unwrap_or_else(|| vec![problem.to_owned()]),
            failing_since: alerts.failing().map(|failing| failing.since),
            failed_runs: alerts.failing().map(|failing| failing.runs),
            day: Some(day),
            log: self.ctx.tail.lines(),
            ..Facts::default()
        };
        let doctor = self.ctx.runtime().run_doctor();
        let help = vec![
            format!(
                "See whether the scratch server runs and its user has the roles backup and restore: {doctor}"
            ),
            "Try it again, and an older archive: pantry-keeper drill, pantry-keeper list".into(),
        ];
        Some(self.notification(event, Severity::Bad, facts, help))
    }

    fn drill_success(
        &self,
        alerts: &mut AlertHistory,
        report: &DrillReport,
    ) -> Option<Notification> {
        let mut facts = drill_facts(report);
        let event = match alerts.succeeded() {
            Some(failing) => {
                facts.failing_since = Some(failing.since);
                facts.failed_runs = Some(failing.runs);
                Event::DrillRecovered
            }
            None if self.settings.notify_on == NotifyOn::Always => Event::DrillReceipt,
            None => return None,
        };
        let severity = match report.warnings.is_empty() {
            true => Severity::Good,
            false => Severity::Attention,
        };
        Some(self.notification(event, severity, facts, Vec::new()))
    }

    fn drill_ping(&self, last: &LastDrill, report: Option<&DrillReport>) -> Option<Notification> {
        let Some(problem) = &last.problem else {
            let facts = report.map(drill_facts)?;
            return self.ping(Event::DrillDone, Severity::Good, facts, Vec::new());
        };
        let problems = report.map(|report| report.problems.clone());
        let facts = Facts {
            archive: Some(last.archive.clone()),
            problems: problems.unwrap_or_else(|| vec![problem.clone()]),
            ..Facts::default()
        };
        self.ping(Event::DrillNotDone, Severity::Bad, facts, Vec::new())
    }

    fn failure_ping(&self, alerts: &AlertHistory, failure: &Failure) -> Option<Notification> {
        if !self.outbox.has_recipient(Interest::EveryBackup) {
            return None;
        }
        let failed = self.failed(alerts, None, failure);
        self.ping(
            Event::BackupNotDone,
            Severity::Bad,
            failed.facts,
            failed.help,
        )
    }

    /// How a run ended, for those who watch, if anybody does.
    fn ping(
        &self,
        event: Event,
        severity: Severity,
        facts: Facts,
        help: Vec<String>,
    ) -> Option<Notification> {
        if !self.outbox.has_recipient(event.interest()) {
            return None;
        }
        let facts = Facts {
            run_id: self.run_id.get().cloned(),
            log: self.ctx.tail.lines(),
            ..facts
        };
        let mut ping = self.notification(event, severity, facts, help);
        ping.id.push_str(".ping");
        Some(ping)
    }

    fn failure_news(&self, alerts: &mut AlertHistory, failure: &Failure) -> Option<Notification> {
        let day = self.count_failure(alerts)?;
        Some(self.failed(alerts, Some(day), failure))
    }

    /// Counts a failure; as which day of failing it is to be told now, if it is.
    fn count_failure(&self, alerts: &mut AlertHistory) -> Option<u32> {
        let now = (self.ctx.now)();
        alerts.failed(now);
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
        let listed = Repository::of(self.settings).list();
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
        let doctor = self.ctx.runtime().run_doctor();
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
        let time = written_at.format("%Y%m%dT%H%M%S%.6f");
        Notification {
            id: format!("{}.{time}", self.settings.prefix),
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
            mail: None,
        }
    }

    /// Whether somebody reads the news.
    fn has_readers(&self) -> bool {
        self.outbox.has_recipient(Interest::News) && self.settings.notify_on != NotifyOn::Never
    }
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

fn drill_facts(report: &DrillReport) -> Facts {
    Facts {
        archive: Some(report.archive.clone()),
        documents: Some(report.documents),
        bytes: Some(report.bytes),
        namespaces: Some(report.namespaces),
        indexes: Some(report.indexes),
        elapsed_seconds: Some(report.elapsed_seconds),
        compare_seconds: Some(report.compare_seconds),
        concerns: report.warnings.clone(),
        ..Facts::default()
    }
}
