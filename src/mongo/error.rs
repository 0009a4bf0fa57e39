//! Why the server cannot be used, and what to do about it.

use super::option_advice::{takes_no_options, with_option};
use super::topology::SelectionFailure;
use crate::report::Explain;
use crate::sys::runtime::Runtime;

/// Why the server cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ServerError {
    #[error("cannot reach MongoDB at {hosts}: {}", .cause.summary())]
    Unreachable {
        setting: &'static str,
        hosts: String,
        cause: SelectionFailure,
    },
    /// Connected to a member that does not take writes, or not even reads.
    #[error("{hosts} is {state}{}", if *.writing { ": a restore needs the primary" } else { ", so it has no primary to offer and cannot be read" })]
    Member {
        setting: &'static str,
        hosts: String,
        state: &'static str,
        /// Whether a restore was to write there.
        writing: bool,
    },
    #[error("MongoDB at {hosts} refused the user name or the password in {setting}")]
    Credentials {
        setting: &'static str,
        hosts: String,
    },
    /// The server has users, and the connection string names none.
    #[error("MongoDB at {hosts} has users, and {setting} names none")]
    NoUser {
        setting: &'static str,
        hosts: String,
    },
    #[error("the user in {setting} may not {action}")]
    Role {
        setting: &'static str,
        action: &'static str,
        /// The line for mongosh that gives the role.
        grant: String,
        /// Databases that the user may read all the same.
        readable: Vec<String>,
    },
    #[error("{setting} cannot be used: {reason}")]
    Uri {
        setting: &'static str,
        reason: String,
    },
    #[error("MongoDB at {hosts} answered with an error: {reason}")]
    Other { hosts: String, reason: String },
}

impl ServerError {
    /// Whether nothing is there at all.
    pub(crate) fn is_absence(&self) -> bool {
        matches!(self, Self::Unreachable { cause, .. } if cause.is_absence())
    }
}

impl Explain for ServerError {
    fn help(&self, runtime: Runtime) -> Option<String> {
        Some(match self {
            Self::Unreachable { setting, cause, .. } => cause.help(setting, runtime),
            Self::Member {
                setting,
                writing: true,
                ..
            } if takes_no_options(setting) => {
                let all = with_option(setting, "replicaSet=NAME");
                format!("name the primary in {setting}; or all members: {all}")
            }
            Self::Member {
                setting,
                writing: true,
                ..
            } => format!("name the primary in {setting}, or all members with replicaSet=NAME"),
            Self::Member { .. } => {
                "see rs.status() in mongosh; a set of one whose host or port has changed needs rs.reconfig()".into()
            }
            Self::Credentials { .. } => "check both, and authSource".into(),
            Self::NoUser { setting, .. } if takes_no_options(setting) => {
                "set MONGODB_USERNAME and MONGODB_PASSWORD".into()
            }
            // Not as a whole connection string: in its place, the log would mask PASSWORD.
            Self::NoUser { setting, .. } => format!(
                "put USER:PASSWORD@ before the host in {setting}, and /?authSource=admin after it"
            ),
            Self::Role {
                grant, readable, ..
            } => role_help(grant, readable),
            Self::Uri { .. } | Self::Other { .. } => return None,
        })
    }

    fn is_transient(&self) -> bool {
        match self {
            Self::Unreachable { cause, .. } => cause.is_transient(),
            Self::Member { .. } | Self::Other { .. } => true,
            _ => false,
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
