//! A run in a process of its own: the memory it took goes back with it, and when it is killed for want of memory the
//! scheduler lives on to tell.

use crate::job::Surroundings;
use crate::letter::Letter;
use crate::process::{self, CHILD_ARGUMENT};
use crate::status::Unsaved;
use crate::stop::Interruption;
use rustix::process::{Pid, Signal, kill_process};
use serde::{Deserialize, Serialize};
use std::process::{ExitStatus, Stdio};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::process::{Child, Command};

/// The hidden command by which a run is started.
pub const ARGUMENT: &str = "__run";
/// How long a run has to end when it is told to. Docker kills everything after ten seconds.
const GRACE: Duration = Duration::from_secs(8);
/// How much longer than BACKUP_TIMEOUT a run may be at work before and after its backup.
const SLACK: Duration = Duration::from_secs(30 * 60);

/// What a run is told on its standard input.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Orders {
    pub trigger: String,
    pub unsaved: Unsaved,
}

/// What a run tells on its standard output when it ends.
#[derive(Debug, Serialize, Deserialize)]
pub struct Told {
    pub ended: Ended,
    /// Mails that are due; they hold no secrets.
    pub letters: Vec<Letter>,
    /// What the disk did not take.
    pub unsaved: Unsaved,
}

/// How a run ended, as far as the schedule is concerned.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Ended {
    /// With an archive or without.
    Finished,
    /// Somebody else is at work in the folder.
    Busy,
    /// It was told to stop.
    Stopped,
}

/// Runs one backup; in case of an error, how the process ended instead of telling.
pub async fn run(orders: &Orders, timeout: Duration, around: &Surroundings) -> Result<Told, String> {
    let mut child = start().map_err(|error| format!("the backup could not be started: {error}"))?;
    let talk = talk(&mut child, orders);
    let (told, status) = match around.stop.or(tokio::time::timeout(timeout + SLACK, talk)).await {
        Ok(Ok(told)) => (told, child.wait().await),
        Ok(Err(_)) => {
            let _ = child.kill().await;
            return Err(Interruption::Deadline.to_string());
        }
        Err(_) => {
            tell_to_stop(&child);
            let end = async {
                let mut text = Vec::new();
                if let Some(stdout) = &mut child.stdout {
                    let _ = stdout.read_to_end(&mut text).await;
                }
                (text, child.wait().await)
            };
            match tokio::time::timeout(GRACE, end).await {
                Ok(ended) => ended,
                Err(_) => {
                    let _ = child.kill().await;
                    return Ok(Told { ended: Ended::Stopped, letters: Vec::new(), unsaved: Unsaved::default() });
                }
            }
        }
    };
    serde_json::from_slice(&told).map_err(|_| match status {
        Ok(status) => format!("the backup's process ended with {}", how(status)),
        Err(error) => format!("the backup's process is lost: {error}"),
    })
}

fn start() -> std::io::Result<Child> {
    let own = process::own_program()?;
    Command::new(&own)
        // On the way it asks the kernel to be ended when we are.
        .arg(CHILD_ARGUMENT)
        .arg(std::process::id().to_string())
        .arg(&own)
        .arg(ARGUMENT)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        // Ctrl-C is for us, who pass it on.
        .process_group(0)
        .kill_on_drop(true)
        .spawn()
}

async fn talk(child: &mut Child, orders: &Orders) -> Vec<u8> {
    let mut text = Vec::new();
    if let Some(mut stdin) = child.stdin.take() {
        let json = serde_json::to_vec(orders).unwrap_or_default();
        let _ = stdin.write_all(&json).await;
    }
    if let Some(stdout) = &mut child.stdout {
        let _ = stdout.read_to_end(&mut text).await;
    }
    text
}

fn tell_to_stop(child: &Child) {
    let id = child.id().and_then(|id| Pid::from_raw(i32::try_from(id).ok()?));
    if let Some(id) = id {
        // It may have ended in this moment.
        let _ = kill_process(id, Signal::TERM);
    }
}

fn how(status: ExitStatus) -> String {
    process::Ended { status, last_lines: Vec::new() }.how()
}
