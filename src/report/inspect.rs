//! What looking into archives found out.

use crate::archive::namespace::{Kind, Namespace};
use chrono::{DateTime, Utc};
use serde::Serialize;

/// What an archive holds.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct ShowReport {
    pub archive: String,
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
