//! Why the server cannot be used, and what to do about it.

use super::topology::{self, SelectionFailure};
use crate::report::Problem;
use crate::sys::runtime::Runtime;
use std::fmt;

/// Why the server cannot be used.
#[derive(Debug)]
pub(crate) enum ServerError {
    Unreachable {
        setting: &'static str,
        hosts: String,
        cause: SelectionFailure,
    },
    /// Connected to a member that does not take writes, or not even reads.
    Member {
        setting: &'static str,
        hosts: String,
        state: &'static str,
        /// Whether a restore was to write there.
        writing: bool,
    },
    Credentials {
        setting: &'static str,
        hosts: String,
    },
    /// The server has users, and the connection string names none.
    NoUser {
        setting: &'static str,
        hosts: String,
    },
    Role {
        setting: &'static str,
        action: &'static str,
        /// The line for mongosh that gives the role.
        grant: String,
        /// Databases that the user may read all the same.
        readable: Vec<String>,
    },
    Uri {
        setting: &'static str,
        reason: String,
    },
    Other {
        hosts: String,
        reason: String,
    },
}

impl ServerError {
    /// Whether it may pass by itself.
    pub(crate) fn may_pass(&self) -> bool {
        match self {
            Self::Unreachable { cause, .. } => cause.is_transient(),
            Self::Member { .. } | Self::Other { .. } => true,
            _ => false,
        }
    }

    /// Whether nothing is there at all.
    pub(crate) fn is_absence(&self) -> bool {
        matches!(self, Self::Unreachable { cause, .. } if cause.is_absence())
    }

    /// In words, with advice that fits `runtime`; where that is not known, with advice that fits everywhere.
    pub(crate) fn problem(&self, runtime: Option<Runtime>) -> Problem {
        match self {
            Self::Unreachable {
                setting,
                hosts,
                cause,
            } => topology::problem(cause, hosts, setting, runtime),
            Self::Member {
                setting,
                hosts,
                state,
                writing: true,
            } => Problem::new(
                format!("{hosts} is {state}: a restore needs the primary"),
                format!("name the primary in {setting}, or all members with replicaSet=NAME"),
            ),
            Self::Member { hosts, state, .. } => Problem::new(
                format!("{hosts} is {state}, so it has no primary to offer and cannot be read"),
                "see rs.status() in mongosh; a set of one whose host or port has changed needs rs.reconfig()",
            ),
            Self::Credentials { setting, hosts } => Problem::new(
                format!("MongoDB at {hosts} refused the user name or the password in {setting}"),
                "check both, and authSource",
            ),
            Self::NoUser { setting, hosts } => Problem::new(
                format!("MongoDB at {hosts} has users, and {setting} names none"),
                format!("write {setting} as mongodb://USER:PASSWORD@HOST:PORT/?authSource=admin"),
            ),
            Self::Role {
                setting,
                action,
                grant,
                readable,
            } => Problem::new(
                format!("the user in {setting} may not {action}"),
                role_help(grant, readable),
            ),
            Self::Uri { setting, reason } => {
                Problem::new(format!("{setting} cannot be used: {reason}"), "")
            }
            Self::Other { hosts, reason } => Problem::new(
                format!("MongoDB at {hosts} answered with an error: {reason}"),
                "",
            ),
        }
    }
}

/// The role as a line for mongosh, and beside it the way on without it.
pub(crate) fn role_help(grant: &str, readable: &[String]) -> String {
    let line = format!("in mongosh, as an administrator: {grant}");
    match readable {
        [] => line,
        some => format!(
            "{line}; or back up only what this user may read: BACKUP_DATABASES={}",
            some.join(",")
        ),
    }
}

impl fmt::Display for ServerError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.problem(None).fmt(f)
    }
}

impl std::error::Error for ServerError {}
