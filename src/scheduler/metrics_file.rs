//! METRICS_FILE, written when a run has ended and its end is noted: the run itself would write that it is at work, and one
//! that was killed nothing.

use crate::settings::Settings;
use crate::status::textfile;
use chrono::{DateTime, Utc};
use std::time::Duration;
use tokio::task::JoinHandle;

/// How long the last writing is waited for when the scheduler ends.
const GRACE: Duration = Duration::from_secs(2);

/// Written on a thread: to look at all archives may take a while, and on a disk that hangs for ever.
pub(super) struct MetricsFile {
    wanted: bool,
    due: bool,
    writing: Option<JoinHandle<()>>,
}

impl MetricsFile {
    pub(super) fn of(settings: &Settings) -> Self {
        MetricsFile {
            wanted: settings.metrics_file.is_some(),
            // What a scheduler that was killed left there is no longer so.
            due: true,
            writing: None,
        }
    }

    /// Figures are others than before.
    pub(super) fn due_now(&mut self) {
        self.due = true;
    }

    /// Writes it when that is due, unless it is being written. To be called now and then.
    pub(super) fn keep_up(&mut self, settings: &Settings, now: DateTime<Utc>) {
        let busy = self
            .writing
            .as_ref()
            .is_some_and(|writing| !writing.is_finished());
        if !self.wanted || !self.due || busy {
            return;
        }
        self.due = false;
        let settings = settings.clone();
        self.writing = Some(tokio::task::spawn_blocking(move || {
            textfile::write(&settings, now);
        }));
    }

    /// Writes it for the last time, if that is due.
    pub(super) async fn finish(&mut self, settings: &Settings, now: DateTime<Utc>) {
        self.keep_up(settings, now);
        if let Some(writing) = self.writing.take() {
            let _ = tokio::time::timeout(GRACE, writing).await;
        }
    }
}
