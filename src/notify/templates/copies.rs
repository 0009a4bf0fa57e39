//! What is said about copies elsewhere.

use super::message::Message;
use super::{foot, list, log, surroundings};
use crate::notify::notification::Notification;

/// One is there that is not what was sent.
pub(super) fn differ(notification: &Notification) -> Message {
    let (origin, facts) = (&notification.origin, &notification.facts);
    let archive = facts.archive.as_deref().unwrap_or_default();
    let subject = match facts.problems.len() {
        0 | 1 => format!("{} copy elsewhere DIFFERS: {archive}", origin.prefix),
        many => format!("{} copies elsewhere DIFFER: {many} of them", origin.prefix),
    };
    let promise = "The archives here are as they were.".to_owned();
    Message {
        subject,
        severity: notification.severity,
        headline: "A copy elsewhere is not what was sent there.".to_owned(),
        paragraphs: facts.problems.iter().cloned().chain([promise]).collect(),
        facts: surroundings(notification),
        parts: list("What to do", &notification.help)
            .into_iter()
            .chain(log(notification))
            .collect(),
        foot: foot(notification),
    }
}

/// They were behind or damaged, and are no longer.
pub(super) fn complete(notification: &Notification) -> Message {
    let prefix = &notification.origin.prefix;
    Message {
        subject: format!("{prefix} copies elsewhere are complete again"),
        severity: notification.severity,
        headline: "Every archive that belongs elsewhere is there again, and proven.".to_owned(),
        paragraphs: Vec::new(),
        facts: surroundings(notification),
        parts: Vec::new(),
        foot: foot(notification),
    }
}
