//! The rules, one by one.

use super::*;
use crate::testing::zone;
use std::time::{Duration, Instant};

pub(super) fn at(text: &str) -> DateTime<Utc> {
    // `2026-05-31 02:00` is enough in a test.
    format!("{}:00Z", text.replace(' ', "T")).parse().unwrap()
}

pub(super) fn schedule(text: &str) -> Schedule {
    Schedule::parse(text).unwrap()
}

pub(super) fn table(schedule: &Schedule) -> Timetable<'_> {
    Timetable {
        schedule,
        time_zone: Tz::UTC,
        catch_up: true,
        awake_since: None,
    }
}

/// A ledger of `table`, kept since January, with everything done up to `handled`.
pub(super) fn kept(table: Timetable<'_>, handled: &str) -> Ledger {
    let mut ledger = table.open(None, None, at("2026-01-01 00:00")).ledger;
    ledger.handled = at(handled);
    ledger
}

pub(super) fn wait(next: &str) -> Step {
    Step::Wait {
        next: Some(at(next)),
    }
}

pub(super) fn due(slot: &str, late_minutes: i64, collapsed: u32) -> Step {
    Step::Due {
        slot: at(slot),
        late: TimeDelta::minutes(late_minutes),
        collapsed,
    }
}

pub(super) fn run(table: Timetable<'_>, ledger: &mut Ledger, slot: &str, end: &str) -> u32 {
    table.begin(ledger, at(slot), at(slot));
    table.finish(ledger, at(slot), at(end))
}

#[test]
fn a_slot_is_due_from_its_instant_until_its_run_ends() {
    let daily = schedule("0 2 * * *");
    let table = table(&daily);
    let mut ledger = kept(table, "2026-05-30 02:00");
    assert_eq!(
        table.step(&mut ledger, at("2026-05-31 01:59")),
        wait("2026-05-31 02:00")
    );
    assert_eq!(
        table.step(&mut ledger, at("2026-05-31 02:00")),
        due("2026-05-31 02:00", 0, 0)
    );
    table.begin(&mut ledger, at("2026-05-31 02:00"), at("2026-05-31 02:00"));
    assert_eq!(
        table.step(&mut ledger, at("2026-05-31 02:30")),
        due("2026-05-31 02:00", 30, 0)
    );
    assert_eq!(
        table.finish(&mut ledger, at("2026-05-31 02:00"), at("2026-05-31 02:40")),
        0
    );
    assert_eq!(
        table.step(&mut ledger, at("2026-05-31 02:40")),
        wait("2026-06-01 02:00")
    );
    assert_eq!(ledger.begun, None);
}

#[test]
fn slots_of_an_outage_are_made_up_for_by_the_last() {
    let daily = schedule("0 2 * * *");
    let table = table(&daily);
    let mut ledger = kept(table, "2026-05-28 02:00");
    assert_eq!(
        table.step(&mut ledger, at("2026-05-31 03:00")),
        due("2026-05-31 02:00", 60, 2)
    );
}

#[test]
fn without_catching_up_they_are_reported_once() {
    let daily = schedule("0 2 * * *");
    let table = Timetable {
        catch_up: false,
        ..table(&daily)
    };
    let mut ledger = kept(table, "2026-05-28 02:00");
    assert_eq!(
        table.step(&mut ledger, at("2026-05-31 02:05")),
        due("2026-05-31 02:00", 5, 2)
    );
    assert_eq!(
        table.step(&mut ledger, at("2026-05-31 02:06")),
        Step::Missed {
            slot: at("2026-05-31 02:00"),
            count: 3
        }
    );
    assert_eq!(
        table.step(&mut ledger, at("2026-05-31 02:06")),
        wait("2026-06-01 02:00")
    );
}

#[test]
fn a_decade_off_is_seen_through_at_once() {
    let minutes = schedule("* * * * *");
    let table = Timetable {
        catch_up: false,
        ..table(&minutes)
    };
    let mut ledger = kept(table, "2026-05-28 02:00");
    let start = Instant::now();
    let step = table.step(&mut ledger, at("2036-05-28 02:20") - TimeDelta::seconds(1));
    assert_eq!(
        step,
        Step::Due {
            slot: at("2036-05-28 02:19"),
            late: TimeDelta::seconds(59),
            collapsed: MOST_COUNTED - 1
        }
    );
    assert_eq!(
        table.finish(&mut ledger, at("2026-05-28 02:01"), at("2036-05-28 02:20")),
        MOST_COUNTED
    );
    assert!(
        start.elapsed() < Duration::from_millis(500),
        "{:?}",
        start.elapsed()
    );
}

#[test]
fn what_comes_due_during_a_run_is_skipped_and_counted() {
    let hourly = schedule("@hourly");
    let table = table(&hourly);
    let mut ledger = kept(table, "2026-05-31 01:00");
    assert_eq!(
        run(table, &mut ledger, "2026-05-31 02:00", "2026-05-31 04:10"),
        2
    );
    assert_eq!(
        table.step(&mut ledger, at("2026-05-31 04:10")),
        wait("2026-05-31 05:00")
    );
}

#[test]
fn a_run_that_was_cut_off_is_due_again() {
    let daily = schedule("0 2 * * *");
    let table = table(&daily);
    let mut ledger = kept(table, "2026-05-30 02:00");
    table.begin(&mut ledger, at("2026-05-31 02:00"), at("2026-05-31 02:00"));
    let begun = ledger.begun.clone();
    let newest = Some(at("2026-05-31 01:59"));
    let mut opened = table.open(Some(ledger), newest, at("2026-05-31 02:30"));
    assert_eq!(
        (opened.interrupted, opened.gave_up, opened.changed),
        (begun, false, false)
    );
    assert_eq!(
        table.step(&mut opened.ledger, at("2026-05-31 02:30")),
        due("2026-05-31 02:00", 30, 0)
    );

    let strict = Timetable {
        catch_up: false,
        ..table
    };
    let missed = Step::Missed {
        slot: at("2026-05-31 02:00"),
        count: 1,
    };
    assert_eq!(
        strict.step(&mut opened.ledger, at("2026-05-31 02:30")),
        missed
    );
    assert_eq!(opened.ledger.begun, None);
}

#[test]
fn an_archive_shows_that_only_the_note_of_the_end_was_lost() {
    let daily = schedule("0 2 * * *");
    let table = table(&daily);
    let mut ledger = kept(table, "2026-05-30 02:00");
    // Archives have their name in whole seconds.
    table.begin(
        &mut ledger,
        at("2026-05-31 02:00"),
        at("2026-05-31 02:00") + TimeDelta::milliseconds(700),
    );
    let mut opened = table.open(
        Some(ledger),
        Some(at("2026-05-31 02:00")),
        at("2026-05-31 02:30"),
    );
    assert_eq!(opened.interrupted, None);
    assert_eq!(
        table.step(&mut opened.ledger, at("2026-05-31 02:30")),
        wait("2026-06-01 02:00")
    );
}

#[test]
fn an_archive_from_the_future_shows_nothing() {
    let daily = schedule("0 2 * * *");
    let table = table(&daily);
    let mut ledger = kept(table, "2026-05-30 02:00");
    table.begin(&mut ledger, at("2026-05-31 02:00"), at("2026-05-31 02:00"));
    let opened = table.open(
        Some(ledger),
        Some(at("2035-01-01 00:00")),
        at("2026-05-31 02:30"),
    );
    assert!(opened.interrupted.is_some());
}

#[test]
fn a_run_that_was_cut_off_three_times_is_given_up_and_the_next_is_not() {
    let daily = schedule("0 2 * * *");
    let table = table(&daily);
    let mut ledger = kept(table, "2026-05-30 02:00");
    let slot = at("2026-05-31 02:00");
    for minute in [0, 10, 20] {
        let now = slot + TimeDelta::minutes(minute);
        let opened = table.open(Some(ledger), None, now);
        assert!(!opened.gave_up);
        ledger = opened.ledger;
        assert_eq!(
            table.step(&mut ledger, now),
            due("2026-05-31 02:00", minute, 0)
        );
        table.begin(&mut ledger, slot, now);
    }
    let mut opened = table.open(Some(ledger), None, at("2026-05-31 02:30"));
    assert!(opened.gave_up);
    assert_eq!(opened.interrupted.map(|begun| begun.times), Some(3));
    assert_eq!(
        table.step(&mut opened.ledger, at("2026-05-31 02:30")),
        wait("2026-06-01 02:00")
    );
    table.begin(
        &mut opened.ledger,
        at("2026-06-01 02:00"),
        at("2026-06-01 02:00"),
    );
    assert_eq!(opened.ledger.begun.map(|begun| begun.times), Some(1));
}

#[test]
fn without_a_ledger_the_archives_tell_what_was_done() {
    let daily = schedule("0 2 * * *");
    let table = table(&daily);
    let now = at("2026-05-31 12:00");
    for (newest, step) in [
        (None, wait("2026-06-01 02:00")),
        (Some("2026-05-31 02:00"), wait("2026-06-01 02:00")),
        (Some("2026-05-29 02:01"), due("2026-05-31 02:00", 600, 1)),
        (Some("2026-08-01 00:00"), wait("2026-06-01 02:00")),
    ] {
        let mut opened = table.open(None, newest.map(at), now);
        assert_eq!((opened.ledger.since, opened.changed), (now, false));
        assert_eq!(table.step(&mut opened.ledger, now), step, "{newest:?}");
    }
}

#[test]
fn a_changed_schedule_owes_what_the_former_one_missed_and_no_more() {
    let daily = schedule("0 2 * * *");
    let weekly = schedule("0 2 * * SUN");
    let now = at("2026-05-30 12:00");
    for (handled, first) in [
        ("2026-05-30 02:00", wait("2026-05-31 02:00")),
        ("2026-05-28 02:00", due("2026-05-30 02:00", 600, 0)),
    ] {
        let mut opened = table(&weekly).open(Some(kept(table(&daily), handled)), None, now);
        assert!(opened.changed);
        assert_eq!(
            (opened.ledger.since, opened.ledger.schedule.as_str()),
            (now, "0 2 * * SUN")
        );
        assert_eq!(table(&weekly).step(&mut opened.ledger, now), first);
        if let Step::Due { slot, .. } = first {
            let strict = Timetable {
                catch_up: false,
                ..table(&weekly)
            };
            let missed = Step::Missed { slot, count: 1 };
            assert_eq!(strict.step(&mut opened.ledger.clone(), now), missed);
            // With a slot of its own due, that one's run does for both.
            let later = table(&weekly).step(&mut opened.ledger.clone(), at("2026-05-31 03:00"));
            assert_eq!(later, due("2026-05-31 02:00", 60, 1));
            table(&weekly).begin(&mut opened.ledger, slot, now);
            table(&weekly).finish(&mut opened.ledger, slot, now);
        }
        assert_eq!(
            table(&weekly).step(&mut opened.ledger, now),
            wait("2026-05-31 02:00")
        );
    }
}

#[test]
fn a_run_cut_off_before_the_schedule_changed_is_owed_even_if_the_former_text_is_unreadable() {
    let daily = schedule("0 2 * * *");
    let weekly = schedule("0 2 * * SUN");
    let mut ledger = kept(table(&daily), "2026-05-29 02:00");
    ledger.schedule = "whenever".to_owned();
    table(&daily).begin(&mut ledger, at("2026-05-30 02:00"), at("2026-05-30 02:00"));
    let mut opened = table(&weekly).open(Some(ledger), None, at("2026-05-30 03:00"));
    assert_eq!(
        table(&weekly).step(&mut opened.ledger, at("2026-05-30 03:00")),
        due("2026-05-30 02:00", 60, 0)
    );
    table(&weekly).begin(
        &mut opened.ledger,
        at("2026-05-30 02:00"),
        at("2026-05-30 03:00"),
    );
    assert_eq!(opened.ledger.begun.map(|begun| begun.times), Some(2));
}

#[test]
fn the_same_date_and_time_in_another_zone_is_the_same_slot() {
    let daily = schedule("0 2 * * *");
    let madrid = Timetable {
        time_zone: zone("Europe/Madrid"),
        ..table(&daily)
    };
    let new_york = Timetable {
        time_zone: zone("America/New_York"),
        ..table(&daily)
    };
    let los_angeles = Timetable {
        time_zone: zone("America/Los_Angeles"),
        ..table(&daily)
    };
    let now = at("2026-05-31 00:30");
    // 02:00 in Madrid is 00:00 in UTC, in New York 06:00, in Los Angeles 09:00.
    let mut opened = new_york.open(Some(kept(madrid, "2026-05-31 00:00")), None, now);
    assert_eq!(
        new_york.step(&mut opened.ledger, now),
        wait("2026-06-01 06:00")
    );
    assert_eq!(
        new_york.step(&mut opened.ledger.clone(), at("2026-05-31 06:00")),
        wait("2026-06-01 06:00")
    );
    assert_eq!(
        new_york.step(&mut opened.ledger.clone(), at("2026-06-01 06:00")),
        due("2026-06-01 06:00", 0, 0)
    );

    let mut again = los_angeles.open(Some(opened.ledger), None, at("2026-05-31 00:40"));
    assert_eq!(
        los_angeles.step(&mut again.ledger, at("2026-05-31 09:00")),
        wait("2026-06-01 09:00")
    );

    // Missed in Madrid: made up for now, and so not in New York either.
    let mut missed = new_york.open(Some(kept(madrid, "2026-05-30 00:00")), None, now);
    assert_eq!(
        new_york.step(&mut missed.ledger, now),
        due("2026-05-31 00:00", 30, 0)
    );
    assert_eq!(
        run(
            new_york,
            &mut missed.ledger,
            "2026-05-31 00:00",
            "2026-05-31 01:00"
        ),
        0
    );
    assert_eq!(
        new_york.step(&mut missed.ledger, at("2026-05-31 06:00")),
        wait("2026-06-01 06:00")
    );

    // Before there was a promise nothing was done.
    let fresh = madrid.open(None, None, at("2026-05-31 00:20")).ledger;
    let mut opened = new_york.open(Some(fresh), None, now);
    assert_eq!(
        new_york.step(&mut opened.ledger, now),
        wait("2026-05-31 06:00")
    );

    // Another date.
    let mut opened = madrid.open(
        Some(kept(new_york, "2026-05-30 06:00")),
        None,
        at("2026-05-30 23:00"),
    );
    assert_eq!(
        madrid.step(&mut opened.ledger, at("2026-05-30 23:00")),
        wait("2026-05-31 00:00")
    );
}

#[test]
fn a_ledger_of_another_version_is_read() {
    let json = r#"{"schedule":"0 2 * * *","time_zone":"UTC","since":"2026-01-01T00:00:00Z",
        "handled":"2026-05-31T02:00:00Z","begun":{"slot":"2026-06-01T02:00:00Z","at":"2026-06-01T02:00:00Z","times":1,
        "colour":"red"},"mood":"good"}"#;
    let ledger: Ledger = serde_json::from_str(json).unwrap();
    assert_eq!(
        (ledger.begun.as_ref().unwrap().times, ledger.behind_from),
        (1, None)
    );
    assert_eq!(
        serde_json::from_str::<Ledger>(&serde_json::to_string(&ledger).unwrap()).unwrap(),
        ledger
    );
}

#[test]
fn a_ledger_with_times_beyond_reason_does_no_harm() {
    let daily = schedule("0 2 * * *");
    let table = table(&daily);
    let now = at("2026-05-31 03:00");
    for extreme in [DateTime::<Utc>::MIN_UTC, DateTime::<Utc>::MAX_UTC] {
        let mut ledger = kept(table, "2026-05-30 02:00");
        ledger.handled = extreme;
        ledger.already = Some(extreme);
        ledger.begun = Some(StartedRun {
            slot: extreme,
            at: extreme,
            times: u32::MAX,
        });
        let mut opened = table.open(Some(ledger.clone()), Some(extreme), now);
        table.step(&mut opened.ledger, now);
        ledger.time_zone = "Asia/Kolkata".to_owned();
        let mut opened = table.open(Some(ledger), None, now);
        table.begin(&mut opened.ledger, now, now);
        table.finish(&mut opened.ledger, now, now);
        assert!(matches!(
            table.step(&mut opened.ledger, now),
            Step::Wait { .. }
        ));
    }
}
