//! Child processes: started without a shell, told secrets through a pipe, and never outliving us.

use crate::sys::child_lines::{ChildLine, Counted, drain};
use crate::sys::redact::{Redactor, Secret};
use crate::sys::stall::Activity;
use rustix::io::{FdFlags, fcntl_setfd};
use rustix::process::{Pid, Signal, kill_process_group};
use std::ffi::OsString;
use std::io::{self, Write};
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::sync::Arc;
use std::time::Duration;
use tokio::task::JoinHandle;

/// The hidden first argument with which we start ourselves on the way to a child. See [`become_child`].
pub(crate) const CHILD_ARGUMENT: &str = "__child";

/// How long a child has to end after SIGTERM before it is killed. Docker kills everything after ten seconds.
const GRACE: Duration = Duration::from_secs(4);

/// How long the last lines of a child that has ended may take to arrive.
const LAST_LINES: Duration = Duration::from_secs(1);

/// What a child needs of our environment. Everything else stays here, since our own settings hold passwords.
const PASSED_ON: &[&str] = &[
    "PATH",
    "HOME",
    "LANG",
    "LC_ALL",
    "TMPDIR",
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
    "AWS_REGION",
    "GODEBUG",
    "GOMEMLIMIT",
];

/// What to start.
pub(crate) struct Command {
    pub program: PathBuf,
    pub arguments: Vec<OsString>,
    /// Written to a pipe that the child inherits; `--config /dev/fd/N` is added to its arguments.
    pub config: Option<Secret>,
    /// The environment of this process, of which little is passed on.
    pub environment: Vec<(OsString, OsString)>,
}

/// A running child.
pub(crate) struct Child {
    child: tokio::process::Child,
    stderr: JoinHandle<Vec<ChildLine>>,
    activity: Activity,
}

/// How a child ended.
#[derive(Debug)]
pub(crate) struct Ended {
    pub status: ExitStatus,
    /// The last lines it wrote on stderr.
    pub last_lines: Vec<ChildLine>,
}

impl Ended {
    /// `exit code 1`, or `signal 9 (killed, perhaps because memory ran out)`.
    pub(crate) fn how(&self) -> String {
        match (self.status.code(), self.status.signal()) {
            (Some(code), _) => format!("exit code {code}"),
            (None, Some(9)) => "signal 9 (killed, perhaps because memory ran out)".into(),
            (None, Some(signal)) => format!("signal {signal}"),
            (None, None) => "an unknown status".into(),
        }
    }

    /// Lines that say why it failed, the last one first. Others name collections, whose names may be any words.
    pub(crate) fn failures(&self) -> impl Iterator<Item = &ChildLine> {
        self.last_lines.iter().rev().filter(|line| {
            ["Failed:", "error", "panic:", "fatal error:"]
                .iter()
                .any(|word| line.said().starts_with(word))
        })
    }

    /// What it said at last about why it failed, without secrets.
    pub(crate) fn reason(&self) -> String {
        let line = self.failures().next().or(self.last_lines.last());
        line.map_or("it gave no reason", ChildLine::shown)
            .to_owned()
    }
}

impl Command {
    /// Starts the child in a process group of its own. Its stdout is returned; each line of its stderr goes to `log`.
    pub(crate) fn spawn(
        self,
        redactor: Redactor,
        log: impl Fn(&ChildLine) + Send + Sync + 'static,
    ) -> io::Result<(Child, OwnedFd)> {
        let mut child = self.start(Stdio::null(), Stdio::piped(), redactor, log)?;
        let stdout = child
            .child
            .stdout
            .take()
            .ok_or_else(|| io::Error::other("the child has no stdout"))?;
        Ok((child, widened(stdout.into_owned_fd()?)))
    }

    /// Likewise, but it is written to: its stdin is returned, and it has no stdout.
    pub(crate) fn spawn_fed(
        self,
        redactor: Redactor,
        log: impl Fn(&ChildLine) + Send + Sync + 'static,
    ) -> io::Result<(Child, OwnedFd)> {
        let mut child = self.start(Stdio::piped(), Stdio::null(), redactor, log)?;
        let stdin = child
            .child
            .stdin
            .take()
            .ok_or_else(|| io::Error::other("the child has no stdin"))?;
        Ok((child, widened(stdin.into_owned_fd()?)))
    }

    fn start(
        self,
        stdin: Stdio,
        stdout: Stdio,
        redactor: Redactor,
        log: impl Fn(&ChildLine) + Send + Sync + 'static,
    ) -> io::Result<Child> {
        let mut arguments = self.arguments;
        // Kept open until the child has its own copy.
        let mut inherited = None;
        if let Some(config) = &self.config {
            let pipe = pipe_with(config.expose().as_bytes())?;
            arguments.insert(0, format!("--config=/dev/fd/{}", pipe.as_raw_fd()).into());
            inherited = Some(pipe);
        }
        let mut command = std::process::Command::new(own_program()?);
        command
            .arg(CHILD_ARGUMENT)
            .arg(std::process::id().to_string())
            .arg(&self.program)
            .args(arguments)
            .env_clear()
            .envs(
                self.environment
                    .into_iter()
                    .filter(|(name, _)| PASSED_ON.iter().any(|passed| name == passed)),
            )
            .stdin(stdin)
            .stdout(stdout)
            .stderr(Stdio::piped())
            .process_group(0);
        let mut command = tokio::process::Command::from(command);
        let mut child = command.kill_on_drop(true).spawn()?;
        drop(inherited);
        let errors = child
            .stderr
            .take()
            .ok_or_else(|| io::Error::other("the child has no stderr"))?;
        let counted = Arc::<Counted>::default();
        let activity = Activity::new(child.id(), Arc::clone(&counted));
        let stderr = tokio::spawn(async move { drain(errors, redactor, &counted, log).await });
        Ok(Child {
            child,
            stderr,
            activity,
        })
    }
}

/// A larger pipe means fewer switches between the two processes; a smaller one works as well.
fn widened(pipe: OwnedFd) -> OwnedFd {
    #[cfg(target_os = "linux")]
    let _ = rustix::pipe::fcntl_setpipe_size(&pipe, 1024 * 1024);
    pipe
}

impl Child {
    /// Tells how far it is, also while it is waited for.
    pub(crate) fn activity(&self) -> Activity {
        self.activity.clone()
    }

    /// Waits for the child to end by itself, however long that takes. May be given up: the child goes on.
    pub(crate) async fn end(&mut self) -> io::Result<Ended> {
        let status = self.child.wait().await?;
        Ok(self.ended(status).await)
    }

    /// Waits for the child to end by itself, and ends it when it does not within `limit`.
    pub(crate) async fn wait_for(mut self, limit: Duration) -> io::Result<Ended> {
        match tokio::time::timeout(limit, self.child.wait()).await {
            Ok(status) => Ok(self.ended(status?).await),
            Err(_) => self.stop().await,
        }
    }

    /// Ends the child: SIGTERM first, SIGKILL when it does not listen.
    pub(crate) async fn stop(mut self) -> io::Result<Ended> {
        self.signal(Signal::TERM);
        let status = match tokio::time::timeout(GRACE, self.child.wait()).await {
            Ok(status) => status?,
            Err(_) => {
                self.signal(Signal::KILL);
                self.child.wait().await?
            }
        };
        Ok(self.ended(status).await)
    }

    async fn ended(&mut self, status: ExitStatus) -> Ended {
        // A process that the child left behind may hold its stderr open; that is not waited for.
        let last_lines = tokio::time::timeout(LAST_LINES, &mut self.stderr).await;
        Ended {
            status,
            last_lines: last_lines
                .map(Result::unwrap_or_default)
                .unwrap_or_default(),
        }
    }

    fn signal(&self, signal: Signal) {
        let group = self
            .child
            .id()
            .and_then(|id| Pid::from_raw(i32::try_from(id).ok()?));
        if let Some(group) = group {
            // It may have ended in this moment.
            let _ = kill_process_group(group, signal);
        }
    }
}

/// What runs in a child between us and the program: asks the kernel to end it when we die, then becomes the program.
///
/// Between `fork` and `exec` only unsafe code can do that; a program that replaces itself needs none. Returns only when
/// the program cannot be started.
pub(crate) fn become_child(mut arguments: impl Iterator<Item = OsString>) -> io::Error {
    let parent = arguments
        .next()
        .and_then(|id| id.to_str()?.parse::<i32>().ok());
    #[cfg(target_os = "linux")]
    if let Err(error) = rustix::process::set_parent_process_death_signal(Some(Signal::KILL)) {
        return error.into();
    }
    // We may have died before the kernel was asked.
    if parent.is_none() || rustix::process::getppid().map(|id| id.as_raw_nonzero().get()) != parent
    {
        return io::Error::other("its parent is gone");
    }
    match arguments.next() {
        Some(program) => std::process::Command::new(program).args(arguments).exec(),
        None => io::ErrorKind::InvalidInput.into(),
    }
}

/// Becomes this program once more, with other arguments: each that equals `marker` is followed by the number of a file
/// descriptor from which one of `hidden` can be read. Returns only when that is not possible.
pub(crate) fn start_again(arguments: Vec<OsString>, marker: &str, hidden: &[Secret]) -> io::Error {
    let program = match own_program() {
        Ok(program) => program,
        Err(error) => return error,
    };
    let mut pipes = Vec::new();
    for secret in hidden {
        match pipe_with(secret.expose().as_bytes()) {
            Ok(pipe) => pipes.push(pipe),
            Err(error) => return error,
        }
    }
    let mut numbers = pipes.iter().map(AsRawFd::as_raw_fd);
    let mut arguments = arguments
        .into_iter()
        .map(|argument| match argument == marker {
            true => numbers
                .next()
                .map_or(argument, |number| format!("{marker}{number}").into()),
            false => argument,
        });
    let name = arguments.next().unwrap_or_default();
    std::process::Command::new(program)
        .arg0(name)
        .args(arguments)
        .exec()
}

/// A program by its name on PATH, as a shell would find it.
pub(crate) fn find_program(name: &str, path: &std::ffi::OsStr) -> Option<PathBuf> {
    std::env::split_paths(path)
        .map(|folder| folder.join(name))
        .find(|candidate| is_executable(candidate))
}

fn is_executable(path: &Path) -> bool {
    path.is_file() && rustix::fs::access(path, rustix::fs::Access::EXEC_OK).is_ok()
}

/// This program itself.
pub(crate) fn own_program() -> io::Result<PathBuf> {
    // Stays valid while an upgrade replaces the file.
    let link = Path::new("/proc/self/exe");
    if link.exists() {
        Ok(link.into())
    } else {
        std::env::current_exe()
    }
}

/// This program once more, for one of its hidden commands. On the way it asks the kernel to be ended when we are; it is
/// killed when it is dropped, and a Ctrl-C is for us alone.
pub(crate) fn own_command(argument: &str) -> io::Result<tokio::process::Command> {
    let own = own_program()?;
    let mut command = tokio::process::Command::new(&own);
    command
        .arg(CHILD_ARGUMENT)
        .arg(std::process::id().to_string())
        .arg(&own)
        .arg(argument)
        .process_group(0)
        .kill_on_drop(true);
    Ok(command)
}

/// The reading end of a pipe that holds `content`, open to children.
fn pipe_with(content: &[u8]) -> io::Result<OwnedFd> {
    // Nothing reads yet, so that more than a pipe holds would block for ever.
    if content.len() > 32 * 1024 {
        return Err(io::Error::other("the connection string is too long"));
    }
    let (reader, mut writer) = io::pipe()?;
    writer.write_all(content)?;
    let reader = OwnedFd::from(reader);
    fcntl_setfd(&reader, FdFlags::empty())?;
    Ok(reader)
}
