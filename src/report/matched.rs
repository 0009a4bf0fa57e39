//! What a restore of single documents found out.

use super::DocumentDifference;
use serde::Serialize;

/// Documents, and problems, that a report names; the rest are counted.
const NAMED: usize = 100;

/// What `restore --match` will do, or has done.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub(crate) struct MatchReport {
    /// As it was asked.
    pub query: String,
    /// Documents that are there and differ are replaced.
    pub replace: bool,
    /// Documents of the collection in the archive: all of them were read.
    pub documents_read: u64,
    /// Of those that fit, by what the target held when it was looked at.
    pub absent: u64,
    pub same: u64,
    pub different: u64,
    /// Seen on the target afterwards, as the archive has them.
    pub inserted: u64,
    pub replaced: u64,
    /// There, and different from the archive's.
    pub left: u64,
    /// From the target's version to the archive's, the first of them.
    pub differences: Vec<DocumentDifference>,
    pub differences_left_out: u64,
    /// The first documents that could not be restored.
    pub failures: Vec<DocumentFailure>,
    pub failures_left_out: u64,
}

/// A document that could not be restored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct DocumentFailure {
    /// In Extended JSON, cut when it is long.
    pub id: String,
    pub problem: String,
}

impl MatchReport {
    /// Whether one more difference is named; counts it when not.
    pub(crate) fn names_difference(&mut self) -> bool {
        let named = self.differences.len() < NAMED;
        self.differences_left_out += u64::from(!named);
        named
    }

    pub(crate) fn fail(&mut self, id: String, problem: impl Into<String>) {
        match self.failures.len() < NAMED {
            true => self.failures.push(DocumentFailure {
                id,
                problem: problem.into(),
            }),
            false => self.failures_left_out += 1,
        }
    }

    /// How many could not be restored.
    pub(crate) fn failed(&self) -> u64 {
        self.failures.len() as u64 + self.failures_left_out
    }
}
