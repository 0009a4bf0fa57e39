//! Logs: to stderr for `docker logs`, to `backup.log` and `scheduler.log`; every line redacted, none able to fake another.
//!
//! A log that cannot be written never stops anything: it is the messenger.

use crate::sys::progress::Screen;
use crate::sys::redact::Redactor;
use crate::sys::time_zone::Tz;
use chrono::Utc;
use std::collections::VecDeque;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use tracing::level_filters::LevelFilter;
use tracing::{Metadata, Subscriber};
use tracing_subscriber::filter::filter_fn;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::time::FormatTime;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{Layer, fmt as layer};

/// Logging.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct LogSettings {
    /// The least severe level that is logged.
    pub level: tracing::Level,
    /// For people or for machines.
    pub format: LogFormat,
    /// A log file larger than this many bytes starts anew.
    pub max_size_bytes: u64,
    /// How many full log files stay.
    pub keep: u32,
}

/// The form of a log line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum LogFormat {
    /// For people.
    Text,
    /// One JSON object per line.
    Json,
}

/// Events with this target go to `scheduler.log`, all others of ours to `backup.log`.
pub(crate) const SCHEDULER: &str = "scheduler";

/// Events with this target go to `backup.log` only: what they say was printed by the command itself.
pub(crate) const RECORD: &str = "record";

const CRATE: &str = "pantry_keeper";

/// Lines kept for a mail, and the most characters of each: a mail is read on a telephone.
const TAIL_LINES: usize = 30;
const TAIL_LINE_CHARS: usize = 500;

/// The end of the log, as it was written: redacted.
#[derive(Clone, Default)]
pub(crate) struct Tail(Arc<Mutex<VecDeque<String>>>);

impl Tail {
    /// The last lines, oldest first.
    pub(crate) fn lines(&self) -> Vec<String> {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .iter()
            .cloned()
            .collect()
    }
}

impl Sink for Tail {
    fn write(&self, line: &[u8]) -> io::Result<()> {
        let text = String::from_utf8_lossy(line);
        let mut lines = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for line in text.lines() {
            if lines.len() == TAIL_LINES {
                lines.pop_front();
            }
            lines.push_back(line.chars().take(TAIL_LINE_CHARS).collect());
        }
        Ok(())
    }
}

/// Starts logging. `folder` is where the log files go; none for commands that only look.
///
/// Returns the end of the log from now on, and what kept log files from being opened: to be logged, now that there is a
/// log.
pub(crate) fn start(
    settings: &LogSettings,
    time_zone: Tz,
    folder: Option<&Path>,
    redactor: &Redactor,
    screen: &Screen,
) -> (Tail, Vec<String>) {
    let clock = LocalTime(time_zone);
    let mut problems = Vec::new();
    let mut file = |name: &str| match RotatingFile::open(
        folder?.join(name),
        settings.max_size_bytes,
        settings.keep,
    ) {
        Ok(file) => Some(file),
        Err(problem) => {
            problems.push(problem);
            None
        }
    };
    let backup = file("backup.log").map(|file| {
        output(file, settings, clock, redactor, |target| {
            target != SCHEDULER
        })
    });
    let scheduler = file("scheduler.log").map(|file| {
        output(file, settings, clock, redactor, |target| {
            target == SCHEDULER
        })
    });
    let stderr = output(
        Stderr(screen.clone()),
        settings,
        clock,
        redactor,
        |target| target != RECORD,
    );
    // One folder that is missing is one problem.
    problems.dedup();
    let tail = Tail::default();
    // For a mail, which takes text even where the log is JSON.
    let as_text = LogSettings {
        format: LogFormat::Text,
        ..*settings
    };
    let kept = output(tail.clone(), &as_text, clock, redactor, |_| true);
    // A second start happens in tests only; the first stays.
    let _ = tracing_subscriber::registry()
        .with(stderr)
        .with(backup)
        .with(scheduler)
        .with(kept)
        .try_init();
    (tail, problems)
}

fn output<S: Subscriber + for<'s> LookupSpan<'s>>(
    sink: impl Sink + 'static,
    settings: &LogSettings,
    clock: LocalTime,
    redactor: &Redactor,
    wanted: impl Fn(&str) -> bool + Send + Sync + 'static,
) -> Box<dyn Layer<S> + Send + Sync> {
    let level = LevelFilter::from_level(settings.level);
    // The driver's own events are not for the owner's eyes, and may quote what ours never would.
    let ours = move |event: &Metadata<'_>| {
        let target = event.target();
        *event.level() <= level
            && (target.starts_with(CRATE) || [SCHEDULER, RECORD].contains(&target))
            && wanted(target)
    };
    let writer = Redacting {
        sink: Arc::new(sink),
        redactor: redactor.clone(),
    };
    let layer = layer::layer()
        .with_writer(writer)
        .with_timer(clock)
        .with_ansi(false);
    match settings.format {
        LogFormat::Text => layer
            .with_target(false)
            .with_filter(filter_fn(ours))
            .boxed(),
        LogFormat::Json => layer
            .json()
            .flatten_event(true)
            .with_filter(filter_fn(ours))
            .boxed(),
    }
}

/// Where finished lines go.
trait Sink: Send + Sync {
    fn write(&self, line: &[u8]) -> io::Result<()>;
}

struct Stderr(Screen);

impl Sink for Stderr {
    fn write(&self, line: &[u8]) -> io::Result<()> {
        self.0.without_bars(|| io::stderr().lock().write_all(line))
    }
}

/// A file that is set aside when it has grown enough: `backup.log.1` is the newest of those.
struct RotatingFile {
    path: PathBuf,
    max_bytes: u64,
    keep: u32,
    open: Mutex<File>,
}

impl RotatingFile {
    fn open(path: PathBuf, max_bytes: u64, keep: u32) -> Result<Self, String> {
        let opened =
            crate::sys::atomic_file::create_folder(path.parent().unwrap_or(Path::new(".")))
                .map_err(|error| error.to_string())
                .and_then(|()| {
                    open_log(&path)
                        .map_err(|error| format!("cannot write {}: {error}", path.display()))
                });
        Ok(RotatingFile {
            max_bytes,
            keep,
            open: Mutex::new(opened?),
            path,
        })
    }

    fn rotate(&self) -> io::Result<File> {
        let aside = |number: u32| PathBuf::from(format!("{}.{number}", self.path.display()));
        for number in (1..self.keep).rev() {
            ignore_missing(fs::rename(aside(number), aside(number + 1)))?;
        }
        match self.keep {
            0 => ignore_missing(fs::remove_file(&self.path))?,
            _ => ignore_missing(fs::rename(&self.path, aside(1)))?,
        }
        open_log(&self.path)
    }
}

fn ignore_missing(result: io::Result<()>) -> io::Result<()> {
    match result {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        result => result,
    }
}

fn open_log(path: &Path) -> io::Result<File> {
    OpenOptions::new()
        .append(true)
        .create(true)
        .mode(0o600)
        .custom_flags((rustix::fs::OFlags::NOFOLLOW | rustix::fs::OFlags::NONBLOCK).bits() as i32)
        .open(path)
}

impl Sink for RotatingFile {
    fn write(&self, line: &[u8]) -> io::Result<()> {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        if moved_away(&open, &self.path) {
            *open = open_log(&self.path)?;
        }
        // Others may have written to it as well.
        let length = open.metadata()?.len();
        if length > 0 && length + line.len() as u64 > self.max_bytes {
            *open = self.rotate()?;
        }
        open.write_all(line)
    }
}

/// Whether another process has set the file aside: a run of the scheduler's, or the system's own rotation.
fn moved_away(file: &File, path: &Path) -> bool {
    match crate::sys::atomic_file::is_at(file, path) {
        Ok(same) => !same,
        Err(error) => error.kind() == io::ErrorKind::NotFound,
    }
}

/// Makes a writer for each event.
struct Redacting<S> {
    sink: Arc<S>,
    redactor: Redactor,
}

impl<'w, S: Sink + 'static> MakeWriter<'w> for Redacting<S> {
    type Writer = Line<S>;

    fn make_writer(&'w self) -> Line<S> {
        Line {
            sink: Arc::clone(&self.sink),
            redactor: self.redactor.clone(),
            text: Vec::new(),
        }
    }
}

/// Gathers one event and writes it when it is complete.
struct Line<S: Sink> {
    sink: Arc<S>,
    redactor: Redactor,
    text: Vec<u8>,
}

impl<S: Sink> Write for Line<S> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.text.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<S: Sink> Drop for Line<S> {
    fn drop(&mut self) {
        let text = String::from_utf8_lossy(&self.text);
        let line = one_event(&self.redactor.redact(text.trim_end_matches('\n')));
        // There is nowhere left to say that it failed.
        let _ = self.sink.write(line.as_bytes());
    }
}

/// Text with nothing in it that could pass for another event, or steer a terminal.
pub(crate) fn one_event(text: &str) -> String {
    let mut line = String::with_capacity(text.len() + 1);
    for c in text.chars() {
        match c {
            // A message of several lines shows by its indent that they belong together.
            '\n' => line.push_str("\n    "),
            '\t' => line.push(c),
            c if c.is_control() => line.extend(c.escape_default()),
            c => line.push(c),
        }
    }
    line.push('\n');
    line
}

/// Local time, to the second: what the owner's clock shows.
#[derive(Clone, Copy)]
struct LocalTime(Tz);

impl FormatTime for LocalTime {
    fn format_time(&self, writer: &mut Writer<'_>) -> std::fmt::Result {
        write!(
            writer,
            "{}",
            Utc::now()
                .with_timezone(&self.0)
                .format("%Y-%m-%d %H:%M:%S %Z")
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_text_can_pass_for_two_events() {
        assert_eq!(
            one_event("a\n2025 INFO all is well\r\x1b[2K"),
            "a\n    2025 INFO all is well\\r\\u{1b}[2K\n"
        );
    }

    #[test]
    fn logs_rotate_by_size_and_the_oldest_goes() {
        let folder = tempfile::tempdir().unwrap();
        let log = RotatingFile::open(folder.path().join("logs/backup.log"), 10, 2).unwrap();
        for line in ["first...\n", "second..\n", "third...\n", "fourth..\n"] {
            log.write(line.as_bytes()).unwrap();
        }
        let read = |name: &str| {
            fs::read_to_string(folder.path().join("logs").join(name)).unwrap_or_default()
        };
        let logs = ["backup.log", "backup.log.1", "backup.log.2", "backup.log.3"].map(read);
        assert_eq!(logs, ["fourth..\n", "third...\n", "second..\n", ""]);
    }

    #[test]
    fn two_processes_may_write_to_one_log_and_either_may_rotate_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("backup.log");
        let [one, other] = [(); 2].map(|()| RotatingFile::open(path.clone(), 10, 5).unwrap());
        one.write(b"first...\n").unwrap();
        other.write(b"second..\n").unwrap();
        other.write(b"third...\n").unwrap();
        one.write(b"4\n").unwrap();
        fs::remove_file(&path).unwrap();
        one.write(b"fifth...\n").unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "fifth...\n");
        let rest = fs::read_to_string(folder.path().join("backup.log.1")).unwrap();
        assert!(rest.contains("second") || rest.contains("third"), "{rest}");
    }
}
