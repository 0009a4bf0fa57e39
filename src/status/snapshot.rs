//! One look at everything: the folder, the state, the history.

use super::calendar;
use super::outlook::Outlook;
use crate::archive::file_name;
use crate::backup;
use crate::health;
use crate::notify::outbox::Outbox;
use crate::offsite;
use crate::prune;
use crate::report::{
    ArchiveSummary, HealthReport, ListReport, RunOutcome, RunReport, StatusReport, StepReport,
    Verdict, last_good,
};
use crate::schedule::in_words;
use crate::settings::Settings;
use crate::state::{self, Ended, Run, State};
use crate::store::repository::{Repository, RepositoryError};
use crate::store::summary::Glances;
use crate::sys::humanize;
use chrono::{DateTime, TimeDelta, Utc};

/// A disk that will be full sooner than this is something to see to.
const FULL_SOON: TimeDelta = TimeDelta::days(30);
/// As many runs are told of one by one.
const RUNS_SHOWN: usize = 20;

/// What there was to be seen at one moment.
pub(crate) struct Snapshot {
    pub status: StatusReport,
    pub list: ListReport,
    /// All runs that are remembered, the oldest first.
    pub runs: Vec<Run>,
    /// Failed runs since the last that succeeded.
    pub failing_runs: u32,
    /// Whether a scheduler is at work in the folder.
    pub scheduler_alive: bool,
    /// How long the disk will do.
    pub outlook: Outlook,
    /// Whether the last drill proved its archive. None without one, or when it failed and drills are no longer set up:
    /// then no other will put it right.
    pub drill_proven: Option<bool>,
}

/// Looks again and again, and remembers of the archives what stays as it is.
pub(crate) struct Reader {
    settings: Settings,
    repository: Repository,
    glances: Glances,
    /// Whether a scheduler is missed where there has been none for long.
    needs_scheduler: bool,
}

impl Reader {
    pub(crate) fn new(settings: &Settings) -> Self {
        Reader {
            settings: settings.clone(),
            repository: Repository::of(settings),
            glances: Glances::default(),
            needs_scheduler: true,
        }
    }

    /// For figures that a run leaves behind: where something else starts the runs, there is no scheduler to miss.
    pub(crate) fn for_a_file(settings: &Settings) -> Self {
        Reader {
            needs_scheduler: false,
            ..Reader::new(settings)
        }
    }

    pub(crate) fn repository(&self) -> &Repository {
        &self.repository
    }

    /// Looks at everything.
    pub(crate) fn look(&mut self, now: DateTime<Utc>) -> Snapshot {
        let (state, runs) = state::look(&self.repository.own_folder());
        let (archives, trouble) = match self.repository.list_with(&mut self.glances) {
            Ok(archives) => (archives, None),
            // The first backup makes it.
            Err(RepositoryError::NoFolder(_)) => (Vec::new(), None),
            Err(error) => (Vec::new(), Some(error.to_string())),
        };
        let list = list(&self.settings, &self.repository, archives, &state, now);
        let mut health = health::judge(
            &self.settings,
            &self.repository,
            &state,
            last_good(&list.archives),
            self.needs_scheduler || health::had_scheduler_lately(&self.repository, now),
            now,
        );
        if let Some(trouble) = trouble {
            health.healthy = false;
            health.problems.insert(0, trouble);
        }
        let scheduler_alive = health::scheduler_is_alive(&self.repository, now);
        let status = Look {
            settings: &self.settings,
            state: &state,
            runs: &runs,
            list: &list,
            now,
        }
        .status(
            health,
            scheduler_alive,
            Outbox::count_waiting(&self.settings) as u64,
        );
        Snapshot {
            status,
            outlook: Outlook::of(&self.settings, &list, now),
            list,
            failing_runs: state.alerts.failing().map_or(0, |failing| failing.runs),
            scheduler_alive,
            drill_proven: drill_proven(&self.settings, &state),
            runs,
        }
    }
}

fn drill_proven(settings: &Settings, state: &State) -> Option<bool> {
    let proven = state.drill.as_ref()?.problem.is_none();
    (proven || settings.drill.is_set_up()).then_some(proven)
}

/// The archives, with why each stays and when it goes.
pub(crate) fn list(
    settings: &Settings,
    repository: &Repository,
    mut archives: Vec<ArchiveSummary>,
    state: &State,
    now: DateTime<Utc>,
) -> ListReport {
    let plan = prune::plan(settings, &archives, state, now);
    let halted = prune::halted(&plan);
    prune::explain(&mut archives, &plan);
    offsite::explain(
        settings,
        &offsite::record::read(repository, &settings.offsite.places),
        &mut archives,
    );
    let free_bytes = repository.free_bytes();
    let safety_stems = repository.safety_stems().unwrap_or_default();
    ListReport {
        folder: repository.folder().display().to_string(),
        archives_bytes: archives.iter().map(|archive| archive.archive_bytes).sum(),
        full_at: backup::full_at(settings, &archives, free_bytes, now),
        archives,
        free_bytes,
        halted,
        before_restores: safety_stems
            .iter()
            .map(|stem| file_name::archive(stem))
            .collect(),
    }
}

/// What the status is told from.
struct Look<'a> {
    settings: &'a Settings,
    state: &'a State,
    runs: &'a [Run],
    list: &'a ListReport,
    now: DateTime<Utc>,
}

impl Look<'_> {
    fn status(self, health: HealthReport, alive: bool, waiting: u64) -> StatusReport {
        let Look {
            settings,
            state,
            runs,
            list,
            now,
        } = self;
        let time_zone = settings.time_zone;
        let drills = settings.drill.schedule.as_ref();
        // What a scheduler that was killed had begun is not being made any more.
        let running = state.running.as_ref().filter(|_| alive);
        let warnings = self.warnings(waiting);
        let verdict = match &health {
            HealthReport { healthy: false, .. } => Verdict::Unwell,
            _ if !warnings.is_empty() => Verdict::Warned,
            HealthReport {
                newest_archive: None,
                ..
            } => Verdict::Empty,
            _ => Verdict::Well,
        };
        StatusReport {
            verdict,
            summary: self.summary(verdict, &health, &warnings),
            as_of_at: now,
            version: env!("CARGO_PKG_VERSION"),
            health,
            warnings,
            running_since: running.map(|running| running.at),
            next_drill_at: drills.and_then(|schedule| schedule.next_after(now, time_zone)),
            archives: list.archives.len() as u64,
            damaged_archives: damaged(list).count() as u64,
            archives_bytes: list.archives_bytes,
            free_bytes: list.free_bytes,
            full_at: list.full_at,
            notifications_waiting: waiting,
            days: calendar::days(runs, &list.archives, time_zone, now),
            runs: runs.iter().rev().take(RUNS_SHOWN).map(report).collect(),
        }
    }

    fn summary(&self, verdict: Verdict, health: &HealthReport, warnings: &[String]) -> String {
        let newest = health.newest_made_at.map(|made_at| {
            let age = humanize::duration((self.now - made_at).to_std().unwrap_or_default());
            format!("the newest backup is {age} old")
        });
        let newest = newest.unwrap_or_else(|| "there is no backup yet".into());
        let things = |count: usize| humanize::counted(count as u64, "thing");
        match verdict {
            Verdict::Well => {
                let archives = humanize::counted(self.list.archives.len() as u64, "archive");
                format!("All is well: {newest} and verified, {archives} in all.")
            }
            Verdict::Warned => match warnings.len() {
                1 => format!("Backups are made, and 1 thing needs a look: {newest}."),
                more => format!(
                    "Backups are made, and {} need a look: {newest}.",
                    things(more)
                ),
            },
            Verdict::Unwell => match health.problems.len() {
                1 => format!("1 thing is wrong; {newest}."),
                more => format!("{} are wrong; {newest}.", things(more)),
            },
            Verdict::Empty => match health.next_run_at {
                Some(next) => format!(
                    "No backup yet. The first is due {}.",
                    in_words(next, self.settings.time_zone, self.now)
                ),
                None => "No backup yet, and none is due.".into(),
            },
        }
    }

    fn warnings(&self, waiting: u64) -> Vec<String> {
        let mut warnings = Vec::new();
        let broken: Vec<&str> = damaged(self.list).map(|one| one.archive.as_str()).collect();
        match broken.as_slice() {
            [] => {}
            [one] => warnings.push(format!("{one} is damaged")),
            [first, others @ ..] => warnings.push(format!(
                "{first} and {} are damaged",
                humanize::counted(others.len() as u64, "other archive")
            )),
        }
        let halted = self.list.halted.as_ref();
        warnings.extend(halted.map(|why| format!("nothing is removed for now: {why}")));
        if let Some(at) = self.list.full_at.filter(|at| *at - self.now <= FULL_SOON) {
            let days = humanize::counted((at - self.now).num_days().max(0) as u64, "day");
            warnings.push(format!("the disk will be full in {days} at this pace"));
        }
        if waiting > 0 {
            warnings.push(format!(
                "{} to be sent",
                match waiting {
                    1 => "1 message waits".to_owned(),
                    more => format!("{} wait", humanize::counted(more, "message")),
                }
            ));
        }
        let last = self.runs.iter().rev();
        let last = last.map(|run| &run.ended).find_map(|ended| match ended {
            Ended::Done { warnings, .. } => Some(warnings),
            _ => None,
        });
        warnings.extend(
            last.into_iter()
                .flatten()
                .map(|text| format!("the last backup: {text}")),
        );
        warnings
    }
}

fn damaged(list: &ListReport) -> impl Iterator<Item = &ArchiveSummary> {
    list.archives.iter().filter(|one| one.damage.is_some())
}

/// A run as it is told.
fn report(run: &Run) -> RunReport {
    let elapsed = (run.ended_at - run.began_at).to_std().unwrap_or_default();
    let mut report = RunReport {
        began_at: run.began_at,
        elapsed_seconds: elapsed.as_secs_f64(),
        trigger: run.trigger.clone(),
        outcome: RunOutcome::Interrupted,
        archive: None,
        archive_bytes: None,
        documents: None,
        bytes: None,
        removed: 0,
        steps: Vec::new(),
        error: None,
        warnings: Vec::new(),
    };
    match &run.ended {
        Ended::Done {
            archive,
            archive_bytes,
            documents,
            bytes,
            removed,
            warnings,
            steps,
        } => {
            report.outcome = RunOutcome::Done;
            report.archive = Some(archive.clone());
            report.archive_bytes = Some(*archive_bytes);
            (report.documents, report.bytes) = (Some(*documents), Some(*bytes));
            report.removed = removed.len() as u64;
            report.steps = step_reports(steps);
            report.warnings.clone_from(warnings);
        }
        Ended::Failed { stage, error } => {
            report.outcome = RunOutcome::Failed;
            report.error = Some(format!("while {stage}: {error}"));
        }
        Ended::Drilled {
            archive,
            documents,
            bytes,
            steps,
        } => {
            report.outcome = RunOutcome::Drilled;
            report.archive = Some(archive.clone());
            (report.documents, report.bytes) = (Some(*documents), Some(*bytes));
            report.steps = step_reports(steps);
        }
        Ended::DrillFailed { archive, error } => {
            report.outcome = RunOutcome::DrillFailed;
            report.archive = Some(archive.clone());
            report.error = Some(error.clone());
        }
        Ended::Interrupted => {}
    }
    report
}

fn step_reports(steps: &[state::StepTime]) -> Vec<StepReport> {
    let step_report = |step: &state::StepTime| StepReport {
        step: step.step.clone(),
        elapsed_seconds: step.seconds,
    };
    steps.iter().map(step_report).collect()
}
