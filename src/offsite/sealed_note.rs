//! What was sealed on its way, noted before its last byte leaves: whatever ends us then, what lies there is known.

use super::scratch;
use crate::archive::seal::Measured;
use crate::store::remote::Announce;
use crate::store::repository::Repository;
use crate::sys::atomic_file;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::fs;
use std::path::PathBuf;
use std::sync::Arc;

const EXTENSION: &str = "json";

#[derive(Serialize, Deserialize)]
struct Stored {
    place: String,
    archive: String,
    bytes: u64,
    sha256: String,
}

/// The note on one copy at one place.
#[derive(Clone)]
pub(super) struct SealedNote {
    folder: PathBuf,
    place: String,
    archive: String,
}

impl SealedNote {
    pub(super) fn on(repository: &Repository, place: &str, archive: &str) -> Self {
        SealedNote {
            folder: scratch(repository),
            place: place.to_owned(),
            archive: archive.to_owned(),
        }
    }

    fn path(&self) -> PathBuf {
        let key = hex::encode(Sha256::digest(format!("{}\n{}", self.place, self.archive)));
        self.folder.join(format!("{}.{EXTENSION}", &key[..32]))
    }

    /// Writes it when it is known what the sealed file amounts to.
    pub(super) fn announce(&self) -> Announce {
        let note = self.clone();
        Arc::new(move |measured| {
            let stored = Stored {
                place: note.place.clone(),
                archive: note.archive.clone(),
                bytes: measured.bytes,
                sha256: hex::encode(measured.sha256),
            };
            let json = serde_json::to_vec(&stored).map_err(|error| error.to_string())?;
            atomic_file::create_folder(&note.folder)
                .and_then(|()| atomic_file::replace(&note.path(), &json))
                .map_err(|error| error.to_string())
        })
    }

    pub(super) fn read(&self) -> Option<Measured> {
        let stored: Stored = serde_json::from_slice(&fs::read(self.path()).ok()?).ok()?;
        let is_it = stored.place == self.place && stored.archive == self.archive;
        let sha256 = hex::decode(stored.sha256).ok()?.try_into().ok()?;
        let bytes = stored.bytes;
        is_it.then_some(Measured { bytes, sha256 })
    }

    /// It is in the record now.
    pub(super) fn forget(&self) {
        let _ = fs::remove_file(self.path());
    }
}

/// Removes what a round that was killed left, but for its notes.
pub(super) fn sweep(repository: &Repository) {
    let files = fs::read_dir(scratch(repository)).into_iter().flatten();
    for file in files.flatten() {
        if file.path().extension().is_none_or(|end| end != EXTENSION) {
            let _ = fs::remove_file(file.path());
        }
    }
}
