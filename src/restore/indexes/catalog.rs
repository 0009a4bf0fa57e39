//! Which indexes the restored collections are to have: those of the archive, as the oplog changed them.

use super::spec::IndexSpec;
use crate::archive::namespace::{Kind, Namespace};
use crate::restore::contents::Contents;
use crate::restore::definition::StoredDefinition;
use crate::restore::steps::RestoreStep;
use mongodb::bson::{Bson, Document};
use std::collections::BTreeMap;

/// The indexes of every collection that is restored, by its name on the target.
#[derive(Debug, Default, Clone)]
pub(crate) struct IndexCatalog {
    collections: BTreeMap<Namespace, CollectionIndexes>,
}

#[derive(Debug, Default, Clone)]
struct CollectionIndexes {
    /// Whether strings are compared by a language's rules unless an index says otherwise.
    collated: bool,
    indexes: Vec<IndexSpec>,
    left_out: Vec<LeftOutOption>,
}

/// A legacy option that an index is built without.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct LeftOutOption {
    pub namespace: Namespace,
    pub index: String,
    pub option: &'static str,
}

impl IndexCatalog {
    pub(crate) fn new(contents: &Contents, steps: &[RestoreStep]) -> Self {
        let mut catalog = IndexCatalog::default();
        for step in steps {
            let archived = &contents[step.source];
            // The server's own collections have the indexes that it gives them.
            let own = step.to.collection.starts_with("system.");
            if archived.kind == Kind::View || own {
                continue;
            }
            // Of metadata that cannot be read there is nothing to build; that is told when it is reconciled.
            let Ok(stored) = StoredDefinition::parse(&archived.metadata) else {
                continue;
            };
            catalog.create(&step.to, &stored.options);
            for index in &stored.indexes {
                catalog.add(&step.to, index);
            }
        }
        catalog
    }

    /// Collections with at least one index beside that of `_id`.
    pub(crate) fn collections(&self) -> impl Iterator<Item = (&Namespace, &[IndexSpec])> {
        let all = self.collections.iter();
        all.map(|(namespace, one)| (namespace, one.indexes.as_slice()))
            .filter(|(_, indexes)| !indexes.is_empty())
    }

    pub(crate) fn indexes(&self, namespace: &Namespace) -> &[IndexSpec] {
        match self.collections.get(namespace) {
            Some(one) => &one.indexes,
            None => &[],
        }
    }

    /// How many indexes there are to build.
    pub(crate) fn len(&self) -> usize {
        self.collections().map(|(_, indexes)| indexes.len()).sum()
    }

    pub(crate) fn left_out(&self) -> impl Iterator<Item = &LeftOutOption> {
        self.collections.values().flat_map(|one| &one.left_out)
    }

    /// Takes over what an operation of the oplog does to indexes. What is left of it for mongorestore; none when nothing is.
    pub(crate) fn replay(&mut self, entry: Document) -> Option<Document> {
        let namespace = entry.get_str("ns").unwrap_or_default();
        let database = namespace.split('.').next().unwrap_or_default().to_owned();
        match (entry.get_str("op"), entry.get_document("o")) {
            (Ok("c"), Ok(object)) if object.contains_key("applyOps") => self.replay_several(entry),
            (Ok("c"), Ok(object)) => {
                let left = self.replay_command(&database, object.clone())?;
                let mut entry = entry;
                entry.insert("o", left);
                Some(entry)
            }
            _ => Some(entry),
        }
    }

    /// Operations that belong together stay so: that of a transaction has its place even when nothing is left in it.
    fn replay_several(&mut self, mut entry: Document) -> Option<Document> {
        let object = entry.get_document_mut("o").ok()?;
        let inner = object.get_array_mut("applyOps").ok()?;
        let had_some = !inner.is_empty();
        let operations = std::mem::take(inner).into_iter();
        *inner = operations
            .filter_map(|operation| match operation {
                Bson::Document(operation) => self.replay(operation).map(Bson::Document),
                other => Some(other),
            })
            .collect();
        let emptied = had_some && inner.is_empty();
        (!emptied || entry.contains_key("txnNumber")).then_some(entry)
    }

    fn replay_command(&mut self, database: &str, mut object: Document) -> Option<Document> {
        let (command, collection) = match object.iter().next() {
            Some((command, Bson::String(collection))) => (command.clone(), collection.clone()),
            _ => return Some(object),
        };
        let namespace = Namespace::new(database, collection);
        match command.as_str() {
            "create" => {
                self.create(&namespace, &object);
                Some(object)
            }
            "drop" => {
                self.collections.remove(&namespace);
                Some(object)
            }
            // One index with its fields beside the command, or several in a list: MongoDB itself writes the first form for
            // the one and the second for the other, and what calls itself compatible may mix them.
            "createIndexes" | "commitIndexBuild" => {
                match object.get_array("indexes") {
                    Ok(indexes) => {
                        for index in indexes.iter().filter_map(Bson::as_document) {
                            self.add(&namespace, index);
                        }
                    }
                    Err(_) => {
                        object.remove(&command);
                        self.add(&namespace, &object);
                    }
                }
                None
            }
            // They come to something only with the commit.
            "startIndexBuild" | "abortIndexBuild" => None,
            "dropIndexes" | "dropIndex" | "deleteIndexes" => {
                let dropped = object.get("index");
                let collection = self.collections.entry(namespace).or_default();
                collection.indexes.retain(|index| !index.is_called(dropped));
                None
            }
            "collMod" => {
                if let Some(Bson::Document(changes)) = object.remove("index") {
                    let named = changes.get("name").or(changes.get("keyPattern"));
                    let collection = self.collections.entry(namespace).or_default();
                    let indexes = collection.indexes.iter_mut();
                    for index in indexes.filter(|index| index.is_called(named)) {
                        index.modify(&changes);
                    }
                }
                (object.len() > 1).then_some(object)
            }
            _ => Some(object),
        }
    }

    fn create(&mut self, namespace: &Namespace, options: &Document) {
        let collation = options.get_document("collation");
        let collation = collation.and_then(|collation| collation.get_str("locale"));
        let collated = collation.is_ok_and(|locale| locale != "simple");
        // What nothing is to be remembered of takes no memory: there may be thousands.
        if collated || self.collections.contains_key(namespace) {
            let collection = self.collections.entry(namespace.clone()).or_default();
            collection.collated = collated;
        }
    }

    fn add(&mut self, namespace: &Namespace, index: &Document) {
        let collection = self.collections.entry(namespace.clone()).or_default();
        let Some((index, left_out)) = IndexSpec::parse(index, collection.collated) else {
            return;
        };
        // An oplog begins a little before the dump, which may have it already. Making it once more changes nothing, as on
        // a server: what the server said of an index that is there counts, not how it was asked for.
        let is_known = collection
            .indexes
            .iter()
            .any(|known| known.name() == index.name());
        if is_known {
            return;
        }
        let left_out = left_out.into_iter().map(|option| LeftOutOption {
            namespace: namespace.clone(),
            index: index.name().to_owned(),
            option,
        });
        collection.left_out.extend(left_out);
        collection.indexes.push(index);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use mongodb::bson::doc;

    fn names(catalog: &IndexCatalog) -> Vec<&str> {
        catalog
            .indexes(&Namespace::new("shop", "a"))
            .iter()
            .map(IndexSpec::name)
            .collect()
    }

    fn entry(object: Document) -> Document {
        doc! { "op": "c", "ns": "shop.$cmd", "o": object }
    }

    #[test]
    fn what_an_oplog_does_to_indexes_is_done_here_and_nothing_of_it_is_left() {
        let mut catalog = IndexCatalog::default();
        for object in [
            doc! { "createIndexes": "a", "v": 2, "key": { "x": 1 }, "name": "x_1", "safe": true },
            doc! { "startIndexBuild": "a", "indexes": [{ "key": { "z": 1 }, "name": "z_1" }] },
            doc! { "commitIndexBuild": "a", "indexes": [{ "key": { "y": 1 }, "name": "y_1", "expireAfterSeconds": 5 }] },
            doc! { "createIndexes": "a", "v": 2, "key": { "x": 1 }, "name": "x_1", "sparse": true },
        ] {
            assert_eq!(catalog.replay(entry(object)), None);
        }
        assert_eq!(names(&catalog), ["x_1", "y_1"]);
        let first = &catalog.indexes(&Namespace::new("shop", "a"))[0];
        assert!(!first.document().contains_key("sparse"));
        // The same index once more, in the other form.
        let listed = doc! { "createIndexes": "a", "indexes": [{ "v": 2, "key": { "x": 1 }, "name": "x_1", "safe": true }] };
        assert_eq!(catalog.replay(entry(listed)), None);
        assert_eq!(names(&catalog), ["x_1", "y_1"]);
        assert_eq!(catalog.left_out().next().unwrap().option, "safe");
        let change =
            doc! { "collMod": "a", "index": { "name": "y_1", "expireAfterSeconds": 7_i64 } };
        assert_eq!(catalog.replay(entry(change)), None);
        let changed = &catalog.indexes(&Namespace::new("shop", "a"))[1];
        assert_eq!(
            changed.document().get_i64("expireAfterSeconds").ok(),
            Some(7)
        );
        assert_eq!(
            catalog.replay(entry(doc! { "dropIndexes": "a", "index": "x_1" })),
            None
        );
        assert_eq!(names(&catalog), ["y_1"]);
        let rest = doc! { "collMod": "a", "validator": {} };
        let both =
            doc! { "collMod": "a", "validator": {}, "index": { "name": "y_1", "hidden": true } };
        assert_eq!(catalog.replay(entry(both)), Some(entry(rest)));
        let drop = entry(doc! { "drop": "a" });
        assert_eq!(catalog.replay(drop.clone()), Some(drop));
        assert_eq!(catalog.len(), 0);
    }

    #[test]
    fn operations_on_documents_stay_and_a_transaction_keeps_its_place() {
        let mut catalog = IndexCatalog::default();
        let insert = doc! { "op": "i", "ns": "shop.a", "o": { "_id": 1, "createIndexes": "a" } };
        assert_eq!(catalog.replay(insert.clone()), Some(insert.clone()));
        let build = entry(doc! { "createIndexes": "a", "key": { "x": 1 }, "name": "x_1" });
        let several = |inner: Vec<Document>| doc! { "op": "c", "ns": "admin.$cmd", "o": { "applyOps": inner } };
        assert_eq!(
            catalog.replay(several(vec![build.clone(), insert.clone()])),
            Some(several(vec![insert]))
        );
        assert_eq!(catalog.replay(several(vec![build.clone()])), None);
        let mut transaction = several(vec![build]);
        transaction.insert("txnNumber", 1);
        assert!(catalog.replay(transaction).is_some());
        assert_eq!(names(&catalog), ["x_1"]);
    }
}
