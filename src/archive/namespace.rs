//! Namespaces (`database.collection`), how mongodump names their files, and what a stage that receives a dump is told.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};
use sha1::{Digest, Sha1};
use std::fmt;

/// Escaped collection names longer than this are cut and hashed, so that the longest file name (with
/// `.metadata.json.gz`) still fits the 255 bytes that file systems allow. The numbers are mongodump's.
const LONGEST_ESCAPED: usize = 238;
const CUT_ESCAPED: usize = 208;

/// Time series keep their data in a collection of this name, and mongodump writes that one's documents.
pub(crate) const BUCKETS_PREFIX: &str = "system.buckets.";

/// The collection in which a database keeps what its views and time series are.
pub(crate) const VIEWS: &str = "system.views";

/// A server's own databases: users and roles, a cluster's configuration, what belongs to one machine.
pub(crate) const SERVERS_OWN: [&str; 3] = ["admin", "config", "local"];

/// What a server makes for a while in its owner's databases: results of `$out` and of mapReduce, and collections that are being
/// resharded.
const TEMPORARY: [&str; 3] = ["tmp.agg_out.", "tmp.mr.", "system.resharding."];

/// What kind of thing a namespace is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Kind {
    Collection,
    /// Holds no documents of its own: only its definition is kept.
    View,
    TimeSeries,
    /// The operations that happened during the dump, for a restore to one point in time.
    Oplog,
}

/// A database and a collection in it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub(crate) struct Namespace {
    /// Empty for the oplog, which belongs to no database.
    pub database: String,
    pub collection: String,
}

impl fmt::Display for Namespace {
    /// `database.collection`, with anything that could break a log line or a terminal made visible.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.database.as_str() {
            "" => write!(f, "{}", printable(&self.collection)),
            database => write!(f, "{}.{}", printable(database), printable(&self.collection)),
        }
    }
}

/// A text with anything that could break a log line or a terminal made visible.
pub(crate) fn printable(text: &str) -> String {
    text.chars().map(printable_char).collect()
}

fn printable_char(c: char) -> String {
    if c.is_control()
        || matches!(c, '\u{2028}' | '\u{2029}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    {
        c.escape_default().to_string()
    } else {
        c.to_string()
    }
}

impl Namespace {
    pub(crate) fn new(database: impl Into<String>, collection: impl Into<String>) -> Self {
        Namespace {
            database: database.into(),
            collection: collection.into(),
        }
    }

    /// Whether it is in one of the server's own databases, or the oplog. What is counted as documents is the owner's alone.
    pub(crate) fn is_servers_own(&self) -> bool {
        self.database.is_empty() || SERVERS_OWN.contains(&self.database.as_str())
    }

    /// Whether the server made it for a while, and drops it again. mongodump dumps it like any other.
    pub(crate) fn is_temporary(&self) -> bool {
        TEMPORARY
            .iter()
            .any(|prefix| self.collection.starts_with(prefix))
    }

    /// Where its documents lie inside a dump folder: `DB/COLL.bson`, or `oplog.bson`.
    pub(crate) fn data_path(&self, kind: Kind) -> Result<String, NameError> {
        let data_collection = match kind {
            Kind::TimeSeries => format!("{BUCKETS_PREFIX}{}", self.collection),
            _ => self.collection.clone(),
        };
        self.path(&data_collection, ".bson")
    }

    /// Where its options and indexes lie inside a dump folder: `DB/COLL.metadata.json`.
    pub(crate) fn metadata_path(&self) -> Result<String, NameError> {
        self.path(&self.collection, ".metadata.json")
    }

    fn path(&self, collection: &str, suffix: &str) -> Result<String, NameError> {
        let file = format!("{}{suffix}", escape_collection(collection));
        if self.database.is_empty() {
            return Ok(file);
        }
        check_database(&self.database)?;
        Ok(format!("{}/{file}", self.database))
    }
}

/// A name that cannot become a path.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "the server has a database named {0:?}, which cannot be a folder's name; exclude it with BACKUP_EXCLUDE"
)]
pub(crate) struct NameError(pub String);

/// A database's name becomes a folder's: a server that is not what it claims must not choose where we write.
fn check_database(name: &str) -> Result<(), NameError> {
    let fits = !name.is_empty() && name.len() <= 255 && name != "." && name != "..";
    if fits && !name.contains(['/', '\\', '\0']) {
        Ok(())
    } else {
        Err(NameError(name.to_owned()))
    }
}

/// A collection's file name as mongodump makes it: URL query escaping, cut and hashed when that gets too long.
pub(crate) fn escape_collection(name: &str) -> String {
    let mut escaped = String::with_capacity(name.len());
    for byte in name.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => {
                escaped.push(byte as char);
            }
            b' ' => escaped.push('+'),
            _ => escaped.push_str(&format!("%{byte:02X}")),
        }
    }
    if escaped.len() > LONGEST_ESCAPED {
        escaped.truncate(CUT_ESCAPED);
        escaped.push_str("%24");
        escaped.push_str(&URL_SAFE_NO_PAD.encode(Sha1::digest(name.as_bytes())));
    }
    escaped
}

/// The opposite of [`escape_collection`], as far as a cut name allows.
pub(crate) fn unescape_collection(escaped: &str) -> String {
    let mut bytes = Vec::with_capacity(escaped.len());
    let mut rest = escaped.as_bytes();
    while let Some((&first, tail)) = rest.split_first() {
        let code = (first == b'%')
            .then(|| std::str::from_utf8(tail.get(..2)?).ok())
            .flatten();
        match code.and_then(|code| u8::from_str_radix(code, 16).ok()) {
            Some(byte) => {
                bytes.push(byte);
                rest = &tail[2..];
            }
            None => {
                bytes.push(if first == b'+' { b' ' } else { first });
                rest = tail;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// What mongodump says of itself and of the server at the start of a stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct StreamHeader {
    pub server_version: String,
    pub tool_version: String,
}

/// One namespace as the stream announces it, before any document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Announced {
    pub namespace: Namespace,
    pub kind: Kind,
    /// The very text of `metadata.json`; empty for the oplog.
    pub metadata: String,
}

/// What is known of a namespace's documents once they have all been seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Totals {
    pub documents: u64,
    pub bytes: u64,
    /// CRC-64/XZ (Go calls it ECMA) of all documents, as mongodump computed it and we did again.
    pub crc64: u64,
}

/// Receives a dump as it streams by: announcements first, then one namespace after another.
///
/// Several dumps may follow each other, each with its own header and announcements.
pub(crate) trait DumpSink {
    type Error;
    fn header(&mut self, header: &StreamHeader) -> Result<(), Self::Error>;
    fn announce(&mut self, announced: Announced) -> Result<(), Self::Error>;
    fn begin(&mut self, namespace: &Namespace) -> Result<(), Self::Error>;
    /// Bytes of documents; a call may end anywhere inside one.
    fn data(&mut self, bytes: &[u8]) -> Result<(), Self::Error>;
    fn end(&mut self, totals: Totals) -> Result<(), Self::Error>;
}

/// The server's own limit.
const DATABASE_NAME_MAX_BYTES: usize = 63;

/// Whether a MongoDB server on any platform accepts `name` for a database.
pub(crate) fn is_database(name: &str) -> bool {
    !name.is_empty()
        && name.len() <= DATABASE_NAME_MAX_BYTES
        && !name.contains(|c: char| "/\\. \"$".contains(c) || c.is_control())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn collections_are_escaped_the_way_mongodump_escapes_them() {
        assert_eq!(escape_collection("recipes"), "recipes");
        assert_eq!(escape_collection("a/b %\nñ$~"), "a%2Fb+%25%0A%C3%B1%24~");
    }

    #[test]
    fn long_names_are_cut_and_hashed_to_exactly_238_bytes() {
        assert_eq!(escape_collection(&"x".repeat(238)), "x".repeat(238));
        let cut = escape_collection(&"x".repeat(239));
        assert_eq!(cut.len(), 238);
        assert!(cut.starts_with(&format!("{}%24", "x".repeat(208))));
    }

    #[test]
    fn a_time_series_keeps_its_documents_in_its_buckets() {
        let weather = Namespace::new("home", "weather");
        assert_eq!(
            weather.data_path(Kind::TimeSeries).unwrap(),
            "home/system.buckets.weather.bson"
        );
        assert_eq!(
            weather.metadata_path().unwrap(),
            "home/weather.metadata.json"
        );
        assert_eq!(
            Namespace::new("", "oplog").data_path(Kind::Oplog).unwrap(),
            "oplog.bson"
        );
    }

    #[test]
    fn a_database_that_would_climb_out_of_the_folder_is_refused() {
        for name in ["..", ".", "a/b", "a\\b", "a\0b", &"d".repeat(256)] {
            assert!(
                Namespace::new(name, "c")
                    .data_path(Kind::Collection)
                    .is_err(),
                "{name:?}"
            );
        }
    }

    #[test]
    fn names_cannot_break_a_log_line() {
        assert_eq!(
            Namespace::new("d", "a\nb\x1b[1m").to_string(),
            "d.a\\nb\\u{1b}[1m"
        );
    }
}
