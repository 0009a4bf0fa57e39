//! Why what is remembered may not be all there was.

use crate::sys::runtime::Runtime;
use std::fmt;
use std::path::PathBuf;

/// Why the state is not known, or not all of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum StateProblem {
    /// The file makes no sense. The next run sets it aside.
    Damaged(PathBuf),
    /// An earlier file made no sense and lies here; what was noted since is known.
    SetAside(PathBuf),
    /// The file is there, but reading it fails; why.
    Unreadable(String),
}

impl StateProblem {
    /// Whether what is known now says nothing about whether backups succeed.
    pub(crate) fn hides_failures(&self) -> bool {
        !matches!(self, StateProblem::SetAside(_))
    }

    /// What to do about it.
    pub(crate) fn help(&self, runtime: Runtime) -> String {
        match self {
            StateProblem::Damaged(_) | StateProblem::SetAside(_) => {
                let program = runtime.program();
                format!(
                    "whether a backup had lost data that only older archives still have is no longer known: compare the newest \
                     archive with an older one (`{program} list`, `{program} diff`), and if nothing is missing, accept it \
                     with: {program} prune --accept-shrink (or move that file away)"
                )
            }
            StateProblem::Unreadable(_) => {
                "make that file readable for the user that Pantry Keeper runs as (see `ls -l` and `chown`), or replace the \
                 disk if it is dying"
                    .into()
            }
        }
    }
}

impl fmt::Display for StateProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            StateProblem::Damaged(path) => {
                let path = path.display();
                write!(
                    f,
                    "what is remembered of earlier backups is damaged: {path}"
                )
            }
            StateProblem::SetAside(path) => {
                let path = path.display();
                write!(
                    f,
                    "what was remembered of earlier backups was damaged, and is set aside as {path}"
                )
            }
            StateProblem::Unreadable(error) => {
                write!(
                    f,
                    "what is remembered of earlier backups cannot be read: {error}"
                )
            }
        }
    }
}
