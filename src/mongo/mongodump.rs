//! Runs mongodump and feeds its stream to whoever makes an archive of it.

use crate::archive::dump_stream::reader::{self as dump_stream, StreamError};
use crate::archive::namespace::{DumpSink, Namespace};
use crate::mongo::tool::Tool;
use crate::sys::cancel::{Cancel, Interruption};
use crate::sys::process::{Command, Ended};
use crate::sys::progress::{Meter, Stall};
use crate::sys::redact::{Redactor, Secret};
use std::convert::Infallible;
use std::ffi::OsString;
use std::fs::File;
use std::io;
use std::sync::Arc;
use std::time::Duration;
use tokio::task::JoinHandle;

/// How often a dump is looked at for a stall.
const LOOK: Duration = Duration::from_millis(250);
/// How long mongodump may take to end once its stdout is closed: there is nothing left for it to do.
const LAST_WORDS: Duration = Duration::from_secs(4);
/// An `_id` that no document has.
const NO_DOCUMENT: &str = r#"{"_id":{"$oid":"000000000000000000000000"}}"#;
/// How long the rest of a stream may take to be written once mongodump has been stopped.
const LAST_WRITES: Duration = Duration::from_secs(3);

/// One call of mongodump.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Part {
    /// None for all databases.
    pub database: Option<String>,
    /// Collections of that database to leave out; needs a database.
    pub without: Vec<String>,
    pub oplog: bool,
}

/// Everything mongodump has to be told.
pub(crate) struct DumpOptions {
    pub tool: Tool,
    pub uri: Secret,
    pub environment: Vec<(OsString, OsString)>,
    pub redactor: Redactor,
    pub stall_timeout: Duration,
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
    #[error(
        "the user who backs up may not read everything: {reason}\ngrant it the role \"backup\" on the database admin"
    )]
    Role { reason: String },
    #[error("MongoDB refused the user name or the password")]
    Credentials,
    /// Operations during the dump were lost or cannot be replayed.
    #[error("a point-in-time dump was not possible: {reason}")]
    Oplog { reason: String },
    #[error("a collection was dropped while it was dumped: {reason}")]
    Dropped { reason: String },
    #[error("{0}")]
    Stream(String),
    #[error(transparent)]
    Sink(E),
    #[error("a part of Pantry Keeper stopped early; please report this")]
    Lost,
}

impl<E> DumpError<E> {
    /// Whether the same dump may succeed a little later.
    pub(crate) fn may_pass(&self) -> bool {
        matches!(
            self,
            DumpError::Stalled(_)
                | DumpError::Failed { .. }
                | DumpError::Dropped { .. }
                | DumpError::Stream(_)
        )
    }
}

/// Dumps one part into `sink`, which is handed back for the next.
pub(crate) async fn run<S: DumpSink + Send + 'static>(
    order: &DumpOptions,
    part: &Part,
    wanted: impl Fn(&Namespace) -> bool + Send + 'static,
    mut sink: S,
    meter: &Arc<Meter>,
    stop: &Cancel,
) -> Result<S, DumpError<S::Error>>
where
    S::Error: std::fmt::Display + Send + 'static,
{
    let command = Command {
        program: order.tool.program.clone(),
        arguments: arguments(part),
        config: Some(order.tool.config(&order.uri)),
        environment: order.environment.clone(),
    };
    let log = |line: &str| tracing::debug!("mongodump: {line}");
    let (child, stdout) = command
        .spawn(order.redactor.clone(), log)
        .map_err(|source| DumpError::Start {
            program: order.tool.program.display().to_string(),
            source,
        })?;
    let mut watch = meter.watch();
    let reading = tokio::task::spawn_blocking(move || {
        let result = dump_stream::read(File::from(stdout), &mut sink, &mut watch, wanted);
        (sink, result)
    });
    match supervise(reading, order.stall_timeout, meter, stop).await {
        Outcome::Read(sink, Ok(_)) => {
            match classify_exit(child.wait_for(LAST_WORDS).await, Stream::Whole) {
                None => Ok(sink),
                Some(error) => Err(error),
            }
        }
        // The stream was not taken to its end, and mongodump may be waiting for a reader that is gone.
        Outcome::Read(_, Err(StreamError::Sink(error))) => {
            let _ = child.stop().await;
            Err(DumpError::Sink(error))
        }
        Outcome::Read(_, Err(error)) => {
            let problem = error.to_string();
            // One that closed its stdout has nothing left to do but to say why and end.
            let judged = match error {
                StreamError::Cut(_) | StreamError::Missing(_) => {
                    classify_exit(child.wait_for(LAST_WORDS).await, Stream::BrokenOff(problem))
                }
                _ => classify_exit(child.stop().await, Stream::Refused(problem)),
            };
            Err(judged.unwrap_or(DumpError::Lost))
        }
        Outcome::Panicked => {
            let _ = child.stop().await;
            Err(DumpError::Lost)
        }
        Outcome::Stalled(reading) => {
            let _ = child.stop().await;
            let _ = tokio::time::timeout(LAST_WRITES, reading).await;
            Err(DumpError::Stalled(order.stall_timeout))
        }
        Outcome::Interrupted(reason, reading) => {
            let _ = child.stop().await;
            let _ = tokio::time::timeout(LAST_WRITES, reading).await;
            Err(DumpError::Interrupted(reason))
        }
    }
}

/// Lets mongodump connect and read a namespace of which no document is wanted. What it makes of the connection string is
/// not always what the driver makes of it.
pub(crate) async fn probe(
    options: &DumpOptions,
    namespace: &Namespace,
    limit: Duration,
) -> Result<(), DumpError<Infallible>> {
    let command = Command {
        program: options.tool.program.clone(),
        arguments: vec![
            "--archive".into(),
            format!("--db={}", namespace.database).into(),
            format!("--collection={}", namespace.collection).into(),
            format!("--query={NO_DOCUMENT}").into(),
        ],
        config: Some(options.tool.config(&options.uri)),
        environment: options.environment.clone(),
    };
    let log = |line: &str| tracing::debug!("mongodump: {line}");
    let (mut child, stdout) = command
        .spawn(options.redactor.clone(), log)
        .map_err(|source| DumpError::Start {
            program: options.tool.program.display().to_string(),
            source,
        })?;
    // It ends with the child, which nothing else writes for.
    let drained = tokio::task::spawn_blocking(|| {
        let _ = io::copy(&mut File::from(stdout), &mut io::sink());
    });
    // It tries again and again, without a word about why.
    let result = match tokio::time::timeout(limit, child.end()).await {
        Ok(ended) => classify_exit(ended, Stream::Whole).map_or(Ok(()), Err),
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

type Reading<S, E> = JoinHandle<(S, Result<dump_stream::Streamed, StreamError<E>>)>;

enum Outcome<S, E> {
    Read(S, Result<dump_stream::Streamed, StreamError<E>>),
    Panicked,
    Stalled(Reading<S, E>),
    Interrupted(Interruption, Reading<S, E>),
}

/// Waits for the stream's end, unless nothing moves any more or it is time to stop.
async fn supervise<S, E>(
    mut reading: Reading<S, E>,
    limit: Duration,
    meter: &Meter,
    stop: &Cancel,
) -> Outcome<S, E> {
    let mut stall = Stall::after(limit, meter);
    let mut look = tokio::time::interval(LOOK);
    let stopped = stop.requested();
    tokio::pin!(stopped);
    loop {
        tokio::select! {
            biased;
            reason = &mut stopped => return Outcome::Interrupted(reason, reading),
            result = &mut reading => return match result {
                Ok((sink, result)) => Outcome::Read(sink, result),
                Err(_) => Outcome::Panicked,
            },
            _ = look.tick() => {
                if stall.is_due(meter) {
                    return Outcome::Stalled(reading);
                }
                meter.show();
            }
        }
    }
}

/// How the reading of a stream ended, with what was wrong with it.
enum Stream {
    Whole,
    /// mongodump wrote no more, and will have a reason.
    BrokenOff(String),
    /// We wanted no more, and stopped mongodump: how it ended then says nothing.
    Refused(String),
}

/// What a child's end and its stream's amount to; none when all is well.
fn classify_exit<E>(ended: io::Result<Ended>, stream: Stream) -> Option<DumpError<E>> {
    let Ok(ended) = ended else {
        return Some(DumpError::Lost);
    };
    let line = |words: &[&str]| {
        ended
            .last_lines
            .iter()
            .rev()
            .find(|line| words.iter().any(|word| line.contains(word)))
            .cloned()
    };
    if let Some(reason) = line(&[
        "appears to have been dropped",
        "QueryPlanKilled",
        "collection dropped",
    ]) {
        return Some(DumpError::Dropped { reason });
    }
    let success = ended.status.success();
    if success && matches!(stream, Stream::Whole) {
        return None;
    }
    if line(&[
        "AuthenticationFailed",
        "unable to authenticate",
        "auth error",
    ])
    .is_some()
    {
        return Some(DumpError::Credentials);
    }
    if let Some(reason) = line(&["not authorized", "Unauthorized", "requires authentication"]) {
        return Some(DumpError::Role { reason });
    }
    if let Some(reason) = line(&[
        "oplog overflow",
        "cannot dump with oplog",
        "error finding oplog",
        "error getting oplog",
    ]) {
        return Some(DumpError::Oplog { reason });
    }
    let reason = line(&["Failed:", "error", "panic"]).or_else(|| ended.last_lines.last().cloned());
    let reason = reason.unwrap_or_else(|| "it gave no reason".into());
    Some(match stream {
        // A cut stream is what a failed mongodump leaves; the failure itself says more.
        Stream::Whole => DumpError::Failed {
            how: ended.how(),
            reason,
        },
        Stream::BrokenOff(_) if !success => DumpError::Failed {
            how: ended.how(),
            reason,
        },
        Stream::BrokenOff(problem) => DumpError::Stream(format!(
            "{problem}, though mongodump ended without an error"
        )),
        Stream::Refused(problem) => DumpError::Stream(problem),
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
            without: vec!["a".into(), "b c".into()],
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
