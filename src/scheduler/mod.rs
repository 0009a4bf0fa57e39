//! The scheduler: waits, backs up, prunes, notifies, until it is told to stop.
//!
//! It sleeps in short slices and asks the clock after each: a machine that was suspended, or whose clock was set, is noticed
//! within seconds. What has been done is on the disk before and after each run, so that it can be killed at any moment.
//!
//! | the schedule says | and | then ([`Activity`]) |
//! |---|---|---|
//! | a run was missed, and is not made up for | no run at start is pending | report it |
//! | a run is due | no run at start is pending | back up for that slot |
//! | anything | a run was asked for, or is pending at start | back up |
//! | nothing | a drill is due | drill |
//! | nothing | nothing | wait: a signal, a request or the next slice of sleep |
//!
//! Somebody else at work in the folder puts a backup off by a minute; drills and signs of life go on.

mod clock_jump;
mod copying;
mod drills;

mod startup;
pub(crate) mod status_page;
mod supervise;
mod systemd;
mod trigger;
mod upkeep;
pub(crate) mod worker;

use crate::backup::{Failure, Notifier};
use crate::context::Context;
use crate::health;
use crate::mongo::uri::MongoUri;
use crate::notify::sender::Sender;
use crate::report::Problem;
use crate::schedule::timetable::{Ledger, Step, Timetable};
use crate::settings::Settings;
use crate::state::{Ended, Run, StateStore};
use crate::store::repository::Repository;
use crate::sys::lock::Lock;
use crate::sys::logging::SCHEDULER;
use chrono::{DateTime, Utc};
use clock_jump::Clock;
use copying::Copying;
use drills::Drills;
use startup::Starting;
use status_page::StatusPage;
use std::time::Duration;
use systemd::Systemd;
use tokio::sync::mpsc;
use tokio::time::Instant;
use trigger::Trigger;
use upkeep::Upkeep;

/// The longest sleep: how soon a clock that jumped is noticed.
const SLICE: Duration = Duration::from_secs(5);
/// How long until something is tried again that somebody else or a missing disk kept from happening.
const AGAIN: Duration = Duration::from_secs(60);

/// How the service ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    /// As asked.
    Stopped,
    /// It could not start.
    Failed,
    /// Another scheduler is at work in the folder.
    Busy,
}

/// Runs until `ctx.cancel`; whatever comes through `asked` asks for a backup now.
pub(crate) async fn run(
    settings: &Settings,
    uri: &MongoUri,
    ctx: &Context,
    asked: mpsc::Receiver<()>,
) -> End {
    // Also while the scheduler cannot start: that is to be seen there.
    let _page = StatusPage::start(settings, ctx);
    let repository = Repository::of(settings);
    let mut starting = Starting {
        settings,
        uri,
        ctx,
        repository: &repository,
        status: StateStore::new(repository.own_folder()),
        sender: Sender::start(settings, ctx),
        systemd: Systemd::of(&ctx.environment),
    };
    let lock = match starting.until_possible().await {
        Ok(lock) => lock,
        Err(end) => {
            starting.sender.finish().await;
            return end;
        }
    };
    let Starting {
        status,
        sender,
        systemd,
        ..
    } = starting;
    let timetable = Timetable {
        schedule: &settings.schedule,
        time_zone: settings.time_zone,
        catch_up: settings.catch_up,
    };
    let now = (ctx.now)();
    let ledger = timetable.open(None, None, now).ledger;
    let mut service = Service {
        settings,
        uri,
        ctx,
        repository: &repository,
        lock,
        status,
        sender,
        timetable,
        ledger,
        drills: Drills::of(settings),
        copying: Copying::of(settings),
        asked,
        clock: Clock::new(now),
        systemd,
    };
    service.open(now);
    service.work().await;
    service.sender.finish().await;
    End::Stopped
}

/// What the scheduler is at; each is followed by a new look at the clock and the schedule.
enum Activity {
    /// The run of a slot was missed and is not made up for.
    ReportMissed {
        slot: DateTime<Utc>,
        count: u32,
    },
    BackUp(Trigger),
    /// The slot of a drill is due.
    Drill(DateTime<Utc>),
    /// Nothing is due; `next` is the next slot, when there is one.
    Wait {
        next: Option<DateTime<Utc>>,
    },
}

/// A backup that was asked for beside the schedule.
struct Asked {
    trigger: Option<Trigger>,
    /// When to see again whether someone else is still at work in the folder.
    not_before: Instant,
}

impl Asked {
    /// `done` is false when somebody else was at work.
    fn after(&mut self, trigger: Trigger, done: bool) {
        if done {
            self.trigger = self.trigger.filter(|asked| *asked != trigger);
        } else {
            self.not_before = Instant::now() + AGAIN;
        }
    }
}

struct Service<'s> {
    settings: &'s Settings,
    uri: &'s MongoUri,
    ctx: &'s Context,
    repository: &'s Repository,
    lock: Lock,
    status: StateStore,
    sender: Sender,
    timetable: Timetable<'s>,
    ledger: Ledger,
    drills: Option<Drills<'s>>,
    copying: Copying,
    asked: mpsc::Receiver<()>,
    clock: Clock,
    systemd: Systemd,
}

impl Service<'_> {
    /// Takes up where the last scheduler left off.
    fn open(&mut self, now: DateTime<Utc>) {
        let newest = self.repository.newest_good();
        let state = self.status.state();
        let is_fresh = health::has_fresh_backup(self.settings, &state, newest.as_ref(), now);
        let newest = newest.and_then(|newest| newest.made_by_manifest());
        let opened = self.timetable.open(state.ledger, newest, now);
        self.ledger = opened.ledger;
        if let Some(begun) = opened.interrupted {
            let at = begun
                .at
                .with_timezone(&self.settings.time_zone)
                .format("%-d %B at %H:%M");
            tracing::warn!(target: SCHEDULER, "the run of {at} was interrupted: the power went, or it was killed");
            self.record(begun.at, now, "scheduled", Ended::Interrupted);
            if opened.gave_up {
                let error = format!(
                    "the run was begun {} times and interrupted each time; it is left out until the next one is due",
                    begun.times
                );
                self.fail(
                    "starting again",
                    &error,
                    "See whether the machine runs out of power or memory: look at dmesg.",
                );
            }
        }
        let next_run = self.next();
        let notifier = Notifier::new(self.settings, self.uri, self.ctx, next_run);
        let started = notifier.started(&mut self.status, is_fresh);
        if started.wrote {
            tracing::info!(target: SCHEDULER, "started, after that had failed before");
        }
        self.sender.post(started);
        self.keep_ledger();
        self.open_drills(now);
        self.beat();
    }

    async fn work(&mut self) {
        self.announce();
        self.systemd.ready();
        let cancel = self.ctx.cancel.clone();
        // The start has given a sign of life.
        let mut upkeep = Upkeep {
            beat_at: Some(Instant::now()),
            saved_at: None,
        };
        let mut asked = Asked {
            trigger: self.settings.on_start.then_some(Trigger::Start),
            not_before: Instant::now(),
        };
        while !cancel.is_cancelled() {
            self.systemd.alive();
            let now = self.look_at_the_clock();
            let brought = self.copying.keep_up(&cancel).await;
            self.sender.post(brought);
            match self.next_activity(now, &asked) {
                Activity::ReportMissed { slot, count } => self.missed(slot, count),
                Activity::BackUp(trigger) => {
                    let done = self.run(trigger).await;
                    asked.after(trigger, done);
                }
                Activity::Drill(slot) => self.drill(slot).await,
                Activity::Wait { next } => {
                    self.keep_up(&mut upkeep);
                    tokio::select! {
                        biased;
                        _ = cancel.requested() => {}
                        Some(()) = self.asked.recv() => asked.trigger = Some(Trigger::Asked),
                        () = tokio::time::sleep(self.systemd.pulse_or(slice(now, next))) => {}
                    }
                }
            }
        }
        self.systemd.stopping();
        let brought = self.copying.finish().await;
        self.sender.post(brought);
        tracing::info!(target: SCHEDULER, "stopped");
    }

    /// What is to be done now. Backups come before drills.
    fn next_activity(&mut self, now: DateTime<Utc>, asked: &Asked) -> Activity {
        let before = self.ledger.clone();
        let step = self.timetable.step(&mut self.ledger, now);
        if self.ledger != before {
            self.keep_ledger();
        }
        // One run at start does for what was due or missed as well.
        let at_start = asked.trigger == Some(Trigger::Start);
        let (due, next) = match step {
            Step::Missed { slot, count } if !at_start => {
                return Activity::ReportMissed { slot, count };
            }
            Step::Due {
                slot,
                late,
                collapsed,
            } if !at_start => (
                Some(Trigger::Slot {
                    slot,
                    late,
                    collapsed,
                }),
                None,
            ),
            Step::Missed { .. } | Step::Due { .. } => (asked.trigger, None),
            Step::Wait { next } => (asked.trigger, next),
        };
        match due.filter(|_| Instant::now() >= asked.not_before) {
            Some(trigger) => Activity::BackUp(trigger),
            None => self
                .drill_due(now)
                .map_or(Activity::Wait { next }, Activity::Drill),
        }
    }

    fn fail(&mut self, stage: &str, error: &str, advice: &str) {
        tracing::error!(target: SCHEDULER, "{error}");
        let next_run = self
            .settings
            .schedule
            .next_after((self.ctx.now)(), self.settings.time_zone);
        let notifier = Notifier::new(self.settings, self.uri, self.ctx, next_run);
        let failure = Failure {
            stage,
            problem: Problem::new(error, ""),
            help: advice.into(),
        };
        let queued = notifier.failure(&mut self.status, &failure);
        self.sender.post(queued);
    }

    fn record(
        &mut self,
        began_at: DateTime<Utc>,
        ended_at: DateTime<Utc>,
        trigger: &str,
        ended: Ended,
    ) {
        let run = Run {
            began_at,
            ended_at,
            trigger: trigger.into(),
            ended,
        };
        if let Err(error) = self.status.record(run) {
            tracing::warn!(target: SCHEDULER, "could not save state, will retry: {error}");
        }
    }

    fn next(&self) -> Option<DateTime<Utc>> {
        let now = (self.ctx.now)();
        match self.timetable.step(&mut self.ledger.clone(), now) {
            Step::Wait { next } => next,
            Step::Due { slot, .. } | Step::Missed { slot, .. } => Some(slot),
        }
    }
}

/// How long to sleep: never past the next slot, and never long.
fn slice(now: DateTime<Utc>, next: Option<DateTime<Utc>>) -> Duration {
    let until = next
        .and_then(|next| (next - now).to_std().ok())
        .unwrap_or(SLICE);
    // A slot that is due this very moment is not yet past for a clock of coarse ticks.
    until.clamp(Duration::from_millis(20), SLICE)
}
