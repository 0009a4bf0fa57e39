//! How a notification notes who needs it no more.

/// The channel's.
pub(super) const ID: &str = "mail";

/// One recipient's, beside that of the channel.
pub(super) fn key(address: &str) -> String {
    format!("{ID}:{address}")
}
