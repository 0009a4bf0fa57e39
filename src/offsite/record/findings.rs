//! What was found of copies while another process was at work on them, in `.pantry-keeper/offsite-found/`: a file each, until
//! whoever holds the record takes it over.

use super::CopyRecord;
use crate::settings::OffsitePlace;
use crate::store::repository::Repository;
use crate::sys::atomic_file::{self, FileError};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::fs;
use std::path::{Path, PathBuf};

const FOLDER: &str = "offsite-found";
const EXTENSION: &str = "json";

/// What was found of one copy.
#[derive(Debug, Serialize, Deserialize)]
pub(in crate::offsite) struct Finding {
    /// What tells its place from all others.
    pub place: String,
    pub archive: String,
    pub copy: CopyRecord,
}

pub(super) fn folder(own_folder: &Path) -> PathBuf {
    own_folder.join(FOLDER)
}

impl Finding {
    pub(in crate::offsite) fn of(place: &OffsitePlace, archive: &str, copy: CopyRecord) -> Self {
        let (place, archive) = (place.identity(), archive.to_owned());
        Finding {
            place,
            archive,
            copy,
        }
    }

    /// Lays it down; a later one of the same copy takes its place.
    pub(in crate::offsite) fn leave(&self, repository: &Repository) -> Result<(), FileError> {
        let folder = folder(&repository.own_folder());
        let key = hex::encode(Sha256::digest(format!("{}\n{}", self.place, self.archive)));
        let path = folder.join(format!("{}.{EXTENSION}", &key[..32]));
        let json = serde_json::to_vec(self)
            .map_err(|error| FileError::new("write", &path, error.into()))?;
        atomic_file::create_folder(&folder)?;
        atomic_file::replace(&path, &json)
    }
}

/// All that were left, with their files.
pub(super) fn left(folder: &Path) -> Vec<(PathBuf, Finding)> {
    let files = fs::read_dir(folder).into_iter().flatten().flatten();
    let paths = files.map(|file| file.path());
    let paths = paths.filter(|path| path.extension().is_some_and(|end| end == EXTENSION));
    paths
        .filter_map(|path| {
            let finding = serde_json::from_slice(&fs::read(&path).ok()?).ok()?;
            Some((path, finding))
        })
        .collect()
}
