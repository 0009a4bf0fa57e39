//! Runs mongodump and feeds its stream to a sink that makes an archive of it.

pub(crate) use super::dump_error::DumpError;
use super::dump_error::{check_exit, dropped, failed, stated_reason, unseen_exit};
use crate::archive::dump_stream::reader::{self as dump_stream, StreamError};
use crate::archive::namespace::{DumpSink, Namespace};
use crate::mongo::index_watch::{IndexWatch, Refusal};
use crate::mongo::supervise::{GivenUp, ToolOptions, give_up, supervise};
use crate::sys::cancel::Cancel;
use crate::sys::child_lines::ChildLine;
use crate::sys::process::Child;
use crate::sys::progress::Meter;
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
    /// Give up at a collection without an index, which was dropped a moment ago.
    pub refuse_unindexed: bool,
}

/// What came of it.
pub(crate) struct Received<S> {
    pub sink: S,
    /// Collections without an index, where an oplog does not make up for it.
    pub unindexed: Vec<Namespace>,
}

/// Dumps one part into `sink`, which is handed back for the next.
pub(crate) async fn run<S: DumpSink + Send + 'static>(
    options: &ToolOptions,
    part: &Part,
    wanted: impl Fn(&Namespace) -> bool + Send + 'static,
    sink: S,
    meter: &Arc<Meter>,
    cancel: &Cancel,
) -> Result<Received<S>, DumpError<S::Error>>
where
    S::Error: fmt::Display + Send + 'static,
{
    let (child, stdout) = start(options, arguments(part))?;
    let mut watch = meter.watch();
    let mut sink = IndexWatch {
        sink,
        // What is dropped after the oplog's beginning, and made anew, is there once it is replayed.
        refuses: part.refuse_unindexed && !part.oplog,
        unindexed: Vec::new(),
    };
    let mut reading = tokio::task::spawn_blocking(move || {
        let result = dump_stream::read(File::from(stdout), &mut sink, &mut watch, wanted);
        (sink, result)
    });
    let limit = options.stall_timeout;
    let activity = child.activity();
    match supervise(&mut reading, &activity, limit, meter, cancel).await {
        Ok((sink, Ok(_))) => {
            check_exit(options.password_setting, child.wait_for(LAST_WORDS).await)?;
            let unindexed = match part.oplog {
                true => Vec::new(),
                false => sink.unindexed,
            };
            Ok(Received {
                sink: sink.sink,
                unindexed,
            })
        }
        Ok((_, Err(error))) => Err(explain(options.password_setting, child, error).await),
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
    let log = |line: &ChildLine| tracing::debug!("mongodump: {}", line.shown());
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
        Ok(ended) => check_exit(options.password_setting, ended),
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
async fn explain<E: fmt::Display>(
    password_setting: &'static str,
    child: Child,
    error: StreamError<Refusal<E>>,
) -> DumpError<E> {
    let problem = match error {
        // The stream was not taken to its end, and mongodump may be waiting for a reader that is gone.
        StreamError::Sink(refusal) => {
            let _ = child.stop().await;
            return match refusal {
                Refusal::Sink(error) => DumpError::Sink(error),
                Refusal::Unindexed(_) => DumpError::Dropped {
                    reason: refusal.to_string(),
                },
            };
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
    if let Some(stated) = dropped(&ended).or_else(|| stated_reason(password_setting, &ended)) {
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
            ..Part::default()
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
