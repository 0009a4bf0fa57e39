//! Why nothing was restored, or not everything.

use super::oplog;
use crate::archive::namespace::Namespace;
use crate::archive::seal::UnsealError;
use crate::mongo::error::ServerError;
use crate::mongo::mongorestore::LoadError;
use crate::mongo::tool::ToolError;
use crate::offsite::LocateError;
use crate::report::{Explain, Problem};
use crate::store::located::ReadFailure;
use crate::store::repository::{OpenError, RepositoryError, RepositoryLockError};
use crate::sys::atomic_file::FileError;
use crate::sys::cancel::Interruption;
use crate::sys::humanize;
use crate::sys::runtime::Runtime;

/// Why nothing was restored, or not everything.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RestoreError {
    #[error(transparent)]
    Repository(#[from] RepositoryError),
    #[error(transparent)]
    Locate(LocateError),
    #[error(transparent)]
    Elsewhere(#[from] ReadFailure),
    #[error(transparent)]
    File(#[from] FileError),
    #[error(transparent)]
    Open(#[from] OpenError),
    #[error(transparent)]
    Tool(#[from] ToolError),
    #[error(transparent)]
    Server(#[from] ServerError),
    #[error(transparent)]
    Load(LoadError),
    #[error("{name} is damaged, and nothing of it was restored:\n{damage}")]
    Damaged { name: String, damage: String },
    #[error("{name} cannot be read: {what}")]
    OtherFormat { name: String, what: String },
    #[error("{name} holds nothing of what --include and --exclude leave; it holds {held}")]
    NothingChosen { name: String, held: String },
    #[error("{}", .0.summary)]
    Name(Problem),
    /// Of `--match`: what was asked for is not there, or not to be had.
    #[error("{}", .0.summary)]
    Match(Problem),
    /// Where single documents were to go.
    #[error("{}", .0.summary)]
    Unsuitable(Problem),
    #[error("there already, on {hosts}: {existing}")]
    Exists {
        hosts: String,
        existing: String,
        rename: String,
    },
    /// After the look, and after the safety backup.
    #[error("made on {hosts} meanwhile, and in no backup: {appeared}")]
    Appeared { hosts: String, appeared: String },
    #[error("{namespace} could not be dropped: {reason}")]
    NotDropped {
        namespace: Namespace,
        reason: String,
        safety: String,
    },
    #[error("there already, on {hosts}: {existing}; the archive's would be mixed with them")]
    UsersExist { hosts: String, existing: String },
    #[error(
        "replacing users and roles takes the user who restores away, and nothing can be restored after that"
    )]
    UsersBesideOthers,
    #[error(
        "{namespace} is there already, and mongorestore never drops a collection of the server's own"
    )]
    NeverDropped {
        namespace: Namespace,
        command: String,
    },
    #[error("the user in {setting} may not replay the oplog of this archive")]
    ReplayNotAllowed {
        setting: &'static str,
        grant: String,
    },
    #[error(transparent)]
    Oplog(#[from] oplog::Unfit),
    #[error("no safety backup could be made, so nothing was dropped or restored: {0}")]
    Safety(String),
    #[error(transparent)]
    Lock(#[from] RepositoryLockError),
    #[error(transparent)]
    Interrupted(#[from] Interruption),
    #[error("the scratch databases {stem}_… are there already, and are not the drill's own")]
    ScratchTaken { stem: String },
    /// Of the disk with the server's data.
    #[error(
        "the disk of {hosts} has {} free, and a drill would bring {} of documents, before the server compresses them; \
         MongoDB ends when its disk becomes full",
        humanize::bytes(*free), humanize::bytes(*documents)
    )]
    NoRoom {
        hosts: String,
        free: u64,
        documents: u64,
    },
}

impl RestoreError {
    /// Whether somebody else is at work in the folder.
    pub(crate) fn is_busy(&self) -> bool {
        matches!(self, Self::Lock(error) if error.is_busy())
    }

    /// Whether there is no archive at all where one was looked for.
    pub(crate) fn found_no_archives(&self) -> bool {
        match self {
            Self::Repository(RepositoryError::Empty(_) | RepositoryError::NoFolder(_)) => true,
            Self::Locate(LocateError::Empty { others }) => others.is_empty(),
            _ => false,
        }
    }

    /// Whether it says something about the archive, rather than about a server that is away or whatever else was in the way.
    pub(crate) fn is_about_the_archive(&self) -> bool {
        use UnsealError::{End, Header};
        match self {
            Self::Damaged { .. } | Self::OtherFormat { .. } | Self::Load(_) => true,
            Self::Open(OpenError::Unseal { error, .. }) => matches!(error, Header | End),
            _ => false,
        }
    }

    /// Whether it was told to stop.
    pub(crate) fn was_cancelled(&self) -> bool {
        matches!(self, Self::Interrupted(Interruption::Cancelled))
    }
}

impl From<LocateError> for RestoreError {
    fn from(error: LocateError) -> Self {
        match error {
            LocateError::Repository(error) => RestoreError::Repository(error),
            LocateError::Interrupted(reason) => RestoreError::Interrupted(reason),
            other => RestoreError::Locate(other),
        }
    }
}

impl From<LoadError> for RestoreError {
    fn from(error: LoadError) -> Self {
        match error {
            LoadError::Interrupted(reason) => RestoreError::Interrupted(reason),
            other => RestoreError::Load(other),
        }
    }
}

impl Explain for RestoreError {
    fn help(&self, runtime: Runtime) -> Option<String> {
        Some(match self {
            Self::Repository(error) => return error.help(runtime),
            Self::Locate(error) => return error.help(runtime),
            Self::Elsewhere(error) => return error.help(runtime),
            Self::File(error) => return error.help(runtime),
            Self::Open(error) => return error.help(runtime),
            Self::Tool(error) => return error.help(runtime),
            Self::Server(error) => return error.help(runtime),
            Self::Lock(error) => return error.help(runtime),
            Self::Name(problem) | Self::Match(problem) | Self::Unsuitable(problem) => return problem.help.clone(),
            Self::Damaged { .. } => {
                "try an older archive: `pantry-keeper list` shows them".into()
            }
            Self::Exists { rename, .. } => format!(
                "restore beside them with {rename}, or replace them with --drop (they are backed up first)"
            ),
            Self::Appeared { .. } => "stop what writes to the server, such as your app, and run it again".into(),
            Self::NotDropped { safety, .. } => format!(
                "some of what was there may be dropped already; all of it is in {safety}, so run it again with --drop"
            ),
            Self::UsersExist { .. } => "replace all users and roles with --drop (they are backed up first), or leave them out \
                 with --exclude"
                .into(),
            Self::UsersBesideOthers => "restore the rest first, with --exclude 'admin.system.*', and then these alone: \
                 --include 'admin.system.*' --drop"
                .into(),
            Self::NeverDropped { namespace, command } => format!(
                "leave it out with --exclude '{namespace}', or drop it first, in mongosh: {command}"
            ),
            Self::ReplayNotAllowed { grant, .. } => format!(
                "restore without it: --no-oplog (documents are then as each collection was when it was dumped), or in \
                 mongosh, as an administrator: {grant}"
            ),
            Self::Oplog(_) => "restore without the oplog: --no-oplog".into(),
            Self::ScratchTaken { .. } => "try again".into(),
            Self::NoRoom { .. } => "make room there, or have drills on another server: DRILL_URI".into(),
            Self::Load(_)
            | Self::OtherFormat { .. }
            | Self::NothingChosen { .. }
            | Self::Safety(_)
            | Self::Interrupted(_) => return None,
        })
    }
}
