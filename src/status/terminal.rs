//! The page's first screen, for a terminal.

use super::calendar::WEEKS;
use crate::report::{DayOutcome, RunOutcome, RunReport, StatusReport, Verdict};
use crate::schedule::in_words;
use crate::sys::humanize;
use crate::sys::time_zone::Tz;
use chrono::{DateTime, Datelike, TimeDelta, Utc};
use std::time::Duration;

/// As many runs are shown.
const RUNS_SHOWN: usize = 5;

/// How things are, in some twenty lines.
pub(crate) fn text(report: &StatusReport, time_zone: Tz) -> String {
    let sign = match report.verdict {
        Verdict::Well => '✓',
        Verdict::Warned => '!',
        Verdict::Unwell => '✗',
        Verdict::Empty => '…',
    };
    let mut lines = vec![format!("{sign} {}", report.summary)];
    let problems = report.health.problems.iter().map(|text| ('✗', text));
    let warnings = report.warnings.iter().map(|text| ('!', text));
    for (sign, text) in problems.chain(warnings) {
        lines.push(format!("  {sign} {}", text.replace('\n', "\n    ")));
    }
    lines.push(String::new());
    lines.extend(facts(report, time_zone));
    lines.push(String::new());
    lines.extend(calendar(report));
    if !report.runs.is_empty() {
        lines.push(String::new());
        let runs = report.runs.iter().take(RUNS_SHOWN);
        lines.extend(runs.map(|run| run_line(run, time_zone)));
    }
    lines.join("\n") + "\n"
}

fn facts(report: &StatusReport, time_zone: Tz) -> Vec<String> {
    let now = report.as_of_at;
    let words = |at: Option<DateTime<Utc>>| {
        at.map_or_else(|| "none".to_owned(), |at| in_words(at, time_zone, now))
    };
    let free = report.free_bytes.map_or(String::new(), |free| {
        format!(", {} free", humanize::bytes(free))
    });
    let full = report.full_at.map_or(String::new(), |at| {
        let days = humanize::counted((at - now).num_days().max(0) as u64, "day");
        format!(", full in {days} at this pace")
    });
    let archives = humanize::counted(report.archives, "archive");
    let size = humanize::bytes(report.archives_bytes);
    let next = match report.running_since {
        Some(since) => format!("being made since {}", in_words(since, time_zone, now)),
        None => words(report.health.next_run_at),
    };
    vec![
        format!("next backup    {next}"),
        format!("newest backup  {}", words(report.health.newest_made_at)),
        format!("last drill     {}", words(report.health.drilled_at)),
        format!("on the disk    {archives}, {size}{free}{full}"),
    ]
}

/// A column a week, as on the page.
fn calendar(report: &StatusReport) -> Vec<String> {
    let names = ["Mon", "", "Wed", "", "Fri", "", ""];
    let mut rows: Vec<String> = names.map(|name| format!("{name:<4}")).into();
    for day in &report.days {
        let sign = match day.outcome {
            DayOutcome::None => "· ",
            DayOutcome::Good => "■ ",
            DayOutcome::Warned => "! ",
            DayOutcome::Failed => "✗ ",
        };
        rows[day.date.weekday().num_days_from_monday() as usize].push_str(sign);
    }
    let mut rows: Vec<String> = rows.iter().map(|row| row.trim_end().to_owned()).collect();
    rows.push(format!(
        "    the last {WEEKS} weeks: ■ good  ! with warnings  ✗ failed  · no backup"
    ));
    rows
}

fn run_line(run: &RunReport, time_zone: Tz) -> String {
    let began = run.began_at.with_timezone(&time_zone);
    let took = duration(run.elapsed_seconds);
    let result = match run.outcome {
        RunOutcome::Done => "✓ backup",
        RunOutcome::Drilled => "✓ drill",
        RunOutcome::Failed => "✗ backup failed",
        RunOutcome::DrillFailed => "✗ drill failed",
        RunOutcome::Interrupted => "! interrupted",
    };
    let steps: Vec<String> = run
        .steps
        .iter()
        .map(|step| format!("{} {}", step.step, duration(step.elapsed_seconds)))
        .collect();
    let mut details = Vec::new();
    details.extend(
        run.documents
            .map(|count| humanize::counted(count, "document")),
    );
    details.extend(run.archive_bytes.map(humanize::bytes));
    details.push(match steps.as_slice() {
        [] => format!("in {took}"),
        steps => format!("in {took} ({})", steps.join(", ")),
    });
    details.extend(
        run.error
            .as_ref()
            .and_then(|error| Some(error.lines().next()?.to_owned())),
    );
    let began = began.format("%a %-d %b %Y %H:%M");
    format!("{began}  {result}: {}", details.join(", "))
}

fn duration(seconds: f64) -> String {
    let time = Duration::try_from_secs_f64(seconds).unwrap_or_default();
    // A history may come from a clock that was set back.
    humanize::duration(time.min(TimeDelta::days(3650).to_std().unwrap_or_default()))
}
