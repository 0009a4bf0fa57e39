//! The last step: an archive gets its name.

use super::error::JobError;
use super::sealing::SealedPartial;
use crate::archive::manifest::Manifest;
use crate::archive::verify::report::VerifyReport;
use crate::context::Context;
use crate::report::BackupReport;
use crate::store::locked::LockedRepository;
use crate::store::summary::VerificationRecord;
use crate::sys::atomic_file::Partial;
use tokio::time::Instant;

/// An archive that was read back and found sound, but has no name yet.
pub(super) struct UncommittedArchive {
    pub partial: Partial,
    /// The same sealed, which then gets the name.
    pub sealed: Option<SealedPartial>,
    pub stem: String,
    pub manifest: Manifest,
    pub verified: VerifyReport,
    pub sha256: String,
    pub archive_bytes: u64,
    pub dump_seconds: f64,
    pub verify_seconds: f64,
    pub warnings: Vec<String>,
}

impl UncommittedArchive {
    /// Gives it its name. What goes wrong after that is a warning.
    pub(super) fn commit(
        self,
        repository: &LockedRepository,
        begun: Instant,
        attempts: u32,
        mut warnings: Vec<String>,
        ctx: &Context,
    ) -> Result<BackupReport, JobError> {
        let record = self.sealed.as_ref().map(|sealed| &sealed.record);
        let archive_bytes = record.map_or(self.archive_bytes, |record| record.archive_bytes);
        let sha256 = record.map_or(self.sha256, |record| record.sha256.clone());
        let verification = VerificationRecord {
            at: (ctx.now)(),
            archive_bytes,
            damage: None,
            drilled_at: None,
        };
        let mut stem = self.stem;
        let problems = match self.sealed {
            Some(sealed) => {
                stem = sealed.stem;
                repository.commit_sealed(sealed.partial, &stem, &sealed.record, verification)?
            }
            None => repository.commit(self.partial, &stem, &sha256, verification)?,
        };
        warnings.extend(
            problems
                .iter()
                .map(|problem| format!("the archive is safe, but {problem}")),
        );
        let path = repository.archive_path(&stem);
        let report = BackupReport {
            archive: path
                .file_name()
                .unwrap_or_default()
                .to_string_lossy()
                .into_owned(),
            path: path.display().to_string(),
            started_at: self.manifest.started_at,
            archive_bytes,
            documents: self.manifest.documents,
            bytes: self.manifest.bytes,
            namespaces: self.verified.namespaces.len() as u64,
            sha256,
            point_in_time: self.manifest.point_in_time,
            server_version: self.manifest.server.version,
            mongodump_version: self.manifest.mongodump_version,
            attempts,
            dump_seconds: self.dump_seconds,
            verify_seconds: self.verify_seconds,
            elapsed_seconds: begun.elapsed().as_secs_f64(),
            warnings,
        };
        for warning in &report.warnings {
            tracing::warn!("{warning}");
        }
        Ok(report)
    }
}
