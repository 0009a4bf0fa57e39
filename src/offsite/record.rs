//! What is known of the copies elsewhere, in `.pantry-keeper/offsite.json`. Losing it loses no copy: what is there is then
//! looked at anew, and nothing is removed there until it is proven again. A copy whose archive is gone here then stays for good:
//! nothing tells it from one of another machine's.

mod findings;
mod gone;

use crate::archive::file_name;
use crate::archive::seal::Measured;
use crate::report::CopyState;
use crate::settings::OffsitePlace;
use crate::store::remote::Proof;
use crate::store::repository::Repository;
use crate::sys::atomic_file::{self, FileError};
use crate::sys::lock::{Lock, LockError};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;

pub(super) use findings::Finding;
use gone::GoneCopy;

const FILE: &str = "offsite.json";
const LOCK: &str = "offsite.lock";

/// Of all places, by what tells each from all others.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Record {
    pub places: BTreeMap<String, PlaceRecord>,
}

impl Record {
    pub(crate) fn of(&self, place: &OffsitePlace) -> Option<&PlaceRecord> {
        self.places.get(&place.identity())
    }

    /// Whether a copy is or was at any place whose name is this but for its extensions.
    pub(crate) fn knows(&self, bare: &str) -> bool {
        let places = self.places.values();
        let mut names = places.flat_map(|place| place.copies.keys().chain(place.gone.keys()));
        names.any(|archive| file_name::bare(archive) == bare)
    }

    /// Takes over what was found meanwhile, unless something newer is known; the files in which it was.
    fn take_over(&mut self, found: Vec<(PathBuf, Finding)>) -> Vec<PathBuf> {
        let mut files = Vec::new();
        for (
            file,
            Finding {
                place,
                archive,
                copy,
            },
        ) in found
        {
            let copies = self.places.entry(place).or_default();
            let copies = &mut copies.copies;
            if copies.get(&archive).is_none_or(|known| known.at <= copy.at) {
                copies.insert(archive, copy);
            }
            files.push(file);
        }
        files
    }

    /// Finds what earlier versions wrote under a place's address as it was given, or its short name, if that can only mean one
    /// of `places`. No record is written under those any more, so what was taken over goes to no other service later.
    fn renamed(mut self, places: &[OffsitePlace]) -> Self {
        for place in places {
            let (short, identity) = (place.short_name(), place.identity());
            let mut same = places.iter().filter(|other| other.short_name() == short);
            let is_alone = same.nth(1).is_none();
            let given = Some(place.as_given()).filter(|given| *given != identity);
            if self.places.contains_key(&identity) {
                continue;
            }
            let given = given.and_then(|given| self.places.remove(&given));
            let by_short_name = || is_alone.then(|| self.places.remove(&short)).flatten();
            if let Some(known) = given.or_else(by_short_name) {
                self.places.insert(identity, known);
            }
        }
        self
    }
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
    /// When all copies were last found gone at once.
    pub vanished: Option<Vanished>,
    /// What is known of copies that were gone at the last look: nothing counts them.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub gone: BTreeMap<String, GoneCopy>,
}

/// All copies at a place, which were gone though nobody here had removed them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Vanished {
    pub at: DateTime<Utc>,
    pub copies: usize,
}

/// Of one copy.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct CopyRecord {
    /// When its dump began, by the archive that was sent; none where that was never seen here: such a copy neither counts nor goes.
    pub made_at: Option<DateTime<Utc>>,
    pub bytes: u64,
    pub sha256: String,
    pub proof: Proof,
    /// When that was proven.
    pub at: DateTime<Utc>,
    /// What is wrong with it.
    #[serde(default)]
    pub damage: Option<String>,
    /// Its `.sha256` is gone: it does not count until that is there again.
    #[serde(default)]
    pub is_bare: bool,
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

    /// What was sent, or read when it was verified.
    pub(super) fn measured(&self) -> Option<Measured> {
        let sha256 = hex::decode(&self.sha256).ok()?.try_into().ok()?;
        let bytes = self.bytes;
        Some(Measured { bytes, sha256 })
    }

    /// What is wrong with it, where it has so many bytes there.
    pub(super) fn damage_at(&self, bytes: u64) -> Option<String> {
        let differs = || {
            (bytes != self.bytes).then(|| format!("has {bytes} bytes instead of {}", self.bytes))
        };
        self.damage.clone().or_else(differs)
    }

    pub(crate) fn counts(&self, needed: Proof) -> bool {
        let is_sound = self.damage.is_none() && !self.is_bare;
        is_sound && self.made_at.is_some() && self.proof >= needed
    }
}

/// The file, while no other process changes it.
pub(super) struct Book {
    path: PathBuf,
    /// Where others leave what they found.
    found: PathBuf,
    pub record: Record,
    _lock: Lock,
}

fn path(repository: &Repository) -> PathBuf {
    repository.own_folder().join(FILE)
}

/// What is known of these places. What cannot be read is not known.
pub(crate) fn read(repository: &Repository, places: &[OffsitePlace]) -> Record {
    let json = fs::read(path(repository)).ok();
    let record: Option<Record> = json.and_then(|json| serde_json::from_slice(&json).ok());
    let mut record = record.unwrap_or_default().renamed(places);
    let found = findings::left(&findings::folder(&repository.own_folder()));
    record.take_over(found);
    record
}

impl Book {
    /// One process at a time works on copies.
    pub(super) fn open(
        repository: &Repository,
        places: &[OffsitePlace],
    ) -> Result<Self, LockError> {
        let own = repository.own_folder();
        // On a disk that is not there, nothing may look as if it were.
        if repository.folder().is_dir() {
            atomic_file::create_folder(&own)?;
        }
        let lock = Lock::take(&own.join(LOCK), repository.folder())?;
        Ok(Book {
            path: path(repository),
            found: findings::folder(&own),
            record: read(repository, places),
            _lock: lock,
        })
    }

    pub(super) fn place(&mut self, place: &OffsitePlace) -> &mut PlaceRecord {
        self.record.places.entry(place.identity()).or_default()
    }

    pub(super) fn save(&mut self) -> Result<(), FileError> {
        let taken_over = self.record.take_over(findings::left(&self.found));
        let json = serde_json::to_vec_pretty(&self.record)
            .map_err(|error| FileError::new("write", &self.path, error.into()))?;
        atomic_file::replace(&self.path, &json)?;
        for file in taken_over {
            let _ = fs::remove_file(file);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(endpoint: &str) -> OffsitePlace {
        OffsitePlace::S3 {
            bucket: "b".into(),
            prefix: "a/".into(),
            region: None,
            endpoint: Some(endpoint.into()),
            service: None,
            shown_whole: false,
        }
    }

    #[test]
    fn a_record_under_a_short_name_is_found_where_only_one_place_can_be_meant() {
        let known = PlaceRecord {
            problem: Some("it was away".into()),
            ..PlaceRecord::default()
        };
        let places = BTreeMap::from([("s3://b/a/".to_owned(), known.clone())]);
        let before = Record { places };
        let (one, two) = (at("https://one"), at("https://two"));
        let alone = before.clone().renamed(std::slice::from_ref(&one));
        assert_eq!(alone.of(&one), Some(&known));
        let both = [one.clone(), two.clone()];
        let ambiguous = before.clone().renamed(&both);
        assert_eq!((ambiguous.of(&one), ambiguous.of(&two)), (None, None));
        assert_eq!(ambiguous, before, "nothing is lost");
        // Once it has the new name, it stays that of its place.
        let later = alone.renamed(&both);
        assert_eq!((later.of(&one), later.of(&two)), (Some(&known), None));
        assert_eq!(
            later.clone().renamed(std::slice::from_ref(&two)).of(&two),
            None
        );
    }

    #[test]
    fn what_was_known_of_a_place_as_it_was_given_goes_to_no_second_service() {
        let at_service = |service: &str| OffsitePlace::S3 {
            bucket: "b".into(),
            prefix: "a/".into(),
            region: Some("x".into()),
            endpoint: None,
            service: Some(service.into()),
            shown_whole: false,
        };
        let (one, two) = (at_service("endpoint=one"), at_service("endpoint=two"));
        let places = BTreeMap::from([("s3://b/a/?region=x".to_owned(), PlaceRecord::default())]);
        let taken_over = Record { places }.renamed(std::slice::from_ref(&one));
        assert!(taken_over.of(&one).is_some());
        let moved = taken_over.renamed(std::slice::from_ref(&two));
        assert!(moved.of(&one).is_some() && moved.of(&two).is_none());
    }
}
