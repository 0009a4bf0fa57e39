//! One writer per folder.
//!
//! Why this is safe: `flock` belongs to the open file, so the kernel releases it when its process dies, however it dies.
//! A file that merely exists, or holds a process id, says nothing: in containers every process is number 1. The lock file
//! itself is never removed; removing it would let two processes hold locks on two files of the same name.

use crate::sys::atomic_file::{self, FileError};
use rustix::fs::{Timespec, Timestamps, UTIME_NOW, futimens};
use std::fs::{File, OpenOptions, TryLockError};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::time::SystemTime;

const NO_LINKS: i32 = rustix::fs::OFlags::NOFOLLOW.bits() as i32;

/// Held until dropped.
#[derive(Debug)]
pub(crate) struct Lock {
    file: File,
}

#[derive(Debug, thiserror::Error)]
pub(crate) enum LockError {
    #[error("another Pantry Keeper is at work in {0}")]
    Held(String),
    #[error(transparent)]
    File(#[from] FileError),
}

/// Another process that holds a lock.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Holder {
    /// When it last gave a sign of life; none where that cannot be told.
    pub last_beat: Option<SystemTime>,
}

impl Lock {
    /// Takes the lock in `path`, at once or not at all. `folder` is named when someone else has it.
    pub(crate) fn take(path: &Path, folder: &Path) -> Result<Self, LockError> {
        let file = open(path)?;
        match file.try_lock() {
            Ok(()) => Ok(Lock { file }),
            Err(TryLockError::WouldBlock) => Err(LockError::Held(folder.display().to_string())),
            Err(TryLockError::Error(error)) => Err(FileError::new("lock", path, error).into()),
        }
    }

    /// Who holds the lock in `path`, if it is held.
    pub(crate) fn holder(path: &Path) -> Option<Holder> {
        // Shared, so that two who ask do not take each other for the holder.
        let file = OpenOptions::new()
            .read(true)
            .custom_flags(NO_LINKS)
            .open(path)
            .ok()?;
        match file.try_lock_shared() {
            Err(TryLockError::WouldBlock) => {
                let modified = file.metadata().and_then(|metadata| metadata.modified());
                Some(Holder {
                    last_beat: modified.ok(),
                })
            }
            _ => None,
        }
    }

    /// Whether the file that is held is still the one at `path`.
    pub(crate) fn is_at(&self, path: &Path) -> bool {
        atomic_file::is_at(&self.file, path).unwrap_or(false)
    }

    /// Gives a sign of life: the time of the lock's file. Written to the disk when the system finds it convenient.
    pub(crate) fn beat(&self, now: SystemTime) -> std::io::Result<()> {
        // Only the owner of a file may choose its time; whoever may write to it may at least say "now".
        self.file
            .set_modified(now)
            .or_else(|_| modified_now(&self.file))
    }

    /// Takes the lock in `path` as soon as it is free. Only where it is never held for long.
    pub(crate) fn wait(path: &Path) -> Result<Self, FileError> {
        let file = open(path)?;
        file.lock()
            .map_err(|error| FileError::new("lock", path, error))?;
        Ok(Lock { file })
    }
}

fn modified_now(file: &File) -> std::io::Result<()> {
    let now = Timespec {
        tv_sec: 0,
        tv_nsec: UTIME_NOW,
    };
    // With only one of them left as it is, the system asks for the owner again.
    let times = Timestamps {
        last_access: now,
        last_modification: now,
    };
    Ok(futimens(file, &times)?)
}

fn open(path: &Path) -> Result<File, FileError> {
    OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .mode(0o600)
        .custom_flags(NO_LINKS)
        .open(path)
        .map_err(|error| FileError::new("open", path, error))
}
