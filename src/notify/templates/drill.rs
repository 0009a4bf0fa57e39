//! What is said about drills.

use super::message::Message;
use super::{fact, foot, list, local, log, surroundings};
use crate::notify::notification::Notification;
use crate::sys::humanize;
use std::time::Duration;

/// A drill did not prove its archive.
pub(super) fn failed(notification: &Notification) -> Message {
    let (origin, facts) = (&notification.origin, &notification.facts);
    let archive = facts.archive.as_deref().unwrap_or("the latest archive");
    let inconclusive = facts.error.is_some();
    let subject = match facts.day.unwrap_or(1) {
        0 | 1 if inconclusive => format!(
            "{} drill could not be carried out: {archive} is not proven",
            origin.prefix
        ),
        0 | 1 => format!("{} drill FAILED: {archive} is not proven", origin.prefix),
        day => format!("{} drill still failing, day {day}", origin.prefix),
    };
    let mut shown = vec![fact("Archive", archive)];
    let since = facts.failing_since;
    shown.extend(since.map(|since| fact("Failing since", local(since, origin.time_zone()))));
    shown.extend(surroundings(notification));
    let promise =
        "No archive was changed or removed by it, and no database but its own scratch ones.";
    let headline = match inconclusive {
        true => format!(
            "A trial restore of {archive} could not be carried out. That says nothing about the archive."
        ),
        false => format!("A trial restore of {archive} did not bring back what the archive holds."),
    };
    Message {
        subject,
        severity: notification.severity,
        headline,
        paragraphs: vec![promise.to_owned()],
        facts: shown,
        parts: list("What is wrong", &facts.problems)
            .into_iter()
            .chain(list("What to do", &notification.help))
            .chain(log(notification))
            .collect(),
        foot: foot(notification),
    }
}

/// A drill proved its archive after some that did not.
pub(super) fn recovered(notification: &Notification) -> Message {
    let (origin, facts) = (&notification.origin, &notification.facts);
    let archive = facts.archive.as_deref().unwrap_or_default();
    let since = facts.failing_since.unwrap_or(notification.written_at);
    let paragraph = format!(
        "Drills had been failing since {}.",
        local(since, origin.time_zone())
    );
    let subject = format!("{} drill recovered: {archive} proven", origin.prefix);
    proof(notification, subject, vec![paragraph])
}

/// A drill proved its archive.
pub(super) fn receipt(notification: &Notification) -> Message {
    let documents = notification.facts.documents.unwrap_or_default();
    let documents = humanize::counted(documents, "document");
    let subject = format!(
        "{} drill: {documents} restored and equal",
        notification.origin.prefix
    );
    proof(notification, subject, Vec::new())
}

fn proof(notification: &Notification, subject: String, paragraphs: Vec<String>) -> Message {
    let facts = &notification.facts;
    let time = |seconds: Option<f64>| {
        let time = Duration::try_from_secs_f64(seconds.unwrap_or_default());
        humanize::duration(time.unwrap_or_default())
    };
    let archive = facts.archive.as_deref().unwrap_or_default();
    let mut shown = vec![
        fact("Archive", archive),
        fact(
            "Came back",
            format!(
                "{} in {}, {} of BSON, each compared with the archive\n{} and all options",
                humanize::counted(facts.documents.unwrap_or_default(), "document"),
                humanize::counted(facts.namespaces.unwrap_or_default(), "namespace"),
                humanize::bytes(facts.bytes.unwrap_or_default()),
                humanize::indexes(facts.indexes.unwrap_or_default()),
            ),
        ),
        fact(
            "Took",
            format!(
                "{}, of it {} to compare",
                time(facts.elapsed_seconds),
                time(facts.compare_seconds)
            ),
        ),
    ];
    shown.extend(surroundings(notification));
    Message {
        subject,
        severity: notification.severity,
        headline: format!("{archive} was restored into scratch databases and is equal."),
        paragraphs,
        facts: shown,
        parts: list("What to look at", &facts.concerns)
            .into_iter()
            .collect(),
        foot: foot(notification),
    }
}
