//! Why there is no new archive.

use crate::archive::container::WriteError;
use crate::mongo::error::ServerError;
use crate::mongo::mongodump::DumpError;
use crate::mongo::tool::ToolError;
use crate::report::Explain;
use crate::store::repository::{RepositoryError, RepositoryLockError};
use crate::sys::atomic_file::FileError;
use crate::sys::cancel::Interruption;
use crate::sys::humanize;
use crate::sys::runtime::Runtime;
use serde::{Deserialize, Serialize};
use std::io::ErrorKind;

const MAKE_ROOM: &str = "make room, or move BACKUP_DIR to a larger disk";

/// Where a run can fail, in the order of its steps.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Stage {
    Folder,
    Tool,
    Server,
    Dump,
    Verify,
    Seal,
    Name,
}

impl Stage {
    /// What was being done: `while dumping`.
    pub(crate) fn label(self) -> &'static str {
        match self {
            Stage::Folder => "preparing the backup folder",
            Stage::Tool => "starting mongodump",
            Stage::Server => "asking the server",
            Stage::Dump => "dumping",
            Stage::Verify => "reading the archive back",
            Stage::Seal => "sealing the archive",
            Stage::Name => "giving the archive its name",
        }
    }

    /// What the owner may do about it where the program runs under `runtime`, beside what the error itself says.
    pub(crate) fn help(self, runtime: Runtime) -> String {
        let help = match self {
            Stage::Folder => {
                "Look at the backup folder: is its disk mounted, writable and healthy?"
            }
            Stage::Tool => {
                "Look at the installation: mongodump must be on PATH and made for this processor."
            }
            Stage::Server => {
                return format!(
                    "See whether MongoDB runs ({}) and takes the user.",
                    runtime.see_mongodb()
                );
            }
            Stage::Dump => {
                "See whether MongoDB was restarted or short of memory, and whether the disk is full."
            }
            Stage::Verify | Stage::Seal => {
                "The disk, its cable or the memory may be failing: look at dmesg, and try another disk."
            }
            Stage::Name => "Look at the backup folder's disk: dmesg says when it has errors.",
        };
        help.into()
    }
}

/// Why there is no new archive, and how far it had come.
#[derive(Debug, thiserror::Error)]
#[error("{error}")]
pub(crate) struct Failed {
    pub stage: Stage,
    pub error: JobError,
}

impl Failed {
    /// Whether it failed because it was told to stop.
    pub(crate) fn was_cancelled(&self) -> bool {
        matches!(self.error, JobError::Interrupted(Interruption::Cancelled))
    }

    /// Whether somebody else is at work in the folder.
    pub(crate) fn is_busy(&self) -> bool {
        matches!(&self.error, JobError::Lock(error) if error.is_busy())
    }
}

/// Why there is no new archive.
#[derive(Debug, thiserror::Error)]
pub(crate) enum JobError {
    #[error(transparent)]
    Lock(#[from] RepositoryLockError),
    #[error(transparent)]
    Repository(#[from] RepositoryError),
    #[error(transparent)]
    Tool(#[from] ToolError),
    #[error(transparent)]
    Server(#[from] ServerError),
    #[error("there is no database named {name:?} on {hosts}{hint}")]
    NoDatabase {
        name: String,
        hosts: String,
        hint: String,
    },
    #[error("BACKUP_OPLOG is on, but {0}")]
    NoOplog(&'static str),
    #[error("BACKUP_DATABASES and BACKUP_EXCLUDE leave nothing to back up")]
    NothingChosen,
    #[error("the server holds {0} collections to back up, but mongodump sent none")]
    Nothing(usize),
    #[error(transparent)]
    Dump(DumpError<WriteError>),
    #[error(
        "there is not enough room in {folder}: this backup will need about {}, and {} are free", humanize::bytes(*.need_bytes), humanize::bytes(*.free_bytes)
    )]
    NoRoom {
        need_bytes: u64,
        free_bytes: u64,
        folder: String,
    },
    #[error("{}", describe_write(.error, .folder, *.free_bytes))]
    Write {
        error: WriteError,
        folder: String,
        free_bytes: Option<u64>,
    },
    #[error(transparent)]
    File(#[from] FileError),
    #[error("the archive was read back from the disk and is not what was written: {0}")]
    NotSound(String),
    #[error("the backup was not finished: {0}")]
    Interrupted(#[from] Interruption),
}

fn describe_write(error: &WriteError, folder: &str, free_bytes: Option<u64>) -> String {
    let free = free_bytes
        .map(|free| format!(" ({} free)", humanize::bytes(free)))
        .unwrap_or_default();
    match limit(error) {
        Some(Limit::Disk) => {
            format!("the disk is full: the archive did not fit into {folder}{free}")
        }
        Some(Limit::Quota) => {
            format!("the quota is used up: the archive did not fit into {folder}{free}")
        }
        Some(Limit::File) => {
            format!("the file system takes no file as large as this archive, in {folder}{free}")
        }
        None => format!("{error}, in {folder}{free}"),
    }
}

/// What an archive can be too large for.
enum Limit {
    Disk,
    Quota,
    /// The largest file that the file system takes.
    File,
}

fn limit(error: &WriteError) -> Option<Limit> {
    let WriteError::Write(error) = error else {
        return None;
    };
    match error.kind() {
        ErrorKind::StorageFull => Some(Limit::Disk),
        ErrorKind::QuotaExceeded => Some(Limit::Quota),
        ErrorKind::FileTooLarge => Some(Limit::File),
        _ => None,
    }
}

impl Explain for JobError {
    fn help(&self, runtime: Runtime) -> Option<String> {
        let help = match self {
            JobError::Lock(error) => return error.help(runtime),
            JobError::Repository(error) => return error.help(runtime),
            JobError::Tool(error) => return error.help(runtime),
            JobError::Server(error) => return error.help(runtime),
            JobError::Dump(error) => return error.help(runtime),
            JobError::File(error) => return error.help(runtime),
            JobError::NoDatabase { .. } => "check BACKUP_DATABASES",
            JobError::NoRoom { .. } => MAKE_ROOM,
            JobError::Write { error, .. } => match limit(error)? {
                Limit::Disk => MAKE_ROOM,
                Limit::Quota => "make room, or have the quota raised",
                Limit::File => {
                    "FAT32, as USB sticks have it, ends at 4 GiB: format the disk with ext4, or leave out what can be made again \
                     with BACKUP_EXCLUDE"
                }
            },
            JobError::NotSound(_) => "the disk or its memory may be failing",
            JobError::NoOplog(_)
            | JobError::NothingChosen
            | JobError::Nothing(_)
            | JobError::Interrupted(_) => return None,
        };
        Some(help.into())
    }

    fn is_transient(&self) -> bool {
        match self {
            JobError::Server(error) => error.is_transient(),
            JobError::Tool(error) => error.is_transient(),
            JobError::Dump(error) => error.is_transient(),
            JobError::NotSound(_) => true,
            _ => false,
        }
    }
}
