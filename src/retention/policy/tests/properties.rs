//! What holds for any folder, policy, zone and time, with the rules told a second time in the plainest way.

use super::*;
use crate::testing::zone;
use proptest::prelude::*;
use std::collections::BTreeSet;

const ZONES: [&str; 5] = [
    "UTC",
    "Europe/Madrid",
    "America/St_Johns",
    "Pacific/Kiritimati",
    "Pacific/Pago_Pago",
];

fn any_time() -> impl Strategy<Value = DateTime<Utc>> {
    let start = at("2009-12-20").timestamp();
    let seconds = |seconds| DateTime::from_timestamp(seconds, 0).unwrap();
    prop_oneof![
        // Six-hour steps, so that some are equal and many share a day.
        150 => (0..200_i64).prop_map(move |step| seconds(start + step * 21_600)),
        150 => (0..1500_i64).prop_map(move |day| seconds(start + day * 86_400)),
        1 => prop::sample::select(vec![DateTime::<Utc>::MIN_UTC, DateTime::<Utc>::MAX_UTC, seconds(0)]),
    ]
}

fn any_folder() -> impl Strategy<Value = Vec<Archive>> {
    let archive = (
        prop::option::weighted(0.9, any_time()),
        prop::bool::weighted(0.85),
        0..1_000_000_u64,
    );
    let archives = prop::collection::vec(archive, 0..40).prop_map(|all| {
        let named = all.into_iter().enumerate();
        named
            .map(|(index, (made_at, verified, bytes))| Archive {
                name: format!("archive {:02}", index * 7 % 40),
                made_at,
                verified,
                bytes,
            })
            .collect::<Vec<_>>()
    });
    archives.prop_shuffle()
}

fn any_policy() -> impl Strategy<Value = RetentionPolicy> {
    (0..60_u32, 0..6_u32, 0..8_u32, 0..5_u32, 0..5_u32, 0..3_u32).prop_map(
        |(days, min_keep, daily, weekly, monthly, yearly)| RetentionPolicy {
            days,
            min_keep,
            daily,
            weekly,
            monthly,
            yearly,
        },
    )
}

/// Any time; `None` is a little after the newest archive, as in life.
fn any_now() -> impl Strategy<Value = Option<DateTime<Utc>>> {
    let ends = prop::sample::select(vec![at("1970-01-01"), at("2100-01-01")]);
    prop_oneof![4 => Just(None), 2 => any_time().prop_map(Some), 1 => ends.prop_map(Some)]
}

fn or_after_newest(now: Option<DateTime<Utc>>, archives: &[Archive]) -> DateTime<Utc> {
    let newest = archives
        .iter()
        .filter_map(|archive| archive.made_at)
        .max()
        .unwrap_or(at("2025-01-01"));
    now.unwrap_or_else(|| {
        newest
            .checked_add_signed(TimeDelta::minutes(10))
            .unwrap_or(newest)
    })
}

/// Those that may go, newest first.
fn candidates(archives: &[Archive]) -> Vec<&Archive> {
    let mut all: Vec<&Archive> = archives
        .iter()
        .filter(|a| a.verified && a.made_at.is_some())
        .collect();
    all.sort_by_key(|archive| std::cmp::Reverse((archive.made_at, &archive.name)));
    all
}

/// The rules that hold `archive`, told by formatted dates.
fn told_again(
    archive: &Archive,
    all: &[&Archive],
    policy: &RetentionPolicy,
    tz: Tz,
    now: DateTime<Utc>,
) -> Vec<Reason> {
    let position = all
        .iter()
        .position(|other| other.name == archive.name)
        .unwrap();
    let newer = &all[..position];
    let mut reasons = Vec::new();
    if (now - archive.made_at.unwrap()).num_seconds() <= i64::from(policy.days) * 86_400 {
        reasons.push(Reason::Young);
    }
    if position < policy.min_keep.max(1) as usize {
        reasons.push(Reason::Minimum);
    }
    for (reason, form, count) in [
        (Reason::Daily, "%Y-%m-%d", policy.daily),
        (Reason::Weekly, "%G-%V", policy.weekly),
        (Reason::Monthly, "%Y-%m", policy.monthly),
        (Reason::Yearly, "%Y", policy.yearly),
    ] {
        let bucket = |archive: &Archive| {
            archive
                .made_at
                .unwrap()
                .with_timezone(&tz)
                .format(form)
                .to_string()
        };
        let newer: BTreeSet<String> = newer.iter().map(|newer| bucket(newer)).collect();
        if newer.len() < count as usize && !newer.contains(&bucket(archive)) {
            reasons.push(reason);
        }
    }
    reasons
}

fn names<'a>(archives: impl IntoIterator<Item = &'a Archive>) -> BTreeSet<String> {
    archives
        .into_iter()
        .map(|archive| archive.name.clone())
        .collect()
}

fn sorted(mut plan: Plan) -> Plan {
    plan.keep
        .sort_by(|a, b| a.archive.name.cmp(&b.archive.name));
    plan.go.sort_by(|a, b| a.name.cmp(&b.name));
    plan
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn each_stays_for_the_reasons_it_has_and_goes_for_want_of_any(
        all in any_folder(), policy in any_policy(), tz in prop::sample::select(ZONES.map(zone).to_vec()), now in any_now(),
    ) {
        let now = or_after_newest(now, &all);
        let plan = plan(&all, &policy, tz, now);
        let candidates = candidates(&all);
        let told = |archive: &Archive| match (archive.verified, archive.made_at) {
            (true, Some(_)) => told_again(archive, &candidates, &policy, tz, now),
            (false, Some(_)) => vec![Reason::NotVerified],
            (true, None) => vec![Reason::NoManifest],
            (false, None) => vec![Reason::NotVerified, Reason::NoManifest],
        };
        for kept in &plan.keep {
            match told(&kept.archive) {
                none if none.is_empty() => {
                    prop_assert!(plan.halt.is_some());
                    prop_assert_eq!(&kept.reasons, &[Reason::Halted]);
                }
                told => prop_assert_eq!(&kept.reasons, &told),
            }
        }
        for archive in &plan.go {
            prop_assert_eq!(told(archive), []);
        }
        prop_assert!(plan.halt.is_none() || plan.go.is_empty());

        // Together they are all there is, each in the order of the input.
        let mut rest = plan.keep.iter().map(|kept| &kept.archive).peekable();
        let mut going = plan.go.iter().peekable();
        for archive in &all {
            let next = rest.next_if_eq(&archive).or_else(|| going.next_if_eq(&archive));
            prop_assert_eq!(next, Some(archive));
        }
        prop_assert!(rest.next().is_none() && going.next().is_none());
    }

    #[test]
    fn the_newest_and_the_doubtful_stay_whatever_the_clock_shows(
        all in any_folder(), policy in any_policy(), now in any_now(),
    ) {
        let plan = plan(&all, &policy, Tz::UTC, or_after_newest(now, &all));
        let gone = names(&plan.go);
        for newest in candidates(&all).into_iter().take(policy.min_keep.max(1) as usize) {
            prop_assert!(!gone.contains(&newest.name));
        }
        prop_assert!(plan.go.iter().all(|archive| archive.verified && archive.made_at.is_some()));
    }

    #[test]
    fn what_stayed_stays_when_planned_again(
        all in any_folder(), policy in any_policy(), tz in prop::sample::select(ZONES.map(zone).to_vec()), now in any_now(),
    ) {
        let now = or_after_newest(now, &all);
        let kept: Vec<Archive> = plan(&all, &policy, tz, now).keep.into_iter().map(|kept| kept.archive).collect();
        prop_assert_eq!(plan(&kept, &policy, tz, now).go, []);
    }

    #[test]
    fn a_more_generous_policy_removes_nothing_more(
        all in any_folder(), policy in any_policy(), more in any_policy(), now in any_now(),
    ) {
        let generous = RetentionPolicy {
            days: policy.days + more.days,
            min_keep: policy.min_keep + more.min_keep,
            daily: policy.daily + more.daily,
            weekly: policy.weekly + more.weekly,
            monthly: policy.monthly + more.monthly,
            yearly: policy.yearly + more.yearly,
        };
        let now = or_after_newest(now, &all);
        let fewer = names(&plan(&all, &generous, Tz::UTC, now).go);
        prop_assert!(fewer.is_subset(&names(&plan(&all, &policy, Tz::UTC, now).go)));
    }

    #[test]
    fn the_order_in_which_they_are_given_does_not_matter(
        (all, shuffled) in any_folder().prop_flat_map(|all| (Just(all.clone()), Just(all).prop_shuffle())),
        policy in any_policy(), now in any_now(),
    ) {
        let now = or_after_newest(now, &all);
        prop_assert_eq!(sorted(plan(&all, &policy, Tz::UTC, now)), sorted(plan(&shuffled, &policy, Tz::UTC, now)));
    }

    #[test]
    fn an_archive_stays_up_to_the_moment_given_and_no_longer(
        all in any_folder(), policy in any_policy(), now in any_now(),
    ) {
        for kept in plan(&all, &policy, Tz::UTC, or_after_newest(now, &all)).keep {
            let Some(goes_at) = kept.goes_at else { continue };
            prop_assert!(!names(&plan(&all, &policy, Tz::UTC, goes_at).go).contains(&kept.archive.name));
            let after = plan(&all, &policy, Tz::UTC, goes_at + TimeDelta::seconds(1));
            prop_assert!(after.halt.is_some() || names(&after.go).contains(&kept.archive.name));
        }
    }
}
