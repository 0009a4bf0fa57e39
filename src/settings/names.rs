//! Names of databases and patterns of namespaces.

use super::fault::Refusal;
use std::fmt;

/// The namespaces `DB.COLL`, where `*` stands for any run of characters; the collection may contain dots.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct NamespacePattern {
    database: String,
    collection: String,
}

impl NamespacePattern {
    /// Reads a pattern.
    ///
    /// # Errors
    /// If it has no dot with text on both sides, or a character that no database name has before its first dot.
    pub(crate) fn parse(text: &str) -> Result<Self, Refusal> {
        let advice = "write DATABASE.COLLECTION, where * stands for any text, such as shop.sessions, shop.tmp_* or \
                      *.cache";
        let pattern = match text.split_once('.') {
            Some((database, collection)) if !database.is_empty() && !collection.is_empty() => {
                Self {
                    database: database.to_owned(),
                    collection: collection.to_owned(),
                }
            }
            _ => return Err(Refusal::of(text, "is not a namespace pattern", advice)),
        };
        let possible = !pattern
            .database
            .contains(|c: char| "/\\ \"$".contains(c) || c.is_control());
        if !possible || pattern.collection.contains(char::is_control) {
            return Err(Refusal::of(
                text,
                "has a character that no namespace has",
                advice,
            ));
        }
        Ok(pattern)
    }

    /// The pattern that means this collection alone; none when its own name holds a star.
    pub(crate) fn exactly(database: &str, collection: &str) -> Option<Self> {
        let plain = !database.contains('*') && !collection.contains('*');
        plain.then(|| Self {
            database: database.to_owned(),
            collection: collection.to_owned(),
        })
    }

    /// Whether the pattern calls this database by its whole name.
    pub(crate) fn is_of(&self, database: &str) -> bool {
        self.database == database
    }

    /// Whether the pattern names this collection of this database.
    pub(crate) fn matches(&self, database: &str, collection: &str) -> bool {
        glob(&self.database, database) && glob(&self.collection, collection)
    }
}

impl fmt::Display for NamespacePattern {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}.{}", self.database, self.collection)
    }
}

/// How namespaces are called that come back beside others: `FROM=TO`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Rename {
    from: NamespacePattern,
    to: NamespacePattern,
}

impl Rename {
    /// Reads `DB.COLL=DB2.COLL2`, where each `*` on the right is what the `*` in its place on the left stands for, or
    /// `DB=DB2` for all that a database holds.
    ///
    /// # Errors
    /// If it is neither, or the two sides have different numbers of `*`.
    pub(crate) fn parse(text: &str) -> Result<Self, Refusal> {
        let advice = "write DATABASE=OTHER, or DATABASE.COLLECTION=OTHER.NAME with as many * on both sides, such as \
                      shop=shop_old, shop.*=shop_old.* or shop.orders=shop.orders_of_may";
        let (from, to) = text
            .split_once('=')
            .ok_or_else(|| Refusal::of(text, "does not say what is to be called what", advice))?;
        let whole = |name: &str| {
            if name.contains('.') {
                name.to_owned()
            } else {
                format!("{name}.*")
            }
        };
        let (from, to) = (
            NamespacePattern::parse(&whole(from))?,
            NamespacePattern::parse(&whole(to))?,
        );
        let stars = |pattern: &NamespacePattern| {
            (
                pattern.database.matches('*').count(),
                pattern.collection.matches('*').count(),
            )
        };
        if stars(&from) != stars(&to) {
            return Err(Refusal::of(
                text,
                "has different numbers of * on its two sides",
                advice,
            ));
        }
        Ok(Self { from, to })
    }

    /// The new database and collection; none when this one is not meant.
    pub(crate) fn apply(&self, database: &str, collection: &str) -> Option<(String, String)> {
        let (of_database, of_collection) = (
            captures(&self.from.database, database)?,
            captures(&self.from.collection, collection)?,
        );
        Some((
            filled(&self.to.database, &of_database),
            filled(&self.to.collection, &of_collection),
        ))
    }
}

impl fmt::Display for Rename {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}={}", self.from, self.to)
    }
}

/// The pattern with each star replaced by what it stood for.
fn filled(pattern: &str, captured: &[&str]) -> String {
    let mut pieces = pattern.split('*');
    let mut text = pieces.next().unwrap_or_default().to_owned();
    for (piece, captured) in pieces.zip(captured) {
        text.push_str(captured);
        text.push_str(piece);
    }
    text
}

/// Whether the text is what the pattern means; see [`captures`].
fn glob(pattern: &str, text: &str) -> bool {
    captures(pattern, text).is_some()
}

/// Leftmost matching of the literal pieces between the stars: enough when `*` is the only wildcard, and never slow. What each star
/// stands for comes back.
fn captures<'t>(pattern: &str, text: &'t str) -> Option<Vec<&'t str>> {
    let Some((first, rest)) = pattern.split_once('*') else {
        return (pattern == text).then(Vec::new);
    };
    let mut text = text.strip_prefix(first)?;
    let mut pieces: Vec<&str> = rest.split('*').collect();
    let last = pieces.pop().unwrap_or_default();
    let mut captured = Vec::new();
    for piece in pieces {
        let at = text.find(piece)?;
        captured.push(&text[..at]);
        text = &text[at + piece.len()..];
    }
    captured.push(text.strip_suffix(last)?);
    Some(captured)
}
