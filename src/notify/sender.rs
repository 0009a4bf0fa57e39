//! Sends notifications beside everything else: nothing ever waits for a channel, and no channel for another.

use super::channels::{self, Channel};
use super::notification::Interest;
use super::outbox::{Flushed, Outbox, Queued};
use crate::context::Context;
use crate::notify::notification::Notification;
use crate::report::Problem;
use crate::settings::Settings;
use crate::sys::cancel::Cancel;
use crate::sys::humanize;
use crate::sys::logging::SCHEDULER;
use futures_util::future::join_all;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// How long the end of what is being sent is waited for.
const LAST_ATTEMPT: Duration = Duration::from_secs(2);
/// Waits between attempts; the last one is repeated.
const WAITS: [Duration; 5] = [
    Duration::from_secs(60),
    Duration::from_secs(5 * 60),
    Duration::from_secs(15 * 60),
    Duration::from_secs(60 * 60),
    Duration::from_secs(4 * 60 * 60),
];
/// How often the outbox is searched for what others have left there.
const LOOK: Duration = Duration::from_secs(60 * 60);

/// The scheduler's: a task for each channel.
pub(crate) struct Sender {
    outbox: Arc<Outbox>,
    wake: watch::Sender<()>,
    rounds: Vec<JoinHandle<()>>,
}

impl Sender {
    /// Starts with what was left unsent.
    pub(crate) fn start(
        channels: Vec<Arc<dyn Channel>>,
        settings: &Settings,
        ctx: &Context,
    ) -> Self {
        let outbox = Arc::new(Outbox::of(settings, &channels, ctx));
        if !outbox.has_recipient(Interest::News) {
            tracing::info!(target: SCHEDULER, "mail is off: SMTP_HOST is not set");
        }
        let (wake, _) = watch::channel(());
        let rounds = channels.into_iter().map(|channel| {
            let round = Round {
                channel,
                outbox: Arc::clone(&outbox),
                stop: ctx.cancel.clone(),
                woken: wake.subscribe(),
            };
            tokio::spawn(round.walk())
        });
        let rounds = rounds.collect();
        Sender {
            outbox,
            wake,
            rounds,
        }
    }

    /// Sends what was written, if anything was: it is in the outbox, or else in `queued`.
    pub(crate) fn post(&self, queued: Queued) {
        if queued.wrote {
            keep(&self.outbox, queued.unkept);
            self.wake.send_replace(());
        }
    }

    /// Gives what is being sent a moment to arrive.
    pub(crate) async fn finish(self) {
        drop(self.wake);
        let aborts: Vec<_> = self.rounds.iter().map(JoinHandle::abort_handle).collect();
        let _ = tokio::time::timeout(LAST_ATTEMPT, join_all(self.rounds)).await;
        for abort in aborts {
            abort.abort();
        }
    }
}

/// Sends what is due, and what could not be sent before, through all channels at once. What cannot be sent now is kept for
/// the next run.
pub(crate) async fn send_now(settings: &Settings, ctx: &Context, unkept: Vec<Notification>) {
    let channels = channels::of(settings, &ctx.redactor);
    let outbox = Outbox::of(settings, &channels, ctx);
    keep(&outbox, unkept);
    let flushing = channels.iter().map(|channel| async {
        let flushed = outbox.flush(channel.as_ref(), &ctx.cancel).await;
        if flushed.sent > 0 {
            tracing::info!("{}", sent(channel.as_ref(), flushed.sent));
        }
        for problem in &flushed.complaints {
            tracing::warn!("{}", missing(channel.as_ref(), problem));
        }
        if let Some(setback) = flushed.setback {
            let left = humanize::counted(flushed.left as u64, channel.unit());
            let problem = setback.problem;
            tracing::warn!("{left} not sent: {problem}\nthe next run tries again");
        }
    });
    join_all(flushing).await;
}

fn keep(outbox: &Outbox, notifications: Vec<Notification>) {
    for notification in notifications {
        if let Some(error) = outbox.keep(notification) {
            tracing::debug!(target: SCHEDULER, "what was not sent yet is kept in memory only: {error}");
        }
    }
}

fn sent(channel: &dyn Channel, count: usize) -> String {
    let sent = humanize::counted(count as u64, channel.unit());
    format!("{sent} sent through {}", channel.place())
}

/// About one that is not tried again.
fn missing(channel: &dyn Channel, problem: &Problem) -> String {
    format!("a {} may be missing somewhere: {problem}", channel.unit())
}

struct Round {
    channel: Arc<dyn Channel>,
    outbox: Arc<Outbox>,
    stop: Cancel,
    woken: watch::Receiver<()>,
}

impl Round {
    async fn walk(mut self) {
        let mut failures = 0;
        loop {
            let flushed = self.outbox.flush(self.channel.as_ref(), &self.stop).await;
            let wait = match self.log(&flushed) {
                Progress::Done => {
                    failures = 0;
                    LOOK
                }
                Progress::MayPass => {
                    failures += 1;
                    WAITS[usize::min(failures - 1, WAITS.len() - 1)]
                }
                Progress::Rejected => WAITS[WAITS.len() - 1],
            };
            tokio::select! {
                biased;
                _ = self.stop.requested() => return,
                woken = self.woken.changed() => if woken.is_err() { return },
                () = tokio::time::sleep(wait) => {}
            }
        }
    }

    fn log(&self, flushed: &Flushed) -> Progress {
        let channel = self.channel.as_ref();
        if flushed.sent > 0 {
            tracing::info!(target: SCHEDULER, "{}", sent(channel, flushed.sent));
        }
        for problem in &flushed.complaints {
            tracing::error!(target: SCHEDULER, "{}", missing(channel, problem));
        }
        let left = humanize::counted(flushed.left as u64, channel.unit());
        match &flushed.setback {
            // Whoever else sends them may not get through.
            None if flushed.left > 0 => Progress::MayPass,
            None => Progress::Done,
            Some(setback) if setback.is_transient => {
                tracing::warn!(target: SCHEDULER, "{left} not sent yet: {}", setback.problem);
                Progress::MayPass
            }
            Some(setback) => {
                tracing::error!(target: SCHEDULER, "{left} not sent: {}", setback.problem);
                Progress::Rejected
            }
        }
    }
}

/// How a round of sending ended.
enum Progress {
    Done,
    /// Worth another attempt soon.
    MayPass,
    /// Worth another attempt when somebody may have done something about it, or the clock is right.
    Rejected,
}
