//! Why the backup folder cannot be used, and what to do about it.

use crate::archive::seal::UnsealError;
use crate::report::Explain;
use crate::sys::atomic_file::FileError;
use crate::sys::lock::LockError;
use crate::sys::runtime::Runtime;
use std::path::PathBuf;

/// Why the folder cannot be used, or an archive in it.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RepositoryError {
    #[error(transparent)]
    File(#[from] FileError),
    #[error("cannot write in {}: it belongs to {owner}, and this runs as {user}", folder.display())]
    NotWritable {
        folder: PathBuf,
        owner: String,
        user: String,
    },
    #[error(
        "{} is not the disk it was: no backup was ever made there (BACKUP_REQUIRE_MOUNT)", folder.display()
    )]
    NotTheDisk {
        folder: PathBuf,
        /// What a disk that is ours has.
        own_folder: PathBuf,
    },
    #[error("there is no backup folder {}", .0.display())]
    NoFolder(PathBuf),
    #[error("{0:?} is not an archive's name")]
    NotAName(String),
    #[error("there is no {name} in {}", folder.display())]
    NoSuchArchive { name: String, folder: PathBuf },
    #[error("{} have that name", .0.join(" and "))]
    SeveralSuchArchives(Vec<String>),
    #[error("there are no archives in {} yet", .0.display())]
    Empty(PathBuf),
}

impl Explain for RepositoryError {
    fn help(&self, runtime: Runtime) -> Option<String> {
        Some(match self {
            RepositoryError::File(error) => return error.help(runtime),
            RepositoryError::NotWritable { folder, user, .. } => {
                let allow = match runtime {
                    Runtime::Container => format!(
                        "sudo chown -R {user} and the folder of the host that is mounted at {}",
                        folder.display()
                    ),
                    _ => format!("sudo chown -R {user} {}", folder.display()),
                };
                format!(
                    "if a disk belongs there, see first that it is mounted; allow it with: {allow}"
                )
            }
            RepositoryError::NotTheDisk { folder, own_folder } => match runtime {
                Runtime::Container => format!(
                    "mount the right disk, then: {}; if this is a new one, say so by making the folder {} in the folder of the \
                     host that is mounted at {}",
                    runtime.restart(),
                    own_folder.file_name().unwrap_or_default().display(),
                    folder.display()
                ),
                _ => format!(
                    "mount the right disk; if this is a new one, say so with: mkdir -p {}",
                    own_folder.display()
                ),
            },
            RepositoryError::NoFolder(_) => "make a backup first, or check BACKUP_DIR".into(),
            RepositoryError::NotAName(_) => {
                "give a file name from `pantry-keeper list`, not a path".into()
            }
            RepositoryError::SeveralSuchArchives(_) => "say which one, with its extension".into(),
            RepositoryError::NoSuchArchive { .. } | RepositoryError::Empty(_) => return None,
        })
    }
}

/// Why an archive cannot be opened.
#[derive(Debug, thiserror::Error)]
pub(crate) enum OpenError {
    #[error(transparent)]
    File(#[from] FileError),
    #[error("{name} cannot be opened: {error}")]
    Unseal { name: String, error: UnsealError },
}

impl Explain for OpenError {
    fn help(&self, runtime: Runtime) -> Option<String> {
        match self {
            OpenError::File(error) => error.help(runtime),
            OpenError::Unseal {
                error: UnsealError::Key(error),
                ..
            } => error.help().map(str::to_owned),
            OpenError::Unseal { .. } => None,
        }
    }
}

/// Either the folder is not ours to use, or someone else is using it.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RepositoryLockError {
    #[error(transparent)]
    Lock(#[from] LockError),
    #[error(transparent)]
    Repository(#[from] RepositoryError),
}

impl RepositoryLockError {
    /// Whether somebody else is at work in the folder.
    pub(crate) fn is_busy(&self) -> bool {
        matches!(self, Self::Lock(LockError::Held(_)))
    }
}

impl Explain for RepositoryLockError {
    fn help(&self, runtime: Runtime) -> Option<String> {
        match self {
            Self::Lock(error) => error.help(runtime),
            Self::Repository(error) => error.help(runtime),
        }
    }
}
