//! What mongodump and mongorestore have in common while they run: how they are started, watched and ended.

use crate::mongo::tool::Tool;
use crate::sys::cancel::{Cancel, Interruption, joined};
use crate::sys::process::{Child, Command};
use crate::sys::progress::Meter;
use crate::sys::redact::{Redactor, Secret};
use crate::sys::stall::{Activity, Stall};
use std::ffi::OsString;
use std::time::{Duration, Instant};
use tokio::task::JoinHandle;

/// How often a stream is looked at for a stall.
const LOOK: Duration = Duration::from_millis(250);
/// How long the other end of a stream may take once its tool is gone.
const LAST_BYTES: Duration = Duration::from_secs(3);

/// What a tool is told, whichever it is.
pub(crate) struct ToolOptions {
    pub tool: Tool,
    pub uri: Secret,
    /// Where its password was given.
    pub password_setting: &'static str,
    /// What of the connection string is told by flags.
    pub flags: Vec<OsString>,
    pub environment: Vec<(OsString, OsString)>,
    pub redactor: Redactor,
    pub stall_timeout: Duration,
}

impl ToolOptions {
    pub(super) fn command(&self, mut arguments: Vec<OsString>) -> Command {
        arguments.extend(self.flags.iter().cloned());
        Command {
            program: self.tool.program.clone(),
            arguments,
            config: Some(self.tool.config(&self.uri)),
            environment: self.environment.clone(),
        }
    }

    /// As it is named in messages.
    pub(super) fn program(&self) -> String {
        self.tool.program.display().to_string()
    }
}

/// Why a tool's stream was not waited for any longer.
pub(super) enum GivenUp {
    Stalled,
    Interrupted(Interruption),
}

/// Waits for the thread that reads or writes a tool's stream, unless nothing moves any more or it is time to stop. The
/// thread's panic goes on here, and the child does not outlive it.
pub(super) async fn supervise<T>(
    stream: &mut JoinHandle<T>,
    activity: &Activity,
    limit: Duration,
    meter: &Meter,
    cancel: &Cancel,
) -> Result<T, GivenUp> {
    watch(stream, activity, limit, meter, cancel)
        .await
        .map(joined)
}

/// Waits for anything that a tool does, unless nothing moves any more or it is time to stop.
pub(super) async fn watch<T>(
    work: impl Future<Output = T>,
    activity: &Activity,
    limit: Duration,
    meter: &Meter,
    cancel: &Cancel,
) -> Result<T, GivenUp> {
    let moved = || activity.with_stream(meter.stream_bytes());
    let mut stall = Stall::after(limit, moved(), Instant::now());
    let mut look = tokio::time::interval(LOOK);
    let cancelled = cancel.requested();
    tokio::pin!(work, cancelled);
    loop {
        tokio::select! {
            biased;
            reason = &mut cancelled => return Err(GivenUp::Interrupted(reason)),
            ended = &mut work => return Ok(ended),
            _ = look.tick() => {
                if stall.is_due(moved(), Instant::now()) {
                    return Err(GivenUp::Stalled);
                }
                meter.show();
            }
        }
    }
}

/// Ends a tool, and lets the thread at its stream notice: the pipe between them is broken then.
pub(super) async fn give_up<T>(child: Child, stream: JoinHandle<T>) {
    let _ = child.stop().await;
    let _ = tokio::time::timeout(LAST_BYTES, stream).await;
}
