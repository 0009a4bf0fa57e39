//! Logs: to stderr for `docker logs`, to `backup.log` and `scheduler.log`; every line redacted, none able to fake another.
//!
//! A log that cannot be written never stops anything: it is the messenger.

mod files;

pub(crate) use files::LogFiles;

use crate::sys::progress::Screen;
use crate::sys::redact::Redactor;
use crate::sys::time_zone::Tz;
use chrono::Utc;
use files::RotatingFile;
use std::collections::VecDeque;
use std::io::{self, Write};
use std::path::Path;
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
/// Returns the end of the log from now on, and the log files, which get what is logged from when they are opened.
pub(crate) fn start(
    settings: &LogSettings,
    time_zone: Tz,
    folder: Option<&Path>,
    redactor: &Redactor,
    screen: &Screen,
) -> (Tail, LogFiles) {
    let clock = LocalTime(time_zone);
    let mut files = LogFiles(Vec::new());
    let mut file = |name: &str| {
        let path = folder?.join(name);
        let file = Arc::new(RotatingFile::at(path, settings));
        files.0.push(Arc::clone(&file));
        Some(file)
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
    (tail, files)
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
}
