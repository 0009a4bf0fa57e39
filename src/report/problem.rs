//! What went wrong, and what to do about it: two things that are shown in different places.

use crate::sys::atomic_file::FileError;
use crate::sys::lock::LockError;
use crate::sys::runtime::Runtime;
use serde::{Deserialize, Serialize};
use std::fmt;

/// A problem as the owner is told it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Problem {
    /// What is wrong, and where.
    pub summary: String,
    /// What to do about it; none when there is nothing to say.
    pub help: Option<String>,
}

impl Problem {
    pub(crate) fn new(summary: impl Into<String>, help: impl Into<String>) -> Self {
        Problem {
            summary: summary.into(),
            help: Some(help.into()).filter(|help| !help.is_empty()),
        }
    }
}

/// Both on one line, unless there are more already.
impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.summary)?;
        match &self.help {
            Some(help) if self.summary.contains('\n') => write!(f, "\n{help}"),
            Some(help) => write!(f, "; {help}"),
            None => Ok(()),
        }
    }
}

/// An error that knows what to do about it. Its `Display` says what is wrong, and nothing else.
pub(crate) trait Explain: fmt::Display {
    /// What to do about it, where the program runs under `runtime`; none when there is nothing to say.
    fn help(&self, runtime: Runtime) -> Option<String>;

    /// Whether it may pass by itself, so that another attempt is worth it.
    fn is_transient(&self) -> bool {
        false
    }

    fn problem(&self, runtime: Runtime) -> Problem {
        Problem {
            summary: self.to_string(),
            help: self.help(runtime),
        }
    }
}

impl Explain for FileError {
    /// The system's own words say it.
    fn help(&self, _: Runtime) -> Option<String> {
        None
    }
}

impl Explain for LockError {
    fn help(&self, runtime: Runtime) -> Option<String> {
        match self {
            LockError::Held(_) => Some("wait for it, or stop it first".into()),
            LockError::File(error) => error.help(runtime),
        }
    }
}
