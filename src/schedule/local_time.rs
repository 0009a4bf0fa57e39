//! From the local times that a cron expression names to instants, also where clocks change.
//!
//! The cron crate only searches the calendar here. Its own treatment of time zones takes two fixed times a day for a
//! rhythm, and so drops or doubles slots where clocks change.

use crate::sys::time_zone::Tz;
use chrono::{
    DateTime, LocalResult, NaiveDateTime, Offset as _, SubsecRound as _, TimeDelta, TimeZone as _,
    Utc,
};
use croner::Cron;

/// A cron expression as a set of local times.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Pattern {
    cron: Cron,
    /// Whether it means "every so often" rather than times of day.
    rhythm: bool,
}

/// One thing that is due.
pub(super) struct Slot {
    pub at: DateTime<Utc>,
    /// The local time that the expression names; the clock shows another at `at` when it jumps over this one.
    pub named: NaiveDateTime,
}

impl Pattern {
    pub(super) fn new(cron: Cron) -> Self {
        // From the right, since seconds are optional.
        let hours = cron
            .pattern
            .as_str()
            .split_whitespace()
            .rev()
            .nth(3)
            .unwrap_or_default();
        let rhythm = hours.contains('/') || cron.pattern.hours.values().len() == 24;
        Pattern { cron, rhythm }
    }

    pub(super) fn is_rhythm(&self) -> bool {
        self.rhythm
    }

    /// The first slot after `instant`.
    pub(super) fn next_slot(&self, instant: DateTime<Utc>, tz: Tz) -> Option<Slot> {
        let instant = instant.trunc_subsecs(0);
        let local = local_time(instant, tz)?;
        let LocalResult::Ambiguous(first, second) = tz.from_local_datetime(&local) else {
            return self.walk(local, instant, tz);
        };
        // In an hour that comes twice the calendar alone cannot tell what is still to come.
        let change = change_between(first.to_utc(), second.to_utc(), tz);
        let second_pass = instant >= change;
        if second_pass && !self.rhythm {
            let end_of_pass = change
                .naive_utc()
                .checked_add_offset(first.offset().fix())?;
            return self.walk(end_of_pass - TimeDelta::seconds(1), instant, tz);
        }
        let next = self.walk(local, instant, tz)?;
        if second_pass || !self.rhythm || next.at < change {
            return Some(next);
        }
        self.walk(
            local_time(change, tz)? - TimeDelta::seconds(1),
            change - TimeDelta::seconds(1),
            tz,
        )
    }

    /// The first slot that is named after `local` and comes after `instant`.
    fn walk(&self, mut local: NaiveDateTime, instant: DateTime<Utc>, tz: Tz) -> Option<Slot> {
        loop {
            let named = self.cron.find_next_occurrence(&local, false).ok()?;
            let at = match tz.from_local_datetime(&named) {
                LocalResult::Single(at) => Some(at.to_utc()),
                LocalResult::Ambiguous(first, _) if first > instant => Some(first.to_utc()),
                LocalResult::Ambiguous(_, second) => Some(second.to_utc()),
                LocalResult::None => self.after_gap(named, tz),
            };
            if let Some(at) = at {
                return Some(Slot { at, named });
            }
            local = named;
        }
    }

    /// Where a slot goes that clocks jump over; `None` if another takes its place.
    fn after_gap(&self, named: NaiveDateTime, tz: Tz) -> Option<DateTime<Utc>> {
        let (before, after) = tz.gap(named)?;
        let (before, after) = (before.fix(), after.fix());
        let end = change_between(
            named.checked_sub_offset(after)?.and_utc(),
            named.checked_sub_offset(before)?.and_utc(),
            tz,
        );
        let jump = after.local_minus_utc() - before.local_minus_utc();
        // What is due each half past two and half past three keeps its distance by coming at half past three only.
        let same_distance = named + TimeDelta::seconds(jump.into());
        let takes_its_place =
            self.rhythm && self.cron.is_time_matching(&same_distance).unwrap_or(false);
        (!takes_its_place).then_some(end)
    }
}

/// What the clock shows; `None` at the ends of the calendar.
fn local_time(instant: DateTime<Utc>, tz: Tz) -> Option<NaiveDateTime> {
    let utc = instant.naive_utc();
    utc.checked_add_offset(tz.offset_from_utc_datetime(&utc).fix())
}

/// Seconds that the clock is ahead of UTC.
pub(super) fn offset(instant: DateTime<Utc>, tz: Tz) -> i32 {
    tz.offset_from_utc_datetime(&instant.naive_utc())
        .fix()
        .local_minus_utc()
}

/// The first instant at which the offset is that of `second` and no longer that of `first`.
fn change_between(first: DateTime<Utc>, second: DateTime<Utc>, tz: Tz) -> DateTime<Utc> {
    let before = offset(first, tz);
    let (mut low, mut high) = (first, second);
    while high - low > TimeDelta::seconds(1) {
        let middle = low + TimeDelta::seconds((high - low).num_seconds() / 2);
        if offset(middle, tz) == before {
            low = middle;
        } else {
            high = middle;
        }
    }
    high
}
