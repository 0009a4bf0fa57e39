//! How far a transfer is, how fast it may be, and whether it stands still.

use super::error::{StoreError, StoreErrorKind};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::time::Instant;

/// How far a transfer is, and how fast it may be. Shared by all that takes part in it.
pub(crate) struct Transfer {
    moved: AtomicU64,
    bandwidth: Option<u64>,
    /// When the next byte may move.
    next: Mutex<Instant>,
    /// Why the source came to an end before its end.
    problem: Mutex<Option<StoreError>>,
}

impl Transfer {
    /// `bandwidth` in bytes per second.
    pub(crate) fn new(bandwidth: Option<u64>) -> Arc<Self> {
        Arc::new(Transfer {
            moved: AtomicU64::new(0),
            bandwidth,
            next: Mutex::new(Instant::now()),
            problem: Mutex::new(None),
        })
    }

    pub(crate) fn moved(&self) -> u64 {
        self.moved.load(Ordering::Relaxed)
    }

    /// Says that something moved which no source gave.
    pub(crate) fn advance(&self, bytes: u64) {
        self.moved.fetch_add(bytes, Ordering::Relaxed);
    }

    /// Waits until so many bytes may go.
    pub(super) async fn pass(&self, bytes: usize) {
        if let Some(bandwidth) = self.bandwidth {
            let took = Duration::from_secs_f64(bytes as f64 / bandwidth as f64);
            let until = {
                let mut next = self.next.lock().unwrap_or_else(PoisonError::into_inner);
                let until = (*next).max(Instant::now());
                *next = until + took;
                until
            };
            tokio::time::sleep_until(until).await;
        }
        self.advance(bytes as u64);
    }

    /// Does something that is given up when nothing has moved for `limit`.
    pub(crate) async fn unless_stalled<T>(
        &self,
        limit: Duration,
        work: impl Future<Output = Result<T, StoreError>>,
    ) -> Result<T, StoreError> {
        tokio::pin!(work);
        let mut seen = (self.moved(), Instant::now());
        loop {
            let look = limit.min(Duration::from_secs(1));
            match tokio::time::timeout(look, &mut work).await {
                Ok(result) => return result,
                Err(_) if self.moved() != seen.0 => seen = (self.moved(), Instant::now()),
                Err(_) if seen.1.elapsed() >= limit => {
                    let summary = format!("nothing has moved for {} s", limit.as_secs());
                    return Err(StoreError::new(StoreErrorKind::Unreachable, summary, ""));
                }
                Err(_) => {}
            }
        }
    }

    /// Says why the source came to an end before its end.
    pub(super) fn broke(&self, error: &StoreError) {
        let mut problem = self.problem.lock().unwrap_or_else(PoisonError::into_inner);
        *problem = Some(error.clone());
    }

    /// What ended the source, if that is why a transfer ended.
    pub(super) fn blame(&self, error: StoreError) -> StoreError {
        let problem = self.problem.lock().unwrap_or_else(PoisonError::into_inner);
        problem.clone().unwrap_or(error)
    }
}
