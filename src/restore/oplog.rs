//! The operations that happened while a dump was made, for the namespaces that are restored and under their new names.
//!
//! mongorestore replays an oplog whole or not at all, and under the old names. So entries are chosen and renamed here:
//! what is about anything else is left out, and what cannot be told apart is refused.

use crate::archive::element::{self, Element, Value, elements, kind};
use crate::archive::namespace::{BUCKETS_PREFIX, Namespace, VIEWS};
use mongodb::bson::{Bson, Document, RawDocument};
use std::collections::HashSet;

#[cfg(test)]
mod tests;

/// Where operations on a namespace go; none when it is not restored.
pub(super) type Target<'t> = dyn Fn(&Namespace) -> Option<Namespace> + 't;

/// Commands that belong together with later ones.
const HAVE_A_SEQUEL: [&str; 6] = [
    "applyOps",
    "commitTransaction",
    "abortTransaction",
    "startIndexBuild",
    "commitIndexBuild",
    "abortIndexBuild",
];

/// An operation that cannot be replayed for a part of a server.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("during the dump there was an operation that cannot be replayed: {0}")]
pub(crate) struct Unfit(pub String);

/// Commands about one collection, which they name as their value.
const ABOUT_ONE: [&str; 12] = [
    "create",
    "drop",
    "createIndexes",
    "commitIndexBuild",
    "startIndexBuild",
    "abortIndexBuild",
    "collMod",
    "convertToCapped",
    "emptycapped",
    "deleteIndexes",
    "dropIndexes",
    "dropIndex",
];

/// Whether the first entry of an oplog is one that the dump holds already. mongodump begins with the last operation before
/// the dump; only where a transaction or the build of an index was under way does that have a sequel. Left out, it spares a
/// quiet server the whole replay.
pub(super) fn is_before_the_dump(first: &RawDocument) -> bool {
    let first = first.as_bytes();
    match text(first, b"op") {
        Some(b"i" | b"u" | b"d") => true,
        Some(b"c") => {
            let object = element::get(first, b"o").filter(|object| object.kind == kind::DOCUMENT);
            let command = object.and_then(|object| elements(object.bytes).next());
            command.is_some_and(|command| {
                !HAVE_A_SEQUEL
                    .iter()
                    .any(|name| name.as_bytes() == command.key)
            })
        }
        _ => false,
    }
}

/// An operation as it is to be replayed.
pub(super) enum Operation {
    /// On one document, whose bytes are those of the archive: what drivers cannot read or write, servers store all the same.
    OnDocument(Vec<u8>),
    Command(Document),
}

/// An entry of an oplog as it is to be replayed; none when it is about nothing that is restored.
pub(super) fn chosen(raw: &RawDocument, target: &Target) -> Result<Option<Operation>, Unfit> {
    match text(raw.as_bytes(), b"op") {
        Some(b"n") => Ok(None),
        Some(b"i" | b"u" | b"d") => {
            let namespace = text(raw.as_bytes(), b"ns").unwrap_or_default();
            let namespace = std::str::from_utf8(namespace)
                .map_err(|_| Unfit("one on a collection whose name is not UTF-8".into()))?;
            let (database, collection) = namespace.split_once('.').unwrap_or((namespace, ""));
            let to = moved(database, collection, target);
            if collection == VIEWS && to.is_some() && !keeps_its_view(raw, target)? {
                return Ok(None);
            }
            match to {
                Some(to) => under(raw, &to).map(|bytes| Some(Operation::OnDocument(bytes))),
                None => Ok(None),
            }
        }
        _ => match command(raw, target)? {
            Some(entry) => Ok(rewrite(entry, target)?.map(Operation::Command)),
            None => Ok(None),
        },
    }
}

/// Whether an operation on the definition of a view is to be replayed. Definitions name their view, and what it is on, in
/// full: under other names they would be others.
fn keeps_its_view(raw: &RawDocument, target: &Target) -> Result<bool, Unfit> {
    let raw = raw.as_bytes();
    let named = [&b"o2"[..], b"o"].into_iter().find_map(|field| {
        let object = element::get(raw, field).filter(|object| object.kind == kind::DOCUMENT)?;
        text(object.bytes, b"_id")
    });
    let view = named.and_then(|name| std::str::from_utf8(name).ok()?.split_once('.'));
    let Some((database, view)) = view else {
        return Err(Unfit("one on a view without a name".into()));
    };
    let view = Namespace::new(database, view);
    match target(&view) {
        None => Ok(false),
        Some(to) if to == view => Ok(true),
        Some(_) => Err(Unfit(format!(
            "one on the view {view}, which is restored under another name"
        ))),
    }
}

/// A command, decoded; none when it is about nothing that is restored and cannot be decoded.
fn command(raw: &RawDocument, target: &Target) -> Result<Option<Document>, Unfit> {
    let unfit = match decoded(raw) {
        Ok(entry) => return Ok(Some(entry)),
        unfit => unfit.map(Some),
    };
    if !concerns(raw.as_bytes(), target) {
        return Ok(None);
    }
    let object = element::get(raw.as_bytes(), b"o").filter(|one| one.kind == kind::DOCUMENT);
    let first = object.and_then(|object| Some((object, elements(object.bytes).next()?)));
    let Some((object, first)) = first else {
        return unfit;
    };
    if first.key != b"applyOps" || first.value.kind != kind::ARRAY {
        return unfit;
    }
    let kept = elements(first.value.bytes)
        .filter(|one| one.value.kind != kind::DOCUMENT || concerns(one.value.bytes, target));
    let operations = written(kept)?;
    let object = replaced(object.bytes, b"applyOps", kind::ARRAY, &operations)?;
    let entry = replaced(raw.as_bytes(), b"o", kind::DOCUMENT, &object)?;
    let entry = RawDocument::from_bytes(&entry);
    entry.map_or(unfit, |entry| decoded(entry).map(Some))
}

fn decoded(raw: &RawDocument) -> Result<Document, Unfit> {
    Document::try_from(raw).map_err(|error| Unfit(format!("one that cannot be read: {error}")))
}

/// Whether an operation may be about something that is restored.
fn concerns(operation: &[u8], target: &Target) -> bool {
    let namespace = text(operation, b"ns").unwrap_or_default();
    let namespace = String::from_utf8_lossy(namespace);
    let (database, collection) = namespace.split_once('.').unwrap_or((&namespace, ""));
    match text(operation, b"op") {
        Some(b"n") => false,
        Some(b"i" | b"u" | b"d") => moved(database, collection, target).is_some(),
        Some(b"c") => {
            let object = element::get(operation, b"o").filter(|one| one.kind == kind::DOCUMENT);
            let Some(command) = object.and_then(|object| elements(object.bytes).next()) else {
                return true;
            };
            let is_about_one = ABOUT_ONE.iter().any(|name| name.as_bytes() == command.key);
            if !is_about_one || command.value.kind != kind::STRING {
                return true;
            }
            let collection = String::from_utf8_lossy(element::text(command.value.bytes));
            moved(database, &collection, target).is_some()
        }
        _ => true,
    }
}

/// The text of a field.
fn text<'d>(document: &'d [u8], key: &[u8]) -> Option<&'d [u8]> {
    let value = element::get(document, key).filter(|value| value.kind == kind::STRING)?;
    Some(element::text(value.bytes))
}

/// The same operation on another collection, and to the byte the same but for that.
fn under(raw: &RawDocument, namespace: &str) -> Result<Vec<u8>, Unfit> {
    let length = u32::try_from(namespace.len() + 1).map_err(too_long)?;
    let mut value = length.to_le_bytes().to_vec();
    value.extend_from_slice(namespace.as_bytes());
    value.push(0);
    replaced(raw.as_bytes(), b"ns", kind::STRING, &value)
}

/// A document with another value under a key, and to the byte the same but for that.
fn replaced(document: &[u8], key: &[u8], kind: u8, bytes: &[u8]) -> Result<Vec<u8>, Unfit> {
    let mut walk = elements(document);
    let replacing = walk.by_ref().map(|element| match element.key == key {
        true => Element {
            key,
            value: Value { kind, bytes },
        },
        false => element,
    });
    let written = written(replacing)?;
    match walk.is_at_end() {
        true => Ok(written),
        false => Err(Unfit("one that cannot be read".into())),
    }
}

/// A document of these elements.
fn written<'e>(elements: impl Iterator<Item = Element<'e>>) -> Result<Vec<u8>, Unfit> {
    let mut bytes = vec![0; 4];
    for Element { key, value } in elements {
        bytes.push(value.kind);
        bytes.extend_from_slice(key);
        bytes.push(0);
        bytes.extend_from_slice(value.bytes);
    }
    bytes.push(0);
    let length = u32::try_from(bytes.len()).map_err(too_long)?;
    bytes[..4].copy_from_slice(&length.to_le_bytes());
    Ok(bytes)
}

fn too_long(_: std::num::TryFromIntError) -> Unfit {
    Unfit("one that is too long".into())
}

/// An entry as it is to be replayed; none when it is about nothing that is restored.
pub(super) fn rewrite(mut entry: Document, target: &Target) -> Result<Option<Document>, Unfit> {
    let unfit = |what: &str| Unfit(what.to_owned());
    let operation = entry
        .get_str("op")
        .map_err(|_| unfit("one without a kind"))?
        .to_owned();
    let namespace = entry.get_str("ns").unwrap_or_default().to_owned();
    let (database, collection) = namespace.split_once('.').unwrap_or((&namespace, ""));
    match operation.as_str() {
        "n" => Ok(None),
        "i" | "u" | "d" => {
            let Some(to) = moved(database, collection, target) else {
                return Ok(None);
            };
            entry.insert("ns", to);
            Ok(Some(entry))
        }
        "c" => {
            let object = entry
                .get_document("o")
                .map_err(|_| unfit("a command without words"))?;
            let Some(command) = object.keys().next().cloned() else {
                return Err(unfit("an empty command"));
            };
            let replaced = match command.as_str() {
                "applyOps" => several(object, entry.contains_key("txnNumber"), target)?,
                // They end a transaction whose operations were chosen before; one of which nothing is left does nothing.
                "commitTransaction" | "abortTransaction" => return Ok(Some(entry)),
                // Before a server drops a database, it drops each of its collections, and has written that down: nothing is
                // left for this one to do.
                "dbCheck" | "dropDatabase" => None,
                about_one if ABOUT_ONE.contains(&about_one) => {
                    one(object, about_one, database, target)
                }
                other => return Err(unfit(&format!("{other} in {database}"))),
            };
            let Some((object, to)) = replaced else {
                return Ok(None);
            };
            if let Some(to) = to {
                entry.insert("ns", format!("{to}.$cmd"));
            }
            entry.insert("o", object);
            Ok(Some(entry))
        }
        other => Err(unfit(&format!("of the unknown kind {other:?}"))),
    }
}

/// What replaying comes to, entry by entry. A large transaction comes in parts, and only its end applies them: of one that was
/// still open when the dump ended, mongorestore applies nothing.
#[derive(Default)]
pub(super) struct Effects {
    /// Transactions of which parts have come.
    begun: HashSet<String>,
}

impl Effects {
    /// Whether replaying this entry changes anything.
    pub(super) fn applies(&mut self, operation: &Operation) -> bool {
        match operation {
            Operation::OnDocument(_) => true,
            Operation::Command(entry) => self.command_applies(entry),
        }
    }

    fn command_applies(&mut self, entry: &Document) -> bool {
        let (Ok("c"), Ok(object)) = (entry.get_str("op"), entry.get_document("o")) else {
            return true;
        };
        let Some((command, operations)) = object.iter().next() else {
            return true;
        };
        let transaction = format!("{:?} {:?}", entry.get("lsid"), entry.get("txnNumber"));
        let is_part = ["partialTxn", "prepare"]
            .iter()
            .any(|name| object.get_bool(name).unwrap_or_default());
        match command.as_str() {
            "applyOps" => {
                let holds_some = operations.as_array().is_none_or(|some| !some.is_empty());
                if is_part {
                    if holds_some {
                        self.begun.insert(transaction);
                    }
                    return false;
                }
                self.begun.remove(&transaction) || holds_some
            }
            "commitTransaction" => self.begun.remove(&transaction),
            "abortTransaction" => {
                self.begun.remove(&transaction);
                false
            }
            _ => true,
        }
    }
}

/// `DATABASE.COLLECTION` under its new name.
fn moved(database: &str, collection: &str, target: &Target) -> Option<String> {
    let (prefix, plain) = match collection.strip_prefix(BUCKETS_PREFIX) {
        Some(plain) => (BUCKETS_PREFIX, plain),
        None => ("", collection),
    };
    let to = target(&Namespace::new(database, plain))?;
    Some(format!("{}.{prefix}{}", to.database, to.collection))
}

/// A command and the database it is now for.
type Replaced = Option<(Document, Option<String>)>;

fn one(object: &Document, command: &str, database: &str, target: &Target) -> Replaced {
    let collection = object.get_str(command).ok()?;
    let to = moved(database, collection, target)?;
    let (to_database, to_collection) = to.split_once('.')?;
    let mut object = object.clone();
    object.insert(command, to_collection);
    // Old servers name the namespace in the index's own words as well.
    if object.contains_key("ns") {
        object.insert("ns", &to);
    }
    if let Ok(index) = object.get_document_mut("idIndex")
        && index.contains_key("ns")
    {
        index.insert("ns", &to);
    }
    Some((object, Some(to_database.to_owned())))
}

/// Operations that belong together.
fn several(object: &Document, in_transaction: bool, target: &Target) -> Result<Replaced, Unfit> {
    let inner = object
        .get_array("applyOps")
        .map_err(|_| Unfit("applyOps without operations".into()))?;
    let mut kept = Vec::new();
    for operation in inner {
        let operation = operation
            .as_document()
            .cloned()
            .ok_or_else(|| Unfit("applyOps without operations".into()))?;
        kept.extend(rewrite(operation, target)?.map(Bson::Document));
    }
    // A part of a transaction stays in its place even when nothing of it is left: its last part is what commits it.
    if kept.is_empty() && !in_transaction {
        return Ok(None);
    }
    let mut object = object.clone();
    object.insert("applyOps", kept);
    Ok(Some((object, None)))
}
