//! Why a dump failed, by what mongodump says and how it ends.

use super::login;
use super::start_failure::StartFailure;
use crate::report::Explain;
use crate::sys::cancel::Interruption;
use crate::sys::child_lines::ChildLine;
use crate::sys::process::Ended;
use crate::sys::runtime::Runtime;
use std::fmt;
use std::io;
use std::time::Duration;

/// Why a dump failed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum DumpError<E> {
    #[error("cannot start {program}: {source}")]
    Start { program: String, source: io::Error },
    #[error("mongodump sent nothing for {} (BACKUP_STALL_TIMEOUT) and was stopped", crate::sys::humanize::duration(*.0))]
    Stalled(Duration),
    #[error("the dump was stopped: {0}")]
    Interrupted(Interruption),
    #[error("mongodump failed with {how}: {reason}")]
    Failed { how: String, reason: String },
    #[error("the user who backs up may not read everything: {reason}")]
    Role { reason: String },
    /// The same that this program logged in with a moment before.
    #[error(
        "MongoDB refused the user name or the password in {setting} to mongodump, though it had just accepted them from this program"
    )]
    Credentials { setting: &'static str },
    /// Operations during the dump were lost or cannot be replayed.
    #[error("a point-in-time dump was not possible: {reason}")]
    Oplog { reason: String },
    /// mongodump says so also when it could not ask whether its first operation is still there.
    #[error("a point-in-time dump was not possible: {reason}")]
    Overflow { reason: String },
    #[error("a collection was dropped while it was dumped: {reason}")]
    Dropped { reason: String },
    #[error("{0}")]
    Stream(String),
    #[error(transparent)]
    Sink(E),
}

impl<E: fmt::Display> Explain for DumpError<E> {
    fn help(&self, _: Runtime) -> Option<String> {
        match self {
            DumpError::Role { .. } => {
                Some("grant it the role \"backup\" on the database admin".into())
            }
            DumpError::Credentials { setting } => Some(format!(
                "see whether the password was changed just now; otherwise check authSource and authMechanism, and {setting}"
            )),
            DumpError::Start { source, .. } => Some(StartFailure::of(source).help().into()),
            _ => None,
        }
    }

    /// Whether the same dump may succeed a little later.
    fn is_transient(&self) -> bool {
        if let DumpError::Start { source, .. } = self {
            return StartFailure::of(source).is_transient();
        }
        matches!(
            self,
            DumpError::Stalled(_)
                | DumpError::Failed { .. }
                | DumpError::Dropped { .. }
                | DumpError::Overflow { .. }
                | DumpError::Stream(_)
        )
    }
}

/// Whether a mongodump whose stream is whole says so too.
pub(super) fn check_exit<E>(
    password_setting: &'static str,
    ended: io::Result<Ended>,
) -> Result<(), DumpError<E>> {
    let ended = ended.map_err(unseen_exit)?;
    if let Some(dropped) = dropped(&ended) {
        return Err(dropped);
    }
    if ended.status.success() {
        return Ok(());
    }
    Err(stated_reason(password_setting, &ended).unwrap_or_else(|| failed(&ended)))
}

pub(super) fn unseen_exit<E>(error: io::Error) -> DumpError<E> {
    DumpError::Failed {
        how: "an end that could not be seen".into(),
        reason: error.to_string(),
    }
}

pub(super) fn failed<E>(ended: &Ended) -> DumpError<E> {
    DumpError::Failed {
        how: ended.how(),
        reason: ended.reason(),
    }
}

/// mongodump may call it a success.
pub(super) fn dropped<E>(ended: &Ended) -> Option<DumpError<E>> {
    let is_told = |line: &&ChildLine| {
        let said = line.said();
        said.starts_with("the collection ") && said.contains(" appears to have been dropped")
    };
    let told = ended.last_lines.iter().find(is_told).map(ChildLine::shown);
    let killed = || failure_with(ended, &["QueryPlanKilled", "collection dropped"]);
    let reason = told.or_else(killed)?.to_owned();
    Some(DumpError::Dropped { reason })
}

/// What is known by mongodump's own words.
pub(super) fn stated_reason<E>(setting: &'static str, ended: &Ended) -> Option<DumpError<E>> {
    let line = |words: &[&str]| failure_with(ended, words).map(str::to_owned);
    let forbidden = ["not authorized", "Unauthorized", "requires authentication"];
    let no_oplog = [
        "cannot dump with oplog",
        "error finding oplog",
        "error getting oplog",
    ];
    if failure_where(ended, login::is_refused_in).is_some() {
        Some(DumpError::Credentials { setting })
    } else if failure_where(ended, login::is_failure_in).is_some() {
        // A login that was cut off says nothing about what was to be done with it.
        None
    } else if let Some(reason) = line(&forbidden) {
        Some(DumpError::Role { reason })
    } else if let Some(reason) = line(&["oplog overflow"]) {
        Some(DumpError::Overflow { reason })
    } else {
        line(&no_oplog).map(|reason| DumpError::Oplog { reason })
    }
}

/// The last line that says why mongodump failed and holds one of `words`, other than in the name of a collection. What is
/// returned of it holds no secret.
fn failure_with<'e>(ended: &'e Ended, words: &[&str]) -> Option<&'e str> {
    failure_where(ended, |own| words.iter().any(|word| own.contains(word)))
}

fn failure_where(ended: &Ended, is_told: impl Fn(&str) -> bool) -> Option<&str> {
    let mut failures = ended.failures();
    let told = failures.find(|line| {
        // Names stand between back quotes, where a failure has one.
        let own: String = line.said().split('`').step_by(2).collect();
        is_told(&own)
    });
    told.map(ChildLine::shown)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::redact::{Redactor, Secret};
    use std::os::unix::process::ExitStatusExt;
    use std::process::ExitStatus;

    fn error_after(lines: &[&str]) -> DumpError<io::Error> {
        let ended = Ended {
            status: ExitStatus::from_raw(1 << 8),
            last_lines: lines
                .iter()
                .map(|line| ChildLine::new(line, &Redactor::new([Secret::new("jorb")])))
                .collect(),
        };
        check_exit("MONGODB_PASSWORD", Ok(ended)).unwrap_err()
    }

    const CUT: &str = "connection(db:27017[-5]) socket was unexpectedly closed: EOF";

    #[test]
    fn a_name_of_a_collection_is_no_reason() {
        for name in [
            "UnauthorizedRequests",
            "auth errors",
            "oplog overflow",
            "collection dropped",
            "Failed: not authorized",
        ] {
            let failed = format!(
                "t\tFailed: error writing data for collection `app.{name}` to disk: error reading collection: {CUT}"
            );
            let lines = [
                &format!("t\twriting app.{name} to archive on stdout"),
                &format!("t\t[....]  app.{name}  101/300  (33.7%)"),
                failed.as_str(),
                &format!("t\tdone dumping app.{name} (1 document)"),
            ];
            match error_after(&lines) {
                DumpError::Failed { reason, .. } => assert_eq!(reason, failed),
                other => panic!("{name}: {other:?}"),
            }
        }
    }

    #[test]
    fn a_line_is_parsed_with_the_secrets_and_told_without_them() {
        let dropped = "t\tthe collection jorb.x appears to have been dropped";
        match error_after(&[dropped]) {
            DumpError::Dropped { reason } => assert_eq!(reason, dropped.replace("jorb", "***")),
            other => panic!("{other:?}"),
        }
        let as_words = |line: &str| {
            let secret = Redactor::new([Secret::new("oplog")]);
            let ended = Ended {
                status: ExitStatus::from_raw(1 << 8),
                last_lines: vec![ChildLine::new(line, &secret)],
            };
            check_exit::<io::Error>("MONGODB_PASSWORD", Ok(ended)).unwrap_err()
        };
        match as_words("t\tFailed: oplog overflow: mongodump was unable") {
            DumpError::Overflow { reason } => {
                assert_eq!(reason, "t\tFailed: *** overflow: mongodump was unable");
            }
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn its_own_words_are_known() {
        let told = "t\tthe collection app.x appears to have been dropped after the dump started";
        assert!(matches!(error_after(&[told]), DumpError::Dropped { .. }));
        let error_after = |text: &str| error_after(&["t\twriting a.b to archive", text]);
        assert!(matches!(
            error_after(
                "t\tFailed: error reading collection: (QueryPlanKilled) collection dropped"
            ),
            DumpError::Dropped { .. }
        ));
        assert!(matches!(
            error_after(
                "t\tFailed: error getting count from db: (Unauthorized) not authorized on app"
            ),
            DumpError::Role { .. }
        ));
        assert!(matches!(
            error_after("t\tFailed: can't create session: auth error: (AuthenticationFailed) no"),
            DumpError::Credentials {
                setting: "MONGODB_PASSWORD"
            }
        ));
        // What was to be done with the login does not matter.
        let cut = error_after(&format!(
            "t\tFailed: error finding oplog: auth error: unable to authenticate: {CUT}"
        ));
        assert!(matches!(cut, DumpError::Failed { .. }), "{cut:?}");
        assert!(matches!(
            error_after(
                "t\tFailed: oplog overflow: mongodump was unable to capture all new oplog entries"
            ),
            DumpError::Overflow { .. }
        ));
        assert!(matches!(
            error_after(
                "t\tFailed: error dumping oplog: cannot dump with oplog while renames occur"
            ),
            DumpError::Oplog { .. }
        ));
    }
}
