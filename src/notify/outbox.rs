//! Notifications that wait until every channel has them, over restarts too.
//!
//! Why none is lost: a notification is whole on the disk, or else in memory, before anything older gives way to it, and
//! goes only after each channel has taken it. Why no two processes send one: whoever sends through a channel holds that
//! channel's lock, and looks anew at what is there once it has it. What a power cut leaves between a server's word and
//! the note of it is sent again. Why no channel waits for another: each is flushed by itself.

mod files;
mod flushed;
mod sending;

pub(crate) use flushed::Flushed;

use crate::context::Context;
use crate::notify::channels::{self, Channel};
use crate::notify::notification::{Interest, Notification};
use crate::settings::Settings;
use crate::store::repository::Repository;
use crate::sys::atomic_file::FileError;
use crate::sys::lock::{Lock, LockError};
use crate::sys::redact::Redactor;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::fs::DirBuilder;
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Of the news; of how backups and drills ended there is one each.
const MOST_NOTIFICATIONS: usize = 20;

/// What became of the notifications that were due.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct Queued {
    /// Whether there was any: there may be something in the outbox to be sent.
    pub wrote: bool,
    /// Those that the outbox's disk did not take.
    pub unkept: Vec<Notification>,
}

impl Queued {
    /// Both of them.
    pub(crate) fn and(mut self, other: Queued) -> Queued {
        self.wrote |= other.wrote;
        self.unkept.extend(other.unkept);
        self
    }
}

/// A folder of notifications, and what the folder could not take.
#[derive(Debug)]
pub(crate) struct Outbox {
    folder: PathBuf,
    recipients: Vec<Recipient>,
    now: fn() -> DateTime<Utc>,
    memory: Mutex<Memory>,
}

/// A channel, as far as the outbox is concerned.
#[derive(Debug, Clone)]
struct Recipient {
    id: String,
    interest: Interest,
}

#[derive(Debug, Default)]
struct Memory {
    /// What the disk did not take.
    notifications: Vec<Notification>,
    /// Ids with the channels, or recipients of one, that have them, though the disk could not take note of it.
    delivered: BTreeSet<(String, String)>,
    /// How often they were handed to a channel without an answer.
    unanswered: BTreeMap<(String, String), u32>,
    /// Rejected for good, by channel; the next start tries them once more.
    rejected: BTreeSet<(String, String)>,
}

impl Outbox {
    /// The outbox of the settings, for these channels.
    pub(crate) fn of(settings: &Settings, channels: &[Arc<dyn Channel>], ctx: &Context) -> Self {
        Outbox::new(Repository::of(settings).outbox_folder(), channels, ctx.now)
    }

    /// How many wait to be sent, where channels are known: not what none of them wants.
    pub(crate) fn count_waiting(settings: &Settings) -> usize {
        // Nothing is sent, and nothing shown.
        let channels = channels::of(settings, &Redactor::default());
        let folder = Repository::of(settings).outbox_folder();
        let outbox = Outbox::new(folder, &channels, DateTime::default);
        let mut waiting = outbox.waiting();
        waiting.retain(|one| channels.is_empty() || outbox.has_recipient(one.event.interest()));
        waiting.len()
    }

    /// For these channels. Nothing is created before the first notification is kept.
    pub(crate) fn new(
        folder: PathBuf,
        channels: &[Arc<dyn Channel>],
        now: fn() -> DateTime<Utc>,
    ) -> Self {
        let recipients = channels.iter().map(|channel| Recipient {
            id: channel.id().to_owned(),
            interest: channel.interest(),
        });
        Outbox {
            folder,
            recipients: recipients.collect(),
            now,
            memory: Mutex::default(),
        }
    }

    /// Whether any channel wants such notifications.
    pub(crate) fn has_recipient(&self, interest: Interest) -> bool {
        let mut recipients = self.recipients.iter();
        recipients.any(|recipient| recipient.interest == interest)
    }

    /// Keeps a notification. It is kept in memory when the disk does not take it; the error says why.
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
        let replaced = |other: &Notification| {
            notification.event.replaces(other.event) && other.id != notification.id
        };
        self.drop_all(waiting.extract_if(.., |other| replaced(other)).collect());
        waiting.retain(|other| other.event.interest() == Interest::News);
        let too_many = waiting.len().saturating_sub(MOST_NOTIFICATIONS);
        // No channel has tried the new one yet, however much waits for a channel that is dead.
        waiting.retain(|other| other.id != notification.id);
        // The oldest stay first within each group, since a stable sort keeps their order.
        waiting.sort_by_key(|other| (other.delivered_to.is_empty(), other.event.eviction_rank()));
        waiting.truncate(too_many);
        self.drop_all(waiting);
        error
    }

    /// All that waits for some channel, the oldest first. Files that cannot be read are passed over.
    pub(crate) fn waiting(&self) -> Vec<Notification> {
        let memory = self.memory();
        let on_disk = self
            .files()
            .into_iter()
            .map(|(_, notification)| notification);
        let mut seen = BTreeSet::new();
        let mut notifications: Vec<Notification> = on_disk
            .chain(memory.notifications.iter().cloned())
            .filter(|notification| seen.insert(notification.id.clone()))
            .map(|mut notification| {
                let known = memory.delivered.iter();
                let of_it = known.filter(|(id, _)| *id == notification.id);
                let channels = of_it.map(|(_, channel)| channel.clone());
                notification.delivered_to.extend(channels);
                let counts = memory.unanswered.iter();
                for ((_, channel), count) in counts.filter(|((id, _), _)| *id == notification.id) {
                    notification.unanswered.insert(channel.clone(), *count);
                }
                notification
            })
            .filter(|notification| !self.is_finished(notification))
            .collect();
        notifications.sort_by(|a, b| (a.written_at, &a.id).cmp(&(b.written_at, &b.id)));
        notifications
    }

    /// What waits for this channel, the oldest first.
    pub(crate) fn waiting_for(&self, channel: &dyn Channel) -> Vec<Notification> {
        let mut waiting = self.waiting();
        waiting.retain(|notification| {
            notification.event.interest() == channel.interest()
                && !notification.delivered_to.contains(channel.id())
        });
        waiting
    }

    /// Whether every channel that wants it has it. One that no channel wants waits for one that will.
    fn is_finished(&self, notification: &Notification) -> bool {
        let interest = notification.event.interest();
        let wants = |recipient: &&Recipient| recipient.interest == interest;
        let has = |recipient: &Recipient| notification.delivered_to.contains(&recipient.id);
        let mut recipients = self.recipients.iter().filter(wants).peekable();
        recipients.peek().is_some() && recipients.all(has)
    }

    /// Removes what every channel has, since one that was still to get it is gone, and pings when nobody wants any more:
    /// only how the last backup ended is of interest.
    fn remove_needless(&self) {
        let is_needless = |notification: &Notification| {
            let interest = notification.event.interest();
            self.is_finished(notification)
                || (interest != Interest::News && !self.has_recipient(interest))
        };
        let mut needless = self.files();
        needless.retain(|(_, notification)| is_needless(notification));
        let needless = needless.into_iter().map(|(_, notification)| notification);
        self.drop_all(needless.collect());
    }

    /// Notes that a channel has a notification. This process does not send it there again even if the disk does not take
    /// the note, which the error then says.
    pub(crate) fn delivered(&self, id: &str, channel: &str) -> Option<FileError> {
        let mut memory = self.memory();
        for notification in &mut memory.notifications {
            if notification.id == id {
                notification.delivered_to.insert(channel.to_owned());
            }
        }
        memory
            .notifications
            .retain(|notification| !self.is_finished(notification));
        memory.unanswered.retain(|(other, _), _| other != id);
        drop(memory);
        let noted = self.change(id, |notification| {
            notification.delivered_to.insert(channel.to_owned());
        });
        let error = noted.err();
        if error.is_some() {
            let mut memory = self.memory();
            memory.delivered.insert((id.to_owned(), channel.to_owned()));
        }
        error
    }

    /// Changes one on the disk, and removes it once it is finished.
    fn change(&self, id: &str, change: impl Fn(&mut Notification)) -> Result<(), FileError> {
        if self.find(id).is_empty() {
            return Ok(());
        }
        // Another channel may be taking its note in this moment.
        let _lock = self.lock()?;
        for (path, mut notification) in self.find(id) {
            change(&mut notification);
            if self.is_finished(&notification) {
                files::remove(&path)?;
            } else {
                files::write(&path, &notification)?;
            }
        }
        Ok(())
    }

    fn memory(&self) -> MutexGuard<'_, Memory> {
        self.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Held while files change. Beside the folder, so that the folder holds nothing but notifications.
    fn lock(&self) -> Result<Lock, FileError> {
        Lock::wait(&self.folder.with_extension("lock"))
    }

    /// Held by whoever sends through a channel.
    fn lock_channel(&self, channel: &dyn Channel) -> Result<Lock, LockError> {
        self.create_folder()?;
        let extension = format!("{}.lock", channel.id());
        Lock::take(&self.folder.with_extension(extension), &self.folder)
    }

    fn write(&self, notification: &Notification) -> Result<(), FileError> {
        self.create_folder()?;
        files::write(
            &self.folder.join(files::file_name(notification)),
            notification,
        )
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
        if notifications.is_empty() {
            return;
        }
        // A channel that takes its note in this moment would write the file anew.
        let _lock = self.lock();
        for notification in notifications {
            for (path, _) in self.find(&notification.id) {
                // One that cannot be removed is one too many, which the next one makes good.
                let _ = files::remove(&path);
            }
            self.memory()
                .notifications
                .retain(|other| other.id != notification.id);
        }
    }

    fn find(&self, id: &str) -> Vec<(PathBuf, Notification)> {
        let mut found = self.files();
        found.retain(|(_, notification)| notification.id == id);
        found
    }

    fn files(&self) -> Vec<(PathBuf, Notification)> {
        files::all(&self.folder)
    }
}

#[cfg(test)]
mod flush_tests;
#[cfg(test)]
mod tests;
