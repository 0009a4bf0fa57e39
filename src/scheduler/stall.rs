//! Notices when the scheduler stands still. A disk or network share that hangs holds whoever reads or writes there, and for as
//! long as it likes: no run would begin, and nothing would tell of it. So a thread that touches no disk expects signs of
//! life, and tells the owner when none comes.

use super::Service;
use super::delivery::unsent;
use super::systemd::Systemd;
use crate::context::Context;
use crate::health;
use crate::mongo::uri::MongoUri;
use crate::notify::channels::{self, Channel};
use crate::notify::notification::Notification;
use crate::notify::notifier::{Notifier, Stall, StallNews};
use crate::settings::Settings;
use crate::sys::humanize;
use crate::sys::lock_holder::{self, Condition};
use crate::sys::logging::SCHEDULER;
use chrono::{DateTime, TimeDelta, Utc};
use futures_util::future::join_all;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;
use tokio::sync::oneshot;
use tokio::time::{Instant, sleep};

/// Without a sign of life for so long, the scheduler may stand still. During a run it gives one every five minutes.
const LONGEST_SILENCE: Duration = Duration::from_secs(15 * 60);
/// How long after that it is looked at once more: a machine that was paused may wake this thread first.
const SECOND_LOOK: Duration = Duration::from_secs(60);
/// How often it is looked at while it stands still.
const SLICE: Duration = Duration::from_secs(5);
/// How long until what could not be sent is tried again.
const AGAIN: Duration = Duration::from_secs(5 * 60);

/// Watches the scheduler for as long as it is kept.
pub(crate) struct StallWatch {
    signs: Arc<Mutex<Signs>>,
    /// Its end ends the thread.
    _kept: oneshot::Sender<()>,
}

struct Signs {
    last: Instant,
    /// Since when the scheduler stood still, once that has been told.
    stood_still: Option<DateTime<Utc>>,
}

impl StallWatch {
    pub(crate) fn start(settings: &Settings, uri: &MongoUri, ctx: &Context) -> Self {
        let signs = Arc::new(Mutex::new(Signs {
            last: Instant::now(),
            stood_still: None,
        }));
        let systemd = Systemd::of(&ctx.environment);
        let watcher = Watcher {
            signs: Arc::clone(&signs),
            patience: Patience::under(&systemd),
            systemd,
            news: Notifier::new(settings, uri, ctx, None).stall_news(),
            channels: channels::of(settings, &ctx.redactor),
            now: ctx.now,
        };
        let (kept, end) = oneshot::channel();
        let thread = thread::Builder::new().name("stall-watch".into());
        if let Err(error) = thread.spawn(move || watcher.run(end)) {
            tracing::warn!(target: SCHEDULER, "a disk that hangs will not be noticed: no thread can be started: {error}");
        }
        StallWatch { signs, _kept: kept }
    }

    /// Gives a sign of life.
    pub(super) fn alive(&self) {
        signs(&self.signs).last = Instant::now();
    }

    /// Since when the scheduler stood still, if it did and that was told. Answered once.
    fn take_stall(&self) -> Option<DateTime<Utc>> {
        signs(&self.signs).stood_still.take()
    }
}

fn signs(signs: &Mutex<Signs>) -> MutexGuard<'_, Signs> {
    signs.lock().unwrap_or_else(PoisonError::into_inner)
}

/// How long a silence is borne.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Patience {
    silence: Duration,
    second_look: Duration,
    /// Between two looks at a scheduler that stands still.
    slice: Duration,
}

impl Patience {
    /// systemd kills what is silent for three pulses: the owner has to be told before.
    fn under(systemd: &Systemd) -> Self {
        Patience {
            silence: systemd.pulse_or(LONGEST_SILENCE * 2 / 3) * 3 / 2,
            second_look: systemd.pulse_or(SECOND_LOOK * 2) / 2,
            slice: systemd.pulse_or(SLICE * 2) / 2,
        }
    }
}

/// How the scheduler is found.
#[derive(Debug, PartialEq, Eq)]
enum Look {
    /// Alive, as far as it can be told; look again after so long.
    Wait(Duration),
    StandsStill,
}

/// How long nothing has been heard.
struct Silence {
    patience: Patience,
    /// The last sign of life that was seen.
    last: Instant,
    /// When it was first found to be silent for too long.
    suspected: Option<Instant>,
}

impl Silence {
    fn since(last: Instant, patience: Patience) -> Self {
        Silence {
            patience,
            last,
            suspected: None,
        }
    }

    /// Judges the `last` sign of life.
    fn look(&mut self, last: Instant, now: Instant) -> Look {
        if last != self.last {
            *self = Silence::since(last, self.patience);
        }
        let (since, bearable) = match self.suspected {
            None => (last, self.patience.silence),
            Some(suspected) => (suspected, self.patience.second_look),
        };
        let left = bearable.saturating_sub(now - since);
        if !left.is_zero() {
            return Look::Wait(left);
        }
        if self.suspected.is_none() {
            self.suspected = Some(now);
            return Look::Wait(self.patience.second_look);
        }
        Look::StandsStill
    }
}

/// What is told of a stall.
struct Alarm {
    /// What some channel has not taken yet.
    waiting: Vec<Notification>,
    /// When to try again.
    due: Instant,
}

/// What the thread has.
struct Watcher {
    signs: Arc<Mutex<Signs>>,
    patience: Patience,
    systemd: Systemd,
    news: StallNews,
    channels: Vec<Arc<dyn Channel>>,
    now: fn() -> DateTime<Utc>,
}

impl Watcher {
    fn run(self, end: oneshot::Receiver<()>) {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build();
        match runtime {
            Ok(runtime) => runtime.block_on(async {
                tokio::select! {
                    _ = end => {}
                    () = self.watch() => {}
                }
            }),
            Err(error) => {
                tracing::warn!(target: SCHEDULER, "a disk that hangs will not be noticed: {error}");
            }
        }
    }

    async fn watch(&self) {
        let mut silence = Silence::since(Instant::now(), self.patience);
        let mut alarm = None;
        loop {
            let last = signs(&self.signs).last;
            match silence.look(last, Instant::now()) {
                Look::Wait(time) => {
                    alarm = None;
                    sleep(time).await;
                }
                Look::StandsStill => {
                    let raised = alarm.get_or_insert_with(|| self.alarm(last));
                    self.keep_from_being_killed();
                    if Instant::now() >= raised.due {
                        raised.waiting = self.send(std::mem::take(&mut raised.waiting)).await;
                        raised.due = Instant::now() + AGAIN;
                    }
                    sleep(self.patience.slice).await;
                }
            }
        }
    }

    /// Notes that the scheduler stands still since its `last` sign of life, and prepares what is to be told.
    fn alarm(&self, last: Instant) -> Alarm {
        let now = (self.now)();
        let stall = Stall {
            since: now - TimeDelta::from_std(last.elapsed()).unwrap_or_default(),
            waits_for_disk: waits_for_disk(),
        };
        signs(&self.signs).stood_still = Some(stall.since);
        log(stall.words(now));
        Alarm {
            waiting: self.news.of(stall, now),
            due: Instant::now(),
        }
    }

    /// Sends them, and returns those that another attempt may bring there.
    async fn send(&self, waiting: Vec<Notification>) -> Vec<Notification> {
        let sending = waiting.into_iter().map(|one| unsent(&self.channels, one));
        join_all(sending).await.into_iter().flatten().collect()
    }

    /// One that waits for a disk is not helped by another start, which would wait for it as well, and be told again.
    fn keep_from_being_killed(&self) {
        if waits_for_disk() {
            self.systemd.waits_for_disk(self.patience.silence * 2);
        }
    }
}

/// Whether the scheduler's thread, which is the process's first, waits for a disk.
fn waits_for_disk() -> bool {
    lock_holder::condition_of(std::process::id()) == Some(Condition::WaitsForDisk)
}

/// Logs it by a thread of its own: a log may lie on the disk that hangs. `docker logs` has it before.
fn log(words: String) {
    // Without one, the owner is told all the same.
    let _ = thread::Builder::new().spawn(move || tracing::error!(target: SCHEDULER, "{words}"));
}

impl Service<'_> {
    /// Gives signs of life, and tells when the scheduler goes on after a stall.
    pub(super) fn alive(&mut self) {
        self.systemd.alive();
        self.stall_watch.alive();
        let Some(since) = self.stall_watch.take_stall() else {
            return;
        };
        let now = (self.ctx.now)();
        let time = (now - since).to_std().unwrap_or_default();
        tracing::info!(target: SCHEDULER, "the scheduler goes on, after it stood still for {}", humanize::duration(time));
        let newest = self.repository.newest_good();
        let state = self.status.state();
        let is_fresh = health::has_fresh_backup(self.settings, &state, newest.as_ref(), now);
        let notifier = Notifier::new(self.settings, self.uri, self.ctx, self.next());
        self.sender.post(notifier.resumed(since, is_fresh));
    }
}

#[cfg(test)]
mod tests;
