//! Why an archive could not be looked into.

use crate::mongo::error::ServerError;
use crate::offsite::LocateError;
use crate::report::Explain;
use crate::store::located::ReadFailure;
use crate::store::repository::{OpenError, RepositoryError};
use crate::sys::atomic_file::FileError;
use crate::sys::cancel::Interruption;
use crate::sys::runtime::Runtime;

/// Why an archive could not be looked into, or not to its end.
#[derive(Debug, thiserror::Error)]
pub(crate) enum InspectError {
    #[error(transparent)]
    Repository(#[from] RepositoryError),
    #[error(transparent)]
    Locate(LocateError),
    #[error(transparent)]
    Elsewhere(#[from] ReadFailure),
    #[error(transparent)]
    Open(#[from] OpenError),
    #[error(transparent)]
    File(#[from] FileError),
    #[error(transparent)]
    Server(#[from] ServerError),
    #[error("{name} is damaged: {damage}")]
    Damaged { name: String, damage: String },
    #[error("{name} cannot be read: {what}")]
    OtherFormat { name: String, what: String },
    #[error("{name} holds no {wanted:?}; it holds {held}")]
    NoSuchCollection {
        name: String,
        wanted: String,
        held: String,
    },
    #[error("{namespace} is a view: its documents are those of other collections")]
    View { namespace: String },
    #[error("what is compared grew by much while it was read")]
    TooDifferent,
    #[error("writing failed: {0}")]
    Write(std::io::Error),
    /// Where all of them were wanted.
    #[error(
        "whoever read the documents ended before all of them were written: what came there is not whole"
    )]
    ReaderGone,
    #[error(transparent)]
    Interrupted(#[from] Interruption),
}

impl InspectError {
    /// Whether the arguments were wrong, rather than what they name.
    pub(crate) fn is_usage(&self) -> bool {
        match self {
            Self::NoSuchCollection { .. } | Self::View { .. } => true,
            Self::Repository(error) => matches!(
                error,
                RepositoryError::NotAName(_) | RepositoryError::NoSuchArchive { .. }
            ),
            Self::Locate(error) => error.is_usage(),
            _ => false,
        }
    }
}

impl From<LocateError> for InspectError {
    fn from(error: LocateError) -> Self {
        match error {
            LocateError::Repository(error) => InspectError::Repository(error),
            LocateError::Interrupted(reason) => InspectError::Interrupted(reason),
            other => InspectError::Locate(other),
        }
    }
}

impl Explain for InspectError {
    fn help(&self, runtime: Runtime) -> Option<String> {
        match self {
            Self::Repository(error) => error.help(runtime),
            Self::Locate(error) => error.help(runtime),
            Self::Elsewhere(error) => error.help(runtime),
            Self::Open(error) => error.help(runtime),
            Self::Server(error) => error.help(runtime),
            Self::Damaged { name, .. } => Some(format!(
                "`pantry-keeper verify {name}` says what of it is still whole"
            )),
            Self::TooDifferent => Some("try again".into()),
            _ => None,
        }
    }
}
