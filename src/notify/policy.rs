//! Which notifications are due: the owner learns of everything that matters, and is never flooded.

use crate::state::alerts::{AlertHistory, Concern, Failing, Today, Topic};
use crate::sys::time_zone::Tz;
use chrono::{DateTime, TimeDelta, Utc};
use std::collections::BTreeSet;

/// Notifications about a first failure on one day. Runs that fail and succeed in turns must not bring one each.
const FIRST_FAILURES_A_DAY: u32 = 3;
/// Notifications about concerns within a day. A warning whose words are others each time must not bring one each.
const CONCERNS_A_DAY: usize = 5;
/// A concern that has gone is news again after this long.
const FORGOTTEN: TimeDelta = TimeDelta::days(1);
/// A concern that stays is told again after this long: with each run of a weekly schedule, whichever of two runs took
/// longer, and when clocks go forward in between.
const REMINDER: TimeDelta = TimeDelta::hours(6 * 24 + 12);

impl Failing {
    /// Whether the owner was told of it.
    pub(crate) fn was_notified(&self) -> bool {
        self.notified_on.is_some()
    }
}

impl AlertHistory {
    /// Since when runs fail, if the last one did.
    pub(crate) fn failing(&self) -> Option<&Failing> {
        self.failing.as_ref()
    }

    /// Notes a run that failed; `no_room` says that it was for want of room.
    pub(crate) fn failed(&mut self, now: DateTime<Utc>, no_room: bool) {
        let first = Failing {
            since: now,
            runs: 0,
            notified_on: None,
            no_room,
        };
        let failing = self.failing.get_or_insert(first);
        failing.runs += 1;
        failing.no_room &= no_room;
    }

    /// Whether a notification about failing runs is due now: as which day of it, 1 for the first. Counts it as sent.
    pub(crate) fn failure_due(&mut self, now: DateTime<Utc>, time_zone: Tz) -> Option<u32> {
        let today = now.with_timezone(&time_zone).date_naive();
        let failing = self.failing.as_mut()?;
        if failing.notified_on == Some(today) {
            return None;
        }
        if failing.notified_on.is_none() {
            let first = self
                .first_failures
                .take()
                .filter(|first| first.date == today);
            let first = first.unwrap_or(Today {
                date: today,
                count: 0,
            });
            let due = first.count < FIRST_FAILURES_A_DAY;
            self.first_failures = Some(Today {
                count: first.count + u32::from(due),
                ..first
            });
            if !due {
                return None;
            }
        }
        failing.notified_on = Some(today);
        let days = (today - failing.since.with_timezone(&time_zone).date_naive()).num_days();
        Some(u32::try_from(days).unwrap_or_default() + 1)
    }

    /// Notes a run that succeeded: what it put an end to, if the owner was told of that.
    pub(crate) fn succeeded(&mut self) -> Option<Failing> {
        self.failing.take().filter(Failing::was_notified)
    }

    /// Notes what there is to say beside a success; whether it is time to tell it. Counts it as sent.
    pub(crate) fn concerns_due(&mut self, present: &[Topic], now: DateTime<Utc>) -> bool {
        self.adopt_what_versions_before_told(present);
        // One that comes and goes is told once a day at most.
        self.concerns
            .retain(|topic, told| present.contains(topic) || (now - *told).abs() < FORGOTTEN);
        let lately = self.concerns.values();
        let lately: BTreeSet<_> = lately
            .filter(|told| (now - **told).abs() < FORGOTTEN)
            .collect();
        let due = |told: Option<&DateTime<Utc>>| {
            // A clock that was set back must not keep a reminder for years.
            told.is_none_or(|told| (now - *told).abs() >= REMINDER)
        };
        let are_many = lately.len() >= CONCERNS_A_DAY;
        let may_flood = |topic: &Topic| matches!(topic.concern, Concern::Warned | Concern::Offsite);
        if !present
            .iter()
            .any(|topic| due(self.concerns.get(topic)) && !(are_many && may_flood(topic)))
        {
            return false;
        }
        self.concerns
            .extend(present.iter().map(|topic| (topic.clone(), now)));
        true
    }

    /// Version 0.1 noted the kind of concern alone: what is there now is what it told of.
    fn adopt_what_versions_before_told(&mut self, present: &[Topic]) {
        for topic in present {
            let kind = Topic::new(topic.concern, "");
            if let Some(told) = self.concerns.get(&kind) {
                let told = *told;
                self.concerns.entry(topic.clone()).or_insert(told);
            }
        }
        let is_told_of_each = |kind: &Topic| {
            let of_kind = |topic: &&Topic| topic.concern == kind.concern;
            let mut present = present.iter().filter(of_kind).peekable();
            present.peek().is_some() && present.all(|topic| !topic.about.is_empty())
        };
        self.concerns
            .retain(|topic, _| !topic.about.is_empty() || !is_told_of_each(topic));
    }

    /// Forgets that a concern was told: the owner has settled it, and the next of its kind is news.
    pub(crate) fn forget(&mut self, concern: Concern) -> bool {
        let before = self.concerns.len();
        self.concerns.retain(|topic, _| topic.concern != concern);
        self.concerns.len() < before
    }

    /// Notes that a concern is over; whether that is to be told, since it was told itself. Counts it as sent.
    pub(crate) fn all_clear_due(&mut self, concern: Concern, now: DateTime<Utc>) -> bool {
        // For one that comes and goes, that too is told once a day at most.
        let lately = |cleared: DateTime<Utc>| (now - cleared).abs() < FORGOTTEN;
        if self.cleared_at.is_some_and(lately) || !self.forget(concern) {
            return false;
        }
        self.cleared_at = Some(now);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schedule::Schedule;
    use crate::testing::zone;
    use chrono::NaiveDate;
    use chrono::TimeZone;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    fn at(hours: i64) -> DateTime<Utc> {
        Utc.with_ymd_and_hms(2026, 5, 31, 2, 0, 0).unwrap() + TimeDelta::hours(hours)
    }

    fn fail(alerts: &mut AlertHistory, hours: i64) -> Option<u32> {
        alerts.failed(at(hours), false);
        alerts.failure_due(at(hours), Tz::UTC)
    }

    #[test]
    fn a_hundred_hourly_failures_are_five_mails_one_a_day() {
        let mut alerts = AlertHistory::default();
        let mails: Vec<u32> = (0..100)
            .filter_map(|hour| fail(&mut alerts, hour))
            .collect();
        assert_eq!(mails, [1, 2, 3, 4, 5]);
        assert_eq!(
            alerts
                .failing()
                .map(|failing| (failing.since, failing.runs)),
            Some((at(0), 100))
        );
    }

    #[test]
    fn weekly_failures_are_told_each_time_with_the_day() {
        let mut alerts = AlertHistory::default();
        assert_eq!(
            [0, 7, 14].map(|day| fail(&mut alerts, day * 24)),
            [Some(1), Some(8), Some(15)]
        );
    }

    #[test]
    fn the_day_is_the_owners() {
        let mut alerts = AlertHistory::default();
        let at = |hour| Utc.with_ymd_and_hms(2026, 5, 31, hour, 30, 0).unwrap();
        alerts.failed(at(21), false);
        assert_eq!(alerts.failure_due(at(21), zone("Europe/Madrid")), Some(1));
        // In Madrid it is past midnight.
        assert_eq!(alerts.failure_due(at(22), zone("Europe/Madrid")), Some(2));
    }

    #[test]
    fn runs_that_fail_and_succeed_in_turns_do_not_flood_but_the_last_failure_is_told() {
        let mut alerts = AlertHistory::default();
        let mut mails = 0;
        for hour in 0..10 {
            mails += u32::from(fail(&mut alerts, hour * 2).is_some());
            mails += u32::from(alerts.succeeded().is_some());
        }
        assert_eq!(mails, 6);
        assert_eq!(fail(&mut alerts, 21), None);
        // Not told today, it is due tomorrow, also without another run.
        assert_eq!(alerts.failure_due(at(22), Tz::UTC), Some(2));
    }

    fn shrunk() -> Topic {
        Topic::new(Concern::Shrunk, "shop.users")
    }

    fn filling() -> Topic {
        Topic::new(Concern::Filling, "")
    }

    #[test]
    fn a_concern_is_told_when_it_comes_and_then_once_a_week() {
        let mut alerts = AlertHistory::default();
        let told = |alerts: &mut AlertHistory, day: i64, concerns: &[Topic]| {
            alerts.concerns_due(concerns, at(day * 24))
        };
        assert!(told(&mut alerts, 0, &[shrunk()]));
        assert!(!told(&mut alerts, 1, &[shrunk()]));
        assert!(told(&mut alerts, 2, &[shrunk(), filling()]));
        assert!(!told(&mut alerts, 8, &[shrunk(), filling()]));
        assert!(told(&mut alerts, 9, &[shrunk()]));
        assert!(!told(&mut alerts, 10, &[]));
        assert!(told(&mut alerts, 11, &[shrunk()]));
    }

    #[test]
    fn a_weekly_schedule_tells_a_concern_that_stays_each_week() {
        let madrid = zone("Europe/Madrid");
        let schedule = Schedule::parse("0 2 * * SUN").unwrap();
        let mut alerts = AlertHistory::default();
        // Clocks go forward on 29 March 2026, and back on 25 October.
        let mut slot = Utc.with_ymd_and_hms(2026, 3, 20, 0, 0, 0).unwrap();
        for run in 0..40 {
            slot = schedule.next_after(slot, madrid).unwrap();
            // Every other one takes an hour longer.
            let ended = slot + TimeDelta::minutes(5) + TimeDelta::hours(run % 2);
            assert!(alerts.concerns_due(&[shrunk()], ended), "{ended}");
        }
    }

    #[test]
    fn the_end_of_a_concern_is_told_once_and_once_a_day_at_most() {
        let mut alerts = AlertHistory::default();
        let concern = [Topic::new(Concern::Offsite, "")];
        assert!(!alerts.all_clear_due(Concern::Offsite, at(0)));
        assert!(alerts.concerns_due(&concern, at(1)));
        assert!(!alerts.all_clear_due(Concern::Filling, at(2)));
        assert!(alerts.all_clear_due(Concern::Offsite, at(2)));
        assert!(!alerts.all_clear_due(Concern::Offsite, at(30)));
        // It is back at once: it is told, and its end only on another day.
        assert!(alerts.concerns_due(&concern, at(31)));
        assert!(alerts.all_clear_due(Concern::Offsite, at(32)));
        assert!(alerts.concerns_due(&concern, at(33)));
        assert!(!alerts.all_clear_due(Concern::Offsite, at(34)));
        assert!(!alerts.concerns_due(&concern, at(35)));
        assert!(alerts.all_clear_due(Concern::Offsite, at(56)));
    }

    #[test]
    fn a_concern_that_comes_and_goes_is_told_once_a_day() {
        let mut alerts = AlertHistory::default();
        let concerns = |hour: i64| {
            if hour % 2 == 0 {
                vec![Topic::new(Concern::Warned, "x")]
            } else {
                Vec::new()
            }
        };
        let told = (0..72)
            .filter(|hour| alerts.concerns_due(&concerns(*hour), at(*hour)))
            .count();
        assert_eq!(told, 3);
    }

    #[test]
    fn another_of_a_kind_is_news_and_so_is_the_same_once_it_was_settled() {
        let mut alerts = AlertHistory::default();
        let recipes = || Topic::new(Concern::Shrunk, "shop.recipes");
        assert!(alerts.concerns_due(&[shrunk()], at(0)));
        assert!(!alerts.concerns_due(&[shrunk()], at(24)));
        assert!(alerts.concerns_due(&[shrunk(), recipes()], at(48)));
        // What was told with the other one is told again with it only.
        assert!(!alerts.concerns_due(&[recipes()], at(72)));
        assert!(alerts.forget(Concern::Shrunk) && !alerts.forget(Concern::Shrunk));
        assert!(alerts.concerns_due(&[recipes()], at(73)));
    }

    #[test]
    fn what_version_0_1_told_counts_for_what_is_there_now_and_not_for_what_comes() {
        let old = r#"{"concerns": {"shrunk": "2026-05-31T02:00:00Z", "clock": "2026-05-31T02:00:00Z", "later": "2026-05-31T02:00:00Z"}}"#;
        let mut alerts: AlertHistory = serde_json::from_str(old).unwrap();
        let clock = || Topic::new(Concern::Clock, "");
        assert!(!alerts.concerns_due(&[shrunk(), clock()], at(1)));
        let recipes = Topic::new(Concern::Shrunk, "shop.recipes");
        assert!(!alerts.clone().concerns_due(&[shrunk(), clock()], at(2)));
        assert!(alerts.concerns_due(&[shrunk(), clock(), recipes], at(2)));
    }

    #[test]
    fn warnings_that_are_others_each_time_do_not_flood() {
        let mut alerts = AlertHistory::default();
        let told = (0..48).filter(|hour| {
            let topic = Topic::new(Concern::Warned, format!("w{hour}"));
            alerts.concerns_due(&[topic], at(*hour))
        });
        assert!((8..=12).contains(&told.count()));
        // What is lost is told all the same.
        assert!(alerts.concerns_due(&[shrunk()], at(48)));
    }

    proptest! {
        #[test]
        fn whatever_happens_a_day_has_few_mails_and_no_failure_stays_untold(
            runs in proptest::collection::vec((0i64..20, any::<bool>()), 1..200)
        ) {
            let (mut alerts, mut hour) = (AlertHistory::default(), 0);
            let mut mails: BTreeMap<NaiveDate, u32> = BTreeMap::new();
            for (wait, success) in runs {
                hour += wait;
                let sent = match success {
                    true => alerts.succeeded().is_some(),
                    false => fail(&mut alerts, hour).is_some(),
                };
                *mails.entry(at(hour).date_naive()).or_default() += u32::from(sent);
            }
            prop_assert!(mails.values().all(|count| *count <= 2 * FIRST_FAILURES_A_DAY + 2));
            if alerts.failing().is_some() {
                alerts.failure_due(at(hour + 24), Tz::UTC);
                prop_assert!(alerts.failing().is_some_and(Failing::was_notified));
            }
        }
    }
}
