//! What came due while the caller was at work, and what was promised on a clock that was ahead.

use super::tests::{at, due, kept, schedule, table, wait};
use super::*;

/// Without catching up, awake since noon of 30 May.
fn strict(schedule: &Schedule) -> Timetable<'_> {
    Timetable {
        catch_up: false,
        awake_since: Some(at("2026-05-30 12:00")),
        ..table(schedule)
    }
}

#[test]
fn a_slot_that_something_else_kept_waiting_is_not_missed() {
    let daily = schedule("0 2 * * *");
    let table = strict(&daily);
    let mut ledger = kept(table, "2026-05-30 02:00");
    assert_eq!(
        table.step(&mut ledger, at("2026-05-31 08:00")),
        due("2026-05-31 02:00", 360, 0)
    );
    // One from before is.
    let mut ledger = kept(table, "2026-05-29 02:00");
    assert_eq!(
        table.step(&mut ledger, at("2026-05-30 12:00")),
        Step::Missed {
            slot: at("2026-05-30 02:00"),
            count: 1
        }
    );
}

#[test]
fn a_backup_beside_the_schedule_does_for_what_came_due_meanwhile() {
    let daily = schedule("0 2 * * *");
    let table = strict(&daily);
    let mut ledger = kept(table, "2026-05-30 02:00");
    let (began_at, slot) = (at("2026-05-31 01:50"), at("2026-05-31 02:00"));
    assert_eq!(
        table.stand_in(&mut ledger, began_at, at("2026-05-31 02:20")),
        1
    );
    assert_eq!(
        table.step(&mut ledger, at("2026-05-31 02:20")),
        wait("2026-06-01 02:00")
    );
    // Its archive is older than the slot, and yet what was promised.
    assert_eq!(ledger.does_from(slot), began_at);
    assert_eq!(
        ledger.does_from(at("2026-06-01 02:00")),
        at("2026-06-01 02:00")
    );
    // One that ends before the slot does not.
    let ended = at("2026-06-01 01:59");
    assert_eq!(
        table.stand_in(&mut ledger, at("2026-06-01 01:50"), ended),
        0
    );
    assert_eq!(
        table.step(&mut ledger, at("2026-06-01 02:00")),
        due("2026-06-01 02:00", 0, 0)
    );
}

#[test]
fn a_promise_made_on_a_clock_that_was_ahead_counts_from_now() {
    let hourly = schedule("0 * * * *");
    let table = table(&hourly);
    let (ahead, now) = (at("2030-03-31 12:00"), at("2026-05-31 12:30"));
    let stored = table.open(None, None, ahead).ledger;
    assert_eq!(stored.since, ahead);
    assert_eq!(stored.goes_on_from(now), now);
    let opened = table.open(Some(stored.clone()), None, now).ledger;
    assert_eq!(opened.since, now);
    // Also under a program that goes on.
    let mut ledger = stored.clone();
    table.jumped(&mut ledger, now);
    assert_eq!(ledger.since, now);
    // A clock that has not been set yet says nothing.
    let mut ledger = stored;
    table.step(&mut ledger, at("1970-01-01 00:01"));
    assert_eq!(ledger.since, ahead);
}

#[test]
fn what_an_earlier_version_kept_is_read() {
    let json = r#"{"schedule":"0 2 * * *","time_zone":"UTC","since":"2026-01-01T00:00:00Z","handled":"2026-05-30T02:00:00Z"}"#;
    let ledger: Ledger = serde_json::from_str(json).unwrap();
    assert_eq!(
        ledger.does_from(at("2026-05-30 02:00")),
        at("2026-05-30 02:00")
    );
}
