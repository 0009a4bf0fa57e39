//! When something is due: a cron expression, and the instants it names in a time zone.

use chrono::{DateTime, SubsecRound as _, Utc};
use chrono_tz::Tz;
use croner::Cron;
use croner::parser::{CronParser, Year};
use std::fmt;
use thiserror::Error;

const NICKNAMES: [&str; 6] = ["@yearly", "@annually", "@monthly", "@weekly", "@daily", "@hourly"];

/// 2024-01-01T00:00:00Z. A fixed start makes the check of a schedule independent of the clock; any would do.
const PROBE_START_SECONDS: i64 = 1_704_067_200;
/// The longest wait that an honest schedule can mean: leap days are eight years apart around 2100.
const LONGEST_WAIT_DAYS: i64 = 8 * 366;

/// Why a text is not a usable schedule.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ScheduleError {
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
pub struct Schedule {
    text: String,
    cron: Cron,
}

impl Schedule {
    /// Reads a cron expression.
    ///
    /// # Errors
    /// If the text is not one, or names no time within eight years.
    pub fn parse(text: &str) -> Result<Self, ScheduleError> {
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
        let schedule = Self { text: text.to_owned(), cron };
        let start = DateTime::from_timestamp(PROBE_START_SECONDS, 0).unwrap_or_default();
        match schedule.next_after(start, Tz::UTC) {
            Some(next) if (next - start).num_days() <= LONGEST_WAIT_DAYS => Ok(schedule),
            _ => Err(ScheduleError::NeverFires),
        }
    }

    /// The expression as it was given.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The first instant after `instant` that the schedule names, read as local time in `tz`, in whole seconds.
    /// `None` if there is none that the calendar can hold.
    pub fn next_after(&self, instant: DateTime<Utc>, tz: Tz) -> Option<DateTime<Utc>> {
        let local = instant.trunc_subsecs(0).with_timezone(&tz);
        let next = self.cron.find_next_occurrence(&local, false).ok()?;
        Some(next.with_timezone(&Utc))
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

#[cfg(test)]
mod tests {
    use super::*;
    use chrono::TimeZone as _;
    use proptest::prelude::*;

    #[test]
    fn what_is_no_schedule_is_refused() {
        for (text, error) in [
            ("", "is not a schedule: it does not have 5 or 6 fields"),
            ("daily", "is not a schedule: it does not have 5 or 6 fields"),
            ("0 0 2 * * SUN 2030", "is not a schedule: it does not have 5 or 6 fields"),
            ("@dayly", "is not a schedule: it is not one of the known nicknames"),
            ("0 2 * * @daily", "is not a schedule: it has a character that cron does not know"),
            ("0 2 * * dimanché", "is not a schedule: it has a character that cron does not know"),
            ("0 25 * * *", "is not a schedule: one of its fields is out of range or malformed"),
            ("30 2 31 2 *", "names a time that never comes"),
            ("0 0 30 2 *", "names a time that never comes"),
        ] {
            assert_eq!(Schedule::parse(text).map_err(|e| e.to_string()), Err(error.to_owned()), "{text}");
        }
    }

    #[test]
    fn the_next_run_is_in_local_time() {
        let at = |y, m, d, h, min, s| Utc.with_ymd_and_hms(y, m, d, h, min, s).single();
        for (text, tz, after, next) in [
            ("0 2 * * SUN", Tz::UTC, at(2025, 5, 31, 13, 41, 8), at(2025, 6, 1, 2, 0, 0)),
            ("0 2 * * SUN", Tz::Europe__Madrid, at(2025, 5, 31, 13, 41, 8), at(2025, 6, 1, 0, 0, 0)),
            ("30 0 2 * * *", Tz::UTC, at(2025, 1, 1, 2, 0, 30), at(2025, 1, 2, 2, 0, 30)),
            ("@daily", Tz::UTC, at(2025, 1, 1, 0, 0, 0), at(2025, 1, 2, 0, 0, 0)),
            ("0 0 29 2 *", Tz::UTC, at(2096, 3, 1, 0, 0, 0), at(2104, 2, 29, 0, 0, 0)),
        ] {
            let schedule = Schedule::parse(text);
            let found = schedule.map(|s| after.and_then(|after| s.next_after(after, tz)));
            assert_eq!(found, Ok(next), "{text}");
        }
    }

    #[test]
    fn the_nicknames_all_parse_and_keep_their_text() {
        for name in NICKNAMES {
            let schedule = Schedule::parse(name);
            assert_eq!(schedule.as_ref().map(Schedule::text), Ok(name));
        }
    }

    proptest! {
        #[test]
        fn any_text_gives_an_answer_not_a_panic(text in "[0-9*/,#LW?+-]{1,6}( [0-9*/,#LWA-Z?+-]{1,5}){4,5}|\\PC{0,20}") {
            let _ = Schedule::parse(&text);
        }
    }
}
