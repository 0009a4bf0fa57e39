//! What restores and drills found out.

use super::MatchReport;
use crate::archive::namespace::{Kind, Namespace};
use crate::sys::humanize;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::time::Duration;

/// How the documents of a collection differ from those of an archive.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub(crate) struct Differences {
    /// In the archive.
    pub documents: u64,
    pub on_server: u64,
    /// `_id`s of some documents that are not there.
    pub missing: Vec<String>,
    /// Of some that are there with another content.
    pub changed: Vec<String>,
    /// Of some that the archive does not have.
    pub extra: Vec<String>,
}

impl fmt::Display for Differences {
    /// `missing 5, 7; changed 9`, by `_id`; nothing where no document could be named.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kinds = [
            ("missing", &self.missing),
            ("changed", &self.changed),
            ("too many", &self.extra),
        ];
        let named = kinds.iter().filter(|(_, ids)| !ids.is_empty());
        let named: Vec<String> = named
            .map(|(kind, ids)| format!("{kind} _id {}", ids.join(", ")))
            .collect();
        write!(f, "{}", named.join("; "))
    }
}

/// What a restore will do with a namespace, or has done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Restored {
    #[serde(flatten)]
    pub namespace: Namespace,
    #[serde(rename = "type")]
    pub kind: Kind,
    /// What it is called on the target.
    pub to: Namespace,
    /// In the archive.
    pub documents: u64,
    pub bytes: u64,
    /// On the target before; none where it was not there, or may not be counted.
    pub live_documents: Option<u64>,
    /// Whether it was there before.
    pub exists: bool,
    /// As mongorestore counted; none before it is restored, or where it did not say.
    pub inserted: Option<u64>,
    pub failures: Option<u64>,
    /// On the target afterwards.
    pub on_server: Option<u64>,
    /// What is wrong with it; none when all is there.
    pub problem: Option<String>,
    /// Where documents are missing: which.
    pub differences: Option<Differences>,
}

/// Which indexes a restore builds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum IndexPolicy {
    /// All of them; one that the server refuses is a restore that is not complete.
    #[default]
    All,
    /// Those that the server takes; the others are reported.
    Possible,
    /// None but that of `_id`, which collections have by themselves.
    None,
}

/// An index that is not there as the archive has it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct IndexProblem {
    /// Its collection on the target.
    #[serde(flatten)]
    pub namespace: Namespace,
    pub name: String,
    pub problem: String,
    /// The server would not build it.
    pub refused: bool,
    /// The command that makes it, for mongosh.
    pub command: String,
}

/// What a restore will do about indexes, or has done.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub(crate) struct IndexReport {
    pub policy: IndexPolicy,
    /// In the archive, without those of `_id`.
    pub archived: u64,
    pub built: u64,
    pub problems: Vec<IndexProblem>,
}

impl IndexReport {
    /// Whether all indexes are there that were asked for.
    pub(crate) fn is_as_asked(&self) -> bool {
        let may_lack =
            |problem: &IndexProblem| self.policy == IndexPolicy::Possible && problem.refused;
        self.problems.iter().all(may_lack)
    }
}

/// What a restore will do, or has done.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct RestoreReport {
    pub archive: String,
    /// The place elsewhere that it was read from; none where it lies in the backup folder.
    pub place: Option<String>,
    pub made_at: Option<DateTime<Utc>>,
    /// The target, without credentials.
    pub hosts: String,
    pub dry_run: bool,
    /// Every document the archive holds for the chosen namespaces was written, with options and the indexes asked for.
    pub restored: bool,
    /// Existing namespaces are dropped first.
    pub drop: bool,
    /// The archive that holds what was dropped.
    pub safety_archive: Option<String>,
    pub documents: u64,
    pub bytes: u64,
    pub namespaces: Vec<Restored>,
    pub indexes: IndexReport,
    /// What became of single documents; none when whole collections are restored.
    pub matched: Option<MatchReport>,
    /// Operations to be replayed from the oplog.
    pub oplog_entries: u64,
    /// Why not everything is there.
    pub problems: Vec<String>,
    /// What mongorestore has restored and could not be counted afterwards, and how to do that by hand.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub unchecked: Vec<String>,
    pub warnings: Vec<String>,
    pub elapsed_seconds: f64,
}

/// What restoring an archive into scratch databases proved.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct DrillReport {
    pub archive: String,
    /// The place elsewhere that it was read from; none where it lies in the backup folder.
    pub place: Option<String>,
    /// The scratch server, without credentials.
    pub hosts: String,
    /// Every document, index and option came back as the archive has it.
    pub proven: bool,
    pub documents: u64,
    pub bytes: u64,
    pub namespaces: u64,
    pub indexes: u64,
    /// What did not come back as it was.
    pub problems: Vec<String>,
    pub warnings: Vec<String>,
    pub server_version: Option<String>,
    pub restore_seconds: f64,
    pub compare_seconds: f64,
    pub elapsed_seconds: f64,
}

impl fmt::Display for DrillReport {
    /// One line when all came back, more when not.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            documents,
            namespaces,
            ..
        } = self;
        let archive = match &self.place {
            Some(place) => format!("{} at {place}", self.archive),
            None => self.archive.clone(),
        };
        if self.proven {
            write!(
                f,
                "{archive} is proven: {} in {} came back equal, with all options and {}, in {}",
                humanize::counted(*documents, "document"),
                humanize::counted(*namespaces, "namespace"),
                humanize::indexes(self.indexes),
                humanize::duration(Duration::from_secs_f64(self.elapsed_seconds)),
            )?;
        } else {
            write!(f, "{archive} is NOT proven:")?;
        }
        let notes = self
            .warnings
            .iter()
            .map(|warning| format!("note: {warning}"));
        self.problems
            .iter()
            .cloned()
            .chain(notes)
            .try_for_each(|line| write!(f, "\n{line}"))
    }
}
