//! Examples checked by hand, three years day by day, and the promises for any folder at any time.

mod properties;

use super::*;
use crate::testing::zone;
use chrono::TimeZone as _;

fn at(text: &str) -> DateTime<Utc> {
    let text = if text.len() == 10 {
        format!("{text}T02:00:00Z")
    } else {
        format!("{text}Z")
    };
    text.parse().unwrap()
}

/// Verified, made at this time and named after it.
fn archive(text: &str) -> Archive {
    Archive {
        name: text.to_owned(),
        made_at: Some(at(text)),
        verified: true,
        bytes: 1,
    }
}

fn archives(texts: &[&str]) -> Vec<Archive> {
    texts.iter().map(|text| archive(text)).collect()
}

/// The newest one and nothing else, to be widened.
const BARE: RetentionPolicy = RetentionPolicy {
    days: 0,
    min_keep: 1,
    daily: 0,
    weekly: 0,
    monthly: 0,
    yearly: 0,
};

fn gone(plan: &Plan) -> Vec<&str> {
    plan.go
        .iter()
        .map(|archive| archive.name.as_str())
        .collect()
}

fn kept(plan: &Plan) -> Vec<&str> {
    plan.keep
        .iter()
        .map(|kept| kept.archive.name.as_str())
        .collect()
}

/// The names of those that a rule holds.
fn held(plan: &Plan, reason: Reason) -> Vec<&str> {
    plan.keep
        .iter()
        .filter(|kept| kept.reasons.contains(&reason))
        .map(|kept| kept.archive.name.as_str())
        .collect()
}

#[test]
fn an_archive_goes_when_it_is_older_than_the_days_to_the_second() {
    let all = archives(&["2025-03-01", "2025-03-30"]);
    let policy = RetentionPolicy { days: 30, ..BARE };
    let last = plan(&all, &policy, Tz::UTC, at("2025-03-31"));
    assert_eq!(last.keep[0].goes_at, Some(at("2025-03-31")));
    assert_eq!(last.keep[0].reasons, [Reason::Young]);
    // The newest stays for another reason too, so no date can be given.
    assert_eq!(last.keep[1].reasons, [Reason::Young, Reason::Minimum]);
    assert_eq!(last.keep[1].goes_at, None);
    assert_eq!(
        gone(&plan(&all, &policy, Tz::UTC, at("2025-03-31T02:00:01"))),
        ["2025-03-01"]
    );
}

#[test]
fn what_is_not_verified_or_has_no_manifest_stays_and_counts_for_nothing() {
    let mut all = archives(&["2025-01-01", "2025-01-02", "2025-01-03", "2025-01-04"]);
    all[3].verified = false;
    all[2].made_at = None;
    all[1].verified = false;
    all[1].made_at = None;
    let plan = plan(&all, &BARE, Tz::UTC, at("2025-03-01"));
    let reasons: Vec<&[Reason]> = plan
        .keep
        .iter()
        .map(|kept| kept.reasons.as_slice())
        .collect();
    let neither: &[Reason] = &[Reason::NotVerified, Reason::NoManifest];
    assert_eq!(
        reasons,
        [
            &[Reason::Minimum],
            neither,
            &[Reason::NoManifest],
            &[Reason::NotVerified]
        ]
    );
}

#[test]
fn of_two_made_at_once_the_later_name_is_the_newer() {
    let mut all = archives(&["2025-01-01", "2025-01-01", "2025-01-01"]);
    for (archive, name) in all.iter_mut().zip(["b", "c", "a"]) {
        archive.name = name.to_owned();
    }
    let plan = plan(
        &all,
        &RetentionPolicy { daily: 1, ..BARE },
        Tz::UTC,
        at("2025-03-01"),
    );
    assert_eq!((kept(&plan), gone(&plan)), (vec!["c"], vec!["b", "a"]));
    assert_eq!(plan.keep[0].reasons, [Reason::Minimum, Reason::Daily]);
}

#[test]
fn an_iso_week_belongs_to_its_own_year() {
    // 2020 has a week 53, from Monday 2020-12-28 to Sunday 2021-01-03; Monday 2024-12-30 begins week 1 of 2025. Week 1
    // of 2024 is one of its own: a week's number without its year would confuse them.
    let all = archives(&[
        "2020-12-31",
        "2021-01-03",
        "2021-01-04",
        "2024-01-02",
        "2024-12-29",
        "2024-12-30",
        "2025-01-05",
    ]);
    let policy = RetentionPolicy { weekly: 9, ..BARE };
    let plan = plan(&all, &policy, Tz::UTC, at("2025-01-06"));
    assert_eq!(
        held(&plan, Reason::Weekly),
        [
            "2021-01-03",
            "2021-01-04",
            "2024-01-02",
            "2024-12-29",
            "2025-01-05"
        ]
    );
}

#[test]
fn days_without_an_archive_use_up_no_place() {
    let all = archives(&[
        "2025-01-01",
        "2025-02-01",
        "2025-03-01",
        "2025-03-01T03:00:00",
        "2025-03-20",
    ]);
    let plan = plan(
        &all,
        &RetentionPolicy { daily: 3, ..BARE },
        Tz::UTC,
        at("2025-03-21"),
    );
    assert_eq!(
        held(&plan, Reason::Daily),
        ["2025-02-01", "2025-03-01T03:00:00", "2025-03-20"]
    );
}

#[test]
fn days_are_those_of_the_time_zone() {
    // 10:30 UTC is 00:30 of the next day at +14, and 23:30 of the day before at -11.
    let all = archives(&[
        "2024-12-31T09:30:00",
        "2024-12-31T10:30:00",
        "2024-12-31T11:30:00",
        "2025-01-01T09:30:00",
    ]);
    let policy = RetentionPolicy {
        daily: 9,
        weekly: 9,
        monthly: 9,
        yearly: 9,
        ..BARE
    };
    for (tz, daily, yearly) in [
        (
            zone("Pacific/Kiritimati"),
            [all[0].name.as_str(), &all[3].name],
            [all[0].name.as_str(), &all[3].name].as_slice(),
        ),
        (
            zone("Pacific/Pago_Pago"),
            [&all[1].name, &all[3].name],
            &[&all[3].name],
        ),
        (
            Tz::UTC,
            [&all[2].name, &all[3].name],
            &[&all[2].name, &all[3].name],
        ),
    ] {
        let plan = plan(&all, &policy, tz, at("2025-01-02"));
        assert_eq!(held(&plan, Reason::Daily), daily, "{tz}");
        assert_eq!(held(&plan, Reason::Yearly), yearly, "{tz}");
    }
}

#[test]
fn days_of_23_and_25_hours_are_days() {
    let madrid = |text: &str, first: bool| {
        let local = zone("Europe/Madrid").from_local_datetime(&text.parse().unwrap());
        let utc = if first {
            local.earliest()
        } else {
            local.latest()
        }
        .unwrap()
        .with_timezone(&Utc);
        Archive {
            name: format!("{text} {first}"),
            made_at: Some(utc),
            verified: true,
            bytes: 1,
        }
    };
    let all = [
        madrid("2025-03-29T23:59:59", true),
        madrid("2025-03-30T00:00:00", true),
        madrid("2025-03-30T23:59:59", true),
        madrid("2025-10-26T00:00:00", true),
        madrid("2025-10-26T02:30:00", true),
        madrid("2025-10-26T02:30:00", false),
        madrid("2025-10-27T00:00:00", true),
    ];
    let plan = plan(
        &all,
        &RetentionPolicy { daily: 9, ..BARE },
        zone("Europe/Madrid"),
        at("2025-10-28"),
    );
    let stay = [0, 2, 5, 6].map(|index| all[index].name.as_str());
    assert_eq!(held(&plan, Reason::Daily), stay);
}

#[test]
fn a_day_in_two_pieces_is_one_day() {
    // St John's set its clocks back at 00:01 on 7 November 2010, to 23:01 on the 6th: 02:30:30 UTC was the 7th, 03:00
    // UTC the 6th again, and 04:00 UTC the 7th.
    let all = archives(&[
        "2010-11-05",
        "2010-11-07T02:30:30",
        "2010-11-07T03:00:00",
        "2010-11-07T04:00:00",
    ]);
    let plan = plan(
        &all,
        &RetentionPolicy { daily: 3, ..BARE },
        zone("America/St_Johns"),
        at("2010-11-08"),
    );
    assert_eq!(
        held(&plan, Reason::Daily),
        ["2010-11-05", "2010-11-07T03:00:00", "2010-11-07T04:00:00"]
    );
}

#[test]
fn three_years_of_days_thin_out_to_what_was_cancelled_for() {
    let policy = RetentionPolicy {
        days: 1,
        min_keep: 3,
        daily: 7,
        weekly: 4,
        monthly: 12,
        yearly: 2,
    };
    let mut all: Vec<Archive> = Vec::new();
    let mut day = at("2022-01-01");
    while day <= at("2024-12-31") {
        all.push(archive(&day.format("%Y-%m-%d").to_string()));
        let plan = plan(&all, &policy, Tz::UTC, day + TimeDelta::minutes(5));
        assert_eq!(plan.halt, None, "{day}");
        all = plan.keep.into_iter().map(|kept| kept.archive).collect();
        // At least 7 days, 3 Sundays before them (the fourth is among the days), 11 ends of months before, of which one
        // may be one of those Sundays or days, and the end of the year before, which the months hold until it is over.
        if day >= at("2023-02-01") {
            assert!(
                (19..=7 + 4 + 12 + 2).contains(&all.len()),
                "{day}: {}",
                all.len()
            );
        }
        day += TimeDelta::days(1);
    }
    let left: Vec<&str> = all.iter().map(|archive| archive.name.as_str()).collect();
    // By hand: 31 December 2024 is a Tuesday, in week 1 of 2025. 7 days: the 25th to the 31st. 4 weeks: their newest
    // are the 31st, and the Sundays 29, 22 and 15. 12 months: the last days of January to December. 2 years: the last
    // days.
    let expected = [
        "2023-12-31",
        "2024-01-31",
        "2024-02-29",
        "2024-03-31",
        "2024-04-30",
        "2024-05-31",
        "2024-06-30",
        "2024-07-31",
        "2024-08-31",
        "2024-09-30",
        "2024-10-31",
        "2024-11-30",
        "2024-12-15",
        "2024-12-22",
        "2024-12-25",
        "2024-12-26",
        "2024-12-27",
        "2024-12-28",
        "2024-12-29",
        "2024-12-30",
        "2024-12-31",
    ];
    assert_eq!(left, expected);
}

#[test]
fn nothing_goes_while_the_clock_is_behind() {
    let mut all = archives(&["2025-01-01", "2025-03-01", "2025-06-01"]);
    // One that is not verified knows the time as well.
    all[2].verified = false;
    assert_eq!(
        gone(&plan(&all, &BARE, Tz::UTC, at("2025-06-01"))),
        ["2025-01-01"]
    );
    let plan = plan(&all, &BARE, Tz::UTC, at("2025-06-01T01:59:59"));
    assert!(plan.go.is_empty());
    assert_eq!(held(&plan, Reason::Halted), ["2025-01-01"]);
    let policy = RetentionPolicy { days: 60, ..BARE };
    let young = super::plan(&all, &policy, Tz::UTC, at("2025-01-02"));
    assert_eq!(
        (&young.keep[0].reasons[..], young.keep[0].goes_at),
        (&[Reason::Young][..], None)
    );
    assert_eq!(
        plan.halt.map(|halt| halt.to_string()).as_deref(),
        Some(
            "the clock is behind: it shows 2025-06-01 01:59 UTC, but 2025-06-01 was made \
             at 2025-06-01 02:00 UTC"
        )
    );
}

#[test]
fn nothing_goes_after_a_leap_until_enough_archives_show_that_the_time_went_by() {
    let policy = RetentionPolicy {
        days: 30,
        min_keep: 2,
        ..BARE
    };
    let mut all = archives(&["2025-01-05", "2025-01-12", "2025-01-19", "2025-01-26"]);
    let halted = |all: &[Archive], now| {
        let plan = plan(all, &policy, Tz::UTC, at(now));
        assert_eq!(plan.halt.is_some(), plan.go.is_empty());
        plan.halt.map(|halt| halt.to_string())
    };
    // 180 days after 26 January, and a second more.
    assert_eq!(halted(&all, "2025-07-25"), None);
    let message = "the clock may be ahead: there is no verified archive between \
                   2025-01-26 (2025-01-26 02:00 UTC) and now (2025-07-25 02:00 UTC)";
    assert_eq!(
        halted(&all, "2025-07-25T02:00:01").as_deref(),
        Some(message)
    );
    for (made, now, halts) in [
        ("2031-03-02", "2031-03-02T02:10:00", true),
        ("2031-03-09", "2031-03-09T02:10:00", true),
        ("2031-03-16", "2031-03-16T02:10:00", false),
    ] {
        all.push(archive(made));
        let message = halted(&all, now);
        assert_eq!(message.is_some(), halts, "{made}");
        let ends =
            "between 2025-01-26 (2025-01-26 02:00 UTC) and 2031-03-02 (2031-03-02 02:00 UTC)";
        assert!(message.is_none_or(|message| message.contains(ends)));
    }
}

#[test]
fn more_to_keep_asks_for_more_archives_after_a_leap() {
    let all = archives(&[
        "2025-01-05",
        "2025-01-12",
        "2031-03-01",
        "2031-03-02",
        "2031-03-03",
        "2031-03-04",
    ]);
    let halts = |min_keep| {
        plan(
            &all,
            &RetentionPolicy { min_keep, ..BARE },
            Tz::UTC,
            at("2031-03-05"),
        )
        .halt
        .is_some()
    };
    assert_eq!([3, 4, 5, 6].map(halts), [false, false, true, true]);
}

#[test]
fn a_long_time_is_plausible_where_such_gaps_are_usual() {
    // 365, 366 and 365 days apart; 1000 days is less than three times that, 1100 is more.
    let all = archives(&["2022-06-01", "2023-06-01", "2024-06-01", "2025-06-01"]);
    let after = |days| {
        plan(
            &all,
            &BARE,
            Tz::UTC,
            at("2025-06-01") + TimeDelta::days(days),
        )
        .halt
        .is_some()
    };
    assert_eq!(
        [180, 1000, 1098, 1099].map(after),
        [false, false, false, true]
    );
}

#[test]
fn a_folder_without_archives_has_nothing_to_plan() {
    let plan = plan(&[], &BARE, Tz::UTC, at("2025-01-01"));
    assert_eq!(
        plan,
        Plan {
            keep: Vec::new(),
            go: Vec::new(),
            halt: None
        }
    );
}
