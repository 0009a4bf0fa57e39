//! Reports as people read them.

pub(super) mod inspect;
pub(super) mod matched;
pub(super) mod restore;

use crate::archive::verify::report::VerifyReport;
use crate::offsite::Copies;
use crate::offsite::sync::label;
use crate::offsite::verify::VerifiedCopy;
use crate::report::{
    ArchiveSummary, DoctorReport, FindingVerdict, HealthReport, ListReport, PruneReport,
};
use crate::schedule::in_words;
use crate::sys::humanize;
use chrono::{DateTime, Utc};
use chrono_tz::Tz;
use serde::Serialize;
use std::io::Write;
use std::time::Duration;

/// Prints on stdout; a reader that has gone away (`| head`) is no reason to panic.
pub(super) fn print(text: &str) {
    let _ = std::io::stdout().lock().write_all(text.as_bytes());
}

/// Prints the one JSON document of a command.
pub(super) fn json(document: &impl Serialize) {
    match serde_json::to_string_pretty(document) {
        Ok(text) => print(&format!("{text}\n")),
        Err(error) => tracing::error!("the JSON document could not be made: {error}"),
    }
}

/// The JSON document of a command that failed.
pub(super) fn json_failure(message: &str) {
    json(&serde_json::json!({ "error": message }));
}

/// A table of archives, the newest last, where a terminal leaves the eye.
pub(super) fn list(report: &ListReport, time_zone: Tz, now: DateTime<Utc>) -> String {
    if report.archives.is_empty() {
        return format!("no archives in {} yet\n", report.folder);
    }
    let head = ["ARCHIVE", "MADE", "SIZE", "DOCUMENTS", "VERIFIED", "KEPT"].map(str::to_owned);
    let rows = report
        .archives
        .iter()
        .map(|archive| row(archive, time_zone));
    let mut text = table(std::iter::once(head).chain(rows).collect(), &[2, 3]);
    let free = report
        .free_bytes
        .map(|free| format!(", {} free", humanize::bytes(free)))
        .unwrap_or_default();
    let full = report.full_at.map(|at| {
        let days = humanize::counted((at - now).num_days().max(0) as u64, "day");
        format!(", full in {days} at this pace")
    });
    text.push_str(&format!(
        "\n{} in {}: {}{free}{}\n",
        humanize::counted(report.archives.len() as u64, "archive"),
        report.folder,
        humanize::bytes(report.archives_bytes),
        full.unwrap_or_default(),
    ));
    if let Some(halted) = &report.halted {
        text.push_str(&format!("nothing is removed for now: {halted}\n"));
    }
    if !report.before_restores.is_empty() {
        let names = report.before_restores.join("\n  ");
        text.push_str(&format!(
            "what restores replaced; remove it when you no longer need it:\n  {names}\n"
        ));
    }
    text
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
            (None, None) => "never looked at: `pantry-keeper verify --offsite` does it".into(),
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

fn row(archive: &ArchiveSummary, time_zone: Tz) -> [String; 6] {
    let verified = match (&archive.damage, archive.verified_at) {
        (Some(damage), _) => format!("DAMAGED: {damage}"),
        (None, None) => "never: `pantry-keeper verify` does it".into(),
        (None, at) => match archive.drilled_at {
            Some(drilled) => {
                format!(
                    "{}, drilled {}",
                    time(at, time_zone),
                    drilled.with_timezone(&time_zone).format("%-d %b %Y")
                )
            }
            None => time(at, time_zone),
        },
    };
    [
        archive.archive.clone(),
        time(archive.made_at, time_zone),
        humanize::bytes(archive.archive_bytes),
        archive.documents.map_or("?".into(), humanize::count),
        verified,
        fate(&archive.kept, archive.goes_at, time_zone),
    ]
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

/// What retention did, or would do.
pub(super) fn prune(report: &PruneReport, time_zone: Tz, now: DateTime<Utc>) -> String {
    let age = |made_at: Option<DateTime<Utc>>| match made_at {
        Some(made_at) => humanize::counted((now - made_at).num_days().max(0) as u64, "day"),
        None => "?".into(),
    };
    let mut rows = Vec::new();
    let verb = if report.dry_run { "goes" } else { "removed" };
    for kept in &report.kept {
        let fate = match kept.goes_at {
            Some(at) => {
                format!(
                    "{}, until {}",
                    kept.reasons.join(", "),
                    at.with_timezone(&time_zone).format("%-d %b %Y")
                )
            }
            None => kept.reasons.join(", "),
        };
        rows.push([
            kept.archive.clone(),
            age(kept.made_at),
            "stays".into(),
            fate,
        ]);
    }
    for removed in &report.removed {
        let fate = format!(
            "nothing keeps it; frees {}",
            humanize::bytes(removed.archive_bytes)
        );
        rows.push([
            removed.archive.clone(),
            age(removed.made_at),
            verb.into(),
            fate,
        ]);
    }
    for failure in &report.not_removed {
        rows.push([
            failure.archive.clone(),
            String::new(),
            "NOT REMOVED".into(),
            failure.problem.clone(),
        ]);
    }
    rows.sort();
    if rows.is_empty() {
        return format!("no archives in {} yet\n", report.folder);
    }
    rows.insert(0, ["ARCHIVE", "AGE", "", "WHY"].map(str::to_owned));
    let mut text = table(rows, &[1]);
    let freed = humanize::bytes(report.freed_bytes);
    let removed = humanize::counted(report.removed.len() as u64, "archive");
    text.push_str(&match (&report.halted, report.dry_run) {
        (Some(halted), _) => format!("\nnothing is removed for now: {halted}\n"),
        (None, true) => format!("\n{removed} would go and free {freed}; nothing was touched\n"),
        (None, false) => format!("\n{removed} removed, {freed} freed\n"),
    });
    text
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
        let line = format!(
            "{} is sound: {} in {}, {read} read in {took}",
            report.archive,
            humanize::counted(report.documents, "document"),
            humanize::counted(report.namespaces.len() as u64, "namespace"),
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

#[cfg(test)]
mod tests {
    use super::*;
    use chrono::TimeZone;

    fn listed(day: u32, kept: &[&str], goes_at: Option<DateTime<Utc>>) -> ArchiveSummary {
        let at = Utc.with_ymd_and_hms(2026, 5, day, 0, 0, 0).unwrap();
        ArchiveSummary {
            archive: format!("jorbites_backup_202605{day:02}_020000.tar.gz"),
            made_at: Some(at),
            archive_bytes: 1_000_000,
            documents: Some(1234),
            namespaces: Some(2),
            point_in_time: Some(true),
            verified_at: Some(at),
            drilled_at: None,
            damage: None,
            kept: kept.iter().map(|reason| (*reason).to_owned()).collect(),
            goes_at,
            copies: Vec::new(),
        }
    }

    #[test]
    fn a_list_says_why_each_stays_until_when_and_when_the_disk_is_full() {
        let now = Utc.with_ymd_and_hms(2026, 5, 20, 0, 0, 0).unwrap();
        let at = |day| Utc.with_ymd_and_hms(2026, 6, day, 0, 0, 0).unwrap();
        let report = ListReport {
            folder: "/backups".into(),
            archives: vec![
                listed(1, &[], None),
                listed(3, &["young enough"], Some(at(2))),
                listed(10, &["young enough", "among the newest"], None),
            ],
            archives_bytes: 3_000_000,
            free_bytes: Some(23_000_000),
            full_at: Some(at(12)),
            halted: None,
            before_restores: Vec::new(),
        };
        let shown = list(&report, Tz::Europe__Madrid, now);
        let ends: Vec<&str> = shown
            .lines()
            .map(|line| line.rsplit("  ").next().unwrap_or_default())
            .collect();
        assert_eq!(
            ends,
            [
                "KEPT",
                "goes after the next backup",
                "until 2 Jun 2026",
                "young enough, among the newest",
                "",
                "3 archives in /backups: 3.0 MB, 23.0 MB free, full in 23 days at this pace"
            ]
        );
        let halted = ListReport {
            halted: Some("backups have been failing since 3 May 2026".into()),
            ..report
        };
        let shown = list(&halted, Tz::Europe__Madrid, now);
        assert!(
            shown.ends_with(
                "nothing is removed for now: backups have been failing since 3 May 2026\n"
            ),
            "{shown}"
        );
    }
}
