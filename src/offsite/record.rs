//! What is known of the copies elsewhere, in `.pantry-keeper/offsite.json`. Losing it loses no copy: what is there is then
//! looked at anew, and nothing is removed there until it is proven again.

use crate::report::CopyState;
use crate::store::remote::Proof;
use crate::store::repository::Repository;
use crate::sys::atomic_file::{self, FileError};
use crate::sys::lock::{Lock, LockError};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;

const FILE: &str = "offsite.json";
const LOCK: &str = "offsite.lock";

/// Of all places, by their addresses.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Record {
    pub places: BTreeMap<String, PlaceRecord>,
}

/// Of one place.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct PlaceRecord {
    /// When copies were first to go there.
    pub since: Option<DateTime<Utc>>,
    /// When all that belongs there was last seen to be there.
    pub complete_at: Option<DateTime<Utc>>,
    /// Why the last attempt was not complete; holds no secrets.
    pub problem: Option<String>,
    /// By the names of their archives.
    pub copies: BTreeMap<String, CopyRecord>,
    /// The credentials may not remove anything, which was said.
    pub keeps_all: bool,
}

/// Of one copy.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct CopyRecord {
    /// When its dump began.
    pub made_at: Option<DateTime<Utc>>,
    pub bytes: u64,
    pub sha256: String,
    pub proof: Proof,
    /// When that was proven.
    pub at: DateTime<Utc>,
    /// What is wrong with it.
    #[serde(default)]
    pub damage: Option<String>,
}

impl CopyRecord {
    pub(crate) fn state(&self) -> CopyState {
        match (&self.damage, self.proof) {
            (Some(_), _) => CopyState::Damaged,
            (None, Proof::Sent) => CopyState::Sent,
            (None, Proof::Confirmed) => CopyState::Confirmed,
            (None, Proof::Read) => CopyState::Read,
        }
    }

    pub(crate) fn counts(&self, needed: Proof) -> bool {
        self.damage.is_none() && self.proof >= needed
    }
}

/// The file, while no other process changes it.
pub(super) struct Book {
    path: PathBuf,
    pub record: Record,
    _lock: Lock,
}

fn path(repository: &Repository) -> PathBuf {
    repository.own_folder().join(FILE)
}

/// What is known. What cannot be read is not known.
pub(crate) fn read(repository: &Repository) -> Record {
    let json = fs::read(path(repository)).ok();
    json.and_then(|json| serde_json::from_slice(&json).ok())
        .unwrap_or_default()
}

impl Book {
    /// One process at a time works on copies.
    pub(super) fn open(repository: &Repository) -> Result<Self, LockError> {
        let own = repository.own_folder();
        // On a disk that is not there, nothing may look as if it were.
        if repository.folder().is_dir() {
            atomic_file::create_folder(&own)?;
        }
        let lock = Lock::take(&own.join(LOCK), repository.folder())?;
        Ok(Book {
            path: path(repository),
            record: read(repository),
            _lock: lock,
        })
    }

    pub(super) fn place(&mut self, place: &str) -> &mut PlaceRecord {
        self.record.places.entry(place.to_owned()).or_default()
    }

    pub(super) fn save(&self) -> Result<(), FileError> {
        let json = serde_json::to_vec_pretty(&self.record)
            .map_err(|error| FileError::new("write", &self.path, error.into()))?;
        atomic_file::replace(&self.path, &json)
    }
}
