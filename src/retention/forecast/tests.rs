use super::*;
use proptest::prelude::*;

const MB: u64 = 1_000_000;
const BARE: RetentionPolicy = RetentionPolicy {
    days: 0,
    min_keep: 1,
    daily: 0,
    weekly: 0,
    monthly: 0,
    yearly: 0,
};
/// Nothing goes within a year.
const ALL: RetentionPolicy = RetentionPolicy { days: 366, ..BARE };

fn at(text: &str) -> DateTime<Utc> {
    format!("{text}Z").parse().unwrap()
}

/// From 02:00 on 10 January 2025 backwards, so many days apart; the last size is the newest archive's.
fn row(days_apart: i64, megabytes: &[u64]) -> Vec<Archive> {
    let last = at("2025-01-10T02:00:00");
    let ages = (0..megabytes.len() as i64)
        .rev()
        .map(|index| TimeDelta::days(index * days_apart));
    let made = ages.map(|age| last - age);
    let archive = |(made_at, megabytes): (DateTime<Utc>, &u64)| Archive {
        name: made_at.to_string(),
        made_at: Some(made_at),
        verified: true,
        bytes: megabytes * MB,
    };
    made.zip(megabytes).map(archive).collect()
}

/// When the disk is full, looking ten years ahead from noon on 10 January 2025.
fn full(
    archives: &[Archive],
    policy: &RetentionPolicy,
    schedule: &str,
    free_megabytes: u64,
) -> Option<DateTime<Utc>> {
    let schedule = Schedule::parse(schedule).unwrap();
    let now = at("2025-01-10T12:00:00");
    full_at(
        archives,
        policy,
        &schedule,
        Tz::UTC,
        free_megabytes * MB,
        now,
        TimeDelta::days(3650),
    )
}

const DAILY: &str = "0 2 * * *";

#[test]
fn the_next_archive_needs_what_the_last_did_and_the_growth_and_a_margin() {
    for (megabytes, needed) in [
        // The margin is 16 MB up to 160 MB, and 10 % from there.
        (&[100][..], 116 * MB),
        (&[1000], 1100 * MB),
        // One step tells no pace; of two, the lesser does.
        (&[100, 200], 220 * MB),
        (&[980, 990, 1000], 1111 * MB),
        (&[900, 910, 1000], 1111 * MB),
        // Brought in at once.
        (&[1, 1, 1, 1000, 1000], 1100 * MB),
        // What shrank may grow no further.
        (&[1000, 900, 800], 880 * MB),
        // At most by a quarter.
        (&[40, 240, 440], 605 * MB),
        // Only the newest ten count.
        (
            &[
                1, 100, 1000, 1000, 1000, 1000, 1000, 1000, 1000, 1000, 1000, 1000,
            ],
            1100 * MB,
        ),
    ] {
        assert_eq!(
            next_archive_bytes(&row(1, megabytes)),
            Some(needed),
            "{megabytes:?}"
        );
    }
}

#[test]
fn nothing_is_known_without_archives() {
    assert_eq!(next_archive_bytes(&[]), None);
    assert_eq!(full(&[], &ALL, DAILY, 0), None);
}

#[test]
fn an_archive_that_is_not_verified_tells_a_size_only_where_no_other_does() {
    let mut archives = row(1, &[300, 200, 50]);
    archives[2].verified = false;
    archives[0].made_at = None;
    assert_eq!(next_archive_bytes(&archives), Some(220 * MB));
    archives[1].verified = false;
    assert_eq!(next_archive_bytes(&archives), Some(330 * MB));
    assert_eq!(
        full(&archives, &ALL, DAILY, 599),
        Some(at("2025-01-12T02:00:00"))
    );
}

#[test]
fn a_disk_that_holds_one_archive_more_than_stay_never_fills() {
    let policy = RetentionPolicy {
        days: 30,
        min_keep: 3,
        ..BARE
    };
    let archives = row(7, &[100; 5]);
    assert_eq!(full(&archives, &policy, "0 2 * * FRI", 100), None);
    assert_eq!(
        full(&archives, &policy, "0 2 * * FRI", 99),
        Some(at("2025-01-17T02:00:00"))
    );
}

#[test]
fn growth_fills_the_disk_on_the_day_that_adds_up() {
    // 10 MB more each day: 110 + 120 + 130 + 140 + 150 = 650, and 160 on the 16th does not fit into 809 any more.
    let archives = row(1, &[10, 20, 30, 40, 50, 60, 70, 80, 90, 100]);
    assert_eq!(
        full(&archives, &ALL, DAILY, 809),
        Some(at("2025-01-16T02:00:00"))
    );
    assert_eq!(
        full(&archives, &ALL, DAILY, 810),
        Some(at("2025-01-17T02:00:00"))
    );
}

#[test]
fn what_goes_makes_room() {
    // Two stay of 80, 90 and 100. Free before each, of F: F for 110, then 80 and 90 go; F+60 for 120, 100 goes; F+40
    // for 130, 110 goes; F+20 for 140, 120 goes; F for 150 on the 15th, 130 goes; F-20 for 160 on the 16th.
    let archives = row(1, &[80, 90, 100]);
    let policy = RetentionPolicy { days: 2, ..BARE };
    assert_eq!(
        full(&archives, &policy, DAILY, 149),
        Some(at("2025-01-15T02:00:00"))
    );
    assert_eq!(
        full(&archives, &policy, DAILY, 150),
        Some(at("2025-01-16T02:00:00"))
    );
    assert_eq!(
        full(&archives, &policy, DAILY, 179),
        Some(at("2025-01-16T02:00:00"))
    );
    assert_eq!(
        full(&archives, &policy, DAILY, 180),
        Some(at("2025-01-17T02:00:00"))
    );
}

#[test]
fn the_growth_of_a_month_is_not_taken_for_that_of_a_day() {
    // 1 MB a day: 161 + 162 + 163 = 486. At 30 MB a day it would be 190 + 220, and full on the 13th.
    let archives = row(30, &[100, 130, 160]);
    assert_eq!(
        full(&archives, &ALL, DAILY, 500),
        Some(at("2025-01-14T02:00:00"))
    );
}

#[test]
fn nothing_goes_while_the_clock_is_behind() {
    let mut archives = row(1, &[100; 3]);
    assert_eq!(full(&archives, &BARE, DAILY, 100), None);
    archives[0].verified = false;
    archives[0].made_at = Some(at("2025-01-12T01:00:00"));
    assert_eq!(
        full(&archives, &BARE, DAILY, 100),
        Some(at("2025-01-12T02:00:00"))
    );
    assert_eq!(full(&archives, &BARE, DAILY, 200), None);
}

#[test]
fn an_archive_to_come_is_not_newer_than_one_of_a_clock_that_was_ahead() {
    let mut folder = Folder::new(&row(1, &[7]), Tz::UTC);
    folder.add(Dated::new(at("2025-01-08T02:00:00"), Tz::UTC), 5 * MB);
    assert_eq!(folder.prune(&BARE, at("2025-01-12T02:00:00")), 5 * MB);
    assert_eq!(folder.bytes, [7 * MB]);
}

#[test]
fn the_look_ahead_ends_at_the_horizon_and_after_500_archives() {
    let archives = row(1, &[1]);
    let ahead = |schedule: &str, free, days| {
        let schedule = Schedule::parse(schedule).unwrap();
        let now = at("2025-01-10T12:00:00");
        full_at(
            &archives,
            &ALL,
            &schedule,
            Tz::UTC,
            free * MB,
            now,
            TimeDelta::days(days),
        )
    };
    assert_eq!(ahead("0 12 * * *", 4, 5), Some(at("2025-01-15T12:00:00")));
    assert_eq!(ahead("0 12 * * *", 4, 4), None);
    assert_eq!(ahead("* * * * *", 499, 5), Some(at("2025-01-10T20:20:00")));
    assert_eq!(ahead("* * * * *", 500, 5), None);
}

#[test]
fn how_far_it_looks_is_known() {
    let now = at("2025-01-10T12:00:00");
    let end = now + TimeDelta::days(365);
    let until = |archives: &[Archive], schedule: &str| {
        let schedule = Schedule::parse(schedule).unwrap();
        looks_until(archives, &schedule, Tz::UTC, now, end)
    };
    let archives = row(1, &[1]);
    assert_eq!(until(&archives, DAILY), Some(end));
    assert_eq!(
        until(&archives, "0 * * * *"),
        Some(at("2025-01-31T08:00:00"))
    );
    assert_eq!(until(&[], DAILY), None);
}

fn any_folder() -> impl Strategy<Value = Vec<Archive>> {
    let archive = (
        prop::option::weighted(0.9, -300..30_i64),
        prop::bool::weighted(0.85),
        prop_oneof![0..9_u64, Just(u64::MAX)],
    );
    prop::collection::vec(archive, 1..12).prop_map(|all| {
        let now = at("2025-01-10T12:00:00");
        let named = all.into_iter().enumerate();
        named
            .map(|(index, (days, verified, bytes))| {
                let made_at = days.map(|days| now + TimeDelta::days(days));
                Archive {
                    name: index.to_string(),
                    made_at,
                    verified,
                    bytes,
                }
            })
            .collect()
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn more_room_never_fills_earlier(all in any_folder(), free in 0..200_u64, more in 0..200_u64, days in 0..40_u32) {
        let policy = RetentionPolicy { days, weekly: 3, ..BARE };
        let schedule = Schedule::parse(DAILY).unwrap();
        let now = at("2025-01-10T12:00:00");
        let full = |free| full_at(&all, &policy, &schedule, Tz::UTC, free, now, TimeDelta::days(60));
        match (full(free), full(free + more)) {
            (Some(earlier), Some(later)) => prop_assert!(earlier <= later),
            (None, later) => prop_assert_eq!(later, None),
            (Some(_), None) => {}
        }
    }
}
