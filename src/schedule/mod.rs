//! When something is due: a cron expression, the instants it names in a time zone, and how to say them.

use crate::sys::time_zone::Tz;
use chrono::{DateTime, SubsecRound as _, TimeDelta, Utc};
use croner::parser::{CronParser, Year};
use local_time::Pattern;
use std::fmt;
use thiserror::Error;

#[cfg(test)]
pub(crate) mod clock_change_tests;
mod describe;
mod local_time;
#[cfg(test)]
mod tests;
pub(crate) mod timetable;

pub(crate) use describe::{in_words, moment};

const NICKNAMES: [&str; 6] = [
    "@yearly",
    "@annually",
    "@monthly",
    "@weekly",
    "@daily",
    "@hourly",
];

/// 2024-01-01T00:00:00Z. A fixed start makes the check of a schedule independent of the clock; any would do.
const PROBE_START_SECONDS: i64 = 1_704_067_200;
/// The longest wait that an honest schedule can mean: leap days are eight years apart around 2100.
const LONGEST_WAIT_DAYS: i64 = 8 * 366;

/// Why a text is not a usable schedule.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub(crate) enum ScheduleError {
    /// The text is not a cron expression; holds what is wrong with it.
    #[error("is not a schedule: {0}")]
    Syntax(String),
    /// The expression is well-formed, but names a date that does not come, such as 31 February.
    #[error("names a time that never comes")]
    NeverFires,
}

/// A cron expression of 5 fields (minute, hour, day, month, weekday), of 6 (with seconds first), or a nickname such
/// as `@daily`.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Schedule {
    text: String,
    pattern: Pattern,
}

impl Schedule {
    /// Reads a cron expression.
    ///
    /// # Errors
    /// If the text is not one, or names no time within eight years.
    pub(crate) fn parse(text: &str) -> Result<Self, ScheduleError> {
        let syntax = |what: &str| Err(ScheduleError::Syntax(what.to_owned()));
        let text = text.trim();
        // The cron crate replaces nicknames anywhere in the text, and falls through on an unknown one.
        if text.starts_with('@') {
            if !NICKNAMES.contains(&text.to_ascii_lowercase().as_str()) {
                return syntax("it is not one of the known nicknames");
            }
        } else {
            if !text.is_ascii() || text.contains('@') {
                return syntax("it has a character that cron does not know");
            }
            if !matches!(text.split_whitespace().count(), 5 | 6) {
                return syntax("it does not have 5 or 6 fields");
            }
        }
        let parser = CronParser::builder().year(Year::Disallowed).build();
        let Ok(cron) = parser.parse(text) else {
            return syntax("one of its fields is out of range or malformed");
        };
        let schedule = Self {
            text: text.to_owned(),
            pattern: Pattern::new(cron),
        };
        let start = DateTime::from_timestamp(PROBE_START_SECONDS, 0).unwrap_or_default();
        match schedule.next_after(start, Tz::UTC) {
            Some(next) if (next - start).num_days() <= LONGEST_WAIT_DAYS => Ok(schedule),
            _ => Err(ScheduleError::NeverFires),
        }
    }

    /// The expression as it was given.
    pub(crate) fn text(&self) -> &str {
        &self.text
    }

    /// The first instant after `instant` that the schedule names, read as local time in `tz`, in whole seconds.
    /// `None` if there is none that the calendar can hold.
    ///
    /// A local time that clocks jump over counts at the first instant after the jump, together with others that do. One
    /// that comes twice counts the first time, or both times when the hour field is `*` or has a step: such a schedule
    /// means a rhythm, and a rhythm does not pause.
    pub(crate) fn next_after(&self, instant: DateTime<Utc>, tz: Tz) -> Option<DateTime<Utc>> {
        self.pattern.next_slot(instant, tz).map(|slot| slot.at)
    }

    /// The last instant that the schedule names after `after` and not after `until`.
    pub(crate) fn last_in(
        &self,
        after: DateTime<Utc>,
        until: DateTime<Utc>,
        tz: Tz,
    ) -> Option<DateTime<Utc>> {
        let due_after = |instant| self.next_after(instant, tz).filter(|next| *next <= until);
        let mut last = due_after(after)?;
        let mut end = until.trunc_subsecs(0);
        // Something is due after every instant before the one sought, and nothing after that one: halving finds it
        // however many lie between.
        while let Some(later) = due_after(last) {
            last = later;
            let middle = last + TimeDelta::seconds((end - last).num_seconds() / 2);
            match due_after(middle) {
                Some(later) => last = later,
                None => end = middle,
            }
        }
        Some(last)
    }
}

impl fmt::Debug for Schedule {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "Schedule({})", self.text)
    }
}

impl fmt::Display for Schedule {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.text)
    }
}
