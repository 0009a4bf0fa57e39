//! The archives that are here: which there are, and which retention removes.

use super::{fate, table, time};
use crate::report::{ArchiveSummary, ListReport, PruneReport};
use crate::sys::humanize;
use crate::sys::time_zone::Tz;
use chrono::{DateTime, Utc};

/// A table of archives, the newest last, where a terminal leaves the eye.
pub(in crate::cli) fn list(report: &ListReport, time_zone: Tz, now: DateTime<Utc>) -> String {
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

/// What retention did, or would do.
pub(in crate::cli) fn prune(report: &PruneReport, time_zone: Tz, now: DateTime<Utc>) -> String {
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

fn row(archive: &ArchiveSummary, time_zone: Tz) -> [String; 6] {
    let verified = match (&archive.damage, archive.verified_at) {
        (Some(damage), _) => format!("DAMAGED: {damage}"),
        (None, None) => format!("never: `pantry-keeper verify {}` does it", archive.archive),
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::zone;
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

    /// Without its name, `verify` would read the latest.
    #[test]
    fn one_that_was_never_verified_says_how_it_is() {
        let unverified = ArchiveSummary {
            verified_at: None,
            ..listed(1, &[], None)
        };
        let shown = row(&unverified, zone("UTC")).join(" ");
        assert!(
            shown.contains(
                "never: `pantry-keeper verify jorbites_backup_20260501_020000.tar.gz` does it"
            ),
            "{shown}"
        );
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
        let shown = list(&report, zone("Europe/Madrid"), now);
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
        let shown = list(&halted, zone("Europe/Madrid"), now);
        assert!(
            shown.ends_with(
                "nothing is removed for now: backups have been failing since 3 May 2026\n"
            ),
            "{shown}"
        );
    }
}
