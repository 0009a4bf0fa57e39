//! What became of each day of the last 26 weeks.

use crate::report::{ArchiveSummary, Day, DayOutcome};
use crate::state::{Ended, Run};
use crate::sys::time_zone::Tz;
use chrono::{DateTime, Datelike, Days, NaiveDate, Utc};
use std::collections::BTreeMap;

/// Half a year.
pub(crate) const WEEKS: u64 = 26;

/// What has been seen of a day.
#[derive(Default)]
struct Seen {
    /// A backup was made.
    made: bool,
    /// Something went wrong, or should be known.
    trouble: bool,
    /// The last backup failed.
    failed: bool,
}

/// The days from the Monday of 25 weeks ago to today. History tells most; archives tell of days that it has forgotten.
pub(crate) fn days(
    runs: &[Run],
    archives: &[ArchiveSummary],
    time_zone: Tz,
    now: DateTime<Utc>,
) -> Vec<Day> {
    let local = |at: DateTime<Utc>| at.with_timezone(&time_zone).date_naive();
    let mut seen: BTreeMap<NaiveDate, Seen> = BTreeMap::new();
    let made = archives.iter().filter_map(ArchiveSummary::made_by_manifest);
    for at in made {
        seen.entry(local(at)).or_default().made = true;
    }
    for run in runs {
        let day = seen.entry(local(run.began_at)).or_default();
        match &run.ended {
            Ended::Done { warnings, .. } => {
                day.trouble |= !warnings.is_empty() || day.failed;
                (day.made, day.failed) = (true, false);
            }
            Ended::Failed { .. } => day.failed = true,
            Ended::Interrupted | Ended::DrillFailed { .. } => day.trouble = true,
            Ended::Drilled { .. } => {}
        }
    }
    let today = local(now);
    let back = u64::from(today.weekday().num_days_from_monday()) + (WEEKS - 1) * 7;
    let first = today.checked_sub_days(Days::new(back)).unwrap_or(today);
    let outcome = |date: NaiveDate| match seen.get(&date) {
        None => DayOutcome::None,
        Some(Seen { failed: true, .. }) => DayOutcome::Failed,
        Some(Seen { trouble: true, .. }) => DayOutcome::Warned,
        Some(Seen { made: true, .. }) => DayOutcome::Good,
        Some(_) => DayOutcome::None,
    };
    first
        .iter_days()
        .take_while(|date| *date <= today)
        .map(|date| Day {
            date,
            outcome: outcome(date),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::zone;
    use chrono::TimeZone;

    fn run(day: u32, hour: u32, ended: Ended) -> Run {
        let at = Utc.with_ymd_and_hms(2026, 5, day, hour, 0, 0).unwrap();
        Run {
            began_at: at,
            ended_at: at,
            trigger: "scheduled".into(),
            ended,
        }
    }

    fn done(warnings: &[&str]) -> Ended {
        Ended::Done {
            archive: "a".into(),
            archive_bytes: 1,
            documents: 1,
            bytes: 1,
            removed: Vec::new(),
            warnings: warnings.iter().map(|text| (*text).to_owned()).collect(),
            steps: Vec::new(),
        }
    }

    fn failed() -> Ended {
        Ended::Failed {
            stage: "dumping".into(),
            error: "it broke".into(),
        }
    }

    #[test]
    fn each_day_says_what_became_of_it_in_local_time() {
        let now = Utc.with_ymd_and_hms(2026, 5, 20, 12, 0, 0).unwrap();
        let runs = [
            run(10, 2, done(&[])),
            // Already the 12th in Madrid.
            run(11, 23, done(&[])),
            run(13, 2, failed()),
            run(13, 3, done(&[])),
            run(14, 2, done(&["a collection was dropped"])),
            run(15, 2, done(&[])),
            run(15, 9, failed()),
            run(16, 2, Ended::Interrupted),
        ];
        let days = days(&runs, &[], zone("Europe/Madrid"), now);
        let of = |day| {
            let date = NaiveDate::from_ymd_opt(2026, 5, day).unwrap();
            days.iter().find(|one| one.date == date).unwrap().outcome
        };
        use DayOutcome::{Failed, Good, None, Warned};
        assert_eq!(
            [10, 11, 12, 13, 14, 15, 16, 17].map(of),
            [Good, None, Good, Warned, Warned, Failed, Warned, None]
        );
        assert_eq!(days.first().unwrap().date.to_string(), "2025-11-24");
        assert_eq!(days.last().unwrap().date.to_string(), "2026-05-20");
    }
}
