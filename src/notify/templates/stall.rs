//! What is said about a scheduler that stands still.

use super::message::Message;
use super::{fact, foot, list, local, log, surroundings, time_since};
use crate::notify::notification::Notification;

/// It stands still, and begins no backup.
pub(super) fn begun(notification: &Notification) -> Message {
    let (origin, facts) = (&notification.origin, &notification.facts);
    let since = facts
        .failing_since
        .map(|since| fact("Standing still since", local(since, origin.time_zone())));
    let promise =
        "Until it goes on, no backup is made. The archives that were there are as they were."
            .to_owned();
    Message {
        subject: format!(
            "{} scheduler STANDS STILL: no backup is made",
            origin.prefix
        ),
        severity: notification.severity,
        headline: format!("The scheduler for {} stands still.", origin.hosts),
        paragraphs: facts.error.iter().cloned().chain([promise]).collect(),
        facts: since
            .into_iter()
            .chain(surroundings(notification))
            .collect(),
        parts: list("What to do", &notification.help)
            .into_iter()
            .chain(log(notification))
            .collect(),
        foot: foot(notification),
    }
}

/// It goes on.
pub(super) fn over(notification: &Notification) -> Message {
    let (origin, facts) = (&notification.origin, &notification.facts);
    let since = facts.failing_since.unwrap_or(notification.written_at);
    let paragraph = format!(
        "It had stood still since {} (for {}), most likely because a disk or network share did not answer. What came due meanwhile \
         is made up for.",
        local(since, origin.time_zone()),
        time_since(since, notification)
    );
    Message {
        subject: format!("{} scheduler goes on", origin.prefix),
        severity: notification.severity,
        headline: format!("The scheduler for {} goes on.", origin.hosts),
        paragraphs: vec![paragraph],
        facts: surroundings(notification),
        parts: Vec::new(),
        foot: foot(notification),
    }
}
