//! The operations that happened while a dump was made, for the namespaces that are restored and under their new names.
//!
//! mongorestore replays an oplog whole or not at all, and under the old names. So entries are chosen and renamed here:
//! what is about anything else is left out, and what cannot be told apart is refused.

use crate::archive::namespace::{BUCKETS_PREFIX, Namespace};
use mongodb::bson::{Bson, Document};
use std::collections::HashSet;

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
pub(super) fn is_before_the_dump(first: &Document) -> bool {
    match first.get_str("op") {
        Ok("i" | "u" | "d") => true,
        Ok("c") => {
            let command = first.get_document("o").ok();
            let command = command.and_then(|command| command.keys().next());
            command.is_some_and(|command| !HAVE_A_SEQUEL.contains(&command.as_str()))
        }
        _ => false,
    }
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
    pub(super) fn applies(&mut self, entry: &Document) -> bool {
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

#[cfg(test)]
mod tests {
    use super::*;
    use mongodb::bson::doc;

    /// Only `shop`, as `old`.
    fn shop(namespace: &Namespace) -> Option<Namespace> {
        (namespace.database == "shop")
            .then(|| Namespace::new("old", format!("{}_then", namespace.collection)))
    }

    fn rewritten(entry: Document) -> Option<Document> {
        rewrite(entry, &shop).unwrap()
    }

    #[test]
    fn documents_go_where_their_collection_goes_and_others_are_left_out() {
        for op in ["i", "u", "d"] {
            let entry = |ns: &str| doc! { "op": op, "ns": ns, "o": { "_id": 1 }, "o2": { "_id": 1 }, "ui": 7 };
            assert_eq!(rewritten(entry("shop.a.b")), Some(entry("old.a.b_then")));
            assert_eq!(
                rewritten(entry("shop.system.buckets.t")),
                Some(entry("old.system.buckets.t_then"))
            );
            assert_eq!(rewritten(entry("blog.a")), None);
        }
        assert_eq!(
            rewritten(doc! { "op": "n", "ns": "", "o": { "msg": "periodic noop" } }),
            None
        );
    }

    #[test]
    fn commands_name_the_new_collection_and_its_database() {
        let before = doc! { "op": "c", "ns": "shop.$cmd", "o": { "create": "a", "idIndex": { "v": 2, "ns": "shop.a" } } };
        let after = doc! { "op": "c", "ns": "old.$cmd", "o": { "create": "a_then", "idIndex": { "v": 2, "ns": "old.a_then" } } };
        assert_eq!(rewritten(before), Some(after));
        assert_eq!(
            rewritten(doc! { "op": "c", "ns": "blog.$cmd", "o": { "drop": "a" } }),
            None
        );
    }

    #[test]
    fn of_operations_that_belong_together_the_chosen_ones_stay() {
        let insert = |ns: &str| doc! { "op": "i", "ns": ns, "o": { "_id": 1 } };
        let entry = |inner: Vec<Document>| doc! { "op": "c", "ns": "admin.$cmd", "o": { "applyOps": inner } };
        let mixed = entry(vec![insert("shop.a"), insert("blog.a"), insert("shop.b")]);
        assert_eq!(
            rewritten(mixed),
            Some(entry(vec![insert("old.a_then"), insert("old.b_then")]))
        );
        assert_eq!(rewritten(entry(vec![insert("blog.a")])), None);
        let last_part = |inner: Vec<Document>| {
            doc! { "op": "c", "ns": "admin.$cmd", "o": { "applyOps": inner, "count": 3 }, "txnNumber": 7_i64 }
        };
        assert_eq!(
            rewritten(last_part(vec![insert("blog.a")])),
            Some(last_part(vec![]))
        );
        let mut effects = Effects::default();
        assert!(effects.applies(&last_part(vec![insert("old.a")])));
        assert!(!effects.applies(&last_part(vec![])));
        let commit = doc! { "op": "c", "ns": "admin.$cmd", "o": { "commitTransaction": 1 } };
        assert_eq!(rewritten(commit.clone()), Some(commit));
    }

    #[test]
    fn a_transaction_applies_where_it_ends() {
        let part = |number: i64, inner: Vec<Document>, more: &str| {
            doc! { "op": "c", "ns": "admin.$cmd", "o": { "applyOps": inner, more: true }, "txnNumber": number }
        };
        let end = |number: i64, command: &str| doc! { "op": "c", "ns": "admin.$cmd", "o": { command: 1 }, "txnNumber": number };
        let insert = || vec![doc! { "op": "i", "ns": "shop.a", "o": { "_id": 1 } }];
        let mut effects = Effects::default();
        assert!(!effects.applies(&part(1, insert(), "partialTxn")));
        assert!(!effects.applies(&part(2, insert(), "prepare")));
        assert!(!effects.applies(&part(3, insert(), "prepare")));
        assert!(!effects.applies(&part(4, vec![], "partialTxn")));
        // Its last part may hold nothing of what is restored.
        assert!(effects.applies(&part(1, vec![], "last")));
        assert!(effects.applies(&end(2, "commitTransaction")));
        assert!(!effects.applies(&end(3, "abortTransaction")));
        assert!(!effects.applies(&part(4, vec![], "last")));
        // A document may look like a command.
        assert!(
            effects.applies(&doc! { "op": "i", "ns": "shop.a", "o": { "commitTransaction": 1 } })
        );
    }

    #[test]
    fn a_dropped_database_was_emptied_by_operations_of_their_own() {
        let dropped = doc! { "op": "c", "ns": "shop.$cmd", "o": { "dropDatabase": 1 } };
        assert_eq!(rewritten(dropped), None);
    }

    #[test]
    fn what_the_dump_holds_already_is_left_out_unless_it_has_a_sequel() {
        let command = |object| doc! { "op": "c", "ns": "shop.$cmd", "o": object };
        for first in [
            doc! { "op": "u", "ns": "shop.a", "o": {} },
            command(doc! { "renameCollection": "shop.a", "to": "blog.a" }),
            command(doc! { "drop": "a" }),
            command(doc! { "somethingNew": 1 }),
        ] {
            assert!(is_before_the_dump(&first), "{first}");
        }
        for first in [
            command(doc! { "applyOps": [], "prepare": true }),
            command(doc! { "startIndexBuild": "a" }),
            doc! { "op": "n", "ns": "", "o": {} },
            doc! { "no": "operation" },
        ] {
            assert!(!is_before_the_dump(&first), "{first}");
        }
    }

    #[test]
    fn what_cannot_be_told_apart_is_refused() {
        for object in [
            doc! { "renameCollection": "shop.a", "to": "blog.a" },
            doc! { "somethingNew": 1 },
            doc! {},
        ] {
            assert!(rewrite(doc! { "op": "c", "ns": "shop.$cmd", "o": object }, &shop).is_err());
        }
        assert!(rewrite(doc! { "op": "xi", "ns": "shop.a" }, &shop).is_err());
        assert!(rewrite(doc! { "ns": "shop.a" }, &shop).is_err());
    }
}
