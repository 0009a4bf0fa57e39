//! What can be said of archives without reading them through: from their ends, and from earlier readings.

use super::find::OVERLAP;
use super::repository::Repository;
use super::repository::RepositoryError;
use super::sealed::SealedGlance;
use crate::archive::container::{self, Opened};
use crate::archive::file_name;
use crate::archive::manifest::Manifest;
use crate::archive::source::Source;
use crate::report::ArchiveSummary;
use crate::sys::atomic_file::{self, FileError};
use crate::sys::lock::Lock;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

const VERIFIED_FILE: &str = "verified.json";

/// What the last reading of an archive from end to end showed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct VerificationRecord {
    pub at: DateTime<Utc>,
    /// The archive it was about: another file of the same name is another matter.
    pub archive_bytes: u64,
    /// None when it was sound.
    pub damage: Option<String>,
    /// When a restore of it was last compared with it, document by document, and found equal.
    #[serde(default)]
    pub drilled_at: Option<DateTime<Utc>>,
}

/// What glances at archives have shown, as long as their files stay as they are. Small enough for thousands of them.
#[derive(Debug, Default)]
pub(crate) struct Glances(BTreeMap<String, (FileStamp, Glance)>);

/// What changes when another file takes the place of one, or it is written to.
#[derive(Debug, PartialEq, Eq)]
struct FileStamp {
    file: (u64, u64),
    bytes: u64,
    changed_at: (i64, i64),
}

impl FileStamp {
    fn of(path: &Path) -> Option<Self> {
        let metadata = fs::symlink_metadata(path).ok()?;
        Some(FileStamp {
            file: (metadata.dev(), metadata.ino()),
            bytes: metadata.len(),
            changed_at: (metadata.ctime(), metadata.ctime_nsec()),
        })
    }
}

/// What the ends of an archive show.
#[derive(Debug)]
struct Glance {
    archive_bytes: u64,
    /// None when it is not one of ours, or cannot be read.
    contents: Option<Contents>,
    damage: Option<String>,
}

/// A manifest without its namespaces.
#[derive(Debug)]
struct Contents {
    started_at: DateTime<Utc>,
    finished_at: DateTime<Utc>,
    documents: u64,
    namespaces: u64,
    point_in_time: bool,
}

impl Contents {
    fn of(manifest: &Manifest) -> Self {
        Contents {
            started_at: manifest.started_at,
            finished_at: manifest.finished_at,
            documents: manifest.documents,
            namespaces: manifest.namespaces.len() as u64,
            point_in_time: manifest.point_in_time,
        }
    }
}

impl Repository {
    /// What a glance at an archive shows; reads its ends, not its middle.
    pub(crate) fn summary(&self, stem: &str) -> ArchiveSummary {
        let verification = self.verifications().remove(stem);
        self.summary_with(stem, verification)
    }

    /// A glance at every archive.
    pub(crate) fn list(&self) -> Result<Vec<ArchiveSummary>, RepositoryError> {
        self.list_with(&mut Glances::default())
    }

    /// The same for who looks again and again: only what is new since the last time is opened.
    pub(crate) fn list_with(
        &self,
        glances: &mut Glances,
    ) -> Result<Vec<ArchiveSummary>, RepositoryError> {
        let mut verifications = self.verifications();
        let mut before = std::mem::take(&mut glances.0);
        let mut listed = Vec::new();
        for stem in self.stems()? {
            let stamp = FileStamp::of(&self.archive_path(&stem));
            let known = before
                .remove(&stem)
                .filter(|(then, _)| stamp.as_ref() == Some(then));
            let glance = known.map_or_else(|| self.glance(&stem), |(_, glance)| glance);
            listed.push(self.listed(&stem, &glance, verifications.remove(&stem)));
            if let Some(stamp) = stamp {
                glances.0.insert(stem, (stamp, glance));
            }
        }
        Ok(listed)
    }

    /// The newest archive that was verified. Of those whose names, in local time, lie close together, the manifests know the
    /// order; older ones are not even opened.
    pub(crate) fn newest_good(&self) -> Option<ArchiveSummary> {
        let mut verifications = self.verifications();
        let mut look = |stem: String| {
            let verification = verifications.remove(&stem);
            self.summary_with(&stem, verification)
        };
        let time = |stem: &str| file_name::time_of(&self.prefix, stem);
        let mut stems = self.stems().ok()?;
        let (from, last_by_name) = loop {
            let stem = stems.pop()?;
            let from = time(&stem).and_then(|time| time.checked_sub_signed(OVERLAP));
            let summary = look(stem);
            if summary.is_good() {
                break (from, summary);
            }
        };
        let near = stems
            .into_iter()
            .rev()
            .take_while(|stem| time(stem) >= from);
        let good = near.map(look).filter(ArchiveSummary::is_good);
        good.chain([last_by_name])
            .max_by_key(|summary| summary.made_at)
    }

    fn summary_with(&self, stem: &str, verification: Option<VerificationRecord>) -> ArchiveSummary {
        self.listed(stem, &self.glance(stem), verification)
    }

    fn glance(&self, stem: &str) -> Glance {
        let opened = self.open_file(stem).map_err(|error| error.to_string());
        let archive_bytes = opened.as_ref().map_or(0, Source::length);
        if file_name::is_sealed(&file_name::archive(stem)) && opened.is_ok() {
            let SealedGlance { manifest, damage } = self.glance_at_sealed(stem, archive_bytes);
            return Glance {
                archive_bytes,
                contents: manifest.as_ref().map(Contents::of),
                damage,
            };
        }
        let (contents, damage) = match opened
            .and_then(|source| container::open(source).map_err(|error| error.to_string()))
        {
            Ok(Opened::Native(native)) => (Some(Contents::of(&native.manifest)), None),
            Ok(Opened::Untrusted(_)) => (None, None),
            Err(problem) => (None, Some(problem)),
        };
        Glance {
            archive_bytes,
            contents,
            damage,
        }
    }

    fn listed(
        &self,
        stem: &str,
        glance: &Glance,
        verification: Option<VerificationRecord>,
    ) -> ArchiveSummary {
        let named = || {
            file_name::time_of(&self.prefix, stem)?
                .and_local_timezone(self.time_zone)
                .earliest()
                .map(|at| at.to_utc())
        };
        let contents = glance.contents.as_ref();
        let verification =
            verification.filter(|verification| verification.archive_bytes == glance.archive_bytes);
        let damage = glance.damage.clone().or_else(|| {
            verification
                .as_ref()
                .and_then(|verification| verification.damage.clone())
        });
        // A final name of ours is only given to what was verified, right after its dump ended.
        let verified_at = match (&damage, &verification) {
            (Some(_), _) => None,
            (None, Some(verification)) => Some(verification.at),
            (None, None) => contents.map(|contents| contents.finished_at),
        };
        let drilled_at = verification
            .as_ref()
            .and_then(|verification| verification.drilled_at);
        ArchiveSummary {
            archive: file_name::archive(stem),
            made_at: contents.map(|contents| contents.started_at).or_else(named),
            archive_bytes: glance.archive_bytes,
            documents: contents.map(|contents| contents.documents),
            namespaces: contents.map(|contents| contents.namespaces),
            point_in_time: contents.map(|contents| contents.point_in_time),
            verified_at,
            drilled_at,
            damage,
            kept: Vec::new(),
            goes_at: None,
            copies: Vec::new(),
        }
    }

    /// What an archive says it holds; none when it is not one of native, or cannot be read.
    pub(crate) fn manifest(&self, stem: &str) -> Option<Manifest> {
        if let Some(record) = self.sealed_record(stem) {
            return Some(record.manifest);
        }
        match container::open(self.open(stem).ok()?).ok()? {
            Opened::Native(native) => Some(native.manifest),
            Opened::Untrusted(_) => None,
        }
    }

    /// Keeps what a reading from end to end showed.
    pub(crate) fn record_verification(
        &self,
        stem: &str,
        verification: VerificationRecord,
    ) -> Result<(), FileError> {
        self.keep(stem, |before| {
            // A drill proved the very same file.
            let before = before.filter(|before| before.archive_bytes == verification.archive_bytes);
            let drilled_at = before
                .and_then(|before| before.drilled_at)
                .filter(|_| verification.damage.is_none());
            VerificationRecord {
                drilled_at: verification.drilled_at.or(drilled_at),
                ..verification
            }
        })
    }

    /// Keeps that a drill proved an archive, which was read from end to end for it.
    pub(crate) fn record_drill(&self, stem: &str, at: DateTime<Utc>) -> Result<(), FileError> {
        let archive_bytes = fs::symlink_metadata(self.archive_path(stem)).map(|file| file.len());
        let archive_bytes = archive_bytes
            .map_err(|error| FileError::new("read", self.archive_path(stem), error))?;
        self.keep(stem, |_| VerificationRecord {
            at,
            archive_bytes,
            damage: None,
            drilled_at: Some(at),
        })
    }

    fn keep(
        &self,
        stem: &str,
        verification: impl FnOnce(Option<VerificationRecord>) -> VerificationRecord,
    ) -> Result<(), FileError> {
        // `verify` may be run beside a backup: each reads the notes, changes them, and writes them again.
        let own = self.own_folder();
        // Not made up where the archive is gone: then the disk may have gone while it was read.
        if self.archive_path(stem).exists() {
            atomic_file::create_folder(&own)?;
        }
        let _lock = Lock::wait(&own.join("verified.lock"))?;
        let mut verifications = self.verifications();
        let verification = verification(verifications.remove(stem));
        verifications.insert(stem.to_owned(), verification);
        verifications.retain(|stem, _| self.archive_path(stem).exists());
        let path = self.own_folder().join(VERIFIED_FILE);
        let json = serde_json::to_vec_pretty(&verifications)
            .map_err(|error| FileError::new("write", &path, error.into()))?;
        atomic_file::replace(&path, &json)
    }

    /// What is known from earlier readings. Unreadable notes are no notes.
    fn verifications(&self) -> BTreeMap<String, VerificationRecord> {
        let path = self.own_folder().join(VERIFIED_FILE);
        fs::read(path)
            .ok()
            .and_then(|json| serde_json::from_slice(&json).ok())
            .unwrap_or_default()
    }
}
