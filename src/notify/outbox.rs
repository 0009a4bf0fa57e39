//! Letters that wait until a mail server takes them, over restarts too.
//!
//! Why none is lost: a letter is whole on the disk, or else in memory, before anything older gives way to it, and goes
//! only after a server has taken it. Why no two processes send one: whoever sends holds the lock, and looks anew at what
//! is there once he has it. What a power cut leaves between a server's word and the removal is sent again.

use super::channels::mail::MailError;
use super::channels::mail::deliver;
use crate::notify::templates::{Kind, Notification};
use crate::settings::MailSettings;
use crate::sys::atomic_file::{self, FileError};
use crate::sys::cancel::Cancel;
use crate::sys::lock::{Lock, LockError};
use crate::sys::redact::{Redactor, percent_encode};
use sha2::{Digest, Sha256};
use std::collections::BTreeSet;
use std::fs::{self, DirBuilder};
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

const MOST_LETTERS: usize = 20;
const EXTENSION: &str = ".json";
/// Names of files may have 255 bytes; this leaves room for the time and for what a partial file adds.
const LONGEST_ID_BYTES: usize = 150;
/// Far more than any letter.
const LARGEST_FILE_BYTES: u64 = 1024 * 1024;

/// A folder of letters, and what the folder could not take.
#[derive(Debug)]
pub(crate) struct Outbox {
    folder: PathBuf,
    memory: Mutex<Memory>,
}

#[derive(Debug, Default)]
struct Memory {
    /// Letters that the disk did not take.
    notifications: Vec<Notification>,
    /// Sent, though the file could not be removed.
    sent: BTreeSet<String>,
    /// Refused for good; the next start tries them once more.
    refused: BTreeSet<String>,
}

/// How a round of sending went.
#[derive(Debug, Default)]
pub(crate) struct Flushed {
    pub sent: usize,
    /// Letters that still wait.
    pub left: usize,
    /// The last thing that went wrong, also when all letters were sent: a recipient may have been refused.
    pub error: Option<MailError>,
}

impl Outbox {
    /// Nothing is created before the first letter is kept.
    pub(crate) fn new(folder: PathBuf) -> Self {
        Outbox {
            folder,
            memory: Mutex::default(),
        }
    }

    /// Keeps a letter. It is kept in memory when the disk does not take it; the error says why.
    pub(crate) fn keep(&self, notification: Notification) -> Option<FileError> {
        self.write_what_memory_holds();
        let error = self.write(&notification).err();
        if error.is_some() {
            let mut memory = self.memory();
            memory
                .notifications
                .retain(|other| other.id != notification.id);
            memory.notifications.push(notification.clone());
        }
        let mut waiting = self.waiting();
        if notification.kind == Kind::StillFailing {
            let older = |other: &Notification| {
                other.kind == Kind::StillFailing && other.id != notification.id
            };
            self.drop_all(waiting.extract_if(.., |other| older(other)).collect());
        }
        // The oldest stay first within each group, since a stable sort keeps their order.
        waiting.sort_by_key(|other| worth(other.kind));
        waiting.truncate(waiting.len().saturating_sub(MOST_LETTERS));
        self.drop_all(waiting);
        error
    }

    /// Every letter that waits, the oldest first. Files that cannot be read are passed over.
    pub(crate) fn waiting(&self) -> Vec<Notification> {
        let memory = self.memory();
        let on_disk = self
            .files()
            .into_iter()
            .map(|(_, notification)| notification);
        let mut seen = memory.sent.clone();
        let mut notifications: Vec<Notification> = on_disk
            .chain(memory.notifications.iter().cloned())
            .filter(|notification| seen.insert(notification.id.clone()))
            .collect();
        notifications.sort_by(|a, b| (a.written_at, &a.id).cmp(&(b.written_at, &b.id)));
        notifications
    }

    /// Forgets a letter: it has been sent. It is not sent again by this process even if its file cannot be removed,
    /// which the error then says.
    pub(crate) fn sent(&self, id: &str) -> Option<FileError> {
        self.memory()
            .notifications
            .retain(|notification| notification.id != id);
        let error = self.remove(id);
        if error.is_some() {
            self.memory().sent.insert(id.to_owned());
        }
        error
    }

    /// Sends what waits, the oldest first, until something goes wrong that would go wrong with the next letter too.
    ///
    /// Does nothing while another process does it. Returns at once when it is to stop; the letters stay.
    pub(crate) async fn flush(
        &self,
        mail: &MailSettings,
        redactor: &Redactor,
        limit_per_letter: Duration,
        stop: &Cancel,
    ) -> Flushed {
        let mut flushed = Flushed::default();
        if self.waiting().is_empty() {
            return flushed;
        }
        self.write_what_memory_holds();
        let (_lock, notifications) = match self.lock() {
            Ok(lock) => (Some(lock), self.waiting()),
            Err(LockError::Held(_)) => {
                flushed.left = self.waiting().len();
                return flushed;
            }
            // Without a lock only those are ours for certain that no other process can see.
            Err(LockError::File(_)) => (None, self.memory().notifications.clone()),
        };
        for notification in notifications {
            if self.memory().refused.contains(&notification.id) {
                continue;
            }
            let Ok(outcome) = stop
                .or(deliver(mail, &notification, redactor, limit_per_letter))
                .await
            else {
                break;
            };
            let error = outcome.err();
            if error.as_ref().is_none_or(MailError::was_delivered) {
                flushed.sent += 1;
                if let Some(error) = self.sent(&notification.id) {
                    tracing::warn!("a mail was sent, but is still in the outbox: {error}");
                }
            }
            let goes_on = match &error {
                Some(error) if error.is_about_the_letter() => {
                    self.memory().refused.insert(notification.id);
                    true
                }
                Some(error) => error.was_delivered(),
                None => true,
            };
            flushed.error = error.or(flushed.error);
            if !goes_on {
                break;
            }
        }
        flushed.left = self.waiting().len();
        flushed
    }

    fn memory(&self) -> MutexGuard<'_, Memory> {
        self.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Beside the folder, so that the folder holds nothing but letters.
    fn lock(&self) -> Result<Lock, LockError> {
        self.create_folder()?;
        Lock::take(&self.folder.with_extension("lock"), &self.folder)
    }

    fn write(&self, notification: &Notification) -> Result<(), FileError> {
        let path = self.folder.join(file_name(notification));
        let json = serde_json::to_vec_pretty(notification)
            .map_err(|error| FileError::new("write", &path, io::Error::other(error)))?;
        self.create_folder()?;
        atomic_file::replace(&path, &json)
    }

    /// The folder alone, and none above it: where that is missing, the backup disk is not there, and must not be made to
    /// look as if it were.
    fn create_folder(&self) -> Result<(), FileError> {
        match DirBuilder::new().mode(0o700).create(&self.folder) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
                Err(FileError::new("create", &self.folder, error))
            }
            _ => Ok(()),
        }
    }

    fn write_what_memory_holds(&self) {
        let held = self.memory().notifications.clone();
        for notification in held {
            if self.write(&notification).is_err() {
                return;
            }
            self.memory()
                .notifications
                .retain(|other| other.id != notification.id);
        }
    }

    fn drop_all(&self, notifications: Vec<Notification>) {
        for notification in notifications {
            // One that cannot be removed is one too many, which the next letter makes good.
            let _ = self.remove(&notification.id);
            self.memory()
                .notifications
                .retain(|other| other.id != notification.id);
        }
    }

    fn remove(&self, id: &str) -> Option<FileError> {
        let mut failed = None;
        for (path, _) in self
            .files()
            .into_iter()
            .filter(|(_, notification)| notification.id == id)
        {
            match fs::remove_file(&path) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => {
                    failed = Some(FileError::new("remove", path, error));
                }
                _ => {}
            }
        }
        failed
    }

    fn files(&self) -> Vec<(PathBuf, Notification)> {
        let entries = fs::read_dir(&self.folder).into_iter().flatten().flatten();
        let paths = entries.map(|entry| entry.path()).filter(|path| {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            name.ends_with(EXTENSION) && !name.starts_with('.')
        });
        paths
            .filter_map(|path| read(&path).map(|notification| (path, notification)))
            .collect()
    }
}

/// What goes first when there are too many: what only repeats or confirms, before what brings news.
fn worth(kind: Kind) -> u8 {
    match kind {
        Kind::StillFailing | Kind::Receipt | Kind::DrillReceipt | Kind::Warning | Kind::Test => 0,
        Kind::Failed | Kind::Recovered | Kind::DrillFailed | Kind::DrillRecovered => 1,
    }
}

/// Sorts by time, and is the same for the same letter.
fn file_name(notification: &Notification) -> String {
    let mut id = percent_encode(&notification.id);
    if id.len() > LONGEST_ID_BYTES {
        id = Sha256::digest(&notification.id)
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect();
    }
    format!(
        "{}-{id}{EXTENSION}",
        notification.written_at.format("%Y%m%dT%H%M%S%3fZ")
    )
}

/// A letter of ours; none if it is anything else. Links are not followed, and a pipe would never end.
fn read(path: &Path) -> Option<Notification> {
    let metadata = fs::symlink_metadata(path).ok()?;
    if !metadata.is_file() || metadata.len() > LARGEST_FILE_BYTES {
        return None;
    }
    serde_json::from_slice(&fs::read(path).ok()?).ok()
}

#[cfg(test)]
mod flush_tests;
#[cfg(test)]
mod tests;
