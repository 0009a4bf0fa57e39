//! What is said about starts of the scheduler.

use super::message::Message;
use super::{foot, local, surroundings, time_since};
use crate::notify::notification::Notification;

/// It started, which it could not before.
pub(super) fn again(notification: &Notification) -> Message {
    let (origin, facts) = (&notification.origin, &notification.facts);
    let since = facts.failing_since.map(|since| {
        format!(
            "It could not since {} (for {}).",
            local(since, origin.time_zone()),
            time_since(since, notification)
        )
    });
    Message {
        subject: format!("{} scheduler started again", origin.prefix),
        severity: notification.severity,
        headline: format!("The scheduler for {} has started.", origin.hosts),
        paragraphs: since.into_iter().collect(),
        facts: surroundings(notification),
        parts: Vec::new(),
        foot: foot(notification),
    }
}
