//! The manifest: what an archive holds, written as the last file inside it.

use crate::archive::namespace::{Kind, Namespace};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// The format this version writes. A reader takes the same number and refuses a higher one.
pub(crate) const FORMAT: u32 = 1;

/// The manifest's file name inside the archive's folder.
pub(crate) const FILE_NAME: &str = "manifest.json";
/// The file name of what the dump said of itself, in the same place.
pub(crate) const PRELUDE_NAME: &str = "prelude.json";

/// Everything needed to prove an archive, and to find one collection in it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Manifest {
    /// The version of this format; see [`FORMAT`].
    pub pantry_keeper_format: u32,
    /// The archive's name without its extension: also the folder inside it.
    pub archive: String,
    pub started_at: DateTime<Utc>,
    pub finished_at: DateTime<Utc>,
    pub pantry_keeper_version: String,
    pub mongodump_version: String,
    pub server: Server,
    /// Whether an oplog is inside, so that a restore brings back one point in time.
    pub point_in_time: bool,
    /// Of the owner's databases: neither those of the server's own, which older archives count, nor the oplog.
    pub documents: u64,
    /// BSON bytes of these documents.
    pub bytes: u64,
    pub namespaces: Vec<Entry>,
}

/// The server that was dumped; never its credentials.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Server {
    pub version: String,
    pub hosts: String,
    pub topology: Topology,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Topology {
    Standalone,
    ReplicaSet,
    /// A dump through mongos is not of one point in time across shards.
    Sharded,
}

impl Topology {
    pub(crate) fn label(self) -> &'static str {
        match self {
            Topology::Standalone => "standalone",
            Topology::ReplicaSet => "replica set",
            Topology::Sharded => "sharded cluster",
        }
    }
}

/// One namespace in the archive.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Entry {
    #[serde(flatten)]
    pub namespace: Namespace,
    #[serde(rename = "type")]
    pub kind: Kind,
    pub documents: u64,
    pub bytes: u64,
    /// CRC-64/XZ of the documents, as mongodump computed it on its side.
    #[serde(serialize_with = "hex", deserialize_with = "from_hex")]
    pub crc64: u64,
    /// Path below the archive's folder, and position of the member in which it starts. Views have none.
    pub data: Option<Place>,
    /// Likewise for options and indexes. The oplog has none.
    pub metadata: Option<Place>,
}

/// Where a file lies in the archive.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Place {
    pub path: String,
    /// Bytes from the archive's start.
    pub position: u64,
}

/// Why a manifest cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ManifestError {
    #[error("the manifest cannot be read: {0}")]
    Json(#[from] serde_json::Error),
    #[error(
        "the manifest has format {0}, and this Pantry Keeper reads up to {FORMAT}: use a newer one"
    )]
    Newer(u32),
}

impl Manifest {
    pub(crate) fn to_json(&self) -> Result<Vec<u8>, ManifestError> {
        let mut json = serde_json::to_vec_pretty(self)?;
        json.push(b'\n');
        Ok(json)
    }

    pub(crate) fn from_json(json: &[u8]) -> Result<Self, ManifestError> {
        #[derive(Deserialize)]
        struct Version {
            pantry_keeper_format: u32,
        }
        let version: Version = serde_json::from_slice(json)?;
        if version.pantry_keeper_format > FORMAT {
            return Err(ManifestError::Newer(version.pantry_keeper_format));
        }
        Ok(serde_json::from_slice(json)?)
    }
}

/// As hexadecimal text: JSON numbers lose the last bits of 64.
fn hex<S: Serializer>(value: &u64, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(&format_args!("{value:016x}"))
}

fn from_hex<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u64, D::Error> {
    let text = String::deserialize(deserializer)?;
    u64::from_str_radix(&text, 16).map_err(serde::de::Error::custom)
}
