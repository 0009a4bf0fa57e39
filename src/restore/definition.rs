//! Options and indexes of a collection, as an archive has them, held against those on a server.

use crate::archive::metadata;
use crate::mongo::definitions::Definition;
use crate::restore::mongosh::script;
use mongodb::bson::{Bson, Document};

/// Options that servers add, rename or forget by themselves, and that say nothing about the data.
const NOT_COMPARED: [&str; 6] = ["v", "ns", "background", "autoIndexId", "flags", "idIndex"];

/// Options and indexes as an archive has them.
#[derive(Debug, Default)]
pub(crate) struct StoredDefinition {
    pub options: Document,
    pub indexes: Vec<Document>,
}

impl StoredDefinition {
    /// From the text of `metadata.json`; nothing where there is none. An error says why it cannot be read.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        if text.is_empty() {
            return Ok(StoredDefinition::default());
        }
        let document = metadata::parse(text)?;
        let indexes = document
            .get_array("indexes")
            .into_iter()
            .flatten()
            .filter_map(Bson::as_document)
            .cloned()
            .collect();
        let options = document.get_document("options");
        Ok(StoredDefinition {
            options: options.cloned().unwrap_or_default(),
            indexes,
        })
    }

    /// How the options of a collection differ. What servers add by themselves is no difference.
    pub(crate) fn option_difference(&self, found: &Definition) -> Option<String> {
        let shown = |options: &Document| script(&Bson::Document(options.clone()));
        let differs = || {
            let (there, wanted) = (shown(&found.options), shown(&self.options));
            format!("its options are {there}, not {wanted}")
        };
        (!holds(&self.options, &found.options)).then(differs)
    }

    pub(super) fn is_capped(&self) -> bool {
        is_capped(&self.options)
    }

    /// After how many seconds documents expire by the collection's own options, as in time series.
    pub(crate) fn expiry(&self) -> Option<&Bson> {
        self.options.get("expireAfterSeconds")
    }
}

/// Whether the oldest documents of a collection make room for new ones, by its options.
pub(super) fn is_capped(options: &Document) -> bool {
    options.get_bool("capped").unwrap_or_default()
}

/// Whether everything in `wanted` is in `found`. Numbers of different types may be equal.
pub(super) fn holds(wanted: &Document, found: &Document) -> bool {
    wanted
        .iter()
        .filter(|(key, _)| !NOT_COMPARED.contains(&key.as_str()))
        .all(|(key, value)| found.get(key).is_some_and(|there| is_same(value, there)))
}

pub(super) fn is_same(wanted: &Bson, found: &Bson) -> bool {
    let number = |value: &Bson| match value {
        Bson::Int32(value) => Some(f64::from(*value)),
        Bson::Int64(value) => Some(*value as f64),
        Bson::Double(value) => Some(*value),
        Bson::Boolean(value) => Some(f64::from(u8::from(*value))),
        _ => None,
    };
    match (wanted, found) {
        (Bson::Document(wanted), Bson::Document(found)) => {
            // The order of an index's keys is what the index is.
            let common: Vec<&String> = found
                .keys()
                .filter(|key| wanted.contains_key(key))
                .collect();
            holds(wanted, found)
                && wanted
                    .keys()
                    .filter(|key| found.contains_key(key))
                    .eq(common)
        }
        (Bson::Array(wanted), Bson::Array(found)) => {
            wanted.len() == found.len()
                && wanted
                    .iter()
                    .zip(found)
                    .all(|(wanted, found)| is_same(wanted, found))
        }
        _ => match (number(wanted), number(found)) {
            (Some(wanted), Some(found)) => wanted == found,
            _ => wanted == found,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use mongodb::bson::doc;

    #[test]
    fn what_servers_add_is_no_difference_and_what_they_lose_is() {
        let metadata = r#"{"options": {"capped": true, "size": {"$numberInt": "1000"}, "expireAfterSeconds": {"$numberLong": "5"}},
            "indexes": [{"v": {"$numberInt": "2"}, "key": {"b": {"$numberInt": "1"}, "a": {"$numberDouble": "-1.0"}}, "name": "ba"}]}"#;
        let stored = StoredDefinition::parse(metadata).unwrap();
        assert_eq!(
            stored.indexes[0].get_document("key").unwrap(),
            &doc! { "b": 1, "a": -1.0 }
        );
        assert_eq!(stored.expiry(), Some(&Bson::Int64(5)));
        let difference = |options: Document| {
            stored.option_difference(&Definition {
                options,
                indexes: None,
            })
        };
        let same = doc! { "capped": true, "size": 1000_i64, "added": 5, "expireAfterSeconds": 5 };
        assert_eq!(difference(same.clone()), None);
        for (option, value) in [("size", 5), ("expireAfterSeconds", 6)] {
            let mut other = same.clone();
            other.insert(option, value);
            let difference = difference(other).unwrap();
            assert!(
                difference.starts_with("its options are {\"capped\": true"),
                "{difference}"
            );
        }
        let nothing = StoredDefinition::parse("").unwrap();
        assert!(nothing.options.is_empty() && nothing.indexes.is_empty());
        assert!(StoredDefinition::parse("{").is_err());
    }
}
