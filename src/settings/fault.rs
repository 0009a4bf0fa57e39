//! What is wrong with the settings, as people read it.

use crate::sys::redact::Redactor;
use std::fmt;

/// Longer texts are cut in a message: someone may have pasted a whole file.
const GIVEN_MAX_CHARS: usize = 100;

/// Why a value is not accepted. The problem is a phrase that follows the value: "is not a duration".
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Refusal {
    /// The part of a list that is refused; without it, the whole value is.
    pub item: Option<String>,
    /// What is wrong.
    pub problem: String,
    /// What is accepted, or what to do.
    pub accepted: String,
}

impl Refusal {
    /// The whole value is refused.
    pub(crate) fn new(problem: impl Into<String>, accepted: impl Into<String>) -> Self {
        Self {
            item: None,
            problem: problem.into(),
            accepted: accepted.into(),
        }
    }

    /// One item of a list is refused.
    pub(crate) fn of(item: &str, problem: impl Into<String>, accepted: impl Into<String>) -> Self {
        Self {
            item: Some(item.to_owned()),
            ..Self::new(problem, accepted)
        }
    }
}

/// One setting that needs attention; prints as one line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Fault {
    /// The name of the setting.
    pub setting: String,
    /// What was given, `***` for a secret; `None` if nothing was, or if it must not be shown at all.
    pub given: Option<String>,
    /// What is wrong with it, a phrase that follows the value.
    pub problem: String,
    /// What is accepted, or what to do.
    pub accepted: String,
}

impl Fault {
    pub(super) fn redacted(self, redactor: &Redactor) -> Self {
        let redact = |text: String| redactor.redact(&text).into_owned();
        Self {
            setting: self.setting,
            given: self.given.map(redact),
            problem: redact(self.problem),
            accepted: redact(self.accepted),
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}: ", self.setting)?;
        if let Some(given) = &self.given {
            // Escaped, so that a line break in a value cannot pass for a line of its own in the log.
            let shown: String = given.chars().take(GIVEN_MAX_CHARS).collect();
            let shown = format!("{shown:?}");
            let shown = shown.strip_suffix('"').unwrap_or(&shown);
            let cut = if given.chars().nth(GIVEN_MAX_CHARS).is_some() {
                "…"
            } else {
                ""
            };
            write!(out, "{shown}{cut}\" ")?;
        }
        write!(out, "{}; {}", self.problem, self.accepted)
    }
}

/// All that is wrong with the settings, in the order in which they are documented. Free of secrets.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) struct Faults(pub Vec<Fault>);

impl fmt::Display for Faults {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.len() {
            1 => write!(out, "1 setting needs attention:")?,
            count => write!(out, "{count} settings need attention:")?,
        }
        for fault in &self.0 {
            write!(out, "\n  {fault}")?;
        }
        Ok(())
    }
}
