//! Bringing a copy home: it gets its name here only when it is whole, synced, and verified like an archive just made. That takes
//! hours where the line is slow, in which backups are made as ever: the folder is locked for the name alone.

use super::checksums::checksum;
use super::copies::Copy;
use super::{answered, moving, open};
use crate::archive::file_name;
use crate::archive::seal::Measured;
use crate::archive::sidecar::Sidecar;
use crate::archive::source::Source;
use crate::archive::verify::{self, report::VerifyReport};
use crate::context::Context;
use crate::settings::{OffsitePlace, Settings};
use crate::store::locked::{Fetching, LockedRepository};
use crate::store::remote::{Comparison, Store, StoreError, StoreErrorKind, Transfer};
use crate::store::repository::{KEPT_FREE, Repository, RepositoryError, RepositoryLockError};
use crate::store::summary::VerificationRecord;
use crate::sys::atomic_file::{FileError, Partial};
use crate::sys::cancel::Interruption;
use crate::sys::humanize;
use crate::sys::progress::{Meter, Unit};
use std::io::{self, Write};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// How long until the lock of the backup folder is tried again.
const BETWEEN_TRIES: Duration = Duration::from_millis(500);

/// Why an archive is not here.
#[derive(Debug, thiserror::Error)]
pub(crate) enum FetchError {
    #[error("{0}")]
    Store(StoreError),
    #[error(transparent)]
    Repository(#[from] RepositoryError),
    #[error(transparent)]
    Lock(#[from] RepositoryLockError),
    #[error(transparent)]
    File(#[from] FileError),
    #[error("the disk of {} has no room for it: it takes {}, and {} are free, of which backups need some", folder.display(), humanize::bytes(*bytes), humanize::bytes(*free))]
    NoRoom {
        folder: PathBuf,
        bytes: u64,
        free: u64,
    },
    #[error("the copy arrived, but it is damaged: {0}")]
    Damaged(String),
    #[error(transparent)]
    Stopped(#[from] Interruption),
}

impl FetchError {
    /// Whether it speaks of the copy or its place: another copy may do.
    pub(crate) fn is_of_the_copy(&self) -> bool {
        matches!(self, Self::Store(_) | Self::Damaged(_))
    }
}

impl From<StoreError> for FetchError {
    fn from(error: StoreError) -> Self {
        FetchError::Store(error)
    }
}

/// Refuses what would leave backups no room.
fn check_room(repository: &Repository, bytes: u64) -> Result<(), FetchError> {
    match repository.free_bytes() {
        Some(free) if free < bytes.saturating_add(KEPT_FREE) => Err(FetchError::NoRoom {
            folder: repository.folder().to_owned(),
            bytes,
            free,
        }),
        _ => Ok(()),
    }
}

/// Refuses what is not what was sent, before it is read for hours: whoever can replace a copy can replace its `.sha256` too.
fn check_identity(copy: &Copy, sha256: [u8; 32]) -> Result<(), FetchError> {
    let bytes = copy.archive_bytes;
    let there = Measured { bytes, sha256 };
    if copy.expected.as_ref().is_none_or(|sent| *sent == there) {
        return Ok(());
    }
    Err(FetchError::Store(StoreError::new(
        StoreErrorKind::Differs,
        format!(
            "the copy of {} or its .sha256 is not what was sent",
            copy.archive
        ),
        format!(
            "`pantry-keeper verify --offsite {}` tells which",
            copy.archive
        ),
    )))
}

/// Brings one copy home under its own name, which must be free here; what its verification showed.
pub(crate) async fn fetch(
    settings: &Settings,
    ctx: &Context,
    fetching: &Fetching,
    place: &OffsitePlace,
    copy: &Copy,
) -> Result<VerifyReport, FetchError> {
    let stem = file_name::stem_of(&copy.archive).unwrap_or(&copy.archive);
    let store = ctx.cancel.or(open(settings, ctx, place)).await??;
    let reading = answered(settings, checksum(&store, &copy.archive));
    let sha256 = ctx.cancel.or(reading).await??;
    check_identity(copy, sha256)?;
    let repository = fetching.repository();
    check_room(repository, copy.archive_bytes)?;
    let partial = fetching.begin(stem)?;
    download(settings, ctx, &store, copy, sha256, &partial).await?;
    partial.sync()?;
    let report = prove(
        settings,
        ctx,
        &copy.archive,
        partial.reopen_uncached()?,
        sha256,
    )
    .await?;
    if !report.sound {
        let faults: Vec<String> = report.faults().collect();
        return Err(FetchError::Damaged(faults.join("; ")));
    }
    let verification = VerificationRecord {
        at: (ctx.now)(),
        archive_bytes: copy.archive_bytes,
        damage: None,
        drilled_at: None,
    };
    let locked = locked(ctx, repository).await?;
    for problem in locked.commit(partial, stem, &hex::encode(sha256), verification)? {
        tracing::warn!("{problem}");
    }
    Ok(report)
}

/// Reads a copy into the file that will become the archive, and holds it against its checksum.
async fn download(
    settings: &Settings,
    ctx: &Context,
    store: &Store,
    copy: &Copy,
    sha256: [u8; 32],
    partial: &Partial,
) -> Result<(), FetchError> {
    let transfer = Transfer::new(None);
    let mut comparison = Comparison::new(&transfer);
    let file = partial.file();
    // An error of this disk is not one of the copy's.
    let mut unwritten = None;
    let mut sink = |piece: &[u8]| {
        (&*file).write_all(piece).map_err(|error| {
            let kind = error.kind();
            unwritten = Some(error);
            io::Error::from(kind)
        })?;
        comparison.update(piece);
        Ok(())
    };
    let what = format!("fetching {}", copy.archive);
    let meter = Meter::new(&what, Unit::Bytes, Some(copy.archive_bytes), &ctx.screen);
    let reading = store.read(&copy.archive, 0..copy.archive_bytes, &mut sink);
    let reading = moving(settings, &transfer, &meter, reading);
    let read = ctx.cancel.or(reading).await?;
    drop(meter);
    if let Some(error) = unwritten {
        return Err(FileError::new("write", partial.path(), error).into());
    }
    read?;
    if comparison.finish() != (copy.archive_bytes, sha256) {
        return Err(FetchError::Store(StoreError::new(
            StoreErrorKind::Differs,
            "what arrived is not what its .sha256 says",
            "try another copy; `pantry-keeper list --offsite` shows them",
        )));
    }
    Ok(())
}

/// The backup folder for what gives a name in it, as soon as whoever is at work there is done.
async fn locked(ctx: &Context, repository: &Repository) -> Result<LockedRepository, FetchError> {
    let mut is_told = false;
    loop {
        match repository.lock(false) {
            Err(error) if error.is_busy() => {
                if !std::mem::replace(&mut is_told, true) {
                    tracing::info!("{error}: what was fetched waits for its end");
                }
                ctx.cancel.or(tokio::time::sleep(BETWEEN_TRIES)).await?;
            }
            locked => return Ok(locked?),
        }
    }
}

async fn prove(
    settings: &Settings,
    ctx: &Context,
    name: &str,
    file: std::fs::File,
    sha256: [u8; 32],
) -> Result<VerifyReport, Interruption> {
    let bytes = file.metadata().ok().map(|metadata| metadata.len());
    let meter = Meter::new("verifying", Unit::Bytes, bytes, &ctx.screen);
    let (threads, shown, name) = (settings.threads, Arc::clone(&meter), name.to_owned());
    let keyring = settings.encrypt.keyring.clone();
    let reading = ctx.cancel.blocking(move |cancelled| {
        let moved = |bytes| shown.set(bytes);
        let options = verify::Options {
            threads,
            cancelled,
            moved: &moved,
        };
        let sidecar = Sidecar::Sha256(sha256);
        match Source::file(file) {
            Ok(file) => verify::verify_file(&name, file, &keyring, None, &sidecar, &options),
            Err(error) => Ok(VerifyReport::unreadable(&name, error.to_string())),
        }
    });
    let report = crate::sys::progress::showing(&meter, reading).await?;
    report.map_err(|_| Interruption::Cancelled)
}
