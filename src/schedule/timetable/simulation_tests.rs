//! Years of a machine's life with an injected clock: every slot must be accounted for exactly once.

use super::*;
use crate::schedule::clock_change_tests::{Sets, oracle};
use crate::testing::zone;
use chrono::{Datelike as _, NaiveDate, Weekday};
use std::collections::BTreeSet;

/// SplitMix64: the same lives on every machine.
pub(super) struct Dice(pub u64);

impl Dice {
    pub(super) fn below(&mut self, limit: i64) -> i64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((mixed ^ (mixed >> 31)) % limit.unsigned_abs()) as i64
    }

    pub(super) fn one_in(&mut self, chances: i64) -> bool {
        self.below(chances) == 0
    }

    pub(super) fn up_to(&mut self, time: TimeDelta) -> TimeDelta {
        TimeDelta::seconds(self.below(time.num_seconds()))
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Fate {
    Ran,
    Failed,
    Covered,
    Skipped,
    Missed,
    GivenUp,
}

/// What really happened, next to which the ledger must hold.
struct World {
    dice: Dice,
    slots: Vec<DateTime<Utc>>,
    /// Of the first so many slots, in order: one that has a fate never gets another.
    fates: Vec<Fate>,
    newest_archive: Option<DateTime<Utc>>,
    /// The run that was cut off, and how often.
    cut_off: Option<(DateTime<Utc>, u32)>,
    disk: Ledger,
    now: DateTime<Utc>,
    interval: TimeDelta,
}

impl World {
    fn next(&self) -> DateTime<Utc> {
        self.slots[self.fates.len()]
    }

    /// The slots that are due and have no fate.
    fn open(&self) -> &[DateTime<Utc>] {
        let open = &self.slots[self.fates.len()..];
        &open[..open.partition_point(|slot| *slot <= self.now)]
    }

    /// Gives every slot up to `slot` a fate, the last one `fate`. Returns how many they were.
    fn decide(&mut self, slot: DateTime<Utc>, older: Fate, fate: Fate) -> u32 {
        let before = self.fates.len();
        while self.next() < slot {
            self.fates.push(older);
        }
        assert_eq!(self.next(), slot, "this slot has its fate, or is none");
        self.fates.push(fate);
        (self.fates.len() - before) as u32
    }

    fn save(&mut self, ledger: &Ledger) {
        self.disk.clone_from(ledger);
    }

    /// The power fails, and comes back after minutes or after some slots.
    fn outage(&mut self) {
        let most = if self.dice.one_in(2) {
            TimeDelta::minutes(20)
        } else {
            self.interval * 4
        };
        self.now += self.dice.up_to(most) + TimeDelta::seconds(1);
    }

    fn boot(&mut self, table: Timetable<'_>) -> Option<Ledger> {
        let json = serde_json::to_string(&self.disk).unwrap();
        let stored = serde_json::from_str(&json).unwrap();
        let opened = table.open(Some(stored), self.newest_archive, self.now);
        assert!(!opened.changed);
        assert_eq!(
            opened
                .interrupted
                .as_ref()
                .map(|begun| (begun.slot, begun.times)),
            self.cut_off
        );
        assert_eq!(
            opened.gave_up,
            self.cut_off
                .is_some_and(|(_, times)| times == MOST_BEGINNINGS)
        );
        if self.dice.one_in(30) {
            self.outage();
            return None;
        }
        if opened.gave_up
            && let Some((slot, _)) = self.cut_off.take()
        {
            self.decide(slot, Fate::GivenUp, Fate::GivenUp);
        }
        self.save(&opened.ledger);
        Some(opened.ledger)
    }

    /// From one boot to the next power cut, or to `end`.
    fn up(&mut self, table: Timetable<'_>, mut ledger: Ledger, end: DateTime<Utc>) {
        let mut awake = false;
        while self.now < end {
            let before = ledger.clone();
            let step = table.step(&mut ledger, self.now);
            if ledger != before {
                self.save(&ledger);
            }
            match step {
                Step::Wait { next } => {
                    assert_eq!(next, Some(self.next()), "at {}", self.now);
                    assert!(self.open().is_empty());
                    if self.dice.one_in(40) {
                        self.now += self.dice.up_to(self.interval);
                        return self.outage();
                    }
                    let start = self.next() + self.dice.up_to(TimeDelta::seconds(20));
                    let tick = self.now + TimeDelta::minutes(1 + self.dice.below(9));
                    self.now = if self.dice.one_in(4) {
                        start.min(tick)
                    } else {
                        start
                    };
                    awake = true;
                }
                Step::Missed { slot, count } => {
                    assert!(!table.catch_up);
                    assert_eq!(
                        (self.open().last(), self.open().len()),
                        (Some(&slot), count as usize)
                    );
                    self.cut_off = None;
                    self.decide(slot, Fate::Missed, Fate::Missed);
                }
                Step::Due {
                    slot,
                    late,
                    collapsed,
                } => {
                    assert_eq!(
                        (self.open().last(), self.open().len()),
                        (Some(&slot), collapsed as usize + 1)
                    );
                    assert_eq!(late, self.now - slot);
                    assert!(
                        !awake || (late < TimeDelta::seconds(20) && collapsed == 0),
                        "{slot} came {late} late"
                    );
                    if !self.run(table, &mut ledger, slot) {
                        return self.outage();
                    }
                }
            }
        }
    }

    /// Whether the power held until the run's end was kept.
    fn run(&mut self, table: Timetable<'_>, ledger: &mut Ledger, slot: DateTime<Utc>) -> bool {
        let moment = self.dice.below(60);
        if moment == 0 {
            return false;
        }
        table.begin(ledger, slot, self.now + TimeDelta::milliseconds(300));
        self.save(ledger);
        let times = 1 + self
            .cut_off
            .filter(|(before, _)| *before == slot)
            .map_or(0, |(_, times)| times);
        self.cut_off = Some((slot, times));
        // A machine in trouble is likely to be so again.
        if moment == 1 || (times > 1 && self.dice.one_in(2)) {
            return false;
        }
        let started = self.now;
        self.now += if self.dice.one_in(50) {
            self.dice.up_to(self.interval * 3)
        } else {
            self.dice.up_to(TimeDelta::minutes(9))
        };
        if moment == 2 {
            return false;
        }
        let fails = self.dice.one_in(30);
        self.cut_off = None;
        self.decide(
            slot,
            Fate::Covered,
            if fails { Fate::Failed } else { Fate::Ran },
        );
        if !fails {
            self.newest_archive = Some(started);
            if moment == 3 {
                return false;
            }
        }
        let skipped = table.finish(ledger, slot, self.now);
        assert_eq!(self.open().len(), skipped as usize);
        if let Some(last) = self.open().last().copied() {
            self.decide(last, Fate::Skipped, Fate::Skipped);
        }
        self.save(ledger);
        true
    }
}

fn every_day(_: NaiveDate) -> bool {
    true
}

const WEEKLY: Sets = Sets {
    text: "0 2 * * SUN",
    rhythm: false,
    day: |day| day.weekday() == Weekday::Sun,
    time: |hour, minute, second| (hour, minute, second) == (2, 0, 0),
};
/// In the hours that clocks leave out or show twice.
const DAILY: Sets = Sets {
    text: "15 2 * * *",
    rhythm: false,
    day: every_day,
    time: |hour, minute, second| (hour, minute, second) == (2, 15, 0),
};
const HOURLY: Sets = Sets {
    text: "0 * * * *",
    rhythm: true,
    day: every_day,
    time: |_, minute, second| (minute, second) == (0, 0),
};

fn date(year: i32) -> NaiveDate {
    NaiveDate::from_ymd_opt(year, 1, 1).unwrap()
}

pub(super) fn new_year(year: i32) -> DateTime<Utc> {
    date(year).and_hms_opt(12, 0, 0).unwrap().and_utc()
}

/// Lives from 2025 to 2030 and says which fates there were.
fn live(
    sets: &Sets,
    slots: &[DateTime<Utc>],
    interval: TimeDelta,
    tz: Tz,
    catch_up: bool,
    seed: u64,
) -> BTreeSet<Fate> {
    let (now, end) = (new_year(2025), new_year(2030));
    let schedule = Schedule::parse(sets.text).unwrap();
    let table = Timetable {
        schedule: &schedule,
        time_zone: tz,
        catch_up,
        awake_since: None,
    };
    let disk = table.open(None, None, now).ledger;
    let slots = slots.iter().copied().filter(|slot| *slot > now).collect();
    let (fates, newest_archive, cut_off) = (Vec::new(), None, None);
    let mut world = World {
        dice: Dice(seed),
        slots,
        fates,
        newest_archive,
        cut_off,
        disk,
        now,
        interval,
    };
    while world.now < end {
        if let Some(ledger) = world.boot(table) {
            world.up(table, ledger, end);
        }
    }
    // At most what an outage at the very end hides is without a fate.
    assert!(
        world.open().len() < 8,
        "{} slots in {tz} are lost",
        world.open().len()
    );
    world.fates.into_iter().collect()
}

fn lives_in(tz: Tz) {
    for (sets, interval, lives) in [
        (WEEKLY, TimeDelta::days(7), 6),
        (DAILY, TimeDelta::days(1), 4),
        (HOURLY, TimeDelta::hours(1), 1),
    ] {
        let slots: Vec<_> = oracle(&sets, tz, date(2025), date(2031))
            .into_iter()
            .collect();
        let mut fates = BTreeSet::new();
        for seed in 0..lives {
            fates.extend(live(&sets, &slots, interval, tz, seed % 2 == 0, seed + 1));
        }
        for fate in [Fate::Ran, Fate::Failed, Fate::Covered, Fate::Skipped] {
            assert!(
                fates.contains(&fate),
                "no slot of {} has {fate:?}",
                sets.text
            );
        }
        assert_eq!(fates.contains(&Fate::Missed), lives > 1);
        // Three power cuts in the same run are too rare for the weeks of five years.
        assert!(
            sets.text == WEEKLY.text || fates.contains(&Fate::GivenUp),
            "{} {tz}",
            sets.text
        );
    }
}

#[test]
fn every_slot_of_five_years_in_new_york_is_accounted_for_once() {
    lives_in(zone("America/New_York"));
}

#[test]
fn every_slot_of_five_years_on_lord_howe_is_accounted_for_once() {
    lives_in(zone("Australia/Lord_Howe"));
}

#[test]
fn every_slot_of_five_years_in_casablanca_is_accounted_for_once() {
    lives_in(zone("Africa/Casablanca"));
}

#[test]
fn every_slot_of_five_years_in_utc_is_accounted_for_once() {
    lives_in(Tz::UTC);
}
