//! What the owner is told, when, and how it gets there.

pub(crate) mod channels;
pub(crate) mod notification;
pub(crate) mod notifier;
pub(crate) mod outbox;
pub(crate) mod policy;
pub(crate) mod remark;
pub(crate) mod sender;
pub(crate) mod templates;
