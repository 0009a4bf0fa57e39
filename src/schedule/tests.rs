//! What a schedule may be, and what it names where clocks do not change.

use super::*;
use crate::testing::zone;
use chrono::TimeZone as _;
use proptest::prelude::*;

#[test]
fn what_is_no_schedule_is_refused() {
    for (text, error) in [
        ("", "is not a schedule: it does not have 5 or 6 fields"),
        ("daily", "is not a schedule: it does not have 5 or 6 fields"),
        (
            "0 0 2 * * SUN 2030",
            "is not a schedule: it does not have 5 or 6 fields",
        ),
        (
            "@dayly",
            "is not a schedule: it is not one of the known nicknames",
        ),
        (
            "0 2 * * @daily",
            "is not a schedule: it has a character that cron does not know",
        ),
        (
            "0 2 * * dimanché",
            "is not a schedule: it has a character that cron does not know",
        ),
        (
            "0 25 * * *",
            "is not a schedule: one of its fields is out of range or malformed",
        ),
        ("30 2 31 2 *", "names a time that never comes"),
        ("0 0 30 2 *", "names a time that never comes"),
    ] {
        assert_eq!(
            Schedule::parse(text).map_err(|e| e.to_string()),
            Err(error.to_owned()),
            "{text}"
        );
    }
}

#[test]
fn the_next_run_is_in_local_time() {
    let at = |y, m, d, h, min, s| Utc.with_ymd_and_hms(y, m, d, h, min, s).single();
    for (text, tz, after, next) in [
        (
            "0 2 * * SUN",
            Tz::UTC,
            at(2025, 5, 31, 13, 41, 8),
            at(2025, 6, 1, 2, 0, 0),
        ),
        (
            "0 2 * * SUN",
            zone("Europe/Madrid"),
            at(2025, 5, 31, 13, 41, 8),
            at(2025, 6, 1, 0, 0, 0),
        ),
        (
            "30 0 2 * * *",
            Tz::UTC,
            at(2025, 1, 1, 2, 0, 30),
            at(2025, 1, 2, 2, 0, 30),
        ),
        (
            "@daily",
            Tz::UTC,
            at(2025, 1, 1, 0, 0, 0),
            at(2025, 1, 2, 0, 0, 0),
        ),
        (
            "0 0 29 2 *",
            Tz::UTC,
            at(2096, 3, 1, 0, 0, 0),
            at(2104, 2, 29, 0, 0, 0),
        ),
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
