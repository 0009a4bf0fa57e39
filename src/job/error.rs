//! Why there is no new archive.

use crate::archive::WriteError;
use crate::catalog::{CatalogError, LockOrCatalogError};
use crate::dump::{DumpError, ToolError};
use crate::durable::FileError;
use crate::server::ServerError;
use crate::stop::Interruption;
use crate::units;

/// Why there is no new archive.
#[derive(Debug, thiserror::Error)]
pub enum JobError {
    #[error(transparent)]
    Lock(#[from] LockOrCatalogError),
    #[error(transparent)]
    Catalog(#[from] CatalogError),
    #[error(transparent)]
    Tool(#[from] ToolError),
    #[error(transparent)]
    Server(#[from] ServerError),
    #[error("there is no database named {name:?} on {hosts}{hint}; check BACKUP_DATABASES")]
    NoDatabase { name: String, hosts: String, hint: String },
    #[error("BACKUP_OPLOG is on, but {0}")]
    NoOplog(&'static str),
    #[error("BACKUP_DATABASES and BACKUP_EXCLUDE leave nothing to back up")]
    NothingChosen,
    #[error("the server holds {0} collections to back up, but mongodump sent none")]
    Nothing(usize),
    #[error(transparent)]
    Dump(DumpError<WriteError>),
    #[error("{}", describe_write(.error, .folder, *.free_bytes))]
    Write { error: WriteError, folder: String, free_bytes: Option<u64> },
    #[error(transparent)]
    File(#[from] FileError),
    #[error(
        "the archive was read back from the disk and is not what was written: {0}\nthe disk or its memory may be failing"
    )]
    NotSound(String),
    #[error("the backup was not finished: {0}")]
    Interrupted(#[from] Interruption),
    #[error("a part of Pantry Keeper stopped early; please report this")]
    Lost,
}

fn describe_write(error: &WriteError, folder: &str, free_bytes: Option<u64>) -> String {
    let full = matches!(error, WriteError::Write(io) if io.kind() == std::io::ErrorKind::StorageFull);
    let free = free_bytes.map(|free| format!(" ({} free)", units::bytes(free))).unwrap_or_default();
    if full {
        format!(
            "the disk is full: the archive did not fit into {folder}{free}; make room, or move BACKUP_DIR to a larger disk"
        )
    } else {
        format!("{error}, in {folder}{free}")
    }
}

impl JobError {
    /// Whether another attempt may succeed where this one failed.
    pub fn may_pass(&self) -> bool {
        match self {
            JobError::Server(error) => error.may_pass(),
            JobError::Dump(error) => error.may_pass(),
            JobError::NotSound(_) => true,
            _ => false,
        }
    }
}
