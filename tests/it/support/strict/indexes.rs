//! Which indexes MongoDB refuses.

use super::rules::is_in;
use super::shell::{number, number_of, shown, type_name};
use super::{Refusal, Upstream, Version};
use mongodb::bson::{Bson, Document, doc};
use std::time::{SystemTime, UNIX_EPOCH};

/// What an index may have beside its name and key. `dropDups`, `ns` and `background` are taken and do nothing.
const INDEX_OPTIONS: &str = "2dsphereIndexVersion background bits bucketSize coarsestIndexedLevel collation \
    default_language dropDups expireAfterSeconds finestIndexedLevel force hidden key \
    language_override max min name ns partialFilterExpression sparse storageEngine \
    textIndexVersion unique v weights wildcardProjection prepareUnique";

pub(super) fn index_specification(version: Version, index: &Document) -> Option<Refusal> {
    let refusal = |words: &str| Some(Refusal::new(67, "CannotCreateIndex", words));
    let within = |words: &str| {
        format!(
            "Error in specification {} :: caused by :: {words}",
            shown(index)
        )
    };
    if let Some(field) = index.keys().find(|field| !is_in(INDEX_OPTIONS, field)) {
        let words = format!(
            "The field '{field}' is not valid for an index specification. Specification: {}",
            shown(index)
        );
        return Some(Refusal::new(
            197,
            "InvalidIndexSpecificationOption",
            within(&words),
        ));
    }
    let format = index.get("v").and_then(number).unwrap_or(2.0);
    if format != 1.0 && format != 2.0 {
        let words = format!(
            "Invalid index specification {}; cannot create an index with v={format}",
            shown(index)
        );
        return refusal(&within(&words));
    }
    let key = index.get_document("key").ok()?;
    if key.is_empty() {
        return refusal(&within("Index keys cannot be empty."));
    }
    if let Some(words) = key.values().find_map(|value| key_value(value, format)) {
        return refusal(&within(&words));
    }
    if version >= Version::V7_0
        && key
            .values()
            .any(|value| value.as_str() == Some("geoHaystack"))
    {
        return refusal(&within(
            "GeoHaystack indexes cannot be created in version 4.9 and above",
        ));
    }
    let seconds = index.get("expireAfterSeconds")?;
    let words = match expiry(version, seconds) {
        Some(words) => words,
        None if key.len() > 1 => {
            "TTL indexes are single-field indexes, compound indexes do not support TTL".to_owned()
        }
        None => return None,
    };
    refusal(&format!("{words}. Index spec: {}", shown(index)))
}

fn key_value(value: &Bson, format: f64) -> Option<String> {
    match (number(value), value) {
        // The old format took nearly everything.
        _ if format < 2.0 => None,
        (Some(0.0), _) => Some("Values in the index key pattern cannot be 0.".into()),
        (Some(_), _) | (_, Bson::String(_)) => None,
        (_, other) => Some(format!(
            "Values in v:2 index key pattern cannot be of type {}. Only numbers > 0, numbers < 0, and strings are allowed.",
            type_name(other)
        )),
    }
}

/// What is wrong with a time to live.
pub(super) fn expiry(version: Version, seconds: &Bson) -> Option<String> {
    let option = "TTL index 'expireAfterSeconds' option";
    let Some(seconds) = number(seconds) else {
        return Some(format!(
            "{option} must be numeric, but received a type of '{}'",
            type_name(seconds)
        ));
    };
    let most = match version {
        Version::V4_4 => SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap()
            .as_secs_f64(),
        _ => f64::from(i32::MAX),
    };
    if seconds < 0.0 {
        return Some(format!("{option} cannot be less than 0"));
    }
    (seconds > most)
        .then(|| format!("{option} must be within an acceptable range, try a lower number"))
}

/// Whether there is another index of that name, or of that key.
pub(super) fn conflict(
    database: &str,
    collection: &str,
    index: &Document,
    server: &mut Upstream,
) -> Option<Refusal> {
    let (name, key) = (index.get_str("name").ok()?, index.get_document("key").ok()?);
    let same = |one: &Document, option: &str| {
        let plain = |value: Option<&Bson>| {
            value
                .cloned()
                .filter(|value| *value != Bson::Boolean(false))
        };
        plain(one.get(option)) == plain(index.get(option))
    };
    for there in indexes(database, collection, server) {
        let (its_name, its_key) = (
            there.get_str("name").unwrap_or_default(),
            there.get_document("key").ok()?,
        );
        let same_key = shown(its_key) == shown(key);
        let same_options = ["unique", "sparse", "partialFilterExpression", "collation"]
            .iter()
            .all(|one| same(&there, one));
        if its_name == name && !(same_key && same_options) {
            let words = format!(
                "An existing index has the same name as the requested index. When index names are not specified, they are \
                 auto generated and can cause conflicts. Please refer to our documentation. Requested index: {}, existing \
                 index: {}",
                shown(index),
                shown(&there)
            );
            return Some(Refusal::new(86, "IndexKeySpecsConflict", words));
        }
        if its_name != name && same_key && same_options {
            let words = format!("Index already exists with a different name: {its_name}");
            return Some(Refusal::new(85, "IndexOptionsConflict", words));
        }
        if its_name == name
            && number_of(&there, "expireAfterSeconds") != number_of(index, "expireAfterSeconds")
        {
            let words = format!(
                "An equivalent index already exists with the same name but different options. Requested index: {}, \
                 existing index: {}",
                shown(index),
                shown(&there)
            );
            return Some(Refusal::new(85, "IndexOptionsConflict", words));
        }
    }
    None
}

pub(super) fn indexes(database: &str, collection: &str, server: &mut Upstream) -> Vec<Document> {
    first_batch(&server.ask(database, doc! { "listIndexes": collection }))
}

pub(super) fn first_batch(answer: &Document) -> Vec<Document> {
    let cursor = answer.get_document("cursor").ok();
    let batch = cursor.and_then(|cursor| cursor.get_array("firstBatch").ok());
    batch
        .into_iter()
        .flatten()
        .filter_map(|one| one.as_document().cloned())
        .collect()
}
