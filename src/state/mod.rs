//! What is remembered between runs, in `.pantry-keeper/`: how far the schedule has come, whether runs fail, what has
//! shrunk, and how the last runs ended.
//!
//! Nothing in it is needed to restore; a file that is lost or unreadable is a fresh start. What the disk does not take is
//! kept in memory and written later. The folder is never created here: where it is missing, the disk may not be the one it
//! was, and must not be made to look like it.

pub(crate) mod alerts;
mod history;

pub(crate) use history::{Ended, Run, StepTime};

use crate::retention::shrink::Loss;
use crate::schedule::timetable::Ledger;
use crate::sys::atomic_file::{self, FileError};
use crate::sys::lock::Lock;
use alerts::AlertHistory;
use chrono::{DateTime, Utc};
use history::thinned;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

const STATE_FILE: &str = "state.json";
const HISTORY_FILE: &str = "history.json";

/// What the next run has to know of the earlier ones.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct State {
    pub ledger: Option<Ledger>,
    /// The backup that the scheduler makes now, on the schedule or beside it.
    pub running: Option<RunningBackup>,
    #[serde(rename = "alarm")]
    pub alerts: AlertHistory,
    /// The same about starts of the scheduler.
    pub starting: AlertHistory,
    pub shrunk: Option<Shrunk>,
    /// The newest archive that was held against the one before it.
    pub compared: Option<String>,
    /// How the last drill ended, and what was told about drills.
    pub drill: Option<LastDrill>,
    #[serde(rename = "drill_alarm")]
    pub drill_alerts: AlertHistory,
    pub drill_ledger: Option<Ledger>,
    /// Scratch databases that may still be on a server.
    pub left_over: Vec<LeftOver>,
    /// The file is there, but cannot be read: what it says must not be taken for unsaid.
    #[serde(skip)]
    pub unreadable: bool,
}

/// A backup that the scheduler has begun.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct RunningBackup {
    pub at: DateTime<Utc>,
    /// Why it is made.
    pub trigger: String,
}

/// How the last drill ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct LastDrill {
    pub at: DateTime<Utc>,
    pub archive: String,
    /// None when it proved the archive.
    pub problem: Option<String>,
}

/// Databases that a drill made and has not dropped yet.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct LeftOver {
    pub hosts: String,
    pub databases: Vec<String>,
}

/// A backup lost what an earlier one had; until that is settled, nothing is removed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Shrunk {
    pub since: DateTime<Utc>,
    /// The last archive that has it all.
    pub archive: String,
    pub losses: Vec<Loss>,
}

/// What is there to be seen, for who only looks: nothing is written, and what is damaged stays where it is.
pub(crate) fn look(folder: &Path) -> (State, Vec<Run>) {
    let state = look_at(&folder.join(STATE_FILE)).unwrap_or_else(|| State {
        unreadable: true,
        ..State::default()
    });
    let runs = look_at(&folder.join(HISTORY_FILE)).unwrap_or_default();
    (state, runs)
}

/// None when the file is there and cannot be read.
fn look_at<T: Default + DeserializeOwned>(path: &Path) -> Option<T> {
    match fs::read(path) {
        Ok(json) => serde_json::from_slice(&json).ok(),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Some(T::default()),
        Err(_) => None,
    }
}

/// The files, and what they could not be made to hold yet.
#[derive(Debug)]
pub(crate) struct StateStore {
    folder: PathBuf,
    unsaved: Unsaved,
}

/// What the disk has not taken yet; a run hands it to the scheduler, and the scheduler to the next run.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Unsaved {
    state: Option<State>,
    runs: Vec<Run>,
}

impl StateStore {
    /// `folder` is Pantry Keeper's own in the backup folder.
    pub(crate) fn new(folder: PathBuf) -> Self {
        StateStore {
            folder,
            unsaved: Unsaved::default(),
        }
    }

    /// Goes on with what another could not write.
    pub(crate) fn with_unsaved(self, unsaved: Unsaved) -> Self {
        StateStore { unsaved, ..self }
    }

    /// What could not be written.
    pub(crate) fn unsaved(&self) -> Unsaved {
        self.unsaved.clone()
    }

    /// Takes over what a run could not write, or has written.
    pub(crate) fn adopt(&mut self, unsaved: Unsaved) {
        self.unsaved = unsaved;
    }

    /// The state as it is now.
    pub(crate) fn state(&self) -> State {
        self.unsaved
            .state
            .clone()
            .unwrap_or_else(|| match read(&self.folder.join(STATE_FILE)) {
                Ok(state) => state,
                Err(_) => State {
                    unreadable: true,
                    ..State::default()
                },
            })
    }

    /// The runs that are remembered, oldest first.
    pub(crate) fn runs(&self) -> Vec<Run> {
        let mut runs: Vec<Run> = read(&self.folder.join(HISTORY_FILE)).unwrap_or_default();
        runs.extend(self.unsaved.runs.iter().cloned());
        runs
    }

    /// Changes the state. It is changed for this process even when an error comes back: the disk did not take it.
    pub(crate) fn change<T>(
        &mut self,
        change: impl FnOnce(&mut State) -> T,
    ) -> (T, Result<(), FileError>) {
        let lock = self.lock();
        let path = self.folder.join(STATE_FILE);
        if self.unsaved.state.is_none()
            && let Err(error) = read::<State>(&path)
        {
            // What is not known cannot be changed, and what is there must not be written over.
            return (change(&mut State::default()), Err(error));
        }
        let mut state = self.state();
        let before = state.clone();
        let result = change(&mut state);
        if state == before && self.unsaved.state.is_none() {
            return (result, Ok(()));
        }
        let saved = lock.and_then(|_lock| write(&path, &state));
        self.unsaved.state = saved.is_err().then_some(state);
        (result, saved)
    }

    /// Adds a run to history.
    pub(crate) fn record(&mut self, run: Run) -> Result<(), FileError> {
        self.unsaved.runs.push(run);
        self.save_runs()
    }

    /// Tries again to write what could not be written.
    pub(crate) fn save(&mut self) -> Result<(), FileError> {
        if self.unsaved.state.is_some() {
            self.change(|_| ()).1?;
        }
        if self.unsaved.runs.is_empty() {
            Ok(())
        } else {
            self.save_runs()
        }
    }

    fn save_runs(&mut self) -> Result<(), FileError> {
        let saved = self
            .lock()
            .and_then(|_lock| write(&self.folder.join(HISTORY_FILE), &thinned(self.runs())));
        if saved.is_ok() {
            self.unsaved.runs.clear();
        }
        saved
    }

    /// A backup by hand and the scheduler may both be at it.
    fn lock(&self) -> Result<Lock, FileError> {
        Lock::wait(&self.folder.join("state.lock"))
    }
}

/// What a file holds; nothing when it is missing. One that is damaged is set aside, and counts as missing from then on.
fn read<T: Default + DeserializeOwned>(path: &Path) -> Result<T, FileError> {
    let json = match fs::read(path) {
        Ok(json) => json,
        Err(error)
            if matches!(
                error.kind(),
                io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
            ) =>
        {
            return Ok(T::default());
        }
        Err(error) => return Err(FileError::new("read", path, error)),
    };
    serde_json::from_slice(&json).map_err(|error| {
        let aside = path.with_extension("json.damaged");
        tracing::warn!(
            "{} is damaged and set aside as {}: {error}",
            path.display(),
            aside.display()
        );
        match fs::rename(path, aside) {
            Ok(()) => FileError::new("read", path, error.into()),
            Err(error) => FileError::new("set aside", path, error),
        }
    })
}

fn write(path: &Path, content: &(impl Serialize + ?Sized)) -> Result<(), FileError> {
    let json = serde_json::to_vec_pretty(content)
        .map_err(|error| FileError::new("write", path, error.into()))?;
    atomic_file::replace(path, &json)
}

/// A note that the disk does not take is not worth a failure: the service writes it later.
pub(crate) fn warn_unsaved(result: Result<(), FileError>) {
    if let Err(error) = result {
        tracing::warn!("could not save state, will retry: {error}");
    }
}

#[cfg(test)]
mod tests {
    use super::history::{DAYS_KEPT, RUNS_KEPT};
    use super::*;
    use chrono::TimeDelta;

    fn run(day: i64) -> Run {
        let at = DateTime::UNIX_EPOCH + TimeDelta::days(day);
        Run {
            began_at: at,
            ended_at: at,
            trigger: "scheduled".into(),
            ended: Ended::Interrupted,
        }
    }

    #[test]
    fn state_and_history_survive_a_restart() {
        let folder = tempfile::tempdir().unwrap();
        let mut status = StateStore::new(folder.path().into());
        let (_, saved) = status.change(|state| state.alerts.failed(DateTime::UNIX_EPOCH));
        saved.unwrap();
        status.record(run(1)).unwrap();
        let again = StateStore::new(folder.path().into());
        assert_eq!(
            again.state().alerts.failing().map(|failing| failing.runs),
            Some(1)
        );
        assert_eq!(again.runs(), [run(1)]);
    }

    #[test]
    fn a_state_of_an_earlier_version_says_who_was_told_what() {
        let folder = tempfile::tempdir().unwrap();
        let old = include_str!("../../tests/fixtures/state-0.1/state.json");
        fs::write(folder.path().join(STATE_FILE), old).unwrap();
        let state = StateStore::new(folder.path().into()).state();
        let mut alerts = state.alerts;
        assert!(alerts.failing().unwrap().was_notified() && !state.unreadable);
        // Told on that day already, and due on the next.
        let at = |time: &str| time.parse().unwrap();
        let due = alerts.failure_due(at("2025-05-31T20:00:00Z"), chrono_tz::Tz::UTC);
        assert_eq!(due, None);
        let due = alerts.failure_due(at("2025-06-01T02:00:00Z"), chrono_tz::Tz::UTC);
        assert_eq!(due, Some(4));
    }

    #[test]
    fn history_is_bounded() {
        let folder = tempfile::tempdir().unwrap();
        let mut status = StateStore::new(folder.path().into());
        for day in 0..(RUNS_KEPT + DAYS_KEPT) as i64 + 5 {
            status.record(run(day)).unwrap();
        }
        let runs = status.runs();
        assert_eq!((runs.len(), &runs[0]), (RUNS_KEPT + DAYS_KEPT, &run(5)));
    }

    #[test]
    fn of_a_day_long_ago_the_worst_run_is_remembered() {
        let failed = Ended::Failed {
            stage: "dumping".into(),
            error: "it broke".into(),
        };
        let mut runs = vec![
            run(1),
            Run {
                ended: failed,
                ..run(1)
            },
            run(1),
        ];
        runs.extend((0..RUNS_KEPT as i64).map(|_| run(2)));
        let thinned = thinned(runs.clone());
        assert_eq!(thinned.len(), RUNS_KEPT + 1);
        assert_eq!(thinned[0], runs[1]);
    }

    #[test]
    fn who_only_looks_changes_nothing_and_sees_a_history_of_an_earlier_version() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join(STATE_FILE), "{").unwrap();
        let earlier = r#"[{"began_at":"2026-05-03T00:00:00Z","ended_at":"2026-05-03T00:01:00Z","trigger":"scheduled",
            "ended":{"outcome":"done","archive":"a","archive_bytes":1,"documents":2,"bytes":3,"removed":[],"warnings":[]}}]"#;
        fs::write(folder.path().join(HISTORY_FILE), earlier).unwrap();
        let (state, runs) = look(folder.path());
        assert!(state.unreadable && runs.len() == 1);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 2);
    }

    #[test]
    fn what_the_disk_does_not_take_is_kept_and_written_later_and_no_folder_is_made_up() {
        let site = tempfile::tempdir().unwrap();
        let folder = site.path().join("unmounted");
        let mut status = StateStore::new(folder.clone());
        assert!(
            status
                .change(|state| state.alerts.failed(DateTime::UNIX_EPOCH))
                .1
                .is_err()
        );
        assert!(status.record(run(1)).is_err());
        assert!(!folder.exists());
        assert!(status.state().alerts.failing().is_some());
        assert!(status.save().is_err());
        fs::create_dir(&folder).unwrap();
        status.save().unwrap();
        let again = StateStore::new(folder);
        assert!(again.state().alerts.failing().is_some());
        assert_eq!(again.runs(), [run(1)]);
    }

    #[test]
    fn a_damaged_state_is_known_to_be_once_and_then_a_fresh_start() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join(STATE_FILE);
        for content in ["", "{", "7", "{\"alarm\": 7}"] {
            fs::write(&file, content).unwrap();
            let status = StateStore::new(folder.path().into());
            assert!(status.state().unreadable, "{content}");
            assert_eq!(status.state(), State::default(), "{content}");
            assert_eq!(
                fs::read_to_string(folder.path().join("state.json.damaged")).unwrap(),
                content
            );
        }
        fs::write(&file, "{\"of a later version\": {}}").unwrap();
        assert_eq!(
            StateStore::new(folder.path().into()).state(),
            State::default()
        );
    }

    #[test]
    fn a_state_that_cannot_be_read_is_not_written_over() {
        let folder = tempfile::tempdir().unwrap();
        // Reading a folder fails as reading from a dying disk does.
        fs::create_dir(folder.path().join(STATE_FILE)).unwrap();
        let mut status = StateStore::new(folder.path().into());
        assert!(status.state().unreadable);
        assert!(
            status
                .change(|state| state.alerts.failed(DateTime::UNIX_EPOCH))
                .1
                .is_err()
        );
        assert!(status.unsaved() == Unsaved::default() && folder.path().join(STATE_FILE).is_dir());
    }
}
