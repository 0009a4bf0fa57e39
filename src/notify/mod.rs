//! What the owner is told, when, and how it gets there.

pub mod channels;
pub mod notifier;
pub mod outbox;
pub mod policy;
pub mod sender;
pub mod templates;
