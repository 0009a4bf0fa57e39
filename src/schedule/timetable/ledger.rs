//! What must outlive a tick or a restart for no slot to be lost or taken twice.

use super::{CORRECTION, FIRST_YEAR};
use chrono::{DateTime, Datelike as _, SubsecRound as _, Utc};
use serde::{Deserialize, Serialize};

/// What has been done, and under which promise. Kept on disk between ticks and restarts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Ledger {
    /// The text of the schedule whose slots these are.
    pub schedule: String,
    /// The IANA name of the zone in which it is read.
    pub time_zone: String,
    /// Since when this schedule has been promised: before, no run could be expected of it.
    pub since: DateTime<Utc>,
    /// Every slot up to and including this instant is dealt with.
    pub handled: DateTime<Utc>,
    /// The clock stands behind `handled` since here, and slots count from here on. `handled` stays, as it holds again
    /// once the clock is set right.
    #[serde(default)]
    pub behind_from: Option<DateTime<Utc>>,
    /// What `handled` was before a run on a clock that stood behind it. Says whether slots up to here have been dealt
    /// with, should the clock leap forward again.
    #[serde(default)]
    pub ahead: Option<DateTime<Utc>>,
    /// A slot of the former schedule that was missed before the schedule was changed.
    #[serde(default)]
    pub make_up: Option<DateTime<Utc>>,
    /// The next slot, where it is the one that was dealt with before the zone was changed: the same date and time.
    #[serde(default)]
    pub already: Option<DateTime<Utc>>,
    /// A run that was begun and has not ended.
    #[serde(default)]
    pub begun: Option<StartedRun>,
    /// The last slot for which a backup did that had been begun before it.
    #[serde(default)]
    pub stood_in: Option<StandIn>,
}

/// A backup beside the schedule that was at work when a slot came due, and did for it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct StandIn {
    pub slot: DateTime<Utc>,
    pub began_at: DateTime<Utc>,
}

/// A run that was begun.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct StartedRun {
    pub slot: DateTime<Utc>,
    /// When it was begun last.
    pub at: DateTime<Utc>,
    /// How often it was begun.
    pub times: u32,
}

impl Ledger {
    /// From when on a backup does for `slot`.
    pub(crate) fn does_from(&self, slot: DateTime<Utc>) -> DateTime<Utc> {
        let stood_in = self.stood_in.as_ref().filter(|one| one.slot == slot);
        // Archives may be dated in whole seconds.
        stood_in.map_or(slot, |one| one.began_at.trunc_subsecs(0).min(slot))
    }

    /// From where slots are due at `now`.
    pub(super) fn base(&mut self, now: DateTime<Utc>) -> DateTime<Utc> {
        self.promised_by(now);
        let done = self
            .already
            .map_or(self.handled, |already| already.max(self.handled));
        if now >= self.handled {
            self.behind_from = None;
            return done;
        }
        match self.behind_from {
            Some(from) if from <= now => from,
            None if self.handled - now <= CORRECTION => done,
            _ => *self.behind_from.insert(now),
        }
    }

    /// The promise was made by now: it counts from here where it was written down on a clock that was ahead.
    fn promised_by(&mut self, now: DateTime<Utc>) {
        if now.year() >= FIRST_YEAR {
            self.since = self.since.min(now);
        }
    }

    /// From where slots are to come at `now`.
    pub(crate) fn goes_on_from(&self, now: DateTime<Utc>) -> DateTime<Utc> {
        self.clone().base(now).max(now)
    }

    /// Every slot up to `slot` is dealt with.
    pub(super) fn settle(&mut self, slot: DateTime<Utc>) {
        self.begun = None;
        self.make_up = None;
        if slot > self.handled {
            self.handled = slot;
        } else if self.behind_from.take().is_some() {
            self.ahead = self.ahead.max(Some(self.handled));
            self.handled = slot;
            self.already = None;
        }
        self.already = self.already.filter(|already| *already > self.handled);
    }

    /// The clock has come to where it once stood: by a leap, or by time passing.
    pub(super) fn clock_caught_up(&mut self, leap: bool) {
        if let Some(ahead) = self.ahead.take()
            && leap
        {
            self.handled = self.handled.max(ahead);
        }
    }

    /// The clock was set to `now`.
    pub(super) fn clock_set(&mut self, now: DateTime<Utc>) {
        self.promised_by(now);
        let was_behind = self.behind_from.take().is_some();
        if now < self.handled && (was_behind || self.handled - now > CORRECTION) {
            self.behind_from = Some(now);
        }
    }
}
