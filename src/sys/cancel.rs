//! Being asked to stop: by a signal, or by a deadline. A parameter everywhere, so that tests need neither.

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::sync::watch;
use tokio::task::JoinError;
use tokio::time::Instant;

/// Why work ended before its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Interruption {
    #[error("stopped as asked")]
    Asked,
    #[error("it took longer than BACKUP_TIMEOUT allows")]
    Deadline,
}

/// Held by whoever works.
#[derive(Debug, Clone)]
pub(crate) struct Cancel {
    asked: watch::Receiver<bool>,
    deadline: Option<Instant>,
}

/// Held by whoever may ask.
#[derive(Debug)]
pub(crate) struct Canceller(watch::Sender<bool>);

impl Canceller {
    pub(crate) fn new() -> (Self, Cancel) {
        let (sender, asked) = watch::channel(false);
        (
            Canceller(sender),
            Cancel {
                asked,
                deadline: None,
            },
        )
    }

    pub(crate) fn stop(&self) {
        self.0.send_replace(true);
    }

    /// Whether it has been asked already.
    pub(crate) fn asked(&self) -> bool {
        *self.0.borrow()
    }
}

impl Cancel {
    /// The same, but at the latest at `deadline`.
    pub(crate) fn by(&self, deadline: Instant) -> Self {
        Cancel {
            asked: self.asked.clone(),
            deadline: Some(deadline),
        }
    }

    /// Whether somebody has asked.
    pub(crate) fn is_asked(&self) -> bool {
        *self.asked.borrow()
    }

    /// Waits until it is time to stop.
    pub(crate) async fn requested(&self) -> Interruption {
        let mut asked = self.asked.clone();
        let deadline = self.deadline;
        let late = async move {
            match deadline {
                Some(deadline) => tokio::time::sleep_until(deadline).await,
                None => std::future::pending().await,
            }
        };
        let asking = async move {
            if asked.wait_for(|asked| *asked).await.is_err() {
                // Nobody is left who could ask.
                std::future::pending::<()>().await;
            }
        };
        tokio::select! {
            () = asking => Interruption::Asked,
            () = late => Interruption::Deadline,
        }
    }

    /// Runs something that may be dropped at any moment.
    pub(crate) async fn or<T>(&self, work: impl Future<Output = T>) -> Result<T, Interruption> {
        tokio::select! {
            biased;
            reason = self.requested() => Err(reason),
            result = work => Ok(result),
        }
    }

    /// Runs something on a thread of its own that looks at a flag now and then.
    pub(crate) async fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce(&AtomicBool) -> T + Send + 'static,
    ) -> Result<T, Interruption> {
        let flag = Arc::new(AtomicBool::new(false));
        let seen = Arc::clone(&flag);
        let thread = tokio::task::spawn_blocking(move || work(&seen));
        tokio::select! {
            biased;
            reason = self.requested() => {
                flag.store(true, Ordering::Relaxed);
                Err(reason)
            }
            ended = thread => Ok(joined(ended)),
        }
    }

    /// The same for what ends soon after the flag is set, and whose result counts even then; none after `limit`.
    pub(crate) async fn blocking_to_its_end<T: Send + 'static>(
        &self,
        limit: Duration,
        work: impl FnOnce(&AtomicBool) -> T + Send + 'static,
    ) -> Option<T> {
        let flag = Arc::new(AtomicBool::new(false));
        let seen = Arc::clone(&flag);
        let mut thread = tokio::task::spawn_blocking(move || work(&seen));
        tokio::select! {
            biased;
            ended = &mut thread => Some(joined(ended)),
            _ = self.requested() => {
                flag.store(true, Ordering::Relaxed);
                tokio::time::timeout(limit, thread).await.ok().map(joined)
            }
        }
    }
}

/// What a thread came to; one that panicked takes the program along, as it would have without a thread.
fn joined<T>(ended: Result<T, JoinError>) -> T {
    ended.unwrap_or_else(|error| match error.try_into_panic() {
        Ok(panic) => std::panic::resume_unwind(panic),
        Err(error) => unreachable!("threads are never aborted: {error}"),
    })
}
