//! Slots where clocks change, against an oracle that shares nothing with the code: it walks local dates and minutes.

use super::Schedule;
use crate::sys::time_zone::Tz;
use crate::testing::zone;
use chrono::{
    DateTime, Datelike as _, LocalResult, NaiveDate, NaiveDateTime, NaiveTime, TimeDelta,
    TimeZone as _,
};
use chrono::{Timelike as _, Utc, Weekday};
use proptest::prelude::*;
use std::collections::BTreeSet;
use std::time::{Duration, Instant};

const ZONES: [&str; 7] = [
    "America/New_York",
    "Australia/Lord_Howe",
    "Africa/Casablanca",
    "Europe/Madrid",
    "UTC",
    "Asia/Kolkata",
    "Pacific/Apia",
];

/// A schedule as sets, in which the oracle looks up local times.
pub(crate) struct Sets {
    pub text: &'static str,
    pub rhythm: bool,
    pub day: fn(NaiveDate) -> bool,
    pub time: fn(u32, u32, u32) -> bool,
}

impl Sets {
    fn holds(&self, local: NaiveDateTime) -> bool {
        (self.day)(local.date()) && (self.time)(local.hour(), local.minute(), local.second())
    }
}

fn every_day(_: NaiveDate) -> bool {
    true
}

fn instant(text: &str) -> DateTime<Utc> {
    text.parse().unwrap()
}

/// The instants of a local time, when it comes; otherwise the first minute after the jump, and the instant that keeps
/// its distance from the minutes before.
enum Comes {
    At(DateTime<Utc>, Option<DateTime<Utc>>),
    JumpedOver {
        after: DateTime<Utc>,
        same_distance: DateTime<Utc>,
    },
}

fn comes(local: NaiveDateTime, tz: Tz) -> Comes {
    let minutes = |count| local + TimeDelta::minutes(count);
    match tz.from_local_datetime(&local) {
        LocalResult::Single(at) => Comes::At(at.to_utc(), None),
        LocalResult::Ambiguous(first, second) => Comes::At(first.to_utc(), Some(second.to_utc())),
        LocalResult::None => {
            let after = (1..)
                .find_map(|ahead| tz.from_local_datetime(&minutes(ahead)).earliest())
                .unwrap();
            let resolved = |back: i64| {
                tz.from_local_datetime(&minutes(-back))
                    .latest()
                    .map(|at| (at, back))
            };
            let (before, back) = (1..).find_map(resolved).unwrap();
            // Seconds of the minute are lost when the minute after is sought.
            let after = after.to_utc() - TimeDelta::seconds(local.second().into());
            Comes::JumpedOver {
                after,
                same_distance: before.to_utc() + TimeDelta::minutes(back),
            }
        }
    }
}

/// Every slot of the local dates from `first` to `last`.
pub(crate) fn oracle(
    sets: &Sets,
    tz: Tz,
    first: NaiveDate,
    last: NaiveDate,
) -> BTreeSet<DateTime<Utc>> {
    let times: Vec<NaiveTime> = (0..86_400)
        .filter(|second| (sets.time)(second / 3600, second / 60 % 60, second % 60))
        .filter_map(|second| NaiveTime::from_num_seconds_from_midnight_opt(second, 0))
        .collect();
    let dates = first
        .iter_days()
        .take_while(|date| *date <= last)
        .filter(|date| (sets.day)(*date));
    let mut slots = BTreeSet::new();
    for local in dates.flat_map(|date| times.iter().map(move |time| date.and_time(*time))) {
        match comes(local, tz) {
            Comes::At(at, again) => {
                slots.insert(at);
                slots.extend(again.filter(|_| sets.rhythm));
            }
            Comes::JumpedOver {
                after,
                same_distance,
            } => {
                let keeps =
                    sets.rhythm && sets.holds(same_distance.with_timezone(&tz).naive_local());
                slots.insert(if keeps { same_distance } else { after });
            }
        }
    }
    slots
}

/// The local dates around which the clocks of `tz` change.
fn changes(tz: Tz, first: NaiveDate, last: NaiveDate) -> Vec<NaiveDate> {
    let offset = |date: &NaiveDate| tz.offset_from_utc_date(date).to_string();
    let days: Vec<NaiveDate> = first.iter_days().take_while(|date| *date <= last).collect();
    days.windows(2)
        .filter(|pair| offset(&pair[0]) != offset(&pair[1]))
        .map(|pair| pair[0])
        .collect()
}

fn date(year: i32, month: u32, day: u32) -> NaiveDate {
    NaiveDate::from_ymd_opt(year, month, day).unwrap()
}

fn utc(date: NaiveDate) -> DateTime<Utc> {
    date.and_time(NaiveTime::MIN).and_utc()
}

/// Compares from two days after `first` to two days before `last`, where all that is due is of the oracle's dates.
fn compare(sets: &Sets, tz: Tz, first: NaiveDate, last: NaiveDate) -> usize {
    let schedule = Schedule::parse(sets.text).unwrap();
    let (from, to) = (
        utc(first) + TimeDelta::days(2),
        utc(last) - TimeDelta::days(2),
    );
    let expected: Vec<_> = oracle(sets, tz, first, last)
        .into_iter()
        .filter(|at| *at > from && *at <= to)
        .collect();
    let mut at = from;
    for slot in &expected {
        let next = schedule.next_after(at, tz);
        assert_eq!(next, Some(*slot), "{} in {tz} after {at}", sets.text);
        at = *slot;
    }
    assert!(
        schedule.next_after(at, tz).is_some_and(|next| next > to),
        "{} in {tz} after {at}",
        sets.text
    );
    expected.len()
}

#[test]
fn five_years_of_slots_in_seven_zones_are_the_ones_of_the_oracle() {
    let sets = |text, rhythm, day, time| Sets {
        text,
        rhythm,
        day,
        time,
    };
    let all = [
        sets(
            "0 2 * * SUN",
            false,
            |day| day.weekday() == Weekday::Sun,
            |h, m, s| (h, m, s) == (2, 0, 0),
        ),
        sets("30 2 * * *", false, every_day, |h, m, s| {
            (h, m, s) == (2, 30, 0)
        }),
        sets("45 1 * * *", false, every_day, |h, m, s| {
            (h, m, s) == (1, 45, 0)
        }),
        sets("0 0 * * *", false, every_day, |h, m, s| {
            (h, m, s) == (0, 0, 0)
        }),
        sets(
            "0 0 1 * *",
            false,
            |day| day.day() == 1,
            |h, m, s| (h, m, s) == (0, 0, 0),
        ),
        sets(
            "15 3 * * MON-FRI",
            false,
            |day| day.weekday().number_from_monday() < 6,
            |h, m, s| (h, m, s) == (3, 15, 0),
        ),
        sets("0 2,14 * * *", false, every_day, |h, m, s| {
            (h == 2 || h == 14) && (m, s) == (0, 0)
        }),
        sets("15 30 2 * * *", false, every_day, |h, m, s| {
            (h, m, s) == (2, 30, 15)
        }),
        sets("0 * * * *", true, every_day, |_, m, s| (m, s) == (0, 0)),
    ];
    let (first, last) = (date(2024, 12, 30), date(2030, 1, 2));
    for tz in ZONES.map(zone) {
        for sets in &all {
            assert!(compare(sets, tz, first, last) >= 59);
        }
    }
}

#[test]
fn dense_schedules_are_the_oracle_s_for_a_spring_and_around_every_change_of_five_years() {
    let sets = |text, rhythm, time| Sets {
        text,
        rhythm,
        day: every_day,
        time,
    };
    let all = [
        sets("*/20 1-3 * * *", false, |h, m, s| {
            (1..=3).contains(&h) && m % 20 == 0 && s == 0
        }),
        sets("30 */2 * * *", true, |h, m, s| {
            h % 2 == 0 && m == 30 && s == 0
        }),
        sets("*/15 * * * *", true, |_, m, s| m % 15 == 0 && s == 0),
        sets("20 7,47 * * * *", true, |_, m, s| {
            (m == 7 || m == 47) && s == 20
        }),
        sets("*/20 30 0-3 * * *", false, |h, m, s| {
            h < 4 && m == 30 && s % 20 == 0
        }),
    ];
    let mut seen = 0;
    for tz in ZONES.map(zone) {
        for sets in &all {
            compare(sets, tz, date(2027, 2, 1), date(2027, 4, 10));
            for change in changes(tz, date(2019, 1, 1), date(2024, 1, 1)) {
                compare(
                    sets,
                    tz,
                    change - TimeDelta::days(3),
                    change + TimeDelta::days(4),
                );
                seen += 1;
            }
        }
    }
    // Two a year in each of four zones, and Apia's last five: years that no government changes any more.
    assert_eq!(seen, all.len() * 45);
}

#[test]
fn a_slot_that_is_a_year_or_eight_away_is_found_at_once() {
    let schedule = Schedule::parse("0 0 29 2 *").unwrap();
    for (after, slot) in [
        ("2025-03-01T00:00:00Z", "2028-02-29T05:00:00Z"),
        ("2096-03-01T00:00:00Z", "2104-02-29T05:00:00Z"),
    ] {
        let start = Instant::now();
        assert_eq!(
            schedule.next_after(instant(after), zone("America/New_York")),
            Some(instant(slot))
        );
        assert!(
            start.elapsed() < Duration::from_millis(50),
            "{:?}",
            start.elapsed()
        );
    }
}

#[test]
fn seconds_in_hours_that_are_jumped_over_or_come_twice_are_found_at_once() {
    let tz = zone("America/New_York");
    for text in [
        "* * * * * *",
        "1-59 * * * * *",
        "* * 1-2 * * *",
        "* */2 * * *",
    ] {
        let schedule = Schedule::parse(text).unwrap();
        for after in [
            "2026-03-08T06:59:59Z",
            "2026-11-01T05:59:59Z",
            "2026-11-01T06:00:00Z",
            "2026-11-01T06:30:00Z",
        ] {
            let start = Instant::now();
            assert!(
                schedule
                    .next_after(instant(after), tz)
                    .is_some_and(|next| next > instant(after))
            );
            assert!(
                start.elapsed() < Duration::from_millis(200),
                "{text} after {after}: {:?}",
                start.elapsed()
            );
        }
    }
}

#[test]
fn a_day_that_a_zone_left_out_does_not_stop_a_schedule() {
    // Apia went from 29 to 31 December 2011 to change sides of the date line.
    let tz = zone("Pacific/Apia");
    let next = |text: &str| {
        Schedule::parse(text)
            .unwrap()
            .next_after(instant("2011-12-29T22:00:00Z"), tz)
    };
    assert_eq!(next("30 8 30 12 *"), Some(instant("2011-12-30T10:00:00Z")));
    assert_eq!(next("0 8 * * *"), Some(instant("2011-12-30T10:00:00Z")));
}

#[test]
fn the_ends_of_the_calendar_give_no_slot_and_no_panic() {
    let schedule = Schedule::parse("0 2 * * *").unwrap();
    for tz in ZONES.map(zone) {
        assert_eq!(schedule.next_after(DateTime::<Utc>::MAX_UTC, tz), None);
        let _ = schedule.next_after(DateTime::<Utc>::MIN_UTC, tz);
        assert_eq!(
            schedule.last_in(
                instant("2026-01-01T00:00:00Z"),
                instant("2025-01-01T00:00:00Z"),
                tz
            ),
            None
        );
        assert!(
            schedule
                .upcoming(DateTime::<Utc>::MAX_UTC, tz, 2)
                .is_empty()
        );
    }
}

/// A field of a random schedule: its text, and the values it stands for.
fn field(values: u32) -> impl Strategy<Value = (String, Vec<u32>)> {
    prop_oneof![
        2 => Just(("*".to_owned(), (0..values).collect())),
        2 => (2..values).prop_map(move |step| (format!("*/{step}"), (0..values).step_by(step as usize).collect())),
        5 => prop::collection::btree_set(0..values, 1..4).prop_map(|set| {
            let texts: Vec<String> = set.iter().map(u32::to_string).collect();
            (texts.join(","), set.into_iter().collect())
        }),
    ]
}

/// Every slot of the three days around `middle`, minute by minute of real time.
fn minute_by_minute(
    middle: DateTime<Utc>,
    tz: Tz,
    rhythm: bool,
    holds: &dyn Fn(NaiveDateTime) -> bool,
) -> Vec<DateTime<Utc>> {
    let minute = TimeDelta::minutes(1);
    let local = |at: DateTime<Utc>| at.with_timezone(&tz).naive_local();
    let mut slots = Vec::new();
    for at in (-2160..=2160).map(|ahead| middle + TimeDelta::minutes(ahead)) {
        let (before, shown) = (local(at - minute), local(at));
        let mut due = holds(shown)
            && (rhythm
                || tz
                    .from_local_datetime(&shown)
                    .earliest()
                    .map(|at| at.to_utc())
                    == Some(at));
        let mut jumped_over = before + minute;
        let mut same_distance = at;
        while jumped_over < shown {
            due |= holds(jumped_over) && !(rhythm && holds(local(same_distance)));
            jumped_over += minute;
            same_distance += minute;
        }
        if due {
            slots.push(at);
        }
    }
    slots
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(160))]

    #[test]
    fn any_schedule_around_any_change_is_what_minutes_of_real_time_show(
        minutes in field(60), hours in field(24), place in 0..ZONES.len(), which in any::<prop::sample::Index>(),
    ) {
        let tz = zone(ZONES[place]);
        let all = changes(tz, date(2025, 1, 1), date(2030, 1, 1));
        let day = if all.is_empty() { date(2026, 3, 1) } else { all[which.index(all.len())] };
        let rhythm = hours.0.contains('*');
        let holds = |local: NaiveDateTime| hours.1.contains(&local.hour()) && minutes.1.contains(&local.minute());
        let expected = minute_by_minute(utc(day), tz, rhythm, &holds);

        let schedule = Schedule::parse(&format!("{} {} * * *", minutes.0, hours.0)).unwrap();
        let (from, to) = (utc(day) - TimeDelta::minutes(2161), utc(day) + TimeDelta::minutes(2160));
        let mut found = Vec::new();
        let mut at = from;
        while let Some(next) = schedule.next_after(at, tz).filter(|next| *next <= to) {
            prop_assert!(next > at);
            found.push(next);
            at = next;
        }
        prop_assert_eq!(&found, &expected);
        for at in (0..140).map(|half_hours| from + TimeDelta::seconds(half_hours * 1800 + 40)) {
            let next = schedule.next_after(at, tz).filter(|next| *next <= to);
            prop_assert_eq!(next, expected.iter().copied().find(|slot| *slot > at));
        }
        prop_assert_eq!(schedule.last_in(from, to, tz), expected.last().copied());
    }

    #[test]
    fn between_two_slots_the_next_one_is_the_same_from_everywhere(
        minutes in field(60), hours in field(24), weekday in prop_oneof![Just("*"), Just("SUN"), Just("MON-FRI")],
        second in 0..60u32, place in 0..ZONES.len(), start in 0..157_000_000i64,
        places in prop::collection::vec(0.0..1.0f64, 8),
    ) {
        let tz = zone(ZONES[place]);
        let text = format!("{second} {} {} * * {weekday}", minutes.0, hours.0);
        let schedule = Schedule::parse(&text).unwrap();
        let mut at = utc(date(2025, 1, 1)) + TimeDelta::seconds(start);
        for place in places {
            let next = schedule.next_after(at, tz).unwrap();
            prop_assert!(next > at);
            let between = at + TimeDelta::milliseconds(((next - at).num_milliseconds() as f64 * place) as i64);
            prop_assert_eq!(schedule.next_after(between, tz), Some(next));
            prop_assert_eq!(schedule.next_after(next - TimeDelta::nanoseconds(1), tz), Some(next));
            prop_assert_eq!(schedule.last_in(between, next, tz), Some(next));
            prop_assert_eq!(schedule.last_in(between, next - TimeDelta::nanoseconds(1), tz), None);
            at = next;
        }
    }

    #[test]
    fn the_last_of_many_slots_is_the_end_of_their_chain(
        place in 0..ZONES.len(), start in 0..157_000_000i64, length in 1..400_000i64,
    ) {
        let tz = zone(ZONES[place]);
        let schedule = Schedule::parse("*/7 1-3 * * *").unwrap();
        let after = utc(date(2025, 1, 1)) + TimeDelta::seconds(start);
        let until = after + TimeDelta::seconds(length);
        let mut last = None;
        while let Some(next) = schedule.next_after(last.unwrap_or(after), tz).filter(|next| *next <= until) {
            last = Some(next);
        }
        prop_assert_eq!(schedule.last_in(after, until, tz), last);
    }
}
