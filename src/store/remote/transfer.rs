//! How far a transfer is, how fast it may be, and whether it stands still.

use super::error::{StoreError, StoreErrorKind};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;
use tokio::time::Instant;

/// How long nothing may move over one connection at most, so that another one is tried while the whole may still wait.
const LONGEST_STANDSTILL: Duration = Duration::from_secs(150);

/// How far a transfer is, and how fast it may be. Shared by all that takes part in it.
pub(crate) struct Transfer {
    moved: AtomicU64,
    /// Grows with all that happens, also with what does not count as moved.
    stirred: AtomicU64,
    bandwidth: Option<u64>,
    /// When the next byte may move.
    next: Mutex<Instant>,
    /// Why the source came to an end before its end.
    problem: Mutex<Option<StoreError>>,
    /// How long it may stand still, once that is known.
    limit: OnceLock<Duration>,
}

impl Transfer {
    /// `bandwidth` in bytes per second.
    pub(crate) fn new(bandwidth: Option<u64>) -> Arc<Self> {
        Arc::new(Transfer {
            moved: AtomicU64::new(0),
            stirred: AtomicU64::new(0),
            bandwidth,
            next: Mutex::new(Instant::now()),
            problem: Mutex::new(None),
            limit: OnceLock::new(),
        })
    }

    pub(crate) fn moved(&self) -> u64 {
        self.moved.load(Ordering::Relaxed)
    }

    /// Says that something moved which no source gave.
    pub(crate) fn advance(&self, bytes: u64) {
        self.moved.fetch_add(bytes, Ordering::Relaxed);
        self.stir();
    }

    /// Says that it does not stand still, though nothing has moved that counts.
    pub(super) fn stir(&self) {
        self.stirred.fetch_add(1, Ordering::Relaxed);
    }

    fn stirred(&self) -> u64 {
        self.stirred.load(Ordering::Relaxed)
    }

    /// Waits until so many bytes may go.
    pub(super) async fn pass(&self, bytes: usize) {
        self.turn(bytes, || self.stir()).await;
        self.advance(bytes as u64);
    }

    /// Likewise, without counting them. To hold back what is too fast is no standstill: `waiting` is told so meanwhile.
    async fn turn(&self, bytes: usize, waiting: impl Fn()) {
        let Some(bandwidth) = self.bandwidth else {
            return;
        };
        let took = Duration::from_secs_f64(bytes as f64 / bandwidth as f64);
        let until = {
            let mut next = self.next.lock().unwrap_or_else(PoisonError::into_inner);
            let until = (*next).max(Instant::now());
            *next = until + took;
            until
        };
        sleep_until(until, waiting).await;
    }

    /// How long nothing may move over one of its connections.
    fn attempt_limit(&self) -> Duration {
        let whole = self.limit.get().copied().unwrap_or(Duration::MAX);
        (whole / 2).min(LONGEST_STANDSTILL)
    }

    /// Does something that is given up when nothing has moved for `limit`.
    pub(crate) async fn unless_stalled<T>(
        &self,
        limit: Duration,
        work: impl Future<Output = Result<T, StoreError>>,
    ) -> Result<T, StoreError> {
        tokio::pin!(work);
        let _ = self.limit.set(limit);
        let mut seen = (self.stirred(), Instant::now());
        loop {
            let look = limit.min(Duration::from_secs(1));
            match tokio::time::timeout(look, &mut work).await {
                Ok(result) => return result,
                Err(_) if self.stirred() != seen.0 => seen = (self.stirred(), Instant::now()),
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

/// A piece of a transfer that may be sent several times: it counts once, however often it goes, and is watched by itself,
/// since others may move while it stands still.
pub(super) struct Share {
    whole: Arc<Transfer>,
    own: Arc<Transfer>,
    /// How many of its bytes went at most, in one attempt.
    furthest: AtomicU64,
}

impl Share {
    pub(super) fn of(whole: &Arc<Transfer>) -> Arc<Self> {
        Arc::new(Share {
            whole: Arc::clone(whole),
            own: Transfer::new(None),
            furthest: AtomicU64::new(0),
        })
    }

    /// Waits until its next bytes may go, which end at `end`.
    pub(super) async fn pass(&self, bytes: usize, end: u64) {
        let stir = || {
            self.own.stir();
            self.whole.stir();
        };
        self.whole.turn(bytes, stir).await;
        self.own.advance(bytes as u64);
        let before = self.furthest.fetch_max(end, Ordering::Relaxed);
        self.whole.advance(end.saturating_sub(before));
    }

    /// One attempt at sending it, which ends when nothing of it moves; why its source came to an end, if that is why.
    pub(super) async fn attempt<T>(
        &self,
        work: impl Future<Output = Result<T, StoreError>>,
    ) -> Result<T, StoreError> {
        // A new attempt is no standstill of the whole.
        self.whole.stir();
        let limit = self.whole.attempt_limit();
        let result = self.own.unless_stalled(limit, work).await;
        result.map_err(|error| self.whole.blame(error))
    }

    /// Waits before the next attempt, which is no standstill either.
    pub(super) async fn rest(&self, wait: Duration) {
        sleep_until(Instant::now() + wait, || self.whole.stir()).await;
    }

    /// Says why it cannot be read to its end.
    pub(super) fn broke(&self, error: &StoreError) {
        self.whole.broke(error);
    }

    /// How far it got in all attempts, and how much went in all of them.
    pub(super) fn reached(&self) -> (u64, u64) {
        (self.furthest.load(Ordering::Relaxed), self.own.moved())
    }
}

async fn sleep_until(until: Instant, meanwhile: impl Fn()) {
    while Instant::now() < until {
        let soon = Instant::now() + Duration::from_millis(200);
        tokio::time::sleep_until(until.min(soon)).await;
        meanwhile();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_is_sent_again_counts_once_and_is_no_standstill() {
        let whole = Transfer::new(None);
        let share = Share::of(&whole);
        for (bytes, end, moved) in [
            (60, 60, 60),
            // Again from its start, and further.
            (40, 40, 60),
            (30, 70, 70),
            (30, 100, 100),
            (100, 100, 100),
        ] {
            let before = whole.stirred();
            share.pass(bytes, end).await;
            assert_eq!(whole.moved(), moved);
            assert!(whole.stirred() > before);
        }
        assert_eq!(share.reached(), (100, 260));
    }

    #[tokio::test]
    async fn what_is_held_back_is_no_standstill() {
        let whole = Transfer::new(Some(1000));
        let share = Share::of(&whole);
        let sending = async {
            share.pass(600, 600).await;
            // This one has to wait for 600 ms.
            share.pass(600, 1200).await;
            Ok(())
        };
        let limit = Duration::from_millis(500);
        let attempt = share.attempt(sending);
        whole.unless_stalled(limit, attempt).await.unwrap();
        assert_eq!(whole.moved(), 1200);
    }

    #[tokio::test]
    async fn a_share_that_stands_still_ends_before_the_whole_does() {
        let whole = Transfer::new(None);
        let share = Share::of(&whole);
        let mut attempts = 0;
        let sending = async {
            for _ in 0..3 {
                attempts += 1;
                let hung = share.attempt(std::future::pending::<Result<(), _>>()).await;
                assert!(hung.unwrap_err().is(StoreErrorKind::Unreachable));
            }
            Ok(())
        };
        let limit = Duration::from_millis(200);
        whole.unless_stalled(limit, sending).await.unwrap();
        assert_eq!(attempts, 3);
    }
}
