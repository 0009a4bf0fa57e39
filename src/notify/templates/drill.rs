//! What mails about drills say.

use super::backup::{MailContext, foot, local, notification, numbered, surroundings};
use super::page::{Page, Severity};
use super::{Kind, Notification};
use crate::report::DrillReport;
use crate::sys::humanize;
use chrono::{DateTime, Utc};
use std::time::Duration;

/// A drill that did not prove its archive.
pub(crate) struct FailedDrill<'d> {
    pub archive: &'d str,
    /// What differs, or why it could not be tried.
    pub problems: Vec<String>,
    /// When the first of the failing drills failed.
    pub since: DateTime<Utc>,
    /// Which day of failing it is, 1 for the first.
    pub day: u32,
    /// The end of the log.
    pub log: Vec<String>,
}

pub(crate) fn drill_failed(sender: &MailContext, drill: &FailedDrill) -> Notification {
    let first = drill.day <= 1;
    let (kind, subject) = match first {
        true => (
            Kind::DrillFailed,
            format!(
                "{} drill FAILED: {} is not proven",
                sender.prefix, drill.archive
            ),
        ),
        false => (
            Kind::DrillFailed,
            format!("{} drill still failing, day {}", sender.prefix, drill.day),
        ),
    };
    let headline = format!(
        "A trial restore of {} did not bring back what the archive holds.",
        drill.archive
    );
    let mut facts = vec![
        ("Archive", drill.archive.to_owned()),
        ("Failing since", local(drill.since, sender.time_zone)),
    ];
    facts.extend(surroundings(sender));
    let advice = [
        "See whether the scratch server runs and its user has the roles backup and restore: pantry-keeper doctor",
        "Try it again, and an older archive: pantry-keeper drill, pantry-keeper list",
    ];
    let mut parts = vec![
        ("What is wrong", numbered(&drill.problems)),
        ("What to do", numbered(&advice.map(str::to_owned))),
    ];
    if !drill.log.is_empty() {
        parts.push(("The end of the log", drill.log.clone()));
    }
    let paragraphs = vec![
        "No archive was changed or removed by it, and no database but its own scratch ones."
            .to_owned(),
    ];
    notification(
        sender,
        kind,
        &subject,
        Page {
            mood: Severity::Bad,
            headline,
            paragraphs,
            facts,
            parts,
            foot: foot(sender),
        },
    )
}

/// A drill proved its archive after some that did not.
pub(crate) fn drill_recovered(
    sender: &MailContext,
    since: DateTime<Utc>,
    report: &DrillReport,
) -> Notification {
    let subject = format!(
        "{} drill recovered: {} proven",
        sender.prefix, report.archive
    );
    let paragraph = format!(
        "Drills had been failing since {}.",
        local(since, sender.time_zone)
    );
    proof(
        sender,
        Kind::DrillRecovered,
        &subject,
        vec![paragraph],
        report,
    )
}

/// The receipt of a drill that proved its archive.
pub(crate) fn drill_receipt(sender: &MailContext, report: &DrillReport) -> Notification {
    let documents = humanize::counted(report.documents, "document");
    let subject = format!("{} drill: {documents} restored and equal", sender.prefix);
    proof(sender, Kind::DrillReceipt, &subject, Vec::new(), report)
}

fn proof(
    sender: &MailContext,
    kind: Kind,
    subject: &str,
    paragraphs: Vec<String>,
    report: &DrillReport,
) -> Notification {
    let time = |seconds| humanize::duration(Duration::from_secs_f64(seconds));
    let mut facts = vec![
        ("Archive", report.archive.clone()),
        (
            "Came back",
            format!(
                "{} in {}, {} of BSON, each compared with the archive\n{} and all options",
                humanize::counted(report.documents, "document"),
                humanize::counted(report.namespaces, "namespace"),
                humanize::bytes(report.bytes),
                humanize::indexes(report.indexes),
            ),
        ),
        (
            "Took",
            format!(
                "{}, of it {} to compare",
                time(report.elapsed_seconds),
                time(report.compare_seconds)
            ),
        ),
    ];
    facts.extend(surroundings(sender));
    let headline = format!(
        "{} was restored into scratch databases and is equal.",
        report.archive
    );
    let mut parts = Vec::new();
    if !report.warnings.is_empty() {
        parts.push(("What to look at", numbered(&report.warnings)));
    }
    let mood = if report.warnings.is_empty() {
        Severity::Good
    } else {
        Severity::Attention
    };
    notification(
        sender,
        kind,
        subject,
        Page {
            mood,
            headline,
            paragraphs,
            facts,
            parts,
            foot: foot(sender),
        },
    )
}
