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
//! Somebody else at work in the folder puts a backup off by a minute, and is told of when that goes on for longer than a
//! backup may take; drills and signs of life go on. A slot that comes due while the scheduler is awake is never missed:
//! what kept it waiting was the scheduler's own work, or that somebody else.

mod clock_jump;
mod copying;
pub(crate) mod delivery;
mod drills;
mod metrics_file;
mod resume;
pub(crate) mod stall;
mod startup;
pub(crate) mod status_page;
mod supervise;
mod systemd;
mod trigger;
mod upkeep;
mod waiting;
pub(crate) mod worker;

use crate::backup::{Failure, Notifier};
use crate::context::Context;
use crate::mongo::uri::MongoUri;
use crate::notify::channels;
use crate::notify::sender::Sender;
use crate::report::Problem;
use crate::schedule::timetable::{Ledger, Step, Timetable};
use crate::settings::Settings;
use crate::state::{Ended, Run, RunningBackup, StateStore};
use crate::store::repository::Repository;
use crate::sys::lock::Lock;
use crate::sys::logging::SCHEDULER;
use chrono::{DateTime, Utc};
use clock_jump::Clock;
use copying::Copying;
use drills::Drills;
use metrics_file::MetricsFile;
use stall::StallWatch;
use startup::Starting;
use status_page::StatusPage;
use std::time::Duration;
use systemd::Systemd;
use tokio::sync::mpsc;
use tokio::time::Instant;
use trigger::{Asked, Trigger};
use upkeep::Upkeep;
use waiting::Waiting;

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
    stall_watch: StallWatch,
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
        sender: Sender::start(
            delivery::apart(channels::patient(settings, &ctx.redactor)),
            settings,
            ctx,
        ),
        systemd: Systemd::of(&ctx.environment),
        stall_watch,
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
        stall_watch,
        ..
    } = starting;
    let now = (ctx.now)();
    let timetable = Timetable {
        schedule: &settings.schedule,
        time_zone: settings.time_zone,
        catch_up: settings.catch_up,
        awake_since: Some(now),
    };
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
        stall_watch,
        waiting: Waiting::default(),
        metrics_file: MetricsFile::of(settings),
        running: None,
        at_work_since: None,
        is_mute: false,
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
    stall_watch: StallWatch,
    waiting: Waiting,
    metrics_file: MetricsFile,
    /// The backup at work.
    running: Option<RunningBackup>,
    /// When the run at work was begun, until the clock is looked at after it.
    at_work_since: Option<DateTime<Utc>>,
    /// No sign of life could be given the last time.
    is_mute: bool,
}

impl Service<'_> {
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
            self.alive();
            let now = self.look_at_the_clock();
            let was_copying = self.copying.is_at_work();
            let brought = self.copying.keep_up(&cancel).await;
            self.sender.post(brought);
            if was_copying && !self.copying.is_at_work() {
                self.metrics_file.due_now();
            }
            self.metrics_file.keep_up(self.settings, now);
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
        self.metrics_file
            .finish(self.settings, (self.ctx.now)())
            .await;
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
            no_room: false,
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
