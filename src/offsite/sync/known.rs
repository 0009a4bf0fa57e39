//! What a copy should be: by what was written down of it, or by the archive here. Other machines may use the same names: what
//! neither the record nor a note knows is a copy of ours only when its content says so.

use super::super::checksums::checksum;
use super::super::record::CopyRecord;
use super::super::sealed_note::SealedNote;
use super::super::{answered, way};
use super::Visit;
use super::bring::Parcel;
use crate::archive::seal::{self, Measured, UnsealError};
use crate::archive::sidecar::Sidecar;
use crate::store::located::Located;
use crate::store::remote::{Store, StoreError, StoreErrorKind};
use crate::store::repository::OpenError;
use crate::sys::cancel::joined;
use std::io;
use std::sync::atomic::AtomicBool;

/// What stands in front of a sealed archive is no longer than this, to however many it is sealed.
const LONGEST_HEADER: u64 = 64 * 1024;

static NEVER: AtomicBool = AtomicBool::new(false);

/// What a sealed copy turns out to be when it is opened.
enum Content {
    Ours,
    Another(String),
    /// No key here opens it.
    Closed,
}

impl Visit<'_> {
    /// What was written down of a copy. What `verify` alone found becomes a copy of the archive here when it is the same.
    pub(super) async fn known(
        &mut self,
        parcel: &Parcel<'_>,
    ) -> Result<Option<CopyRecord>, StoreError> {
        let copies = &self.book.place(self.place).copies;
        let Some(mut known) = copies.get(&parcel.copy).cloned() else {
            return Ok(None);
        };
        if known.made_at.is_none() && known.damage.is_none() {
            let ours = match parcel.is_sealed_on_its_way() {
                true => self.note(parcel).read(),
                false => Some(self.as_it_lies(parcel).await?),
            };
            if ours.is_some() && ours == known.measured() {
                known.made_at = parcel.archive.made_by_manifest();
                let copies = &mut self.book.place(self.place).copies;
                copies.insert(parcel.copy.clone(), known.clone());
            }
        }
        Ok(Some(known))
    }

    pub(super) fn note(&self, parcel: &Parcel) -> SealedNote {
        SealedNote::on(self.repository, &self.shown, &parcel.copy)
    }

    /// What a copy that is there should be.
    pub(super) async fn expected(
        &mut self,
        store: &Store,
        parcel: &Parcel<'_>,
        there_bytes: u64,
        has_sidecar: bool,
    ) -> Result<Measured, StoreError> {
        if !parcel.is_sealed_on_its_way() {
            return self.as_it_lies(parcel).await;
        }
        // What was sealed cannot be sealed the same way again: only what was noted then tells.
        let known = self.known(parcel).await?;
        let known = known.filter(|copy| copy.made_at.is_some());
        if let Some(ours) = known.as_ref().and_then(CopyRecord::measured) {
            return Ok(ours);
        }
        if let Some(ours) = self.note(parcel).read() {
            return Ok(ours);
        }
        if !has_sidecar {
            return Err(StoreError::new(
                StoreErrorKind::Differs,
                format!(
                    "{} is there without its .sha256, and was not sealed by this Pantry Keeper",
                    parcel.copy
                ),
                "it stays as it is: see what it is, then remove it there, and the archive is sent",
            ));
        }
        let sha256 = answered(self.settings, checksum(store, &parcel.copy)).await?;
        let bytes = there_bytes;
        let there = Measured { bytes, sha256 };
        self.identify(parcel, &there).await?;
        Ok(there)
    }

    /// Whether a sealed copy of which nothing was written down is one of the archive here: an error when it is not, or when
    /// nothing tells.
    async fn identify(&mut self, parcel: &Parcel<'_>, there: &Measured) -> Result<(), StoreError> {
        let payload = seal::payload_bytes(parcel.archive.archive_bytes);
        let header = there.bytes.checked_sub(payload);
        let content = match header {
            Some(1..=LONGEST_HEADER) => self.content(parcel, there.bytes).await?,
            _ => {
                let bytes = there.bytes;
                Content::Another(format!(
                    "has {bytes} bytes, as this archive never has sealed"
                ))
            }
        };
        match content {
            Content::Ours => Ok(()),
            Content::Another(problem) => {
                let summary = format!("is not this archive: it {problem}");
                let error = StoreError::new(StoreErrorKind::Differs, summary, "");
                Err(self.alarm(parcel, there, error))
            }
            Content::Closed => Err(StoreError::new(
                StoreErrorKind::Differs,
                format!(
                    "{} is there, and nothing here tells whether it is this archive or one of another machine",
                    parcel.copy
                ),
                "name its key in AGE_IDENTITY_FILE until after the next backup; or remove it there, and the archive is sent",
            )),
        }
    }

    /// Opens a sealed copy, and holds what is in it against the archive here.
    async fn content(&self, parcel: &Parcel<'_>, bytes: u64) -> Result<Content, StoreError> {
        let keyring = &self.settings.encrypt.keyring;
        if !keyring.is_open() {
            return Ok(Content::Closed);
        }
        let ours = self.as_it_lies(parcel).await?;
        let way = way(self.settings, self.ctx, self.place);
        let sidecar = Sidecar::Missing;
        let located = Located::there(way, &parcel.copy, bytes, sidecar, keyring);
        let located = located.map_err(|error| local(format!("no thread: {error}")))?;
        let meter = self.meter("opening", &parcel.copy, parcel.archive.archive_bytes);
        let (opening, shown) = (located.clone(), meter.clone());
        let reading = tokio::task::spawn_blocking(move || {
            let source = opening.open()?;
            let read = seal::measure(source, &NEVER, &|bytes| shown.set(bytes));
            Ok::<_, OpenError>(read)
        });
        let read = joined(reading.await);
        if let Some(failure) = located.failure() {
            let summary = failure.to_string();
            return Err(StoreError::new(StoreErrorKind::Unreachable, summary, ""));
        }
        Ok(match read {
            Ok(Ok(Some(found))) if found == ours => Content::Ours,
            Ok(Ok(_)) => Content::Another("holds another one".into()),
            Ok(Err(error)) => Content::Another(format!("cannot be read: {error}")),
            Err(OpenError::Unseal {
                error: UnsealError::Key(_) | UnsealError::WrongKey(_),
                ..
            }) => Content::Closed,
            Err(error) => Content::Another(format!("cannot be opened: {error}")),
        })
    }

    /// The archive as it lies here.
    async fn as_it_lies(&self, parcel: &Parcel<'_>) -> Result<Measured, StoreError> {
        let sha256 = self.checksum(parcel.stem).await?;
        let bytes = parcel.archive.archive_bytes;
        Ok(Measured { bytes, sha256 })
    }

    /// The checksum that the archive had when it was verified.
    pub(super) async fn checksum(&self, stem: &str) -> Result<[u8; 32], StoreError> {
        match self.repository.sidecar(stem) {
            Sidecar::Sha256(sha256) => return Ok(sha256),
            Sidecar::Missing => {}
            Sidecar::Unreadable(problem) => return Err(local(format!("its .sha256 {problem}"))),
        }
        let opened = self.repository.open_as_it_lies(stem);
        let hashing = tokio::task::spawn_blocking(move || {
            let measured = seal::measure(opened.map_err(io::Error::other)?, &NEVER, &|_| {})?;
            measured.ok_or(io::ErrorKind::Interrupted.into())
        });
        let measured: io::Result<Measured> = joined(hashing.await);
        let measured = measured.map_err(|error| local(error.to_string()))?;
        Ok(measured.sha256)
    }
}

fn local(problem: String) -> StoreError {
    StoreError::new(StoreErrorKind::Local, problem, "")
}
