//! Which mails a run brings, and what they say.

use super::{last_good, noted};
use crate::alarm::{Concern, Failing};
use crate::job::{self, Surroundings};
use crate::letter::{self, Ending, LastGood, Letter, Sender, Trouble};
use crate::report::{BackupReport, PruneReport};
use crate::schedule::in_words;
use crate::settings::{MongoUri, NotifyOn, Settings};
use crate::status::{Ended, Status};
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
            // What nobody is told counts as untold, for the day on which mail is turned on.
            self.wanted().then(|| state.alarm.failure_due(now, self.settings.time_zone)).flatten()
        });
        noted(saved);
        let failing = status.state().alarm.failing().cloned();
        due.zip(failing).map(|(day, failing)| self.trouble(&failing, day, stage, error, advice)).into_iter().collect()
    }

    /// Notes that the scheduler cannot start, which is no run that failed; the mail about it, if one is due.
    pub fn start_failure(&self, status: &mut Status, error: &str) -> Vec<Letter> {
        let now = (self.around.now)();
        // The folder may well be what is wrong; that is being said already.
        let (due, _) = status.change(|state| {
            state.starting.failed(now);
            self.wanted().then(|| state.starting.failure_due(now, self.settings.time_zone)).flatten()
        });
        let failing = status.state().starting.failing().cloned();
        let advice = "After putting it right: docker compose restart pantry-keeper";
        due.zip(failing)
            .map(|(day, failing)| self.trouble(&failing, day, "starting", error, advice))
            .into_iter()
            .collect()
    }

    /// A failure that was not told on its day, since there had been many or mail was off, is told later.
    pub fn reminder(&self, status: &mut Status) -> Option<Letter> {
        let failing = status.state().alarm.failing().cloned()?;
        if failing.was_told() || !self.wanted() {
            return None;
        }
        let now = (self.around.now)();
        let (day, _) = status.change(|state| state.alarm.failure_due(now, self.settings.time_zone));
        let (stage, error) = status.runs().into_iter().rev().find_map(|run| match run.ended {
            Ended::Failed { stage, error } => Some((stage, error)),
            _ => None,
        })?;
        Some(self.trouble(&failing, day?, &stage, &error, ""))
    }

    /// The mail about runs that fail, for the day it is due on.
    fn trouble(&self, failing: &Failing, day: u32, stage: &str, error: &str, advice: &str) -> Letter {
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
        letter::failed(&self.sender(), &Trouble { stage, error, advice, since, runs, day, last_good, log })
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
            status.change(|state| (state.alarm.succeeded(), self.wanted() && state.alarm.concerns_due(&kinds, now)));
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
