//! Mail: a conversation with the mail server of the settings.

mod error;
mod hardened_stream;
mod message;
mod session;
mod tls;

pub use error::MailError;
pub use session::{deliver, probe};

/// The longest conversation with a mail server; at a terminal, somebody waits for its end.
pub const LONGEST_TALK: std::time::Duration = std::time::Duration::from_secs(30);

#[cfg(test)]
mod hostile_tests;
#[cfg(test)]
pub(crate) mod session_tests;
