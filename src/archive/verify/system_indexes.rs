//! `system.indexes.bson`: where MongoDB 2.x kept the indexes of a whole database, and its mongodump as well.
//!
//! It holds no documents of the owner's. Indexes come from it only where a collection has no metadata file, as they do with
//! mongorestore.

use super::scan::{self, Depth};
use crate::archive::namespace::Namespace;
use mongodb::bson::{Bson, Document, RawDocument, doc};
use std::collections::BTreeMap;

/// What the collection is called in every database.
const COLLECTION: &str = "system.indexes";

/// Indexes by the collection that they belong to.
#[derive(Debug, Default)]
pub(super) struct SystemIndexes {
    by_namespace: BTreeMap<Namespace, Vec<Document>>,
}

/// Whether a collection of that name holds indexes instead of documents.
pub(super) fn is_system_indexes(namespace: &Namespace) -> bool {
    namespace.collection == COLLECTION && !namespace.database.is_empty()
}

impl SystemIndexes {
    /// Takes the indexes of one database over, all documents of its file.
    pub(super) fn add(&mut self, database: &str, bytes: &[u8]) -> Result<(), String> {
        let (totals, scanned) = scan::documents(bytes, Depth::Elements);
        scanned.map_err(|error| error.to_string())?;
        let mut rest = bytes;
        for number in 1..=totals.documents {
            let broken = |problem: String| format!("document {number}: {problem}");
            let length = rest
                .first_chunk::<4>()
                .map_or(0, |bytes| u32::from_le_bytes(*bytes) as usize);
            let (document, behind) = rest
                .split_at_checked(length)
                .ok_or_else(|| broken("it is cut short".into()))?;
            rest = behind;
            let raw =
                RawDocument::from_bytes(document).map_err(|error| broken(error.to_string()))?;
            let index = Document::try_from(raw).map_err(|error| broken(error.to_string()))?;
            // The folder says which database it is: it may have been renamed since.
            let collection = index
                .get_str("ns")
                .ok()
                .and_then(|namespace| namespace.split_once('.'))
                .map(|(_, collection)| collection.to_owned())
                .ok_or_else(|| broken("it does not say which collection its index is of".into()))?;
            self.by_namespace
                .entry(Namespace::new(database, collection))
                .or_default()
                .push(named_by_key(index));
        }
        Ok(())
    }

    /// What a collection's metadata file would say; none where nothing is known of its indexes.
    pub(super) fn metadata(&self, namespace: &Namespace) -> Option<String> {
        let indexes = self.by_namespace.get(namespace)?;
        let indexes: Vec<Bson> = indexes.iter().cloned().map(Bson::Document).collect();
        let metadata = Bson::Document(doc! { "options": {}, "indexes": indexes });
        Some(metadata.into_canonical_extjson().to_string())
    }
}

/// Every server calls the index on `_id` by the same name, whatever it was called once.
fn named_by_key(mut index: Document) -> Document {
    index.remove("ns");
    let key = index.get_document("key").cloned().unwrap_or_default();
    if key.len() == 1 && key.contains_key("_id") && !matches!(key.get("_id"), Some(Bson::String(_)))
    {
        index.insert("name", "_id_");
    }
    index
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn indexes_are_kept_by_collection_and_said_as_metadata_says_them() {
        let indexes = [
            doc! { "v": 1, "key": { "_id": 1 }, "name": "_id_1", "ns": "old.a.b" },
            doc! { "v": 1, "key": { "n": -1.0 }, "name": "n_-1", "ns": "old.a.b", "unique": true },
        ];
        let bytes: Vec<u8> = indexes
            .iter()
            .flat_map(|one| one.to_vec().unwrap())
            .collect();
        let mut found = SystemIndexes::default();
        found.add("shop", &bytes).unwrap();
        let metadata = found.metadata(&Namespace::new("shop", "a.b")).unwrap();
        let metadata: serde_json::Value = serde_json::from_str(&metadata).unwrap();
        assert_eq!(metadata["indexes"][0]["name"], "_id_");
        assert_eq!(metadata["indexes"][1]["unique"], true);
        assert_eq!(metadata["indexes"][1]["key"]["n"]["$numberDouble"], "-1.0");
        assert_eq!(found.metadata(&Namespace::new("old", "a.b")), None);
    }

    #[test]
    fn an_index_of_no_collection_and_a_file_that_is_cut_are_damage() {
        let mut found = SystemIndexes::default();
        let lost = doc! { "key": { "n": 1 }, "name": "n_1" }.to_vec().unwrap();
        assert!(found.add("shop", &lost).unwrap_err().contains("document 1"));
        assert!(found.add("shop", &lost[..9]).is_err());
    }
}
