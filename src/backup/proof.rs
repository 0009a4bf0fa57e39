//! What every archive goes through before it gets its name: synced, read back from the disk, verified, sealed.

use super::commit::UncommittedArchive;
use super::error::{JobError, Stage};
use super::sealing::{self, Plain, SealedPartial};
use crate::archive::container::{ArchiveSink, Plan, WriteError};
use crate::archive::file_name;
use crate::archive::manifest::{Manifest, Server};
use crate::archive::sidecar::Sidecar;
use crate::archive::source::Source;
use crate::archive::verify;
use crate::archive::verify::report::VerifyReport;
use crate::context::Context;
use crate::offsite::record;
use crate::settings::Settings;
use crate::store::locked::LockedRepository;
use crate::sys::atomic_file::Partial;
use crate::sys::cancel::{Cancel, Interruption};
use crate::sys::humanize;
use crate::sys::progress::{Meter, Unit, showing};
use std::cell::Cell;
use std::sync::Arc;
use tokio::time::Instant;

/// An archive that is written, and not yet proven.
pub(super) struct Dumped {
    pub partial: Partial,
    pub stem: String,
    pub manifest: Manifest,
    pub archive_bytes: u64,
    pub dump_seconds: f64,
    pub warnings: Vec<String>,
}

/// What proving an archive takes.
pub(super) struct Proof<'j> {
    pub settings: &'j Settings,
    pub ctx: &'j Context,
    pub cancel: &'j Cancel,
    pub repository: &'j LockedRepository,
    pub stage: &'j Cell<Stage>,
}

impl Proof<'_> {
    /// The stem of an archive that begins now. A copy elsewhere keeps its name to itself also when its archive is gone here
    /// and the clock was set back: the new one could not be copied there, and would look like damage.
    pub(super) fn free_stem(&self) -> String {
        let copies = record::read(self.repository, &self.settings.offsite.places);
        let (now, compression) = ((self.ctx.now)(), self.settings.compression);
        self.repository
            .free_stem(now, compression, |name| copies.knows(name))
    }

    /// Begins an archive in this file, as the settings want archives; so many of its blocks may wait to be compressed.
    pub(super) fn sink(
        &self,
        partial: &Partial,
        stem: &str,
        server: Server,
        waiting: usize,
    ) -> Result<ArchiveSink, JobError> {
        let plan = Plan {
            name: file_name::bare(stem).to_owned(),
            compression: self.settings.compression,
            level: self.settings.compression_level,
            threads: self.settings.threads,
            waiting,
            started_at: (self.ctx.now)(),
            server,
        };
        ArchiveSink::create(partial.file(), plan).map_err(|error| self.write_error(error))
    }

    /// Reads an archive back, against what was in memory while it was written, and seals it where that is wanted.
    pub(super) async fn prove(&self, dumped: Dumped) -> Result<UncommittedArchive, JobError> {
        let Dumped {
            partial,
            stem,
            manifest,
            archive_bytes,
            dump_seconds,
            warnings,
        } = dumped;
        self.stage.set(Stage::Verify);
        let verify_begun = Instant::now();
        let verified = self.read_back(&partial, &manifest, archive_bytes).await?;
        let sha256 = verified
            .sha256
            .clone()
            .ok_or_else(|| JobError::NotSound("it has no checksum".into()))?;
        let verify_seconds = verify_begun.elapsed().as_secs_f64();
        tracing::info!(
            "read back from the disk in {verify_seconds:.1} s: every document and checksum is as it was dumped"
        );
        let sealed = self.seal(&partial, &stem, &manifest, archive_bytes).await?;
        Ok(UncommittedArchive {
            partial,
            sealed,
            stem,
            manifest,
            verified,
            sha256,
            archive_bytes,
            dump_seconds,
            verify_seconds,
            warnings,
        })
    }

    /// Syncs the archive and reads it from the disk, against what was in memory while it was written.
    async fn read_back(
        &self,
        partial: &Partial,
        manifest: &Manifest,
        archive_bytes: u64,
    ) -> Result<VerifyReport, JobError> {
        let synced = partial.file();
        let sync = self.cancel.blocking(move |_| synced.sync_all()).await?;
        sync.map_err(|error| self.write_error(error.into()))?;
        let source = Source::file(partial.reopen_uncached()?)
            .map_err(|error| self.write_error(error.into()))?;
        let meter = Meter::new(
            "verifying",
            Unit::Bytes,
            Some(archive_bytes),
            &self.ctx.screen,
        );
        let (threads, name, shown) = (
            self.settings.threads,
            manifest.archive.clone(),
            Arc::clone(&meter),
        );
        let reading = self.cancel.blocking(move |cancelled| {
            let moved = |bytes| shown.set(bytes);
            verify::verify(
                &name,
                source,
                &Sidecar::Missing,
                &verify::Options {
                    threads,
                    cancelled,
                    moved: &moved,
                },
            )
        });
        let verified = showing(&meter, reading).await?;
        let report = verified.map_err(|_| JobError::Interrupted(Interruption::Cancelled))?;
        let problem = report.faults().next();
        if let Some(problem) = problem {
            return Err(JobError::NotSound(problem));
        }
        if !report.sound
            || !verify::same_namespaces(&report, manifest)
            || report.archive_bytes != archive_bytes
        {
            return Err(JobError::NotSound(
                "it holds other collections than were dumped".into(),
            ));
        }
        Ok(report)
    }

    /// Seals the verified archive, where what stays is sealed too.
    async fn seal(
        &self,
        partial: &Partial,
        stem: &str,
        manifest: &Manifest,
        archive_bytes: u64,
    ) -> Result<Option<SealedPartial>, JobError> {
        let encrypt = &self.settings.encrypt;
        if !encrypt.local {
            return Ok(None);
        }
        self.stage.set(Stage::Seal);
        let begun = Instant::now();
        let plain = Plain {
            partial,
            stem,
            archive_bytes,
            manifest,
        };
        let screen = &self.ctx.screen;
        let sealing = sealing::seal(self.repository, encrypt, &plain, screen, self.cancel);
        let sealed = sealing.await?;
        tracing::info!(
            "sealed for {} in {:.1} s, and read back: {}",
            humanize::counted(encrypt.to.len() as u64, "key"),
            begun.elapsed().as_secs_f64(),
            humanize::bytes(sealed.record.archive_bytes),
        );
        Ok(Some(sealed))
    }

    pub(super) fn write_error(&self, error: WriteError) -> JobError {
        let folder = self.repository.folder().display().to_string();
        JobError::Write {
            error,
            folder,
            free_bytes: self.repository.free_bytes(),
        }
    }
}
