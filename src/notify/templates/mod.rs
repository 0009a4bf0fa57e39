//! The mails: what they say, as plain text and as simple HTML. Sending them is another matter.

mod backup;
mod drill;
mod page;
#[cfg(test)]
mod tests;

pub(crate) use backup::{
    Ending, FailureMail, LastGood, MailContext, failed, receipt, recovered, test, warning,
};
pub(crate) use drill::{FailedDrill, drill_failed, drill_receipt, drill_recovered};

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

/// A mail, ready to be sent. It holds no secrets: all that goes into it is redacted before.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Notification {
    /// The same however often it is tried.
    pub id: String,
    pub kind: Kind,
    pub written_at: DateTime<Utc>,
    pub subject: String,
    pub text: String,
    pub html: String,
}

/// What a mail is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Kind {
    Failed,
    StillFailing,
    Recovered,
    Warning,
    Receipt,
    DrillFailed,
    DrillRecovered,
    DrillReceipt,
    Test,
}
