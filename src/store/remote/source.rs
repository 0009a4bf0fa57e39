//! What is sent: a file read once from its start to its end, held against its checksum on the way, no faster than allowed.
//!
//! It goes as it lies, or is sealed on its way. Why this is safe: an age chunk must never be written twice, so each pass seals
//! with a key of its own, from the start; and what was sealed and verified is proven to be the same in that very pass.

use super::error::{StoreError, StoreErrorKind};
use super::transfer::Transfer;
use crate::archive::seal::{Measured, Recipient, Sealing};
use bytes::Bytes;
use sha2::{Digest, Sha256};
use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::FileExt;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

/// How much is read at a time. All pieces have this size, but for the last one.
pub(super) const PIECE_BYTES: usize = 256 * 1024;

#[derive(Clone)]
enum Input {
    File(Arc<File>, Arc<PathBuf>),
    Bytes(Bytes),
    Sealed(Plain, Arc<[Recipient]>),
}

/// Told what a pass amounts to, before its last piece goes.
pub(crate) type Announce = Arc<dyn Fn(&Measured) -> Result<(), String> + Send + Sync>;

/// A file to be sent, whose size is known.
pub(crate) struct Source {
    input: Input,
    bytes: u64,
    /// None for what is sealed on its way.
    sha256: Option<[u8; 32]>,
    position: u64,
    hasher: Sha256,
    sealing: Option<Box<Sealing<Plain>>>,
    transfer: Arc<Transfer>,
    /// Of the last pass that came to its end; shared by all passes.
    outcome: Outcome,
    announce: Option<Announce>,
}

/// What was sent, once all of it was.
#[derive(Clone, Default)]
pub(crate) struct Outcome(Arc<Mutex<Option<Measured>>>);

impl Outcome {
    pub(crate) fn get(&self) -> Option<Measured> {
        let outcome = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        outcome.clone()
    }

    fn set(&self, measured: Option<Measured>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = measured;
    }

    /// Whether what was read back is what was sent.
    pub(super) fn is(&self, (bytes, sha256): (u64, [u8; 32])) -> bool {
        self.get() == Some(Measured { bytes, sha256 })
    }
}

/// A verified archive as it is sealed: read once, and held against its checksum before its end is let go.
#[derive(Clone)]
struct Plain {
    file: Arc<File>,
    bytes: u64,
    sha256: [u8; 32],
    position: u64,
    hasher: Sha256,
}

impl Read for Plain {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let left = self.bytes - self.position;
        if left == 0 {
            let found: [u8; 32] = self.hasher.clone().finalize().into();
            return match found == self.sha256 {
                true => Ok(0),
                false => Err(io::Error::other(NOT_THE_SAME)),
            };
        }
        let most = left.min(buffer.len() as u64) as usize;
        let read = self.file.read_at(&mut buffer[..most], self.position)?;
        if read == 0 {
            return Err(io::Error::other("it is shorter than it was"));
        }
        self.hasher.update(&buffer[..read]);
        self.position += read as u64;
        Ok(read)
    }
}

const NOT_THE_SAME: &str = "it is not what its checksum says";

impl Source {
    fn new(input: Input, bytes: u64, sha256: Option<[u8; 32]>, transfer: &Arc<Transfer>) -> Self {
        Source {
            input,
            bytes,
            sha256,
            position: 0,
            hasher: Sha256::new(),
            sealing: None,
            transfer: Arc::clone(transfer),
            outcome: Outcome::default(),
            announce: None,
        }
    }

    pub(crate) fn of_file(
        file: File,
        path: PathBuf,
        bytes: u64,
        sha256: [u8; 32],
        transfer: &Arc<Transfer>,
    ) -> Self {
        let input = Input::File(Arc::new(file), Arc::new(path));
        Self::new(input, bytes, Some(sha256), transfer)
    }

    pub(crate) fn of_bytes(bytes: impl Into<Bytes>, transfer: &Arc<Transfer>) -> Self {
        let bytes = bytes.into();
        let (length, sha256) = (bytes.len() as u64, Sha256::digest(&bytes).into());
        Self::new(Input::Bytes(bytes), length, Some(sha256), transfer)
    }

    /// A file with these bytes and this checksum, sealed on its way.
    pub(crate) fn sealed(
        file: File,
        bytes: u64,
        sha256: [u8; 32],
        to: &[Recipient],
        announce: Announce,
        transfer: &Arc<Transfer>,
    ) -> Result<Self, StoreError> {
        let plain = Plain {
            file: Arc::new(file),
            bytes,
            sha256,
            position: 0,
            hasher: Sha256::new(),
        };
        let mut source = Self::new(Input::Sealed(plain, to.into()), 0, None, transfer);
        source.announce = Some(announce);
        source.seal()?;
        Ok(source)
    }

    /// Begins to seal with a new key. The header's length is another one each time.
    fn seal(&mut self) -> Result<(), StoreError> {
        if let Input::Sealed(plain, to) = &self.input {
            let (bytes, begun) = (plain.bytes, Sealing::new(plain.clone(), to));
            let sealing = begun.map_err(|error| self.fail(&format!("no sealing: {error}")))?;
            self.bytes = sealing.sealed_bytes(bytes);
            self.sealing = Some(Box::new(sealing));
        }
        Ok(())
    }

    /// Another pass from the start, of which the outcome is shared.
    pub(super) fn again(&self) -> Result<Self, StoreError> {
        let mut source = Source {
            outcome: self.outcome.clone(),
            announce: self.announce.clone(),
            ..Self::new(self.input.clone(), self.bytes, self.sha256, &self.transfer)
        };
        self.outcome.set(None);
        source.seal()?;
        Ok(source)
    }

    pub(crate) fn bytes(&self) -> u64 {
        self.bytes
    }

    pub(crate) fn outcome(&self) -> Outcome {
        self.outcome.clone()
    }

    pub(crate) fn transfer(&self) -> &Arc<Transfer> {
        &self.transfer
    }

    /// Where the file is, for a program that sends it by itself.
    pub(super) fn path(&self) -> Option<Arc<PathBuf>> {
        match &self.input {
            Input::File(_, path) => Some(Arc::clone(path)),
            Input::Bytes(_) | Input::Sealed(..) => None,
        }
    }

    /// The file and how far it has been read, for what reads again where it lies.
    pub(super) fn lies(&self) -> Option<(Arc<File>, u64)> {
        match &self.input {
            Input::File(file, _) => Some((Arc::clone(file), self.position)),
            Input::Bytes(_) | Input::Sealed(..) => None,
        }
    }

    pub(super) fn is_sealed(&self) -> bool {
        matches!(self.input, Input::Sealed(..))
    }

    /// Reads all of it once, and holds it against its checksum.
    pub(super) async fn check(&mut self) -> Result<(), StoreError> {
        while self.next_unhurried().await?.is_some() {
            self.transfer.stir();
        }
        Ok(())
    }

    /// The next piece; none at the end. The last one only comes when all of them were what they should be.
    pub(crate) async fn next(&mut self) -> Result<Option<Bytes>, StoreError> {
        let piece = self.next_unhurried().await?;
        if let Some(piece) = &piece {
            self.transfer.pass(piece.len()).await;
        }
        Ok(piece)
    }

    /// Likewise, for what does not leave the machine yet.
    pub(super) async fn next_unhurried(&mut self) -> Result<Option<Bytes>, StoreError> {
        let left = self.bytes - self.position;
        if left == 0 {
            return Ok(None);
        }
        let length = left.min(PIECE_BYTES as u64) as usize;
        let piece = self.piece(length).await?;
        self.position += length as u64;
        if self.position == self.bytes {
            self.finish()?;
        }
        Ok(Some(piece))
    }

    fn finish(&mut self) -> Result<(), StoreError> {
        let sha256 = self.hasher.clone().finalize().into();
        if self.sha256.is_some_and(|expected| expected != sha256) {
            return Err(self.fail(NOT_THE_SAME));
        }
        let bytes = self.bytes;
        let measured = Measured { bytes, sha256 };
        if let Some(announce) = &self.announce {
            announce(&measured).map_err(|problem| self.fail(&problem))?;
        }
        self.outcome.set(Some(measured));
        Ok(())
    }

    async fn piece(&mut self, length: usize) -> Result<Bytes, StoreError> {
        if let Input::Bytes(bytes) = &self.input {
            let at = self.position as usize;
            let piece = bytes.slice(at..at + length);
            self.hasher.update(&piece);
            return Ok(piece);
        }
        let (input, position) = (self.input.clone(), self.position);
        let (mut hasher, mut sealing) = (std::mem::take(&mut self.hasher), self.sealing.take());
        let reading = tokio::task::spawn_blocking(move || {
            let mut piece = vec![0; length];
            match (&input, &mut sealing) {
                (Input::File(file, _), _) => file.read_exact_at(&mut piece, position)?,
                (_, Some(sealing)) => sealing.read_exact(&mut piece)?,
                _ => return Err(io::Error::other("its sealing was interrupted")),
            }
            hasher.update(&piece);
            Ok::<_, io::Error>((piece, hasher, sealing))
        });
        match reading.await {
            Ok(Ok((piece, hasher, sealing))) => {
                (self.hasher, self.sealing) = (hasher, sealing);
                Ok(piece.into())
            }
            Ok(Err(error)) => Err(self.fail(&format!("it cannot be read: {error}"))),
            Err(error) => Err(self.fail(&error.to_string())),
        }
    }

    fn fail(&self, problem: &str) -> StoreError {
        let error = unsound(problem);
        self.transfer.broke(&error);
        error
    }
}

/// What is here is not what it should be.
pub(super) fn unsound(problem: &str) -> StoreError {
    StoreError::new(
        StoreErrorKind::Local,
        format!("the archive here cannot be copied: {problem}"),
        "see what is wrong with it: pantry-keeper verify --all",
    )
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

#[cfg(test)]
mod tests;
