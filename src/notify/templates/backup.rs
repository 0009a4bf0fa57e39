//! What is said about backups.

use super::message::Message;
use super::{fact, foot, list, local, log, surroundings, time_since};
use crate::notify::notification::{Notification, Severity};
use crate::sys::humanize;
use std::time::Duration;

/// A run failed: the first, or the first of a later day.
pub(super) fn failed(notification: &Notification) -> Message {
    let (origin, facts) = (&notification.origin, &notification.facts);
    let stage = facts.stage.as_deref().unwrap_or("running");
    let day = facts.day.unwrap_or(1);
    let (prefix, hosts) = (&origin.prefix, &origin.hosts);
    let (subject, headline) = if day <= 1 {
        (
            format!("{prefix} backup FAILED while {stage}"),
            format!("The backup of {hosts} failed while {stage}."),
        )
    } else {
        (
            format!("{prefix} backup still failing, day {day}"),
            format!("The backup of {hosts} is still failing, day {day}: while {stage}."),
        )
    };
    let mut shown = Vec::new();
    if let Some(since) = facts.failing_since {
        let since = local(since, origin.time_zone());
        let runs = match facts.failed_runs.unwrap_or(1) {
            0 | 1 => since,
            runs => format!(
                "{since} ({} in a row)",
                humanize::counted(u64::from(runs), "failed run")
            ),
        };
        shown.push(fact("Failing since", runs));
    }
    shown.push(fact("Last good archive", last_good(notification)));
    shown.extend(surroundings(notification));
    let promise = "Nothing was removed, and older archives are as they were.".to_owned();
    Message {
        subject,
        severity: notification.severity,
        headline,
        paragraphs: facts.error.iter().cloned().chain([promise]).collect(),
        facts: shown,
        parts: list("What to do", &notification.help)
            .into_iter()
            .chain(log(notification))
            .collect(),
        foot: foot(notification),
    }
}

fn last_good(notification: &Notification) -> String {
    let facts = &notification.facts;
    match &facts.last_good {
        Some(good) => format!(
            "{}\nof {}, {}, {}",
            good.archive,
            local(good.made_at, notification.origin.time_zone()),
            humanize::counted(good.documents, "document"),
            humanize::bytes(good.archive_bytes)
        ),
        None if facts.folder_readable == Some(true) => {
            "none: there is no backup that could be restored".into()
        }
        None => "unknown: the backup folder cannot be read".into(),
    }
}

/// A run succeeded after some that failed.
pub(super) fn recovered(notification: &Notification) -> Message {
    let (origin, facts) = (&notification.origin, &notification.facts);
    let since = facts.failing_since.unwrap_or(notification.written_at);
    let archive = facts.archive.as_deref().unwrap_or_default();
    let runs = u64::from(facts.failed_runs.unwrap_or(1));
    let paragraph = format!(
        "It had been failing since {} ({}, for {}).",
        local(since, origin.time_zone()),
        humanize::counted(runs, "failed run"),
        time_since(since, notification)
    );
    made(
        notification,
        format!("{} backup recovered: {archive} made", origin.prefix),
        format!("The backup of {} works again.", origin.hosts),
        vec![paragraph],
    )
}

/// A backup was made, but there is something that its owner should look at.
pub(super) fn warning(notification: &Notification) -> Message {
    let origin = &notification.origin;
    let concerns = &notification.facts.concerns;
    let first = concerns.first().and_then(|concern| concern.lines().next());
    let first = first.unwrap_or_default();
    made(
        notification,
        format!("{} backup made, but look: {first}", origin.prefix),
        format!(
            "The backup of {} was made and verified, but needs a look.",
            origin.hosts
        ),
        Vec::new(),
    )
}

/// A backup was made.
pub(super) fn receipt(notification: &Notification) -> Message {
    let (origin, facts) = (&notification.origin, &notification.facts);
    made(
        notification,
        format!(
            "{} backup made: {}, {}",
            origin.prefix,
            humanize::counted(facts.documents.unwrap_or_default(), "document"),
            humanize::bytes(facts.archive_bytes.unwrap_or_default())
        ),
        format!("The backup of {} was made and verified.", origin.hosts),
        Vec::new(),
    )
}

fn made(
    notification: &Notification,
    subject: String,
    headline: String,
    paragraphs: Vec<String>,
) -> Message {
    let facts = &notification.facts;
    let time = Duration::try_from_secs_f64(facts.elapsed_seconds.unwrap_or_default());
    let at_once = match facts.point_in_time {
        Some(true) => "of one point in time",
        _ => "not of one point in time",
    };
    let mut shown = vec![
        fact("Archive", facts.archive.as_deref().unwrap_or_default()),
        fact(
            "Holds",
            format!(
                "{} in {}, {at_once}",
                humanize::counted(facts.documents.unwrap_or_default(), "document"),
                humanize::counted(facts.namespaces.unwrap_or_default(), "namespace"),
            ),
        ),
        fact(
            "Size",
            humanize::bytes(facts.archive_bytes.unwrap_or_default()),
        ),
        fact(
            "Took",
            format!(
                "{}, read back and verified",
                humanize::duration(time.unwrap_or_default())
            ),
        ),
    ];
    if !facts.removed.is_empty() {
        shown.push(fact("Removed", facts.removed.join("\n")));
    }
    shown.extend(surroundings(notification));
    let severity = match facts.concerns.is_empty() {
        true => notification.severity,
        false => Severity::Attention,
    };
    Message {
        subject,
        severity,
        headline,
        paragraphs,
        facts: shown,
        parts: list("What to look at", &facts.concerns)
            .into_iter()
            .collect(),
        foot: foot(notification),
    }
}
