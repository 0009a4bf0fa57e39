//! Cancellation: by a signal, or by a deadline. A parameter everywhere, so that tests need neither.

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::task::JoinError;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// Why work ended before its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Interruption {
    #[error("stopped as asked")]
    Cancelled,
    #[error("it took longer than BACKUP_TIMEOUT allows")]
    Deadline,
}

/// Held by what works.
#[derive(Debug, Clone)]
pub(crate) struct Cancel {
    token: CancellationToken,
    deadline: Option<Instant>,
}

/// Held by what may end the work.
#[derive(Debug)]
pub(crate) struct Canceller(CancellationToken);

impl Canceller {
    pub(crate) fn new() -> (Self, Cancel) {
        let token = CancellationToken::new();
        let cancel = Cancel {
            token: token.clone(),
            deadline: None,
        };
        (Canceller(token), cancel)
    }

    pub(crate) fn cancel(&self) {
        self.0.cancel();
    }

    pub(crate) fn is_cancelled(&self) -> bool {
        self.0.is_cancelled()
    }
}

impl Cancel {
    /// The same, but at the latest at `deadline`.
    pub(crate) fn by(&self, deadline: Instant) -> Self {
        Cancel {
            token: self.token.clone(),
            deadline: Some(deadline),
        }
    }

    /// Whether it was cancelled; a deadline does not count.
    pub(crate) fn is_cancelled(&self) -> bool {
        self.token.is_cancelled()
    }

    /// Waits until it is time to stop.
    pub(crate) async fn requested(&self) -> Interruption {
        let late = async {
            match self.deadline {
                Some(deadline) => tokio::time::sleep_until(deadline).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = self.token.cancelled() => Interruption::Cancelled,
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
pub(crate) fn joined<T>(ended: Result<T, JoinError>) -> T {
    ended.unwrap_or_else(|error| match error.try_into_panic() {
        Ok(panic) => std::panic::resume_unwind(panic),
        Err(error) => unreachable!("threads are never aborted: {error}"),
    })
}
