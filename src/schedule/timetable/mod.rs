//! Which slot of a schedule is due, so that a restart, a night without power or a wrong clock neither loses nor repeats
//! a run. Decides on a ledger that the caller keeps on disk after every change, and does nothing itself.

use crate::schedule::Schedule;
use crate::sys::time_zone::Tz;
use chrono::{DateTime, TimeDelta, Utc};

#[cfg(test)]
mod awake_tests;
mod ledger;
mod resume;
#[cfg(test)]
mod simulation_tests;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod wrong_clock_tests;

pub(crate) use ledger::{Ledger, StandIn, StartedRun};

/// How late a run may start and still count as being on time: a busy machine, a slow boot.
pub(crate) const ON_TIME: TimeDelta = TimeDelta::minutes(5);
/// How far the clock may stand behind what was done without that meaning more than a correction to wait for.
pub(crate) const CORRECTION: TimeDelta = TimeDelta::hours(1);
/// No clock that is right shows an earlier year.
pub(crate) const FIRST_YEAR: i32 = 2025;
/// After this many beginnings without an end a slot is given up: its run may be what brings the machine down.
pub(crate) const MOST_BEGINNINGS: u32 = 3;
/// Slots are counted up to here: what is said of more would be no clearer, and a decade has millions of minutes.
pub(crate) const MOST_COUNTED: u32 = 1000;

/// A schedule, and what to do about the slots it names.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Timetable<'s> {
    pub schedule: &'s Schedule,
    pub time_zone: Tz,
    /// Whether one run makes up for slots that were missed.
    pub catch_up: bool,
    /// Since when the caller has been awake: a slot that came due since then is not missed, however late its run may
    /// start. Something else was at work.
    pub awake_since: Option<DateTime<Utc>>,
}

/// What is to be done at an instant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Step {
    /// Nothing, until `next`; `None` if no slot is to come. The clock may be set before then: keep asking.
    Wait { next: Option<DateTime<Utc>> },
    /// A run for `slot`: call [`Timetable::begin`], run, call [`Timetable::finish`].
    Due {
        slot: DateTime<Utc>,
        late: TimeDelta,
        /// How many slots before it this run makes up for as well; at most [`MOST_COUNTED`].
        collapsed: u32,
    },
    /// `slot` and others, `count` in all (at most [`MOST_COUNTED`]), went by without a run. Said once.
    Missed { slot: DateTime<Utc>, count: u32 },
}

/// The slots that are due at an instant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum DueSlots {
    /// None, until `next`, if one is to come at all.
    None { next: Option<DateTime<Utc>> },
    Some {
        first: DateTime<Utc>,
        last: DateTime<Utc>,
    },
}

impl Timetable<'_> {
    /// What is to be done at `now`. The ledger is to be kept when it has changed.
    pub(crate) fn step(&self, ledger: &mut Ledger, now: DateTime<Utc>) -> Step {
        let mut due = self.due(ledger.base(now), now);
        if ledger.ahead.is_some_and(|ahead| now >= ahead) {
            // By itself time brings one slot after another. Several at once are no outage: the clock was set right, and
            // holds again what was done before it fell behind.
            let leap = matches!(due, DueSlots::Some { first, last } if first != last);
            ledger.clock_caught_up(leap);
            due = self.due(ledger.base(now), now);
        }
        let (slot, count) = match (due, ledger.make_up) {
            (DueSlots::Some { first, last }, make_up) => {
                let count = 1 + self.count(first, last) + u32::from(make_up.is_some());
                (last, count.min(MOST_COUNTED))
            }
            (DueSlots::None { .. }, Some(make_up)) => (make_up, 1),
            (DueSlots::None { next }, None) => return Step::Wait { next },
        };
        let late = now - slot;
        let was_awake = self.awake_since.is_some_and(|since| since <= slot);
        if late > ON_TIME && !self.catch_up && !was_awake {
            ledger.settle(slot);
            return Step::Missed { slot, count };
        }
        Step::Due {
            slot,
            late,
            collapsed: count - 1,
        }
    }

    /// A run for `slot` is about to start. The ledger must be on disk before it does.
    pub(crate) fn begin(&self, ledger: &mut Ledger, slot: DateTime<Utc>, now: DateTime<Utc>) {
        let before = ledger
            .begun
            .as_ref()
            .filter(|begun| begun.slot == slot)
            .map_or(0, |begun| begun.times);
        ledger.begun = Some(StartedRun {
            slot,
            at: now,
            times: before.saturating_add(1),
        });
    }

    /// The run for `slot` has ended, well or not. Returns how many slots came due while it was at work, at most
    /// [`MOST_COUNTED`]: they are skipped, as two runs one after the other would help no one.
    pub(crate) fn finish(
        &self,
        ledger: &mut Ledger,
        slot: DateTime<Utc>,
        now: DateTime<Utc>,
    ) -> u32 {
        // Asked first, as it notices when the clock has been set right during the run.
        let from = slot.max(ledger.base(now));
        let DueSlots::Some { first, last } = self.due(from, now) else {
            ledger.settle(slot);
            return 0;
        };
        ledger.settle(last);
        (1 + self.count(first, last)).min(MOST_COUNTED)
    }

    /// A backup beside the schedule was made from `began_at` up to `now`: it does for the slots that came due meanwhile.
    /// Returns how many, at most [`MOST_COUNTED`].
    pub(crate) fn stand_in(
        &self,
        ledger: &mut Ledger,
        began_at: DateTime<Utc>,
        now: DateTime<Utc>,
    ) -> u32 {
        let DueSlots::Some { first, last } = self.due(ledger.base(now), now) else {
            return 0;
        };
        ledger.settle(last);
        ledger.stood_in = Some(StandIn {
            slot: last,
            began_at,
        });
        (1 + self.count(first, last)).min(MOST_COUNTED)
    }

    /// The clock was seen to jump while the program was running.
    pub(crate) fn jumped(&self, ledger: &mut Ledger, now: DateTime<Utc>) {
        ledger.clock_set(now);
    }

    /// The first and the last slot after `base` and up to `now`; if there is none, the next.
    fn due(&self, base: DateTime<Utc>, now: DateTime<Utc>) -> DueSlots {
        match self.next_after(base) {
            Some(first) if first <= now => DueSlots::Some {
                first,
                last: self.last_in(first, now).unwrap_or(first),
            },
            next => DueSlots::None { next },
        }
    }

    fn next_after(&self, instant: DateTime<Utc>) -> Option<DateTime<Utc>> {
        self.schedule.next_after(instant, self.time_zone)
    }

    fn last_in(&self, after: DateTime<Utc>, until: DateTime<Utc>) -> Option<DateTime<Utc>> {
        self.schedule.last_in(after, until, self.time_zone)
    }

    /// How many slots there are after `after` and up to `until`, at most [`MOST_COUNTED`].
    fn count(&self, after: DateTime<Utc>, until: DateTime<Utc>) -> u32 {
        let mut at = after;
        let mut count = 0;
        while at < until
            && count < MOST_COUNTED
            && let Some(next) = self.next_after(at).filter(|next| *next <= until)
        {
            at = next;
            count += 1;
        }
        count
    }
}
