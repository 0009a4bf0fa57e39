//! The clock, and the schedule that goes by it.

use super::findings::Findings;
use crate::report::NextRun;
use crate::schedule::in_words;
use crate::schedule::timetable::FIRST_YEAR;
use crate::settings::Settings;
use crate::store::repository::Repository;
use crate::sys::humanize;
use crate::sys::lock::Lock;
use chrono::{DateTime, Datelike, TimeDelta, Utc};

/// Clocks that differ by more are not merely imprecise.
const CLOCK_DIFFERENCE: TimeDelta = TimeDelta::minutes(5);
const NEXT_RUNS: usize = 5;
const ARCHIVE_FIX: &str = "that archive's time is wrong: move it to another folder";

pub(super) fn clock(
    findings: &mut Findings,
    settings: &Settings,
    server: Option<DateTime<Utc>>,
    now: DateTime<Utc>,
) {
    let local = now
        .with_timezone(&settings.time_zone)
        .format("%A %-d %B %Y %H:%M:%S %Z");
    let fix =
        "set this machine's clock, or let it be set over the network: timedatectl set-ntp true";
    let newest = Repository::of(settings).newest_good().filter(|newest| {
        newest
            .made_at
            .is_some_and(|made_at| made_at > now + CLOCK_DIFFERENCE)
    });
    let difference = server.map(|server| (server - now).abs());
    if now.year() < FIRST_YEAR {
        findings.wrong(
            "clock",
            format!("it shows {local}, which is long past"),
            fix,
        );
    } else if let Some(newest) = newest {
        // Two clocks that agree are hardly both wrong, unless the server runs on this machine.
        let (agrees, fix) = match difference {
            Some(off) if off > CLOCK_DIFFERENCE => ("", fix.to_owned()),
            Some(_) => (
                ", as the MongoDB server's does",
                format!("if that is right, {ARCHIVE_FIX}; if it is not, {fix}"),
            ),
            None => ("", format!("{fix}; if it is right, {ARCHIVE_FIX}")),
        };
        findings.wrong(
            "clock",
            format!(
                "it shows {local}{agrees}, which is before the newest archive, {}",
                newest.archive
            ),
            &fix,
        );
    } else if let Some(off) = difference.filter(|off| *off > CLOCK_DIFFERENCE) {
        let off = humanize::duration(off.to_std().unwrap_or_default());
        findings.wrong(
            "clock",
            format!("it shows {local}, {off} off the MongoDB server's clock"),
            fix,
        );
    } else {
        findings.fine("clock", local.to_string());
    }
}

pub(super) fn schedule(findings: &mut Findings, settings: &Settings, now: DateTime<Utc>) {
    let schedule = format!("{} in {}", settings.schedule, settings.time_zone);
    let next = settings.schedule.next_after(now, settings.time_zone);
    let next = next
        .map(|next| format!("; next {}", in_words(next, settings.time_zone, now)))
        .unwrap_or_default();
    match Lock::holder(&Repository::of(settings).scheduler_path()) {
        Some(_) => findings.fine("schedule", format!("{schedule}{next}")),
        None => findings.advice(
            "schedule",
            format!("{schedule}, but no scheduler is at work in this folder"),
            "start one with `pantry-keeper run`, or have something else run `pantry-keeper backup`",
        ),
    }
}

/// The next runs, with what daylight saving time does to them.
pub(super) fn next_runs(settings: &Settings, now: DateTime<Utc>) -> Vec<NextRun> {
    let zone = settings.time_zone;
    let upcoming = settings.schedule.upcoming(now, zone, NEXT_RUNS);
    let runs = upcoming.into_iter().map(|next| NextRun {
        at: next.at,
        local: next
            .at
            .with_timezone(&zone)
            .format("%a %-d %b %Y %H:%M:%S %Z (UTC%:z)")
            .to_string(),
        note: next.note,
    });
    runs.collect()
}
