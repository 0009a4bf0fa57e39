//! A child process that is both written to and read from: ssh, rclone. Like every child of ours it is started without a
//! shell, knows no secrets of ours by its environment, and does not outlive us.

use super::process::{CHILD_ARGUMENT, own_program};
use super::redact::Redactor;
use std::collections::VecDeque;
use std::ffi::OsString;
use std::io;
use std::path::Path;
use std::process::{ExitStatus, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, BufReader};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use tokio::task::JoinHandle;

/// How many of its last lines on stderr are kept.
const LINES_KEPT: usize = 20;
/// Longer lines are cut.
const LONGEST_LINE: u64 = 16 * 1024;
/// How long its last lines may take to arrive.
const LAST_LINES: Duration = Duration::from_secs(1);

type Lines = Arc<Mutex<VecDeque<String>>>;

/// A running child; killed when it is dropped.
pub(crate) struct PipedChild {
    child: Child,
    pub stdin: Option<ChildStdin>,
    pub stdout: Option<ChildStdout>,
    lines: Lines,
    /// None once it has come to its end.
    stderr: Option<JoinHandle<()>>,
}

/// Starts a program. `environment` is all that it gets. Each line of its stderr goes to `heard`, which keeps it from the
/// last lines by answering false.
pub(crate) fn spawn(
    program: &Path,
    arguments: &[OsString],
    environment: impl Iterator<Item = (OsString, OsString)>,
    redactor: &Redactor,
    heard: impl Fn(&str) -> bool + Send + 'static,
) -> io::Result<PipedChild> {
    let mut child = Command::new(own_program()?)
        .arg(CHILD_ARGUMENT)
        .arg(std::process::id().to_string())
        .arg(program)
        .args(arguments)
        .env_clear()
        .envs(environment)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0)
        .kill_on_drop(true)
        .spawn()?;
    let (stdin, stdout, errors) = (child.stdin.take(), child.stdout.take(), child.stderr.take());
    let lines: Lines = Arc::default();
    let (kept, redactor) = (Arc::clone(&lines), redactor.clone());
    let stderr = tokio::spawn(async move {
        let Some(errors) = errors else { return };
        let mut errors = BufReader::new(errors);
        let mut line = Vec::new();
        while let Ok(1..) = (&mut errors)
            .take(LONGEST_LINE)
            .read_until(b'\n', &mut line)
            .await
        {
            let text = String::from_utf8_lossy(&line);
            let text = redactor.redact(text.trim()).into_owned();
            line.clear();
            if !text.is_empty() && heard(&text) {
                let mut kept = kept.lock().unwrap_or_else(PoisonError::into_inner);
                if kept.len() == LINES_KEPT {
                    kept.pop_front();
                }
                kept.push_back(text);
            }
        }
    });
    Ok(PipedChild {
        child,
        stdin,
        stdout,
        lines,
        stderr: Some(stderr),
    })
}

impl PipedChild {
    /// Its last lines on stderr, redacted; waits a moment for them if it has just ended.
    pub(crate) async fn last_lines(&mut self) -> Vec<String> {
        if let Some(stderr) = &mut self.stderr
            && tokio::time::timeout(LAST_LINES, stderr).await.is_ok()
        {
            self.stderr = None;
        }
        let lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
        lines.iter().cloned().collect()
    }

    /// Waits for its end.
    pub(crate) async fn end(&mut self) -> io::Result<ExitStatus> {
        drop(self.stdin.take());
        self.child.wait().await
    }
}
