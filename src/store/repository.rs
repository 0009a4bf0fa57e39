//! The backup folder: the one place that names, lists, completes and sweeps what is in it.
//!
//! Why this is safe: only names of our own pattern are ever looked at, only regular files are opened, and symlinks are
//! never followed. A final name appears by [`LockedRepository::commit`] alone, which takes a file that was synced and verified.
//! What lies in `.pantry-keeper/` can be lost: all that matters is in the archives.

#[cfg(test)]
mod tests;

pub(crate) use super::error::{OpenError, RepositoryError, RepositoryLockError};

use super::sealed::SealedRecord;
use super::summary::VerificationRecord;
use crate::archive::compression::Compression;
use crate::archive::file_name;
use crate::archive::seal::{self, Keyring};
use crate::archive::sidecar::{self, Sidecar};
use crate::archive::source::Source;
use crate::settings::Settings;
use crate::sys::atomic_file::{self, FileError, Partial};
use crate::sys::lock::{Lock, LockError};
use chrono::{DateTime, TimeDelta, Utc};
use chrono_tz::Tz;
use rustix::fs::{OFlags, statvfs};
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read};
use std::ops::Deref;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// Our own folder inside the backup folder.
const OWN_FOLDER: &str = ".pantry-keeper";

/// The most by which clocks are set back in autumn, and some.
const OVERLAP: TimeDelta = TimeDelta::hours(2);

/// A sidecar is one short line; anything longer is not one.
const LONGEST_SIDECAR: u64 = 4096;

/// The folder and what our files in it are called.
#[derive(Debug, Clone)]
pub(crate) struct Repository {
    folder: PathBuf,
    pub(super) prefix: String,
    pub(super) time_zone: Tz,
    /// What opens sealed archives.
    pub(super) keyring: Keyring,
}

impl Repository {
    /// The backup folder that the settings name.
    pub(crate) fn of(settings: &Settings) -> Self {
        Repository::new(
            settings.backup_dir.clone(),
            settings.prefix.clone(),
            settings.time_zone,
        )
        .with(settings.encrypt.keyring.clone())
    }

    pub(crate) fn new(folder: PathBuf, prefix: String, time_zone: Tz) -> Self {
        Repository {
            folder,
            prefix,
            time_zone,
            keyring: Keyring::default(),
        }
    }

    fn with(self, keyring: Keyring) -> Self {
        Repository { keyring, ..self }
    }

    /// What opens sealed archives.
    pub(crate) fn keyring(&self) -> &Keyring {
        &self.keyring
    }

    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    /// Our own folder inside it, which [`Repository::lock`] alone creates: on a disk that is not there, nothing may look as
    /// if it were.
    pub(crate) fn own_folder(&self) -> PathBuf {
        self.folder.join(OWN_FOLDER)
    }

    /// Makes the folder ready to be written to, and keeps other writers out for as long as the lock is held.
    ///
    /// With `known_only`, a folder that bears no trace of us is refused: it is what a mount point looks like when the disk
    /// that belongs there is not mounted, and it would fill the disk below.
    pub(crate) fn lock(&self, known_only: bool) -> Result<LockedRepository, RepositoryLockError> {
        let own = self.own_folder();
        if known_only && !own.is_dir() && self.stems().unwrap_or_default().is_empty() {
            return Err(self.not_the_disk(own).into());
        }
        atomic_file::create_folder(&own).map_err(|error| self.explain(error))?;
        match Lock::take(&own.join("lock"), &self.folder) {
            Err(LockError::File(error)) => Err(self.explain(error).into()),
            lock => Ok(LockedRepository {
                repository: self.clone(),
                _lock: lock?,
            }),
        }
    }

    /// Whether [`Repository::lock`] could make the folder ready, as far as that can be told without doing it.
    pub(crate) fn could_begin(&self, known_only: bool) -> Result<(), RepositoryError> {
        let own = self.own_folder();
        if known_only && self.stems().unwrap_or_default().is_empty() {
            return Err(self.not_the_disk(own));
        }
        let ancestors = self.folder.ancestors().map(|path| {
            if path.as_os_str().is_empty() {
                Path::new(".")
            } else {
                path
            }
        });
        let nearest = ancestors
            .into_iter()
            .find(|path| fs::symlink_metadata(path).is_ok())
            .unwrap_or(Path::new("/"));
        let checked = match fs::metadata(nearest).map(|metadata| metadata.is_dir()) {
            Ok(true) => {
                rustix::fs::access(nearest, rustix::fs::Access::WRITE_OK).map_err(io::Error::from)
            }
            Ok(false) => Err(io::ErrorKind::NotADirectory.into()),
            Err(error) => Err(error),
        };
        checked.map_err(|error| self.explain(FileError::new("create", own, error)))
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

    /// Where notifications wait that could not be sent.
    pub(crate) fn outbox_folder(&self) -> PathBuf {
        self.own_folder().join("outbox")
    }

    /// Writes a little and takes it away again: a folder may be there and still take nothing.
    pub(crate) fn try_writing(&self) -> Result<(), RepositoryError> {
        let probe = self.own_folder().join("probe");
        atomic_file::replace(&probe, b"written to see whether that is possible")
            .map_err(|error| self.explain(error))?;
        Ok(fs::remove_file(&probe).map_err(|error| FileError::new("remove", &probe, error))?)
    }

    /// The scheduler's lock, which its file's time also shows to be alive.
    pub(crate) fn scheduler_path(&self) -> PathBuf {
        self.own_folder().join("scheduler.lock")
    }

    fn not_the_disk(&self, own_folder: PathBuf) -> RepositoryError {
        RepositoryError::NotTheDisk {
            folder: self.folder.clone(),
            own_folder,
        }
    }

    /// Says who may write where, when that is why a file could not be made.
    fn explain(&self, error: FileError) -> RepositoryError {
        let denied = matches!(error.source.kind(), io::ErrorKind::PermissionDenied);
        let own = self.own_folder();
        let barrier = [own.as_path(), &self.folder]
            .into_iter()
            .chain(self.folder.ancestors())
            .find(|path| path.exists());
        match barrier.and_then(|path| Some((path, fs::metadata(path).ok()?))) {
            Some((path, metadata)) if denied => RepositoryError::NotWritable {
                folder: path.to_owned(),
                owner: format!("{}:{}", metadata.uid(), metadata.gid()),
                user: format!(
                    "{}:{}",
                    rustix::process::getuid().as_raw(),
                    rustix::process::getgid().as_raw()
                ),
            },
            _ => error.into(),
        }
    }

    /// The stem of an archive that begins now. No other one has its name, not even with another extension.
    pub(crate) fn free_stem(&self, now: DateTime<Utc>, compression: Compression) -> String {
        let exists = |stem: &str| fs::symlink_metadata(self.archive_path(stem)).is_ok();
        let taken = |name: &str| stems_of(name).iter().any(|stem| exists(stem));
        let name = file_name::free_name(&self.prefix, now, self.time_zone, taken);
        file_name::stem(&name, compression)
    }

    pub(crate) fn archive_path(&self, stem: &str) -> PathBuf {
        self.folder.join(file_name::archive(stem))
    }

    fn sidecar_path(&self, stem: &str) -> PathBuf {
        self.folder.join(file_name::sidecar(stem))
    }

    /// The stems of all archives of ours, oldest name first.
    pub(crate) fn stems(&self) -> Result<Vec<String>, RepositoryError> {
        self.stems_with(&self.prefix)
    }

    /// Likewise of those that hold what restores replaced. Only their owner removes them.
    pub(crate) fn safety_stems(&self) -> Result<Vec<String>, RepositoryError> {
        self.stems_with(&file_name::safety_prefix(&self.prefix))
    }

    fn stems_with(&self, prefix: &str) -> Result<Vec<String>, RepositoryError> {
        let names = self.names().map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => RepositoryError::NoFolder(self.folder.clone()),
            _ => FileError::new("read", &self.folder, error).into(),
        })?;
        let mut stems: Vec<String> = names
            .iter()
            .filter_map(|name| file_name::stem_of(name))
            .filter(|stem| file_name::time_of(prefix, stem).is_some())
            .filter(|stem| {
                fs::symlink_metadata(self.archive_path(stem))
                    .is_ok_and(|metadata| metadata.is_file())
            })
            .map(str::to_owned)
            .collect();
        stems.sort();
        Ok(stems)
    }

    fn names(&self) -> io::Result<Vec<String>> {
        // Names that are not UTF-8 are not ours.
        fs::read_dir(&self.folder)?
            .filter_map(|entry| {
                entry
                    .map(|entry| entry.file_name().into_string().ok())
                    .transpose()
            })
            .collect()
    }

    /// The stem of a name as a person gives it: with or without its extension, or `latest`.
    pub(crate) fn find(&self, name: &str) -> Result<String, RepositoryError> {
        if name == "latest" {
            return self.latest();
        }
        let stem = file_name::bare(name);
        if stem.is_empty() || stem.starts_with('.') || stem.contains(['/', '\\', '\0']) {
            return Err(RepositoryError::NotAName(name.to_owned()));
        }
        let mut there = match file_name::stem_of(name) {
            Some(stem) => vec![stem.to_owned()],
            None => stems_of(name),
        };
        there.retain(|stem| {
            fs::symlink_metadata(self.archive_path(stem)).is_ok_and(|metadata| metadata.is_file())
        });
        match there.as_slice() {
            [_, _, ..] => Err(RepositoryError::SeveralSuchArchives(
                there.iter().map(|stem| file_name::archive(stem)).collect(),
            )),
            [stem] => Ok(stem.clone()),
            [] => Err(RepositoryError::NoSuchArchive {
                name: file_name::archive(file_name::stem_of(name).unwrap_or(name)),
                folder: self.folder.clone(),
            }),
        }
    }

    /// The newest archive. Names are in local time, in which the last hour of summer comes twice: of those that lie this
    /// close together, the manifests know the order.
    fn latest(&self) -> Result<String, RepositoryError> {
        let mut stems = self.stems()?;
        let newest = stems
            .last()
            .ok_or_else(|| RepositoryError::Empty(self.folder.clone()))?;
        let time = |stem: &str| file_name::time_of(&self.prefix, stem);
        let from = time(newest).and_then(|newest| newest.checked_sub_signed(OVERLAP));
        stems.retain(|stem| time(stem) >= from);
        if stems.len() > 1 {
            stems.sort_by_key(|stem| self.summary(stem).made_at);
        }
        stems
            .pop()
            .ok_or_else(|| RepositoryError::Empty(self.folder.clone()))
    }

    /// Opens an archive to be read. A sealed one takes a key.
    pub(crate) fn open(&self, stem: &str) -> Result<Source, OpenError> {
        let (name, file) = (file_name::archive(stem), self.open_file(stem)?);
        if !file_name::is_sealed(&name) {
            return Ok(file);
        }
        let unsealed = seal::unseal(file, &self.keyring);
        let source = unsealed.map_err(|error| OpenError::Unseal { name, error })?;
        self.note_opened(stem);
        Ok(source)
    }

    /// Opens an archive's file, sealed or not.
    pub(crate) fn open_file(&self, stem: &str) -> Result<Source, FileError> {
        let source = Source::file(self.open_as_it_lies(stem)?);
        source.map_err(|error| FileError::new("open", self.archive_path(stem), error))
    }

    /// The same, for what copies it.
    pub(crate) fn open_as_it_lies(&self, stem: &str) -> Result<File, FileError> {
        let path = self.archive_path(stem);
        open_regular(&path).map_err(|error| FileError::new("open", path, error))
    }

    pub(crate) fn sidecar(&self, stem: &str) -> Sidecar {
        let mut text = String::new();
        let read = open_regular(&self.sidecar_path(stem))
            .and_then(|file| file.take(LONGEST_SIDECAR).read_to_string(&mut text));
        match read {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Sidecar::Missing,
            Err(error) => Sidecar::Unreadable(format!("cannot be read: {error}")),
            Ok(_) => sidecar::parse(&text, &file_name::archive(stem)),
        }
    }

    /// Bytes that can still be written to the folder's disk.
    pub(crate) fn free_bytes(&self) -> Option<u64> {
        let disk = statvfs(&self.folder).ok()?;
        Some(disk.f_bavail.saturating_mul(disk.f_frsize))
    }
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
            let Some(target) = name
                .strip_prefix('.')
                .and_then(|name| name.strip_suffix(atomic_file::PARTIAL_EXTENSION))
            else {
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

/// The stems that archives of this name have, one for each extension.
fn stems_of(bare: &str) -> Vec<String> {
    let mut stems = Vec::new();
    for compression in Compression::ALL {
        let stem = file_name::stem(bare, compression);
        stems.extend([file_name::sealed(&stem), stem]);
    }
    stems
}

/// Opens a regular file, and nothing that a link or a pipe of its name leads to.
fn open_regular(path: &Path) -> io::Result<File> {
    let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK;
    let file = OpenOptions::new()
        .read(true)
        .custom_flags(flags.bits() as i32)
        .open(path)?;
    if file.metadata()?.is_file() {
        Ok(file)
    } else {
        Err(io::Error::other("it is not a regular file"))
    }
}
