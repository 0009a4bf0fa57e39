//! Starting the scheduler: the folder must be usable and free, and mongodump must be there.

use super::stall::StallWatch;
use super::systemd::Systemd;
use super::{AGAIN, End};
use crate::backup::Notifier;
use crate::context::Context;
use crate::mongo::tool::Tool;
use crate::mongo::uri::MongoUri;
use crate::notify::sender::Sender;
use crate::settings::Settings;
use crate::state::StateStore;
use crate::store::repository::{Repository, RepositoryLockError};
use crate::sys::humanize;
use crate::sys::lock::Lock;
use crate::sys::logging::SCHEDULER;
use std::time::Duration;
use tokio::time::Instant;

/// How long a start that keeps failing is tried again before it is left to what started us.
const GIVE_UP: Duration = Duration::from_secs(24 * 60 * 60);

/// What there is before there is a scheduler.
pub(super) struct Starting<'s> {
    pub settings: &'s Settings,
    pub uri: &'s MongoUri,
    pub ctx: &'s Context,
    pub repository: &'s Repository,
    pub status: StateStore,
    pub sender: Sender,
    pub systemd: Systemd,
    pub stall_watch: StallWatch,
}

impl Starting<'_> {
    /// Waits for what is missing if its owner has been told, since then nobody is watching; fails at once otherwise.
    pub(super) async fn until_possible(&mut self) -> Result<Lock, End> {
        let give_up = Instant::now() + GIVE_UP;
        let notifier = Notifier::new(self.settings, self.uri, self.ctx, None);
        let mut said = String::new();
        loop {
            self.stall_watch.alive();
            let problem = match self.possible().await {
                Ok(lock) => return Ok(lock),
                Err(Obstacle::Busy(error)) => {
                    tracing::error!(target: SCHEDULER, "{error}");
                    return Err(End::Busy);
                }
                Err(Obstacle::Stopped) => return Err(End::Stopped),
                Err(Obstacle::Problem(problem)) => problem,
            };
            if problem != said {
                tracing::error!(target: SCHEDULER, "cannot start: {problem}");
                self.sender
                    .post(notifier.start_failure(&mut self.status, &problem));
                said = problem;
            }
            if !notifier.tells_failures() || Instant::now() > give_up {
                return Err(End::Failed);
            }
            tracing::info!(target: SCHEDULER, "trying again every {}", humanize::duration(AGAIN));
            self.systemd.not_yet(&said, AGAIN);
            self.wait().await?;
        }
    }

    /// Until the next attempt, with signs of life in between.
    async fn wait(&self) -> Result<(), End> {
        let end = Instant::now() + AGAIN;
        while Instant::now() < end {
            self.stall_watch.alive();
            let pulse =
                tokio::time::sleep_until(end.min(Instant::now() + self.systemd.pulse_or(AGAIN)));
            self.ctx.cancel.or(pulse).await.map_err(|_| End::Stopped)?;
        }
        Ok(())
    }

    async fn possible(&self) -> Result<Lock, Obstacle> {
        let cancel = &self.ctx.cancel;
        let mut lock = self.repository.lock_schedule(self.settings.require_mount);
        for _ in 0..5 {
            // `health` holds the lock for a moment to see whether it is free.
            if !lock.as_ref().is_err_and(RepositoryLockError::is_busy) {
                break;
            }
            cancel
                .or(tokio::time::sleep(Duration::from_millis(100)))
                .await
                .map_err(|_| Obstacle::Stopped)?;
            lock = self.repository.lock_schedule(self.settings.require_mount);
        }
        let lock = lock.map_err(|error| match error.is_busy() {
            true => Obstacle::Busy(self.ctx.explain(&error)),
            false => Obstacle::Problem(self.ctx.explain(&error)),
        })?;
        match cancel.or(Tool::find("mongodump", self.ctx.path())).await {
            Ok(Ok(_)) => Ok(lock),
            Ok(Err(error)) => Err(Obstacle::Problem(self.ctx.explain(&error))),
            Err(_) => Err(Obstacle::Stopped),
        }
    }
}

enum Obstacle {
    Busy(String),
    Stopped,
    Problem(String),
}
