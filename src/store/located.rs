//! An archive and where it lies: in the backup folder, or elsewhere. What restores, drills and looks into archives opens them
//! here, and does not care.

use super::remote::{GivenUp, OpenFile, StoreError, Way};
use super::repository::{OpenError, Repository};
use crate::archive::file_name;
use crate::archive::ranged::Ranged;
use crate::archive::seal::{self, Keyring};
use crate::archive::sidecar::Sidecar;
use crate::archive::source::Source;
use crate::sys::atomic_file::FileError;
use std::io;
use std::sync::Arc;

/// An archive that was found.
#[derive(Clone)]
pub(crate) struct Located {
    stem: String,
    lies: Lies,
}

#[derive(Clone)]
enum Lies {
    Here(Repository),
    There(There),
}

/// A copy at a place elsewhere, read by ranges. Clones share what was fetched.
#[derive(Clone)]
struct There {
    place: Arc<str>,
    file: Source,
    sidecar: Sidecar,
    keyring: Keyring,
    given_up: GivenUp,
}

impl Located {
    /// An archive of this stem in the backup folder.
    pub(crate) fn here(repository: Repository, stem: String) -> Self {
        let lies = Lies::Here(repository);
        Located { stem, lies }
    }

    /// A copy of so many bytes, beside which lies this `.sha256`.
    pub(crate) fn there(
        way: Way,
        archive: &str,
        bytes: u64,
        sidecar: Sidecar,
        keyring: &Keyring,
    ) -> io::Result<Self> {
        let place = way.place.to_string().into();
        let file = OpenFile::new(way, archive, bytes)?;
        let given_up = file.given_up();
        Ok(Located {
            stem: file_name::stem_of(archive).unwrap_or(archive).to_owned(),
            lies: Lies::There(There {
                place,
                file: Source::new(Arc::new(Ranged::new(file, bytes))),
                sidecar,
                keyring: keyring.clone(),
                given_up,
            }),
        })
    }

    pub(crate) fn stem(&self) -> &str {
        &self.stem
    }

    /// The archive's file name.
    pub(crate) fn name(&self) -> String {
        file_name::archive(&self.stem)
    }

    /// The backup folder, where it lies in it.
    pub(crate) fn repository(&self) -> Option<&Repository> {
        match &self.lies {
            Lies::Here(repository) => Some(repository),
            Lies::There(_) => None,
        }
    }

    /// The place elsewhere that it is read from; none where it lies here.
    pub(crate) fn place(&self) -> Option<&str> {
        match &self.lies {
            Lies::Here(_) => None,
            Lies::There(there) => Some(&there.place),
        }
    }

    /// Opens it to be read. A sealed one takes a key. Blocks.
    pub(crate) fn open(&self) -> Result<Source, OpenError> {
        let there = match &self.lies {
            Lies::Here(repository) => return repository.open(&self.stem),
            Lies::There(there) => there,
        };
        let (name, file) = (self.name(), there.file.at(0));
        if !file_name::is_sealed(&name) {
            return Ok(file);
        }
        seal::unseal(file, &there.keyring).map_err(|error| OpenError::Unseal { name, error })
    }

    /// Opens its file, sealed or not.
    pub(crate) fn open_file(&self) -> Result<Source, FileError> {
        match &self.lies {
            Lies::Here(repository) => repository.open_file(&self.stem),
            Lies::There(there) => Ok(there.file.at(0)),
        }
    }

    /// What opens it, if it is sealed.
    pub(crate) fn keyring(&self) -> &Keyring {
        match &self.lies {
            Lies::Here(repository) => repository.keyring(),
            Lies::There(there) => &there.keyring,
        }
    }

    pub(crate) fn sidecar(&self) -> Sidecar {
        match &self.lies {
            Lies::Here(repository) => repository.sidecar(&self.stem),
            Lies::There(there) => there.sidecar.clone(),
        }
    }

    /// Why it could not be read last, when that is not its own fault: no connection, no permission, another file by now.
    pub(crate) fn failure(&self) -> Option<ReadFailure> {
        let Lies::There(there) = &self.lies else {
            return None;
        };
        let error = there.given_up.reason()?.clone();
        Some(ReadFailure {
            archive: self.name(),
            place: there.place.to_string(),
            error,
        })
    }
}

/// An archive elsewhere could not be read, or not to its end. Nothing is said about what it holds.
#[derive(Debug, Clone)]
pub(crate) struct ReadFailure {
    archive: String,
    place: String,
    error: StoreError,
}

impl std::fmt::Display for ReadFailure {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let ReadFailure {
            archive,
            place,
            error,
        } = self;
        write!(
            out,
            "{archive} could not be read at {place}: {}",
            error.problem.summary
        )
    }
}

impl std::error::Error for ReadFailure {}

impl crate::report::Explain for ReadFailure {
    fn help(&self, _: crate::sys::runtime::Runtime) -> Option<String> {
        self.error.problem.help.clone()
    }
}
