//! The backup folder: the one place that names, lists and opens what is in it; `locked.rs` completes and sweeps it.
//!
//! Why this is safe: only names of our own pattern are ever looked at, only regular files are opened, and symlinks are
//! never followed. A final name appears by `LockedRepository::commit` alone, which takes a file that was synced and verified.
//! What lies in `.pantry-keeper/` can be lost: all that matters is in the archives.

#[cfg(test)]
mod tests;

pub(crate) use super::error::{OpenError, RepositoryError, RepositoryLockError};

use crate::archive::compression::Compression;
use crate::archive::file_name;
use crate::archive::seal::Keyring;
use crate::archive::sidecar::{self, Sidecar};
use crate::archive::source::Source;
use crate::settings::Settings;
use crate::sys::atomic_file::{self, FileError};
use crate::sys::time_zone::Tz;
use chrono::{DateTime, NaiveDateTime, Utc};
use rustix::fs::{OFlags, statvfs};
use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// Our own folder inside the backup folder.
const OWN_FOLDER: &str = ".pantry-keeper";

/// A sidecar is one short line; anything longer is not one.
const LONGEST_SIDECAR: u64 = 4096;
/// Whatever else lies down on the disk must leave it as much as this, in bytes: backups need it more.
pub(crate) const KEPT_FREE: u64 = 256 * 1024 * 1024;

/// The folder and what our files in it are called.
#[derive(Debug, Clone)]
pub(crate) struct Repository {
    pub(super) folder: PathBuf,
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

    /// Whether [`Repository::lock`] could make the folder ready, as far as that can be told without doing it.
    pub(crate) fn could_begin(&self, known_only: bool) -> Result<(), RepositoryError> {
        self.bears_traces(known_only)?;
        let own = self.own_folder();
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

    /// Whether every user of the machine may read an archive. They are made for their owner alone, but not every file system
    /// keeps that.
    pub(crate) fn is_open_to_all(&self, archive: &str) -> bool {
        let mode = fs::metadata(self.folder.join(archive)).map(|metadata| metadata.mode());
        mode.is_ok_and(|mode| mode & 0o004 != 0)
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

    /// What whoever writes to the folder holds.
    pub(crate) fn lock_path(&self) -> PathBuf {
        self.own_folder().join("lock")
    }

    /// The scheduler's lock, which its file's time also shows to be alive.
    pub(crate) fn scheduler_path(&self) -> PathBuf {
        self.own_folder().join("scheduler.lock")
    }

    /// With `known_only`, refuses a folder that bears no trace of us: what shows of a mount point without its disk.
    pub(crate) fn bears_traces(&self, known_only: bool) -> Result<(), RepositoryError> {
        let own_folder = self.own_folder();
        if !known_only || own_folder.is_dir() || !self.stems().unwrap_or_default().is_empty() {
            return Ok(());
        }
        Err(RepositoryError::NotTheDisk {
            folder: self.folder.clone(),
            own_folder,
        })
    }

    /// Says who may write where, when that is why a file could not be made.
    pub(super) fn explain(&self, error: FileError) -> RepositoryError {
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

    /// The stem of an archive that begins now. No other one here or `elsewhere` has its name, not even with another extension.
    pub(crate) fn free_stem(
        &self,
        now: DateTime<Utc>,
        compression: Compression,
        elsewhere: impl Fn(&str) -> bool,
    ) -> String {
        let exists = |stem: &str| fs::symlink_metadata(self.archive_path(stem)).is_ok();
        let here = |name: &str| stems_of(name).iter().any(|stem| exists(stem));
        let taken = |name: &str| here(name) || elsewhere(name);
        let name = file_name::free_name(&self.prefix, now, self.time_zone, taken);
        file_name::stem(&name, compression)
    }

    pub(crate) fn archive_path(&self, stem: &str) -> PathBuf {
        self.folder.join(file_name::archive(stem))
    }

    pub(super) fn sidecar_path(&self, stem: &str) -> PathBuf {
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

    /// By the prefixes of others, when their newest archives here were made; those that restores saved do not count.
    pub(crate) fn others(&self) -> io::Result<BTreeMap<String, NaiveDateTime>> {
        let mut others = BTreeMap::new();
        let safety = file_name::safety_prefix("");
        for name in self.names()? {
            let Some(prefix) = file_name::prefix_of(&name) else {
                continue;
            };
            let stem = file_name::stem_of(&name).unwrap_or_default();
            let Some(time) = file_name::time_of(&prefix, stem) else {
                continue;
            };
            if prefix != self.prefix && !prefix.ends_with(&safety) {
                let newest = others.entry(prefix).or_insert(time);
                *newest = time.max(*newest);
            }
        }
        Ok(others)
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

    pub(super) fn names(&self) -> io::Result<Vec<String>> {
        // Names that are not UTF-8 are not ours.
        fs::read_dir(&self.folder)?
            .filter_map(|entry| {
                entry
                    .map(|entry| entry.file_name().into_string().ok())
                    .transpose()
            })
            .collect()
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

/// The stems that archives of this name have, one for each extension.
pub(super) fn stems_of(bare: &str) -> Vec<String> {
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
