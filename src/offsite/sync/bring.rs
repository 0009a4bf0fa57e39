//! One archive to one place: as it lies here, or sealed on its way where `ENCRYPT_TO` says so and it is not sealed yet.

use super::super::checksums::{checksum, hash};
use super::super::copies::sidecar_of;
use super::super::record::CopyRecord;
use super::super::{answered, moving, needed};
use super::{Listing, Visit, label};
use crate::archive::file_name;
use crate::archive::seal::Measured;
use crate::notify::notifier::DifferingCopy;
use crate::report::ArchiveSummary;
use crate::store::remote::{Proof, Source, Store, StoreError, StoreErrorKind, Transfer};
use crate::sys::humanize;
use crate::sys::progress::{Meter, Unit};
use std::sync::Arc;
use std::time::Instant;

/// An archive, and what its copy there is called.
pub(super) struct Parcel<'p> {
    pub archive: &'p ArchiveSummary,
    /// Of the archive here.
    pub stem: &'p str,
    /// The file name of the copy.
    pub copy: String,
}

impl Parcel<'_> {
    pub(super) fn is_sealed_on_its_way(&self) -> bool {
        self.copy != self.archive.archive
    }
}

/// How it is that an archive is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Brought {
    /// It was, and nothing had to be sent or read.
    Already,
    Now,
}

impl Visit<'_> {
    /// Sees to it that one archive is there, and proven.
    pub(super) async fn bring(
        &mut self,
        store: &Store,
        archive: &ArchiveSummary,
        there: &Listing,
    ) -> Result<Brought, StoreError> {
        let stem = file_name::stem_of(&archive.archive).unwrap_or(&archive.archive);
        let copy = self.copy_name(archive, stem, there);
        let parcel = Parcel {
            archive,
            stem,
            copy,
        };
        let known = self.known(&parcel).await?;
        let there_bytes = there.get(&parcel.copy).copied();
        if let Some(damage) = known.as_ref().and_then(|copy| copy.damage.as_ref()) {
            let summary = format!("the copy {damage}");
            return Err(StoreError::new(StoreErrorKind::Differs, summary, ""));
        }
        let sidecar_name = sidecar_of(&parcel.copy);
        let has_sidecar = there.contains_key(&sidecar_name);
        let same_size = there_bytes == known.as_ref().map(|copy| copy.bytes);
        let needed = needed(self.settings);
        if has_sidecar && same_size && known.is_some_and(|copy| copy.counts(needed)) {
            return Ok(Brought::Already);
        }
        let (sent, proof, has_sidecar) = match there_bytes {
            Some(bytes) => {
                let expected = self.expected(store, &parcel, bytes, has_sidecar).await?;
                let proof = self.reread(store, &parcel, bytes, &expected).await?;
                (expected, proof, has_sidecar)
            }
            None => {
                let stays = has_sidecar && self.may_stay(store, &parcel, &sidecar_name).await?;
                let (sent, proof) = self.send(store, &parcel).await?;
                (sent, proof, stays)
            }
        };
        if !has_sidecar {
            let sha256 = hex::encode(sent.sha256);
            self.put_sidecar(store, &parcel.copy, &sha256).await?;
        }
        self.remember(&parcel, &sent, proof, None);
        Ok(Brought::Now)
    }

    /// Whether a `.sha256` whose archive is gone speaks of the archive that will be sent; one that does not is removed. What
    /// is sealed anew has another checksum than what was there before.
    async fn may_stay(
        &mut self,
        store: &Store,
        parcel: &Parcel<'_>,
        sidecar_name: &str,
    ) -> Result<bool, StoreError> {
        if !parcel.is_sealed_on_its_way() {
            let ours = self.checksum(parcel.stem).await?;
            match answered(self.settings, checksum(store, &parcel.copy)).await {
                Ok(theirs) if theirs == ours => return Ok(true),
                Ok(_) => {}
                Err(error) if error.is(StoreErrorKind::Differs) => {}
                Err(error) if error.is(StoreErrorKind::Missing) => return Ok(false),
                Err(error) => return Err(error),
            }
        }
        match answered(self.settings, store.remove(sidecar_name)).await {
            Ok(()) => Ok(false),
            Err(error) if error.is(StoreErrorKind::Missing) => Ok(false),
            Err(error) if error.is(StoreErrorKind::Unreachable) => Err(error),
            // The other archives can do without this.
            Err(error) => Err(StoreError::new(
                StoreErrorKind::Exists,
                format!(
                    "{sidecar_name} is there, but its archive is gone, and it cannot be removed: {}",
                    error.problem.summary
                ),
                "remove it there, and the archive is sent; it would not be what an old .sha256 says",
            )),
        }
    }

    /// What leaves is sealed where that is asked for. A copy that is there already counts in either form.
    fn copy_name(&self, archive: &ArchiveSummary, stem: &str, there: &Listing) -> String {
        let as_it_lies = archive.archive.clone();
        if file_name::is_sealed(&as_it_lies) {
            return as_it_lies;
        }
        let sealed = file_name::sealed(stem);
        let (wanted, other) = match self.settings.encrypt.to.is_empty() {
            true => (as_it_lies, sealed),
            false => (sealed, as_it_lies),
        };
        match there.contains_key(&other) && !there.contains_key(&wanted) {
            true => other,
            false => wanted,
        }
    }

    /// What is to be sent.
    async fn source(
        &self,
        parcel: &Parcel<'_>,
        transfer: &Arc<Transfer>,
    ) -> Result<Source, StoreError> {
        let (stem, bytes) = (parcel.stem, parcel.archive.archive_bytes);
        let sha256 = self.checksum(stem).await?;
        let file = self.repository.open_as_it_lies(stem);
        let file =
            file.map_err(|error| StoreError::new(StoreErrorKind::Local, error.to_string(), ""))?;
        if parcel.is_sealed_on_its_way() {
            let (to, announce) = (&self.settings.encrypt.to, self.note(parcel).announce());
            return Source::sealed(file, bytes, sha256, to, announce, transfer);
        }
        let path = self.repository.archive_path(stem);
        Ok(Source::of_file(file, path, bytes, sha256, transfer))
    }

    /// Sends an archive; what was sent, and what is known of the copy then.
    async fn send(
        &mut self,
        store: &Store,
        parcel: &Parcel<'_>,
    ) -> Result<(Measured, Proof), StoreError> {
        let begun = Instant::now();
        let transfer = Transfer::new(self.settings.offsite.bandwidth);
        let source = self.source(parcel, &transfer).await?;
        let (bytes, outcome) = (source.bytes(), source.outcome());
        let meter = self.meter("copying", &parcel.copy, bytes);
        let putting = store.put(&parcel.copy, source);
        let result = moving(self.settings, &transfer, &meter, putting).await;
        drop(meter);
        let proof = match (result, outcome.get()) {
            // What never got its name is sent again; what has it is an alarm.
            (Err(error), Some(sent)) if error.is(StoreErrorKind::Differs) => {
                let there = answered(self.settings, store.size(&parcel.copy)).await;
                return Err(match there {
                    Ok(Some(_)) => self.alarm(parcel, &sent, error),
                    _ => error,
                });
            }
            (result, _) => result?,
        };
        let incomplete = || {
            let summary = "the place says that it has all of it, before all of it was sent";
            StoreError::new(StoreErrorKind::Other, summary, "")
        };
        let sent = outcome.get().ok_or_else(incomplete)?;
        let proof = match proof < needed(self.settings) {
            true => self.reread(store, parcel, sent.bytes, &sent).await?,
            false => proof,
        };
        let sealed = match parcel.is_sealed_on_its_way() {
            true => "sealed and ",
            false => "",
        };
        tracing::info!(
            "{} {sealed}copied to {}: {} in {}, {}",
            parcel.archive.archive,
            self.shown,
            humanize::bytes(sent.bytes),
            humanize::duration(begun.elapsed()),
            label(proof)
        );
        Ok((sent, proof))
    }

    /// Holds what is there against what was sent.
    async fn reread(
        &mut self,
        store: &Store,
        parcel: &Parcel<'_>,
        there_bytes: u64,
        expected: &Measured,
    ) -> Result<Proof, StoreError> {
        let differs = |problem: String| StoreError::new(StoreErrorKind::Differs, problem, "");
        if there_bytes != expected.bytes {
            let problem = format!("has {there_bytes} bytes instead of {}", expected.bytes);
            return Err(self.alarm(parcel, expected, differs(problem)));
        }
        let meter = self.meter("reading back", &parcel.copy, there_bytes);
        let found = hash(self.settings, store, &parcel.copy, there_bytes, &meter).await?;
        if found != (expected.bytes, expected.sha256) {
            let problem = "is not what was sent: its SHA-256 differs".to_owned();
            return Err(self.alarm(parcel, expected, differs(problem)));
        }
        Ok(Proof::Read)
    }

    pub(super) fn alarm(
        &mut self,
        parcel: &Parcel,
        expected: &Measured,
        error: StoreError,
    ) -> StoreError {
        let damage = error.problem.summary.clone();
        self.remember(parcel, expected, Proof::Sent, Some(damage.clone()));
        self.differing.push(DifferingCopy {
            place: self.shown.clone(),
            archive: parcel.archive.archive.clone(),
            damage,
        });
        StoreError::new(
            error.kind,
            format!("the copy {}", error.problem.summary),
            "it stays as it is: see why, then remove it there",
        )
    }

    fn remember(&mut self, parcel: &Parcel, sent: &Measured, proof: Proof, damage: Option<String>) {
        let copy = CopyRecord {
            made_at: parcel.archive.made_by_manifest(),
            bytes: sent.bytes,
            sha256: hex::encode(sent.sha256),
            proof,
            at: (self.ctx.now)(),
            damage,
            is_bare: false,
        };
        let known = self.book.place(self.place);
        known.copies.insert(parcel.copy.clone(), copy);
        if self.book.save().is_ok() {
            self.note(parcel).forget();
        }
    }

    pub(super) fn meter(&self, what: &str, name: &str, bytes: u64) -> Arc<Meter> {
        let what = format!("{what} {name}");
        Meter::new(&what, Unit::Bytes, Some(bytes), &self.ctx.screen)
    }
}
