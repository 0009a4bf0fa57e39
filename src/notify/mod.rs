//! Mail: a letter goes to the mail server of the settings, or waits in the outbox until it can.

mod error;
mod message;
mod outbox;
mod send;
mod tls;
mod wire;

pub use error::{MailError, Refused, Reply, Stage};
pub use outbox::{Flushed, Outbox};
pub use send::{deliver, probe};

/// The longest conversation with a mail server; at a terminal, somebody waits for its end.
pub const LONGEST_TALK: std::time::Duration = std::time::Duration::from_secs(30);

#[cfg(test)]
mod flush_tests;
#[cfg(test)]
mod hostile_tests;
#[cfg(test)]
mod outbox_tests;
#[cfg(test)]
mod send_tests;
