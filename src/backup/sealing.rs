//! A verified archive is sealed: in one pass over the finished file, into a second one, which is synced and read back.

use super::error::JobError;
use crate::archive::container::WriteError;
use crate::archive::file_name;
use crate::archive::manifest::Manifest;
use crate::archive::seal::{self, Recipient};
use crate::settings::EncryptSettings;
use crate::store::locked::LockedRepository;
use crate::store::sealed::SealedRecord;
use crate::sys::atomic_file::Partial;
use crate::sys::cancel::{Cancel, Interruption};
use crate::sys::progress::{Meter, Screen, Unit, showing};
use std::io;
use std::sync::Arc;

/// A sealed archive that was read back, and what is known of it.
pub(super) struct SealedPartial {
    pub partial: Partial,
    pub stem: String,
    pub record: SealedRecord,
}

/// An archive that was verified, and is to be sealed.
pub(super) struct Plain<'p> {
    pub partial: &'p Partial,
    pub stem: &'p str,
    pub archive_bytes: u64,
    pub manifest: &'p Manifest,
}

/// Seals an archive; the plain one stays.
pub(super) async fn seal(
    repository: &LockedRepository,
    encrypt: &EncryptSettings,
    plain: &Plain<'_>,
    screen: &Screen,
    cancel: &Cancel,
) -> Result<SealedPartial, JobError> {
    let stem = file_name::sealed(plain.stem);
    let partial = repository.begin(&stem)?;
    let failed = |error: io::Error| JobError::Write {
        error: WriteError::Write(error),
        folder: repository.folder().display().to_string(),
        free_bytes: repository.free_bytes(),
    };
    let meter = Meter::new("sealing", Unit::Bytes, Some(plain.archive_bytes), screen);
    let (input, output) = (plain.partial.reopen_uncached()?, partial.file());
    let (to, shown) = (encrypt.to.clone(), Arc::clone(&meter));
    let sealing = cancel.blocking(move |cancelled| {
        let moved = |bytes| shown.set(bytes);
        seal::seal(input, &mut &*output, &to, cancelled, &moved)
    });
    let written = showing(&meter, sealing).await?.map_err(failed)?;
    let written = written.ok_or(JobError::Interrupted(Interruption::Cancelled))?;
    partial.sync()?;
    let meter = Meter::new("verifying", Unit::Bytes, Some(written.bytes), screen);
    let (file, shown) = (partial.reopen_uncached()?, Arc::clone(&meter));
    let reading = cancel.blocking(move |cancelled| {
        let moved = |bytes| shown.set(bytes);
        seal::measure(file, cancelled, &moved)
    });
    let read = showing(&meter, reading).await?.map_err(failed)?;
    let read = read.ok_or(JobError::Interrupted(Interruption::Cancelled))?;
    if read != written {
        return Err(JobError::NotSound("its sealed bytes changed".into()));
    }
    let record = SealedRecord {
        archive_bytes: written.bytes,
        sha256: hex::encode(written.sha256),
        recipients: encrypt.to.iter().map(Recipient::short).collect(),
        manifest: plain.manifest.clone(),
    };
    Ok(SealedPartial {
        partial,
        stem,
        record,
    })
}
