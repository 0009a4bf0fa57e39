//! What copies elsewhere bring: the ping of success that waits for them, and the alarm when one is not what was sent.
//!
//! A success that was pinged before its copy is proven would be one that was not seen. So it is kept in
//! `.pantry-keeper/held-ping.json` until every place has the copy; a backup that fails in the meantime takes its place.

use super::Notifier;
use crate::notify::notification::{Event, Facts, Notification, Severity};
use crate::notify::outbox::Queued;
use crate::state::alerts::Concern;
use crate::state::{StateStore, warn_unsaved};
use crate::store::repository::Repository;
use crate::sys::atomic_file::{self, FileError};
use serde::{Deserialize, Serialize};
use std::fs;
use std::path::PathBuf;

const FILE: &str = "held-ping.json";

/// The ping of the newest success.
#[derive(Serialize, Deserialize)]
struct Held {
    /// The archive whose copies it waits for.
    archive: String,
    ping: Notification,
}

/// A copy that is not what was sent.
pub(crate) struct DifferingCopy {
    pub place: String,
    pub archive: String,
    /// `has 3 bytes instead of 4`.
    pub damage: String,
}

impl Notifier<'_> {
    fn held_path(&self) -> PathBuf {
        let repository = Repository::of(self.settings);
        repository.own_folder().join(FILE)
    }

    /// The ping that may go now; it is held where copies are asked for.
    pub(super) fn unless_held(
        &self,
        archive: &str,
        ping: Option<Notification>,
    ) -> Option<Notification> {
        if self.settings.offsite.places.is_empty() {
            self.drop_held();
            return ping;
        }
        let held = Held {
            archive: archive.to_owned(),
            ping: ping?,
        };
        if let Err(error) = self.hold(&held) {
            tracing::warn!(
                "success is not pinged: what waits for the copy elsewhere could not be kept: {error}"
            );
        }
        None
    }

    fn hold(&self, held: &Held) -> Result<(), FileError> {
        let path = self.held_path();
        let json = serde_json::to_vec(held)
            .map_err(|error| FileError::new("write", &path, error.into()))?;
        atomic_file::replace(&path, &json)
    }

    /// It speaks of a success that is no longer the last word.
    pub(super) fn drop_held(&self) {
        let _ = fs::remove_file(self.held_path());
    }

    /// Lets the ping go when its archive `is_proven` to be at every place.
    pub(crate) fn release(&self, is_proven: impl Fn(&str) -> bool) -> Queued {
        let json = fs::read(self.held_path()).unwrap_or_default();
        match serde_json::from_slice::<Held>(&json) {
            Ok(held) if is_proven(&held.archive) => {
                let queued = self.queue([held.ping]);
                self.drop_held();
                queued
            }
            _ => Queued::default(),
        }
    }

    /// The alarm about copies that were just found to differ. `copies` may hold secrets.
    pub(crate) fn differing(&self, copies: &[DifferingCopy]) -> Queued {
        let Some(first) = copies.first() else {
            return Queued::default();
        };
        let problems = copies.iter().map(|copy| {
            let text = format!(
                "the copy of {} at {} {}",
                copy.archive, copy.place, copy.damage
            );
            self.ctx.redactor.redact(&text).into_owned()
        });
        let facts = Facts {
            archive: Some(first.archive.clone()),
            problems: problems.collect(),
            log: self.ctx.tail.lines(),
            ..Facts::default()
        };
        let read = self.ctx.runtime.run("verify --offsite --all");
        let help = vec![
            format!(
                "Read it back once more: {read}. If it differs again, a disk there may be dying, or somebody has changed it: ask \
                 the provider, and look at who has the credentials."
            ),
            "It is neither used nor replaced. Once you know why, remove it there: it is sent again if the archive is still here."
                .to_owned(),
        ];
        let (event, severity) = (Event::CopyNotSame, Severity::Bad);
        let ping = self.ping(event, severity, facts.clone(), help.clone());
        let alarm = self.has_readers().then(|| {
            let mut alarm = self.notification(Event::CopyDiffers, severity, facts, help);
            alarm.id.push_str(".copies");
            alarm
        });
        self.queue(alarm.into_iter().chain(ping))
    }

    /// The all-clear, when the owner was told that copies are behind or damaged, and all is there now.
    pub(crate) fn copies_complete(&self, status: &mut StateStore) -> Queued {
        let now = (self.ctx.now)();
        let mut alerts = status.state().alerts;
        if !self.has_readers() || !alerts.all_clear_due(Concern::Offsite, now) {
            return Queued::default();
        }
        let (event, severity) = (Event::CopiesComplete, Severity::Good);
        let mut all_clear = self.notification(event, severity, Facts::default(), Vec::new());
        all_clear.id.push_str(".complete");
        let queued = self.queue([all_clear]);
        warn_unsaved(status.change(|state| state.alerts = alerts).1);
        queued
    }
}
