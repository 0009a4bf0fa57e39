//! Which mails a run brings, and what they say.

use super::{last_good, noted};
use crate::alarm::{Concern, Failing};
use crate::job::{self, Surroundings};
use crate::letter::{self, Ending, LastGood, Letter, Sender, Trouble};
use crate::report::{BackupReport, PruneReport};
use crate::schedule::in_words;
use crate::settings::{MongoUri, NotifyOn, Settings};
use crate::status::Status;
use chrono::{DateTime, Utc};

/// Where letters are written.
pub struct Office<'o> {
    pub settings: &'o Settings,
    pub uri: &'o MongoUri,
    pub around: &'o Surroundings,
    pub next_run: Option<DateTime<Utc>>,
}

impl Office<'_> {
    fn sender(&self) -> Sender<'_> {
        let (now, time_zone) = ((self.around.now)(), self.settings.time_zone);
        Sender {
            prefix: &self.settings.prefix,
            hosts: self.uri.hosts(),
            folder: self.settings.backup_dir.display().to_string(),
            time_zone,
            now,
            next_run: self.next_run.map(|next| in_words(next, time_zone, now)),
        }
    }

    /// Notes that a run failed; the mail about it, if one is due. `error` holds no secrets.
    pub fn failure(&self, status: &mut Status, stage: &str, error: &str, advice: &str) -> Vec<Letter> {
        let now = (self.around.now)();
        let (due, saved) = status.change(|state| {
            state.alarm.failed(now);
            state.alarm.failure_due(now, self.settings.time_zone)
        });
        noted(saved);
        let failing = status.state().alarm.failing().cloned();
        due.zip(failing)
            .and_then(|(day, failing)| self.trouble(&failing, day, stage, error, advice))
            .into_iter()
            .collect()
    }

    /// Notes that the scheduler cannot start, which is no run that failed; the mail about it, if one is due.
    pub fn start_failure(&self, status: &mut Status, error: &str) -> Vec<Letter> {
        let now = (self.around.now)();
        let (due, saved) = status.change(|state| {
            state.starting.failed(now);
            state.starting.failure_due(now, self.settings.time_zone)
        });
        noted(saved);
        let failing = status.state().starting.failing().cloned();
        let advice = "After putting it right: docker compose restart pantry-keeper";
        due.zip(failing)
            .and_then(|(day, failing)| self.trouble(&failing, day, "starting", error, advice))
            .into_iter()
            .collect()
    }

    /// The mail about runs that fail, for the day it is due on.
    pub fn trouble(&self, failing: &Failing, day: u32, stage: &str, error: &str, advice: &str) -> Option<Letter> {
        let (since, runs) = (failing.since, failing.runs);
        let listed = job::catalog(self.settings).list().unwrap_or_default();
        let last_good = last_good(&listed).and_then(|good| {
            let (archive, made_at, documents) = (good.archive.clone(), good.made_at?, good.documents?);
            Some(LastGood { archive, made_at, archive_bytes: good.archive_bytes, documents })
        });
        let doctor = "pantry-keeper doctor looks at everything and says what to do; in Docker: \
                      docker compose exec pantry-keeper pantry-keeper doctor";
        let advice = [advice, doctor].into_iter().filter(|advice| !advice.is_empty()).map(str::to_owned).collect();
        let log = self.around.tail.lines();
        let error = error.to_owned();
        let letter =
            letter::failed(&self.sender(), &Trouble { stage, error, advice, since, runs, day, last_good, log });
        self.wanted().then_some(letter)
    }

    pub(super) fn success(
        &self,
        status: &mut Status,
        report: &BackupReport,
        pruned: &PruneReport,
        concerns: Vec<(Concern, String)>,
    ) -> Vec<Letter> {
        let now = (self.around.now)();
        let kinds: Vec<Concern> = concerns.iter().map(|(concern, _)| *concern).collect();
        let ((ended, remind), saved) =
            status.change(|state| (state.alarm.succeeded(), state.alarm.concerns_due(&kinds, now)));
        noted(saved);
        let ending = Ending {
            report,
            removed: pruned.removed.iter().map(|removed| removed.archive.clone()).collect(),
            concerns: concerns.into_iter().map(|(_, text)| self.around.redactor.redact(&text).into_owned()).collect(),
        };
        let always = self.settings.notify_on == NotifyOn::Always;
        let letter = match ended {
            Some(failing) => letter::recovered(&self.sender(), failing.since, failing.runs, &ending),
            None if remind => letter::warning(&self.sender(), &ending),
            None if always => letter::receipt(&self.sender(), &ending),
            None => return Vec::new(),
        };
        if self.wanted() { vec![letter] } else { Vec::new() }
    }

    fn wanted(&self) -> bool {
        self.settings.mail.is_some() && self.settings.notify_on != NotifyOn::Never
    }
}
