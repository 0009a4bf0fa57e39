//! Slots in words: when, how far away, and what a change of clocks does to them.

use super::Schedule;
use super::local_time::{Slot, offset};
use crate::sys::time_zone::Tz;
use chrono::{DateTime, LocalResult, NaiveDateTime, TimeDelta, TimeZone as _, Timelike as _, Utc};

/// No schedule pauses for longer, so looking back this far finds the slot before any.
const LONGEST_PAUSE: TimeDelta = TimeDelta::days(super::LONGEST_WAIT_DAYS);

/// A slot to come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Upcoming {
    pub at: DateTime<Utc>,
    /// What a change of clocks does to it, where one does.
    pub note: Option<String>,
}

impl Schedule {
    /// The next `count` slots after `after`.
    pub(crate) fn upcoming(&self, after: DateTime<Utc>, tz: Tz, count: usize) -> Vec<Upcoming> {
        let first_look = after.checked_sub_signed(LONGEST_PAUSE);
        let mut before = first_look.and_then(|first_look| self.last_in(first_look, after, tz));
        let mut after = after;
        let mut found = Vec::new();
        while found.len() < count
            && let Some(slot) = self.pattern.next_slot(after, tz)
        {
            found.push(Upcoming {
                at: slot.at,
                note: self.note(&slot, before, tz),
            });
            before = Some(slot.at);
            after = slot.at;
        }
        found
    }

    fn note(&self, slot: &Slot, before: Option<DateTime<Utc>>, tz: Tz) -> Option<String> {
        let named = time_of_day(slot.named);
        match tz.from_local_datetime(&slot.named) {
            LocalResult::None => {
                return Some(format!(
                    "{named} does not exist that day: clocks go forward"
                ));
            }
            LocalResult::Ambiguous(first, _) if first == slot.at => {
                let counts = if self.pattern.is_rhythm() {
                    "both count"
                } else {
                    "the first one counts"
                };
                return Some(format!("{named} comes twice that day: {counts}"));
            }
            _ => {}
        }
        let change = i64::from(offset(slot.at, tz)) - i64::from(offset(before?, tz));
        let direction = if change < 0 { "back" } else { "forward" };
        let size = rounded(TimeDelta::seconds(change.abs()));
        (change != 0)
            .then(|| format!("clocks have gone {direction} by {size} since the one before"))
    }
}

/// `Sunday 31 May 2026 at 02:00 CEST, in 3 days 4 h`.
pub(crate) fn in_words(at: DateTime<Utc>, tz: Tz, now: DateTime<Utc>) -> String {
    let distance = match at - now {
        distance if distance.abs() < TimeDelta::milliseconds(500) => "now".to_owned(),
        distance if distance < TimeDelta::zero() => format!("{} ago", rounded(-distance)),
        distance => format!("in {}", rounded(distance)),
    };
    format!("{}, {distance}", moment(at, tz))
}

/// `Sunday 31 May 2026 at 02:00 CEST`, which stays true.
pub(crate) fn moment(at: DateTime<Utc>, tz: Tz) -> String {
    let local = at.with_timezone(&tz);
    let seconds = if at.second() == 0 { "" } else { ":%S" };
    let shown = local
        .format(&format!("%A %-d %B %Y at %H:%M{seconds}"))
        .to_string();
    // Where people have no letters for their zone, the database has digits: better with their sign explained.
    let letters = local.offset().to_string();
    let zone = match letters.starts_with(char::is_alphabetic) {
        true => letters,
        false => local.format("UTC%:z").to_string(),
    };
    format!("{shown} {zone}")
}

fn time_of_day(local: NaiveDateTime) -> String {
    local
        .format(if local.second() == 0 {
            "%H:%M"
        } else {
            "%H:%M:%S"
        })
        .to_string()
}

/// `40 s`, `4 min`, `2 h 5 min`, `3 days 4 h`: rounded to its last part, as what is a week away is so a moment later.
fn rounded(time: TimeDelta) -> String {
    let whole = |milliseconds: i64| (time.num_milliseconds() + milliseconds / 2) / milliseconds;
    let (seconds, minutes, hours) = (whole(1000), whole(60_000), whole(3_600_000));
    let parts = |large: i64, name: &str, small: i64, small_name: &str| match small {
        0 => format!("{large} {name}"),
        _ => format!("{large} {name} {small} {small_name}"),
    };
    match (seconds, minutes, hours) {
        (0..60, ..) => format!("{seconds} s"),
        (_, 0..60, _) => format!("{minutes} min"),
        (_, 60..1440, _) => parts(minutes / 60, "h", minutes % 60, "min"),
        (.., 0..48) => parts(1, "day", hours - 24, "h"),
        _ => parts(hours / 24, "days", hours % 24, "h"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::zone;

    fn at(text: &str) -> DateTime<Utc> {
        text.parse().unwrap()
    }

    #[test]
    fn a_slot_is_said_with_its_zone_and_distance() {
        let now = at("2026-05-27T20:00:00Z");
        for (slot, tz, words) in [
            (
                "2026-05-31T00:00:00Z",
                zone("Europe/Madrid"),
                "Sunday 31 May 2026 at 02:00 CEST, in 3 days 4 h",
            ),
            (
                "2026-05-27T20:04:00Z",
                Tz::UTC,
                "Wednesday 27 May 2026 at 20:04 UTC, in 4 min",
            ),
            (
                "2026-05-27T22:05:30Z",
                Tz::UTC,
                "Wednesday 27 May 2026 at 22:05:30 UTC, in 2 h 6 min",
            ),
            (
                "2026-05-27T20:00:00.2Z",
                Tz::UTC,
                "Wednesday 27 May 2026 at 20:00 UTC, now",
            ),
            (
                "2026-05-27T18:00:00Z",
                zone("America/New_York"),
                "Wednesday 27 May 2026 at 14:00 EDT, 2 h ago",
            ),
            (
                "2026-05-27T19:59:20Z",
                Tz::UTC,
                "Wednesday 27 May 2026 at 19:59:20 UTC, 40 s ago",
            ),
            (
                "2026-05-28T20:00:00Z",
                zone("Africa/Casablanca"),
                "Thursday 28 May 2026 at 21:00 UTC+01:00, in 1 day",
            ),
            (
                "2026-06-03T19:59:58Z",
                zone("Asia/Kolkata"),
                "Thursday 4 June 2026 at 01:29:58 IST, in 7 days",
            ),
        ] {
            assert_eq!(in_words(at(slot), tz, now), words);
        }
    }

    #[test]
    fn no_distance_has_a_part_that_is_full() {
        let shown = [
            0, 59, 60, 3569, 3570, 86_369, 86_370, 90_000, 172_799, 176_400,
        ]
        .map(|seconds| rounded(TimeDelta::seconds(seconds)));
        let expected = [
            "0 s",
            "59 s",
            "1 min",
            "59 min",
            "1 h",
            "23 h 59 min",
            "1 day",
            "1 day 1 h",
            "2 days",
            "2 days 1 h",
        ];
        assert_eq!(shown, expected);
    }

    fn notes(text: &str, tz: Tz, after: &str, count: usize) -> Vec<(String, String)> {
        let slots = Schedule::parse(text)
            .unwrap()
            .upcoming(at(after), tz, count);
        let local = |at: DateTime<Utc>| at.with_timezone(&tz).format("%d %H:%M").to_string();
        slots
            .into_iter()
            .map(|slot| (local(slot.at), slot.note.unwrap_or_default()))
            .collect()
    }

    fn expect(found: &[(String, String)], expected: &[(&str, &str)]) {
        let found: Vec<_> = found
            .iter()
            .map(|(at, note)| (at.as_str(), note.as_str()))
            .collect();
        assert_eq!(found, expected);
    }

    #[test]
    fn a_change_of_clocks_is_told_once() {
        let forward = "02:00 does not exist that day: clocks go forward";
        let found = notes(
            "0 2 * * *",
            zone("America/New_York"),
            "2026-03-07T00:00:00Z",
            3,
        );
        expect(
            &found,
            &[("07 02:00", ""), ("08 03:00", forward), ("09 02:00", "")],
        );

        let back = "clocks have gone back by 1 h since the one before";
        let found = notes(
            "45 1 * * *",
            zone("America/New_York"),
            "2026-10-31T00:00:00Z",
            4,
        );
        let twice = "01:45 comes twice that day: the first one counts";
        expect(
            &found,
            &[
                ("31 01:45", ""),
                ("01 01:45", twice),
                ("02 01:45", back),
                ("03 01:45", ""),
            ],
        );

        let found = notes(
            "0 * * * *",
            zone("America/New_York"),
            "2026-11-01T04:30:00Z",
            3,
        );
        expect(
            &found,
            &[
                ("01 01:00", "01:00 comes twice that day: both count"),
                ("01 01:00", back),
                ("01 02:00", ""),
            ],
        );

        let found = notes(
            "0 3 * * *",
            zone("Australia/Lord_Howe"),
            "2026-10-03T00:00:00Z",
            1,
        );
        expect(
            &found,
            &[(
                "04 03:00",
                "clocks have gone forward by 30 min since the one before",
            )],
        );
    }

    #[test]
    fn the_first_of_a_list_is_compared_with_the_one_that_has_passed() {
        let found = notes(
            "0 2 * * SUN",
            zone("Europe/Madrid"),
            "2026-10-26T12:00:00Z",
            1,
        );
        expect(
            &found,
            &[(
                "01 02:00",
                "clocks have gone back by 1 h since the one before",
            )],
        );
    }
}
