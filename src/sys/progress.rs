//! How far a long piece of work is: a bar on a terminal, a line now and then elsewhere.

use crate::sys::humanize;
use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use std::io::IsTerminal;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Between two lines in a log.
const LINE_EVERY: Duration = Duration::from_secs(30);
/// Before a bar appears: what is done sooner needs none.
const BAR_AFTER: Duration = Duration::from_millis(400);

/// What progress is counted in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unit {
    Documents,
    Bytes,
    /// The one that is being built is counted.
    Indexes,
}

/// Counts up from many threads, and is shown from one.
pub(crate) struct Meter {
    what: String,
    unit: Unit,
    done: AtomicU64,
    stream_bytes: AtomicU64,
    /// 0 while it is not known.
    total: AtomicU64,
    at: Mutex<String>,
    shown: Mutex<Shown>,
    screen: Screen,
}

struct Shown {
    bar: Option<ProgressBar>,
    started: Instant,
    last_line: Instant,
}

/// Where progress is drawn: lines of a log must not run into a bar.
#[derive(Clone, Default)]
pub(crate) struct Screen(Option<MultiProgress>);

impl Screen {
    /// Draws on stderr, if that is a terminal.
    pub(crate) fn of_stderr() -> Self {
        Screen(std::io::stderr().is_terminal().then(MultiProgress::new))
    }

    /// Runs `print` while no bar is on the screen.
    pub(crate) fn without_bars<T>(&self, print: impl FnOnce() -> T) -> T {
        match &self.0 {
            Some(bars) => bars.suspend(print),
            None => print(),
        }
    }
}

impl Meter {
    /// `what` is the line's beginning, such as `dumping`.
    pub(crate) fn new(what: &str, unit: Unit, total: Option<u64>, screen: &Screen) -> Arc<Self> {
        let now = Instant::now();
        Arc::new(Meter {
            what: what.to_owned(),
            unit,
            done: AtomicU64::new(0),
            stream_bytes: AtomicU64::new(0),
            total: AtomicU64::new(total.unwrap_or_default()),
            at: Mutex::default(),
            shown: Mutex::new(Shown {
                bar: None,
                started: now,
                last_line: now,
            }),
            screen: screen.clone(),
        })
    }

    /// Bytes that have come out of mongodump.
    pub(crate) fn stream_bytes(&self) -> u64 {
        self.stream_bytes.load(Ordering::Relaxed)
    }

    /// Says how much there is to do, once that is known; an estimate will do.
    pub(crate) fn set_total(&self, total: u64) {
        self.total.store(total, Ordering::Relaxed);
    }

    /// How long it takes until a person sees anything of this.
    pub(crate) fn first_shown_after(&self) -> Duration {
        if self.screen.0.is_some() {
            BAR_AFTER
        } else {
            LINE_EVERY / 2
        }
    }

    fn total(&self) -> Option<u64> {
        Some(self.total.load(Ordering::Relaxed)).filter(|total| *total > 0)
    }

    pub(crate) fn set(&self, done: u64) {
        self.done.store(done, Ordering::Relaxed);
    }

    /// How far it is, and what it is at.
    pub(crate) fn set_at(&self, done: u64, name: &dyn std::fmt::Display) {
        self.set(done);
        let mut at = self.at.lock().unwrap_or_else(PoisonError::into_inner);
        let name = name.to_string();
        if *at != name {
            *at = name;
        }
    }

    /// A view of this meter for the thread that reads a dump.
    pub(crate) fn watch(self: &Arc<Self>) -> DumpWatch {
        DumpWatch {
            meter: Arc::clone(self),
            before: self.done.load(Ordering::Relaxed),
            stream_before: self.stream_bytes(),
        }
    }

    /// Draws the bar, or logs a line when it is time for one. To be called a few times a second.
    pub(crate) fn show(&self) {
        let mut shown = self.shown.lock().unwrap_or_else(PoisonError::into_inner);
        let done = self.done.load(Ordering::Relaxed);
        if let Some(screen) = &self.screen.0 {
            if shown.started.elapsed() >= BAR_AFTER {
                let bar = shown.bar.get_or_insert_with(|| screen.add(self.bar()));
                if let Some(total) = self.total().filter(|_| bar.length().is_none()) {
                    bar.set_style(style(BAR));
                    bar.set_length(total);
                }
                if bar.length().is_some_and(|length| done > length) {
                    // The estimate was too low.
                    bar.set_length(done);
                }
                bar.set_position(done);
                bar.set_message(self.message(done));
            }
        } else if shown.last_line.elapsed() >= LINE_EVERY {
            shown.last_line = Instant::now();
            let part = self
                .total()
                .map(|total| format!("{} %, ", (done * 100 / total).min(99)));
            tracing::info!(
                "{}: {}{}",
                self.what,
                part.unwrap_or_default(),
                self.message(done)
            );
        }
    }

    fn message(&self, done: u64) -> String {
        let at = self.at.lock().unwrap_or_else(PoisonError::into_inner);
        match self.unit {
            Unit::Bytes if at.is_empty() => humanize::bytes(done),
            Unit::Bytes => format!("{}, in {at}", humanize::bytes(done)),
            Unit::Indexes => {
                let total = self.total().unwrap_or(done);
                format!("index {done} of {total}, {at}")
            }
            Unit::Documents if at.is_empty() => humanize::counted(done, "document"),
            Unit::Documents => {
                format!(
                    "{}, {}, in {at}",
                    humanize::counted(done, "document"),
                    humanize::bytes(self.stream_bytes())
                )
            }
        }
    }

    fn bar(&self) -> ProgressBar {
        let bar = match self.total() {
            Some(total) => ProgressBar::new(total).with_style(style(BAR)),
            None => ProgressBar::no_length().with_style(style(SPINNER)),
        };
        bar.with_prefix(self.what.clone())
    }
}

const BAR: &str = "{prefix} [{bar:28}] {percent:>3} %  {msg}  {eta} left";
const SPINNER: &str = "{prefix} {spinner}  {msg}";

fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template)
        .unwrap_or_else(|_| ProgressStyle::default_bar())
        .progress_chars("=> ")
}

impl Drop for Meter {
    fn drop(&mut self) {
        let shown = self.shown.get_mut().unwrap_or_else(PoisonError::into_inner);
        if let Some(bar) = shown.bar.take() {
            bar.finish_and_clear();
        }
    }
}

/// Carries what a dump's reader sees to the meter.
pub(crate) struct DumpWatch {
    meter: Arc<Meter>,
    before: u64,
    stream_before: u64,
}

impl DumpWatch {
    pub(crate) fn moved(&mut self, stream_bytes: u64) {
        self.meter
            .stream_bytes
            .store(self.stream_before + stream_bytes, Ordering::Relaxed);
    }

    pub(crate) fn at(&mut self, namespace: &dyn std::fmt::Display, documents: u64) {
        self.meter.set_at(self.before + documents, namespace);
    }
}

/// Shows progress while something else is waited for.
pub(crate) async fn showing<T>(meter: &Meter, work: impl Future<Output = T>) -> T {
    let mut look = tokio::time::interval(Duration::from_millis(200));
    tokio::pin!(work);
    loop {
        tokio::select! {
            biased;
            result = &mut work => return result,
            _ = look.tick() => meter.show(),
        }
    }
}
