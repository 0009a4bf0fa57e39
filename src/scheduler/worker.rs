//! A run in a process of its own: the memory it took goes back with it, and when it is killed for want of memory the
//! scheduler lives on to tell.

use super::systemd;
use crate::backup::Queued;
use crate::context::Context;
use crate::state::Unsaved;
use crate::sys::cancel::{Cancel, Interruption};
use crate::sys::process;
use rustix::process::{Pid, Signal, kill_process};
use serde::{Deserialize, Serialize};
use std::os::unix::process::ExitStatusExt;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::process::Child;

/// The hidden command by which a run is started.
pub(crate) const ARGUMENT: &str = "__run";
/// How long a run has to end when it is told to. Docker kills everything after ten seconds.
const GRACE: Duration = Duration::from_secs(7);
/// How much longer than BACKUP_TIMEOUT a run may be at work before and after its backup.
pub(super) const SLACK: Duration = Duration::from_secs(30 * 60);

/// What a run is told on its standard input.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct WorkerRequest {
    pub trigger: String,
    /// Not a backup, but a drill of the latest one.
    #[serde(default)]
    pub drill: bool,
    /// Not a backup, but a round over the places for copies.
    #[serde(default)]
    pub offsite: bool,
    pub unsaved: Unsaved,
}

/// What a run tells on its standard output when it ends.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct WorkerReport {
    pub ended: Ended,
    /// Notifications that were due; they hold no secrets.
    pub queued: Queued,
    /// What the disk did not take.
    pub unsaved: Unsaved,
}

/// How a run ended, as far as the schedule is concerned.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Ended {
    /// With an archive or without.
    Finished,
    /// Somebody else is at work in the folder.
    Busy,
    /// It was told to stop.
    Stopped,
    /// A drill had no archive yet.
    TooEarly,
}

/// Why a run told nothing.
pub(crate) struct WorkerFailure {
    pub error: String,
    /// What to do about it.
    pub advice: &'static str,
}

/// Runs one backup, or one drill.
pub(crate) async fn run(
    request: &WorkerRequest,
    timeout: Duration,
    ctx: &Context,
) -> Result<WorkerReport, WorkerFailure> {
    let what = if request.drill { "drill" } else { "backup" };
    supervise(request, what, timeout, &ctx.cancel).await
}

/// Makes one round over the places for copies. Nothing else waits for it.
pub(crate) async fn copy(stop: Cancel, timeout: Duration) -> Result<WorkerReport, WorkerFailure> {
    let request = WorkerRequest {
        offsite: true,
        ..WorkerRequest::default()
    };
    supervise(&request, "copying", timeout, &stop).await
}

async fn supervise(
    request: &WorkerRequest,
    what: &str,
    timeout: Duration,
    stop: &Cancel,
) -> Result<WorkerReport, WorkerFailure> {
    let mut child = start().map_err(|error| WorkerFailure {
        error: format!("the {what} could not be started: {error}"),
        advice: "See whether memory has run out.",
    })?;
    let mut report = Vec::new();
    let talking = talk(&mut child, request, &mut report);
    let ended = stop
        .or(tokio::time::timeout(timeout + SLACK, talking))
        .await;
    let status = match ended {
        Ok(Ok(status)) => status,
        Ok(Err(_)) => {
            // One that hangs on a dying disk is not waited for.
            let _ = child.start_kill();
            let advice = "See whether the disk or the network share of the backup folder hangs.";
            return Err(WorkerFailure {
                error: Interruption::Deadline.to_string(),
                advice,
            });
        }
        Err(_) => {
            tell_to_stop(&child);
            let _ = tokio::time::timeout(GRACE, talk(&mut child, request, &mut report)).await;
            let _ = child.start_kill();
            // Asked to stop before it could listen, or in the middle of a word: it is made up for at the next start.
            let stopped = || WorkerReport {
                ended: Ended::Stopped,
                queued: Queued::default(),
                unsaved: request.unsaved.clone(),
            };
            return Ok(serde_json::from_slice(&report).unwrap_or_else(|_| stopped()));
        }
    };
    serde_json::from_slice(&report).map_err(|_| died(what, status))
}

fn died(what: &str, status: std::io::Result<ExitStatus>) -> WorkerFailure {
    let advice = match status
        .as_ref()
        .map(|status| (status.code(), status.signal()))
    {
        Ok((_, Some(9))) => {
            "If memory ran out, give it more, or see what else takes it: dmesg tells."
        }
        Ok((Some(2), _)) => {
            "Look at the log: the settings, or a file that one of them names, are no longer right."
        }
        _ => "Look at the log for what it said last.",
    };
    let error = match status {
        Ok(status) => {
            format!(
                "the {what}'s process ended with {}",
                process::Ended {
                    status,
                    last_lines: Vec::new()
                }
                .how()
            )
        }
        Err(error) => format!("the {what}'s process is lost: {error}"),
    };
    WorkerFailure { error, advice }
}

fn start() -> std::io::Result<Child> {
    systemd::hidden_from(&mut process::own_command(ARGUMENT)?)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
}

/// Tells it what to do and hears it out. Can be dropped and taken up again: what was heard stays in `report`.
async fn talk(
    child: &mut Child,
    request: &WorkerRequest,
    report: &mut Vec<u8>,
) -> std::io::Result<ExitStatus> {
    if let Some(mut stdin) = child.stdin.take() {
        let json = serde_json::to_vec(request).unwrap_or_default();
        let _ = stdin.write_all(&json).await;
    }
    if let Some(stdout) = &mut child.stdout {
        while let Ok(1..) = stdout.read_buf(report).await {}
    }
    child.wait().await
}

fn tell_to_stop(child: &Child) {
    let id = child
        .id()
        .and_then(|id| Pid::from_raw(i32::try_from(id).ok()?));
    if let Some(id) = id {
        // It may have ended in this moment.
        let _ = kill_process(id, Signal::TERM);
    }
}
