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
use tokio::io::{AsyncBufRead, AsyncBufReadExt, AsyncReadExt, BufReader};
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
        while let Some(text) = next_line(&mut errors, &redactor).await {
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

/// The next line, without secrets; of a longer one its beginning. None at the end.
async fn next_line(input: &mut (impl AsyncBufRead + Unpin), redactor: &Redactor) -> Option<String> {
    let longest = LONGEST_LINE + redactor.margin() as u64;
    let (mut line, mut rest) = (Vec::new(), Vec::new());
    if let 0 = read_part(input, longest, &mut line).await {
        return None;
    }
    let is_whole = line.ends_with(b"\n") || (line.len() as u64) < longest;
    let text = String::from_utf8_lossy(&line);
    if is_whole {
        return Some(redactor.redact(text.trim()).into_owned());
    }
    while !rest.ends_with(b"\n") {
        rest.clear();
        if let 0 = read_part(input, longest, &mut rest).await {
            break;
        }
    }
    Some(redactor.redact_beginning(text.trim_start()))
}

/// Reads to the end of the line, or `longest` bytes of it. What cannot be read is the end.
async fn read_part(
    input: &mut (impl AsyncBufRead + Unpin),
    longest: u64,
    into: &mut Vec<u8>,
) -> usize {
    let mut part = input.take(longest);
    part.read_until(b'\n', into).await.unwrap_or_default()
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::redact::Secret;

    #[tokio::test]
    async fn a_secret_that_lies_over_the_end_of_what_is_kept_does_not_come_out_in_part() {
        let redactor = Redactor::new([Secret::new("correct horse")]);
        let longest = usize::try_from(LONGEST_LINE).unwrap();
        for before in longest - 20..longest + 40 {
            let text = format!(
                "{}correct horse{}\nnext correct horse\nlast",
                "-".repeat(before),
                "-".repeat(3 * longest)
            );
            let mut input = text.as_bytes();
            let first = next_line(&mut input, &redactor).await.unwrap();
            assert!(
                !first.contains("corr") && !first.contains("horse"),
                "{before}"
            );
            assert!(first.len() >= longest - 20, "{before}");
            assert_eq!(next_line(&mut input, &redactor).await.unwrap(), "next ***");
            assert_eq!(next_line(&mut input, &redactor).await.unwrap(), "last");
            assert_eq!(next_line(&mut input, &redactor).await, None);
        }
    }
}
