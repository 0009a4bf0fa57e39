//! Mail: a conversation with the mail server of the settings.

mod error;
mod hardened_stream;
mod message;
mod session;
mod tls;

pub(crate) use error::MailError;
pub(crate) use session::{deliver, probe};

/// The longest conversation with a mail server; at a terminal, somebody waits for its end.
pub(crate) const LONGEST_TALK: std::time::Duration = std::time::Duration::from_secs(30);

#[cfg(test)]
mod hostile_tests;
#[cfg(test)]
pub(crate) mod session_tests;
