//! A clock that stands behind or was ahead: the rules, and machines that live through it.

use super::simulation_tests::{Dice, new_year};
use super::tests::{at, due, kept, run, schedule, table, wait};
use super::*;
use crate::testing::zone;
use std::collections::BTreeSet;

#[test]
fn without_a_ledger_and_with_the_clock_at_1970_nothing_is_repeated() {
    let daily = schedule("0 2 * * *");
    let table = table(&daily);
    let mut ledger = table
        .open(None, Some(at("2026-05-31 02:00")), at("1970-01-01 00:01"))
        .ledger;
    assert_eq!(
        table.step(&mut ledger, at("1970-01-01 00:02")),
        wait("1970-01-01 02:00")
    );
    table.jumped(&mut ledger, at("2026-05-31 03:00"));
    assert_eq!(
        table.step(&mut ledger, at("2026-05-31 03:00")),
        wait("2026-06-01 02:00")
    );
}

#[test]
fn a_clock_put_back_a_little_is_waited_for() {
    let quarters = schedule("*/15 * * * *");
    let table = table(&quarters);
    let mut ledger = kept(table, "2026-05-31 02:00");
    assert_eq!(
        table.step(&mut ledger, at("2026-05-31 01:00")),
        wait("2026-05-31 02:15")
    );
    assert_eq!(ledger.behind_from, None);
}

#[test]
fn a_boot_at_1970_repeats_nothing_once_the_clock_is_right() {
    let daily = schedule("0 2 * * *");
    let table = table(&daily);
    let ledger = kept(table, "2026-05-31 02:00");
    let mut ledger = table
        .open(Some(ledger), None, at("1970-01-01 00:01"))
        .ledger;
    assert_eq!(
        table.step(&mut ledger, at("1970-01-01 00:02")),
        wait("1970-01-01 02:00")
    );
    assert_eq!(
        (ledger.behind_from, ledger.handled),
        (Some(at("1970-01-01 00:01")), at("2026-05-31 02:00"))
    );
    assert_eq!(
        table.step(&mut ledger.clone(), at("2026-05-31 03:00")),
        wait("2026-06-01 02:00")
    );
    assert_eq!(
        table.step(&mut ledger.clone(), at("2026-06-01 03:00")),
        due("2026-06-01 02:00", 60, 0)
    );

    // Also when there was a run in 1970.
    assert_eq!(
        table.step(&mut ledger, at("1970-01-01 02:00")),
        due("1970-01-01 02:00", 0, 0)
    );
    assert_eq!(
        run(table, &mut ledger, "1970-01-01 02:00", "1970-01-01 02:10"),
        0
    );
    assert_eq!(
        (ledger.behind_from, ledger.handled),
        (None, at("1970-01-01 02:00"))
    );
    assert_eq!(
        table.step(&mut ledger.clone(), at("1970-01-01 03:00")),
        wait("1970-01-02 02:00")
    );
    assert_eq!(
        table.step(&mut ledger.clone(), at("2026-05-31 03:00")),
        wait("2026-06-01 02:00")
    );
    assert_eq!(
        table.step(&mut ledger, at("2026-06-01 03:00")),
        due("2026-06-01 02:00", 60, 0)
    );
}

#[test]
fn a_clock_set_right_during_a_run_counts_from_what_was_done() {
    let daily = schedule("0 2 * * *");
    let table = table(&daily);
    let mut ledger = kept(table, "2026-05-30 02:00");
    table.step(&mut ledger, at("1970-01-01 00:02"));
    assert_eq!(
        run(table, &mut ledger, "1970-01-01 02:00", "2026-05-31 02:10"),
        1
    );
    assert_eq!(
        (ledger.behind_from, ledger.ahead, ledger.handled),
        (None, None, at("2026-05-31 02:00"))
    );
}

#[test]
fn after_a_clock_that_was_years_ahead_runs_go_on() {
    let daily = schedule("0 2 * * *");
    let table = table(&daily);
    let mut ledger = kept(table, "2035-01-01 02:00");
    assert_eq!(
        table.step(&mut ledger, at("2026-05-31 01:00")),
        wait("2026-05-31 02:00")
    );
    assert_eq!(
        table.step(&mut ledger, at("2026-05-31 02:00")),
        due("2026-05-31 02:00", 0, 0)
    );
    assert_eq!(
        run(table, &mut ledger, "2026-05-31 02:00", "2026-05-31 02:10"),
        0
    );
    assert_eq!(
        table.step(&mut ledger, at("2026-06-02 03:00")),
        due("2026-06-02 02:00", 60, 1)
    );

    // Nine years later time comes there by itself, and the slot is one like any other.
    ledger.handled = at("2034-12-31 02:00");
    assert_eq!(ledger.ahead, Some(at("2035-01-01 02:00")));
    assert_eq!(
        table.step(&mut ledger, at("2035-01-01 02:00")),
        due("2035-01-01 02:00", 0, 0)
    );
    assert_eq!(ledger.ahead, None);
}

#[test]
fn a_leap_while_the_clock_is_behind_makes_nothing_due() {
    let daily = schedule("0 2 * * *");
    let table = table(&daily);
    let mut ledger = kept(table, "2026-05-31 02:00");
    table.step(&mut ledger, at("1970-01-01 00:02"));
    table.jumped(&mut ledger, at("1999-12-31 23:00"));
    assert_eq!(ledger.behind_from, Some(at("1999-12-31 23:00")));
    assert_eq!(
        table.step(&mut ledger, at("1999-12-31 23:00")),
        wait("2000-01-01 02:00")
    );
    assert_eq!(
        table.step(&mut ledger, at("1980-01-01 23:00")),
        wait("1980-01-02 02:00")
    );
    table.jumped(&mut ledger, at("2026-05-31 03:00"));
    assert_eq!(ledger.behind_from, None);
    table.jumped(&mut ledger, at("2026-05-31 01:30"));
    assert_eq!(ledger.behind_from, None);
    assert_eq!(
        table.step(&mut ledger, at("2026-05-31 01:30")),
        wait("2026-06-01 02:00")
    );
}

#[test]
fn a_leap_forward_leaves_one_run_due() {
    let daily = schedule("0 2 * * *");
    let table = table(&daily);
    let mut ledger = kept(table, "2026-05-31 02:00");
    table.jumped(&mut ledger, at("2026-06-04 03:00"));
    assert_eq!(
        table.step(&mut ledger, at("2026-06-04 03:00")),
        due("2026-06-04 02:00", 60, 3)
    );
}

/// A machine whose clock is set: what it shows is `shift` from the truth.
struct Clock<'s> {
    table: Timetable<'s>,
    truth: DateTime<Utc>,
    shift: TimeDelta,
    ledger: Ledger,
    /// When a run began, truly, and its slot.
    runs: Vec<(DateTime<Utc>, DateTime<Utc>)>,
    newest_archive: Option<DateTime<Utc>>,
}

impl Clock<'_> {
    fn shown(&self) -> DateTime<Utc> {
        self.truth + self.shift
    }

    fn live(&mut self, time: TimeDelta, tick: TimeDelta) {
        let end = self.truth + time;
        while self.truth < end {
            let shown = self.shown();
            match self.table.step(&mut self.ledger, shown) {
                Step::Wait { .. } => self.truth += tick,
                Step::Due { slot, .. } => {
                    self.table.begin(&mut self.ledger, slot, shown);
                    self.runs.push((self.truth, slot));
                    self.newest_archive = self.newest_archive.max(Some(shown));
                    self.truth += TimeDelta::minutes(2);
                    self.table
                        .finish(&mut self.ledger, slot, shown + TimeDelta::minutes(2));
                }
                Step::Missed { .. } => unreachable!("this table catches up"),
            }
        }
    }

    /// By a reboot, while running and seen, or while running and not seen.
    fn set(&mut self, shift: TimeDelta, how: i64) {
        self.shift = shift;
        let shown = self.shown();
        match how {
            0 => {
                let json = serde_json::to_string(&self.ledger).unwrap();
                let stored = serde_json::from_str(&json).unwrap();
                self.ledger = self
                    .table
                    .open(Some(stored), self.newest_archive, shown)
                    .ledger;
            }
            1 => self.table.jumped(&mut self.ledger, shown),
            _ => {}
        }
    }
}

#[test]
fn a_clock_that_was_wrong_and_is_right_again_starves_and_repeats_nothing() {
    let hour = TimeDelta::hours(1);
    let mut done_in_1970 = 0;
    for seed in 0..240 {
        let mut dice = Dice(seed);
        let (text, interval, tick) = [
            ("0 2 * * SUN", TimeDelta::days(7), hour),
            ("15 2 * * *", TimeDelta::days(1), TimeDelta::minutes(20)),
            ("@hourly", hour, TimeDelta::minutes(2)),
        ][dice.below(3) as usize];
        let tz = [Tz::UTC, zone("America/New_York")][dice.below(2) as usize];
        let schedule = Schedule::parse(text).unwrap();
        let table = Timetable {
            schedule: &schedule,
            time_zone: tz,
            catch_up: true,
            awake_since: None,
        };
        let truth = new_year(2026) + dice.up_to(TimeDelta::days(360));
        let ledger = table.open(None, None, truth).ledger;
        let (runs, shift, newest_archive) = (Vec::new(), TimeDelta::zero(), None);
        let mut clock = Clock {
            table,
            truth,
            shift,
            ledger,
            runs,
            newest_archive,
        };
        clock.live(interval * 3 + dice.up_to(interval), tick);

        let wrong = match dice.one_in(2) {
            true => DateTime::UNIX_EPOCH - clock.truth,
            false => TimeDelta::days(365) + dice.up_to(TimeDelta::days(9 * 365)),
        };
        let before = clock.runs.len();
        let how = if wrong < TimeDelta::zero() {
            0
        } else {
            dice.below(3)
        };
        clock.set(wrong, how);
        clock.live(dice.up_to(interval * 3), tick);
        done_in_1970 += u32::from(wrong < TimeDelta::zero() && clock.runs.len() > before);

        let right_again = clock.truth;
        let how = dice.below(3);
        clock.set(TimeDelta::zero(), how);
        clock.live(interval * 6, tick);

        // An hour for what clocks change, as weeks and days are local.
        let longest = interval + tick + hour;
        let after: Vec<_> = clock
            .runs
            .iter()
            .map(|(truth, _)| *truth)
            .filter(|truth| *truth >= right_again)
            .collect();
        let mut last = right_again;
        for run in after.iter().copied().chain([clock.truth]) {
            assert!(
                run - last <= longest,
                "seed {seed}, {text}: nothing from {last} to {run}, off by {wrong}"
            );
            last = run;
        }
        assert!(
            (5..=7).contains(&after.len()),
            "seed {seed}, {text}: {} runs in six intervals",
            after.len()
        );
        let slots: BTreeSet<_> = clock.runs.iter().map(|(_, slot)| *slot).collect();
        assert_eq!(
            slots.len(),
            clock.runs.len(),
            "seed {seed}, {text}: a slot ran twice"
        );
    }
    assert!(done_in_1970 > 20, "{done_in_1970}");
}
