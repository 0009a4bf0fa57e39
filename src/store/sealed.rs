//! What is known of sealed archives without their key: what was in them when they were sealed and verified.
//!
//! Losing these notes loses no backup: with the key, the archives say it themselves.

use super::error::OpenError;
use super::repository::Repository;
use crate::archive::container::{self, Opened};
use crate::archive::file_name;
use crate::archive::manifest::Manifest;
use crate::archive::seal;
use crate::archive::source::Source;
use crate::sys::atomic_file::{self, FileError};
use serde::{Deserialize, Serialize};
use std::fs;
use std::path::PathBuf;

/// Where the notes lie, a file for each archive.
const FOLDER: &str = "sealed";

/// An archive as it was when it was sealed, right after it was verified.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct SealedRecord {
    /// Of the sealed file.
    pub archive_bytes: u64,
    /// Of the sealed file, in hexadecimal.
    pub sha256: String,
    /// To whom it was sealed.
    pub recipients: Vec<String>,
    pub manifest: Manifest,
}

/// Notes for whom an archive was sealed that a key has opened here.
const OPENED_FILE: &str = "opened.json";

/// What a glance at a sealed archive shows.
pub(super) struct SealedGlance {
    pub manifest: Option<Manifest>,
    pub damage: Option<String>,
}

impl Repository {
    fn sealed_record_path(&self, stem: &str) -> PathBuf {
        self.own_folder().join(FOLDER).join(format!("{stem}.json"))
    }

    /// Keeps what is known of an archive that is being sealed.
    pub(super) fn record_sealed(&self, stem: &str, record: &SealedRecord) -> Result<(), FileError> {
        let path = self.sealed_record_path(stem);
        atomic_file::create_folder(&self.own_folder().join(FOLDER))?;
        let json = serde_json::to_vec(record)
            .map_err(|error| FileError::new("write", &path, error.into()))?;
        atomic_file::replace(&path, &json)
    }

    /// What was noted when an archive was sealed.
    pub(crate) fn sealed_record(&self, stem: &str) -> Option<SealedRecord> {
        if !file_name::is_sealed(&file_name::archive(stem)) {
            return None;
        }
        let json = fs::read(self.sealed_record_path(stem)).ok()?;
        let record: SealedRecord = serde_json::from_slice(&json).ok()?;
        (record.manifest.archive == file_name::bare(stem)).then_some(record)
    }

    /// Keeps that a key was tried, and fits.
    pub(crate) fn note_opened(&self, stem: &str) {
        let Some(record) = self.sealed_record(stem) else {
            return;
        };
        if self.opened_for() == record.recipients {
            return;
        }
        let path = self.own_folder().join(FOLDER).join(OPENED_FILE);
        // No more than advice hangs on it.
        if let Ok(json) = serde_json::to_vec(&record.recipients) {
            let _ = atomic_file::replace(&path, &json);
        }
    }

    /// Opens an archive to be read. A sealed one takes a key.
    pub(crate) fn open(&self, stem: &str) -> Result<Source, OpenError> {
        let (name, file) = (file_name::archive(stem), self.open_file(stem)?);
        if !file_name::is_sealed(&name) {
            return Ok(file);
        }
        let unsealed = seal::unseal(file, &self.keyring);
        let source = unsealed.map_err(|error| OpenError::Unseal { name, error })?;
        self.note_opened(stem);
        Ok(source)
    }

    /// For whom the archive was sealed that a key opened last.
    pub(crate) fn opened_for(&self) -> Vec<String> {
        let path = self.own_folder().join(FOLDER).join(OPENED_FILE);
        let json = fs::read(path).unwrap_or_default();
        serde_json::from_slice(&json).unwrap_or_default()
    }

    pub(super) fn forget_sealed(&self, stem: &str) {
        // A note about nothing misleads nobody.
        let _ = fs::remove_file(self.sealed_record_path(stem));
    }

    /// A glance at a sealed archive. Asks for no passphrase.
    pub(super) fn glance_at_sealed(&self, stem: &str, archive_bytes: u64) -> SealedGlance {
        if let Some(record) = self.sealed_record(stem) {
            let damage = (record.archive_bytes != archive_bytes).then(|| {
                format!(
                    "it has {archive_bytes} bytes, and had {} when it was sealed and verified",
                    record.archive_bytes
                )
            });
            let manifest = damage.is_none().then_some(record.manifest);
            return SealedGlance { manifest, damage };
        }
        let nothing = SealedGlance {
            manifest: None,
            damage: None,
        };
        if !self.keyring.is_open() {
            return nothing;
        }
        let opened = self.open(stem).map_err(|error| error.to_string());
        match opened.and_then(|source| container::open(source).map_err(|error| error.to_string())) {
            Ok(Opened::Native(native)) => SealedGlance {
                manifest: Some(native.manifest),
                damage: None,
            },
            Ok(Opened::Untrusted(_)) => nothing,
            Err(problem) => SealedGlance {
                manifest: None,
                damage: Some(problem),
            },
        }
    }
}
