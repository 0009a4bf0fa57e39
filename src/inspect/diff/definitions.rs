//! Options and indexes of a collection on both sides.

use crate::archive::element::{Value, elements};
use crate::query::same;
use mongodb::bson::Document;
use std::collections::BTreeMap;

/// What servers add and forget by themselves, and what says nothing about the collection.
const NOT_COMPARED: [&str; 7] = [
    "v",
    "ns",
    "background",
    "uuid",
    "autoIndexId",
    "idIndex",
    "flags",
];

/// Options and indexes of one side; none of the indexes when they are not known.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Definition {
    pub options: Document,
    pub indexes: Option<Vec<Document>>,
    /// The text, where it cannot be read.
    pub unreadable: Option<String>,
}

/// How two definitions differ.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct DefinitionDifference {
    pub indexes_added: Vec<String>,
    pub indexes_removed: Vec<String>,
    pub indexes_changed: Vec<String>,
    /// By name.
    pub options_changed: Vec<String>,
}

pub(super) fn difference(one: &Definition, two: &Definition) -> DefinitionDifference {
    if one.unreadable.is_some() || two.unreadable.is_some() {
        // The same text says the same. Of any other it cannot be told, which is not to look like no difference.
        return DefinitionDifference {
            options_changed: match one.unreadable == two.unreadable {
                true => Vec::new(),
                false => vec!["(not readable)".into()],
            },
            ..DefinitionDifference::default()
        };
    }
    let mut found = DefinitionDifference {
        options_changed: changed_keys(&one.options, &two.options),
        ..DefinitionDifference::default()
    };
    let (Some(one), Some(two)) = (&one.indexes, &two.indexes) else {
        return found;
    };
    let (one, two) = (by_name(one), by_name(two));
    for (name, index) in &one {
        match two.get(name) {
            None => found.indexes_removed.push((*name).to_owned()),
            Some(other) if !changed_keys(index, other).is_empty() => {
                found.indexes_changed.push((*name).to_owned());
            }
            Some(_) => {}
        }
    }
    let added = two.keys().filter(|name| !one.contains_key(*name));
    found.indexes_added = added.map(|name| (*name).to_owned()).collect();
    found
}

fn by_name(indexes: &[Document]) -> BTreeMap<&str, &Document> {
    let named = indexes
        .iter()
        .map(|index| (index.get_str("name").unwrap_or_default(), index));
    named.collect()
}

/// The keys whose values differ; numbers are the same whatever their type.
fn changed_keys(one: &Document, two: &Document) -> Vec<String> {
    let (Ok(one), Ok(two)) = (one.to_vec(), two.to_vec()) else {
        return vec!["(not valid BSON)".into()];
    };
    let (one, two) = (compared(&one), compared(&two));
    let keys: std::collections::BTreeSet<&[u8]> = one.keys().chain(two.keys()).copied().collect();
    let differs = |key: &&[u8]| match (one.get(key), two.get(key)) {
        (Some(one), Some(two)) => !same(*one, *two),
        _ => true,
    };
    let differ = keys.into_iter().filter(differs);
    differ
        .map(|key| String::from_utf8_lossy(key).into_owned())
        .collect()
}

fn compared(document: &[u8]) -> BTreeMap<&[u8], Value<'_>> {
    elements(document)
        .filter(|element| !NOT_COMPARED.iter().any(|key| key.as_bytes() == element.key))
        .map(|element| (element.key, element.value))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use mongodb::bson::doc;

    #[test]
    fn indexes_and_options_are_compared_by_name_and_by_what_they_say() {
        let one = Definition {
            options: doc! { "capped": true, "size": 1000, "uuid": "a" },
            indexes: Some(vec![
                doc! { "v": 2, "key": { "_id": 1 }, "name": "_id_" },
                doc! { "v": 2, "key": { "a": 1, "b": -1 }, "name": "ab" },
                doc! { "v": 2, "key": { "c": 1 }, "name": "c", "unique": true },
                doc! { "key": { "d": 1 }, "name": "d" },
            ]),
            unreadable: None,
        };
        let two = Definition {
            options: doc! { "size": 1000_i64, "capped": true, "max": 5, "uuid": "b" },
            indexes: Some(vec![
                doc! { "name": "_id_", "key": { "_id": 1.0 }, "v": 1, "ns": "x.y" },
                doc! { "v": 2, "key": { "b": -1, "a": 1 }, "name": "ab" },
                doc! { "v": 2, "key": { "c": 1 }, "name": "c" },
                doc! { "key": { "e": 1 }, "name": "e" },
            ]),
            unreadable: None,
        };
        let found = difference(&one, &two);
        assert_eq!(found.indexes_changed, ["ab", "c"]);
        assert_eq!(
            (found.indexes_removed, found.indexes_added),
            (vec!["d".into()], vec!["e".into()])
        );
        assert_eq!(found.options_changed, ["max"]);
        assert_eq!(difference(&one, &one), DefinitionDifference::default());
        let unreadable = Definition {
            unreadable: Some("{".into()),
            ..Definition::default()
        };
        for other in [&one, &Definition::default()] {
            for found in [
                difference(&unreadable, other),
                difference(other, &unreadable),
            ] {
                assert_eq!(found.options_changed, ["(not readable)"]);
            }
        }
        assert_eq!(
            difference(&unreadable, &unreadable),
            DefinitionDifference::default()
        );
    }
}
