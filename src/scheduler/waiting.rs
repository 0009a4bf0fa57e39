//! Backups that wait for the folder, because somebody else is at work in it. That is no failure, until it has taken longer
//! than any backup may: then whoever holds the folder hangs, and without a word there would be no backup and no alarm.

use super::Service;
use super::trigger::Trigger;
use super::worker::SLACK;
use crate::state::Ended;
use crate::sys::humanize;
use crate::sys::lock_holder::{self, Condition, HolderProcess};
use crate::sys::logging::SCHEDULER;
use chrono::{DateTime, TimeDelta, Utc};
use std::time::Duration;
use tokio::time::Instant;

const STAGE: &str = "waiting for the folder";

/// Since when the folder has been found to be somebody else's, each time.
#[derive(Debug, Default)]
pub(super) struct Waiting {
    since: Option<Instant>,
    told: bool,
    told_of: Option<DateTime<Utc>>,
}

impl Waiting {
    /// The folder is still somebody else's. For how long now, if that is to be told: once it is longer than `limit`, and
    /// then once for each slot.
    fn goes_on(
        &mut self,
        slot: Option<DateTime<Utc>>,
        limit: Duration,
        now: Instant,
    ) -> Option<Duration> {
        let waited = now - *self.since.get_or_insert(now);
        let is_news = !self.told || (slot.is_some() && slot != self.told_of);
        if waited <= limit || !is_news {
            return None;
        }
        self.told = true;
        self.told_of = slot;
        Some(waited)
    }

    /// Nothing waits any more.
    pub(super) fn end(&mut self) {
        *self = Waiting::default();
    }
}

impl Service<'_> {
    /// A backup that was due found somebody else at work.
    pub(super) fn wait_for_the_folder(&mut self, trigger: Trigger) {
        self.systemd
            .status("waiting for another Pantry Keeper that is at work in the folder");
        let limit = self.settings.timeout + SLACK;
        let waited = self.waiting.goes_on(trigger.slot(), limit, Instant::now());
        let Some(waited) = waited else {
            tracing::debug!(target: SCHEDULER, "a backup waits for the folder");
            return;
        };
        let holder = lock_holder::of(&self.repository.lock_path());
        let error = format!(
            "another Pantry Keeper has held {} for {}, so that no backup can be made{}",
            self.repository.folder().display(),
            humanize::duration(waited),
            holder.map_or(String::new(), in_words),
        );
        let advice = advice(holder, self.ctx.runtime.restart());
        let now = (self.ctx.now)();
        self.record(
            now - TimeDelta::from_std(waited).unwrap_or_default(),
            now,
            trigger.label(),
            Ended::Failed {
                stage: STAGE.into(),
                error: error.clone(),
            },
        );
        self.fail(STAGE, &error, &advice);
    }
}

fn in_words(holder: HolderProcess) -> String {
    let condition = match holder.condition {
        Condition::Stopped => ", which is stopped",
        Condition::WaitsForDisk => ", which waits for a disk or a network share",
        Condition::Alive => "",
    };
    format!("; it is process {}{condition}", holder.id)
}

fn advice(holder: Option<HolderProcess>, restart: &str) -> String {
    let end = match holder {
        Some(HolderProcess {
            id,
            condition: Condition::Stopped,
        }) => format!("Let it go on (kill -CONT {id}), or end it: kill -9 {id}."),
        Some(HolderProcess { id, .. }) => format!("If it hangs, end it: kill -9 {id}."),
        None => format!("If it hangs, end it, or restart: {restart}."),
    };
    format!(
        "{end} One that does not end hangs on the disk or the network share of the backup folder: see to that, or restart the \
         machine. The backup is tried again every minute."
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMIT: Duration = Duration::from_secs(7 * 3600);
    const MINUTE: Duration = Duration::from_secs(60);

    fn slot(minute: i64) -> Option<DateTime<Utc>> {
        Some(DateTime::UNIX_EPOCH + TimeDelta::minutes(minute))
    }

    #[test]
    fn it_is_told_when_it_takes_too_long_and_once_for_each_slot() {
        let (mut waiting, begun) = (Waiting::default(), Instant::now());
        let mut goes_on = |slot, after: Duration| waiting.goes_on(slot, LIMIT, begun + after);
        assert_eq!(goes_on(slot(0), Duration::ZERO), None);
        // On a schedule of every minute, the slot that waits is always another.
        assert_eq!(goes_on(slot(420), LIMIT), None);
        assert_eq!(goes_on(slot(421), LIMIT + MINUTE), Some(LIMIT + MINUTE));
        assert_eq!(goes_on(slot(421), LIMIT + 2 * MINUTE), None);
        assert_eq!(goes_on(None, LIMIT + 2 * MINUTE), None);
        assert!(goes_on(slot(423), LIMIT + 3 * MINUTE).is_some());
    }

    #[test]
    fn a_new_wait_begins_from_nothing() {
        let (mut waiting, begun) = (Waiting::default(), Instant::now());
        assert_eq!(waiting.goes_on(None, LIMIT, begun), None);
        assert!(waiting.goes_on(None, LIMIT, begun + 2 * LIMIT).is_some());
        waiting.end();
        assert_eq!(waiting.goes_on(None, LIMIT, begun + 3 * LIMIT), None);
        assert!(waiting.goes_on(None, LIMIT, begun + 5 * LIMIT).is_some());
    }

    #[test]
    fn what_to_do_fits_what_is_known() {
        let holder = |condition| Some(HolderProcess { id: 42, condition });
        let words = advice(holder(Condition::Stopped), "r");
        assert!(words.starts_with("Let it go on (kill -CONT 42), or end it: kill -9 42."));
        let words = advice(holder(Condition::WaitsForDisk), "r");
        assert!(words.starts_with("If it hangs, end it: kill -9 42."));
        assert!(advice(None, "r").starts_with("If it hangs, end it, or restart: r."));
    }
}
