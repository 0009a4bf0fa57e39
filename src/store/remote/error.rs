//! What may go wrong elsewhere, and what to do about it.

use crate::report::Problem;
use crate::sys::http::HttpError;
use std::fmt;
use std::io;

/// What kind of trouble it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum StoreErrorKind {
    /// It may pass with nothing changed.
    Unreachable,
    /// The credentials are refused, or may not do this.
    Denied,
    /// The bucket or folder is not there.
    NoPlace,
    /// There is no such file.
    Missing,
    /// The name is taken.
    Exists,
    /// There is no room.
    Full,
    /// What arrived is not what was sent.
    Differs,
    /// It is this one file that cannot be copied, and others may: it is not what it was when it was verified, or it is too
    /// large for what is there.
    Local,
    Other,
}

/// Why something could not be done elsewhere. Holds no secrets.
#[derive(Debug, Clone)]
pub(crate) struct StoreError {
    pub kind: StoreErrorKind,
    pub problem: Problem,
}

impl StoreError {
    pub(crate) fn new(
        kind: StoreErrorKind,
        summary: impl Into<String>,
        help: impl Into<String>,
    ) -> Self {
        StoreError {
            kind,
            problem: Problem::new(summary, help),
        }
    }

    pub(super) fn differs(name: &str) -> Self {
        Self::new(
            StoreErrorKind::Differs,
            format!("{name} did not arrive as it was sent"),
            "it is sent again the next time; if this goes on, the other side or the way to it damages data",
        )
    }

    /// The server takes no request of this size; smaller files may be taken. `help` says how it takes larger ones.
    pub(super) fn too_large(name: &str, help: &str) -> Self {
        Self::new(
            StoreErrorKind::Local,
            format!("the server takes no file of this size: {name} (status 413)"),
            help,
        )
    }

    pub(super) fn exists(name: &str) -> Self {
        Self::new(
            StoreErrorKind::Exists,
            format!("there is a {name} there already, which is not overwritten"),
            "",
        )
    }

    pub(super) fn missing(name: &str) -> Self {
        Self::new(
            StoreErrorKind::Missing,
            format!("there is no {name} there"),
            "",
        )
    }

    pub(super) fn of_io(action: &str, name: &str, error: &io::Error) -> Self {
        let (kind, help) = match error.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => (
                StoreErrorKind::Full,
                "make room there, or keep fewer copies: OFFSITE_RETENTION_DAYS",
            ),
            io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => (
                StoreErrorKind::Denied,
                "see to it that this user may write there",
            ),
            io::ErrorKind::NotFound => (StoreErrorKind::Missing, ""),
            io::ErrorKind::AlreadyExists => (StoreErrorKind::Exists, ""),
            _ => (StoreErrorKind::Other, ""),
        };
        Self::new(kind, format!("cannot {action} {name}: {error}"), help)
    }

    pub(crate) fn is(&self, kind: StoreErrorKind) -> bool {
        self.kind == kind
    }
}

impl fmt::Display for StoreError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.problem.fmt(out)
    }
}

impl From<HttpError> for StoreError {
    fn from(error: HttpError) -> Self {
        let kind = match error.is_transient() {
            true => StoreErrorKind::Unreachable,
            false => StoreErrorKind::Other,
        };
        Self::new(kind, error.to_string(), error.help().unwrap_or_default())
    }
}
