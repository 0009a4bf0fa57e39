//! What drills bring.

use super::Notifier;
use crate::notify::notification::{Event, Facts, Notification, Severity};
use crate::notify::outbox::Queued;
use crate::report::DrillReport;
use crate::settings::NotifyOn;
use crate::state::alerts::AlertHistory;
use crate::state::{LastDrill, StateStore, warn_unsaved};

impl Notifier<'_> {
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
        let day = self.count_failure(alerts, false)?;
        let event = match day {
            0 | 1 => Event::DrillFailed,
            _ => Event::DrillStillFailing,
        };
        let problems = report.map(|report| report.problems.clone());
        let facts = Facts {
            archive: Some(last.archive.clone()),
            error: last.inconclusive.then(|| problem.to_owned()),
            problems: problems.unwrap_or_else(|| vec![problem.to_owned()]),
            failing_since: alerts.failing().map(|failing| failing.since),
            failed_runs: alerts.failing().map(|failing| failing.runs),
            day: Some(day),
            log: self.ctx.tail.lines(),
            ..Facts::default()
        };
        let runtime = self.ctx.runtime;
        let (doctor, list) = (runtime.run("doctor"), runtime.run("list"));
        let drill = runtime.run("drill");
        let help = vec![
            format!(
                "See whether the scratch server runs and its user has the roles backup and restore: {doctor}"
            ),
            format!("Try it again: {drill}; or with an older archive: {list}"),
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
            error: last.inconclusive.then(|| problem.clone()),
            problems: problems.unwrap_or_else(|| vec![problem.clone()]),
            ..Facts::default()
        };
        self.ping(Event::DrillNotDone, Severity::Bad, facts, Vec::new())
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
