//! What looking into archives found out.

use crate::archive::namespace::{Kind, Namespace};
use chrono::{DateTime, Utc};
use serde::Serialize;

/// What an archive holds.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct ShowReport {
    pub archive: String,
    /// The place elsewhere that it was read from; none where it lies in the backup folder.
    pub place: Option<String>,
    pub made_at: Option<DateTime<Utc>>,
    pub archive_bytes: u64,
    /// Of the owner's databases, without the oplog.
    pub documents: u64,
    pub bytes: u64,
    pub point_in_time: Option<bool>,
    pub server_version: Option<String>,
    pub mongodump_version: Option<String>,
    /// The archive with which this one is compared: the one before it.
    pub before: Option<String>,
    pub collections: Vec<ShownCollection>,
    /// What the one before holds, and this one does not.
    pub gone: Vec<Namespace>,
    pub warnings: Vec<String>,
}

/// One collection in an archive.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct ShownCollection {
    #[serde(flatten)]
    pub namespace: Namespace,
    #[serde(rename = "type")]
    pub kind: Kind,
    pub documents: u64,
    pub bytes: u64,
    /// In the archive before; none where it was not there, or there is no archive before.
    pub documents_before: Option<u64>,
    pub bytes_before: Option<u64>,
    pub indexes: Vec<ShownIndex>,
    /// As the server had them, in Extended JSON.
    pub options: serde_json::Value,
}

/// An index of a collection.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct ShownIndex {
    pub name: String,
    /// All of it as the server had it, in Extended JSON.
    pub definition: serde_json::Value,
}

/// Documents taken out of an archive into a file.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct ExtractReport {
    pub archive: String,
    #[serde(flatten)]
    pub namespace: Namespace,
    pub file: String,
    /// Documents of the collection that were read, which is all of them.
    pub documents_read: u64,
    /// Those that were written.
    pub documents: u64,
    /// Size of the file.
    pub file_bytes: u64,
}

/// What became different.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct DiffReport {
    /// An archive.
    pub from: String,
    /// An archive, or a server's host and port.
    pub to: String,
    /// Whether it is the server that the archive was compared with.
    pub live: bool,
    pub equal: bool,
    pub collections: Vec<CollectionDifference>,
    pub warnings: Vec<String>,
}

/// What became of a collection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum DifferenceState {
    Equal,
    Added,
    Removed,
    Changed,
}

/// How a collection differs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct CollectionDifference {
    #[serde(flatten)]
    pub namespace: Namespace,
    #[serde(rename = "type")]
    pub kind: Kind,
    pub state: DifferenceState,
    /// None on the side that does not have it, and where it is not known.
    pub documents_from: Option<u64>,
    /// Of a server, by its own statistics.
    pub documents_to: Option<u64>,
    pub added: u64,
    pub removed: u64,
    pub changed: u64,
    pub indexes_added: Vec<String>,
    pub indexes_removed: Vec<String>,
    pub indexes_changed: Vec<String>,
    pub options_changed: Vec<String>,
    /// The documents that differ, the first of them; none where that was not asked.
    pub differences: Option<Vec<DocumentDifference>>,
    /// How many more there are.
    pub differences_left_out: u64,
}

impl CollectionDifference {
    /// Decides whether anything differs of what both sides have.
    pub(crate) fn settle(&mut self) {
        let documents = self.added + self.removed + self.changed;
        let names = [
            &self.indexes_added,
            &self.indexes_removed,
            &self.indexes_changed,
            &self.options_changed,
        ];
        if documents > 0 || names.iter().any(|names| !names.is_empty()) {
            self.state = DifferenceState::Changed;
        }
    }
}

/// What became of a document.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum DocumentChange {
    Added,
    Removed,
    Changed,
}

/// A document that differs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct DocumentDifference {
    /// In Extended JSON, cut when it is long.
    pub id: String,
    pub change: DocumentChange,
    /// Of one that changed; none of those whose two versions lie too far apart to be held side by side.
    pub fields: Option<Vec<FieldDifference>>,
}

/// A field that differs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct FieldDifference {
    /// With dots.
    pub path: String,
    /// In Extended JSON, cut when it is long; none where it is not there.
    pub from: Option<String>,
    pub to: Option<String>,
}
