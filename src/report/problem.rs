//! What went wrong, and what to do about it: two things that are shown in different places.

use std::fmt;

/// A problem as the owner is told it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Problem {
    /// What is wrong, and where.
    pub summary: String,
    /// What to do about it; none when there is nothing to say.
    pub help: Option<String>,
}

impl Problem {
    pub(crate) fn new(summary: impl Into<String>, help: impl Into<String>) -> Self {
        Problem {
            summary: summary.into(),
            help: Some(help.into()).filter(|help| !help.is_empty()),
        }
    }
}

/// Both on one line, where there is one line only.
impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.summary)?;
        match &self.help {
            Some(help) => write!(f, "; {help}"),
            None => Ok(()),
        }
    }
}
