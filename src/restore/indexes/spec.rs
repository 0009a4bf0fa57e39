//! One index as it is to be built: without what only old servers knew, and as a command for mongosh.

use crate::archive::namespace::Namespace;
use crate::restore::definition::{holds, is_same};
use crate::restore::mongosh::script;
use mongodb::bson::{Bson, Document};

/// Options that say nothing about an index and that no server needs: old servers and drivers wrote them down, and servers
/// of today ignore or refuse them.
const LEGACY_OPTIONS: [&str; 5] = ["background", "dropDups", "ns", "safe", "w"];
/// The formats that servers of today still read. A new index gets the server's own, as with mongorestore.
const FORMATS: [i64; 2] = [1, 2];
/// An index that has one of these is another one than an index without it.
const DECISIVE_OPTIONS: [&str; 6] = [
    "unique",
    "sparse",
    "hidden",
    "expireAfterSeconds",
    "partialFilterExpression",
    "collation",
];

/// An index as the server is told it.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct IndexSpec(Document);

impl IndexSpec {
    /// An index as an archive or an oplog has it, and the legacy options that were left out of it. None for the index of
    /// `_id`, which collections have by themselves. Where a collection has a collation, an index without one has the
    /// simple one.
    pub(crate) fn parse(index: &Document, collated: bool) -> Option<(Self, Vec<&'static str>)> {
        if is_of_id(index) {
            return None;
        }
        let mut document = index.clone();
        let mut left_out: Vec<&'static str> = LEGACY_OPTIONS
            .into_iter()
            .filter(|option| document.remove(option).is_some())
            .collect();
        if let Some(format) = document.remove("v")
            && !FORMATS.contains(&whole(&format).unwrap_or_default())
        {
            left_out.push("v");
        }
        if collated && !document.contains_key("collation") {
            document.insert("collation", mongodb::bson::doc! { "locale": "simple" });
        }
        Some((IndexSpec(document), left_out))
    }

    pub(crate) fn name(&self) -> &str {
        self.0.get_str("name").unwrap_or_default()
    }

    pub(crate) fn document(&self) -> &Document {
        &self.0
    }

    /// Changes options as `collMod` does.
    pub(crate) fn modify(&mut self, changes: &Document) {
        for (option, value) in changes {
            if !matches!(option.as_str(), "name" | "keyPattern") {
                self.0.insert(option, value.clone());
            }
        }
    }

    /// Whether this is the index that `collMod` or `dropIndexes` speaks of.
    pub(crate) fn is_called(&self, name: Option<&Bson>) -> bool {
        match name {
            Some(Bson::String(name)) => name == self.name() || name == "*",
            Some(Bson::Array(names)) => names.iter().any(|name| self.is_called(Some(name))),
            Some(key @ Bson::Document(_)) => self.0.get("key") == Some(key),
            _ => false,
        }
    }

    /// Whether an index of a server is this one.
    pub(crate) fn is_met_by(&self, found: &Document) -> bool {
        let wanted: Document = self
            .0
            .iter()
            .filter(|(_, value)| is_set(value))
            .map(|(option, value)| (option.clone(), value.clone()))
            .collect();
        let keys = |index: &Document| index.get_document("key").map(Document::len).ok();
        holds(&wanted, found)
            && keys(&wanted) == keys(found)
            && DECISIVE_OPTIONS
                .iter()
                .all(|option| wanted.contains_key(option) || !found.get(option).is_some_and(is_set))
    }

    /// The command that makes it, for mongosh.
    pub(crate) fn command(&self, namespace: &Namespace) -> String {
        let text = |text: &str| script(&Bson::String(text.to_owned()));
        format!(
            "db.getSiblingDB({}).runCommand({{createIndexes: {}, indexes: [{}]}})",
            text(&namespace.database),
            text(&namespace.collection),
            script(&Bson::Document(self.0.clone())),
        )
    }
}

fn is_of_id(index: &Document) -> bool {
    index.get_document("key").is_ok_and(|key| {
        key.len() == 1
            && key
                .get("_id")
                .and_then(whole)
                .is_some_and(|way| way.abs() == 1)
    })
}

/// False, nothing and the simple collation are what an index has without the option as well.
fn is_set(value: &Bson) -> bool {
    let is_simple = |value: &Document| value.get_str("locale").is_ok_and(|name| name == "simple");
    match value {
        Bson::Boolean(false) | Bson::Null => false,
        Bson::Document(document) => !is_simple(document),
        _ => true,
    }
}

fn whole(value: &Bson) -> Option<i64> {
    let numbers = [FORMATS[0], FORMATS[1], -1];
    numbers
        .into_iter()
        .find(|number| is_same(&Bson::Int64(*number), value) && !matches!(value, Bson::Boolean(_)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use mongodb::bson::doc;

    fn spec(index: Document) -> IndexSpec {
        IndexSpec::parse(&index, false).unwrap().0
    }

    #[test]
    fn legacy_options_are_left_out_and_named_and_all_else_stays_in_its_order() {
        let old = doc! { "v": 0, "unique": true, "key": { "b": 1, "a": -1 }, "name": "ba", "ns": "shop.a",
        "background": true, "safe": Bson::Null, "dropDups": true, "w": 1 };
        let (index, left_out) = IndexSpec::parse(&old, false).unwrap();
        assert_eq!(left_out, ["background", "dropDups", "ns", "safe", "w", "v"]);
        assert_eq!(
            index.document(),
            &doc! { "unique": true, "key": { "b": 1, "a": -1 }, "name": "ba" }
        );
        for format in [Bson::Int32(1), Bson::Int64(2), Bson::Double(2.0)] {
            let (_, left_out) =
                IndexSpec::parse(&doc! { "v": format, "key": { "a": 1 } }, false).unwrap();
            assert!(left_out.is_empty());
        }
        let (collated, _) = IndexSpec::parse(&doc! { "key": { "a": 1 } }, true).unwrap();
        assert_eq!(
            collated.document().get_document("collation").unwrap(),
            &doc! { "locale": "simple" }
        );
    }

    #[test]
    fn the_index_of_ids_is_nobodys_to_build() {
        assert!(IndexSpec::parse(&doc! { "key": { "_id": 1.0 }, "name": "_id_" }, false).is_none());
        for key in [
            doc! { "_id": "hashed" },
            doc! { "_id": 1, "a": 1 },
            doc! { "a": 1 },
        ] {
            assert!(IndexSpec::parse(&doc! { "key": key }, false).is_some());
        }
    }

    #[test]
    fn an_index_is_the_same_whatever_servers_add_and_another_one_by_what_decides() {
        let index = spec(
            doc! { "key": { "b": 1, "a": -1 }, "name": "ba", "unique": true, "sparse": false,
            "collation": { "locale": "simple" } },
        );
        let there = doc! { "v": 2, "key": { "b": 1.0, "a": -1_i64 }, "name": "ba", "unique": true, "ns": "x.y" };
        assert!(index.is_met_by(&there));
        let with = |option: &str, value: Bson| {
            let mut changed = there.clone();
            changed.insert(option, value);
            changed
        };
        for other in [
            with("key", Bson::Document(doc! { "a": -1, "b": 1 })),
            with("key", Bson::Document(doc! { "b": 1, "a": -1, "c": 1 })),
            with("unique", false.into()),
            with("sparse", true.into()),
            with("expireAfterSeconds", 5.into()),
            with("collation", Bson::Document(doc! { "locale": "es" })),
        ] {
            assert!(!index.is_met_by(&other), "{other}");
        }
    }

    #[test]
    fn a_command_is_one_that_mongosh_takes() {
        let namespace = Namespace::new("shop", "a \"b\"\u{202e}");
        let index = spec(
            doc! { "key": { "n": 1.0, "t": "text" }, "name": "n\n", "expireAfterSeconds": 60_i64 },
        );
        assert_eq!(
            index.command(&namespace),
            "db.getSiblingDB(\"shop\").runCommand({createIndexes: \"a \\\"b\\\"\\u202e\", indexes: [{\"key\": {\"n\": 1, \
             \"t\": \"text\"}, \"name\": \"n\\n\", \"expireAfterSeconds\": 60}]})"
        );
    }
}
