//! What is remembered between runs, in `.pantry-keeper/`: how far the schedule has come, whether runs fail, what has
//! shrunk, and how the last runs ended.
//!
//! Nothing in it is needed to restore. Who reads changes nothing; who writes sets a damaged file aside and starts afresh, and
//! as long as that file lies there, everybody knows that what was in it is lost. What cannot be read is never written over, and
//! what the disk does not take is kept in memory: both are put together later. The folder is never created here: where it is
//! missing, the disk may not be the one it was, and must not be made to look like it.

pub(crate) mod alerts;
mod history;
mod problem;
mod remembered;

pub(crate) use history::{Ended, Run, StepTime};
pub(crate) use problem::StateProblem;
pub(crate) use remembered::{LastDrill, LeftOver, RunningBackup, Shrunk, State};

use crate::sys::atomic_file::{self, FileError};
use crate::sys::lock::Lock;
use history::{RUNS_KEPT, thinned};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

const STATE_FILE: &str = "state.json";
const HISTORY_FILE: &str = "history.json";

/// What is there to be seen, for who only looks.
pub(crate) fn look(folder: &Path) -> (State, Vec<Run>) {
    let store = StateStore::new(folder.to_owned());
    (store.state(), store.runs())
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
    /// What the disk held was not seen when `state` was made: the disk was away, or gave nothing.
    #[serde(default)]
    blind: bool,
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
        self.state_with(&read(&self.state_path()))
    }

    fn state_with(&self, on_disk: &Result<Option<State>, ReadError>) -> State {
        let known = on_disk.as_ref().ok().and_then(Option::as_ref);
        let state = match (known, &self.unsaved.state) {
            (Some(known), Some(unsaved)) if self.unsaved.blind => {
                known.clone().with_later(unsaved.clone())
            }
            (_, Some(unsaved)) => unsaved.clone(),
            (known, None) => known.cloned().unwrap_or_default(),
        };
        let damaged = self.damaged_path();
        let problem = match on_disk {
            Err(ReadError::Damaged(_)) => Some(StateProblem::Damaged(self.state_path())),
            Err(ReadError::File(error)) => Some(StateProblem::Unreadable(error.to_string())),
            Ok(_) => damaged.exists().then_some(StateProblem::SetAside(damaged)),
        };
        State { problem, ..state }
    }

    fn state_path(&self) -> PathBuf {
        self.folder.join(STATE_FILE)
    }

    /// Where a state that makes no sense is set aside.
    fn damaged_path(&self) -> PathBuf {
        damaged(&self.state_path())
    }

    /// The runs that are remembered, oldest first.
    pub(crate) fn runs(&self) -> Vec<Run> {
        let known: Option<Vec<Run>> = read(&self.folder.join(HISTORY_FILE)).unwrap_or_default();
        let mut runs = known.unwrap_or_default();
        runs.extend(self.unsaved.runs.iter().cloned());
        runs
    }

    /// Changes the state. It is changed for this process even when an error comes back: the disk did not take it, or does
    /// not say what it holds.
    pub(crate) fn change<T>(
        &mut self,
        change: impl FnOnce(&mut State) -> T,
    ) -> (T, Result<(), FileError>) {
        let lock = self.lock();
        let path = self.state_path();
        let on_disk = read(&path);
        let before = self.state_with(&on_disk);
        let mut state = before.clone();
        let result = change(&mut state);
        let was_seen = matches!(on_disk, Ok(Some(_)));
        let blind = !was_seen && (self.unsaved.state.is_none() || self.unsaved.blind);
        let is_new = state != before || self.unsaved.state.is_some();
        let saved = match on_disk {
            // What is there must not be written over.
            Err(ReadError::File(error)) => Err(error),
            _ if !is_new => return (result, Ok(())),
            Err(ReadError::Damaged(error)) => lock.and_then(|_lock| {
                set_aside(&path, &error)?;
                write(&path, &state)
            }),
            Ok(_) => lock.and_then(|_lock| write(&path, &state)),
        };
        let kept = saved.is_err() && is_new;
        self.unsaved.state = kept.then_some(state);
        self.unsaved.blind = kept && blind;
        (result, saved)
    }

    /// Ends that a damaged state is in the way: the owner knows what was lost with it. Where the file lies now, if there was
    /// one.
    pub(crate) fn let_damaged_go(&mut self) -> Result<Option<PathBuf>, FileError> {
        let _lock = self.lock()?;
        let path = self.state_path();
        if let Err(ReadError::Damaged(error)) = read::<State>(&path) {
            set_aside(&path, &error)?;
        }
        let (damaged, accepted) = (self.damaged_path(), path.with_extension("json.accepted"));
        match fs::rename(&damaged, &accepted) {
            Ok(()) => Ok(Some(accepted)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(FileError::new("rename", damaged, error)),
        }
    }

    /// Adds a run to history.
    pub(crate) fn record(&mut self, run: Run) -> Result<(), FileError> {
        self.unsaved.runs.push(run);
        if self.unsaved.runs.len() > RUNS_KEPT {
            self.unsaved.runs = thinned(std::mem::take(&mut self.unsaved.runs));
        }
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
        let path = self.folder.join(HISTORY_FILE);
        let saved = self.lock().and_then(|_lock| {
            match read::<Vec<Run>>(&path) {
                Ok(_) => {}
                Err(ReadError::Damaged(error)) => set_aside(&path, &error)?,
                Err(ReadError::File(error)) => return Err(error),
            }
            write(&path, &thinned(self.runs()))
        });
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

/// Why a file does not say what it holds.
enum ReadError {
    Damaged(serde_json::Error),
    File(FileError),
}

/// What a file holds; none when it is missing.
fn read<T: DeserializeOwned>(path: &Path) -> Result<Option<T>, ReadError> {
    match fs::read(path) {
        Ok(json) => serde_json::from_slice(&json)
            .map(Some)
            .map_err(ReadError::Damaged),
        Err(error)
            if matches!(
                error.kind(),
                io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
            ) =>
        {
            Ok(None)
        }
        Err(error) => Err(ReadError::File(FileError::new("read", path, error))),
    }
}

fn damaged(path: &Path) -> PathBuf {
    path.with_extension("json.damaged")
}

/// Makes room for a fresh start, and keeps what may still be made sense of.
fn set_aside(path: &Path, error: &serde_json::Error) -> Result<(), FileError> {
    let aside = damaged(path);
    fs::rename(path, &aside).map_err(|error| FileError::new("set aside", path, error))?;
    tracing::warn!(
        "{} is damaged and set aside as {}: {error}",
        path.display(),
        aside.display()
    );
    Ok(())
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
mod tests;
