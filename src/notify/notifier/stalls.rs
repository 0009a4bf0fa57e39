//! What a scheduler that stands still brings. It is prepared while all is well: later, nothing on a disk can be read.

use super::{Notifier, id};
use crate::notify::notification::{Event, Facts, Notification, Severity};
use crate::notify::outbox::Queued;
use crate::sys::humanize;
use crate::sys::logging::Tail;
use chrono::{DateTime, Utc};

/// A scheduler that stands still.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Stall {
    pub since: DateTime<Utc>,
    /// Whether the kernel says that it waits for a disk.
    pub waits_for_disk: bool,
}

impl Stall {
    /// What is wrong, as far as it is known.
    pub(crate) fn words(self, now: DateTime<Utc>) -> String {
        let time = (now - self.since).to_std().unwrap_or_default();
        let time = humanize::duration(time);
        match self.waits_for_disk {
            true => format!(
                "the scheduler has been waiting {time} for a disk or network share that does not answer"
            ),
            false => format!(
                "the scheduler has given no sign of life for {time}; most likely a disk or network share does not answer"
            ),
        }
    }
}

/// What is told of a scheduler that stands still, but for when and why.
pub(crate) struct StallNews {
    prefix: String,
    prepared: Vec<Notification>,
    tail: Tail,
}

impl StallNews {
    pub(crate) fn new(prefix: &str, prepared: Vec<Notification>, tail: Tail) -> Self {
        StallNews {
            prefix: prefix.to_owned(),
            prepared,
            tail,
        }
    }

    /// What is told at `now`.
    pub(crate) fn of(&self, stall: Stall, now: DateTime<Utc>) -> Vec<Notification> {
        let finished = self.prepared.iter().map(|prepared| Notification {
            id: format!("{}.{}", id(&self.prefix, now), prepared.id),
            written_at: now,
            facts: Facts {
                error: Some(stall.words(now)),
                failing_since: Some(stall.since),
                log: self.tail.lines(),
                ..prepared.facts.clone()
            },
            ..prepared.clone()
        });
        finished.collect()
    }
}

impl Notifier<'_> {
    /// What is to be told should the scheduler stand still.
    pub(crate) fn stall_news(&self) -> StallNews {
        let facts = || Facts {
            stage: Some("waiting for the disk".into()),
            folder_readable: Some(false),
            ..Facts::default()
        };
        let help = || {
            vec![
                "See to the disk or the network share of the backup folder, or of the logs. The scheduler goes on when it \
                 answers again, and makes up for what came due meanwhile."
                    .to_owned(),
                "If it stays away, restart the machine: a program that waits for a disk cannot always be ended.".to_owned(),
            ]
        };
        let news = self.has_readers().then(|| {
            let news = self.notification(Event::Stalled, Severity::Bad, facts(), help());
            Notification {
                id: "stalled".into(),
                ..news
            }
        });
        let ping = self.ping(Event::BackupNotDone, Severity::Bad, facts(), help());
        let ping = ping.map(|ping| Notification {
            id: "stalled.ping".into(),
            ..ping
        });
        let prepared = news.into_iter().chain(ping).collect();
        StallNews::new(&self.settings.prefix, prepared, self.ctx.tail.clone())
    }

    /// The good news that the scheduler goes on after a stall. `is_fresh` says whether there is a backup, as fresh as the
    /// schedule promises.
    pub(crate) fn resumed(&self, since: DateTime<Utc>, is_fresh: bool) -> Queued {
        let facts = Facts {
            failing_since: Some(since),
            ..Facts::default()
        };
        let news = self.has_readers().then(|| {
            let facts = facts.clone();
            let mut news = self.notification(Event::Resumed, Severity::Good, facts, Vec::new());
            news.id.push_str(".resumed");
            news
        });
        let up = self.up_ping(is_fresh, facts);
        self.queue(news.into_iter().chain(up))
    }
}
