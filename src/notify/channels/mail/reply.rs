//! What a mail server answers.

use crate::notify::channels::harmless;
use crate::sys::redact::Redactor;
use std::fmt;

/// What a server answered: its code and its words, on one line, without secrets and control characters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Reply {
    pub code: u16,
    pub text: String,
}

impl Reply {
    pub(super) fn new(code: u16, text: &str, redactors: &[&Redactor]) -> Self {
        Reply {
            code,
            text: harmless(text, redactors),
        }
    }

    /// The server may well accept the same later.
    pub(crate) fn is_transient(&self) -> bool {
        self.code / 100 == 4
    }

    pub(super) fn is_of_gmail(&self) -> bool {
        let text = self.text.to_ascii_lowercase();
        ["gmail", "google", "application-specific password"]
            .iter()
            .any(|word| text.contains(word))
    }
}

impl fmt::Display for Reply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.code, self.text)
    }
}

/// A recipient whom the server does not take.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Refused {
    pub(super) address: String,
    /// Its words, where it was asked.
    pub(super) why: String,
    /// The server may well take it later.
    pub(super) is_transient: bool,
}

impl Refused {
    pub(super) fn by(reply: &Reply, address: String) -> Self {
        Refused {
            address,
            why: reply.to_string(),
            is_transient: reply.is_transient(),
        }
    }

    /// One with letters that the server does not know.
    pub(super) fn beyond_ascii(address: String) -> Self {
        Refused {
            address,
            why: "it takes only addresses in ASCII".into(),
            is_transient: false,
        }
    }
}
