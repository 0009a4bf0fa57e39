//! What is said about starts of the scheduler.

use super::message::Message;
use super::{foot, local, surroundings};
use crate::notify::notification::Notification;
use crate::sys::humanize;

/// It started, which it could not before.
pub(super) fn again(notification: &Notification) -> Message {
    let (origin, facts) = (&notification.origin, &notification.facts);
    let since = facts.failing_since.map(|since| {
        let time = (notification.written_at - since)
            .to_std()
            .unwrap_or_default();
        format!(
            "It could not since {} (for {}).",
            local(since, origin.time_zone()),
            humanize::duration(time)
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
