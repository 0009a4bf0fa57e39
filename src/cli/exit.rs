//! How a command ends: an exit code, and for a failure what is printed about it.

use super::output::{self, OutputError};
use crate::report::Explain;
use crate::store::repository::RepositoryError;
use crate::sys::logging;
use crate::sys::runtime::Runtime;

/// How the program ends. The numbers are part of its interface.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ExitStatus {
    /// What was asked for is done.
    Done = 0,
    /// It could not be done, or what was looked at is not well.
    Failed = 1,
    /// The settings or the arguments are wrong.
    Usage = 2,
    /// Another instance holds the lock.
    Busy = 3,
}

impl ExitStatus {
    pub(super) fn code(self) -> u8 {
        self as u8
    }

    /// Done when all is well, failed otherwise.
    pub(super) fn of(well: bool) -> Self {
        if well { Self::Done } else { Self::Failed }
    }
}

/// Where a failure is told, apart from the JSON document.
#[derive(Debug, PartialEq, Eq)]
enum Telling {
    /// In the log, in these words.
    Log(String),
    /// On the terminal alone: there may be no log, or nothing happened that belongs there.
    Terminal,
    /// It was told where it happened.
    Told,
}

/// Why a command did not do what was asked. The message holds no secrets.
#[derive(Debug)]
pub(super) struct CommandError {
    status: ExitStatus,
    message: String,
    telling: Telling,
}

impl CommandError {
    /// The settings or the arguments are wrong.
    pub(super) fn usage(message: impl Into<String>) -> Self {
        CommandError {
            status: ExitStatus::Usage,
            message: message.into(),
            telling: Telling::Terminal,
        }
    }

    /// The arguments turned out to be wrong when they were looked up; `context` says for what, in the log.
    pub(super) fn usage_of(context: &str, message: impl Into<String>) -> Self {
        Self::logged(ExitStatus::Usage, context, message)
    }

    /// The work failed; `context` says of what, in the log.
    pub(super) fn failed(context: &str, message: impl Into<String>) -> Self {
        Self::logged(ExitStatus::Failed, context, message)
    }

    /// Another instance is at work.
    pub(super) fn busy(context: &str, message: impl Into<String>) -> Self {
        Self::logged(ExitStatus::Busy, context, message)
    }

    /// The work was interrupted before its end.
    pub(super) fn stopped(context: &str) -> Self {
        Self::failed(context, "stopped as asked")
    }

    /// The work failed, and its failure is in the log already.
    pub(super) fn told(message: impl Into<String>) -> Self {
        CommandError {
            status: ExitStatus::Failed,
            message: message.into(),
            telling: Telling::Told,
        }
    }

    fn logged(status: ExitStatus, context: &str, message: impl Into<String>) -> Self {
        let message = message.into();
        let line = if context.is_empty() {
            message.clone()
        } else {
            format!("{context}: {message}")
        };
        CommandError {
            status,
            message,
            telling: Telling::Log(line),
        }
    }

    /// Prints the failure, as a JSON document too where one was asked for.
    pub(super) fn report(&self, as_json: bool) -> ExitStatus {
        match &self.telling {
            Telling::Log(line) => tracing::error!("{line}"),
            Telling::Terminal => output::complain(&logging::one_event(&self.message)),
            Telling::Told => {}
        }
        if as_json {
            // It fails in any case.
            let _ = output::json_failure(&self.message);
        }
        self.status
    }
}

impl From<OutputError> for CommandError {
    fn from(error: OutputError) -> Self {
        CommandError {
            status: ExitStatus::Failed,
            message: error.to_string(),
            telling: Telling::Terminal,
        }
    }
}

impl From<RepositoryError> for CommandError {
    fn from(error: RepositoryError) -> Self {
        let status = match error {
            RepositoryError::NotAName(_) | RepositoryError::NoSuchArchive { .. } => {
                ExitStatus::Usage
            }
            _ => ExitStatus::Failed,
        };
        CommandError {
            status,
            // What helps here is the same wherever it runs.
            message: error.problem(Runtime::Plain).to_string(),
            telling: Telling::Terminal,
        }
    }
}
