//! Copies elsewhere: a round after every backup, and one every few hours for what could not be sent. Each is a process of
//! its own that runs beside everything else: no backup waits for it.

use super::worker::{self, Ended, WorkerFailure, WorkerReport};
use crate::backup::Queued;
use crate::settings::Settings;
use crate::sys::cancel::Cancel;
use crate::sys::humanize;
use crate::sys::logging::SCHEDULER;
use std::time::Duration;
use tokio::task::JoinHandle;
use tokio::time::Instant;

/// Between two rounds when nothing else asks for one.
const EVERY: Duration = Duration::from_secs(3 * 3600);
/// How long until another try when somebody else is at it.
const AGAIN: Duration = Duration::from_secs(60);
/// The longest that a round may take before the next one goes on where it was; within it, it is watched for standing still.
const LONGEST: Duration = Duration::from_secs(7 * 86_400);
/// How long a round has to end when it is told to.
const GRACE: Duration = Duration::from_secs(8);

/// When rounds happen, and the one that is at work.
pub(super) struct Copying {
    wanted: bool,
    due: Instant,
    round: Option<JoinHandle<(Ended, Queued)>>,
}

impl Copying {
    pub(super) fn of(settings: &Settings) -> Self {
        Copying {
            wanted: !settings.offsite.places.is_empty(),
            // What the last scheduler left undone is made up for.
            due: Instant::now(),
            round: None,
        }
    }

    /// There may be something new to send.
    pub(super) fn due_now(&mut self) {
        self.due = Instant::now();
    }

    pub(super) fn is_at_work(&self) -> bool {
        self.round.is_some()
    }

    /// Begins a round when one is due, and takes note of one that ended, and of the notifications that it brought. To be
    /// called now and then.
    pub(super) async fn keep_up(&mut self, stop: &Cancel) -> Queued {
        let mut brought = Queued::default();
        if self.round.as_ref().is_some_and(JoinHandle::is_finished)
            && let Some(round) = self.round.take()
            && let Ok((ended, queued)) = round.await
        {
            brought = queued;
            if ended == Ended::Busy {
                self.due = self.due.min(Instant::now() + AGAIN);
            }
        }
        if self.wanted && self.round.is_none() && Instant::now() >= self.due {
            self.due = Instant::now() + EVERY;
            self.round = Some(tokio::spawn(round(stop.clone())));
        }
        brought
    }

    /// Waits for the round at work, which has been told to stop.
    pub(super) async fn finish(&mut self) -> Queued {
        let Some(round) = self.round.take() else {
            return Queued::default();
        };
        match tokio::time::timeout(GRACE, round).await {
            Ok(Ok((_, queued))) => queued,
            _ => Queued::default(),
        }
    }
}

async fn round(stop: Cancel) -> (Ended, Queued) {
    round_within(LONGEST, stop, |stop| worker::copy(stop, LONGEST)).await
}

/// A round that is told to stop after `longest`.
async fn round_within<F>(
    longest: Duration,
    stop: Cancel,
    copy: impl FnOnce(Cancel) -> F,
) -> (Ended, Queued)
where
    F: Future<Output = Result<WorkerReport, WorkerFailure>>,
{
    match copy(stop.by(Instant::now() + longest)).await {
        Ok(report) => {
            if report.ended == Ended::Stopped && !stop.is_cancelled() {
                tracing::warn!(
                    target: SCHEDULER,
                    "copies elsewhere have been on their way for {}: this round is stopped, and the next one goes on with what is \
                     not there yet, the newest first",
                    humanize::duration(longest)
                );
            }
            (report.ended, report.queued)
        }
        Err(died) => {
            tracing::warn!(target: SCHEDULER, "{}; it is tried again later. {}", died.error, died.advice);
            (Ended::Finished, Queued::default())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state::Unsaved;
    use crate::sys::cancel::{Canceller, Interruption};
    use std::sync::{Arc, Mutex};

    #[tokio::test]
    async fn a_round_that_takes_too_long_is_stopped_and_does_not_fail() {
        let (_canceller, stop) = Canceller::new();
        let why = Arc::new(Mutex::new(None));
        let noted = Arc::clone(&why);
        let copy = |stop: Cancel| async move {
            *noted.lock().unwrap() = Some(stop.requested().await);
            Ok(WorkerReport {
                ended: Ended::Stopped,
                queued: Queued::default(),
                unsaved: Unsaved::default(),
            })
        };
        let (ended, _) = round_within(Duration::from_millis(1), stop, copy).await;
        assert_eq!(ended, Ended::Stopped);
        assert_eq!(*why.lock().unwrap(), Some(Interruption::Deadline));
    }
}
