//! Runs mongodump and feeds its stream to a sink that makes an archive of it.

use crate::archive::dump_stream::reader::{self as dump_stream, StreamError};
use crate::archive::namespace::{DumpSink, Namespace};
use crate::mongo::supervise::{GivenUp, ToolOptions, give_up, supervise};
use crate::report::Explain;
use crate::sys::cancel::{Cancel, Interruption};
use crate::sys::child_lines::behind_time_stamp;
use crate::sys::process::{Child, Ended};
use crate::sys::progress::Meter;
use crate::sys::runtime::Runtime;
use std::convert::Infallible;
use std::ffi::OsString;
use std::fmt;
use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::Duration;

/// How long mongodump may take to end once its stdout is closed: there is nothing left for it to do.
const LAST_WORDS: Duration = Duration::from_secs(4);
/// An `_id` that no document has.
const NO_DOCUMENT: &str = r#"{"_id":{"$oid":"000000000000000000000000"}}"#;

/// One call of mongodump.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Part {
    /// None for all databases.
    pub database: Option<String>,
    /// Collections of that database to leave out; needs a database.
    pub without: Vec<String>,
    pub oplog: bool,
}

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
    #[error("MongoDB refused the user name or the password")]
    Credentials,
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
            _ => None,
        }
    }

    /// Whether the same dump may succeed a little later.
    fn is_transient(&self) -> bool {
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

/// Dumps one part into `sink`, which is handed back for the next.
pub(crate) async fn run<S: DumpSink + Send + 'static>(
    options: &ToolOptions,
    part: &Part,
    wanted: impl Fn(&Namespace) -> bool + Send + 'static,
    mut sink: S,
    meter: &Arc<Meter>,
    cancel: &Cancel,
) -> Result<S, DumpError<S::Error>>
where
    S::Error: fmt::Display + Send + 'static,
{
    let (child, stdout) = start(options, arguments(part))?;
    let mut watch = meter.watch();
    let mut reading = tokio::task::spawn_blocking(move || {
        let result = dump_stream::read(File::from(stdout), &mut sink, &mut watch, wanted);
        (sink, result)
    });
    let limit = options.stall_timeout;
    let activity = child.activity();
    match supervise(&mut reading, &activity, limit, meter, cancel).await {
        Ok((sink, Ok(_))) => {
            check_exit(child.wait_for(LAST_WORDS).await)?;
            Ok(sink)
        }
        Ok((_, Err(error))) => Err(explain(child, error).await),
        Err(given_up) => {
            give_up(child, reading).await;
            Err(match given_up {
                GivenUp::Stalled => DumpError::Stalled(limit),
                GivenUp::Interrupted(reason) => DumpError::Interrupted(reason),
            })
        }
    }
}

fn start<E>(
    options: &ToolOptions,
    arguments: Vec<OsString>,
) -> Result<(Child, OwnedFd), DumpError<E>> {
    let log = |line: &str| tracing::debug!("mongodump: {line}");
    let started = options
        .command(arguments)
        .spawn(options.redactor.clone(), log);
    started.map_err(|source| DumpError::Start {
        program: options.program(),
        source,
    })
}

/// Lets mongodump connect and read a namespace of which no document is wanted. What it makes of the connection string is
/// not always what the driver makes of it.
pub(crate) async fn probe(
    options: &ToolOptions,
    namespace: &Namespace,
    limit: Duration,
) -> Result<(), DumpError<Infallible>> {
    let arguments = vec![
        "--archive".into(),
        format!("--db={}", namespace.database).into(),
        format!("--collection={}", namespace.collection).into(),
        format!("--query={NO_DOCUMENT}").into(),
    ];
    let (mut child, stdout) = start(options, arguments)?;
    // It ends with the child, which nothing else writes for.
    let drained = tokio::task::spawn_blocking(|| {
        let _ = io::copy(&mut File::from(stdout), &mut io::sink());
    });
    // It tries again and again, without a word about why.
    let result = match tokio::time::timeout(limit, child.end()).await {
        Ok(ended) => check_exit(ended),
        Err(_) => {
            let _ = child.stop().await;
            let limit = crate::sys::humanize::duration(limit);
            Err(DumpError::Stream(format!(
                "mongodump could not connect within {limit}"
            )))
        }
    };
    let _ = drained.await;
    result
}

/// What it was when the stream could not be read to its end: mongodump's own reason, where it has one.
async fn explain<E: fmt::Display>(child: Child, error: StreamError<E>) -> DumpError<E> {
    let problem = match error {
        // The stream was not taken to its end, and mongodump may be waiting for a reader that is gone.
        StreamError::Sink(error) => {
            let _ = child.stop().await;
            return DumpError::Sink(error);
        }
        other => other,
    };
    // One that closed its stdout has nothing left to do but to say why and end. One whose stream was refused is stopped,
    // and how it ended then says nothing.
    let is_cut = matches!(problem, StreamError::Cut(_) | StreamError::Missing(_));
    let ended = match is_cut {
        true => child.wait_for(LAST_WORDS).await,
        false => child.stop().await,
    };
    let ended = match ended.map_err(unseen_exit) {
        Ok(ended) => ended,
        Err(error) => return error,
    };
    if let Some(stated) = dropped(&ended).or_else(|| stated_reason(&ended)) {
        return stated;
    }
    match (is_cut, ended.status.success()) {
        (false, _) => DumpError::Stream(problem.to_string()),
        // A cut stream is what a failed mongodump leaves; the failure itself says more.
        (true, false) => failed(&ended),
        (true, true) => DumpError::Stream(format!(
            "{problem}, though mongodump ended without an error"
        )),
    }
}

/// Whether a mongodump whose stream is whole says so too.
fn check_exit<E>(ended: io::Result<Ended>) -> Result<(), DumpError<E>> {
    let ended = ended.map_err(unseen_exit)?;
    if let Some(dropped) = dropped(&ended) {
        return Err(dropped);
    }
    if ended.status.success() {
        return Ok(());
    }
    Err(stated_reason(&ended).unwrap_or_else(|| failed(&ended)))
}

fn unseen_exit<E>(error: io::Error) -> DumpError<E> {
    DumpError::Failed {
        how: "an end that could not be seen".into(),
        reason: error.to_string(),
    }
}

fn failed<E>(ended: &Ended) -> DumpError<E> {
    DumpError::Failed {
        how: ended.how(),
        reason: ended.reason(),
    }
}

/// mongodump may call it a success.
fn dropped<E>(ended: &Ended) -> Option<DumpError<E>> {
    let is_told = |line: &&str| {
        let said = behind_time_stamp(line);
        said.starts_with("the collection ") && said.contains(" appears to have been dropped")
    };
    let told = ended.last_lines.iter().map(String::as_str).find(is_told);
    let killed = || failure_with(ended, &["QueryPlanKilled", "collection dropped"]);
    let reason = told.or_else(killed)?.to_owned();
    Some(DumpError::Dropped { reason })
}

/// What is known by mongodump's own words.
fn stated_reason<E>(ended: &Ended) -> Option<DumpError<E>> {
    let line = |words: &[&str]| failure_with(ended, words).map(str::to_owned);
    let refused = [
        "AuthenticationFailed",
        "unable to authenticate",
        "auth error",
    ];
    let forbidden = ["not authorized", "Unauthorized", "requires authentication"];
    let no_oplog = [
        "cannot dump with oplog",
        "error finding oplog",
        "error getting oplog",
    ];
    if line(&refused).is_some() {
        Some(DumpError::Credentials)
    } else if let Some(reason) = line(&forbidden) {
        Some(DumpError::Role { reason })
    } else if let Some(reason) = line(&["oplog overflow"]) {
        Some(DumpError::Overflow { reason })
    } else {
        line(&no_oplog).map(|reason| DumpError::Oplog { reason })
    }
}

/// The last line that says why mongodump failed and holds one of `words`, other than in the name of a collection.
fn failure_with<'e>(ended: &'e Ended, words: &[&str]) -> Option<&'e str> {
    ended.failures().find(|line| {
        // Names stand between back quotes, where a failure has one.
        let own: String = line.split('`').step_by(2).collect();
        words.iter().any(|word| own.contains(word))
    })
}

fn arguments(part: &Part) -> Vec<OsString> {
    // One collection after another: the archive keeps each in one piece, and mongodump a third of its memory.
    let mut arguments: Vec<OsString> =
        vec!["--archive".into(), "--numParallelCollections=1".into()];
    if let Some(database) = &part.database {
        arguments.push(format!("--db={database}").into());
    }
    arguments.extend(
        part.without
            .iter()
            // Its parser takes such a value for a quoted one. What it sends of them all the same is not taken.
            .filter(|collection| !collection.starts_with('"'))
            .map(|collection| format!("--excludeCollection={collection}").into()),
    );
    if part.oplog {
        arguments.push("--oplog".into());
    }
    arguments
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_never_hold_the_connection_string() {
        let part = Part {
            database: Some("shop".into()),
            without: vec!["a".into(), "\"cache".into(), "b c".into()],
            oplog: false,
        };
        let shown: Vec<String> = arguments(&part)
            .into_iter()
            .map(|a| a.into_string().unwrap())
            .collect();
        assert_eq!(
            shown,
            [
                "--archive",
                "--numParallelCollections=1",
                "--db=shop",
                "--excludeCollection=a",
                "--excludeCollection=b c"
            ]
        );
    }
}
