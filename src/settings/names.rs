//! Names of databases and patterns of namespaces.

use super::fault::Refusal;
use std::fmt;

/// The server's own limit.
const DATABASE_NAME_MAX_BYTES: usize = 63;

/// Whether a MongoDB server on any platform accepts `name` for a database.
pub(super) fn is_database(name: &str) -> bool {
    !name.is_empty()
        && name.len() <= DATABASE_NAME_MAX_BYTES
        && !name.contains(|c: char| "/\\. \"$".contains(c) || c.is_control())
}

/// The namespaces `DB.COLL`, where `*` stands for any run of characters; the collection may contain dots.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NamespacePattern {
    database: String,
    collection: String,
}

impl NamespacePattern {
    /// Reads a pattern.
    ///
    /// # Errors
    /// If it has no dot with text on both sides, or a character that no database name has before its first dot.
    pub fn parse(text: &str) -> Result<Self, Refusal> {
        let advice = "write DATABASE.COLLECTION, where * stands for any text, such as shop.sessions, shop.tmp_* or \
                      *.cache";
        let pattern = match text.split_once('.') {
            Some((database, collection)) if !database.is_empty() && !collection.is_empty() => {
                Self { database: database.to_owned(), collection: collection.to_owned() }
            }
            _ => return Err(Refusal::of(text, "is not a namespace pattern", advice)),
        };
        let possible = !pattern.database.contains(|c: char| "/\\ \"$".contains(c) || c.is_control());
        if !possible || pattern.collection.contains(char::is_control) {
            return Err(Refusal::of(text, "has a character that no namespace has", advice));
        }
        Ok(pattern)
    }

    /// Whether the pattern names this collection of this database.
    pub fn matches(&self, database: &str, collection: &str) -> bool {
        glob(&self.database, database) && glob(&self.collection, collection)
    }
}

impl fmt::Display for NamespacePattern {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}.{}", self.database, self.collection)
    }
}

/// Leftmost matching of the literal pieces between the stars: enough when `*` is the only wildcard, and never slow.
fn glob(pattern: &str, text: &str) -> bool {
    let Some((first, rest)) = pattern.split_once('*') else {
        return pattern == text;
    };
    let Some(mut text) = text.strip_prefix(first) else {
        return false;
    };
    let mut pieces: Vec<&str> = rest.split('*').collect();
    let last = pieces.pop().unwrap_or_default();
    for piece in pieces {
        match text.find(piece) {
            Some(at) => text = &text[at + piece.len()..],
            None => return false,
        }
    }
    text.ends_with(last)
}
