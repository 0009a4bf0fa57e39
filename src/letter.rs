//! A mail that is to be sent, as data: composed once, kept until a mail server has accepted it.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

/// One mail, without its recipients: those are settings, and may have changed by the time it is sent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Letter {
    /// Unique; the same over all attempts to send it.
    pub id: String,
    pub kind: Kind,
    pub written_at: DateTime<Utc>,
    pub subject: String,
    pub text: String,
    pub html: String,
}

/// What a letter is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// A run failed, and the one before it had not.
    Failed,
    /// Runs keep failing.
    StillFailing,
    /// A run succeeded again.
    Recovered,
    /// A run succeeded, but something should be known.
    Warning,
    /// A run succeeded.
    Receipt,
    /// Somebody wants to know whether mail arrives.
    Test,
}
