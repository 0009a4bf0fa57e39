//! Reports as people read them.

pub(super) mod archives;
pub(super) mod inspect;
pub(super) mod matched;
pub(super) mod restore;

use crate::archive::verify::report::VerifyReport;
use crate::offsite::Copies;
use crate::offsite::sync::label;
use crate::offsite::verify::VerifiedCopy;
use crate::report::{DoctorReport, FindingVerdict, HealthReport};
use crate::schedule::in_words;
use crate::sys::humanize;
use crate::sys::time_zone::Tz;
use chrono::{DateTime, Utc};
use serde::Serialize;
use std::io::{self, Write};
use std::time::Duration;

/// What was to be printed did not get there.
#[derive(Debug, thiserror::Error)]
#[error("the output could not be written: {0}")]
pub(super) struct OutputError(#[from] io::Error);

/// Prints on stdout. A reader that has gone away (`| head`) has read enough.
pub(super) fn print(text: &str) -> Result<(), OutputError> {
    match deliver(text) {
        Err(OutputError(error)) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        printed => printed,
    }
}

/// Prints what must arrive: a reader that has gone away has missed it.
pub(super) fn deliver(text: &str) -> Result<(), OutputError> {
    let mut stdout = io::stdout().lock();
    stdout.write_all(text.as_bytes())?;
    Ok(stdout.flush()?)
}

/// Says something on stderr. Never with `eprint!`, which panics where stderr takes nothing.
pub(super) fn say(text: &str) -> Result<(), OutputError> {
    let mut stderr = io::stderr().lock();
    stderr.write_all(text.as_bytes())?;
    Ok(stderr.flush()?)
}

/// The same, where nothing else is left to be done should it get lost.
pub(super) fn complain(text: &str) {
    let _ = say(text);
}

/// Prints the one JSON document of a command.
pub(super) fn json(document: &impl Serialize) -> Result<(), OutputError> {
    let text = serde_json::to_string_pretty(document).map_err(io::Error::from)?;
    print(&format!("{text}\n"))
}

/// The JSON document of a command that failed.
pub(super) fn json_failure(message: &str) -> Result<(), OutputError> {
    json(&serde_json::json!({ "error": message }))
}

/// The copies at one place.
pub(super) fn copies(copies: &Copies, time_zone: Tz, now: DateTime<Utc>) -> String {
    let mut text = format!("{}\n", copies.place);
    if let Some(problem) = &copies.problem {
        text.push_str(&format!("  CANNOT BE LOOKED AT: {problem}\n"));
    }
    if let Some(since) = copies.waiting_since {
        let behind = humanize::duration((now - since).to_std().unwrap_or_default());
        text.push_str(&format!(
            "  the newest archive is not there; {behind} behind\n"
        ));
    }
    if copies.copies.is_empty() {
        text.push_str("  no copies yet\n\n");
        return text;
    }
    let head = ["COPY", "MADE", "SIZE", "STATE", "KEPT"].map(str::to_owned);
    let rows = copies.copies.iter().map(|copy| {
        let state = match (&copy.damage, copy.proven_at) {
            (Some(damage), _) => format!("DAMAGED: {damage}"),
            (None, Some(at)) => format!("{}, {}", label(copy.state), time(Some(at), time_zone)),
            (None, None) => format!(
                "never looked at: `pantry-keeper verify --offsite {}` does it",
                copy.archive
            ),
        };
        [
            copy.archive.clone(),
            time(copy.made_at, time_zone),
            humanize::bytes(copy.archive_bytes),
            state,
            fate(&copy.kept, copy.goes_at, time_zone),
        ]
    });
    text.push_str(&table(std::iter::once(head).chain(rows).collect(), &[2]));
    text.push('\n');
    text
}

/// One line for the log, and the lines for a person.
pub(super) fn verified_copy(copy: &VerifiedCopy) -> (String, String) {
    let line = match &copy.problem {
        None => format!(
            "the copy of {} at {} is what its checksum says: {} read in {}",
            copy.archive,
            copy.place,
            humanize::bytes(copy.archive_bytes),
            humanize::duration(Duration::from_secs_f64(copy.elapsed_seconds))
        ),
        Some(problem) => format!("the copy of {} at {}: {problem}", copy.archive, copy.place),
    };
    let mark = if copy.sound { '✓' } else { '✗' };
    (line.clone(), format!("{mark} {line}\n"))
}

/// Columns side by side; the ones in `right` are numbers.
pub(super) fn table<const N: usize>(rows: Vec<[String; N]>, right: &[usize]) -> String {
    let width = |column: usize| {
        rows.iter()
            .map(|row| row[column].chars().count())
            .max()
            .unwrap_or_default()
    };
    let widths: Vec<usize> = (0..N).map(width).collect();
    let mut text = String::new();
    for row in &rows {
        let cells = row
            .iter()
            .enumerate()
            .map(|(column, cell)| match widths[column] {
                width if right.contains(&column) => format!("{cell:>width$}"),
                width => format!("{cell:width$}"),
            });
        text.push_str(cells.collect::<Vec<_>>().join("  ").trim_end());
        text.push('\n');
    }
    text
}

pub(super) fn time(at: Option<DateTime<Utc>>, time_zone: Tz) -> String {
    match at {
        Some(at) => at
            .with_timezone(&time_zone)
            .format("%a %d %b %Y %H:%M")
            .to_string(),
        None => "unknown".into(),
    }
}

/// Why an archive stays, and until when.
fn fate(kept: &[String], goes_at: Option<DateTime<Utc>>, time_zone: Tz) -> String {
    match (kept, goes_at) {
        ([], _) => "goes after the next backup".into(),
        (_, Some(at)) => format!("until {}", at.with_timezone(&time_zone).format("%-d %b %Y")),
        (reasons, None) => reasons.join(", "),
    }
}

/// Findings one below the other, each with what to do about it.
pub(super) fn doctor(report: &DoctorReport) -> String {
    let width = report
        .findings
        .iter()
        .map(|finding| finding.area.chars().count())
        .max()
        .unwrap_or_default();
    let indent = format!("\n{:1$}", "", width + 4);
    let mut text = String::new();
    for finding in &report.findings {
        let mark = match finding.verdict {
            FindingVerdict::Fine => '✓',
            FindingVerdict::Advice => '!',
            FindingVerdict::Wrong => '✗',
        };
        let words = finding.text.replace('\n', &indent);
        text.push_str(&format!("{mark} {:width$}  {words}\n", finding.area));
        if let Some(fix) = &finding.fix {
            text.push_str(&format!(
                "  {:width$}  → {}\n",
                "",
                fix.replace('\n', &format!("{indent}  "))
            ));
        }
    }
    text.push_str("\nThe next runs:\n");
    for next in &report.next_runs {
        let note = next
            .note
            .as_ref()
            .map(|note| format!("   {note}"))
            .unwrap_or_default();
        text.push_str(&format!("  {}{note}\n", next.local));
    }
    let count = |verdict| {
        report
            .findings
            .iter()
            .filter(|finding| finding.verdict == verdict)
            .count() as u64
    };
    text.push_str(
        &match (count(FindingVerdict::Wrong), count(FindingVerdict::Advice)) {
            (0, 0) => "\nAll is well.\n".to_owned(),
            (0, _) => "\nNothing is wrong; consider what is marked !.\n".to_owned(),
            (wrong, _) => format!("\n{} to be put right.\n", humanize::counted(wrong, "thing")),
        },
    );
    text
}

/// One line when all is well, one for each problem otherwise.
pub(super) fn health(report: &HealthReport, time_zone: Tz, now: DateTime<Utc>) -> String {
    let newest = match (&report.newest_archive, report.newest_made_at) {
        (Some(archive), Some(made_at)) => {
            let age = humanize::duration((now - made_at).to_std().unwrap_or_default());
            format!("the newest backup is {archive}, {age} old")
        }
        _ => "no backup yet".into(),
    };
    let next = report
        .next_run_at
        .map(|next| format!("; next {}", in_words(next, time_zone, now)))
        .unwrap_or_default();
    if report.healthy {
        return format!("healthy: {newest}{next}\n");
    }
    let problems: Vec<String> = report
        .problems
        .iter()
        .map(|problem| format!("UNHEALTHY: {problem}\n"))
        .collect();
    format!("{}{newest}{next}\n", problems.concat())
}

/// One line for the log, and the lines for a person.
pub(super) fn verify(report: &VerifyReport) -> (String, String) {
    let took = humanize::duration(Duration::from_secs_f64(report.elapsed_seconds));
    let read = humanize::bytes(report.archive_bytes);
    if report.sound {
        // Of one that is sealed, names are known to who has the key.
        let within = match report.namespaces.len() as u64 {
            0 if report.documents > 0 => String::new(),
            namespaces => format!(" in {}", humanize::counted(namespaces, "namespace")),
        };
        let line = format!(
            "{} is sound: {}{within}, {read} read in {took}",
            report.archive,
            humanize::counted(report.documents, "document"),
        );
        let mut lines = format!("✓ {line}\n");
        for gap in &report.not_checked {
            lines.push_str(&format!("  not checked: {gap}\n"));
        }
        return (line, lines);
    }
    let faults: Vec<String> = report.faults().collect();
    if let ([other_format], Some(_)) = (faults.as_slice(), &report.other_format) {
        let line = format!("{} cannot be read: {other_format}", report.archive);
        return (line.clone(), format!("✗ {line}\n"));
    }
    let mut lines = format!("✗ {} is DAMAGED ({read} read in {took})\n", report.archive);
    for fault in &faults {
        lines.push_str(&format!("  {fault}\n"));
    }
    let sound = report
        .namespaces
        .iter()
        .filter(|checked| checked.damage.is_none())
        .count();
    if sound > 0 {
        lines.push_str(&format!(
            "  {sound} of {} read without damage\n",
            humanize::counted(report.namespaces.len() as u64, "namespace")
        ));
    }
    (
        format!("{} is DAMAGED: {}", report.archive, faults.join("; ")),
        lines,
    )
}
