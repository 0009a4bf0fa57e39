//! Runs mongorestore, feeds it an archive stream, and parses its output.

pub(crate) use super::mongorestore_output::MongorestoreOutput;
use crate::archive::dump_stream::writer::StreamWriter;
use crate::mongo::supervise::{GivenUp, ToolOptions, give_up, supervise, watch};
use crate::sys::cancel::{Cancel, Interruption};
use crate::sys::child_lines::ChildLine;
use crate::sys::humanize;
use crate::sys::process::{Child, Ended};
use crate::sys::progress::Meter;
use std::ffi::OsString;
use std::fs::File;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// How long the end of feeding may take once mongorestore is gone.
const LAST_READ: Duration = Duration::from_secs(3);

/// Everything mongorestore has to be told.
pub(crate) struct RestoreOptions {
    pub tool: ToolOptions,
    /// Workers that insert each collection. More than one do not keep the order of its documents.
    pub workers: usize,
    /// Drop each collection before it is restored.
    pub drop: bool,
    /// Apply the oplog at the end of the stream.
    pub replay: bool,
}

/// Why not everything could be fed or restored.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LoadError {
    #[error("cannot start {program}: {source}")]
    Start { program: String, source: io::Error },
    #[error("mongorestore took nothing for {} (BACKUP_STALL_TIMEOUT) and was stopped", humanize::duration(*.0))]
    Stalled(Duration),
    /// All was fed, and mongorestore waits for the server to take it.
    #[error("the server {} for {} (BACKUP_STALL_TIMEOUT), and mongorestore was stopped; perhaps most members of its replica set are away, or it is locked (fsyncLock)", if *.replaying { "applied nothing of the oplog" } else { "did not confirm the last documents" }, humanize::duration(*.limit))]
    Unconfirmed { limit: Duration, replaying: bool },
    #[error("{0}")]
    Interrupted(Interruption),
    #[error("the archive could not be read to its end: {0}")]
    Archive(String),
    #[error("mongorestore failed with {how}: {reason}")]
    Failed { how: String, reason: String },
}

/// Why feeding ended early.
#[derive(Debug, thiserror::Error)]
pub(crate) enum FeedError {
    /// mongorestore takes no more: it has a reason, and says it.
    #[error("mongorestore takes no more: {0}")]
    Pipe(#[from] io::Error),
    #[error("{0}")]
    Archive(String),
}

/// What mongorestore will be fed into.
pub(crate) type Feed = StreamWriter<File>;

/// What became of loading documents.
#[derive(Debug)]
pub(crate) struct LoadOutcome {
    /// There also when it failed.
    pub output: MongorestoreOutput,
    pub result: Result<(), LoadError>,
}

/// Restores what `feed` writes.
pub(crate) async fn run(
    options: &RestoreOptions,
    feed: impl FnOnce(Feed) -> Result<(), FeedError> + Send + 'static,
    meter: &Arc<Meter>,
    cancel: &Cancel,
) -> LoadOutcome {
    let parsed = Arc::new(Mutex::new(MongorestoreOutput::default()));
    let result = load(options, feed, meter, cancel, &parsed).await;
    let mut parsed = parsed.lock().unwrap_or_else(PoisonError::into_inner);
    let output = std::mem::take(&mut *parsed);
    LoadOutcome { output, result }
}

async fn load(
    options: &RestoreOptions,
    feed: impl FnOnce(Feed) -> Result<(), FeedError> + Send + 'static,
    meter: &Arc<Meter>,
    cancel: &Cancel,
    output: &Arc<Mutex<MongorestoreOutput>>,
) -> Result<(), LoadError> {
    let parsed = Arc::clone(output);
    let log = move |line: &ChildLine| {
        tracing::debug!("mongorestore: {}", line.shown());
        parsed
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .parse_line(line);
    };
    let tool = &options.tool;
    let command = tool.command(arguments(options));
    let started = command.spawn_fed(tool.redactor.clone(), log);
    let (child, stdin) = started.map_err(|source| LoadError::Start {
        program: tool.program(),
        source,
    })?;
    let watch = meter.watch();
    let mut feeding =
        tokio::task::spawn_blocking(move || feed(StreamWriter::new(File::from(stdin), watch)));
    let activity = child.activity();
    match supervise(&mut feeding, &activity, tool.stall_timeout, meter, cancel).await {
        Ok(Ok(())) => wait_for_exit(child, tool.stall_timeout, meter, cancel, output).await,
        Ok(Err(FeedError::Pipe(error))) => {
            // It ended before the stream did, and has a reason.
            classify_exit(child.wait_for(LAST_READ).await, output)?;
            Err(LoadError::Failed {
                how: "an early end".into(),
                reason: error.to_string(),
            })
        }
        Ok(Err(FeedError::Archive(problem))) => {
            let _ = child.stop().await;
            Err(LoadError::Archive(problem))
        }
        Err(given_up) => {
            give_up(child, feeding).await;
            Err(match given_up {
                GivenUp::Stalled => LoadError::Stalled(tool.stall_timeout),
                GivenUp::Interrupted(reason) => LoadError::Interrupted(reason),
            })
        }
    }
}

/// What is on its way is inserted now, and the oplog replayed, which takes as long as it takes, but not without an answer.
///
/// mongorestore waits for its server without a limit, and asks for a majority's word. An operation of the oplog is applied
/// alone, and none takes long, since indexes are not built on the way: so the same limit fits both. A slow replay shows in its
/// progress, of which mongorestore prints a line every three seconds, even where it moves few bytes.
async fn wait_for_exit(
    mut child: Child,
    limit: Duration,
    meter: &Meter,
    cancel: &Cancel,
    output: &Mutex<MongorestoreOutput>,
) -> Result<(), LoadError> {
    let activity = child.activity();
    let given_up = match watch(child.end(), &activity, limit, meter, cancel).await {
        Ok(ended) => return classify_exit(ended, output),
        Err(given_up) => given_up,
    };
    let _ = child.stop().await;
    let output = output.lock().unwrap_or_else(PoisonError::into_inner);
    Err(match given_up {
        GivenUp::Interrupted(reason) => LoadError::Interrupted(reason),
        GivenUp::Stalled => LoadError::Unconfirmed {
            limit,
            replaying: output.replaying,
        },
    })
}

fn classify_exit(
    ended: io::Result<Ended>,
    output: &Mutex<MongorestoreOutput>,
) -> Result<(), LoadError> {
    let ended = ended.map_err(|error| LoadError::Failed {
        how: "an end that could not be seen".into(),
        reason: error.to_string(),
    })?;
    if ended.status.success() {
        return Ok(());
    }
    let output = output.lock().unwrap_or_else(PoisonError::into_inner);
    Err(LoadError::Failed {
        how: ended.how(),
        reason: output.failed.clone().unwrap_or_else(|| ended.reason()),
    })
}

fn arguments(options: &RestoreOptions) -> Vec<OsString> {
    // A backup brings back what was there, also what a validator would refuse today.
    // Indexes are built by us afterwards, one refused index never costing another; it only reads them.
    let mut arguments: Vec<OsString> = vec![
        "--archive".into(),
        "--bypassDocumentValidation".into(),
        "--noIndexRestore".into(),
        format!("--numInsertionWorkersPerCollection={}", options.workers).into(),
    ];
    if options.drop {
        arguments.push("--drop".into());
    }
    if options.replay {
        arguments.push("--oplogReplay".into());
    }
    arguments
}
