//! What gives archives their names, and takes them away: the folder is locked first.

use super::error::{RepositoryError, RepositoryLockError};
use super::repository::Repository;
use super::sealed::SealedRecord;
use super::summary::VerificationRecord;
use crate::archive::file_name;
use crate::archive::sidecar;
use crate::sys::atomic_file::{self, FileError, Partial};
use crate::sys::lock::{Lock, LockError};
use std::fs;
use std::io;
use std::ops::Deref;
use std::path::{Path, PathBuf};

impl Repository {
    /// Makes the folder ready to be written to, and keeps other writers out for as long as the lock is held.
    ///
    /// With `known_only`, a folder that bears no trace of us is refused: it is what a mount point looks like when the disk
    /// that belongs there is not mounted, and it would fill the disk below.
    pub(crate) fn lock(&self, known_only: bool) -> Result<LockedRepository, RepositoryLockError> {
        let own = self.own_folder();
        self.bears_traces(known_only)?;
        atomic_file::create_folder(&own).map_err(|error| self.explain(error))?;
        match Lock::take(&self.lock_path(), &self.folder) {
            Err(LockError::File(error)) => Err(self.explain(error).into()),
            lock => Ok(LockedRepository {
                repository: self.clone(),
                _lock: lock?,
            }),
        }
    }

    /// Keeps a second scheduler out, for as long as the lock is held. Backups made by hand take turns with the scheduler's
    /// by [`Repository::lock`]; only two schedulers would do everything twice.
    pub(crate) fn lock_schedule(&self, known_only: bool) -> Result<Lock, RepositoryLockError> {
        // Makes the folder ready, and says what is wrong with it now and not at the first run.
        match self.lock(known_only) {
            Err(RepositoryLockError::Lock(LockError::Held(_))) => {}
            result => drop(result?),
        }
        Ok(Lock::take(&self.scheduler_path(), &self.folder)?)
    }

    /// Keeps a second drill out for as long as the lock is held. Backups do not mind one.
    pub(crate) fn lock_drill(&self) -> Result<Lock, RepositoryLockError> {
        let own = self.own_folder();
        atomic_file::create_folder(&own).map_err(|error| self.explain(error))?;
        match Lock::take(&own.join("drill.lock"), &self.folder) {
            Err(LockError::File(error)) => Err(self.explain(error).into()),
            result => Ok(result?),
        }
    }

    /// Keeps a second fetch out. Backups do not mind one: what is on its way home lies in a folder of its own, and waits
    /// for the folder's lock only with its name.
    pub(crate) fn lock_fetch(&self) -> Result<Fetching, RepositoryLockError> {
        let folder = self.fetching_folder();
        atomic_file::create_folder(&folder).map_err(|error| self.explain(error))?;
        match Lock::take(&self.own_folder().join(FETCH_LOCK), &self.folder) {
            Err(LockError::File(error)) => Err(self.explain(error).into()),
            lock => {
                let lock = lock?;
                empty(&folder);
                Ok(Fetching {
                    repository: self.clone(),
                    _lock: lock,
                })
            }
        }
    }

    fn fetching_folder(&self) -> PathBuf {
        self.own_folder().join("fetching")
    }
}

const FETCH_LOCK: &str = "fetch.lock";

/// The folder while no other process brings an archive home.
#[derive(Debug)]
pub(crate) struct Fetching {
    repository: Repository,
    _lock: Lock,
}

impl Fetching {
    pub(crate) fn repository(&self) -> &Repository {
        &self.repository
    }

    /// Opens the file that will become the archive.
    pub(crate) fn begin(&self, stem: &str) -> Result<Partial, RepositoryError> {
        let target = self.repository.archive_path(stem);
        let partial = Partial::create_in(&self.repository.fetching_folder(), &target);
        partial.map_err(|error| self.repository.explain(error))
    }
}

/// Removes the files in a folder; how many went.
fn empty(folder: &Path) -> u64 {
    let files = fs::read_dir(folder).into_iter().flatten().flatten();
    let removed = files.filter(|file| fs::remove_file(file.path()).is_ok());
    removed.count() as u64
}

/// The folder while no other process writes in it; what changes archives is possible on this alone.
#[derive(Debug)]
pub(crate) struct LockedRepository {
    repository: Repository,
    _lock: Lock,
}

impl Deref for LockedRepository {
    type Target = Repository;

    fn deref(&self) -> &Repository {
        &self.repository
    }
}

impl LockedRepository {
    /// Removes what an interrupted run left behind; how many files went.
    pub(crate) fn sweep(&self) -> u64 {
        let mut swept = 0;
        for name in self.names().unwrap_or_default() {
            let Some(target) = atomic_file::target_of_partial(&name) else {
                continue;
            };
            let stem = file_name::stem_of_either(target);
            let safety = file_name::safety_prefix(&self.prefix);
            let ours = stem.is_some_and(|stem| {
                [&self.prefix, &safety]
                    .iter()
                    .any(|prefix| file_name::time_of(prefix, stem).is_some())
            });
            let path = self.folder.join(&name);
            let regular = fs::symlink_metadata(&path).is_ok_and(|metadata| metadata.is_file());
            if ours && regular && fs::remove_file(&path).is_ok() {
                swept += 1;
            }
        }
        // While nobody fetches, what lies there was left by a fetch that was killed.
        let fetching = self.fetching_folder();
        if fetching.is_dir()
            && let Ok(_lock) = Lock::take(&self.own_folder().join(FETCH_LOCK), &self.folder)
        {
            swept += empty(&fetching);
        }
        swept
    }

    /// Opens the file that will become the archive.
    pub(crate) fn begin(&self, stem: &str) -> Result<Partial, RepositoryError> {
        Partial::create(&self.archive_path(stem)).map_err(|error| self.explain(error))
    }

    /// The same for a sealed archive: what is known of it is noted first.
    pub(crate) fn commit_sealed(
        &self,
        partial: Partial,
        stem: &str,
        record: &SealedRecord,
        verification: VerificationRecord,
    ) -> Result<Vec<FileError>, FileError> {
        let noted = self.record_sealed(stem, record);
        let mut problems = self.commit(partial, stem, &record.sha256, verification)?;
        problems.extend(noted.err());
        Ok(problems)
    }

    /// Gives a verified archive its name, and its checksum beside it.
    ///
    /// The archive is in place even when an error about the checksum or our own notes comes back.
    pub(crate) fn commit(
        &self,
        partial: Partial,
        stem: &str,
        sha256: &str,
        verification: VerificationRecord,
    ) -> Result<Vec<FileError>, FileError> {
        partial.commit()?;
        let line = sidecar::line(sha256, &file_name::archive(stem));
        let sidecar = atomic_file::replace(&self.sidecar_path(stem), line.as_bytes());
        let recorded = self.record_verification(stem, verification);
        Ok([sidecar, recorded]
            .into_iter()
            .filter_map(Result::err)
            .collect())
    }

    /// Removes an archive and its checksum. Only what retention's plan names.
    ///
    /// The archive goes first: a checksum without an archive misleads no reader.
    pub(crate) fn remove(&self, stem: &str) -> Result<(), FileError> {
        let path = self.archive_path(stem);
        let metadata =
            fs::symlink_metadata(&path).map_err(|error| FileError::new("remove", &path, error))?;
        if !metadata.is_file() {
            return Err(FileError::new(
                "remove",
                &path,
                io::Error::other("it is not a regular file"),
            ));
        }
        let sidecar = self.sidecar_path(stem);
        fs::remove_file(&path).map_err(|error| FileError::new("remove", &path, error))?;
        self.forget_sealed(stem);
        match fs::remove_file(&sidecar) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                Err(FileError::new("remove", &sidecar, error))
            }
            _ => Ok(()),
        }
    }
}
