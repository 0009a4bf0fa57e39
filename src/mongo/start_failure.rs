//! Why a tool that is there does not start, and what to do about it.

use rustix::io::Errno;
use std::io;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum StartFailure {
    /// The file is for another processor or system, or what loads it is missing.
    WrongKind,
    /// It, or a folder on the way to it, may not be used, or its disk is mounted with noexec.
    Forbidden,
    TooManyFiles,
    /// No memory for it, or too many processes.
    Short,
    /// Somebody writes to the file: an update.
    Busy,
    Other,
}

impl StartFailure {
    pub(super) fn of(error: &io::Error) -> Self {
        match Errno::from_io_error(error) {
            // The file itself was found before.
            Some(Errno::NOEXEC | Errno::NOENT) => Self::WrongKind,
            Some(Errno::ACCESS | Errno::PERM) => Self::Forbidden,
            Some(Errno::MFILE | Errno::NFILE) => Self::TooManyFiles,
            Some(Errno::NOMEM | Errno::AGAIN) => Self::Short,
            Some(Errno::TXTBSY) => Self::Busy,
            _ => Self::Other,
        }
    }

    /// Whether it may start a little later.
    pub(super) fn is_transient(self) -> bool {
        matches!(self, Self::TooManyFiles | Self::Short | Self::Busy)
    }

    pub(super) fn help(self) -> &'static str {
        match self {
            Self::WrongKind => {
                "it may be for another kind of processor: install MongoDB Database Tools 100.3 or later, or use the Pantry \
                 Keeper image, which brings them"
            }
            Self::Forbidden => {
                "check that this user may execute it and enter its folders, and that its disk is not mounted with noexec"
            }
            Self::TooManyFiles => {
                "allow more open files (ulimit -n, LimitNOFILE=, --ulimit nofile=), or see what holds them"
            }
            Self::Short => {
                "there is too little memory, or too many processes run: see free -m and ulimit -u"
            }
            Self::Busy => "it is being replaced: try again when its update is done",
            Self::Other => "start it by hand with --version to see why",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn failure(errno: Errno) -> StartFailure {
        StartFailure::of(&errno.into())
    }

    #[test]
    fn only_a_file_that_cannot_be_loaded_is_for_another_processor() {
        for errno in [Errno::NOEXEC, Errno::NOENT] {
            assert!(failure(errno).help().contains("another kind of processor"));
            assert!(!failure(errno).is_transient());
        }
        for (errno, word) in [
            (Errno::ACCESS, "noexec"),
            (Errno::MFILE, "ulimit -n"),
            (Errno::NOMEM, "memory"),
            (Errno::AGAIN, "ulimit -u"),
            (Errno::IO, "--version"),
        ] {
            let help = failure(errno).help();
            assert!(help.contains(word) && !help.contains("processor"), "{help}");
        }
    }

    #[test]
    fn what_is_short_may_be_there_a_little_later() {
        for errno in [Errno::MFILE, Errno::NFILE, Errno::NOMEM, Errno::AGAIN] {
            assert!(failure(errno).is_transient(), "{errno:?}");
        }
        assert!(!failure(Errno::ACCESS).is_transient());
    }
}
