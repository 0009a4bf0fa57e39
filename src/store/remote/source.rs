//! What is sent: a file read once from its start to its end, held against its checksum on the way, no faster than allowed.

use super::error::{StoreError, StoreErrorKind};
use bytes::Bytes;
use sha2::{Digest, Sha256};
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::time::Instant;

/// How much is read at a time.
const PIECE_BYTES: usize = 256 * 1024;

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
    async fn pass(&self, bytes: usize) {
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

    /// What ended the source, if that is why a transfer ended.
    pub(super) fn blame(&self, error: StoreError) -> StoreError {
        let problem = self.problem.lock().unwrap_or_else(PoisonError::into_inner);
        problem.clone().unwrap_or(error)
    }
}

#[derive(Clone)]
enum Input {
    File(Arc<File>, Arc<PathBuf>),
    Bytes(Bytes),
}

/// A file to be sent, whose size and checksum are known. A clone begins at its start.
pub(crate) struct Source {
    input: Input,
    bytes: u64,
    sha256: [u8; 32],
    position: u64,
    hasher: Sha256,
    transfer: Arc<Transfer>,
}

impl Clone for Source {
    fn clone(&self) -> Self {
        Source {
            input: self.input.clone(),
            bytes: self.bytes,
            sha256: self.sha256,
            position: 0,
            hasher: Sha256::new(),
            transfer: Arc::clone(&self.transfer),
        }
    }
}

impl Source {
    pub(crate) fn of_file(
        file: File,
        path: PathBuf,
        bytes: u64,
        sha256: [u8; 32],
        transfer: &Arc<Transfer>,
    ) -> Self {
        Source {
            input: Input::File(Arc::new(file), Arc::new(path)),
            bytes,
            sha256,
            position: 0,
            hasher: Sha256::new(),
            transfer: Arc::clone(transfer),
        }
    }

    pub(crate) fn of_bytes(bytes: impl Into<Bytes>, transfer: &Arc<Transfer>) -> Self {
        let bytes = bytes.into();
        Source {
            bytes: bytes.len() as u64,
            sha256: Sha256::digest(&bytes).into(),
            input: Input::Bytes(bytes),
            position: 0,
            hasher: Sha256::new(),
            transfer: Arc::clone(transfer),
        }
    }

    pub(crate) fn bytes(&self) -> u64 {
        self.bytes
    }

    pub(crate) fn sha256(&self) -> [u8; 32] {
        self.sha256
    }

    pub(crate) fn transfer(&self) -> &Arc<Transfer> {
        &self.transfer
    }

    /// Where the file is, for a program that sends it by itself.
    pub(super) fn path(&self) -> Option<Arc<PathBuf>> {
        match &self.input {
            Input::File(_, path) => Some(Arc::clone(path)),
            Input::Bytes(_) => None,
        }
    }

    /// Reads all of it once, and holds it against its checksum.
    pub(super) async fn check(&mut self) -> Result<(), StoreError> {
        let silent = Source {
            transfer: Transfer::new(None),
            ..self.clone()
        };
        let mut all = silent;
        while all.next().await?.is_some() {
            self.transfer.advance(1);
        }
        Ok(())
    }

    /// The next piece; none at the end. The last one only comes when all of them were what they should be.
    pub(crate) async fn next(&mut self) -> Result<Option<Bytes>, StoreError> {
        let left = self.bytes - self.position;
        if left == 0 {
            return Ok(None);
        }
        let length = left.min(PIECE_BYTES as u64) as usize;
        let piece = self.piece(length).await?;
        self.position += length as u64;
        let is_last = self.position == self.bytes;
        let sound = || <[u8; 32]>::from(self.hasher.clone().finalize()) == self.sha256;
        if is_last && !sound() {
            return Err(self.fail("it is not what its checksum says"));
        }
        self.transfer.pass(length).await;
        Ok(Some(piece))
    }

    async fn piece(&mut self, length: usize) -> Result<Bytes, StoreError> {
        let (input, position) = (self.input.clone(), self.position);
        let file = match input {
            Input::Bytes(bytes) => {
                let at = position as usize;
                let piece = bytes.slice(at..at + length);
                self.hasher.update(&piece);
                return Ok(piece);
            }
            Input::File(file, _) => file,
        };
        let mut hasher = std::mem::take(&mut self.hasher);
        let reading = tokio::task::spawn_blocking(move || {
            let mut piece = vec![0; length];
            file.read_exact_at(&mut piece, position)?;
            hasher.update(&piece);
            Ok::<_, std::io::Error>((piece, hasher))
        });
        match reading.await {
            Ok(Ok((piece, hasher))) => {
                self.hasher = hasher;
                Ok(piece.into())
            }
            Ok(Err(error)) => Err(self.fail(&format!("it cannot be read: {error}"))),
            Err(error) => Err(self.fail(&error.to_string())),
        }
    }

    fn fail(&self, problem: &str) -> StoreError {
        let error = StoreError::new(
            StoreErrorKind::Local,
            format!("the archive here cannot be copied: {problem}"),
            "see what is wrong with it: pantry-keeper verify",
        );
        let mut kept = self
            .transfer
            .problem
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        *kept = Some(error.clone());
        error
    }
}

/// Hashes what is read back.
pub(crate) struct Comparison {
    hasher: Sha256,
    bytes: u64,
    transfer: Arc<Transfer>,
}

impl Comparison {
    pub(crate) fn new(transfer: &Arc<Transfer>) -> Self {
        Comparison {
            hasher: Sha256::new(),
            bytes: 0,
            transfer: Arc::clone(transfer),
        }
    }

    pub(crate) fn update(&mut self, piece: &[u8]) {
        self.hasher.update(piece);
        self.bytes += piece.len() as u64;
        self.transfer.advance(piece.len() as u64);
    }

    /// Bytes and SHA-256 of all that came.
    pub(crate) fn finish(self) -> (u64, [u8; 32]) {
        (self.bytes, self.hasher.finalize().into())
    }
}
