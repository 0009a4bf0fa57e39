//! Reports as people read them.

use crate::report::{BackupReport, ListReport, Listed, VerifyReport};
use crate::units;
use chrono::{DateTime, Utc};
use chrono_tz::Tz;
use std::time::Duration;

/// The line that ends a backup.
pub fn backup(report: &BackupReport) -> String {
    format!(
        "backup complete and verified: {} ({}, {}, in {})",
        report.path,
        units::counted(report.documents, "document"),
        units::bytes(report.archive_bytes),
        units::duration(Duration::from_secs_f64(report.elapsed_seconds)),
    )
}

/// A table of archives, the newest last, where a terminal leaves the eye.
pub fn list(report: &ListReport, time_zone: Tz) -> String {
    if report.archives.is_empty() {
        return format!("no archives in {} yet\n", report.folder);
    }
    let head = ["ARCHIVE", "MADE", "SIZE", "DOCUMENTS", "VERIFIED"].map(str::to_owned);
    let rows: Vec<[String; 5]> =
        std::iter::once(head).chain(report.archives.iter().map(|archive| row(archive, time_zone))).collect();
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or_default();
    let widths = [0, 1, 2, 3, 4].map(width);
    let mut text = String::new();
    for [archive, made, size, documents, verified] in &rows {
        let [w0, w1, w2, w3, _] = widths;
        text.push_str(&format!("{archive:w0$}  {made:w1$}  {size:>w2$}  {documents:>w3$}  {verified}\n"));
    }
    let free = report.free_bytes.map(|free| format!(", {} free", units::bytes(free))).unwrap_or_default();
    text.push_str(&format!(
        "\n{} in {}: {}{free}\n",
        units::counted(report.archives.len() as u64, "archive"),
        report.folder,
        units::bytes(report.archives_bytes)
    ));
    text
}

fn row(archive: &Listed, time_zone: Tz) -> [String; 5] {
    let time = |at: Option<DateTime<Utc>>| match at {
        Some(at) => at.with_timezone(&time_zone).format("%a %d %b %Y %H:%M").to_string(),
        None => "unknown".into(),
    };
    let verified = match (&archive.damage, archive.verified_at) {
        (Some(damage), _) => format!("DAMAGED: {damage}"),
        (None, None) => "never: `pantry-keeper verify` does it".into(),
        (None, at) => time(at),
    };
    [
        archive.archive.clone(),
        time(archive.made_at),
        units::bytes(archive.archive_bytes),
        archive.documents.map_or("?".into(), units::count),
        verified,
    ]
}

/// One line for the log, and the lines for a person.
pub fn verify(report: &VerifyReport) -> (String, String) {
    let took = units::duration(Duration::from_secs_f64(report.elapsed_seconds));
    let read = units::bytes(report.archive_bytes);
    if report.sound {
        let line = format!(
            "{} is sound: {} in {}, {read} read in {took}",
            report.archive,
            units::counted(report.documents, "document"),
            units::counted(report.namespaces.len() as u64, "namespace"),
        );
        let mut lines = format!("✓ {line}\n");
        for gap in &report.not_checked {
            lines.push_str(&format!("  not checked: {gap}\n"));
        }
        return (line, lines);
    }
    let faults: Vec<String> = report.faults().collect();
    let mut lines = format!("✗ {} is DAMAGED ({read} read in {took})\n", report.archive);
    for fault in &faults {
        lines.push_str(&format!("  {fault}\n"));
    }
    let sound = report.namespaces.iter().filter(|checked| checked.damage.is_none()).count();
    if sound > 0 {
        lines.push_str(&format!(
            "  {sound} of {} read without damage\n",
            units::counted(report.namespaces.len() as u64, "namespace")
        ));
    }
    (format!("{} is DAMAGED: {}", report.archive, faults.join("; ")), lines)
}
